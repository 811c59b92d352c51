"""What waits behind gaps is accounted for with all the memory that it takes, and is bounded by the receive
buffer and the host's memory.
"""

import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postel.tcp.memory import Memory
from postel.tcp.reassembly import PIECE, QUEUE, Reassembly
from postel.testing.states import PLAIN, Peer, established
from postel.wire.segment import ACK

SACK = replace(PLAIN, sack=True)

# Octets between RCV.NXT and the text, its octets, and whether the user reads then
ARRIVING = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 60), st.integers(0, 70_000)),
        st.one_of(st.integers(1, 9), st.integers(1, 3000)),
        st.booleans(),
    ),
    max_size=60,
)


@example([(1, 1, False), (0, 701, False)], 700, 5000, False)
@given(
    ARRIVING,
    st.sampled_from([700, 2000, 5000, 1 << 20]),
    st.sampled_from([1, 600, 5000, 100_000]),
    st.booleans(),
)
def test_what_is_accounted_is_what_is_there(
    arriving: list[tuple[int, int, bool]], limit: int, buffer: int, aborts: bool
) -> None:
    """Whatever comes, whatever the host has room for; and in the end nothing is left."""
    memory = Memory(limit)
    scene = established(replace(SACK, receive_buffer=buffer), Peer(sack=True), memory=memory)
    tcb = scene.tcb
    for ahead, octets, reads in arriving:
        scene.hears(ACK, bytes(octets), seq=scene.nxt + ahead)
        weight = 0 if tcb.rcv.reassembly is None else tcb.rcv.reassembly.weight
        assert memory.used == tcb.rcv.unread + weight <= limit
        if tcb.rcv.reassembly is not None:
            assert weight > tcb.rcv.reassembly.held > 0
            assert weight - tcb.rcv.reassembly.held <= max(buffer, 32 * PIECE) + QUEUE
        if reads:
            scene.reads()
            assert memory.used == weight
    if aborts:
        scene.aborts()
    else:
        scene.hears(ACK, bytes(buffer))
        scene.reads()
        if tcb.rcv.reassembly is not None:
            return  # its octets didn't fit into the host's memory
    assert memory.used == 0


@pytest.mark.label("BAD-SEQ-5")
@pytest.mark.parametrize("octets", [1, 2, 40, 500])
@pytest.mark.parametrize("pieces", [1, 10, 1500])
@pytest.mark.parametrize("gap", [0, 1])
def test_no_piece_takes_more_memory_than_is_accounted(octets: int, pieces: int, gap: int) -> None:
    """On CPython, as its allocator counts. Of a piece and its place in lists; what lists hold in reserve is
    less than a quarter.
    """
    queues = 30
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    held = [Reassembly() for _ in range(queues)]
    for queue in held:
        for index in range(pieces):
            start = 1_000_000 + index * (octets + gap)
            queue.insert(
                start, start.to_bytes(4, "big") * (octets // 4) + bytes([start % 251] * (octets % 4))
            )
            queue.relieve()
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert used < 1.05 * sum(queue.weight for queue in held)


def test_a_small_buffer_holds_a_few_pieces_all_the_same() -> None:
    scene = established(replace(SACK, receive_buffer=1000), Peer(sack=True))
    for index in range(20):
        scene.hears(ACK, b"x", seq=2 + 2 * index)
    assert scene.tcb.rcv.reassembly is not None
    assert scene.tcb.rcv.reassembly.held == 20


def test_an_honest_senders_window_is_never_given_up() -> None:
    """All of a window but its first segment is held, in segments of a usual size, and then in order."""
    for buffer, size in ((131_072, 1448), (131_072, 536), (65_536, 216), (1 << 20, 1448)):
        scene = established(
            replace(SACK, receive_buffer=buffer, window_scaling=True), Peer(sack=True, window_scale=7)
        )
        scene.hears(ACK, b"x")
        window = min(scene.tcb.rcv.wnd, buffer - 1)
        for ahead in range(size, window, size):
            scene.hears(ACK, bytes(min(size, window - ahead)), seq=2 + ahead)
        scene.hears(ACK, bytes(size), seq=2)
        assert scene.connection.readable == 1 + window
