"""Queue of data that a program has written, and for which the connection has no room yet."""

from collections import deque

from postel.tcp.connection import Connection


class Backlog:
    """Queue of writes, in order, each a view of octets that don't change.

    A write of 1 GiB isn't copied: it only waits. ``size`` is the number of octets that wait.
    """

    __slots__ = ("_chunks", "size")

    def __init__(self) -> None:
        """Start with an empty queue."""
        self._chunks: deque[memoryview] = deque()
        self.size: int = 0

    def append(self, data: memoryview) -> None:
        """Add a write."""
        self._chunks.append(data)
        self.size += len(data)

    def flush_into(self, connection: Connection, now: int) -> None:
        """Send as much as the connection has room for. Raises TcpError if the connection has ended."""
        while self._chunks:
            chunk = self._chunks[0]
            taken = connection.send(chunk, now)
            self.size -= taken
            if taken < len(chunk):
                self._chunks[0] = chunk[taken:]
                return
            self._chunks.popleft()
