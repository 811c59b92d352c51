"""Deadlines of all connections, in one heap.

Theory of operation. Each connection has several timers (`postel.tcp.timers`), and `Connection.next_timeout`
is the earliest of them. The host needs the earliest of all connections. Nothing happens per tick of a clock,
and a connection without a running timer costs nothing. The heap is sorted by deadline; its first entry is the
host's next timeout.

A connection's deadline moves with nearly every ACK, and nearly always to a later time. A later deadline
leaves the entry where it is. When the entry becomes due, the host calls `Connection.next_timeout` again, and
arms the connection for that deadline::

    time        ────────┬───────────────┬────────────►
    heap              entry             │                armed when the timer was started
    connection          │          next_timeout()        moved by later ACKs; the heap isn't touched
                        └── entry due: not expired yet, arm again ──►

Only an earlier deadline pushes a second entry; the first is then *stale*, and ignored when it becomes due.
Stale entries are removed together once they are an eighth of the heap.
"""

from heapq import heapify, heappop, heappush
from typing import Final

from postel.tcp.connection import Connection
from postel.times import NEVER

_FEW: Final = 64  # fewer stale entries than this aren't removed


class Deadlines:
    """Heap of entries ``(deadline, serial, connection)``.

    The serial number decides between equal deadlines, so that connections needn't be comparable.
    """

    __slots__ = ("_armed", "_heap", "_serial", "_stale")

    def __init__(self) -> None:
        """Make an empty heap."""
        self._heap: list[tuple[int, int, Connection]] = []
        # Each connection's entry that isn't stale
        self._armed: dict[Connection, tuple[int, int, Connection]] = {}
        self._serial = 0
        self._stale = 0

    def __len__(self) -> int:
        """Number of connections that are armed."""
        return len(self._armed)

    def arm(self, connection: Connection, deadline: int) -> None:
        """Let `pop_due` return the connection at ``deadline``, in microseconds."""
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
        """Disarm a connection."""
        if self._armed.pop(connection, None) is not None:
            self._leave_stale()

    def next_timeout(self) -> int:
        """Earliest deadline in microseconds, which may be a stale one; NEVER where nothing is armed."""
        return self._heap[0][0] if self._heap else NEVER

    def pop_due(self, now: int) -> list[Connection]:
        """Disarm and return the connections with expired timers, the earliest first.

        A connection with a deadline that has moved is armed for the new one instead.
        """
        due: list[Connection] = []
        while self._heap and self._heap[0][0] <= now:
            entry = heappop(self._heap)
            connection = entry[2]
            armed = self._armed.get(connection)
            # Compared by serial number, because compiled code copies tuples, and `is` would be False
            if armed is None or armed[1] != entry[1]:
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
        """Count one more stale entry, and remove all once they are an eighth of the heap, at O(1) for each.

        Stale entries would keep dead connections in memory. A connection that is armed for two hours
        (keep-alive), and in between for an ACK, would leave a stale entry each time.
        """
        self._stale += 1
        if self._stale < _FEW or self._stale * 8 < len(self._heap):
            return
        self._heap = list(self._armed.values())
        heapify(self._heap)
        self._stale = 0
