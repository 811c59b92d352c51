"""Released connections: how many there are, and which end first when they are too many or hold memory that
others need.
"""

from collections import OrderedDict
from typing import Final

from postel.tcp import hosted
from postel.tcp.connection import Connection
from postel.times import MINUTE

MOST: Final = 8192  # as kernels have it where memory is small
_SPARED: Final = MINUTE  # for so long after its release a connection that makes progress is spared
_LOOKS: Final = 32  # connections that are looked at in vain, each time


class Orphans:
    """In the order of their release, apart from those that were spared (see `relieve`). ``ended`` counts
    those that ended early.
    """

    __slots__ = ("_limit", "_released", "ended")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._released: OrderedDict[Connection, int] = OrderedDict()  # when
        self.ended: int = 0

    def __len__(self) -> int:
        return len(self._released)

    def note(self, connection: Connection, now: int) -> None:
        """``connection`` was released, now or before. One too many ends the oldest."""
        if connection in self._released:
            return
        self._released[connection] = now
        if len(self._released) > self._limit:
            self._end(next(iter(self._released)), now)

    def forget(self, connection: Connection) -> None:
        if self._released:
            self._released.pop(connection, None)

    def relieve(self, octets: int, now: int) -> None:
        """End the oldest until they have given back so many octets.

        A connection is spared while its peer takes what it is sent, for a minute; then it goes to the end of
        the queue. A few of those are looked at each time, so that the cost is bounded by what comes of it.
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
