"""The fewest and shortest faults: against predicates with a known smallest answer, and against any."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.search.shrink import Shrinker
from postel.sim import Fault
from postel.sim.faults import KINDS
from postel.testing.faults import faults
from postel.times import SECOND

NAMES = ["a", "b", "c"]
NOISE = [Fault.parse(f"pause c at {number}s for {number}s") for number in range(1, 8)]


def shrunk(
    given_faults: list[Fault], fails: Callable[[tuple[Fault, ...]], bool], most: int = 1000
) -> list[str]:
    return list(map(str, Shrinker(given_faults, fails, most).run()))


def long_partition(schedule: tuple[Fault, ...]) -> bool:
    return any(
        fault.kind == "partition" and "a" in fault.hosts and fault.length >= 3.25 * SECOND
        for fault in schedule
    )


@pytest.mark.parametrize("place", range(8))
def test_the_one_that_matters_is_left_short_and_round(place: int) -> None:
    schedule = [*NOISE]
    schedule.insert(place, Fault.parse("partition a,b <-> c at 4.321987s for 8.123456s"))
    assert shrunk(schedule, long_partition) == ["partition a -> c at 4s for 3.25s"]


def test_two_that_matter_together() -> None:
    def fails(schedule: tuple[Fault, ...]) -> bool:
        crash = [fault for fault in schedule if fault.kind == "crash"]
        return bool(crash) and long_partition(schedule)

    schedule = [
        NOISE[0],
        Fault.parse("crash b at 1.5s for 1m"),
        *NOISE[1:],
        Fault.parse("partition a -> * at 2s"),
    ]
    assert shrunk(schedule, fails) == ["crash b at 1s for 1ms", "partition a -> * at 2s for 3.25s"]


def test_no_fault_at_all_where_it_takes_none() -> None:
    assert shrunk(NOISE, lambda _: True) == []


def test_nothing_smaller_where_all_matter() -> None:
    assert shrunk(NOISE, lambda schedule: list(schedule) == NOISE) == list(map(str, NOISE))


def test_runs_are_counted_and_limited() -> None:
    calls: list[tuple[Fault, ...]] = []

    def fails(schedule: tuple[Fault, ...]) -> bool:
        calls.append(schedule)
        return len(schedule) >= 3

    shrinker = Shrinker(NOISE, fails, 5)
    assert len(shrinker.run()) < len(NOISE)
    assert shrinker.runs == len(calls) == 5
    assert Shrinker(NOISE, fails, 0).run() == tuple(NOISE)
    assert len(calls) == 5


@given(faults(NAMES, kinds=KINDS), st.integers(0, 3), st.sampled_from(KINDS), st.integers(0, 2 * SECOND))
def test_what_is_left_fails_and_no_call_is_made_twice(
    schedule: list[Fault], least: int, kind: str, length: int
) -> None:
    def fails(fewer: tuple[Fault, ...]) -> bool:
        calls.append(fewer)
        return sum(fault.kind == kind and fault.length >= length for fault in fewer) >= least

    calls: list[tuple[Fault, ...]] = []
    if not fails(tuple(schedule)):
        return
    calls.clear()
    found = Shrinker(schedule, fails, 2000).run()
    assert len(calls) == len(set(calls)) <= 2000
    assert len(found) == least
    assert fails(found)
