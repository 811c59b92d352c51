"""Barriers between hosts: partitions, links that flap, and holds.

Barriers are kept in the order in which they began. A repair or a release ends the earlier barriers for the
hosts that it covers; a barrier that begins after the repair is not ended by it. No timer is needed: the time
alone decides whether a flapping link is down.
"""

from typing import Final, Literal

from postel.sim.between import Between

BarrierKind = Literal["partition", "flap", "hold", "repair", "release"]

_LIFTED_BY: Final = {"partition": "repair", "flap": "repair", "hold": "release"}


class Barrier:
    """Partition, flapping link or hold; or a "repair" or "release", which ends those between some hosts."""

    def __init__(
        self, kind: BarrierKind, between: Between, at: int = 0, *, up: int = 0, down: int = 0
    ) -> None:
        """Make a barrier that begins at the time ``at``, in microseconds.

        A flapping link works for ``up`` microseconds, then fails for ``down`` microseconds, and so on.
        """
        self.kind = kind
        self.between = between
        self.at = at
        self.up = up
        self.down = down

    def cuts(self, sent_at: int, arrives_at: int) -> bool:
        """Whether the barrier loses a packet that is under way from ``sent_at`` to ``arrives_at``."""
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

    ``any_stands`` says whether there is any barrier, as ``bool()`` does. It is an attribute, because it is
    read for every packet.
    """

    def __init__(self) -> None:
        """Begin without barriers."""
        self._barriers: list[Barrier] = []
        self._known: dict[tuple[str, str], list[Barrier]] = {}  # those in effect, by sender and receiver
        self.any_stands: bool = False

    def __bool__(self) -> bool:
        """Whether the world has any barrier now."""
        return self.any_stands

    def add(self, barrier: Barrier) -> None:
        """Add ``barrier``, which has an effect from now on."""
        self._barriers.append(barrier)
        self._changed()

    def remove(self, barrier: Barrier) -> None:
        """Remove ``barrier``. Does nothing if ``barrier`` was removed before."""
        if barrier in self._barriers:
            self._barriers.remove(barrier)
        self._changed()

    def lift(self, barrier: Barrier) -> None:
        """Add the repair or release ``barrier``, and forget the barriers that have no effect any more."""
        self._barriers = [other for other in self._barriers if not _is_lifted(other, barrier)]
        self.add(barrier)
        self._barriers = [other for other in self._barriers if not self._is_without_effect(other)]
        self._changed()

    def _is_without_effect(self, barrier: Barrier) -> bool:
        """Whether several repairs or releases together have ended ``barrier`` for all its hosts.

        That is known only if the barrier names all its hosts without patterns. Then each pair of hosts is
        looked up.
        """
        if barrier.kind in ("repair", "release") or barrier.between.pairs is None:
            return False
        return not any(
            barrier in self.between(sender, receiver) for sender, receiver in barrier.between.pairs
        )

    def __contains__(self, barrier: Barrier) -> bool:
        """Whether ``barrier`` was added and is not forgotten."""
        return barrier in self._barriers

    def between(self, sender: str, receiver: str) -> list[Barrier]:
        """Barriers in effect now for packets from ``sender`` to ``receiver``."""
        found = self._known.get((sender, receiver))
        if found is None:
            found = self._known[sender, receiver] = self._find(sender, receiver)
        return found

    def cut(self, sender: str, receiver: str, sent_at: int, arrives_at: int) -> str:
        """Reason why a packet under way between these times is lost: "partition" or "link down", else ""."""
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
        ):  # a repair or release at the head ends no barrier that is still listed
            del self._barriers[0]
        self.any_stands = bool(self._barriers)


def _is_lifted(barrier: Barrier, by: Barrier) -> bool:
    return _LIFTED_BY.get(barrier.kind) == by.kind and barrier.between.is_within(by.between)
