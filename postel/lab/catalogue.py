"""Catalogue of claims: what tutorials say, in Chinese and English, the expected verdict, and the experiment.

The experiment of the claim ``three-way`` is the function ``three_way`` of one of the modules below. It takes
a `Bench`, makes its runs there, and returns the `Verdict` of what was seen. Some experiments have keyword
arguments. The tests pass values with which the claim is false, and check that the experiment notices it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Final

from postel.errors import ArgumentError
from postel.lab import (
    abrupt,
    close,
    compare,
    congestion,
    data,
    handshake,
    numbers,
    queues,
    timers,
    waiting,
    wrapping,
)
from postel.lab.bench import Bench
from postel.lab.interference import Interference
from postel.lab.scene import Scene
from postel.lab.translations import Text, table, text_of, words
from postel.lab.verdict import Verdict

Experiment = Callable[[Bench], Verdict]

_MODULES: Final[tuple[ModuleType, ...]] = (
    handshake,
    numbers,
    queues,
    data,
    wrapping,
    timers,
    congestion,
    close,
    waiting,
    abrupt,
    compare,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """Claim of the table, claims.toml.

    - ``id``: its name, as in ``postel lab run three-way``; ``group``: the heading it is listed under.
    - ``verdict``: what the experiment must find.
    - ``rfc``: RFC and section that decide it.
    - ``text``: the claim; ``look``: what to look at; ``note``: what was found, and why.
    - ``runs``: what each run is called, by its title; empty for a single run.
    - ``keywords``: words by which people look for it, in both languages; `find` knows them.
    - ``views``: the views that ``postel lab run`` shows where the user asks for none.
    """

    id: str
    group: str
    verdict: Verdict
    rfc: str
    text: Text
    look: Text
    note: Text
    runs: dict[str, Text]
    views: tuple[str, ...]
    keywords: tuple[str, ...] = ()

    @property
    def experiment(self) -> Experiment:
        """The function that makes the experiment."""
        name = self.id.replace("-", "_")
        found: Experiment = next(getattr(module, name) for module in _MODULES if hasattr(module, name))
        return found


@dataclass(frozen=True, slots=True)
class Report:
    """Result of an experiment: the claim, the verdict that was found, and its runs."""

    claim: Claim
    verdict: Verdict
    scenes: list[Scene]

    @property
    def agrees(self) -> bool:
        """Whether the verdict that was found is that of the table."""
        return self.verdict is self.claim.verdict

    def conclusion(self, language: str) -> str:
        """Return the verdict as a sentence, which also has the table's verdict if that differs."""
        said, claim = words(), self.claim
        key = "conclusion" if self.agrees else "otherwise"
        found, verdict = (said[str(which)][language] for which in (self.verdict, claim.verdict))
        return said[key][language].format(found=found, verdict=verdict, note=claim.note[language])


@cache
def claims() -> dict[str, Claim]:
    """Return all claims by their id, in the order of the table."""
    return {entry["id"]: _claim(entry) for entry in table()["claim"]}


def claim(name: str) -> Claim:
    """Return the claim with this id; raises `ArgumentError` where there is none."""
    if name not in claims():
        raise ArgumentError("CLAIM", name, "the name of a claim in the list of `postel lab`")
    return claims()[name]


def run(name: str, interference: Interference | None = None) -> Report:
    """Make the experiment of the claim with this id.

    The report is the same every time for the same ``interference``. Raises `ArgumentError` where there is no
    such claim.
    """
    chosen = claim(name)
    bench = Bench(interference)
    return Report(chosen, chosen.experiment(bench), bench.scenes)


def _claim(entry: dict[str, Any]) -> Claim:
    """Return the claim of an entry of claims.toml."""
    texts = {name: text_of(entry[name]) for name in ("text", "look", "note")}
    runs = {name: text_of(both) for name, both in entry.get("runs", {}).items()}
    verdict = Verdict(entry["verdict"])
    return Claim(
        entry["id"],
        entry["group"],
        verdict,
        entry["rfc"],
        **texts,
        runs=runs,
        views=tuple(entry.get("views", ("ladder",))),
        keywords=tuple(entry.get("keywords", ())),
    )
