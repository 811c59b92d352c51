"""A process that runs a test again and again: what it answers, what it refuses, and that it survives the
test.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from postel.errors import ArgumentError
from postel.search import processes
from postel.search.records import CRASHED, FAILED, PASSED, SKIPPED, Order
from postel.search.runner import Runner
from tests.search.toy import toy


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return toy(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def greeting(path: str) -> Iterator[Runner]:
    with Runner(f"{path}::test_greeting") as runner:
        yield runner


def result(runner: Runner, seed: int, faults: str | None = None) -> str:
    outcome = runner.run(Order(seed, faults)).outcome
    assert outcome is not None
    return outcome.result


def test_the_same_seed_has_the_same_outcome(greeting: Runner) -> None:
    found = [greeting.run(Order(seed)).outcome for seed in (1, 2, 3, 1, 2, 3)]
    assert found[:3] == found[3:]
    assert len({outcome.faults for outcome in found if outcome}) == 3
    assert all(outcome and outcome.virtual >= 6_000_000 and outcome.segments > 5 for outcome in found)


def test_faults_take_the_place_of_those_that_the_seed_draws(greeting: Runner) -> None:
    assert result(greeting, 1, "") == PASSED
    assert result(greeting, 1, "crash bob at 1s for 199ms") == PASSED
    outcome = greeting.run(Order(1, "pause alice at 1s for 10ms; crash bob at 1s for 200ms")).outcome
    assert outcome is not None
    assert outcome.result == FAILED
    assert outcome.faults == "pause alice at 1s for 10ms; crash bob at 1s for 200ms"
    assert outcome.error.startswith("AssertionError at test_toy.py:")
    assert "bob was down" in outcome.message


def test_a_failure_is_drawn_and_its_packets_are_written(greeting: Runner, tmp_path: Path) -> None:
    file = tmp_path / "packets.pcapng"
    answer = greeting.run(Order(1, "crash bob at 1s for 200ms", draws=True, pcapng=str(file)))
    assert "SYN,ACK" in answer.drawing
    assert file.stat().st_size > 500
    assert greeting.run(Order(1, "crash bob at 1s for 200ms")).drawing == ""


@pytest.mark.parametrize(
    "name", ["test_that_is_no_coroutine", "test_with_runs", "TestInside::test_method", "test_known_to_fail"]
)
def test_other_shapes_of_a_test(path: str, name: str) -> None:
    with Runner(f"{path}::{name}") as runner:
        assert [result(runner, seed) for seed in (1, 2, 3)] == [PASSED, FAILED, PASSED]


def test_a_test_that_skips(path: str) -> None:
    with Runner(f"{path}::test_skips") as runner:
        assert result(runner, 1) == SKIPPED


def test_a_process_that_ends_is_replaced(path: str) -> None:
    with Runner(f"{path}::test_ends_its_process") as runner:
        assert [result(runner, seed) for seed in (2, 3, 4)] == [PASSED, CRASHED, PASSED]
        outcome = runner.run(Order(3)).outcome
        assert outcome is not None
        assert outcome.message == "the process ended in the middle of the run: exit status 4"


def test_a_crash_of_the_interpreter_tells_where(tmp_path: Path) -> None:
    path = tmp_path / "test_crash.py"
    path.write_text("import ctypes\n\nasync def test_x(world):\n    ctypes.string_at(0)\n")
    with Runner(f"{path}::test_x") as runner:
        outcome = runner.run(Order(1)).outcome
    assert outcome is not None
    assert outcome.result == CRASHED
    assert "signal 11" in outcome.message.splitlines()[0]
    assert "test_crash.py" in outcome.message


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("::test_without_a_world", "doesn't use the fixture `world`"),
        ("::test_absent", "isn't found by pytest"),
        ("::test_several", "is 2 tests: name one of them"),
        ("", "is 11 tests: name one of them"),
    ],
)
def test_what_can_t_be_searched(path: str, name: str, why: str) -> None:
    with pytest.raises(ArgumentError, match=why):
        Runner(path + name)


def test_one_of_several(path: str) -> None:
    with Runner(f"{path}::test_several[2]") as runner:
        assert result(runner, 1) == PASSED


def test_a_search_that_is_left_ends_its_processes(path: str) -> None:
    with Runner(f"{path}::test_quiet") as runner:
        outcomes = processes.search(runner, list(range(1000)), 2)
        assert next(outcomes).result == PASSED
        outcomes.close()
        assert runner._process.poll() is not None


def test_every_seed_comes_once_and_the_first_process_goes_on(path: str) -> None:
    with Runner(f"{path}::test_quiet") as runner:
        assert sorted(outcome.seed for outcome in processes.search(runner, list(range(40)), 2)) == list(
            range(40)
        )
        assert result(runner, 1) == PASSED


@pytest.mark.parametrize("text", ["import nowhere_at_all", "this is not Python", "raise SystemExit(3)"])
def test_a_file_that_can_t_be_imported(tmp_path: Path, text: str) -> None:
    path = tmp_path / "test_broken.py"
    path.write_text(f"{text}\n\ndef test_x(world):\n    pass\n")
    with pytest.raises(ArgumentError, match=r"can't be imported|exit status 3"):
        Runner(f"{path}::test_x")
