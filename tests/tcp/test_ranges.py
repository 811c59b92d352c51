"""Ranges against a plain set of positions."""

from hypothesis import given
from hypothesis import strategies as st

from postel.tcp.ranges import Ranges

POSITIONS = st.integers(0, 60)
STEPS = st.lists(
    st.tuples(st.just("add"), POSITIONS, st.integers(1, 15))
    | st.tuples(st.sampled_from(["below", "above", "clear"]), POSITIONS, st.just(0)),
    max_size=25,
)


def played(steps: list[tuple[str, int, int]]) -> tuple[Ranges, set[int]]:
    ranges, model = Ranges(), set[int]()
    for what, position, length in steps:
        if what == "add":
            model |= set(range(position, position + length))
            left, right = ranges.add(position, position + length)
            assert set(range(left, right)) <= model
            assert left - 1 not in model
            assert right not in model
        elif what == "below":
            model = {number for number in model if number >= position}
            ranges.drop_below(position)
        elif what == "above":
            model = {number for number in model if number < position}
            ranges.drop_above(position)
        elif position == 0:
            model.clear()
            ranges.clear()
    return ranges, model


@given(STEPS, POSITIONS, POSITIONS)
def test_they_are_a_set_of_positions(steps: list[tuple[str, int, int]], start: int, end: int) -> None:
    ranges, model = played(steps)
    assert {
        number
        for left, right in zip(ranges.lefts, ranges.rights, strict=True)
        for number in range(left, right)
    } == model
    assert ranges.total == len(model)
    assert ranges.end == max(model, default=-1) + 1
    left, right = ranges.around(start)
    assert (left <= start < right) is (start in model)
    left, right = ranges.first_within(start, end)
    inside = [number for number in range(start, end) if number in model]
    assert inside[: right - left] == list(range(left, right))
    assert bool(right) is bool(inside)


@given(STEPS)
def test_they_neither_touch_nor_overlap(steps: list[tuple[str, int, int]]) -> None:
    ranges, _ = played(steps)
    edges = [edge for pair in zip(ranges.lefts, ranges.rights, strict=True) for edge in pair]
    assert edges == sorted(set(edges))
    assert len(ranges) == len(ranges.lefts)
