"""Hosts on links in virtual time, without asyncio."""

from random import Random
from typing import Any

import pytest

from postel.errors import ArgumentError, ConnectionReset, LinkError
from postel.host.host import Host
from postel.links import Delayed, Faulty, Link, Shaped, pair
from postel.sim import World
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, Closed, EndOfStream, Event, Opened, Readable
from postel.times import MILLISECOND, SECOND

TEXT = bytes(range(256)) * 400


class Echo:
    """Sends back what comes, and closes with its peer."""

    def __init__(self) -> None:
        self.waiting: dict[Any, bytes] = {}

    def __call__(self, subject: Any, event: Event, now: int) -> None:
        if isinstance(event, Acceptable):
            while (connection := subject.accept()) is not None:
                self.waiting[connection] = b""
                self.answer(connection, now)
        elif isinstance(subject, Connection):
            self.answer(subject, now)

    def answer(self, connection: Connection, now: int) -> None:
        self.waiting[connection] = self.waiting.get(connection, b"") + connection.receive(1 << 20, now)
        taken = connection.send(self.waiting[connection], now) if self.waiting[connection] else 0
        self.waiting[connection] = self.waiting[connection][taken:]
        if connection.at_end and not self.waiting[connection]:
            connection.release(now)


class Caller:
    def __init__(self, text: bytes) -> None:
        self.left = text
        self.received = b""
        self.ended_at = 0

    def __call__(self, subject: Any, event: Event, now: int) -> None:
        if isinstance(event, Readable | EndOfStream):
            self.received += subject.receive(1 << 20, now)
            if subject.at_end:
                self.ended_at = now
        if self.left and subject.writable:
            self.left = self.left[subject.send(self.left, now) :]
            if not self.left:
                subject.close(now)


AROUND: dict[str, Any] = {
    "plain": lambda link: link,
    "delayed": lambda link: Delayed(link, 50 * MILLISECOND),
    "faulty": lambda link: Faulty(link, Random(5), loss=0.03, reorder=0.05),
    "shaped": lambda link: Shaped(link, 8_000_000),
    "all": lambda link: Shaped(Delayed(Faulty(link, Random(5), loss=0.03), MILLISECOND), 8_000_000),
}


def talk(make: Any, *, offload: bool = False) -> tuple[World, Caller]:
    world = World(seed=1)
    left, right = pair(offload=offload)
    near, far = Host("10.0.0.1/24", secret=b"near"), world.host("far", "10.0.0.2/24", application=Echo())
    caller = Caller(TEXT)
    world.attach(near, make(left), application=caller)
    world.attach(far, right)
    far.listen(7, world.now)
    near.connect("10.0.0.2", 7, world.now)
    assert world.next_timeout() == world.now
    world.run(until=100 * SECOND)
    assert caller.received == TEXT
    return world, caller


@pytest.mark.parametrize("offload", [False, True])
@pytest.mark.parametrize("kind", AROUND)
def test_hosts_talk_over_links_that_a_world_drives(kind: str, offload: bool) -> None:
    world, caller = talk(AROUND[kind], offload=offload)
    # The same again: both follow from the seed alone
    assert (world.now, caller.ended_at) == (100 * SECOND, talk(AROUND[kind], offload=offload)[1].ended_at)


def test_virtual_time_is_that_of_the_links() -> None:
    assert talk(AROUND["plain"])[1].ended_at < MILLISECOND * 100
    assert talk(AROUND["delayed"])[1].ended_at > 2 * 100 * MILLISECOND
    assert talk(AROUND["shaped"])[1].ended_at > 100 * MILLISECOND


class Dying(Link):
    mtu = 1500

    def receive(self, now: int) -> bytes | None:
        return None

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        raise OSError(5, "the cable is cut")

    def close(self) -> None: ...


