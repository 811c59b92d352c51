"""CPython's own tests of asyncio on loops of Postel: each failure is listed, and a listed one that passes is
told.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from postel.host import host

if not host.__file__.endswith(".py"):
    pytest.skip(
        "two hosts share a loopback network by a subclass of Host, which the compiled core doesn't allow",
        allow_module_level=True,
    )

from tools import cpython_asyncio

ROOT = Path(__file__).parents[2]
RUNNER = ROOT / "tools" / "cpython_asyncio.py"
LEAST = 90  # percent of the tests that apply
NO_TESTS = 77


def test_cpythons_tests_of_asyncio(tmp_path: Path) -> None:
    report = tmp_path / "outcomes.json"
    ran = subprocess.run(
        [sys.executable, str(RUNNER), "--json", str(report)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    if ran.returncode == NO_TESTS:
        pytest.skip(ran.stdout.strip())
    assert ran.returncode == 0, ran.stdout + ran.stderr[-2000:]
    outcomes = json.loads(report.read_text(encoding="utf-8"))["applies"]
    passed = sum(outcome == "passed" for outcome in outcomes.values())
    assert 100 * passed >= LEAST * len(outcomes), ran.stdout


class TestList:
    """What the runner says where a test isn't as it is listed."""

    FAILURES = {"a reason": ["module.Class.test_listed", "module.Other.*"]}  # noqa: RUF012 - read only
    UNSETTLED = {"another": ["module.Class.test_either"]}  # noqa: RUF012

    @pytest.mark.parametrize(
        ("name", "outcome", "said"),
        [
            ("module.Class.test_other", "passed", ""),
            ("module.Class.test_other", "OSError: no", "module.Class.test_other fails: OSError: no"),
            ("module.Class.test_listed", "OSError: no", ""),
            ("module.Other.test_any", "OSError: no", ""),
            ("module.Class.test_either", "passed", ""),
            ("module.Class.test_either", "OSError: no", ""),
            (
                "module.Class.test_listed",
                "passed",
                "module.Class.test_listed passes, and is listed to fail: a reason",
            ),
        ],
    )
    def test_a_difference_is_told(self, name: str, outcome: str, said: str) -> None:
        assert cpython_asyncio.differences({name: outcome}, self.FAILURES, self.UNSETTLED) == (
            [said] if said else []
        )
