"""One seed, one run: over processes, hash seeds and versions of Python."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("determinism_program.py")
ROOT = PROGRAM.parent.parent.parent


def run(python: str, hash_seed: int, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(hash_seed)}
    done = subprocess.run(
        [python, PROGRAM, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def pythons() -> dict[str, str]:
    """Other Pythons of this machine, by version."""
    found: dict[str, str] = {}
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for version in ("3.11", "3.12", "3.13"):
        candidates = [
            shutil.which(f"python{version}"),
            *map(str, sorted(root.glob(f"{version}.*/bin/python"))),
        ]
        for candidate in candidates:
            if (
                candidate
                and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0
            ):
                found[version] = candidate
                break
    return found


def test_a_run_is_the_same_with_every_hash_seed_and_on_every_python() -> None:
    told = {f"here, {seed}": run(sys.executable, seed) for seed in (0, 1, 2)}
    told |= {version: run(python, 3) for version, python in pythons().items()}
    assert len(set(told.values())) == 1, told
    assert int(told["here, 0"].split()[0]) > 100


def test_packets_of_httpx_and_uvicorn_over_tls_have_the_same_times_and_sizes() -> None:
    for library in ("httpx", "uvicorn", "cryptography"):
        pytest.importorskip(library)
    told = {run(sys.executable, seed, "tls") for seed in (0, 1, 2, 3)}
    assert len(told) == 1, told
