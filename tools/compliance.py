"""Joins the rules of the RFCs with the code that names them and the tests that carry their labels, into the
compliance page.

    python tools/compliance.py build/labels/*.json             # writes docs/compliance.md and
    postel/cli/compliance.json python tools/compliance.py --check build/labels/*.json     # fails where they
    are out of date, or a MUST is open without a reason

Each file is what a run of tests left behind, with POSTEL_LABELS=FILE in its environment; several runs count
as one.
"""

import argparse
import ast
import json
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from fnmatch import fnmatchcase
from html import escape
from pathlib import Path
from typing import Final, TypedDict

sys.path.insert(0, str(Path(__file__).parent.parent))

from postel.cli.compliance import Rule

ROOT: Final = Path(__file__).parent.parent
LABEL: Final = re.compile(
    r"(?<![\w-])(?:(?:MUST|SHLD|MAY|REC)-\d+|EP-[A-Z]+-\d+|RFC\d+(?:-[\w.]*\w(?:-\w+)*)?|BBR-\w+(?:-\d)?)"
    r"(?: to \d+(?![\w.]))?(?![\w-])"
)
# They name the rule that another stack broke, and meet none.
NAMES_ALL: Final = ("postel/drill/rules.py", "postel/view/capture/translations.py")
SHOWN: Final = 3  # tests by name; the rest are counted
APPENDIX_B: Final = "appendix-b"

HEAD: Final = """\
# Compliance

Which rules Postel meets, by a run of the tests. *Passed*: a test with the rule's label passed, and none
failed. *Answered*: no test, and the reason why. *Open*: neither. *Where* is where the code names the rule; a
rule that the whole of the code keeps has no such place. The tests are those that carry the label,
three by name.
`grep -rn MUST-58 postel tests` finds the lines. The summaries are ours, the sections the RFC's.

`make compliance` writes this page, `make test` checks it, `postel compliance` prints it. Reasons stand in
`tests/rfc/answers.toml`.
"""


class Answer(TypedDict):
    ids: list[str]
    reason: str


class Ran(TypedDict):
    """One test of the run."""

    test: str
    labels: list[str]
    outcome: str


# What is there


def mentions(folder: Path, root: Path) -> dict[str, list[str]]:
    """Label to places, ``file:function`` or ``file``."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(root).as_posix()
        if name in NAMES_ALL:
            continue
        owners = _owners(text)
        for number, line in enumerate(text.splitlines()):
            place = f"{name}:{owners[number]}" if owners[number] else name
            for label in labels_in(line):
                places = found.setdefault(label, [])
                if place not in places:
                    places.append(place)
    return found


def labels_in(line: str) -> Iterator[str]:
    """The labels of a line; ``EP-CLO-1 to 3`` are three.

    >>> list(labels_in("# MUST-58, EP-CLO-1 to 3"))
    ['MUST-58', 'EP-CLO-1', 'EP-CLO-2', 'EP-CLO-3']
    """
    for match in LABEL.finditer(line):
        label, _, last = match[0].partition(" to ")
        if last:
            stem, _, first = label.rpartition("-")
            yield from (f"{stem}-{number}" for number in range(int(first), int(last) + 1))
        else:
            yield label


def _owners(text: str) -> list[str]:
    """For each line the function or class it lies in, with the comment above it; the innermost wins."""
    lines = text.splitlines()
    owners = [""] * len(lines)
    _claim(ast.parse(text), "", lines, owners)
    return owners


def _claim(parent: ast.AST, prefix: str, lines: list[str], owners: list[str]) -> None:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
            while start and lines[start - 1].strip().startswith("#"):
                start -= 1
            end = node.end_lineno or node.lineno
            name = prefix + node.name
            owners[start:end] = [name] * (end - start)
            _claim(node, f"{name}.", lines, owners)


def carriers(run: list[Ran]) -> dict[str, set[str]]:
    """Label to tests, ``file::function``.

    A test skipped for want of a right or a program says nothing, but stays named: the page is the same on
    every machine.
    """
    tests: dict[str, set[str]] = {}
    for test in run:
        for label in test["labels"]:
            tests.setdefault(label, set()).add(test["test"])
    return tests


def passed(run: list[Ran]) -> set[str]:
    """The labels that a test showed, and none disproved."""
    by_outcome: dict[str, set[str]] = {"passed": set(), "failed": set(), "skipped": set()}
    for test in run:
        by_outcome[test["outcome"]].update(test["labels"])
    return by_outcome["passed"] - by_outcome["failed"]


# What it comes to


def joined(
    requirements: list[dict[str, str]], answers: list[Answer], code: dict[str, list[str]], run: list[Ran]
) -> list[Rule]:
    tests, shown = carriers(run), passed(run)
    rows = []
    for rule in requirements:
        label = rule["id"]
        named = sorted(tests.get(label, ()), key=_named_after(label))
        reason = "" if label in shown else _reason(answers, label)
        rows.append(
            Rule(
                id=label,
                **{field: rule[field] for field in ("rfc", "level", "section", "source", "summary")},
                code=code.get(label, []),
                tests=named[:SHOWN],
                more_tests=max(0, len(named) - SHOWN),
                result="passed" if label in shown else "answered" if reason else "open",
                reason=reason,
            )
        )
    return rows


def _reason(answers: list[Answer], label: str) -> str:
    return next(
        (
            answer["reason"]
            for answer in answers
            if any(fnmatchcase(label, pattern) for pattern in answer["ids"])
        ),
        "",
    )


def _named_after(label: str) -> Callable[[str], tuple[bool, str]]:
    """Tests that bear the rule's name come first."""
    part = f"{label.lower().replace('-', '_')}_"
    return lambda test: (part not in f"{test}_", test)


