"""Sequence arithmetic against the definition, with the wrap in the middle of everything."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.tcp import seq

NUMBERS = st.integers(0, seq.MASK) | st.sampled_from(
    [0, 1, seq.HALF - 1, seq.HALF, seq.HALF + 1, seq.MASK - 1, seq.MASK]
)
STEPS = st.integers(-seq.HALF + 1, seq.HALF - 1)


@pytest.mark.label("RFC9293-3.4-modulo")
@given(NUMBERS, STEPS)
def test_order_is_that_of_the_shorter_way_round(a: int, step: int) -> None:
    b = seq.add(a, step)
    assert seq.lt(a, b) is (step > 0)
    assert seq.le(a, b) is (step >= 0)
    assert seq.gt(a, b) is (step < 0)
    assert seq.ge(a, b) is (step <= 0)
    assert seq.offset(b, a) == step
    assert seq.latest(a, b) == (b if step > 0 else a)


@pytest.mark.label("RFC9293-3.4-modulo")
@given(NUMBERS, NUMBERS)
def test_distance_and_add_are_inverse(a: int, b: int) -> None:
    assert seq.add(a, seq.distance(a, b)) == b
    assert 0 <= seq.distance(a, b) <= seq.MASK


@given(NUMBERS, NUMBERS)
def test_two_numbers_are_before_equal_or_after_except_opposite_ones(a: int, b: int) -> None:
    found = seq.lt(a, b) + (a == b) + seq.gt(a, b)
    assert found == (0 if seq.distance(a, b) == seq.HALF else 1)


@given(st.integers(0, 1 << 48), STEPS)
def test_an_extended_number_is_the_one_nearby(near: int, step: int) -> None:
    assert seq.extended(near + step & seq.MASK, near) == near + step


def test_across_the_wrap() -> None:
    assert seq.lt(seq.MASK, 0)
    assert seq.add(seq.MASK, 1) == 0
    assert seq.add(0, -1) == seq.MASK
    assert seq.latest(5, seq.MASK - 5) == 5


def test_the_example_in_its_text() -> None:
    assert doctest.testmod(seq).failed == 0
