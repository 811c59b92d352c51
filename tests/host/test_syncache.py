"""Half-open connections by the thousand are records in the SYN cache; only the use of memory shows it."""

import itertools
import random
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import pytest

from postel.host.host import Host
from postel.host.passive_opens import MOST_HALF_OPEN
from postel.tcp import seq
from postel.tcp.config import DEFAULT
from postel.tcp.connection import Connection
from postel.tcp.half_open import MOST_RETRANSMISSIONS
from postel.tcp.observer import Observer, TimerName
from postel.tcp.state import ESTABLISHED, SYN_RECEIVED
from postel.times import MILLISECOND, MINUTE, NEVER, SECOND
from postel.wire import icmp, ip
from postel.wire.address import Endpoint
from postel.wire.options import FAST_OPEN
from postel.wire.segment import ABSENT, ACK, AE, CWR, ECE, FIN, PSH, RST, SYN, URG, Segment
from tests.host.conftest import Peer

BACKLOG = 4096
MANY = 8 * MOST_HALF_OPEN
LARGEST = 300  # octets, all in all, of one in the cache


def source(number: int) -> bytes:
    return (0x0A000100 + number % 50_000).to_bytes(4, "big")


@pytest.fixture
def crowded(host: Host, peer: Peer) -> Peer:
    host.listen(80, peer.now, backlog=BACKLOG)
    for number in range(MANY):
        assert peer.segment(peer.give(peer.tcp(SYN, source=source(number)))).flags == SYN | ACK
    return peer


def cached(host: Host) -> int:
    return len(host._connections.passive.cache)


def test_beyond_the_first_they_are_cached(host: Host, crowded: Peer) -> None:
    assert cached(host) == MANY - MOST_HALF_OPEN
    assert host.statistics()["half_open"] == MANY
    shown = list(host.connections())
    assert {state for _, _, state in shown} == {SYN_RECEIVED}
    assert {remote for _, remote, _ in shown} == {Endpoint(source(number), 5000) for number in range(MANY)}
    assert {local for local, _, _ in shown} == {Endpoint(crowded.target, 80)}


def test_an_ack_takes_one_out_and_opens_it(host: Host, crowded: Peer) -> None:
    answer = crowded.segment(
        crowded.give(crowded.tcp(SYN, source=source(MANY), tsval=7, tsecr=0, window_scale=3, mss=1000))
    )
    before = cached(host)
    crowded.now += 500 * MILLISECOND
    text = {"data": b"request", "source": source(MANY), "tsval": 8, "tsecr": answer.tsval}
    (answer,) = crowded.segments(
        crowded.give(crowded.tcp(ACK, seq=1001, ack=seq.add(answer.seq, 1), **text))
    ) or (None,)
    assert cached(host) == before - 1
    subject, _ = crowded.events[-1]
    connection = subject.accept()
    assert connection.state is ESTABLISHED
    assert connection.receive(99, crowded.now) == b"request"
    status = connection.status(crowded.now)
    assert (status.snd_mss, status.snd_wscale, status.rtt) == (988, 3, 500 * MILLISECOND)


def test_the_syn_ack_goes_again_and_they_stay_cached(host: Host, crowded: Peer) -> None:
    assert len(crowded.advance(SECOND)) == MANY
    assert cached(host) >= MANY - MOST_HALF_OPEN
    assert len(crowded.advance(2 * SECOND)) == MANY
    crowded.advance(4 * MINUTE)
    assert host.statistics()["half_open"] == 0
    assert host.next_timeout() == NEVER


@pytest.mark.soak
def test_who_answered_very_often_is_a_connection(host: Host, peer: Peer) -> None:
    config = replace(DEFAULT, rto_initial=SECOND, rto_maximum=SECOND, syn_received_timeout=10 * MINUTE)
    host.listen(80, peer.now, backlog=BACKLOG, config=config)
    for number in range(MANY):
        peer.give(peer.tcp(SYN, source=source(number)))
    peer.advance(MOST_RETRANSMISSIONS * SECOND)
    assert cached(host) == MANY - MOST_HALF_OPEN
    peer.advance(SECOND)
    assert (cached(host), host.statistics()["half_open"]) == (0, MANY)


def test_the_backlog_counts_them(host: Host, peer: Peer) -> None:
    host.listen(80, peer.now, backlog=MANY)
    for number in range(MANY + 1):
        peer.give(peer.tcp(SYN, source=source(number)))
    assert host.statistics()["half_open"] == MANY
    assert peer.dropped("half_open_full") == 1


