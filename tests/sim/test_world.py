"""Whole worlds: the same seed gives the same run, and the paths do what they say."""

from collections.abc import Callable

import pytest

from postel.errors import ArgumentError
from postel.host.datagrams import DatagramSocket
from postel.host.host import Host
from postel.host.listener import Listener
from postel.sim import DROP, PASS, Subject, Verdict, Witness, World, deliver_after, dropping, duplicate
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, EndOfStream, Event, Opened, Readable
from postel.times import MILLISECOND, NEVER, SECOND
from postel.wire.address import Endpoint, parse

ADDRESSES = {4: ("10.0.0.1/24", "10.0.0.2/24"), 6: ("fd00::1/64", "fd00::2/64")}


class Diary(Witness):
    """All that a witness is told of packets."""

    def __init__(self) -> None:
        self.entries: list[tuple[object, ...]] = []

    def packet_sent(self, octets: bytes, now: int) -> None:
        self.entries.append(("sent", octets, now))

    def packet_arrived(self, octets: bytes, now: int) -> None:
        self.entries.append(("arrived", octets, now))

    def carried(
        self, sender: str, receiver: str, octets: bytes, sent_at: int, arrives_at: int, delivered: bytes
    ) -> None:
        self.entries.append(("carried", sender, receiver, octets, sent_at, arrives_at, delivered))

    def lost(self, sender: str, receiver: str, octets: bytes, sent_at: int, why: str) -> None:
        self.entries.append(("lost", sender, receiver, octets, sent_at, why))

    def reasons(self) -> list[object]:
        return [entry[-1] for entry in self.entries if entry[0] == "lost"]


def pair(
    family: int = 4, seed: int = 0, observer: Witness | None = None, **settings: float
) -> tuple[World, Host, Host]:
    world = World(seed, observer=observer)
    one, other = (world.host(name, text) for name, text in zip("ab", ADDRESSES[family], strict=True))
    world.path(one, other, **settings)  # type: ignore[arg-type]
    return world, one, other


def echo(subject: Subject, event: Event, now: int) -> None:
    """An application: sends back what comes, closes when the peer has."""
    if isinstance(event, Acceptable) and isinstance(subject, Listener):
        subject.accept()
    elif isinstance(event, Readable) and isinstance(subject, Connection):
        subject.send(subject.receive(1 << 20, now), now)
    elif isinstance(event, EndOfStream) and isinstance(subject, Connection):
        subject.close(now)


