"""The compliance page, from rules, code and a run of three lines each."""

import json
from pathlib import Path

import pytest

from tools import compliance

RULES = """
[[requirement]]
id = "MUST-1"
rfc = "RFC 9293"
level = "MUST"
section = "3.1"
source = "appendix-b"
summary = "One a|b."
[[requirement]]
id = "MUST-2"
rfc = "RFC 9293"
level = "MUST NOT"
section = "3.2"
source = "appendix-b"
summary = "Two."
[[requirement]]
id = "RFC8985-4a"
rfc = "RFC 8985"
level = "MUST"
section = "4"
source = "companion"
summary = "Three."
[[requirement]]
id = "EP-SS-1"
rfc = "RFC 9293"
level = "RULE"
section = ""
source = "event_processing.md §4"
summary = "Four."
"""
ANSWERS = '[[answer]]\nids = ["RFC8985-*"]\nreason = "later"\n'
CODE = """\"\"\"All of it is MUST-2.\"\"\"
# EP-SS-1 to 2
class Window:
    # MUST-1
    def read(self):
        return 1  # MUST-1, RFC8985-4a
"""


def ran(name: str, outcome: str, *labels: str) -> dict[str, object]:
    return {"test": name, "labels": list(labels), "outcome": outcome}


GOOD = [
    *(ran(f"tests/test_a.py::test_{letter}", "passed", "MUST-1") for letter in "dcba"),
    ran("tests/test_a.py::test_must_1_first", "passed", "MUST-1"),
    ran("tests/test_b.py::test_two", "passed", "MUST-2"),
    ran("tests/test_b.py::test_two", "skipped", "MUST-2"),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("postel/cli", "docs", "tests/rfc"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "postel/window.py").write_text(CODE)
    (tmp_path / "tests/rfc/requirements.toml").write_text(RULES, encoding="utf-8")
    (tmp_path / "tests/rfc/answers.toml").write_text(ANSWERS)
    return tmp_path


def told(root: Path, run: list[dict[str, object]], *options: str) -> int:
    (root / "labels.json").write_text(json.dumps(run))
    return compliance.main([*options, "--root", str(root), str(root / "labels.json")])


def rows(root: Path) -> dict[str, dict[str, object]]:
    return {
        row["id"]: row
        for row in json.loads((root / "postel/cli/compliance.json").read_text(encoding="utf-8"))["rules"]
    }


def test_several_runs_count_as_one(root: Path) -> None:
    assert told(root, GOOD) == 0
    whole = rows(root)
    parts = [root / "unit.json", root / "suite.json"]
    parts[0].write_text(json.dumps(GOOD[3:]))
    parts[1].write_text(json.dumps(GOOD[:5]))
    assert compliance.main(["--root", str(root), *map(str, parts)]) == 0
    assert rows(root) == whole


def test_rules_code_and_tests_are_joined(root: Path) -> None:
    assert told(root, GOOD) == 0
    found = rows(root)
    assert {name: row["result"] for name, row in found.items()} == {
        "MUST-1": "passed",
        "MUST-2": "passed",
        "RFC8985-4a": "answered",
        "EP-SS-1": "open",
    }
    assert found["MUST-1"]["code"] == ["postel/window.py:Window.read"]
    assert found["MUST-2"]["code"] == ["postel/window.py"]
    assert found["EP-SS-1"]["code"] == ["postel/window.py:Window"]
    assert found["RFC8985-4a"]["reason"] == "later"


def test_the_test_named_after_the_rule_comes_first_and_the_rest_is_counted(root: Path) -> None:
    told(root, GOOD)
    row = rows(root)["MUST-1"]
    assert row["tests"] == [
        "tests/test_a.py::test_must_1_first",
        "tests/test_a.py::test_a",
        "tests/test_a.py::test_b",
    ]
    assert row["more_tests"] == 2


def test_the_page_has_a_line_for_each(root: Path) -> None:
    told(root, GOOD)
    page = (root / "docs/compliance.md").read_text(encoding="utf-8")
    assert (
        "| MUST-2 (3.2) | MUST NOT | Two. | `postel/window.py` | `tests/test_b.py::test_two` | passed |"
        in page
    )
    assert "One a&#124;b." in page
    assert "answered: later |" in page
    assert "| all | 4 | 2 | 1 | 1 |" in page


def test_a_page_in_date_passes_the_check(root: Path) -> None:
    told(root, GOOD)
    assert told(root, GOOD, "--check") == 0


def test_a_page_out_of_date_fails_it(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(root, GOOD)
    assert told(root, GOOD[1:], "--check") == 1
    assert "docs/compliance.md is out of date: make compliance" in capsys.readouterr().err


@pytest.mark.parametrize("outcome", ["failed", "skipped"])
def test_a_must_that_no_test_shows_fails_it(
    root: Path, outcome: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = [*GOOD[:-2], ran("tests/test_b.py::test_two", outcome, "MUST-2")]
    told(root, run)
    assert told(root, run, "--check") == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("MUST-2 is open")


def test_one_failure_among_passes_opens_the_rule(root: Path) -> None:
    told(root, [*GOOD, ran("tests/test_b.py::test_three", "failed", "MUST-2")])
    assert rows(root)["MUST-2"]["result"] == "open"


def test_a_reason_for_what_passes_fails_it(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "tests/rfc/answers.toml").write_text(
        ANSWERS + '[[answer]]\nids = ["MUST-1", "MUST-9"]\nreason = "never"\n'
    )
    assert told(root, GOOD) == 1
    assert [line.split()[0] for line in capsys.readouterr().err.splitlines()] == ["MUST-1", "MUST-9"]
