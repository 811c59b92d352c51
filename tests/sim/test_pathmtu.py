"""Paths that change their MTU under a connection: with routers that say so, that don't, and with forgers that
say what isn't so.
"""

from dataclasses import replace
from itertools import pairwise

import pytest

from postel.host.host import Host
from postel.host.listener import Listener
from postel.sim import Path, Subject, Witness, World
from postel.tcp.config import DEFAULT, Config
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, Event, Opened, Readable, Writable
from postel.tcp.pathmtu import BASE_4, FLOOR_4, LOWEST_6, RAISE_AFTER
from postel.times import MILLISECOND, MINUTE, SECOND
from postel.wire import icmp, ip

ADDRESSES = {4: ("10.0.0.1/24", "10.0.0.2/24"), 6: ("fd00::1/64", "fd00::2/64")}
FAMILIES = pytest.mark.parametrize("family", [4, 6])
SACK = pytest.mark.parametrize("sack", [False, True], ids=["newreno", "sack"])
RTO = SECOND  # RFC 6298, 2.4: that of every path here
# A window of few packets: for as many round trips a search waits after a probe that was lost.
SMALL = replace(DEFAULT, receive_buffer=12_000)


class Lengths(Witness):
    """How long the packets are that arrive, and that are too long."""

    def __init__(self) -> None:
        self.arrived: list[tuple[int, str, int]] = []
        self.lost_at: list[tuple[int, str, int]] = []

    def carried(
        self, sender: str, receiver: str, octets: bytes, sent_at: int, arrives_at: int, delivered: bytes
    ) -> None:
        self.arrived.append((arrives_at, sender, len(octets)))

    def lost(self, sender: str, receiver: str, octets: bytes, sent_at: int, why: str) -> None:
        self.lost_at.append((sent_at, sender, len(octets)))

    def longest(self, sender: str, since: int) -> int:
        return max((length for at, name, length in self.arrived if name == sender and at >= since), default=0)


class End:
    """An application: sends ``size`` octets, as fast as they are taken, and counts what it reads."""

    def __init__(self, size: int) -> None:
        self.message = bytes(index * 7 % 251 for index in range(size))
        self.sent = 0
        self.read = bytearray()
        self.progress: list[int] = []
        self.connection: Connection | None = None

    def __call__(self, subject: Subject, event: Event, now: int) -> None:
        if isinstance(event, Acceptable) and isinstance(subject, Listener):
            self.connection = subject.accept()
            self.give(now)
        elif isinstance(subject, Connection):
            self.connection = subject
            if isinstance(event, Readable):
                self.read += subject.receive(1 << 30, now)
                self.progress.append(now)
            if isinstance(event, (Writable, Opened)):
                self.give(now)

    def give(self, now: int) -> None:
        assert self.connection is not None
        self.sent += self.connection.send(memoryview(self.message)[self.sent :], now)

    def more(self, size: int, now: int) -> None:
        """A new message, after the one before."""
        self.message = bytes(size)
        self.sent = 0
        self.read.clear()
        self.give(now)

    @property
    def path_mtu(self) -> int:
        assert self.connection is not None
        return self.connection._tcb.path.mtu


class Stage:
    """``a`` connects to ``b``; both send as much as they are told to."""

    def __init__(
        self,
        family: int = 4,
        *,
        config: Config = SMALL,
        sizes: tuple[int, int] = (1_500_000, 0),
        mtu: int = 1500,
        **path: float,
    ) -> None:
        self.watch = Lengths()
        self.world = World(3, observer=self.watch)
        self.ends = (End(sizes[0]), End(sizes[1]))
        self.hosts = [
            self.world.host(name, text, config=config, application=end, mtu=mtu)
            for name, text, end in zip("ab", ADDRESSES[family], self.ends, strict=True)
        ]
        self.paths: tuple[Path, Path] = self.world.path(
            *self.hosts, delay=2 * MILLISECOND, bandwidth=8_000_000, **path
        )  # type: ignore[arg-type]
        self.hosts[1].listen(80, 0)
        self.remote = ADDRESSES[family][1].partition("/")[0]
        self.hosts[0].connect(self.remote, 80, 0)

    def narrow(self, mtu: int, *, is_black_hole: bool = True) -> None:
        for path in self.paths:
            path.mtu, path.is_black_hole = mtu, is_black_hole

    def run(self, until: int) -> int:
        return self.world.run(until, stop=self.is_done)

    def is_done(self) -> bool:
        one, other = self.ends
        return (
            len(other.read) == len(one.message)
            and len(one.read) == len(other.message)
            and one.connection is not None
        )

    def stall(self, end: int, since: int) -> int:
        """The longest time without progress of what this end reads."""
        times = [since, *(at for at in self.ends[end].progress if at >= since)]
        return max(later - earlier for earlier, later in pairwise(times))

    @property
    def connection(self) -> Connection:
        found = self.ends[0].connection
        assert found is not None
        return found


