"""The clock of a world, and everything that will happen: arrivals, wake-ups of hosts and the user's own calls, in one heap, ordered by time
and then by when they were put there. Between two of them nothing can happen, so the clock jumps."""

from collections.abc import Callable
from heapq import heappop, heappush

from postel.sim.node import Node
from postel.times import NEVER

Entry = tuple[int, int, Node | None, bytes, Callable[[], object] | None]


class Agenda:
    """What will happen in a world. ``now`` is the time of its clock."""

    def __init__(self) -> None:
        self.now: int = 0
        self._heap: list[Entry] = []
        self._order = 0

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, when: int, node: Node | None, octets: bytes = b"", call: Callable[[], object] | None = None) -> None:
        """An arrival of ``octets``; without them a wake-up of the host; or a call of the user's."""
        self._order += 1
        heappush(self._heap, (when, self._order, node, octets, call))

    def due(self) -> int:
        """When the next entry is due; NEVER without one."""
        return self._heap[0][0] if self._heap else NEVER

    def pop(self) -> Entry:
        """Remove the next entry."""
        return heappop(self._heap)
