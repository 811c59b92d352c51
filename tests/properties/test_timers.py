"""Of reordering timer, PTO, RTO and persist timer at most one is armed (RFC 8985, 8), on a path that needs
each of the first three.
"""

import random
from dataclasses import replace

import pytest

from postel.tcp.config import DEFAULT, EcnMode
from postel.tcp.connection import Connection
from postel.tcp.state import CLOSED
from postel.tcp.timers import PERSIST, REORDERING, RETRANSMISSION, TAIL_PROBE
from postel.testing.pairs import FAR, NEAR, End, HostilePath, Pair
from postel.times import HOUR

WATCHED = (RETRANSMISSION, TAIL_PROBE, REORDERING, PERSIST)


class Watched(End):
    """Notes which timers were armed, whenever its user acts."""

    def __init__(self, connection: Connection, outgoing: bytes) -> None:
        super().__init__(connection, outgoing, 1 << 30)
        self.seen: set[tuple[int, ...]] = set()

    def act(self, now: int) -> None:
        timers = self.connection._tcb.timers
        self.seen.add(tuple(filter(timers.is_running, WATCHED)))
        super().act(now)


@pytest.mark.label("RFC8985-6.2-6", "RFC8985-7.2", "RFC8985-7.3c")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ecn", ["off", "ask-classic", "ask"])
@pytest.mark.parametrize("timestamps", [True, False])
def test_one_timer_at_a_time_watches_what_is_in_flight(timestamps: bool, ecn: EcnMode, seed: int) -> None:
    """With SACK, over a path that loses, doubles, reorders and marks; `Tcb.check` runs after each step."""
    config = replace(DEFAULT, timestamps=timestamps, ecn=ecn)
    messages = [random.Random(seed).randbytes(200_000) for _ in range(2)]
    ends = [
        Watched(Connection(NEAR, FAR, config, iss=1), messages[0]),
        Watched(Connection(FAR, NEAR, config, iss=2), messages[1]),
    ]
    ends[0].connection.open_active(0)
    ends[1].connection.open_passive(0)
    Pair(*ends, HostilePath(seed, loss=0.05, duplicate=0.1, reorder=0.2, marks=0.1)).run(until=HOUR)
    assert [bytes(end.incoming) for end in ends] == messages[::-1]
    assert [end.connection.state for end in ends] == [CLOSED, CLOSED]
    assert ends[0].seen | ends[1].seen == {(), (RETRANSMISSION,), (TAIL_PROBE,), (REORDERING,)}
