"""What a host does when its memory is used up, and which connection gets memory that becomes free.

Theory of operation. All buffers of all connections count against one limit, `Host`'s ``memory_limit``
(`postel.tcp.memory`). When a connection asks for memory and gets none, the host makes an eighth of the limit
free, in this order::

    1. buffers that grew       shrink to the size at which they began
    2. data behind a gap       is thrown away: the peer still has it, and sends it again (RFC 2018, 8)
    3. released connections    end, the oldest first, if their peer doesn't take the data left to send

Connections that wait for memory then get it in the order in which they began to wait: *writers* have data to
send, and get the event Writable; *readers* advertised a window of nearly zero, and send a window update.

The cost of each step is bounded: no call looks at more than 64 connections, however many there are. The next
call goes on with the connections that are left. There is a call for each packet that met the limit.
"""

from itertools import islice
from typing import Final

from postel.host.orphans import Orphans
from postel.host.pairs import key_of
from postel.tcp import hosted
from postel.tcp.connection import Connection
from postel.tcp.events import WRITABLE, Event
from postel.tcp.memory import Holder, Memory

_AT_ONCE: Final = 64  # most connections that one call looks at, in each step


class Relief:
    """Relief of a host's memory: it makes memory free, and gives free memory to connections that wait."""

    __slots__ = ("_heeded", "_memory", "_orphans", "_table", "_unvisited", "_waits_heeded")

    def __init__(self, memory: Memory, table: dict[bytes, Connection], orphans: Orphans) -> None:
        """Make the relief of ``memory`` for the connections in ``table``. ``orphans`` are the released."""
        self._memory = memory
        self._table = table
        self._orphans = orphans
        self._unvisited: list[bytes] = []  # keys of connections with buffers to shrink in this round
        self._heeded = 0  # the value of `Memory.refused` when memory was last made free
        self._waits_heeded = 0  # the value of `Memory.waits` when memory was last freed for a writer

    def has_memory(self, now: int) -> bool:
        """Whether there is memory for a new connection. If none is free, try to free some first."""
        if self._memory.free == 0:
            self.relieve(now)
        return self._memory.free > 0

    def attend(self, now: int) -> None:
        """Make memory free if some was refused, and send window updates. Called while `Memory.is_wanted`.

        For a waiting writer only released connections are ended. Data behind gaps isn't dropped, because its
        connections have the same right to memory as the writer.
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
        """Make an eighth of the memory free: shrink buffers, drop data behind gaps, end released connections.

        Segments that never join must not fill the host (BAD-SEQ-6). Nor must connections with peers that
        never take the last data (BAD-WIN-7).
        """
        self._heeded = self._memory.refused
        self._shrink_buffers()
        excess = self._memory.limit // 8 - self._memory.free
        if excess > 0 and self._memory.gaps:
            self._give_up_gaps(excess)
        self._end_orphans(now)

    def next_writer(self) -> tuple[Connection, Event] | None:
        """Connection that has waited longest for memory to send, with the event Writable.

        Returns None where no memory is free, or no connection waits.
        """
        while (holder := self._memory.next_writer()) is not None:
            connection = self._of(holder)
            if connection is not None and hosted.stops_wanting_room(connection):
                return connection, WRITABLE
        return None

    def _of(self, holder: Holder) -> Connection | None:
        """Connection that holds this part of the memory; None where it has ended."""
        local, remote = hosted.ends(holder)
        connection = self._table.get(key_of(local, remote))
        return connection if connection is not None and hosted.is_of(holder, connection) else None

    def _serve_readers(self) -> None:
        """Send window updates to readers, the longest waiting first, while the free memory is enough."""
        readers = self._memory.readers
        for _ in range(min(len(readers), _AT_ONCE)):
            holder = next(iter(readers))
            connection = self._of(holder)
            if connection is not None and hosted.is_starved(connection) and not connection.offer_window():
                return
            del readers[holder]

    def _shrink_buffers(self) -> None:
        """Shrink the buffers of the next 64 connections; after the last, begin again with the first."""
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
        """Free this many octets of data behind gaps.

        Among the 64 connections with the oldest gaps, those with the most data behind gaps lose theirs first.
        """
        oldest = list(islice(self._memory.gaps, _AT_ONCE))
        freed = 0
        for holder in sorted(oldest, key=hosted.gap_weight, reverse=True):
            if freed >= excess:
                break
            freed += hosted.give_up_gap(holder, excess - freed)