class Client:
    """An application: collects what comes back."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.received = bytearray()

    def __call__(self, subject: Subject, event: Event, now: int) -> None:
        if not isinstance(subject, Connection):
            return
        if isinstance(event, Opened):
            subject.send(self.data, now)
            subject.close(now)
        elif isinstance(event, Readable):
            self.received += subject.receive(1 << 20, now)


def echoed(world: World, one: Host, other: Host, family: int = 4) -> bool:
    data = bytes(range(256)) * 200
    client = Client(data)
    world.application(one, client)
    world.application(other, echo)
    other.listen(7, world.now)
    one.connect(ADDRESSES[family][1].partition("/")[0], 7, world.now)
    world.run()
    return bytes(client.received) == data


@pytest.mark.parametrize("family", [4, 6])
def test_bytes_arrive_over_a_bad_path_and_nothing_is_left(family: int) -> None:
    world, one, other = pair(
        family, loss=0.05, duplicate=0.05, reorder=0.1, corrupt=0.02, jitter=3 * MILLISECOND
    )
    assert echoed(world, one, other, family)
    assert world.next_timeout() == NEVER
    assert not list(one.connections())
    assert not list(other.connections())


def test_the_same_seed_gives_the_same_run_and_another_another() -> None:
    runs = []
    for seed in (1, 1, 2):
        diary = Diary()
        world, one, other = pair(
            seed=seed, observer=diary, loss=0.05, duplicate=0.05, reorder=0.1, corrupt=0.02
        )
        assert echoed(world, one, other)
        runs.append(diary.entries)
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_a_path_more_changes_nothing_for_the_others() -> None:
    runs = []
    for spectators in (0, 3):
        diary = Diary()
        world, one, other = pair(observer=diary, loss=0.1)
        for index in range(spectators):
            world.path(one, world.host(f"c{index}", f"10.0.1.{index + 1}/24"), loss=0.5)
        assert echoed(world, one, other)
        runs.append(diary.entries)
    assert runs[0] == runs[1]


class Mailbox:
    """Two hosts, and a datagram socket on each."""

    def __init__(self, observer: Witness | None = None, **settings: float) -> None:
        self.world, one, other = pair(observer=observer, **settings)
        self.sender = one.datagrams(1000, remote=Endpoint(parse("10.0.0.2"), 2000))
        self.receiver: DatagramSocket = other.datagrams(2000)
        self.arrivals: list[tuple[bytes, int]] = []
        self.world.application(other, self.collect)

    def collect(self, subject: Subject, event: Event, now: int) -> None:
        if isinstance(event, Readable) and isinstance(subject, DatagramSocket):
            while (got := subject.receive()) is not None:
                self.arrivals.append((got[0], now))

    def send(self, *texts: bytes) -> list[tuple[bytes, int]]:
        for text in texts:
            self.sender.send(text, self.world.now)
        self.world.run()
        return self.arrivals


def test_rules_are_asked_by_number_and_the_first_with_an_opinion_decides() -> None:
    box = Mailbox(delay=10)
    asked: list[tuple[int, str]] = []

    def watch(number: int, octets: bytes, sender: str, now: int) -> Verdict | None:
        asked.append((number, sender))
        return None

    def late(number: int, octets: bytes, sender: str, now: int) -> Verdict | None:
        return {2: deliver_after(99), 3: duplicate(), 4: PASS}.get(number)

    box.world.rules += [
        watch,
        dropping(1),
        late,
        lambda number, octets, sender, now: DROP if number == 4 else None,
    ]
    assert box.send(b"1", b"2", b"3", b"4") == [(b"3", 10), (b"3", 10), (b"4", 10), (b"2", 99)]
    assert asked == [(1, "a"), (2, "a"), (3, "a"), (4, "a")]


def test_a_world_says_why_packets_are_lost() -> None:
    diary = Diary()
    box = Mailbox(diary, bandwidth=80_000, queue="1000B")
    box.world.rules.append(dropping(1))
    box.send(*[bytes(900)] * 4)
    assert diary.reasons() == ["loss", "queue full"]
    stray = box.world.host("c", "10.9.0.1/24").datagrams(1, remote=Endpoint(parse("10.0.0.1"), 1))
    stray.send(b"", box.world.now)
    box.world.run()
    assert diary.reasons()[-1] == "no route"


@pytest.mark.parametrize("family", [4, 6])
def test_too_big_a_packet_gets_an_answer_and_the_connection_adapts(family: int) -> None:
    diary = Diary()
    world, one, other = pair(family, observer=diary, mtu=1300)
    assert echoed(world, one, other, family)
    assert "too big" in diary.reasons()


def test_calls_come_when_they_are_due_and_in_their_order() -> None:
    world = World()
    heard: list[tuple[str, int]] = []
    for name, when in (("late", 5 * SECOND), ("first", SECOND), ("second", SECOND)):
        world.at(when, lambda name=name: heard.append((name, world.now)))  # type: ignore[misc]
    assert world.next_timeout() == SECOND
    assert world.run() == 5 * SECOND
    assert heard == [("first", SECOND), ("second", SECOND), ("late", 5 * SECOND)]


def test_run_stops_at_a_time_or_on_a_condition() -> None:
    world = World()
    for second in range(1, 10):
        world.at(second * SECOND, lambda: None)
    assert world.run(until=2 * SECOND + 1) == 2 * SECOND + 1
    assert world.run(stop=lambda: world.now >= 4 * SECOND) == 4 * SECOND
    world.handle_timeout(6 * SECOND)
    assert (world.now, world.next_timeout()) == (6 * SECOND, 7 * SECOND)


def test_an_any_address_host_gets_what_its_only_neighbour_sends_anywhere() -> None:
    world = World()
    one, other = world.host("a", "10.0.0.1/24"), world.host("b", any_address=True)
    world.path(one, other)
    client = Client(b"hello")
    world.application(one, client)
    world.application(other, echo)
    other.listen(7, 0)
    one.connect("192.0.2.99", 7, 0)
    world.run()
    assert client.received == b"hello"


def _foreign(world: World) -> None:
    world.path(world.host("a", "10.0.0.1/24"), Host("10.0.0.9/24", secret=b"secret"))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda world: [world.host("a", "10.0.0.1/24"), world.host("a", "10.0.0.2/24")],
        lambda world: [world.host("a", "10.0.0.1/24"), world.host("b", "10.0.0.1/24")],
        _foreign,
    ],
)
def test_mistakes_are_named(wrong: Callable[[World], object]) -> None:
    with pytest.raises(ArgumentError):
        wrong(World())
