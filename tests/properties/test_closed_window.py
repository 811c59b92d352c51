"""One end reads nothing for an hour. What it sends is acknowledged within a retransmission timeout all the
same, and an abort is heard.
"""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postel.sim import World
from postel.tcp.config import DEFAULT, Config
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, Event, Readable, Writable
from postel.tcp.state import CLOSED
from postel.times import HOUR, MILLISECOND, MINUTE, SECOND

CONFIGS = st.builds(
    lambda buffer, scaled_for, timestamps, sack, scaling, nagle: replace(
        DEFAULT,
        receive_buffer=buffer,
        scale_for=scaled_for,
        timestamps=timestamps,
        sack=sack,
        window_scaling=scaling,
        nagle=nagle,
        user_timeout=2 * HOUR,
    ),
    st.sampled_from([1, 777, 5000, 65_535, 100_000]),
    st.sampled_from([0, 6 << 20, 1 << 30]),
    *(st.booleans() for _ in range(4)),
)
# Octets of a write of the end that reads nothing, and when it comes
WRITES = st.lists(st.tuples(st.integers(1, 5000), st.integers(0, HOUR // 8)), min_size=1, max_size=8)


class Ends:
    """``near`` never reads; ``far`` reads what comes, and always has something to send."""

    def __init__(self, config: Config, delay: int, family: int, piece: int) -> None:
        self.accepted: list[Connection] = []
        self.piece = piece
        self.world = World(1)
        near = self.world.host("near", "10.0.0.1/24", "fd00::1/64", config=config)
        reading = replace(config, receive_buffer="automatic")
        far = self.world.host("far", "10.0.0.2/24", "fd00::2/64", config=reading, application=self.heard)
        self.world.path(near, far, delay=delay)
        far.listen(9, 0)
        self.near = near.connect("10.0.0.2" if family == 4 else "fd00::2", 9, 0)
        self.world.run(until=SECOND)

    @property
    def far(self) -> Connection:
        return self.accepted[0]

    def heard(self, subject: object, event: Event, now: int) -> None:
        if isinstance(event, Acceptable):
            connection = subject.accept()  # type: ignore[attr-defined]
            self.accepted.append(connection)
            self.fill(connection, now)
        elif isinstance(event, Readable) and isinstance(subject, Connection):
            subject.receive(1 << 20, now)
        elif isinstance(event, Writable) and isinstance(subject, Connection):
            self.fill(subject, now)

    def fill(self, connection: Connection, now: int) -> None:
        while connection.send(bytes(self.piece), now) == self.piece:
            pass


@settings(deadline=None)
@given(
    CONFIGS,
    st.integers(0, 200),
    st.sampled_from([4, 6]),
    st.sampled_from([100, 1000, 30_000]),
    WRITES,
    st.booleans(),
)
def test_acknowledgements_and_aborts_are_heard(
    config: Config, delay: int, family: int, piece: int, writes: list[tuple[int, int]], near_aborts: bool
) -> None:
    ends = Ends(config, delay * MILLISECOND, family, piece)
    world, near, far = ends.world, ends.near, ends.far
    for octets, wait in writes:
        near.send(bytes(octets), world.now)
        begun = world.now
        world.run(until=begun + MINUTE, stop=lambda: not near.unacknowledged)
        patience = max(SECOND, near._tcb.rtt.rto) + (octets // 1000 + 2) * 2 * delay * MILLISECOND
        assert world.now - begun < patience, (world.now - begun, near._tcb.rtt.rto)
        assert near._tcb.snd.retransmissions == near._tcb.counts.segments_retransmitted == 0
        world.run(until=world.now + wait)
    aborting, other = (near, far) if near_aborts else (far, near)
    begun = world.now
    aborting.abort(world.now)
    world.run(until=begun + 2 * SECOND, stop=lambda: other.state is CLOSED)
    assert other.state is CLOSED
    # The RST; or its challenge, or the ACK of a probe that a rounded window took, and the RST that answers
    # that
    assert world.now - begun <= 3 * delay * MILLISECOND + config.delayed_ack


@pytest.mark.parametrize("near_aborts", [True, False])
@pytest.mark.parametrize("family", [4, 6])
def test_after_an_hour(family: int, near_aborts: bool) -> None:
    test_acknowledgements_and_aborts_are_heard.hypothesis.inner_test(  # type: ignore[attr-defined]
        replace(DEFAULT, user_timeout=2 * HOUR),
        10,
        family,
        30_000,
        [(1000, HOUR), (1000, MINUTE)],
        near_aborts,
    )
