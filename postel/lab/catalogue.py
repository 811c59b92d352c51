"""The claims: what tutorials say, in Chinese and English, what must be found of it, and the experiment that
finds it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Final

from postel.errors import ArgumentError
from postel.lab import close, compare, data, handshake, numbers, queues, waiting
from postel.lab.bench import Bench
from postel.lab.interference import Interference
from postel.lab.scene import Scene
from postel.lab.translations import Text, table, text_of, words
from postel.lab.verdict import Verdict

Experiment = Callable[[Bench], Verdict]

_MODULES: Final[tuple[ModuleType, ...]] = (handshake, numbers, queues, data, close, waiting, compare)


@dataclass(frozen=True, slots=True)
class Claim:
    """``look`` says what to look at, ``note`` what was found, ``runs`` what each run is called; ``views`` are
    shown by themselves.
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

    @property
    def experiment(self) -> Experiment:
        name = self.id.replace("-", "_")
        found: Experiment = next(getattr(module, name) for module in _MODULES if hasattr(module, name))
        return found


@dataclass(frozen=True, slots=True)
class Report:
    """An experiment, made."""

    claim: Claim
    verdict: Verdict
    scenes: list[Scene]

    @property
    def agrees(self) -> bool:
        """Whether the verdict is that of the table."""
        return self.verdict is self.claim.verdict

    def conclusion(self, language: str) -> str:
        """The verdict in words, with what the table has, where that is something else."""
        said, claim = words(), self.claim
        key = "conclusion" if self.agrees else "otherwise"
        found, verdict = (said[str(which)][language] for which in (self.verdict, claim.verdict))
        return said[key][language].format(found=found, verdict=verdict, note=claim.note[language])


@cache
def claims() -> dict[str, Claim]:
    """By id, in the order of the table."""
    return {entry["id"]: _claim(entry) for entry in table()["claim"]}


def claim(name: str) -> Claim:
    """Raises ArgumentError where there is none of this name."""
    if name not in claims():
        raise ArgumentError("CLAIM", name, "one of those that `postel lab` lists")
    return claims()[name]


def run(name: str, interference: Interference | None = None) -> Report:
    """Make the experiment: the same report every time, for the same interference."""
    chosen = claim(name)
    bench = Bench(interference)
    return Report(chosen, chosen.experiment(bench), bench.scenes)


def _claim(entry: dict[str, Any]) -> Claim:
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
    )
