"""A table of very many small records, each kept until its deadline: found by key, ordered by deadline."""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from struct import Struct
from typing import Final

from postel.times import NEVER

_HEAD: Final = Struct("!QB")  # the deadline, and the length of the key that follows
_FEW: Final = 64  # up to this number of void records none is removed


class Records:
    """Table and priority queue of records; each record is one string of octets.

    A record begins with its deadline as a big-endian number, so that records compare by deadline. The same
    bytes object stands in the table and in the queue. A record in the queue that the table no longer has is
    *void*, and ignored.
    """

    __slots__ = ("_queue", "_table")

    def __init__(self) -> None:
        """Make an empty table."""
        self._table: dict[bytes, bytes] = {}
        self._queue: list[bytes] = []

    def __len__(self) -> int:
        """Number of records."""
        return len(self._table)

    def __contains__(self, key: bytes) -> bool:
        """Whether there is a record for ``key``."""
        return key in self._table

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over the keys, in the order in which they were first put."""
        return iter(self._table)

    def put(self, key: bytes, deadline: int, content: bytes) -> None:
        """Insert or replace the record for ``key``. ``deadline`` is in microseconds."""
        octets = b"".join((_HEAD.pack(deadline, len(key)), key, content))
        if self._table.get(key) == octets:
            return
        self._table[key] = octets
        heappush(self._queue, octets)
        if len(self._queue) > 2 * len(self._table) + _FEW:
            self._queue = list(self._table.values())
            heapify(self._queue)

    def deadline(self, key: bytes) -> int:
        """Deadline of the record for ``key``, in microseconds."""
        return int.from_bytes(self._table[key][:8], "big")

    def content(self, key: bytes) -> bytes:
        """Content of the record for ``key``."""
        return self._table[key][_HEAD.size + len(key) :]

    def discard(self, key: bytes) -> None:
        """Remove the record for ``key``; harmless where there is none."""
        octets = self._table.pop(key, None)
        if octets is not None and self._queue[0] is octets:
            heappop(self._queue)

    def next_timeout(self) -> int:
        """Earliest deadline in microseconds, or NEVER where there is no record.

        The deadline may be that of a void record.
        """
        return int.from_bytes(self._queue[0][:8], "big") if self._queue else NEVER

    def due(self, now: int) -> bytes | None:
        """Key of the record with the earliest deadline, if that is ``now`` or earlier; else None.

        Void records before it are removed. The record itself stays.
        """
        while self.next_timeout() <= now:
            octets = self._queue[0]
            key = octets[_HEAD.size : _HEAD.size + octets[8]]
            if self._table.get(key) is octets:
                return key
            heappop(self._queue)
        return None
