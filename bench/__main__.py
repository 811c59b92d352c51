"""The README's figures: ``python -m bench``, as root, on Linux.

The peer is the kernel, over a TUN, in namespaces that are removed at the end. Every figure is the median of its runs; before each run the
machine must be quiet, or a wait is over. Exit status: 0, 1 if a run failed, 3 if nothing can be measured here.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.measure import FIGURES, GROUPS, MEGABYTES_A_SECOND, Figure, core_is_compiled
from bench.place import QUIET, obstacle, settle

Result = dict[str, Any]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--only", type=groups, default=GROUPS, metavar="GROUPS", help=f"of {','.join(GROUPS)}")
    parser.add_argument("--runs", type=positive, default=3, help="of which the median is told (default: 3)")
    parser.add_argument("--seconds", type=float, default=5.0, help="that a stream lasts (default: 5; with loss, twice that)")
    parser.add_argument(
        "--megabytes", type=positive, help=f"of the capture to explain (default: {MEGABYTES_A_SECOND} for each of the seconds)"
    )
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run's value, and what the machine is")
    return parser.parse_args()


def groups(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    if unknown := set(chosen) - set(GROUPS):
        raise argparse.ArgumentTypeError(f"no such group: {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    return chosen


def positive(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return int(text)


def machine() -> dict[str, Any]:
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "core": "compiled" if core_is_compiled() else "interpreted",
        "kernel": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
    }


def measure(group: str, runs: int, seconds: float) -> dict[str, Result]:
    """The figures of a group take turns, so that what changes on the machine meanwhile meets all of them."""
    figures = {name: figure for name, figure in FIGURES.items() if figure.group == group}
    results: dict[str, Result] = {
        name: {"title": figure.title, "unit": figure.unit, "runs": [], "idle_before": [], "errors": []} for name, figure in figures.items()
    }
    for run in range(1, runs + 1):
        for name, figure in figures.items():
            measure_once(name, figure, results[name], run, seconds)
    for result in results.values():
        result["median"] = statistics.median(result["runs"]) if result["runs"] else None
    return results


def compare(results: dict[str, Result]) -> None:
    for name, result in results.items():
        other = results.get(FIGURES[name].beside)
        if other is not None and result["runs"] and other["runs"]:
            result["ratio_to_linux"] = result["median"] / other["median"]


def measure_once(name: str, figure: Figure, result: Result, run: int, seconds: float) -> None:
    idle = settle()
    try:
        value = figure.measure(seconds, run)
    except (OSError, subprocess.SubprocessError) as error:  # the other figures are still worth having
        result["errors"].append(repr(error))
        print(f"{name} {run}: {error!r}", file=sys.stderr)
        return
    result["runs"].append(value)
    result["idle_before"].append(round(idle, 2))
    print(f"{name} {run}: {told(value, figure.unit)}, after {idle:.0%} idle", file=sys.stderr)


def told(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"


def row(result: Result) -> tuple[str, str, str, str]:
    runs, unit = result["runs"], result["unit"]
    if not runs:
        return (result["title"], "failed", "", "")
    ratio = f"{result['ratio_to_linux']:.2f}" if "ratio_to_linux" in result else ""
    return (result["title"], told(result["median"], unit), f"{told(min(runs), '')}– {told(max(runs), '')}".strip(), ratio)


def table(results: dict[str, Result], *, markdown: bool) -> str:
    rows = [("what", "median", "range", "share of Linux"), *map(row, results.values())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in rows]
    if markdown:
        lines = [f"| {' | '.join(line)} |" for line in rows]
        lines.insert(1, "|---|---|---|---|")
    return "\n".join(lines)


def footer(described: dict[str, Any], results: dict[str, Result], runs: int) -> str:
    busy = sum(idle < QUIET for result in results.values() for idle in result["idle_before"])
    of = sum(len(result["runs"]) for result in results.values())
    words = f"{described['python']}, {described['core']}; {described['kernel']}, {described['architecture']}, {described['cores']} cores"
    return f"{words}; medians of {runs}; {busy} of {of} runs began on a busy machine."


def main() -> int:
    chosen = arguments()
    if set(chosen.only) - {"import", "explain"} and (reason := obstacle()):
        print(f"bench: can't measure here: {reason}", file=sys.stderr)
        return 3
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that namespaces are removed
    described = machine()
    results: dict[str, Result] = {}
    for group in GROUPS:
        if group in chosen.only:
            is_sized = group == "explain" and chosen.megabytes
            results |= measure(group, chosen.runs, chosen.megabytes / MEGABYTES_A_SECOND if is_sized else chosen.seconds)
    compare(results)
    print(f"{table(results, markdown=chosen.markdown)}\n\n{footer(described, results, chosen.runs)}")
    if chosen.json:
        options = {"runs": chosen.runs, "seconds": chosen.seconds, "megabytes": chosen.megabytes}
        text = json.dumps({"machine": described, "options": options, "figures": results}, ensure_ascii=False, indent=2)
        chosen.json.write_text(text + "\n", "utf-8")
    return 1 if any(result["errors"] for result in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
