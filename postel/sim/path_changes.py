"""Settings of paths that differ for a while, and are set back."""

from collections.abc import Iterable, Mapping

from postel.sim.between import Between
from postel.sim.node import Node
from postel.sim.path import Path


class PathChange:
    """Settings that the paths between some hosts have while this change is active."""

    def __init__(self, between: Between, settings: Mapping[str, object]) -> None:
        """Prepare a change of the paths that ``between`` covers."""
        self.between = between
        self.settings: dict[str, object] = dict(settings)


class PathChanges:
    """Changes that are active, in the order in which they began.

    If two changes concern the same setting, the later one counts. The setting of a path before its first
    change is kept, and set again when the last change has ended.
    """

    def __init__(self) -> None:
        """Begin without changes."""
        self._changes: list[PathChange] = []
        self._before: dict[Path, dict[str, object]] = {}

    def __bool__(self) -> bool:
        """Whether any change is active."""
        return bool(self._changes)

    def __contains__(self, change: PathChange) -> bool:
        """Whether ``change`` is active."""
        return change in self._changes

    def begin(self, change: PathChange, nodes: Iterable[Node]) -> None:
        """Apply ``change`` to the existing paths that it covers."""
        self._changes.append(change)
        self._settle(nodes, change)

    def end(self, change: PathChange, nodes: Iterable[Node]) -> None:
        """Undo ``change``. Does nothing if it has ended before."""
        if change in self._changes:
            self._changes.remove(change)
            self._settle(nodes, change)

    def made(self, sender: str, receiver: str, path: Path) -> None:
        """Apply the active changes to a path that was just made."""
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
