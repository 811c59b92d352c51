"""Settings of paths that differ for a while, and go back to what they were."""

from collections.abc import Iterable, Mapping

from postel.sim.between import Between
from postel.sim.node import Node
from postel.sim.path import Path


class PathChange:
    """For as long as it is active, the paths that it covers have these ``settings``."""

    def __init__(self, between: Between, settings: Mapping[str, object]) -> None:
        self.between = between
        self.settings: dict[str, object] = dict(settings)


class PathChanges:
    """The changes that are active, in the order in which they began: of two that set the same, the later one
    holds.

    What a path had before its first change is kept, and given back when the last one has ended.
    """

    def __init__(self) -> None:
        self._changes: list[PathChange] = []
        self._before: dict[Path, dict[str, object]] = {}

    def __bool__(self) -> bool:
        return bool(self._changes)

    def __contains__(self, change: PathChange) -> bool:
        return change in self._changes

    def begin(self, change: PathChange, nodes: Iterable[Node]) -> None:
        """Apply ``change`` to the paths that there are."""
        self._changes.append(change)
        self._settle(nodes, change)

    def end(self, change: PathChange, nodes: Iterable[Node]) -> None:
        """Take ``change`` back; harmless where it has ended."""
        if change in self._changes:
            self._changes.remove(change)
            self._settle(nodes, change)

    def made(self, sender: str, receiver: str, path: Path) -> None:
        """A path was made while changes are active."""
        self._apply(sender, receiver, path)

    def _settle(self, nodes: Iterable[Node], change: PathChange) -> None:
        for node in nodes:
            for other, path in node.paths.items():
                if change.between.covers(node.name, other.name):
                    self._apply(node.name, other.name, path)

    def _apply(self, sender: str, receiver: str, path: Path) -> None:
        before = self._before.pop(path, {})
        for name, value in before.items():
            setattr(path, name, value)
        saved: dict[str, object] = {}
        for change in self._changes:
            if change.between.covers(sender, receiver):
                for name, value in change.settings.items():
                    saved.setdefault(name, getattr(path, name))
                    setattr(path, name, value)
        if saved:
            self._before[path] = saved
