"""List which rules of the RFCs are met, and which code and tests show it.

The command prints the table in docs/compliance.md, as it was when this version was made; ``make compliance``
makes both from a run of the tests.
"""

import argparse
import json
import textwrap
from collections import Counter
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Final

from postel.errors import ArgumentError

_WIDTH: Final = 100  # width of a rule's text, in columns
_INDENT: Final = " " * 4


@dataclass(frozen=True, slots=True)
class Rule:
    """Row of the table: one rule of an RFC, and the code and tests that show how it is met.

    ``code`` has functions as ``file:name``, and ``tests`` has tests as pytest names them; ``more_tests``
    counts the tests that aren't named.
    """

    id: str
    rfc: str
    level: str
    section: str
    source: str
    summary: str
    code: list[str]
    tests: list[str]
    more_tests: int
    result: str
    reason: str


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    parser.add_argument("--rfc", metavar="NUMBER", help="only the rules of this RFC, e.g. 9293")
    parser.add_argument(
        "--open", action="store_true", help="only the rules without a passing test and without a reason"
    )
    parser.add_argument("--json", action="store_true", help="print JSON on standard output")


def run(options: argparse.Namespace) -> int:
    """Print the rules. Raises ArgumentError for an RFC without rules."""
    chosen = rules()
    if options.rfc is not None:
        chosen = [rule for rule in chosen if rule.rfc.removeprefix("RFC ") == options.rfc]
        if not chosen:
            raise ArgumentError("--rfc", options.rfc, "an RFC with rules in the list, e.g. 9293")
    if options.open:
        chosen = [rule for rule in chosen if rule.result == "open"]
    if options.json:
        print(json.dumps({"rules": [asdict(rule) for rule in chosen]}, indent=1))
    else:
        _tell(chosen)
    return 0


def rules() -> list[Rule]:
    """Read all rules of the table, which is a JSON file in this package."""
    found = json.loads(files("postel.cli").joinpath("compliance.json").read_text(encoding="utf-8"))
    return [Rule(**fields) for fields in found["rules"]]


def _tell(chosen: list[Rule]) -> None:
    wide = max((len(rule.id) for rule in chosen), default=0)
    for rule in chosen:
        level = "" if rule.level == "RULE" else rule.level
        indent = " " * (wide + 25)
        text = textwrap.fill(
            rule.summary, _WIDTH + len(indent), initial_indent=indent, subsequent_indent=indent
        )
        print(f"{rule.id:{wide}}  {rule.result:8}  {level:11}  {text.strip()}")
        for line in _evidence(rule):
            print(f"{indent}{_INDENT}{line}")
    counts = Counter(rule.result for rule in chosen)
    print(f"{counts['passed']} passed, {counts['answered']} answered, {counts['open']} open")


def _evidence(rule: Rule) -> list[str]:
    more = [f"and {rule.more_tests} more"] if rule.more_tests else []
    return [*textwrap.wrap(rule.reason, _WIDTH), *rule.code, *rule.tests, *more]
