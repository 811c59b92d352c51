"""What is done when the host's memory is used up, and which connection gets what becomes free.

Each of the three means is bounded: no call looks at all connections, however many there are. What one call
leaves undone the next does, and there is one for each packet that met the limit.
"""

from itertools import islice
from typing import Final

from postel.host.orphans import Orphans
from postel.host.pairs import key_of
from postel.tcp import hosted
from postel.tcp.connection import Connection
from postel.tcp.events import WRITABLE, Event
from postel.tcp.memory import Holder, Memory

_AT_ONCE: Final = 64  # connections that one call looks at, for each of the means


class Relief:
    __slots__ = ("_heeded", "_memory", "_orphans", "_table", "_unvisited", "_waits_heeded")

    def __init__(self, memory: Memory, table: dict[bytes, Connection], orphans: Orphans) -> None:
        self._memory = memory
        self._table = table
        self._orphans = orphans
        self._unvisited: list[bytes] = []  # keys of connections that this round has not looked at yet
        self._heeded = 0  # refusals of memory that were looked into
        self._waits_heeded = 0  # and writers

    def has_memory(self, now: int) -> bool:
        """Whether there is memory for a new connection; what can be made free is."""
        if self._memory.free == 0:
            self.relieve(now)
        return self._memory.free > 0

    def attend(self, now: int) -> None:
        """What `Memory.is_wanted` asks for: make memory free if some was refused, and let peers hear of it
        that wait for a window.

        For a writer that waits only released connections end: what lies behind gaps belongs to connections as
        good as its own.
        """
        memory = self._memory
        if memory.refused != self._heeded:
            self.relieve(now)
        if memory.waits != self._waits_heeded:
            self._waits_heeded = memory.waits
            self._end_orphans(now)
        if memory.readers and memory.free:
            self._serve_readers()
        memory.is_wanted = len(memory.readers) > 0

    def relieve(self, now: int) -> None:
        """Make an eighth of the memory free.

        First goes what waits behind gaps: its peers still have it (RFC 2018, 8), and segments that never join
        must not fill the host (BAD-SEQ-6). Then the oldest released connections end whose peers don't take
        what is left (BAD-WIN-7). Buffers that grew go back.
        """
        self._heeded = self._memory.refused
        self._shrink_buffers()
        excess = self._memory.limit // 8 - self._memory.free
        if excess > 0 and self._memory.gaps:
            self._give_up_gaps(excess)
        self._end_orphans(now)

    def next_writer(self) -> tuple[Connection, Event] | None:
        """The connection that waits longest for memory to send, when some is free, and what to tell its
        user.
        """
        while (holder := self._memory.next_writer()) is not None:
            connection = self._of(holder)
            if connection is not None and hosted.stops_wanting_room(connection):
                return connection, WRITABLE
        return None

    def _of(self, holder: Holder) -> Connection | None:
        """The connection whose part of the memory this is; None where it is over."""
        local, remote = hosted.ends(holder)
        connection = self._table.get(key_of(local, remote))
        return connection if connection is not None and hosted.is_of(holder, connection) else None

    def _serve_readers(self) -> None:
        """Those that wait longest first, until what is free is no window worth telling of."""
        readers = self._memory.readers
        for _ in range(min(len(readers), _AT_ONCE)):
            holder = next(iter(readers))
            connection = self._of(holder)
            if connection is not None and hosted.is_starved(connection) and not connection.offer_window():
                return
            del readers[holder]

    def _shrink_buffers(self) -> None:
        """Of so many connections at once, all in turn."""
        unvisited = self._unvisited
        if not unvisited:
            unvisited.extend(self._table)
        for key in unvisited[-_AT_ONCE:]:
            connection = self._table.get(key)
            if connection is not None:
                hosted.shrink_buffers(connection)
        del unvisited[-_AT_ONCE:]

    def _end_orphans(self, now: int) -> None:
        excess = self._memory.limit // 8 - self._memory.free
        if excess > 0:
            self._orphans.relieve(excess, now)

    def _give_up_gaps(self, excess: int) -> None:
        """Free so many octets: among the connections with the oldest gaps, those that hold most give most."""
        oldest = list(islice(self._memory.gaps, _AT_ONCE))
        freed = 0
        for holder in sorted(oldest, key=hosted.gap_weight, reverse=True):
            if freed >= excess:
                break
            freed += hosted.give_up_gap(holder, excess - freed)