def test_by_ipv6_too(host: Host) -> None:
    peer = Peer(host, "fd00::9", "fd00::1")
    listener = host.listen(80, peer.now, backlog=BACKLOG)
    answers = [peer.segment(peer.give(peer.tcp(SYN, port=1024 + number))) for number in range(MANY)]
    assert cached(host) == MANY - MOST_HALF_OPEN
    assert {remote for _, remote, _ in host.connections()} == {
        Endpoint(peer.address, 1024 + number) for number in range(MANY)
    }
    for number, answer in enumerate(answers):
        peer.give(peer.tcp(ACK, port=1024 + number, seq=1001, ack=seq.add(answer.seq, 1)))
    assert (len(listener.ready), host.statistics()["half_open"]) == (MANY, 0)


def test_a_pair_in_the_cache_is_taken(host: Host, crowded: Peer) -> None:
    key = next(iter(host._connections.passive.cache))
    remote = Endpoint(key[:4], 5000)
    with pytest.raises(OSError, match="is taken"):
        host.connect(remote.host, remote.port, crowded.now, local_port=80)


def test_they_go_with_their_listener_alone(host: Host, crowded: Peer) -> None:
    other = host.listen(81, crowded.now, backlog=BACKLOG)
    for number in range(MANY):
        crowded.give(crowded.tcp(SYN, to=81, source=source(number)))
    other.close(crowded.now)
    assert host.statistics()["half_open"] == MANY
    assert len(crowded.advance(SECOND)) == MANY


def test_a_child_of_time_wait_is_not_cached_for_it_gives_its_pair_back(host: Host, crowded: Peer) -> None:
    listener = host.listen(81, crowded.now)
    answer = crowded.segment(crowded.give(crowded.tcp(SYN, to=81, tsval=1, tsecr=0)))
    crowded.give(crowded.tcp(ACK, to=81, seq=1001, ack=seq.add(answer.seq, 1), tsval=1, tsecr=answer.tsval))
    listener.accept().release(crowded.now)
    fin = crowded.segment(crowded.drain())
    crowded.give(crowded.tcp(FIN | ACK, to=81, seq=1001, ack=seq.add(fin.seq, 1), tsval=1, tsecr=fin.tsval))
    before = cached(host)
    answer = crowded.segment(crowded.give(crowded.tcp(SYN, to=81, seq=5000, tsval=9, tsecr=0)))
    assert (cached(host), host.statistics()["time_wait"]) == (before, 0)
    crowded.give(crowded.tcp(RST, to=81, seq=5001))
    assert host.statistics()["time_wait"] == 1


def test_what_a_router_said_is_told_to_the_user_in_the_end(host: Host, crowded: Peer) -> None:
    (octets,) = crowded.give(crowded.tcp(SYN, source=source(MANY)))
    crowded.give(crowded.control(icmp.unreachable(icmp.NO_HOST, ip.parse(octets))))
    answer = crowded.segment([octets])
    crowded.give(crowded.tcp(ACK, seq=1001, ack=seq.add(answer.seq, 1), source=source(MANY)))
    crowded.events[-1][0].accept()
    crowded.drain()
    assert [type(event).__name__ for _, event in crowded.events[-1:]] == ["Trouble"]


def test_text_of_a_syn_is_not_kept(host: Host, crowded: Peer) -> None:
    answer = crowded.segment(crowded.give(crowded.tcp(SYN, source=source(MANY), data=bytes(1000))))
    (key,) = [key for key in host._connections.passive.cache if key.startswith(source(MANY))]
    assert len(host._connections.passive.cache.content(key)) < 60
    crowded.give(crowded.tcp(ACK, seq=1001, ack=seq.add(answer.seq, 1), source=source(MANY), data=b"again"))
    assert crowded.events[-1][0].accept().receive(2000, crowded.now) == b"again"


