"""Active open of a connection, from the SYN until the program's protocol may write."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from typing import Any, Generic, Protocol, TypeVar, cast

from postel.aio.pump import Pump
from postel.aio.secure import Security
from postel.aio.transport import Transport, TransportOwner
from postel.errors import ConnectionAborted, TcpError, renewed
from postel.tcp.connection import Connection
from postel.tcp.events import Closed, Event, Opened, Trouble

P = TypeVar("P", bound=asyncio.BaseProtocol)


class OpeningOwner(TransportOwner, Protocol):
    """Part of a network that the opening of a connection calls."""

    def adopt(self, transport: Transport) -> None:
        """Keep the transport until it calls `forget`."""


class Opening(Generic[P]):
    """Handler of a connection's events until its handshake is done.

    The transport then becomes the handler, during the event `Opened` itself: data that arrives with the last
    segment of the handshake must find it there.
    """

    def __init__(
        self,
        pump: Pump,
        owner: OpeningOwner,
        connection: Connection,
        factory: Callable[[], P],
        security: Security | None,
        context: Context,
    ) -> None:
        """Become the handler of ``connection``.

        ``factory`` makes the program's protocol, ``security`` adds TLS.
        """
        self._pump = pump
        self._owner = owner
        self._connection = connection
        self._factory = factory
        self._security = security
        self._context = context  # context in which the program's callbacks run
        self._transport: Transport | None = None
        # Done once TCP's (or TLS's) handshake is
        self._ready: asyncio.Future[None] = pump.loop.create_future()
        self._result: tuple[asyncio.Transport, P] | None = None
        # The latest soft error, which becomes the cause of an exception without one, such as a timeout
        self._trouble: TcpError | None = None
        connection.context = self

    async def completed(self) -> tuple[asyncio.Transport, P]:
        """Wait for the handshake. Returns transport and protocol, or raises what prevented it.

        After any failure, cancellation included, no connection is left (BAD-API-2).
        """
        self._pump.wake()
        try:
            await self._ready
        except BaseException as error:
            self.fail(error)
            if self._trouble is not None and error.__cause__ is None:
                error.__cause__ = renewed(self._trouble)
            raise
        assert self._result is not None  # noqa: S101 - `_establish` sets it before `_ready`
        return self._result

    def happened(self, event: Event) -> None:
        """Handle an event of the connection. The pump calls this."""
        if isinstance(event, Opened):
            self._establish()
        elif isinstance(event, Closed):
            self.fail(renewed(event.error) if event.error is not None else ConnectionAborted())
        elif isinstance(event, Trouble):
            self._trouble = event.error

    def fail(self, error: BaseException) -> None:
        """Abort the connection, and let `completed` raise ``error``."""
        if self._transport is not None:
            self._transport.abort()
        else:
            self._connection.context = None
            with suppress(TcpError):
                self._connection.abort(self._pump.now())
            self._connection.release(self._pump.now())
            self._pump.wake()
        if not self._ready.done():
            self._ready.set_exception(error)

    def _establish(self) -> None:
        """Make protocol and transport, because TCP's handshake is done."""
        try:
            self._result = self._made()
        # The program's factory failed: `completed` raises its exception
        except Exception as error:  # noqa: BLE001 - the program's factory
            self.fail(error)
        else:
            if self._security is None and not self._ready.done():
                self._ready.set_result(None)

    def _made(self) -> tuple[asyncio.Transport, P]:
        """Make protocol and transport. With TLS, the program gets TLS's transport."""
        protocol = self._context.run(self._factory)
        if self._security is None:
            return self._start(protocol), protocol
        wrapped = self._security.wrap(protocol, self._ready)
        self._start(wrapped)
        return cast(Any, wrapped)._get_app_transport(), protocol  # noqa: SLF001 - as the event loops do

    def _start(self, protocol: asyncio.BaseProtocol) -> Transport:
        """Make the transport, which handles the connection's events from now on."""
        self._transport = Transport(self._pump, self._connection, protocol, self._owner, self._context)
        self._owner.adopt(self._transport)
        self._transport.begin()
        return self._transport