def faults(rows: list[Rule], answers: list[Answer]) -> list[str]:
    """What must not be: an open MUST of Appendix B, an answer that answers nothing."""
    found = [
        f"{row.id} is open: neither a passing test nor a reason in tests/rfc/answers.toml"
        for row in rows
        if row.source == APPENDIX_B and row.level.startswith("MUST") and row.result == "open"
    ]
    answered = [row.id for row in rows if row.result == "answered"]
    return found + [
        f"{pattern} needs no reason in tests/rfc/answers.toml: it passes, or there is no such rule"
        for pattern in _patterns(answers)
        if not any(fnmatchcase(label, pattern) for label in answered)
    ]


def _patterns(answers: list[Answer]) -> list[str]:
    return [pattern for answer in answers for pattern in answer["ids"]]


# The page


def page(rows: list[Rule]) -> str:
    groups = list(_groups(rows))
    counts = "".join(f"| {title} | {len(group)} | {_counted(group)} |\n" for title, group in groups[:3])
    others = [row for _, group in groups[3:] for row in group]
    counts += (
        f"| the companions | {len(others)} | {_counted(others)} |\n| all | {len(rows)} | {_counted(rows)} |\n"
    )
    tables = "".join(f"\n## {title}\n\n{_table(group)}" for title, group in groups)
    return f"{HEAD}\n| | rules | passed | answered | open |\n|---|---|---|---|---|\n{counts}{tables}"


def _groups(rows: list[Rule]) -> Iterator[tuple[str, list[Rule]]]:
    yield "Appendix B of RFC 9293", [row for row in rows if row.source == APPENDIX_B]
    yield "RFC 9293 beside its appendix", [row for row in rows if row.source == "text"]
    yield "Event processing", [row for row in rows if row.id.startswith("EP-")]
    companions: dict[str, list[Rule]] = {}
    for row in rows:
        if row.source == "companion":
            companions.setdefault(row.rfc, []).append(row)
    yield from companions.items()


def _counted(rows: list[Rule]) -> str:
    counts = Counter(row.result for row in rows)
    return f"{counts['passed']} | {counts['answered']} | {counts['open']}"


def _table(rows: list[Rule]) -> str:
    lines = ["| rule | level | what it says | where | shown by | result |", "|---|---|---|---|---|---|"]
    return "\n".join([*lines, *map(_line, rows)]) + "\n"


def _line(row: Rule) -> str:
    tests = [f"`{test}`" for test in row.tests] + ([f"and {row.more_tests} more"] if row.more_tests else [])
    cells = [
        f"{row.id} ({row.section})" if row.section else row.id,
        "" if row.level == "RULE" else row.level,
        escape(row.summary, quote=False),
        "<br>".join(f"`{place}`" for place in row.code),
        "<br>".join(tests),
        f"{row.result}: {row.reason}" if row.reason else row.result,
    ]
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def data(rows: list[Rule]) -> str:
    return json.dumps({"rules": [asdict(row) for row in rows]}, indent=1, ensure_ascii=False) + "\n"


def main(arguments: Iterable[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("labels", type=Path, nargs="+", help="what each run left: build/labels/*.json")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail where the page is out of date"
    )
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(list(arguments))
    root: Path = options.root
    answers = tomllib.loads((root / "tests/rfc/answers.toml").read_text(encoding="utf-8"))["answer"]
    requirements = tomllib.loads((root / "tests/rfc/requirements.toml").read_text(encoding="utf-8"))[
        "requirement"
    ]
    run = [test for path in options.labels for test in json.loads(path.read_text(encoding="utf-8"))]
    rows = joined(requirements, answers, mentions(root / "postel", root), run)
    wrong = faults(rows, answers)
    for path, text in (
        (root / "docs/compliance.md", page(rows)),
        (root / "postel/cli/compliance.json", data(rows)),
    ):
        if not options.check:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            wrong.append(f"{path.relative_to(root)} is out of date: make compliance")
    for fault in wrong:
        print(fault, file=sys.stderr)
    passed, answered, still_open = _counted(rows).split(" | ")
    print(f"{passed} passed, {answered} answered, {still_open} open")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
