"""Seeds as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.errors import ArgumentError
from postel.search import seeds


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("7", [7]),
        ("0..3", [0, 1, 2, 3]),
        ("5..5", [5]),
        ("1..2,9", [1, 2, 9]),
        ("9,1..2", [1, 2, 9]),
        (" 1 .. 2 , 2..3", [1, 2, 3]),
    ],
)
def test_ranges_and_single_seeds(text: str, found: list[int]) -> None:
    assert seeds.parse(text) == found


@pytest.mark.parametrize(
    "text",
    ["", ",", "x", "1..", "..2", "3..2", "-1..2", "1...3", "1..2..3", "1..1_000", "²", "1..99999999999"],
)
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ArgumentError, match="--seeds"):
        seeds.parse(text)


def test_runs_are_written_short() -> None:
    assert seeds.written([3, 1, 2, 7, 8, 10]) == "1..3, 7, 8, 10"
    assert seeds.written([]) == ""


@given(st.sets(st.integers(0, 60), min_size=1))
def test_what_is_written_is_read_again(chosen: set[int]) -> None:
    assert seeds.parse(seeds.written(chosen)) == sorted(chosen)
