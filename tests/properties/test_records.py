"""Two hosts that exchange records in place of octets do the same: same segments, events and times, same state
in the end.
"""

from dataclasses import replace
from heapq import heappop, heappush
from random import Random
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.host.host import Host
from postel.host.packet_record import PacketRecord
from postel.sim import World
from postel.tcp.authentication.keychain import Key, Keychain
from postel.tcp.config import DEFAULT, Config, EcnMode, MtuProbing
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, EndOfStream, Event, Opened, Readable, Writable
from postel.tcp.observer import Decision, Observer, TimerName
from postel.tcp.state import State
from postel.times import MILLISECOND, NEVER, SECOND
from postel.wire.address import Endpoint
from postel.wire.segment import Segment

ADDRESSES = {4: ("10.0.0.1/24", "10.0.0.2/24"), 6: ("fd00::1/64", "fd00::2/64")}
PEERS = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}
CONFIGS = st.builds(
    replace,
    st.just(DEFAULT),
    timestamps=st.booleans(),
    sack=st.booleans(),
    nagle=st.booleans(),
    window_scaling=st.booleans(),
    ecn=st.sampled_from(get_args(EcnMode)),
    congestion=st.sampled_from(["reno", "cubic", "bbr"]),
    receive_buffer=st.sampled_from(["automatic", 3000, 70_000]),
    mtu_probing=st.sampled_from(get_args(MtuProbing)),
)
LIMIT = 600 * SECOND


