"""The windowed maximum, beside a naive one."""

from hypothesis import given
from hypothesis import strategies as st

from postel.tcp.congestion.bbr.max_filter import MaxFilter


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 100))), st.integers(1, 5))
def test_it_is_the_largest_of_the_last_ticks(steps: list[tuple[int, int]], length: int) -> None:
    windowed = MaxFilter()
    tick = 0
    seen: list[tuple[int, int]] = []
    for passed, value in steps:
        tick += passed
        seen.append((tick, value))
        assert windowed.update(value, tick, length) == max(
            value for when, value in seen if when > tick - length
        )
        assert len(windowed._entries) <= length
