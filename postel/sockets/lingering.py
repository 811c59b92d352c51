"""Connections that the program has closed, but that TCP hasn't ended yet.

The program has no object for such a connection any more. TCP still has data to deliver, or waits for the
peer's FIN, as after ``close`` of a kernel's socket. A network keeps these connections so that it can wait for
them, and abort them, when it ends itself.
"""

from contextlib import suppress

from postel.errors import TcpError
from postel.tcp.connection import Connection
from postel.tcp.events import Closed, Event


class LingeringConnection:
    """Event handler of a closed connection. It removes itself from the set when the connection ends."""

    __slots__ = ("_connection", "_others")

    def __init__(self, connection: Connection, others: "dict[LingeringConnection, None]") -> None:
        """Become the handler of ``connection``, and join ``others``, the set of these handlers."""
        self._connection = connection
        self._others = others
        others[self] = None
        connection.context = self

    def happened(self, event: Event) -> None:
        """Leave the set at the connection's end. The pump calls this for each event."""
        if isinstance(event, Closed):
            self._connection.context = None
            self._others.pop(self, None)

    def abort(self, now: int) -> None:
        """Reset the connection, where it hasn't ended already."""
        with suppress(TcpError):
            self._connection.abort(now)


class LingeringConnections:
    """Set of the connections of one network that linger, in the order in which they were closed.

    The set is true in a condition while it has members.
    """

    __slots__ = ("_connections",)

    def __init__(self) -> None:
        """Start without connections."""
        self._connections: dict[LingeringConnection, None] = {}

    def __bool__(self) -> bool:
        """Tell whether a connection is left."""
        return bool(self._connections)

    def add(self, connection: Connection) -> None:
        """Keep ``connection`` until it is CLOSED, and handle its events from now on."""
        LingeringConnection(connection, self._connections)

    def abort(self, now: int) -> None:
        """Reset all connections that are left: each peer gets a RST."""
        for connection in tuple(self._connections):
            connection.abort(now)

    def clear(self) -> None:
        """Forget all connections, because the link has ended and they will have no more events."""
        self._connections.clear()
