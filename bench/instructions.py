"""How many instructions a segment takes: ``python -m bench.instructions``, on any machine that has valgrind,
busy or not.

callgrind counts what the processor would do, so that 1 % can be seen. The core is the compiled one. Counts
depend on the interpreter and the C compiler: those to hold to, in ``instructions.toml``, are by these. Exit
status: 0, 1 if one is over its limit, 3 if nothing can be counted, or there is nothing to compare with.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Final

from bench.machine import compiler, python
from bench.place import COMPILED, outdated

HERE: Final = Path(__file__).parent
COMMITTED: Final = HERE / "instructions.toml"
NAMES: Final = ("out", "in", "open")
TITLES: Final = {
    "out": "a segment out, and half an ACK in",
    "in": "a segment in, in order",
    "open": "a connection taken and closed",
}
TOLERANCE: Final = 0.03
PATIENCE: Final = 1200.0  # seconds
TOTAL: Final = re.compile(r"^summary: (\d+)$", re.MULTILINE)

Counts = dict[str, int]


def environment() -> dict[str, str]:
    """The same for each run."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(COMPILED.folder),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def counted(*names: str, others: int = 0) -> Counts:
    """Instructions for each segment or connection of this work, beside so many idle connections."""
    with tempfile.TemporaryDirectory() as directory:
        dump = Path(directory, "counts")
        valgrind = [
            "valgrind",
            "--tool=callgrind",
            "--dump-before=getpriority",
            f"--callgrind-out-file={dump}",
        ]
        command = [*valgrind, sys.executable, "-P", str(HERE / "workload.py"), str(others), *names]
        done = subprocess.run(
            command, env=environment(), capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        if done.returncode:
            raise OSError(done.stderr)
        parts: Counts = json.loads(done.stdout)
        # A work's marks are two, and a dump holds what was before its mark.
        return {
            name: total(Path(f"{dump}.{2 * number}")) // part
            for number, (name, part) in enumerate(parts.items(), 1)
        }


def total(dump: Path) -> int:
    found = TOTAL.search(dump.read_text("ascii", "replace"))
    assert found, f"callgrind has written no total: {dump}"
    return int(found[1])


def obstacle() -> str:
    """Why nothing can be counted here; empty if it can."""
    return outdated() if shutil.which("valgrind") else "there is no valgrind"


def key() -> str:
    """Name of the committed counts that these can be compared with: interpreter, and both compilers."""
    return f"{python()}, {platform.python_compiler()}, {platform.machine()}, {compiler()}"


def committed() -> dict[str, Counts]:
    return tomllib.loads(COMMITTED.read_text("utf-8"))


def commit(counts: Counts) -> None:
    every = committed() | {key(): counts}
    lines = [
        (
            "# What `python -m bench.instructions --commit` counted: instructions for each segment or "
            "connection."
        ),
        "",
    ]
    for name, those in sorted(every.items()):
        lines += [f'["{name}"]', *(f"{work} = {count:_}" for work, count in those.items()), ""]
    COMMITTED.write_text("\n".join(lines[:-1]) + "\n", "utf-8")


def told(counts: Counts, before: Counts) -> list[str]:
    """A line for each, beside what is committed."""
    return [
        f"{TITLES[name]:<36}{count:>10,}"
        + (f"{before[name]:>10,}  {count / before[name] - 1:+.1%}" if name in before else "")
        for name, count in counts.items()
    ]


def grown(counts: Counts, before: Counts) -> list[str]:
    """The names of what takes more than it may."""
    return [
        name for name, count in counts.items() if name in before and count > before[name] * (1 + TOLERANCE)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.instructions", description=__doc__.split(":")[0] if __doc__ else None
    )
    parser.add_argument("--commit", action="store_true", help=f"write what is counted into {COMMITTED.name}")
    parser.add_argument(
        "--others",
        type=int,
        default=0,
        metavar="N",
        help="idle connections that the host has besides (nothing is compared)",
    )
    chosen = parser.parse_args()
    if reason := obstacle():
        print(f"nothing can be counted: {reason}", file=sys.stderr)
        return 3
    names = NAMES[:2] if chosen.others else NAMES
    counts = counted(*names, others=chosen.others)
    before = {} if chosen.others else committed().get(key(), {})
    print(key(), *told(counts, before), sep="\n")
    if chosen.commit:
        commit(counts)
        return 0
    if chosen.others:
        return 0
    if not before:
        print(f"nothing to compare with: {COMMITTED.name} has no such counts", file=sys.stderr)
        return 3
    return 1 if grown(counts, before) else 0


if __name__ == "__main__":
    sys.exit(main())
