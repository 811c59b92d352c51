"""The README's figures: ``python -m bench``, as root, on Linux.

Several stacks, each with the kernel as its peer, in namespaces that are removed at the end. Every figure is
the median of its runs, in which the stacks take turns; before each run the machine must be quiet, or a wait
is over. Exit status: 0, 1 if a run failed, 3 if nothing can be measured here.
"""

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from bench import chart, machine
from bench.measure import FIGURES, GROUPS, LONG, MEGABYTES_A_SECOND, WITHOUT_NAMESPACE
from bench.place import QUIET, STACKS, missing, obstacle, settle
from bench.results import Result, empty, finish, table, told

BRIEF = 2.0  # seconds, at most, of a slow stack's stream


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__.split("\n")[0] if __doc__ else None
    )
    usual = [group for group in GROUPS if group not in LONG]
    parser.add_argument(
        "--only",
        type=lambda text: some(text, GROUPS),
        default=usual,
        metavar="GROUPS",
        help=f"of {','.join(GROUPS)}",
    )
    parser.add_argument(
        "--stacks",
        type=lambda text: some(text, STACKS),
        default=[*STACKS],
        metavar="STACKS",
        help=f"of {','.join(STACKS)}",
    )
    parser.add_argument("--runs", type=positive, default=5, help="of which the median is told (default: 5)")
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="that a stream lasts (default: 3; with loss, twice that)"
    )
    parser.add_argument(
        "--megabytes",
        type=positive,
        help=f"of the capture to explain (default: {MEGABYTES_A_SECOND} for each of the seconds)",
    )
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write every run's value, and what the machine is"
    )
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the medians as bars")
    return parser.parse_args()


def some(text: str, of: Iterable[str]) -> list[str]:
    chosen = text.split(",")
    if unknown := set(chosen) - set(of):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(of)}")
    return [name for name in of if name in chosen]


def positive(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return int(text)


def measure(group: str, stacks: list[str], runs: int, seconds: float) -> dict[str, Result]:
    """The figures of a group and their stacks take turns, so that what changes on the machine meanwhile meets
    all of them.
    """
    results = {name: empty(figure, stacks) for name, figure in FIGURES.items() if figure.group == group}
    for run in range(1, runs + 1):
        for name, result in results.items():
            for stack in result["stacks"]:
                measure_once(name, stack, result, run, seconds)
    for result in results.values():
        finish(result)
    return results


def measure_once(name: str, stack: str, result: Result, run: int, seconds: float) -> None:
    idle = settle()
    measured = result["stacks"][stack]
    try:
        value = FIGURES[name].measure(
            STACKS[stack], min(seconds, BRIEF) if STACKS[stack].is_slow else seconds, run
        )
    except (OSError, subprocess.SubprocessError) as error:  # the other figures are still worth having
        measured["errors"].append(repr(error))
        print(f"{name} {run}, {stack}: {error!r}", file=sys.stderr)
        return
    measured["runs"][run] = value
    measured["idle_before"].append(round(idle, 2))
    print(f"{name} {run}, {stack}: {told(value)} {result['unit']}, after {idle:.0%} idle", file=sys.stderr)


def footer(described: dict[str, str | int], results: dict[str, Result], runs: int) -> str:
    idle = [
        share
        for result in results.values()
        for measured in result["stacks"].values()
        for share in measured["idle_before"]
    ]
    return (
        f"{machine.told(described)}; medians of {runs}; {sum(share < QUIET for share in idle)} of "
        f"{len(idle)} runs began on a busy machine."
    )


def main() -> int:
    chosen = arguments()
    if set(chosen.only) - WITHOUT_NAMESPACE and (reason := obstacle()):
        print(f"bench: can't measure here: {reason}", file=sys.stderr)
        return 3
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that namespaces are removed
    absent = {name: reason for name in chosen.stacks if (reason := missing(STACKS[name]))}
    stacks = [name for name in chosen.stacks if name not in absent]
    described = machine.described()
    results: dict[str, Result] = {}
    for group in chosen.only:
        is_sized = group == "explain" and chosen.megabytes
        results |= measure(
            group, stacks, chosen.runs, chosen.megabytes / MEGABYTES_A_SECOND if is_sized else chosen.seconds
        )
    words = [
        *(f"{STACKS[name].title}: {why}." for name, why in absent.items()),
        footer(described, results, chosen.runs),
    ]
    print(table(results, stacks, markdown=chosen.markdown), "", *words, sep="\n")
    if chosen.json:
        options = {"runs": chosen.runs, "seconds": chosen.seconds, "megabytes": chosen.megabytes}
        told_all = {"machine": described, "options": options, "missing": absent, "figures": results}
        chosen.json.write_text(json.dumps(told_all, ensure_ascii=False, indent=2) + "\n", "utf-8")
    if chosen.svg:
        chosen.svg.write_text(
            chart.render(results, {name: STACKS[name].title for name in stacks}, machine.told(described)),
            "utf-8",
        )
    return (
        1
        if any(measured["errors"] for result in results.values() for measured in result["stacks"].values())
        else 0
    )


if __name__ == "__main__":
    sys.exit(main())
