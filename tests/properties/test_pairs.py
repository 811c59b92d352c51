"""Two machines over any path in virtual time: what arrives is what was sent, both ends close or reset, no
timer is left.
"""

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from postel.tcp.config import DEFAULT, Config, first_receive_limit
from postel.tcp.congestion.bbr import BBR
from postel.tcp.congestion.cubic import Cubic
from postel.tcp.congestion.reno import Reno
from postel.tcp.memory import Memory
from postel.testing import HostilePath, pair
from postel.times import HOUR, MILLISECOND, SECOND

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
    if min(first_receive_limit(left), first_receive_limit(right)) < 700:
        sizes = (min(sizes[0], 60), min(sizes[1], 60))
    draw = random.Random(seed)
    memory = Memory(100_000_000)
    both = pair(
        draw.randbytes(sizes[0]),
        draw.randbytes(sizes[1]),
        near=left,
        far=right,
        path=HostilePath(seed, loss=loss, duplicate=duplicate, reorder=reorder, corrupt=corrupt, marks=marks),
        iss=iss,
        reads=reads,
        memory=memory,
        simultaneous=simultaneous,
    )
    both.run(until=1000 * HOUR)
    both.check()
    assert memory.used == 0
