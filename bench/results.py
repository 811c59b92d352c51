"""What was measured: of each figure every stack's runs, their medians, and how ours stand beside the
others.
"""

import statistics
from typing import Any

from bench.measure import OURS, Figure
from bench.place import STACKS

Result = dict[str, Any]  # as it stands in the JSON


def empty(figure: Figure, stacks: list[str]) -> Result:
    mine: dict[str, Result] = {
        name: {"runs": {}, "idle_before": [], "errors": []} for name in stacks if name in figure.stacks
    }
    return {"title": figure.title, "unit": figure.unit, "stacks": mine, "ratios": {}}


def finish(result: Result) -> None:
    """A ratio is the median of the runs' own: a run of one stack and the same of the other are neighbours in
    time.
    """
    for measured in result["stacks"].values():
        measured["median"] = statistics.median(measured["runs"].values()) if measured["runs"] else None
    for ours in OURS:
        for other in result["stacks"]:
            if ours in result["stacks"] and other not in OURS and (pairs := paired(result, ours, other)):
                result["ratios"].setdefault(other, {})[ours] = statistics.median(
                    mine / its for mine, its in pairs
                )


def paired(result: Result, ours: str, other: str) -> list[tuple[float, float]]:
    mine, its = result["stacks"][ours]["runs"], result["stacks"][other]["runs"]
    return [(mine[run], its[run]) for run in mine.keys() & its.keys() if its[run]]


def table(results: dict[str, Result], stacks: list[str], *, markdown: bool) -> str:
    """A row for each figure, a column for each stack."""
    shown = [name for name in stacks if any(name in result["stacks"] for result in results.values())]
    rows = [["what", *(STACKS[name].title for name in shown), "beside the others"]]
    rows += [
        [f"{result['title']}, {result['unit']}", *(cell(result, name) for name in shown), beside(result)]
        for result in results.values()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if markdown:
        lines = [f"| {' | '.join(row)} |" for row in rows]
        return "\n".join([lines[0], "|---" * len(widths) + "|", *lines[1:]])
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def cell(result: Result, stack: str) -> str:
    if stack not in result["stacks"]:
        return "–"
    measured = result["stacks"][stack]
    return told(measured["median"]) if measured["runs"] else "failed"


def beside(result: Result) -> str:
    """0.2 and 0.6 × Linux: interpreted and compiled, those of the two that were measured."""
    return "; ".join(
        f"{' and '.join(f'{ratio:.2g}' for ratio in ours.values())} × {STACKS[other].title}"
        for other, ours in result["ratios"].items()
    )


def told(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"