def test_the_end_of_a_link_is_told_once() -> None:
    for options in ({}, {"ended": (told := []).append}):
        world, host = World(), Host("10.0.0.1/24", secret=b"x")
        attachment = world.attach(host, Dying(), **options)
        host.connect("10.0.0.2", 7, world.now)
        if options:
            world.run(until=SECOND)
            world.run(until=100 * SECOND)
            assert [str(error) for error in told] == ["[Errno 5] the link failed: the cable is cut"]
        else:
            with pytest.raises(LinkError, match="the cable is cut"):
                world.run(until=SECOND)
        assert isinstance(attachment.error, LinkError)
        world.attach(host, pair()[0])  # it is free again


def test_a_reset_in_front_of_the_end_of_a_link_is_what_a_connection_hears() -> None:
    world, (left, right) = World(), pair()
    near, far = Host("10.0.0.1/24", secret=b"near"), Host("10.0.0.2/24", secret=b"far")
    events: list[Event] = []
    ends: list[LinkError] = []
    world.attach(
        near, left, application=lambda _subject, event, _now: events.append(event), ended=ends.append
    )
    there = world.attach(far, right)
    listener = far.listen(7, world.now)
    near.connect("10.0.0.2", 7, world.now)
    world.run(until=SECOND)
    connection = listener.accept()
    assert connection is not None
    there.detach()
    connection.abort(world.now)
    right.send(far.next_packet(world.now) or b"", b"", world.now)
    right.close()
    world.run(until=2 * SECOND)
    assert isinstance(events[-1], Closed)
    assert isinstance(events[-1].error, ConnectionReset)
    assert [str(error) for error in ends] == ["[Errno 107] the other end of the memory link is closed"]


def test_a_host_is_on_one_link_or_on_paths() -> None:
    world = World()
    near, far = world.host("near", "10.0.0.1/24"), world.host("far", "10.0.0.2/24")
    world.path(near, far)
    for host in (near, far):
        with pytest.raises(ArgumentError, match="a host without paths"):
            world.attach(host, pair()[0])
    other, (left, right) = Host("10.0.0.3/24", secret=b"x"), pair()
    world.attach(other, left)
    with pytest.raises(ArgumentError, match="one link at a time"):
        world.attach(other, right)


def test_a_host_takes_its_links_mtu_and_a_secret_from_the_seed() -> None:
    def numbers(seed: int) -> int:
        world, host = World(seed), Host("10.0.0.1/24")
        left, right = pair(1280)
        world.attach(host, left)
        host.connect("10.0.0.2", 7, world.now)
        world.run(until=SECOND // 2)
        assert host.mtu == 1280
        return int.from_bytes((right.receive(0) or b"")[24:28], "big")  # the SYN's sequence number

    assert numbers(1) == numbers(1) != numbers(2)


def test_what_can_not_be_attached_is_refused_and_left_as_it_was() -> None:
    world, host = World(), Host("10.0.0.1/24", secret=b"x")
    with pytest.raises(ArgumentError, match="link is None; allowed: a Link"):
        world.attach(host, None)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="host is None; allowed: a Host"):
        world.attach(None, pair()[0])  # type: ignore[arg-type]
    world.attach(host, pair(1400)[0])
    with pytest.raises(ArgumentError, match="one link at a time"):
        world.attach(host, pair(1280)[0])
    assert host.mtu == 1400


def test_a_host_that_crashes_leaves_its_link() -> None:
    world = World()
    left, right = pair()
    near, far = world.host("near", "10.0.0.1/24"), world.host("far", "10.0.0.2/24", application=Echo())
    opened: list[Event] = []
    world.attach(near, left, application=lambda _subject, event, _now: opened.append(event))
    attachment = world.attach(far, right)
    far.listen(7, world.now)
    connection = near.connect("10.0.0.2", 7, world.now)
    world.run(until=SECOND)
    assert any(isinstance(event, Opened) for event in opened)
    again = world.restart(far)
    assert attachment.error is not None
    connection.send(b"any host there?", world.now)
    world.run(until=2 * SECOND)
    assert connection.unacknowledged > 0
    world.attach(again, right)
    world.run(until=10 * SECOND)
    assert isinstance(connection.error, ConnectionReset)
