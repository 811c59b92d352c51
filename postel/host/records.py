"""Octets of which very many are kept, each until its time comes: found by key, ordered by deadline."""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from struct import Struct
from typing import Final

from postel.times import NEVER

_HEAD: Final = Struct("!QB")  # the deadline, and how long the key is that follows
_FEW: Final = 64  # void ones that are never worth a sweep


class Records:
    """One record is one string of octets that begins with its deadline. So the same octets stand in the table
    and in the queue, in their place; those that the table no longer has are void."""

    __slots__ = ("_queue", "_table")

    def __init__(self) -> None:
        self._table: dict[bytes, bytes] = {}
        self._queue: list[bytes] = []

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, key: bytes) -> bool:
        return key in self._table

    def __iter__(self) -> Iterator[bytes]:
        """The keys, those that were put first first."""
        return iter(self._table)

    def put(self, key: bytes, deadline: int, content: bytes) -> None:
        """Another of this key is gone then."""
        octets = b"".join((_HEAD.pack(deadline, len(key)), key, content))
        if self._table.get(key) == octets:
            return
        self._table[key] = octets
        heappush(self._queue, octets)
        if len(self._queue) > 2 * len(self._table) + _FEW:
            self._queue = list(self._table.values())
            heapify(self._queue)

    def deadline(self, key: bytes) -> int:
        return int.from_bytes(self._table[key][:8], "big")

    def content(self, key: bytes) -> bytes:
        return self._table[key][_HEAD.size + len(key) :]

    def discard(self, key: bytes) -> None:
        octets = self._table.pop(key, None)
        if octets is not None and self._queue[0] is octets:
            heappop(self._queue)

    def next_timeout(self) -> int:
        """The first deadline, or that of a void one before it."""
        return int.from_bytes(self._queue[0][:8], "big") if self._queue else NEVER

    def due(self, now: int) -> bytes | None:
        """The key whose deadline has come, the first of them; what is void before it is gone for good."""
        while self.next_timeout() <= now:
            octets = self._queue[0]
            key = octets[_HEAD.size : _HEAD.size + octets[8]]
            if self._table.get(key) is octets:
                return key
            heappop(self._queue)
        return None
