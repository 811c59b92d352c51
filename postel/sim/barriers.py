"""Barriers between hosts: partitions, links that flap, and holds.

Barriers stand in the order in which they came. A later repair or release ends an earlier barrier for the
hosts that both cover, and a still later barrier stands again. No timer is needed: the time alone decides
whether a flapping link is down.
"""

from typing import Final, Literal

from postel.sim.between import Between

BarrierKind = Literal["partition", "flap", "hold", "repair", "release"]

_LIFTED_BY: Final = {"partition": "repair", "flap": "repair", "hold": "release"}


class Barrier:
    """Partition, flapping link or hold; or its end between some hosts, a "repair" or a "release"."""

    def __init__(
        self, kind: BarrierKind, between: Between, at: int = 0, *, up: int = 0, down: int = 0
    ) -> None:
        """Make a barrier that begins at ``at``.

        A flapping link works for ``up`` and fails for ``down`` in turn.
        """
        self.kind = kind
        self.between = between
        self.at = at
        self.up = up
        self.down = down

    def cuts(self, sent_at: int, arrives_at: int) -> bool:
        """Whether it loses a packet that is under way from ``sent_at`` to ``arrives_at``."""
        if self.kind == "partition":
            return True
        return self.kind == "flap" and (
            (sent_at - self.at) % (self.up + self.down) >= self.up or self._goes_down(sent_at, arrives_at)
        )

    def _goes_down(self, sent_at: int, arrives_at: int) -> bool:
        period = self.up + self.down
        next_down = sent_at + (self.up - (sent_at - self.at)) % period
        return next_down <= arrives_at


class Barriers:
    """All barriers of a world, in the order in which they came.

    ``any_stands`` is what ``bool()`` returns. It is an attribute, because it is read for every packet.
    """

    def __init__(self) -> None:
        """Begin without barriers."""
        self._barriers: list[Barrier] = []
        self._known: dict[tuple[str, str], list[Barrier]] = {}  # by sender and receiver
        self.any_stands: bool = False

    def __bool__(self) -> bool:
        """Whether any barrier stands."""
        return self.any_stands

    def add(self, barrier: Barrier) -> None:
        """Let ``barrier`` stand from now on."""
        self._barriers.append(barrier)
        self._changed()

    def remove(self, barrier: Barrier) -> None:
        """Take ``barrier`` away. Does nothing where it doesn't stand."""
        if barrier in self._barriers:
            self._barriers.remove(barrier)
        self._changed()

    def lift(self, barrier: Barrier) -> None:
        """Add a repair or a release, and forget the barriers that have no effect any more."""
        self._barriers = [other for other in self._barriers if not _is_lifted(other, barrier)]
        self.add(barrier)
        self._barriers = [other for other in self._barriers if not self._is_without_effect(other)]
        self._changed()

    def _is_without_effect(self, barrier: Barrier) -> bool:
        """Whether several repairs or releases together have ended all of it.

        That is known only if all its hosts are named, and none of its pairs has it.
        """
        if barrier.kind in ("repair", "release") or barrier.between.pairs is None:
            return False
        return not any(
            barrier in self.between(sender, receiver) for sender, receiver in barrier.between.pairs
        )

    def __contains__(self, barrier: Barrier) -> bool:
        """Whether ``barrier`` stands."""
        return barrier in self._barriers

    def between(self, sender: str, receiver: str) -> list[Barrier]:
        """Barriers that stand in the way from ``sender`` to ``receiver``."""
        found = self._known.get((sender, receiver))
        if found is None:
            found = self._known[sender, receiver] = self._find(sender, receiver)
        return found

    def cut(self, sender: str, receiver: str, sent_at: int, arrives_at: int) -> str:
        """Why a packet under way in that time is lost, "partition" or "link down"; "" if it passes."""
        for barrier in self.between(sender, receiver):
            if barrier.cuts(sent_at, arrives_at):
                return "partition" if barrier.kind == "partition" else "link down"
        return ""

    def holds(self, sender: str, receiver: str) -> bool:
        """Whether packets from ``sender`` to ``receiver`` are held."""
        return any(barrier.kind == "hold" for barrier in self.between(sender, receiver))

    def _find(self, sender: str, receiver: str) -> list[Barrier]:
        standing: list[Barrier] = []
        for barrier in self._barriers:
            if not barrier.between.covers(sender, receiver):
                continue
            if barrier.kind in ("repair", "release"):
                standing = [other for other in standing if _LIFTED_BY[other.kind] != barrier.kind]
            else:
                standing.append(barrier)
        return standing

    def _changed(self) -> None:
        self._known.clear()
        while self._barriers and self._barriers[0].kind in (
            "repair",
            "release",
        ):  # ended barriers that are gone
            del self._barriers[0]
        self.any_stands = bool(self._barriers)


def _is_lifted(barrier: Barrier, by: Barrier) -> bool:
    return _LIFTED_BY.get(barrier.kind) == by.kind and barrier.between.is_within(by.between)
