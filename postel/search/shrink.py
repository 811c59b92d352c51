"""Shrinking of a failure: the fewest and the shortest faults with which a run still fails.

Faults are left out first: half of them at a time, then a quarter, until none can be left out (delta
debugging: Zeller and Hildebrandt, 2002). Each remaining fault is then made simpler: one direction instead of
both, fewer hosts, a shorter length, a rounder time of beginning.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from postel.sim.faults import Fault
from postel.times import HOUR, MILLISECOND, NEVER, SECOND

Faults = tuple[Fault, ...]
# Lengths and times that are easy to read are multiples of these
_STEPS: Final = (SECOND, 100 * MILLISECOND, 10 * MILLISECOND, MILLISECOND)
_FINE: Final = 64
_MOMENTARY: Final = ("clock",)
_BETWEEN: Final = ("partition", "hold", "flap", "path")


class Spent(Exception):
    """Exception when the allowed number of runs has been made."""


class Shrinker:
    """Search for a smaller schedule than ``faults`` with which a run fails.

    ``smallest`` is the smallest schedule found so far, and ``runs`` is the number of runs made so far.
    """

    def __init__(self, faults: Sequence[Fault], fails: Callable[[Faults], bool], most: int) -> None:
        """Prepare a search. ``fails`` runs the test with given faults, ``most`` times at the most."""
        self.smallest: Faults = tuple(faults)
        self.runs: int = 0
        self._fails = fails
        self._most = most
        self._tried: set[Faults] = {self.smallest}

    def run(self) -> Faults:
        """Shrink until no step makes it smaller, or no more runs are allowed. Returns `smallest`."""
        try:
            while self._round():
                pass
        except Spent:
            pass
        return self.smallest

    def _round(self) -> bool:
        """Try each step once. Returns whether the schedule got smaller."""
        before = self.smallest
        self._leave_out()
        for index in range(len(self.smallest)):
            self._simplify(index)
        return self.smallest != before

    def _try(self, faults: Faults) -> bool:
        """Run with ``faults``, unless that was done before. If the run fails, they become `smallest`."""
        if faults in self._tried:
            return False
        if self.runs >= self._most:
            raise Spent
        self._tried.add(faults)
        self.runs += 1
        if not self._fails(faults):
            return False
        self.smallest = faults
        return True

    def _leave_out(self) -> None:
        """Leave out as many faults as possible."""
        if self._try(()):
            return
        size = len(self.smallest)
        while size := size // 2:
            start = 0
            while start < len(self.smallest):
                if not self._try(self.smallest[:start] + self.smallest[start + size :]):
                    start += size

    def _simplify(self, index: int) -> None:
        """Make one fault simpler."""
        for simpler in _narrower(self.smallest[index]):
            self._put(index, simpler)
        self._shorten(index)
        self._round_moment(index)

    def _put(self, index: int, fault: Fault) -> bool:
        """Try a schedule in which ``fault`` replaces the fault at ``index``."""
        return self._try((*self.smallest[:index], fault, *self.smallest[index + 1 :]))

    def _shorten(self, index: int) -> None:
        """Find the shortest length of a fault with which the run fails.

        The search halves the distance between a length that is too short and one with which the run fails,
        down to a step of 1 to 2 % of the length.
        """
        fault = self.smallest[index]
        if fault.kind in _MOMENTARY or (
            fault.length == NEVER and not self._put(index, replace(fault, length=HOUR))
        ):
            return
        length = self.smallest[index].length
        step = next((step for step in _STEPS if length >= _FINE * step), _STEPS[-1])
        short, long = 0, -(-length // step)
        while long - short > 1:
            middle = (short + long) // 2
            if self._put(index, replace(fault, length=middle * step)):
                long = middle
            else:
                short = middle
        if self.smallest[index].length % step:
            self._put(index, replace(fault, length=long * step))

    def _round_moment(self, index: int) -> None:
        """Let the fault begin at a rounder time."""
        fault = self.smallest[index]
        for step in _STEPS:
            down = fault.at // step * step
            if (
                fault.at == down
                or self._put(index, replace(fault, at=down))
                or self._put(index, replace(fault, at=down + step))
            ):
                return


def _narrower(fault: Fault) -> Iterator[Fault]:
    """Variants of a fault that affect less: one direction, or one host of several."""
    if fault.both and fault.kind in _BETWEEN:
        yield replace(fault, both=False)
        if fault.others:
            yield replace(fault, both=False, hosts=fault.others, others=fault.hosts)
    for name in fault.hosts if len(fault.hosts) > 1 else ():
        yield replace(fault, hosts=(name,))
    for name in fault.others if len(fault.others) > 1 else ():
        yield replace(fault, others=(name,))
