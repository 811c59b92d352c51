"""The deadlines of all connections: one heap, nothing per tick, nothing for a connection without a deadline.

A connection's deadline moves with every ACK, nearly always to later, so a later one leaves its entry where it
is: when the entry comes to the top, the connection is asked again. Only an earlier deadline pushes a second
entry, and the first is then ignored.
"""

from heapq import heapify, heappop, heappush
from typing import Final

from postel.tcp.connection import Connection
from postel.times import NEVER

_FEW: Final = 64  # stale entries that are never worth a sweep


class Deadlines:
    """An entry is ``(deadline, serial, connection)``; the serial number breaks ties, so that connections
    needn't compare.
    """

    __slots__ = ("_armed", "_heap", "_serial", "_stale")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Connection]] = []
        self._armed: dict[Connection, tuple[int, int, Connection]] = {}  # each connection's valid entry
        self._serial = 0
        self._stale = 0

    def __len__(self) -> int:
        return len(self._armed)

    def arm(self, connection: Connection, deadline: int) -> None:
        """Ask the connection again at ``deadline`` or before."""
        armed = self._armed.get(connection)
        if deadline >= (NEVER if armed is None else armed[0]):
            return
        self._serial += 1
        entry = (deadline, self._serial, connection)
        self._armed[connection] = entry
        heappush(self._heap, entry)
        if armed is not None:
            self._leave_stale()

    def forget(self, connection: Connection) -> None:
        if self._armed.pop(connection, None) is not None:
            self._leave_stale()

    def next_timeout(self) -> int:
        return self._heap[0][0] if self._heap else NEVER

    def pop_due(self, now: int) -> list[Connection]:
        """Connections whose deadlines have come, the earliest first. They are disarmed; deadlines that moved
        are armed anew.
        """
        due: list[Connection] = []
        while self._heap and self._heap[0][0] <= now:
            entry = heappop(self._heap)
            connection = entry[2]
            armed = self._armed.get(connection)
            if (
                armed is None or armed[1] != entry[1]
            ):  # by number, for the compiler makes a tuple anew: it has no identity
                self._stale -= 1
                continue
            del self._armed[connection]
            actual = connection.next_timeout()
            if actual > now:
                self.arm(connection, actual)
            else:
                due.append(connection)
        return due

    def _leave_stale(self) -> None:
        """One more entry is stale. They are swept when they are an eighth, which is O(1) for each: they keep
        dead connections in memory, and one that is armed for two hours of keep-alive, and now and then for an
        ACK, would leave one each time.
        """
        self._stale += 1
        if self._stale < _FEW or self._stale * 8 < len(self._heap):
            return
        self._heap = list(self._armed.values())
        heapify(self._heap)
        self._stale = 0
