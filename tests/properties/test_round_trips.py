"""What is measured is the path: whatever is lost, no sample contains the wait for a timer."""

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from postel.tcp.config import DEFAULT
from postel.tcp.congestion.cubic import Cubic
from postel.tcp.congestion.reno import Reno
from postel.tcp.connection import Connection
from postel.testing.pairs import FAR, NEAR, End, HostilePath, Pair
from postel.times import HOUR, MILLISECOND, SECOND

ROUND_TRIP = 20 * MILLISECOND  # of `Path`
TICK = MILLISECOND


class Thin(End):
    """Writes a few octets, waits for their ACK, and then writes the next; and looks at what it measured.

    The other end neither writes nor closes: what it sends again after a timeout of its own would carry ACKs
    that had been lost before.
    """

    def __init__(self, connection: Connection, outgoing: bytes, size: int) -> None:
        super().__init__(connection, outgoing)
        self.size = size

    def act(self, now: int) -> None:
        connection = self.connection
        while connection.next_event() is not None:
            pass
        self.incoming += connection.receive(1 << 30, now) if connection.readable else b""
        if connection._tcb.is_synchronized and not self.has_closed and not connection.unacknowledged:
            self.outgoing = self.outgoing[connection.send(self.outgoing[: self.size], now) :]
            if not self.outgoing:
                self.has_closed = True
                connection.close(now)
        # At most: each adds two ticks (RFC 4015, 3.1, step 0)
        undone = connection._tcb.counts.segments_retransmitted
        assert connection._tcb.rtt.smoothed <= ROUND_TRIP + TICK + 2 * TICK * undone


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    timestamps=st.booleans(),
    sack=st.booleans(),
    tail_probe=st.booleans(),
    # BBR's pacing rate falls so low that the next segment's ACK is seconds away
    congestion=st.sampled_from([Reno, Cubic]),
    size=st.sampled_from([1, 100, 5000, 100_000]),
    loss=st.sampled_from([0.0, 0.05, 0.3, 0.5]),
)
def test_no_sample_contains_the_wait_for_a_timer(
    seed: int, timestamps: bool, sack: bool, tail_probe: bool, congestion: type[Reno], size: int, loss: float
) -> None:
    config = replace(
        DEFAULT, timestamps=timestamps, sack=sack, tail_probe=tail_probe, congestion=congestion, delayed_ack=0
    )
    config = replace(
        config, user_timeout=10 * HOUR, syn_received_timeout=10 * HOUR, msl=SECOND, receive_buffer=1 << 17
    )
    draw = random.Random(seed)
    message = draw.randbytes(min(20 * size, 100_000))
    ends: list[End] = [
        Thin(Connection(NEAR, FAR, config, iss=1, timestamp_offset=5), message, size),
        End(Connection(FAR, NEAR, config, iss=9, timestamp_offset=6), b""),
    ]
    ends[1].has_closed = True
    ends[0].connection.open_active(0)
    ends[1].connection.open_passive(0)
    Pair(*ends, HostilePath(seed, loss=loss)).run(until=1000 * HOUR)
    assert ends[0].connection.error is None
    assert bytes(ends[1].incoming) == message
