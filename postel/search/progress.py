"""Progress of a search on standard error.

Progress is a bar if standard error is a terminal and rich is installed, else a line of text every 5 seconds.
"""

import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from time import monotonic
from typing import Final

from postel.search.records import Outcome

_EVERY: Final = 5.0  # seconds between two lines of text


def shown(outcomes: Iterable[Outcome], *, done: int, failed: int, total: int) -> Iterator[Outcome]:
    """Yield ``outcomes``, and show meanwhile how many seeds are done.

    Of ``total`` seeds, ``done`` were done in an earlier search, and ``failed`` of those have failed.
    """
    is_terminal = sys.stderr.isatty()
    show = _bar if is_terminal and find_spec("rich") else _text
    return show(outcomes, done, failed, total)


def _bar(outcomes: Iterable[Outcome], done: int, failed: int, total: int) -> Iterator[Outcome]:
    from rich.console import Console  # noqa: PLC0415 - an extra
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415 - an extra

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"{failed} failed", total=total, completed=done)
        for outcome in outcomes:
            failed += outcome.is_failure
            progress.update(task, advance=1, description=f"{failed} failed")
            yield outcome


def _text(outcomes: Iterable[Outcome], done: int, failed: int, total: int) -> Iterator[Outcome]:
    told = monotonic()
    for outcome in outcomes:
        done += 1
        failed += outcome.is_failure
        if monotonic() - told >= _EVERY:
            told = monotonic()
            sys.stderr.write(f"{done:,} of {total:,} runs, {failed:,} failed\n")
        yield outcome
