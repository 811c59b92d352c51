"""A connection that outlives its transport."""

from contextlib import suppress

from postel.aio.kept import Kept
from postel.errors import TcpError
from postel.tcp.connection import Connection
from postel.tcp.events import Closed, Event


class Orphan:
    """A connection without a program: it has octets to deliver, or the peer's end to hear, and then it is
    gone.

    As with a socket that was closed, the stack sees to it by itself. ``family`` is all there are of them.
    """

    __slots__ = ("_connection", "_family")

    def __init__(self, connection: Connection, family: "Kept[Orphan]") -> None:
        self._connection = connection
        self._family = family
        family.add(self)
        connection.context = self

    def happened(self, event: Event) -> None:
        if isinstance(event, Closed):
            self._connection.context = None
            self._family.discard(self)

    def abort(self, now: int) -> None:
        with suppress(TcpError):
            self._connection.abort(now)