class Told(Observer):
    """All that an observer of a host is told."""

    def __init__(self) -> None:
        self.entries: list[tuple[object, ...]] = []

    def state_changed(self, local: Endpoint, remote: Endpoint, before: State, after: State, now: int) -> None:
        self.entries.append((before, after, now))

    def segment_sent(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        self.entries.append(("sent", repr(segment), segment.data, now))

    def segment_arrived(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        self.entries.append(("arrived", repr(segment), segment.data, now))

    def timer_expired(self, local: Endpoint, remote: Endpoint, timer: TimerName, now: int) -> None:
        self.entries.append((timer, now))

    def decided(self, local: Endpoint, remote: Endpoint, decision: Decision, now: int) -> None:
        self.entries.append((repr(decision), now))


class End:
    """A host and the program on it: it sends ``text`` as soon as it may, reads what comes, and closes when
    both have ended.
    """

    def __init__(self, host: Host, text: bytes) -> None:
        self.host = host
        self.connection: Connection | None = None
        self.heard = bytearray()
        self.log: list[tuple[str, int]] = []
        self._left = text

    def happened(self, subject: Any, event: Event, now: int) -> None:
        self.log.append((type(event).__name__, now))
        if isinstance(event, Acceptable):
            self.connection = subject.accept()
        connection = self.connection
        if connection is None:
            return
        if isinstance(event, (Opened, Writable, Acceptable)):
            self.write(now)
        elif isinstance(event, (Readable, EndOfStream)):
            self.heard += connection.receive(1 << 20, now)

    def write(self, now: int) -> None:
        connection = self.connection
        assert connection is not None
        while self._left and (sent := connection.send(self._left, now)):
            self._left = self._left[sent:]
        if (
            not self._left
            and connection.error is None
            and connection.state.name in ("ESTABLISHED", "CLOSE_WAIT", "SYN_RECEIVED")
        ):
            connection.close(now)


class Course:
    """Two hosts, joined by hand: each packet takes 5 ms, but for those that get lost."""

    def __init__(
        self,
        family: int,
        config: Config,
        texts: tuple[bytes, bytes],
        *,
        offload: int,
        records: bool,
        signed: bool,
        lost: set[int],
    ) -> None:
        near, far = ADDRESSES[family]
        self.told = Told(), Told()
        hosts = [
            Host(own, secret=own.encode(), config=config, observer=told)
            for own, told in zip((near, far), self.told, strict=True)
        ]
        for host in hosts:
            host.use_offload(offload)
        self.ends = tuple(End(host, text) for host, text in zip(hosts, texts, strict=True))
        self.records = records
        self.lost = lost
        self.count = self.order = 0
        self.were_records = 0
        self.heap: list[tuple[int, int, int, Any]] = []
        keys = [Keychain(Key(b"secret"))] * 2 if signed else [None, None]
        self.ends[1].host.listen(80, 0, keys=keys[1])
        self.ends[0].connection = self.ends[0].host.connect(PEERS[family][1], 80, 0, keys=keys[0])
        self.run()

    def pump(self, side: int, now: int) -> None:
        end, busy = self.ends[side], True
        following: Any = end.host.next_record if self.records else end.host.next_packet
        while busy:
            busy = False
            while (packet := following(now)) is not None:
                self.count += 1
                self.were_records += isinstance(packet, PacketRecord)
                if self.count not in self.lost:
                    self.order += 1
                    heappush(self.heap, (now + 5 * MILLISECOND, self.order, 1 - side, packet))
            while (told := end.host.next_event()) is not None:
                busy = True
                end.happened(told[0], told[1], now)

    def run(self) -> None:
        now = 0
        while now < LIMIT:
            self.pump(0, now)
            self.pump(1, now)
            due = min(
                self.heap[0][0] if self.heap else NEVER, *(end.host.next_timeout() for end in self.ends)
            )
            if due == NEVER:
                return
            now = max(now, due)
            for end in self.ends:
                end.host.handle_timeout(now)
            while self.heap and self.heap[0][0] <= now:
                _, _, side, packet = heappop(self.heap)
                if isinstance(packet, PacketRecord):
                    self.ends[side].host.record_arrives(packet, now)
                else:
                    self.ends[side].host.packet_arrives(packet, now)
                self.pump(side, now)

    def result(self) -> list[object]:
        return [
            [told.entries for told in self.told],
            [
                (end.log, bytes(end.heard), end.host.statistics(), list(end.host.connections()))
                for end in self.ends
            ],
            self.count,
        ]


@given(
    st.sampled_from([4, 6]),
    CONFIGS,
    st.tuples(st.integers(0, 15_000), st.integers(0, 3_000)),
    st.sampled_from([0, 65535]),
    st.booleans(),
    st.sets(st.integers(1, 60), max_size=8),
)
def test_hosts_do_the_same_with_records(
    family: int, config: Config, sizes: tuple[int, int], offload: int, signed: bool, lost: set[int]
) -> None:
    texts = Random(1).randbytes(sizes[0]), Random(2).randbytes(sizes[1])
    by_octets, by_records = (
        Course(family, config, texts, offload=offload, records=records, signed=signed, lost=lost)
        for records in (False, True)
    )
    assert by_records.result() == by_octets.result()
    assert by_octets.were_records == 0
    # Without signatures, large writes are records
    assert signed or sizes[0] < 8000 or by_records.were_records > 0


# Worlds


PATHS = st.fixed_dictionaries(
    {"delay": st.sampled_from([0, 1, 5 * MILLISECOND])},
    optional={
        "jitter": st.just(2 * MILLISECOND),
        "bandwidth": st.just(2_000_000),
        "queue": st.sampled_from([3, "5000B"]),
        "mtu": st.sampled_from([576, 1400]),
        "loss": st.just(0.05),
        "duplicate": st.just(0.05),
        "corrupt": st.just(0.05),
        "reorder": st.just(0.1),
        "congestion": st.just(0.1),
        "congested_at": st.just(3000),
    },
)
FAULTS = st.sampled_from(
    ["nothing", "hold", "partition", "pause", "slow", "crash", "path", "rule", "in flight"]
)


def looks(_number: int, _octets: bytes, _sender: str, _now: int) -> None:
    """A rule that looks at each packet and does nothing."""


def meddle(world: World, fault: str) -> None:
    """Something that concerns packets under way, and what leaves after them."""
    if fault == "hold":
        world.hold("a", "b")
        world.at(world.now + 300 * MILLISECOND, lambda: world.release("a", "b"))
    elif fault == "partition":
        barrier = world.partition("a", "b")
        world.at(world.now + 300 * MILLISECOND, barrier.end)
    elif fault == "pause":
        pause = world.pause("b")
        world.at(world.now + 300 * MILLISECOND, pause.end)
    elif fault == "slow":
        world.slow("b", "1ms")
    elif fault == "crash":
        world.restart(world.hosts()["b"])
    elif fault == "path":
        world.change_path("a", "b", duplicate=0.1)
    elif fault == "rule":
        world.rules.append(looks)
        world.at(world.now + 20 * MILLISECOND, world.rules.clear)
    elif fault == "in flight":
        for packet in world.in_flight()[:3]:
            packet.delay("3ms")


def world_of(
    family: int, config: Config, path: dict[str, Any], fault: str, at: int, *, octets: bool
) -> list[object]:
    world = World(7)
    hosts = [world.host(name, own, config=config) for name, own in zip("ab", ADDRESSES[family], strict=True)]
    there, back = world.path(*hosts, **path)
    if octets:
        world._carrier.is_observed = True
    ends = [End(hosts[0], Random(3).randbytes(20_000)), End(hosts[1], b"y" * 3000)]
    for host, end in zip(hosts, ends, strict=True):
        world.application(host, end.happened)
    hosts[1].listen(80, 0)
    ends[0].connection = hosts[0].connect(PEERS[family][1], 80, 0)
    world.at(at, lambda: meddle(world, fault))
    world.run(LIMIT)
    return [
        [(end.log, bytes(end.heard), end.host.statistics(), list(end.host.connections())) for end in ends],
        [(path.carried, path.lost, path.marked) for path in (there, back)],
        (world.packets, world.now, len(world.in_flight())),
    ]


@given(st.sampled_from([4, 6]), CONFIGS, PATHS, FAULTS, st.integers(0, 60 * MILLISECOND))
def test_worlds_do_the_same_with_records(
    family: int, config: Config, path: dict[str, Any], fault: str, at: int
) -> None:
    assert world_of(family, config, path, fault, at, octets=False) == world_of(
        family, config, path, fault, at, octets=True
    )


@pytest.mark.parametrize("octets", [False, True])
def test_a_plain_world_writes_no_packets_out(octets: bool) -> None:
    """Or else the two tests above would compare the same with the same."""
    world = World(7)
    one, other = world.host("a", "10.0.0.1/24"), world.host("b", "10.0.0.2/24")
    world.path(one, other)
    if octets:
        world.rules = [looks]
    other.listen(80, 0)
    connection = one.connect("10.0.0.2", 80, 0)
    world.run(SECOND)
    connection.send(b"x" * 5000, world.now)
    world.pump()
    kinds = {type(entry[3]) for entry in world._agenda.arrivals()}
    assert kinds == ({bytes} if octets else {PacketRecord})