def known(host: Host, stage: Stage) -> int:
    return host.routes.mtu_to(stage.connection.remote.address, stage.world.now)


# No router says that the path is narrower now


@pytest.mark.label("RFC4821-7.7", "RFC2923-2", "BAD-ICMP-5")
@FAMILIES
@SACK
@pytest.mark.parametrize("mtu", [1499, 1400, 1280])
@pytest.mark.parametrize("at", [0, 300 * MILLISECOND])
def test_a_black_hole_is_left_within_three_rto_and_its_mtu_found(
    family: int, sack: bool, mtu: int, at: int
) -> None:
    stage = Stage(family, config=replace(SMALL, sack=sack), sizes=(2_500_000, 2_500_000))
    stage.run(at)
    stage.narrow(mtu)
    assert stage.run(MINUTE) < MINUTE
    for end, name in enumerate("ab"):
        assert stage.ends[1 - end].read == stage.ends[end].message
        assert stage.stall(1 - end, at) <= 3 * RTO + 300 * MILLISECOND  # and a round trip
        assert mtu - mtu // 32 <= stage.ends[end].path_mtu <= mtu
        assert stage.watch.longest(name, at + SECOND) <= mtu
        assert known(stage.hosts[0], stage) == stage.ends[0].path_mtu


@pytest.mark.label("RFC4821-7.7", "RFC4821-7.2")
@SACK
@pytest.mark.parametrize(
    ("mtu", "most"),
    [(1024, BASE_4), (800, FLOOR_4), (576, FLOOR_4), (552, FLOOR_4), (300, FLOOR_4), (68, FLOOR_4)],
)
def test_ipv4_is_never_stuck_however_narrow_the_path(sack: bool, mtu: int, most: int) -> None:
    """Below the floor the "don't fragment" bit is off, and routers do the rest."""
    stage = Stage(config=replace(SMALL, sack=sack), sizes=(100_000, 0))
    stage.run(20 * MILLISECOND)
    stage.narrow(mtu)
    assert stage.run(MINUTE) < MINUTE
    assert stage.ends[1].read == stage.ends[0].message
    assert stage.stall(1, 0) <= (3 if most == BASE_4 else 7) * RTO + 300 * MILLISECOND
    assert most <= stage.ends[0].path_mtu <= max(mtu, most)


@FAMILIES
@SACK
def test_an_outage_is_no_black_hole_and_costs_no_size(family: int, sack: bool) -> None:
    stage = Stage(family, config=replace(SMALL, sack=sack))
    stage.run(300 * MILLISECOND)
    stage.narrow(28)  # nothing passes
    stage.run(10 * SECOND)
    assert stage.ends[0].path_mtu == (FLOOR_4 if family == 4 else LOWEST_6)
    stage.narrow(0)
    assert stage.run(MINUTE) < MINUTE
    assert stage.ends[0].path_mtu == 1500
    assert known(stage.hosts[0], stage) == 1500