@pytest.mark.soak
def test_one_in_the_cache_is_small(host: Host, peer: Peer) -> None:
    """The least of three, for other threads of this process allocate too: those that bring it its tests."""
    host.listen(80, peer.now, backlog=1 << 16)
    numbers = iter(range(1 << 16))
    options = {"tsval": 1, "tsecr": 0, "mss": 1460, "window_scale": 7, "sack_permitted": True}

    def grown(count: int) -> float:
        before = tracemalloc.get_traced_memory()[0]
        for number in itertools.islice(numbers, count):
            peer.give(peer.tcp(SYN, source=source(number), **options))
        return (tracemalloc.get_traced_memory()[0] - before) / count

    tracemalloc.start()
    try:
        grown(2 * MOST_HALF_OPEN)
        assert min(grown(1000) for _ in range(3)) < LARGEST
    finally:
        tracemalloc.stop()


REFUSED = {
    "an ACK of what was never sent": (ACK, 1001, 5),
    "an ACK of nothing": (ACK, 1001, 0),
    "a segment left of the window": (ACK, 900, 1),
    "a segment right of the window": (ACK, 1001 + 70_000, 1),
    "a RST that isn't exact": (RST, 1001 + 500, 0),
    "a RST right of the window": (RST, 1001 + 70_000, 0),
    "text without ACK": (PSH, 1001, 0),
    "nothing at all": (0, 1001, 0),
    "the SYN again": (SYN, 1000, 0),
    "the SYN again, with other flags": (SYN | URG | PSH, 1000, 0),
    "the SYN with ACK": (SYN | ACK, 1000, 1),
    "a keep-alive": (ACK, 1000, 1),
    "a FIN left of the window": (FIN | ACK, 900, 1),
}


@pytest.mark.parametrize("observer", [None, Observer()])
@pytest.mark.parametrize("name", REFUSED)
def test_a_segment_that_is_refused_takes_none_out_of_the_cache(name: str, observer: Observer | None) -> None:
    host = Host("10.0.0.1/8", secret=b"s", observer=observer)
    peer = Peer(host)
    host.listen(80, peer.now, backlog=BACKLOG)
    asks = {"sack_permitted": True, "mss": 1460}
    answers = [
        peer.segment(peer.give(peer.tcp(SYN | AE | CWR | ECE, source=source(number), **asks)))
        for number in range(MANY)
    ]
    flags, number, ahead = REFUSED[name]
    for _ in range(3):
        for index, answer in enumerate(answers):
            data = b"text" if flags & PSH or number == 900 else b""
            peer.give(
                peer.tcp(flags, seq=number, ack=seq.add(answer.seq, ahead), source=source(index), data=data)
            )
        assert (cached(host), host.statistics()["half_open"]) == (MANY - MOST_HALF_OPEN, MANY)
        peer.advance(600 * MILLISECOND)
    for index, answer in enumerate(answers):
        peer.give(peer.tcp(ACK, seq=1001, ack=seq.add(answer.seq, 1), source=source(index)))
    assert (cached(host), host.statistics()["half_open"]) == (0, 0)


