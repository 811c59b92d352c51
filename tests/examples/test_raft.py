"""The Raft of the examples: it holds under any faults, its planted bug is found, and both engines of `postel
sim` find the same.
"""

import importlib.util
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from postel.sim import Fault, Simulation

EXAMPLE = Path(__file__).parents[2] / "examples" / "raft.py"
# by `postel sim examples/raft.py::test_truncating --seeds 1..1000`, for seed 77
FOUND = "partition green -> * at 3s for 1.56s"
SEEDS = "74..81"


def loaded() -> Any:
    found = importlib.util.spec_from_file_location("raft", EXAMPLE)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["raft"] = module
    found.loader.exec_module(module)
    return module


raft = loaded()


def run(kind: type, seed: int, replay: list[Fault] | None = None) -> Simulation:
    with Simulation(seed, sealed=True) as world:
        world.replay = replay
        world.run(raft.agree(world, kind))
        return world


def test_it_is_short() -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) < 350


@pytest.mark.parametrize("seed", range(1, 9))
def test_it_holds_under_random_faults(seed: int) -> None:
    world = run(raft.Server, seed)
    assert world.scheduled


def test_the_planted_bug_is_shown_by_one_fault_and_isn_t_in_the_raft() -> None:
    with pytest.raises(AssertionError, match="was committed, and only"):
        run(raft.Truncating, 77, [Fault.parse(FOUND)])
    run(raft.Server, 77, [Fault.parse(FOUND)])


def test_without_faults_the_bug_doesn_t_show() -> None:
    run(raft.Truncating, 77, [])


def searched(engine: str, database: Path) -> list[tuple[int, str, str, str, int, int]]:
    options = ["--seeds", SEEDS, "-j", "2", "--shrink", "0", "--engine", engine, "--results", str(database)]
    command = [sys.executable, "-m", "postel", "sim", f"{EXAMPLE}::test_truncating", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    opened = sqlite3.connect(database)
    found = opened.execute(
        "SELECT seed, result, message, faults, virtual, segments FROM runs ORDER BY seed"
    ).fetchall()
    opened.close()
    return found


def test_a_cluster_finds_the_same_seeds_as_the_processes_of_this_machine(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    ours, theirs = (
        searched("processes", tmp_path / "ours.sqlite"),
        searched("dask", tmp_path / "theirs.sqlite"),
    )
    assert [row[0] for row in ours] == list(range(74, 82))
    assert [row[0] for row in ours if row[1] == "failed"], (
        f"none of {SEEDS} fails any more: choose a range of seeds in which one does"
    )
    assert theirs == ours
