r"""Search for seeds with which a test of a simulation fails, and make the first failure small.

The test is one of pytest that uses the fixture `world`. It runs once for each seed; pytest starts only once::

    postel sim tests/test_shop.py::test_pays_once --seeds 1..1000

With a database, results are kept, and a search that was interrupted can go on::

    postel sim tests/test_shop.py::test_pays_once --seeds 1..100000 --results shop.sqlite

The search can run on the machines of a Dask cluster::

    postel sim tests/test_shop.py::test_pays_once --seeds 1..100000 --engine dask \
      --scheduler tcp://10.0.0.1:8786

Exit status 0 where no seed failed, 1 where some did.
"""

import argparse
import os
import shlex
from collections import Counter
from collections.abc import Iterator
from typing import Final

from postel.cli import printable
from postel.errors import ArgumentError
from postel.search import cluster, processes, progress, seeds
from postel.search.records import CRASHED, SEPARATOR, SKIPPED, Order, Outcome
from postel.search.results import Results
from postel.search.runner import Runner
from postel.search.shrink import Shrinker
from postel.sim.faults import Fault

_ENGINES: Final = ("processes", "dask")
_SEEDS: Final = "1..100"
_SHRINKING: Final = 300  # largest number of runs to make the failure small


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    parser.add_argument(
        "test", metavar="FILE.py::test", help="test as pytest names it, which uses the fixture `world`"
    )
    parser.add_argument(
        "--seeds",
        metavar="RANGE",
        default=_SEEDS,
        help="seeds to try, such as 1..1000, 7 or 1..10,20..30; default: %(default)s",
    )
    parser.add_argument(
        "-j",
        "--jobs",
        metavar="N",
        type=int,
        default=0,
        help="processes to use; default: one for each processor",
    )
    parser.add_argument(
        "--engine",
        choices=_ENGINES,
        default=_ENGINES[0],
        help="run the seeds in processes of this machine or on a Dask cluster; default: %(default)s",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        default="",
        help="scheduler of the Dask cluster; default: a cluster of processes on this machine",
    )
    parser.add_argument(
        "--results",
        metavar="FILE",
        default="",
        help="database (SQLite) that keeps results; seeds with a result aren't run again",
    )
    parser.add_argument(
        "--shrink",
        metavar="RUNS",
        type=int,
        default=_SHRINKING,
        help="runs at most to make the failure small; default: %(default)s",
    )
    parser.add_argument("--pcapng", metavar="FILE", default="", help="file for the packets of the failure")


def run(options: argparse.Namespace) -> int:
    """Search for failing seeds. Returns 1 where a seed failed, else 0."""
    wanted = seeds.parse(options.seeds)
    _require(options)
    source = cluster.digest(options.test)
    with Runner(options.test) as runner, Results(options.results, runner.test, source) as results:
        outcomes = _searched(options, runner, results, wanted)
        failures = [outcome for outcome in outcomes if outcome.is_failure]
        _tell(runner.test, outcomes, failures)
        if failures:
            _tell_failure(failures[0], runner, options)
    return int(bool(failures))


def _require(options: argparse.Namespace) -> None:
    if options.jobs < 0:
        raise ArgumentError("--jobs", options.jobs, "1 or more")
    if options.shrink < 0:
        raise ArgumentError("--shrink", options.shrink, "0 or more runs")
    if options.scheduler and options.engine != "dask":
        raise ArgumentError("--scheduler", options.scheduler, "only with --engine dask")


def _searched(
    options: argparse.Namespace, runner: Runner, results: Results, wanted: list[int]
) -> list[Outcome]:
    """Return the outcomes of all seeds, in the order of the seeds; run the test where there is none.

    Outcomes of an earlier search are taken from ``results``; each new outcome is added to ``results``.
    """
    # The machine may have caused a crash, so seeds that crashed are run again.
    known = {seed: outcome for seed, outcome in results.outcomes().items() if outcome.result != CRASHED}
    found = {seed: known[seed] for seed in wanted if seed in known}
    missing = [seed for seed in wanted if seed not in known]
    failed = sum(outcome.is_failure for outcome in found.values())
    new = _run(options, runner, missing) if missing else iter(())
    for outcome in progress.shown(new, done=len(found), failed=failed, total=len(wanted)):
        results.add(outcome)
        found[outcome.seed] = outcome
    return [found[seed] for seed in wanted]


def _run(options: argparse.Namespace, runner: Runner, missing: list[int]) -> Iterator[Outcome]:
    jobs = options.jobs or os.cpu_count() or 1
    if options.engine == "dask":
        return cluster.search(options.test, missing, options.scheduler, jobs)
    return processes.search(runner, missing, jobs)


def _tell(test: str, outcomes: list[Outcome], failures: list[Outcome]) -> None:
    counts = Counter(outcome.result for outcome in outcomes)
    skipped = f", {counts[SKIPPED]:,} skipped" if counts[SKIPPED] else ""
    print(f"{test}: {len(outcomes):,} seeds, {len(failures):,} failed{skipped}")
    kinds: dict[str, list[int]] = {}
    for failure in failures:
        kinds.setdefault(failure.error or failure.message, []).append(failure.seed)
    for kind, found in kinds.items():
        print(f"  {printable(kind)}: {seeds.written(found)}")


def _tell_failure(failure: Outcome, runner: Runner, options: argparse.Namespace) -> None:
    """Shrink the first failure, and print its seed, faults and drawing, and how to run it again."""
    lines = failure.message.splitlines() or [""]
    print(f"\nseed {failure.seed}: {printable(lines[0])}")
    if failure.result == CRASHED:
        print("\n".join(map(printable, lines[1:])))
    faults = [Fault.parse(text) for text in failure.faults.split(SEPARATOR) if text]
    smallest = _shrunk(failure, faults, runner, options.shrink)
    for fault in smallest:
        print(f"  {fault}")
    text = SEPARATOR.join(map(str, smallest))
    answer = runner.run(Order(failure.seed, text, draws=True, pcapng=options.pcapng))
    if answer.drawing:
        print(f"\n{answer.drawing}")
    if answer.outcome is None or not answer.outcome.fails_as(failure):
        print("\nThis run didn't fail again: the test depends on something other than its seed")
    again = [
        "pytest",
        options.test,
        "--postel-seed",
        str(failure.seed),
        *(["--postel-faults", text] if faults else []),
    ]
    print(f"\nTo run it again:\n  {shlex.join(again)}")


def _shrunk(failure: Outcome, faults: list[Fault], runner: Runner, most: int) -> list[Fault]:
    def fails(fewer: tuple[Fault, ...]) -> bool:
        outcome = runner.run(Order(failure.seed, SEPARATOR.join(map(str, fewer)))).outcome
        return outcome is not None and outcome.fails_as(failure)

    shrinker = Shrinker(faults, fails, most)
    smallest = shrinker.run() if faults else ()
    if faults:
        print(
            f"its {_count(faults)}, shrunk to {len(smallest)} in {shrinker.runs} runs:"
            if shrinker.runs
            else f"its {_count(faults)}:"
        )
    return list(smallest)


def _count(faults: list[Fault]) -> str:
    return f"{len(faults)} fault{'s' * (len(faults) != 1)}"