class Recorder(Observer):
    """What an observer is told of each connection."""

    def __init__(self) -> None:
        self.told: dict[object, list[str]] = {}

    def state_changed(
        self, local: Endpoint, remote: Endpoint, before: object, after: object, now: int
    ) -> None:
        self.told.setdefault(remote, []).append(f"{now} {before} {after}")

    def segment_sent(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        self.told.setdefault(remote, []).append(f"{now} sent {segment}")

    def segment_arrived(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        self.told.setdefault(remote, []).append(f"{now} arrived {segment}")

    def timer_expired(self, local: Endpoint, remote: Endpoint, timer: TimerName, now: int) -> None:
        self.told.setdefault(remote, []).append(f"{now} {timer}")

    def peer_erred(self, local: Endpoint, remote: Endpoint, error: str, now: int) -> None:
        self.told.setdefault(remote, []).append(f"{now} {error}")


class Play:
    """What peers may do to three hosts: two with a SYN cache, of which one is observed, and one without,
    which is observed too.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.recorders = (Recorder(), Recorder())
        observers = (None, *self.recorders)
        self.peers = [Peer(Host("10.0.0.1/8", secret=b"s", observer=observer)) for observer in observers]
        self.peers[2].host._connections.most_half_open = 1 << 30
        config = replace(DEFAULT, fast_open="server")
        self.listeners = [
            peer.host.listen(80, peer.now, backlog=BACKLOG, config=config) for peer in self.peers
        ]
        self.answers: dict[bytes, tuple[bytes, Segment]] = {}
        self.heard = 0
        self.syns: dict[int, bytes] = {}

    def give(self, packet: bytes) -> None:
        self.agree([peer.give(packet) for peer in self.peers])

    def advance(self, duration: int) -> None:
        self.agree([peer.advance(duration) for peer in self.peers])

    def agree(self, answers: list[list[bytes]]) -> None:
        # Sorted by destination
        plain, watched, uncached = (sorted(packets, key=lambda octets: octets[16:20]) for packets in answers)
        assert plain == watched == uncached
        self.heard += len(plain)
        for octets in plain:
            packet = ip.parse(octets)
            self.answers[packet.destination] = octets, self.peers[0].segment([octets])
        told = [peer.host.statistics() for peer in self.peers]
        assert told[0] == told[1] == told[2]
        shown = [set(peer.host.connections()) for peer in self.peers]
        assert shown[0] == shown[1] == shown[2]
        statuses = [
            [one.accept().status(self.peers[0].now) for _ in range(len(one.ready))] for one in self.listeners
        ]
        assert statuses[0] == statuses[1] == statuses[2]
        for peer in self.peers:
            peer.drain()  # and what they saw before they were accepted
        events = [
            sorted(f"{subject} {event}" for subject, event in peer.events if isinstance(subject, Connection))
            for peer in self.peers
        ]
        assert events[0] == events[1] == events[2]
        assert self.recorders[0].told == self.recorders[1].told

    def syn(self, number: int) -> bytes:
        maybe = self.random.random
        options: dict[str, object] = {"mss": self.random.choice([ABSENT, 536, 1460])}
        if maybe() < 0.6:
            options |= {"tsval": self.random.getrandbits(32), "tsecr": 0}
        if maybe() < 0.6:
            options |= {"window_scale": self.random.randrange(20)}
        options |= {"sack_permitted": maybe() < 0.6, "window": self.random.choice([0, 1, 500, 65535])}
        options["other"] = ((FAST_OPEN, self.random.choice([b"", bytes(8)])),) if maybe() < 0.3 else ()
        flags = SYN | self.random.choice([0, 0, ECE | CWR, AE | ECE | CWR, AE])
        data = b"early" if maybe() < 0.1 else b""
        return self.peers[0].tcp(flags, source=source(number), data=data, **options)

    def step(self) -> None:
        peer, chance = self.peers[0], self.random
        number = chance.randrange(2 * MANY)
        known = self.answers.get(source(number))
        kind = chance.randrange(10)
        if kind == 0:
            self.advance(chance.choice([0, MILLISECOND, 300 * MILLISECOND, SECOND, 5 * SECOND]))
        elif kind == 1 or known is None:
            self.syns[number] = self.syn(number)
            self.give(self.syns[number])
        elif kind in (7, 8) and number in self.syns:
            self.give(self.syns[number])
        else:
            octets, answer = known
            stamps = (
                {"tsval": 1 << 31, "tsecr": answer.tsval}
                if answer.tsval != ABSENT and chance.random() < 0.8
                else {}
            )
            flags = chance.choice([ACK, ACK, ACK, RST, RST | ACK, FIN | ACK, SYN | ACK])
            number_off, ack_off = chance.choice([0, 0, 0, 1, -1, 70_000]), chance.choice([0, 0, 0, 0, 1, -1])
            if kind == 2:
                codes = chance.choice([icmp.NO_PORT, icmp.NO_HOST, icmp.NO_HOST])
                self.give(peer.control(icmp.unreachable(codes, ip.parse(octets))))
            elif kind == 3:
                self.give(peer.control(icmp.packet_too_big(chance.choice([20, 600, 1300]), ip.parse(octets))))
            else:
                packet = peer.tcp(
                    flags,
                    source=source(number),
                    seq=seq.add(answer.ack, number_off),
                    ack=seq.add(answer.seq, 1 + ack_off),
                    data=chance.choice([b"", b"", b"text"]),
                    **stamps,
                )
                self.give(packet)


@pytest.fixture(params=range(3))
def play(request: pytest.FixtureRequest) -> Iterator[Play]:
    play = Play(request.param)
    for number in range(MANY):
        play.syns[number] = play.syn(number)
        play.give(play.syns[number])
    assert cached(play.peers[0].host) > MANY // 4
    assert cached(play.peers[2].host) == 0
    return play


@pytest.mark.soak
def test_nobody_can_tell_who_was_cached(play: Play) -> None:
    for _ in range(300):
        play.step()
    play.advance(10 * MINUTE)
    assert play.heard > 4 * MANY
    assert cached(play.peers[0].host) == 0
