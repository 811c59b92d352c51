"""How Hypothesis looks for counterexamples: the same ones in CI, new ones on a developer's machine.

And, for the compliance page: with POSTEL_LABELS=FILE in the environment, a run leaves there which labels each
test carries and how it went.
"""

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["pytest_postel"]  # by name: where the package is installed it is there already

settings.register_profile("developer", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True, database=None)
settings.register_profile("brief", settings.get_profile("ci"), max_examples=10)  # for one Python of several
settings.load_profile(os.environ.get("POSTEL_EXAMPLES") or ("ci" if os.environ.get("CI") else "developer"))

NAMED = re.compile(r"(?:^test|_and)_(must|shld|may|rec|ep_[a-z]+)_(\d+(?:_and_\d+)*)(?![^_])")
WORST_LAST = ("passed", "skipped", "failed")


def labels_of(item: pytest.Item) -> list[str]:
    """By mark, and by name: ``test_must_58_…``, ``test_ep_ss_7_and_8_…``."""
    marked = [label for mark in item.iter_markers("label") for label in mark.args]
    return sorted({*marked, *labels_in_name(item.name.partition("[")[0])})


def script_of(item: pytest.Item) -> str:
    """The packetdrill script that the test runs, with comments that name rules; "" for every other test."""
    return next((mark.kwargs["script"] for mark in item.iter_markers("label") if "script" in mark.kwargs), "")


def labels_in_name(name: str) -> list[str]:
    return [
        f"{stem.upper().replace('_', '-')}-{number}"
        for stem, numbers in NAMED.findall(name)
        for number in numbers.split("_and_")
    ]


class Labels:
    """Lives where the reports arrive: under xdist that is the controller, to which ``user_properties`` travel
    along.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tests: dict[str, dict[str, object]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        properties = dict(report.user_properties)
        labels = properties.get("labels")
        if not labels:
            return
        name = properties.get("script") or report.nodeid.partition("[")[0]
        test = self.tests.setdefault(report.nodeid, {"test": name, "labels": labels, "outcome": "passed"})
        test["outcome"] = max(str(test["outcome"]), report.outcome, key=WORST_LAST.index)

    def pytest_sessionfinish(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(
            json.dumps([self.tests[name] for name in sorted(self.tests)], indent=1) + "\n", encoding="utf-8"
        )


def pytest_configure(config: pytest.Config) -> None:
    if "POSTEL_LABELS" in os.environ and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Labels(config.rootpath / os.environ["POSTEL_LABELS"]), "labels")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "POSTEL_LABELS" in os.environ:
        for item in items:
            item.user_properties += [("labels", labels_of(item)), ("script", script_of(item))]
