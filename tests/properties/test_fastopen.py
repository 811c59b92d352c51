"""Pairs again, the first octets with the SYN: whatever becomes of those, every octet arrives once and in
order (RFC 7413).
"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postel.tcp.config import Config, first_receive_limit
from postel.tcp.connection import Connection
from postel.tcp.fastopen import Admission, Known, Pending
from postel.tcp.memory import Memory
from postel.tcp.state import LISTEN
from postel.testing.pairs import FAR, NEAR, End, HostilePath, Pair
from postel.times import HOUR
from tests.properties.test_pairs import CONFIGS, PROBABILITIES

COOKIE = b"12345678"


class Fast(End):
    """Sends as soon as it may: a client before its SYN, a server before the last ACK."""

    def act(self, now: int) -> None:
        if self.connection._tcb.opening.fast_open is not None and self.connection.state is not LISTEN:
            self.outgoing = self.outgoing[self.connection.send(self.outgoing[:5000], now) :]
        super().act(now)


@pytest.mark.label("RFC7413-4.2.2")
@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    left=CONFIGS,
    right=CONFIGS,
    sizes=st.tuples(st.integers(0, 20_000), st.integers(0, 20_000)),
    loss=PROBABILITIES,
    duplicate=PROBABILITIES,
    reorder=PROBABILITIES,
    iss=st.integers(0xFFFFF000, 0xFFFFFFFF),
    mss=st.integers(30, 9000),
    is_valid=st.booleans(),
    has_cookie=st.booleans(),
    simultaneous=st.booleans(),
)
def test_every_octet_arrives_once_in_order_and_both_ends_close(
    seed: int,
    left: Config,
    right: Config,
    sizes: tuple[int, int],
    loss: float,
    duplicate: float,
    reorder: float,
    iss: int,
    mss: int,
    is_valid: bool,
    has_cookie: bool,
    simultaneous: bool,
) -> None:
    if min(first_receive_limit(left), first_receive_limit(right)) < 700:
        sizes = (min(sizes[0], 60), min(sizes[1], 60))
    draw = random.Random(seed)
    memory, known, pending = Memory(100_000_000), Known(), Pending()
    known.learn(NEAR.address + FAR.address + bytes(2), COOKIE if has_cookie else None, mss)
    messages = (draw.randbytes(sizes[0]), draw.randbytes(sizes[1]))
    client = Connection(NEAR, FAR, left, iss=iss, memory=memory)
    server = Connection(FAR, NEAR, right, iss=iss, memory=memory)
    client._tcb.opening.fast_open = known.attempt(NEAR, FAR, 536, 0)
    client.open_active(0)
    if simultaneous:
        server._tcb.opening.fast_open = known.attempt(FAR, NEAR, 536, 0)
        server.open_active(0)
    else:
        server.open_passive(0)
        server._tcb.opening.fast_open = Admission(COOKIE, pending if is_valid and has_cookie else None)
    ends: list[End] = [Fast(client, messages[0], 1 << 30), Fast(server, messages[1], 1 << 30)]
    both = Pair(*ends, HostilePath(seed, loss=loss, duplicate=duplicate, reorder=reorder))
    both.run(until=1000 * HOUR)
    both.check()
    assert (memory.used, pending.count) == (0, 0)
