"""What was written and the connection had no room for."""

from collections import deque

from postel.tcp.connection import Connection


class Backlog:
    """Whole writes in order, each a view of octets that can't change: a write of 1 GiB isn't copied, only
    told to wait.
    """

    __slots__ = ("_chunks", "size")

    def __init__(self) -> None:
        self._chunks: deque[memoryview] = deque()
        self.size: int = 0

    def append(self, data: memoryview) -> None:
        self._chunks.append(data)
        self.size += len(data)

    def flush_into(self, connection: Connection, now: int) -> None:
        while self._chunks:
            chunk = self._chunks[0]
            taken = connection.send(chunk, now)
            self.size -= taken
            if taken < len(chunk):
                self._chunks[0] = chunk[taken:]
                return
            self._chunks.popleft()
