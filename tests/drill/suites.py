"""Where the scripts lie: our own, and another project's suite where a copy lies beside the repository."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tools.compliance import labels_in

TESTS = Path(__file__).parent.parent
SCRIPTS = TESTS / "scripts"
LINUX = sorted((SCRIPTS / "linux").glob("*.pkt"))  # what they take for granted is Linux's
LANGUAGE = sorted((SCRIPTS / "language").glob("*.pkt"))  # of calls, and of no stack's manner
OWN = sorted(set(SCRIPTS.rglob("*.pkt")) - set(LINUX))
SHARED = TESTS.parent.parent / "shared" / "pkt"
FREEBSD = SHARED / "freebsd"


def classes() -> dict[str, str]:
    """Of each script of the suite, by its path: core, policy or optional."""
    table = FREEBSD.with_suffix(".tsv")
    if not table.exists():
        return {}
    rows = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines()[1:]]
    return {row[0]: row[1] for row in rows}


def labels_of(path: Path) -> list[str]:
    """The rules that a script's comments name."""
    comments = [line.partition("//")[2] for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted({label for comment in comments for label in labels_in(comment)})


def labelled(paths: Iterable[Path]) -> list[ParameterSet]:
    """For a test that runs them: where a script passes, it shows the rules that it names."""
    return [
        pytest.param(
            path,
            id=path.stem,
            marks=pytest.mark.label(*labels_of(path), script=path.relative_to(TESTS.parent).as_posix()),
        )
        for path in paths
    ]
