"""What a segment costs on the compiled core is held to a committed count: `bench.instructions` says how it is
counted.
"""

import pytest

from bench import instructions, workload


@pytest.mark.skipif(bool(instructions.obstacle()), reason=instructions.obstacle())
def test_nothing_takes_more_instructions_than_it_may() -> None:
    before = instructions.committed().get(instructions.key())
    if before is None:
        pytest.skip(f"{instructions.COMMITTED.name} has no counts for {instructions.key()}")
    counts = instructions.counted(*instructions.NAMES)
    assert instructions.grown(counts, before) == [], "\n".join(instructions.told(counts, before))


def test_three_in_a_hundred_more_are_too_many() -> None:
    assert instructions.grown(
        {"in": 103_000, "out": 103_001, "open": 1}, {"in": 100_000, "out": 100_000}
    ) == ["out"]


@pytest.mark.parametrize("name", instructions.NAMES)
def test_what_is_counted_is_whole_flights_without_a_loss(name: str) -> None:
    marks: list[None] = []
    done = workload.performed(name, lambda: marks.append(None))
    assert len(marks) == 2
    assert done >= 4 * workload.TURNS


def test_a_crowd_changes_nothing_of_the_work() -> None:
    assert workload.performed("in", bool, others=50) == workload.performed("in", bool)