@pytest.mark.label("RFC4821-4", "RFC4821-7.4")
@FAMILIES
@SACK
def test_rfc4821_4_probes_that_are_lost_slow_nothing_down(family: int, sack: bool) -> None:
    """All that is lost after the black hole are probes; so congestion control hears of nothing but that
    hole's timeouts.
    """
    stage = Stage(family, config=replace(SMALL, sack=sack), sizes=(2_000_000, 0))
    stage.run(300 * MILLISECOND)
    stage.narrow(1400)
    stage.world.run(stop=lambda: stage.ends[0].path_mtu < 1400)
    threshold = stage.connection._tcb.ensure_controller().threshold
    since = stage.world.now + 50 * MILLISECOND
    timeouts = stage.connection._tcb.counts.segments_retransmitted
    stage.run(MINUTE)
    probes = [length for at, name, length in stage.watch.lost_at if at >= since]
    assert probes
    assert all(length > 1400 for length in probes)
    assert stage.connection._tcb.ensure_controller().threshold == threshold
    assert stage.connection._tcb.counts.segments_retransmitted > timeouts
    assert stage.stall(1, since) < SECOND  # and none of them had to time out


@SACK
def test_without_probing_a_black_hole_stays_one(sack: bool) -> None:
    stage = Stage(config=replace(SMALL, sack=sack, mtu_probing="off"))
    stage.run(300 * MILLISECOND)
    stage.narrow(1400)
    stage.run(20 * MINUTE)
    assert stage.connection.error is not None or not stage.is_done()


# The path grows again


@pytest.mark.label("RFC4821-7.3", "RFC8201-4b", "RFC1191-3b")
@FAMILIES
@SACK
@pytest.mark.parametrize("is_black_hole", [False, True])
def test_rfc4821_7_3_ten_minutes_later_it_looks_whether_the_path_grew(
    family: int, sack: bool, is_black_hole: bool
) -> None:
    stage = Stage(family, config=replace(SMALL, sack=sack))
    stage.narrow(1400, is_black_hole=is_black_hole)
    stage.run(MINUTE)
    found = stage.ends[0].path_mtu
    assert 1370 <= found <= 1400
    stage.narrow(0)
    narrowed = stage.world.now
    stage.world.run(narrowed + RAISE_AFTER - 20 * SECOND)
    assert stage.world.next_timeout() > narrowed + RAISE_AFTER  # no timer runs for it
    stage.ends[1].read.clear()
    stage.ends[0].more(100_000, stage.world.now)
    stage.run(narrowed + RAISE_AFTER - 10 * SECOND)
    assert stage.is_done()
    assert stage.ends[0].path_mtu == found  # too early: it may be tried at most every five minutes
    stage.world.run(narrowed + RAISE_AFTER + SECOND)
    stage.ends[1].read.clear()
    stage.ends[0].more(100_000, stage.world.now)
    stage.run(narrowed + RAISE_AFTER + MINUTE)
    assert stage.is_done()
    assert stage.ends[0].path_mtu == 1500
    assert known(stage.hosts[0], stage) == 1500


@pytest.mark.label("RFC4821-7.3")
@SACK
def test_a_search_that_found_nothing_is_tried_again(sack: bool) -> None:
    stage = Stage(config=replace(SMALL, sack=sack), sizes=(1_000_000, 0))
    stage.narrow(1400, is_black_hole=False)
    stage.run(MINUTE)
    for again in range(3):
        if again == 2:
            stage.narrow(1480)
        stage.world.run(stage.world.now + RAISE_AFTER + SECOND)
        stage.ends[1].read.clear()
        since = stage.world.now
        stage.ends[0].more(1_000_000, since)
        stage.run(since + MINUTE)
        assert stage.is_done()
        assert [length for at, _, length in stage.watch.lost_at if at >= since]  # it looked
    assert 1450 <= stage.ends[0].path_mtu <= 1480


# Always probing


@pytest.mark.label("RFC4821-7.2", "RFC4821-4")
@FAMILIES
@SACK
@pytest.mark.parametrize(
    ("link", "mtu", "size"),
    [
        (1500, 1500, 100_000),
        (1500, 1420, 2_000_000),
        (9000, 1500, 2_000_000),
        (9000, 9000, 200_000),
        (9000, 4000, 5_000_000),
    ],
)
def test_who_always_probes_never_meets_the_black_hole(
    family: int, sack: bool, link: int, mtu: int, size: int
) -> None:
    stage = Stage(
        family,
        config=replace(SMALL, sack=sack, mtu_probing="always", receive_buffer=60_000),
        sizes=(size, 0),
        mtu=link,
    )
    stage.narrow(mtu)
    assert stage.run(MINUTE) < MINUTE
    assert stage.stall(1, 0) < RTO
    assert mtu - mtu // 24 <= stage.ends[0].path_mtu <= mtu


