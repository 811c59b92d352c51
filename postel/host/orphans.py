"""Released connections, also called orphans: connections that go on to close, though no program holds them.

Their number is bounded, and some are ended early when they hold memory that other connections need.
"""

from collections import OrderedDict
from typing import Final

from postel.tcp import hosted
from postel.tcp.connection import Connection
from postel.times import MINUTE

MOST: Final = 8192  # default limit of released connections: Linux's on machines with little memory
# Microseconds after its release in which `relieve` spares a connection that makes progress
_SPARED: Final = MINUTE
_LOOKS: Final = 32  # most connections that one call of `relieve` spares


class Orphans:
    """Released connections, in the order of their release. ``ended`` counts those that ended early.

    Connections that `relieve` has spared are at the end.
    """

    __slots__ = ("_limit", "_released", "ended")

    def __init__(self, limit: int) -> None:
        """Begin without connections; ``limit`` bounds their number."""
        self._limit = limit
        # Value: when the connection was released, in microseconds
        self._released: OrderedDict[Connection, int] = OrderedDict()
        self.ended: int = 0

    def __len__(self) -> int:
        """Number of released connections."""
        return len(self._released)

    def note(self, connection: Connection, now: int) -> None:
        """Add a released connection, unless it was added before. Above the limit, the oldest one is ended."""
        if connection in self._released:
            return
        self._released[connection] = now
        if len(self._released) > self._limit:
            self._end(next(iter(self._released)), now)

    def forget(self, connection: Connection) -> None:
        """Remove a connection that has ended."""
        if self._released:
            self._released.pop(connection, None)

    def relieve(self, octets: int, now: int) -> None:
        """End the oldest connections until they have freed this many octets.

        A connection is spared while its peer takes the data, up to a minute after its release. A spared
        connection moves to the end of the queue. Each call spares 32 connections at most, so that its cost is
        bounded.
        """
        freed = spared = 0
        while freed < octets and spared < min(_LOOKS, len(self._released)):
            connection = next(iter(self._released))
            held = connection.unacknowledged
            if held and (hosted.is_stuck(connection) or now - self._released[connection] >= _SPARED):
                freed += held
                self._end(connection, now)
            else:
                self._released.move_to_end(connection)
                spared += 1

    def _end(self, connection: Connection, now: int) -> None:
        del self._released[connection]
        self.ended += 1
        hosted.end_orphan(connection, now)
        connection.handle_timeout(now)
