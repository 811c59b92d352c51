"""What our own scripts show: every rule of event processing that packets can show, and no rule that isn't
there.
"""

import tomllib
from functools import cache

from tests.drill.suites import LINUX, OWN, TESTS, labelled, labels_of

# No script can show these, or none yet.
UNSHOWN = {
    "EP-PRE-1": "a script's headers are whole",
    "EP-PRE-2": "a script's checksums are right",
    "EP-PRE-5": "a script's options are well formed",
    "EP-SEQ-12": "a script's segments come one by one",
    "EP-OPEN-3": "no socket can say how much room there is",
    "EP-OPEN-4": "a socket that listens can't connect",
    "EP-SEND-2": "a socket that listens can't send",
}


@cache
def rules() -> frozenset[str]:
    table = tomllib.loads((TESTS / "rfc" / "requirements.toml").read_text(encoding="utf-8"))
    return frozenset(rule["id"] for rule in table["requirement"])


def shown() -> set[str]:
    return {label for path in OWN for label in labels_of(path)}


def test_every_rule_that_packets_can_show_has_a_script() -> None:
    assert {rule for rule in rules() if rule.startswith("EP-")} - shown() == UNSHOWN.keys()


def test_scripts_name_only_rules_that_there_are() -> None:
    assert [
        (path.name, label) for path in (*OWN, *LINUX) for label in labels_of(path) if label not in rules()
    ] == []


def test_whoever_runs_a_script_carries_its_labels_and_its_name() -> None:
    path = next(path for path in OWN if path.name == "closed.pkt")
    (mark,) = labelled([path])[0].marks
    assert mark.kwargs == {"script": "tests/scripts/rules/closed.pkt"}
    assert mark.args == ("EP-CLO-1", "EP-CLO-2", "EP-CLO-3", "EP-FIN-1", "EP-PRE-9")
