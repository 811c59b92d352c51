"""Two machines over any path in virtual time: what arrives is what was sent, both ends close or reset, no timer is left."""

import heapq
import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from postel.tcp.config import DEFAULT, Config
from postel.tcp.congestion.bbr import BBR
from postel.tcp.congestion.cubic import Cubic
from postel.tcp.congestion.reno import Reno
from postel.tcp.connection import Connection
from postel.tcp.ecn import CE, ECT_0, NOT_ECT
from postel.tcp.invariants import check
from postel.tcp.memory import Memory
from postel.tcp.state import CLOSED
from postel.times import HOUR, MILLISECOND, NEVER, SECOND
from postel.wire import segment as wire
from postel.wire.address import Endpoint
from postel.wire.segment import Segment

LEFT = Endpoint(b"\x0a\x00\x00\x01", 40000)
RIGHT = Endpoint(b"\x0a\x00\x00\x02", 80)


class End:
    """A connection with a user who sends ``outgoing``, reads what comes, and closes when both are done."""

    def __init__(self, connection: Connection, outgoing: bytes, reads: int) -> None:
        self.connection = connection
        self.outgoing = outgoing
        self.incoming = bytearray()
        self.reads = reads
        self.has_closed = False

    def act(self, now: int) -> None:
        connection = self.connection
        while connection.next_event() is not None:
            pass
        if connection.readable:
            self.incoming += connection.receive(self.reads, now)
        if connection._tcb.is_synchronized and not self.has_closed and connection.error is None:
            self.outgoing = self.outgoing[connection.send(self.outgoing[:5000], now) :]
            if not self.outgoing:
                self.has_closed = True
                connection.close(now)


class Path:
    """Octets from one end to the other: some lost, doubled, late or damaged, or marked whether they may be or not."""

    def __init__(self, seed: int, loss: float, duplicate: float, reorder: float, corrupt: float, marks: float = 0.0) -> None:
        self.random = random.Random(seed)
        self.loss, self.duplicate, self.reorder, self.corrupt, self.marks = loss, duplicate, reorder, corrupt, marks
        self.flying: list[tuple[int, int, int, bytes]] = []
        self.count = 0

    def mark(self) -> int:
        return self.random.choice((ECT_0, CE)) if self.random.random() < self.marks else NOT_ECT

    def put(self, to: int, octets: bytes, now: int) -> None:
        roll = self.random.random
        if roll() < self.loss:
            return
        for _ in range(2 if roll() < self.duplicate else 1):
            late = self.random.randrange(200 * MILLISECOND) if roll() < self.reorder else 0
            damaged = bytearray(octets)
            if roll() < self.corrupt:
                damaged[self.random.randrange(len(damaged))] ^= 1 << self.random.randrange(8)
            self.count += 1
            heapq.heappush(self.flying, (now + 10 * MILLISECOND + late, self.count, to, bytes(damaged)))


def parsed(octets: bytes, source: Endpoint, destination: Endpoint) -> Segment | None:
    """What gets through a checksum."""
    if not wire.checksum_is_right(octets, 0, len(octets), source.address, destination.address):
        return None
    return wire.parse(octets, 0, len(octets))


def run(ends: list[End], path: Path, until: int) -> int:
    """Until nothing is left to happen; the time then."""
    now = 0
    names = (LEFT, RIGHT)
    while True:
        busy = True
        while busy:
            busy = False
            for index, end in enumerate(ends):
                end.act(now)
                busy = busy or end.connection.readable > 0
                while (segment := end.connection.next_segment(now)) is not None:
                    busy = True
                    path.put(1 - index, wire.encode_for(segment, names[index].address, names[1 - index].address), now)
                check(end.connection._tcb)
        deadline = min(*(end.connection.next_timeout() for end in ends), path.flying[0][0] if path.flying else NEVER)
        if deadline == NEVER or deadline > until:
            return now
        now = max(now, deadline)
        while path.flying and path.flying[0][0] <= now:
            _, _, to, octets = heapq.heappop(path.flying)
            segment = parsed(octets, names[1 - to], names[to])
            if segment is not None:
                segment.ecn = path.mark()
                ends[to].connection.segment_arrives(segment, now)
                check(ends[to].connection._tcb)
        for end in ends:
            end.connection.handle_timeout(now)


CONFIGS = st.builds(
    lambda nagle, sack, timestamps, scaling, buffer, delayed, ecn, probe, congestion: replace(
        DEFAULT,
        nagle=nagle,
        sack=sack,
        timestamps=timestamps,
        window_scaling=scaling,
        receive_buffer=buffer,
        delayed_ack=delayed,
        ecn=ecn,
        tail_probe=probe,
        congestion=congestion,
        msl=5 * SECOND,
        user_timeout=2 * HOUR,
        syn_received_timeout=2 * HOUR,
    ),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([1, 700, 4000, 65535, 1 << 20]),
    st.sampled_from([0, 40 * MILLISECOND]),
    st.sampled_from(["off", "accept-classic", "accept", "ask-classic", "ask"]),
    st.booleans(),
    st.sampled_from([Reno, Cubic, BBR]),
)
PROBABILITIES = st.sampled_from([0.0, 0.02, 0.1, 0.3])


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    left=CONFIGS,
    right=CONFIGS,
    sizes=st.tuples(st.integers(0, 60_000), st.integers(0, 60_000)),
    reads=st.sampled_from([1 << 30, 3000]),
    loss=PROBABILITIES,
    duplicate=PROBABILITIES,
    reorder=PROBABILITIES,
    corrupt=st.sampled_from([0.0, 0.05]),
    marks=PROBABILITIES,
    iss=st.tuples(st.integers(0, 0xFFFFFFFF), st.sampled_from([0, 0xFFFFFF00, 0x7FFFFF00])),
    simultaneous=st.booleans(),
)
def test_every_octet_arrives_once_in_order_and_both_ends_close(
    seed: int,
    left: Config,
    right: Config,
    sizes: tuple[int, int],
    reads: int,
    loss: float,
    duplicate: float,
    reorder: float,
    corrupt: float,
    marks: float,
    iss: tuple[int, int],
    simultaneous: bool,
) -> None:
    if min(left.receive_buffer, right.receive_buffer) < 700:
        sizes = (min(sizes[0], 60), min(sizes[1], 60))
    draw = random.Random(seed)
    memory = Memory(100_000_000)
    messages = (draw.randbytes(sizes[0]), draw.randbytes(sizes[1]))
    ends = [
        End(Connection(LEFT, RIGHT, left, iss=iss[0], memory=memory), messages[0], reads),
        End(Connection(RIGHT, LEFT, right, iss=iss[1], memory=memory), messages[1], reads),
    ]
    ends[0].connection.open_active(0)
    if simultaneous:
        ends[1].connection.open_active(0)
    else:
        ends[1].connection.open_passive(0)
    run(ends, Path(seed, loss, duplicate, reorder, corrupt, marks), until=1000 * HOUR)
    for index, end in enumerate(ends):
        assert end.connection.error is None, f"end {index}: {end.connection.error}"
        assert bytes(end.incoming) == messages[1 - index]
        assert end.connection.state is CLOSED
        assert end.connection.next_timeout() == NEVER
    assert memory.used == 0
