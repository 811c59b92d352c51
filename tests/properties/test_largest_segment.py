"""No segment is larger than the peer can take, options counted (MUST-16), after outages, black holes, claims
and probes alike.
"""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postel.tcp.config import DEFAULT
from postel.tcp.connection import Connection
from postel.times import DAY, MILLISECOND, MINUTE, SECOND
from postel.wire import options
from postel.wire.address import Endpoint
from postel.wire.segment import ACK, SYN, Segment

ENDS = {
    4: (Endpoint(bytes([10, 0, 0, 1]), 80), Endpoint(bytes([10, 0, 0, 2]), 4000)),
    6: (Endpoint(bytes(15) + b"\x01", 80), Endpoint(bytes(15) + b"\x02", 4000)),
}
HEADERS = {4: 40, 6: 60}

PATIENT = replace(DEFAULT, user_timeout=DAY)
CONFIGS = st.builds(
    lambda timestamps, sack, probing, largest, ecn, told: replace(
        PATIENT,
        timestamps=timestamps,
        sack=sack,
        mtu_probing=probing,
        largest_mss=largest,
        ecn=ecn,
        user_timeout_option=told,
    ),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["off", "after-black-hole", "always"]),
    st.sampled_from([65_535, 65_535, 1200, 500]),
    st.sampled_from(["accept", "ask"]),
    st.booleans(),
)
# What the path does next: deliver for some round trips, be dead until so many timers have expired, carry
# packets of some size only, or a router claims a size
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("delivers"), st.integers(1, 30)),
        st.tuples(st.just("is dead"), st.integers(1, 6)),
        st.tuples(st.just("carries"), st.sampled_from([576, 1024, 1100, 1280, 1400, 1500, 9000])),
        st.tuples(st.just("claims"), st.sampled_from([0, 68, 296, 552, 1024, 1280, 1400, 1492, 2000])),
        st.tuples(st.just("waits"), st.integers(1, 15)),
    ),
    max_size=8,
)


class Sender:
    """A connection that always has something to send, over a path that carries packets of up to ``carried``
    octets.
    """

    def __init__(self, family: int, mtu: int, mss: int, config: object) -> None:
        self.family, self.mss, self.carried, self.now = family, mss, mtu, SECOND
        local, remote = ENDS[family]
        self.connection = Connection(local, remote, config, iss=1000, mtu=mtu)  # type: ignore[arg-type]
        self.connection.open_passive(self.now)
        syn = Segment(4000, 80, 5000, 0, SYN, 65_535, tsval=1, tsecr=0)
        syn.mss, syn.sack_permitted, syn.window_scale = mss, True, 4
        self.peer_nxt = 5001
        self.connection.segment_arrives(syn, self.now)
        self.drain()
        self.highest = 1001
        self.largest = 0
        self.answers()

    def drain(self) -> None:
        """Take what leaves; what arrives is known by ``highest``, as far as it comes without a gap."""
        for _ in range(5000):
            segment = self.connection.next_segment(self.now)
            if segment is None:
                return
            assert not segment.stride
            tail = len(options.encode(segment, options.ALIGNED))
            if not segment.flags & SYN:
                assert len(segment.data) + tail <= self.mss, segment
                size = HEADERS[self.family] + tail + len(segment.data)
                if segment.seq <= self.highest and size <= self.carried:
                    self.highest = max(self.highest, segment.seq + len(segment.data))
        raise AssertionError("a storm of segments")

    def answers(self, data: bytes = b"") -> None:
        tcb = self.connection._tcb
        ack = Segment(4000, 80, self.peer_nxt, self.highest, ACK, 65_535, data)
        if tcb.timestamps.agreed:
            ack.tsval, ack.tsecr = (
                self.now // MILLISECOND,
                tcb.timestamps.offset + (self.now - 20 * MILLISECOND) // MILLISECOND,
            )
        self.peer_nxt += len(data)
        self.connection.segment_arrives(ack, self.now)
        self.connection.send(bytes(min(self.connection.writable, 40_000)), self.now)

    def does(self, what: str, number: int) -> None:
        if what == "delivers":
            for _ in range(number):
                self.now += 20 * MILLISECOND
                self.answers(b"text" if number % 3 == 0 else b"")
                self.drain()
                self.wakes()
        elif what == "is dead":
            for _ in range(number):
                self.now = max(self.now, min(self.connection.next_timeout(), self.now + MINUTE))
                carried, self.carried = self.carried, 0
                self.wakes()
                self.carried = carried
        elif what == "carries":
            self.carried = number
        elif what == "claims":
            self.connection.packet_too_big(number, self.connection._tcb.snd.una, self.now)
            self.drain()
        else:
            for _ in range(number):
                self.now += MINUTE
                self.answers()
                self.drain()
                self.wakes()

    def wakes(self) -> None:
        self.connection.handle_timeout(self.now)
        self.drain()


@settings(deadline=None)
@given(
    st.sampled_from([4, 6]),
    st.sampled_from([1280, 1500, 9000]),
    st.one_of(st.integers(200, 1500), st.integers(48, 9000)),
    CONFIGS,
    STEPS,
)
def test_none_is_larger_than_the_peer_can_take(
    family: int, mtu: int, mss: int, config: object, steps: list[tuple[str, int]]
) -> None:
    sender = Sender(family, mtu, mss, config)
    for what, number in [*steps, ("delivers", 5)]:
        sender.does(what, number)


@pytest.mark.label("MUST-16")
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("mss", [48, 100, 536, 1000, 1300, 1400, 1452])
def test_must_16_nor_after_a_black_hole(family: int, mss: int) -> None:
    """Nothing arrives until it is suspected, then everything; probes look for the path's MTU, and never
    beyond the peer's MSS.
    """
    for config in (
        PATIENT,
        replace(PATIENT, timestamps=False),
        replace(PATIENT, sack=False, timestamps=False),
    ):
        sender = Sender(family, 1500, mss, config)
        for what, number in (
            ("delivers", 3),
            ("is dead", 5),
            ("delivers", 60),
            ("waits", 12),
            ("delivers", 60),
        ):
            sender.does(what, number)