# Routers that tell, and forgers


@pytest.mark.label("RFC5927-7.2")
@FAMILIES
@SACK
def test_rfc5927_7_2_a_true_claim_is_believed_when_the_segment_is_lost(family: int, sack: bool) -> None:
    stage = Stage(family, config=replace(SMALL, sack=sack), sizes=(2_500_000, 2_500_000))
    stage.run(300 * MILLISECOND)
    stage.narrow(1400, is_black_hole=False)
    assert stage.run(MINUTE) < MINUTE
    for end in (0, 1):
        # Two timeouts, where an ACK was lost with the text that carried it: then the first seems spurious
        # (RFC 3522).
        assert stage.stall(1 - end, 300 * MILLISECOND) <= 3 * RTO + 300 * MILLISECOND
        assert stage.ends[end].path_mtu == 1400
        assert known(stage.hosts[0], stage) == 1400


@pytest.mark.label("RFC5927-7.2", "RFC8899-4.6")
@FAMILIES
@SACK
def test_rfc5927_7_2_lies_about_what_arrives_change_nothing(family: int, sack: bool) -> None:
    """A forger on the path quotes each full segment that passes, and claims the least that a router may."""
    stage = Stage(family, config=replace(SMALL, sack=sack), sizes=(1_000_000, 0))
    lies = 0

    def forge(_number: int, octets: bytes, sender: str, now: int) -> None:
        nonlocal lies
        if sender == "a" and len(octets) == 1500 and now > 100 * MILLISECOND:
            lies += 1
            stage.world.at(
                now, lambda: stage.hosts[0].packet_arrives(lie(octets, LOWEST_6 if family == 6 else 68), now)
            )

    stage.world.rules.append(forge)
    assert stage.run(MINUTE) < MINUTE
    assert lies > 400
    assert stage.ends[0].path_mtu == 1500
    assert known(stage.hosts[0], stage) == 1500


def lie(about: bytes, mtu: int) -> bytes:
    packet = ip.parse(about)
    message = icmp.encode(icmp.packet_too_big(mtu, packet), packet.destination, packet.source)
    return ip.encode(
        packet.destination,
        packet.source,
        icmp.PROTOCOL_4 if packet.version == 4 else icmp.PROTOCOL_6,
        message,
    )


@pytest.mark.label("RFC8899-4.6")
@FAMILIES
@SACK
def test_rfc8899_4_6_a_claim_about_a_probe_is_the_next_probe(family: int, sack: bool) -> None:
    stage = Stage(family, config=replace(SMALL, sack=sack, mtu_probing="always"))
    stage.narrow(1417, is_black_hole=False)
    assert stage.run(MINUTE) < MINUTE
    assert stage.ends[0].path_mtu == 1417  # exactly: found by one probe that was lost, and one that wasn't
    assert [length for _, name, length in stage.watch.lost_at if name == "a" and length > 1417] == [1500]


@FAMILIES
def test_a_connection_learns_what_another_found_out(family: int) -> None:
    stage = Stage(family)
    stage.narrow(1400)
    stage.run(MINUTE)
    found = known(stage.hosts[0], stage)
    assert 1370 <= found <= 1400
    second = stage.hosts[0].connect(stage.remote, 80, stage.world.now)
    assert second._tcb.path.mtu == found
    since = stage.world.now
    stage.world.run(since + SECOND)
    second.send(bytes(50_000), stage.world.now)
    stage.world.run(since + 5 * SECOND)
    assert second.unacknowledged == 0
    assert second._tcb.counts.segments_retransmitted == 0


@FAMILIES
def test_each_of_several_connections_hears_the_router(family: int) -> None:
    """Those that were open before the path was known to be narrow."""
    stage = Stage(family, sizes=(0, 0))
    others = [stage.hosts[0].connect(stage.remote, 80, 0) for _ in range(3)]
    stage.world.run(SECOND)
    stage.narrow(1400, is_black_hole=False)
    for connection in others:
        connection.send(bytes(50_000), stage.world.now)
        stage.world.run(stage.world.now + 500 * MILLISECOND)
        assert connection.unacknowledged == 0
        assert connection._tcb.path.mtu == 1400
