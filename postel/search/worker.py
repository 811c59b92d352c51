"""Process in which a test runs again and again: ``python -m postel.search.worker FILE.py::test``.

`postel.search.runner` starts this process. Pytest starts once and collects the test once. Each line on
standard input is then an `Order` as JSON, and each line on standard output an `Answer`. The very first answer
says whether the test was found. Output of the test goes to standard error.
"""

import json
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Final

import pytest
from _pytest.runner import runtestprotocol  # pytest's plug-ins for repeated runs call it, too

from postel.search.records import FAILED, PASSED, SEPARATOR, SKIPPED, Answer, Order, Outcome
from postel.sim.faults import Fault
from postel.testing.plugin import RUN, Run

_DRAWING: Final = "postel: connections"  # title of a section that `postel.testing.failure` writes


class Unsuitable(Exception):
    """Exception with the reason why a test can't be searched."""


class Loop:
    """Plug-in for pytest that runs the only test once for each order that it reads, instead of once.

    ``has_begun`` says that pytest has begun to run tests. ``problem`` is the last line of an error during the
    collection of tests.
    """

    def __init__(self, target: str, orders: IO[str], tell: Callable[[Answer], None]) -> None:
        """Make the plug-in. ``tell`` writes an answer."""
        self.target = target
        self.orders = orders
        self.tell = tell
        self.has_begun: bool = False
        self.problem: str = ""

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note why the file of the test can't be imported. Pytest calls this hook."""
        if report.failed and not self.problem:
            self.problem = _last_line(report.longreprtext)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the test once for each order. Pytest calls this hook instead of its own loop."""
        self.has_begun = True
        try:
            item = self._item(session)
        except Unsuitable as error:
            self.tell(Answer(error=str(error)))
            return True
        self.tell(Answer(test=item.nodeid))
        for line in self.orders:
            self.tell(_answer(item, Order(**json.loads(line))))
        session._setupstate.teardown_exact(None)  # noqa: SLF001 - fixtures of the module and the session end
        return True

    def _item(self, session: pytest.Session) -> pytest.Function:
        """Return the test. Raises Unsuitable unless exactly one test uses the fixture ``world``."""
        if self.problem:
            raise Unsuitable(f"can't be imported: {self.problem}")
        if len(session.items) > 1:
            names = ", ".join(item.name for item in session.items[:4])
            raise Unsuitable(f"is {len(session.items)} tests: name one of them ({names}, …)")
        item = session.items[0] if session.items else None
        if not isinstance(item, pytest.Function):
            raise Unsuitable("names no test")
        if "world" not in item.fixturenames:
            raise Unsuitable("doesn't use the fixture `world`: a seed would change nothing")
        return item


def _answer(item: pytest.Function, order: Order) -> Answer:
    """Run the test once with the seed and faults of ``order``."""
    faults = (
        None
        if order.faults is None
        else [Fault.parse(text) for text in order.faults.split(SEPARATOR) if text]
    )
    item.config.stash[RUN] = Run(order.seed, faults, trace=order.draws)
    item.config.option.postel_pcapng = order.pcapng or None
    item.user_properties.clear()
    reports = runtestprotocol(item, log=False, nextitem=item.parent)  # type: ignore[arg-type]  # a collector ends the fixtures of the test alone
    drawing = "".join(text for report in reports for title, text in report.sections if title == _DRAWING)
    return Answer(outcome=_outcome(item, order, reports), drawing=drawing if order.draws else "")


def _outcome(item: pytest.Function, order: Order, reports: list[pytest.TestReport]) -> Outcome:
    """Make an outcome of the reports of a test's three phases."""
    told: dict[str, Any] = next((value for name, value in item.user_properties if name == "postel"), {})  # type: ignore[misc]  # the value is ours
    figures = {
        "faults": told.get("faults", ""),
        "virtual": told.get("virtual", 0),
        "segments": told.get("segments", 0),
    }
    for report in reports:
        if report.failed or (report.skipped and hasattr(report, "wasxfail")):
            error, message = _crash(report)
            return Outcome(order.seed, FAILED, error, message, **figures)
    for report in reports:
        if report.skipped:
            return Outcome(order.seed, SKIPPED, message=_last_line(report.longreprtext), **figures)
    return Outcome(order.seed, PASSED, **figures)


def _crash(report: pytest.TestReport) -> tuple[str, str]:
    """Class and place of an exception, and then the exception's text."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        return "", _last_line(report.longreprtext)
    message = str(crash.message).strip()
    return f"{message.partition(':')[0].split()[0]} at {Path(crash.path).name}:{crash.lineno}", message


def _last_line(text: str) -> str:
    """Last line of a report's text."""
    lines = text.strip().splitlines() or [""]
    return lines[-1].removeprefix("E").strip()


def main(target: str) -> None:
    """Answer orders about the test ``target`` until standard input ends.

    The test gets other descriptors 0 and 1, so that its output can't get between the answers.
    """
    with (
        os.fdopen(os.dup(0), encoding="utf-8") as orders,
        os.fdopen(os.dup(1), "w", encoding="utf-8") as answers,
    ):
        os.dup2(2, 1)

        def tell(answer: Answer) -> None:
            answers.write(answer.to_json() + "\n")
            answers.flush()

        loop = Loop(target, orders, tell)
        status = pytest.main([target, *_options()], plugins=[loop])
        if not loop.has_begun:
            tell(
                Answer(
                    error=f"can't be imported: {loop.problem}"
                    if loop.problem
                    else f"isn't found by pytest (exit status {int(status)})"
                )
            )


def _options() -> list[str]:
    """Options for pytest: run in one process, and write no files beside the test."""
    own = ["-q", "-p", "pytest_postel", "-p", "no:cacheprovider", "--postel-seed", "0"]
    xdist = ["-n", "0"] if find_spec("xdist") else []
    return own + xdist + (["--no-cov"] if find_spec("pytest_cov") else [])


if __name__ == "__main__":
    main(sys.argv[1])
