"""Reassembly against a naive model: a dict from position to octet, where what came first stays."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postel.tcp.reassembly import PIECES, RECENT, Reassembly
from postel.testing.states import established
from postel.wire.segment import ACK


class Model:
    def __init__(self) -> None:
        self.octets: dict[int, int] = {}

    def insert(self, start: int, data: bytes) -> int:
        new = {start + index: octet for index, octet in enumerate(data) if start + index not in self.octets}
        self.octets |= new
        return len(new)

    def take(self, position: int) -> bytes:
        taken = bytearray()
        while position in self.octets:
            taken.append(self.octets.pop(position))
            position += 1
        return bytes(taken)

    def run_around(self, position: int) -> tuple[int, int]:
        left = right = position
        while left - 1 in self.octets:
            left -= 1
        while right in self.octets:
            right += 1
        return left, right


SEGMENTS = st.tuples(st.integers(1, 80), st.binary(min_size=1, max_size=12))


@settings(max_examples=300)
@given(st.lists(SEGMENTS | st.just("take"), max_size=40))
def test_it_does_as_the_model_does(steps: list[tuple[int, bytes] | str]) -> None:
    held, model, position = Reassembly(), Model(), 0
    for step in steps:
        if isinstance(step, str):
            position = min(model.octets, default=position)  # the gap closes
            taken = b"".join(held.pop_in_order(position))
            assert taken == model.take(position)
            position += len(taken)
        else:
            start, data = max(step[0], position + 1), step[1]
            expected = [number for number in range(start, start + len(data)) if number in model.octets]
            assert held.range_at(start, start + len(data)) == (first_run(expected) if expected else (0, 0))
            assert held.insert(start, data) == model.insert(start, data)
            assert held.blocks(1) == [model.run_around(start)]  # RFC2018-4c
        assert held.held == len(model.octets)
        assert held.end == max(model.octets, default=-1) + 1
        assert bool(held) is bool(model.octets)


def first_run(positions: list[int]) -> tuple[int, int]:
    end = positions[0]
    while end in positions:
        end += 1
    return positions[0], end


@pytest.mark.label("RFC2018-4c", "RFC2018-4d")
@given(st.lists(SEGMENTS, min_size=1, max_size=40))
def test_blocks_are_distinct_runs_newest_first(segments: list[tuple[int, bytes]]) -> None:
    held, model, heard = Reassembly(), Model(), list[int]()
    for start, data in segments:
        held.insert(start, data)
        model.insert(start, data)
        heard.insert(0, start)
    expected: list[tuple[int, int]] = []
    for start in heard:
        run = model.run_around(start)
        if run not in expected:
            expected.append(run)
    found = held.blocks(4)
    assert found[0] == expected[0]
    assert len(found) == len(set(found))
    assert found == expected[: len(found)]
    assert len(found) >= min(4, len(expected), RECENT // 2)


@given(st.lists(SEGMENTS, min_size=1, max_size=40), st.integers(1, 100))
def test_what_is_given_up_is_the_farthest_and_reported_no_more(
    segments: list[tuple[int, bytes]], octets: int
) -> None:
    held, model = Reassembly(), Model()
    for start, data in segments:
        held.insert(start, data)
        model.insert(start, data)
    before, weight = held.held, held.weight
    gone = held.give_up(octets)
    assert gone == weight - held.weight
    assert gone >= min(octets, weight)
    assert before - held.held == held.evicted
    for position in sorted(model.octets)[held.held :]:
        del model.octets[position]
    assert held.end == max(model.octets, default=-1) + 1
    for left, right in held.blocks(RECENT):  # RFC2018-8b
        assert all(position in model.octets for position in range(left, right))
    start = min(model.octets, default=0)
    assert b"".join(held.pop_in_order(start)) == model.take(start)


@pytest.mark.label("BAD-SEQ-5")
@pytest.mark.parametrize("order", ["forward", "backward", "random"])
def test_bad_seq_5_single_octets_that_never_fill_a_gap_are_bounded(order: str) -> None:
    """SegmentSmack, CVE-2018-5390: every other octet."""
    positions = list(range(1, 40_000, 2))
    if order == "backward":
        positions.reverse()
    elif order == "random":
        random.Random(1).shuffle(positions)
    held = Reassembly()
    for position in positions:
        held.insert(position, b"x")
        held.relieve()
        assert held.held <= PIECES
    assert held.evicted + held.held == len(positions)
    assert held.end <= max(positions) + 1


@pytest.mark.label("BAD-SEQ-5")
def test_bad_seq_5_octets_that_do_join_cost_no_room() -> None:
    held = Reassembly()
    for position in range(20_000, 0, -1):
        held.insert(position, b"x")
        held.relieve()
    assert held.evicted == 0
    assert b"".join(held.pop_in_order(1)) == b"x" * 20_000


@pytest.mark.label("BAD-SEQ-5", "BAD-SEQ-8")
def test_bad_seq_5_in_a_connection_old_data_is_recovered_after_eviction() -> None:
    scene = established()
    for position in range(3, 3 + 2 * (PIECES + 10), 2):
        scene.arrives(ACK, b"x", seq=position)
    scene.drain()
    assert scene.tcb.rcv.reassembly is not None
    assert scene.tcb.rcv.reassembly.evicted > 0
    scene.hears(ACK, b"y" * 9000, seq=1)
    octets = scene.reads()
    assert len(octets) == 9000
    assert octets[2:12] == b"xyxyxyxyxy"


@pytest.mark.label("SHLD-31", "RFC9293-3.4-modulo")
@settings(max_examples=60)
@given(st.binary(min_size=1, max_size=300), st.randoms(use_true_random=False))
def test_any_order_any_overlap_the_stream_is_the_stream(message: bytes, draw: random.Random) -> None:
    """In a connection: pieces in any order, some twice, some overlapping."""
    scene = established()
    pieces = []
    for start in range(0, len(message), 10):
        left, right = max(0, start - draw.randrange(8)), start + 10 + draw.randrange(8)
        pieces += [(left, message[left:right])] * draw.choice([1, 1, 2])
    draw.shuffle(pieces)
    received = b""
    for start, data in pieces:
        scene.hears(ACK, data, seq=1 + start)
        received += scene.reads()
    assert received == message
