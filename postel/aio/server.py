"""Listeners of a host as an asyncio server."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from typing import Protocol

from postel.aio.kept import Kept
from postel.aio.pump import Pump
from postel.aio.secure import Security
from postel.aio.sockets import Socket
from postel.aio.transport import Transport, TransportOwner
from postel.errors import CallError, TcpError, renewed
from postel.host.listener import Listener
from postel.tcp.connection import Connection
from postel.tcp.events import Event

Factory = Callable[[], asyncio.BaseProtocol]


class ServerOwner(TransportOwner, Protocol):
    """Part of a network that a server calls."""

    def adopt(self, transport: Transport) -> None:
        """Keep the transport until it calls `forget`."""

    def forget_server(self, server: "Server") -> None:
        """Forget the server, which has closed."""


class Server(asyncio.AbstractServer):
    """asyncio's server on listeners of a host; made by `Network.create_server` and `Network.start_server`.

    `close` ends the listening, and leaves the connections open; `wait_closed` waits for both. ``async with``
    closes and waits at its end.
    """

    def __init__(
        self,
        pump: Pump,
        owner: ServerOwner,
        listeners: list[Listener],
        factory: Factory,
        security: Security | None,
        context: Context,
    ) -> None:
        """Become the handler of ``listeners``. ``factory`` makes a protocol for each connection."""
        self._pump = pump
        self._context = context  # context that is copied for the callbacks of each connection
        self._owner = owner
        self._listeners = listeners
        self._factory = factory
        self._security = security
        self._transports: Kept[Transport] = Kept()
        self._is_serving = False
        self._is_closed = False
        self._all_gone = asyncio.Event()
        self._forever: asyncio.Future[None] | None = None
        self._failure: OSError | None = None  # the error with which the link ended
        self._sockets = {listener: Socket.shown(pump.network, listener) for listener in listeners}
        for listener in listeners:
            listener.context = self

    def __repr__(self) -> str:
        """Show the addresses on which the server listens."""
        places = ", ".join(str(listener.local) for listener in self._listeners)
        return f"<postel server on {places or 'nothing: closed'}>"

    @property
    def sockets(self) -> tuple[Socket, ...]:
        """Sockets on which the server listens, one for each address.

        Their `getsockname` is the address; their options are those of later connections.
        """
        return tuple(self._sockets[listener] for listener in self._listeners)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop."""
        return self._pump.loop

    def is_serving(self) -> bool:
        """Tell whether the server accepts connections."""
        return self._is_serving

    async def start_serving(self) -> None:
        """Accept connections from now on. Raises CallError once closed, LinkError once the link has ended.

        Until then, handshakes are completed, and connections wait in the backlog.
        """
        if self._failure is not None:
            raise renewed(self._failure)
        if self._is_closed:
            raise CallError(f"{self!r} can't serve again")
        self._is_serving = True
        self._accept_all()

    async def serve_forever(self) -> None:
        """Accept connections until cancelled or closed. Then raises CancelledError, as asyncio's server does.

        Raises LinkError when the link ends, and CallError for a second call at the same time.
        """
        if self._forever is not None:
            raise CallError(f"{self!r} serves forever already")
        await self.start_serving()
        self._forever = self._pump.loop.create_future()
        try:
            await self._forever
        except asyncio.CancelledError:
            self.close()
            await self.wait_closed()
            raise
        finally:
            self._forever = None

    def close(self) -> None:
        """Stop listening. Connections stay open. A second call does nothing."""
        if self._is_closed:
            return
        self._is_serving = False
        self._is_closed = True
        for listener in self._listeners:
            listener.context = None
            listener.close(self._pump.now())
            self._sockets[listener].end()
        self._listeners = []
        self._pump.wake()
        if self._forever is not None:
            self._forever.cancel()
        self._owner.forget_server(self)
        self._tell_if_all_gone()

    def fail(self, error: OSError) -> None:
        """Close the server, because its link has ended with ``error``, which `serve_forever` raises."""
        self._failure = error
        if self._forever is not None and not self._forever.done():
            self._forever.set_exception(renewed(error))
        self.close()

    def close_clients(self) -> None:
        """Close the transport of each connection, as ``transport.close()`` does."""
        for transport in tuple(self._transports):
            transport.close()

    def abort_clients(self) -> None:
        """Reset each connection, as ``transport.abort()`` does."""
        for transport in tuple(self._transports):
            transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the server is closed and its last connection has ended."""
        await self._all_gone.wait()

    def happened(self, event: Event) -> None:
        """Handle an event of a listener. The pump calls this."""
        del event  # listeners have one kind of event, Acceptable
        if self._is_serving:
            self._accept_all()

    def orphan(self, connection: Connection) -> None:
        """Keep a connection that outlives its transport. Transports call this: see `Network.orphan`."""
        self._owner.orphan(connection)

    def forget(self, transport: Transport) -> None:
        """Forget a transport that has ended. Transports call this."""
        self._transports.discard(transport)
        self._owner.forget(transport)
        self._tell_if_all_gone()

    def _accept_all(self) -> None:
        """Accept all connections that wait."""
        for listener in self._listeners:
            while (connection := listener.accept()) is not None:
                self._serve(connection)
        self._pump.wake()

    def _serve(self, connection: Connection) -> None:
        """Make protocol and transport for a connection. Reset it if the program's factory fails."""
        context = self._context.copy()
        try:
            protocol = context.run(self._factory)
            if self._security is not None:
                protocol = self._security.wrap(protocol, None)
        except Exception as error:  # noqa: BLE001 - BAD-API-5: the program's factory
            message = "a server's protocol factory failed; the connection is aborted"
            self._pump.loop.call_exception_handler({"message": message, "exception": error, "server": self})
            with suppress(TcpError):
                connection.abort(self._pump.now())
            connection.release(self._pump.now())
            return
        transport = Transport(self._pump, connection, protocol, self, context)
        self._transports.add(transport)
        self._owner.adopt(transport)
        transport.begin()

    def _tell_if_all_gone(self) -> None:
        """Let `wait_closed` return if the server is closed and no connection is left."""
        if self._is_closed and not self._transports:
            self._all_gone.set()
