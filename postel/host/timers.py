"""The deadlines of all connections: one heap, nothing per tick, nothing for a connection without a deadline.

A connection's deadline moves with every ACK, nearly always to later, so a later one leaves its entry where it is: when the entry
comes to the top, the connection is asked again. Only an earlier deadline pushes a second entry, and the first is then ignored.
"""

from heapq import heapify, heappop, heappush
from typing import Final

from postel.tcp.connection import Connection
from postel.times import NEVER

_FEW: Final = 64  # stale entries that are never worth a sweep


class Timers:
    __slots__ = ("_armed", "_heap", "_serial", "_stale")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Connection]] = []
        self._armed: dict[Connection, int] = {}  # the deadline of each connection's valid entry
        self._serial = 0  # breaks ties: whoever was armed first goes first, and connections needn't compare
        self._stale = 0

    def __len__(self) -> int:
        return len(self._armed)

    def arm(self, connection: Connection, deadline: int) -> None:
        """Ask the connection again at ``deadline`` or before."""
        armed = self._armed.get(connection, NEVER)
        if deadline >= armed:
            return
        if armed != NEVER:
            self._stale += 1
        self._armed[connection] = deadline
        self._serial += 1
        heappush(self._heap, (deadline, self._serial, connection))

    def forget(self, connection: Connection) -> None:
        if self._armed.pop(connection, NEVER) != NEVER:
            self._stale += 1
            self._sweep()

    def next_timeout(self) -> int:
        return self._heap[0][0] if self._heap else NEVER

    def take_due(self, now: int) -> list[Connection]:
        """Whose deadlines have come, the earliest first. They are disarmed; deadlines that moved are armed anew."""
        due: list[Connection] = []
        while self._heap and self._heap[0][0] <= now:
            deadline, _, connection = heappop(self._heap)
            if self._armed.get(connection, NEVER) != deadline:
                self._stale -= 1
                continue
            del self._armed[connection]
            actual = connection.next_timeout()
            if actual > now:
                self.arm(connection, actual)
            else:
                due.append(connection)
        return due

    def _sweep(self) -> None:
        """Stale entries keep dead connections in memory: sweep when they are an eighth, which is O(1) for each."""
        if self._stale < _FEW or self._stale * 8 < len(self._heap):
            return
        self._heap = [entry for entry in self._heap if self._armed.get(entry[2], NEVER) == entry[0]]
        heapify(self._heap)
        self._stale = 0
