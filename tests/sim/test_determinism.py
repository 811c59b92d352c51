"""One seed, one trace, octet for octet: over runs, processes, hash seeds, versions of Python, and with the
compiled core or without.
"""

import os
import subprocess
import sys
from pathlib import Path

import postel
from tests.sim.traced_world import Digest, trace
from tests.testing.test_determinism import pythons

PROGRAM = Path(__file__).with_name("traced_world.py")
ROOT = PROGRAM.parent.parent.parent
TESTED = Path(postel.__file__).parent.parent  # where the core may be compiled


def told(python: str, seed: int, hash_seed: int, core: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(core), "PYTHONHASHSEED": str(hash_seed)}
    done = subprocess.run(
        [python, PROGRAM, str(seed)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_runs_of_one_process_are_alike() -> None:
    assert trace(1, Digest()) == trace(1, Digest())
    assert trace(1) == trace(1, Digest())[:2]  # an observer, and octets in place of records, change nothing
    assert trace(1) != trace(2)


def test_one_seed_is_one_trace_everywhere() -> None:
    runs = {f"hash seed {number}": told(sys.executable, 3, number, TESTED) for number in (0, 1, 2)}
    runs["plain core"] = told(sys.executable, 3, 0, ROOT)
    runs |= {f"Python {version}": told(python, 3, 4, ROOT) for version, python in pythons().items()}
    assert len(set(runs.values())) == 1, runs
