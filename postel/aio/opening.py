"""An active open, from SYN to where the program's protocol may write."""

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
    def adopt(self, transport: Transport) -> None: ...


class Opening(Generic[P]):
    """Stands on the connection until TCP's handshake is done.

    Then, inside that very event, the transport takes its place: what arrives with the handshake's last
    segment must find it there.
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
        self._pump = pump
        self._owner = owner
        self._connection = connection
        self._factory = factory
        self._security = security
        self._context = context  # of the program's callbacks
        self._transport: Transport | None = None
        self._ready: asyncio.Future[None] = pump.loop.create_future()  # the last handshake is done
        self._result: tuple[asyncio.Transport, P] | None = None
        self._trouble: TcpError | None = (
            None  # the latest soft error: the reason, where the program gives up first
        )
        connection.context = self

    async def completed(self) -> tuple[asyncio.Transport, P]:
        """Raises what prevented it. Whatever goes wrong, cancellation included, leaves nothing standing
        (BAD-API-2).
        """
        self._pump.wake()
        try:
            await self._ready
        except BaseException as error:
            self.fail(error)
            if self._trouble is not None and error.__cause__ is None:
                error.__cause__ = renewed(self._trouble)
            raise
        assert self._result is not None  # noqa: S101 - established, for it is ready
        return self._result

    def happened(self, event: Event) -> None:
        if isinstance(event, Opened):
            self._establish()
        elif isinstance(event, Closed):
            self.fail(renewed(event.error) if event.error is not None else ConnectionAborted())
        elif isinstance(event, Trouble):
            self._trouble = event.error

    def fail(self, error: BaseException) -> None:
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
        try:
            self._result = self._made()
        # The program's factory failed; that is its caller's to know
        except Exception as error:  # noqa: BLE001
            self.fail(error)
        else:
            if self._security is None and not self._ready.done():
                self._ready.set_result(None)

    def _made(self) -> tuple[asyncio.Transport, P]:
        protocol = self._context.run(self._factory)
        if self._security is None:
            return self._start(protocol), protocol
        wrapped = self._security.wrap(protocol, self._ready)
        self._start(wrapped)
        return cast(Any, wrapped)._get_app_transport(), protocol  # noqa: SLF001 - as the event loops do

    def _start(self, protocol: asyncio.BaseProtocol) -> Transport:
        self._transport = Transport(self._pump, self._connection, protocol, self._owner, self._context)
        self._owner.adopt(self._transport)
        self._transport.begin()
        return self._transport
