"""UDP socket as an asyncio transport."""

import asyncio
from contextvars import Context
from typing import Protocol, cast

from postel.aio import arguments
from postel.aio.pump import Pump
from postel.aio.sockets import Socket, name
from postel.errors import ArgumentError, KindError, RemoteUnspecified, TcpError
from postel.host.datagrams import DatagramSocket
from postel.sockets.names import Name, endpoint_of, name_of
from postel.tcp.events import Event, Readable, Trouble
from postel.wire.address import Endpoint


class DatagramOwner(Protocol):
    """Part of a network that a datagram transport calls."""

    def forget_datagrams(self, transport: "DatagramTransport") -> None:
        """Forget the transport, which has closed."""


class DatagramTransport(asyncio.Transport, asyncio.DatagramTransport):  # the same bases as asyncio's
    """asyncio's datagram transport on a UDP socket of a host.

    ``addr`` is a pair of address and port, as with sockets. The protocol's ``error_received`` is called for a
    datagram that can't be sent, and for ICMP messages.
    """

    def __init__(
        self,
        pump: Pump,
        socket: DatagramSocket,
        protocol: asyncio.DatagramProtocol,
        owner: DatagramOwner,
        context: Context,
        *,
        sock: Socket | None = None,
        default: Name | None = None,
    ) -> None:
        """Take over ``socket``, its events included.

        ``context`` is the context of the protocol's callbacks. ``sock`` is the program's socket, where it has
        one; ``default`` is the address to which datagrams without an address go.
        """
        super().__init__()
        self._pump = pump
        self._context = context  # context in which the protocol's callbacks run
        self._socket = socket
        self._protocol = protocol
        self._owner = owner
        self._closing = False
        # Result of `get_extra_info("socket")`: one object, on which the program may set options
        self._shown = sock
        # Family in which addresses are shown; 0 for that of the address itself
        self._family = 0 if sock is None else sock.family
        self._default = default  # remote address of a socket that sends to one address and receives from all
        socket.context = self

    def __repr__(self) -> str:
        """Show the own and the remote address."""
        return (
            "<postel datagrams "
            f"{self._socket.local}{f' to {self._socket.remote}' if self._socket.remote else ''}>"
        )

    def begin_later(self, waiter: "asyncio.Future[None]") -> None:
        """Call ``connection_made`` in the loop's next round, and then complete ``waiter``."""
        self._pump.loop.call_soon(self._begin, waiter)

    def _begin(self, waiter: "asyncio.Future[None]") -> None:
        """Call ``connection_made``, complete ``waiter``, and deliver datagrams that have come meanwhile."""
        self.begin()
        if not waiter.done():
            waiter.set_result(None)
        self._context.run(self._deliver)

    def begin(self) -> None:
        """Call the protocol's ``connection_made``."""
        try:
            self._context.run(self._protocol.connection_made, self)
        except Exception as error:  # noqa: BLE001 - whatever the program's callback raises
            self._report(error)

    def happened(self, event: Event) -> None:
        """Handle an event of the socket. The pump calls this."""
        self._context.run(self._happened, event)

    def _happened(self, event: Event) -> None:
        """Handle an event, in the protocol's context."""
        if self._shown is not None:
            self._shown.refresh()
        if isinstance(event, Readable):
            self._deliver()
        elif isinstance(event, Trouble):
            try:
                self._protocol.error_received(event.error)
            except Exception as error:  # noqa: BLE001 - the program's callback
                self._report(error)

    def sendto(self, data: bytes | bytearray | memoryview, addr: object = None) -> None:
        """Send one datagram to ``addr``; None for the remote address of the transport.

        Raises KindError and ArgumentError. Other errors are reported to ``error_received``. Does nothing once
        the transport is closed.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise KindError("data", data, "bytes, bytearray, memoryview")
        if self._closing:
            return
        remote = self._remote_of(addr)
        if remote is None and self._socket.remote is None:
            raise ArgumentError("addr", addr, "a tuple of address and port, for there is no remote_addr")
        if remote is not None and self._socket.remote is not None and remote != self._socket.remote:
            raise ArgumentError("addr", addr, f"None or remote_addr, {name(self._socket.remote)}")
        try:
            # RFC 768: source port 0 says that no answer is expected
            if remote is not None and remote.port == 0:
                raise RemoteUnspecified("no datagram can be sent to port 0")
            self._socket.send(data, self._pump.now(), remote=remote)
        except TcpError as error:
            self._protocol.error_received(error)
        self._pump.wake()

    def _remote_of(self, addr: object) -> Endpoint | None:
        """Return the endpoint that ``addr`` names; None for the remote address of the socket."""
        if self._default is not None:
            if addr not in (None, self._default):
                raise ArgumentError("addr", addr, f"Invalid address: must be None or {self._default}")
            addr = self._default
        if addr is None:
            return None
        return endpoint_of(addr, self._family) if self._family else arguments.endpoint("addr", addr, 0)

    def _name(self, endpoint: Endpoint) -> Name:
        """Return an endpoint as the program's socket shows it."""
        return name_of(endpoint, self._family) if self._family else name(endpoint)

    def is_closing(self) -> bool:
        """Tell whether the transport is closing or closed."""
        return self._closing

    def close(self) -> None:
        """Close the socket. Datagrams that were sent before still leave."""
        self.force_close(None)

    def abort(self) -> None:
        """Close the socket. Datagrams that were sent before still leave."""
        self.force_close(None)

    def force_close(self, error: Exception | None) -> None:
        """Close the socket, and tell the protocol ``error`` as the reason; None for an orderly close."""
        if self._closing:
            return
        self._closing = True
        self._socket.context = None
        self._socket.close()
        self._pump.wake()  # datagrams that were sent before still leave
        self._pump.loop.call_soon(self._tell_lost, error, context=self._context)

    def get_write_buffer_size(self) -> int:
        """Return 0: datagrams leave at once or are lost."""
        return 0

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return zeros: the transport has no buffer."""
        return 0, 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Do nothing: datagrams leave at once or are lost."""

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let another protocol have the events from now on."""
        self._protocol = cast(asyncio.DatagramProtocol, protocol)

    def get_extra_info(self, name_of_it: str, default: object = None) -> object:
        """Return ``sockname``, ``peername`` or ``socket``; ``default`` for another name."""
        if name_of_it == "sockname":
            return self._name(self._socket.local)
        if name_of_it == "peername" and self._socket.remote is not None:
            return self._name(self._socket.remote)
        if name_of_it == "socket":
            if self._shown is None:
                self._shown = Socket.shown(self._pump.network, self._socket, self._socket.remote)
            return self._shown
        return default

    def _deliver(self) -> None:
        """Give all datagrams that have come to the protocol."""
        while not self._closing and (received := self._socket.receive()) is not None:
            data, sender = received
            try:
                self._protocol.datagram_received(data, self._name(sender))
            # One sender's datagram must not end the socket for all others
            except Exception as error:  # noqa: BLE001 - the program's callback
                self._report(error)

    def _report(self, error: Exception) -> None:
        """Report a callback's exception to the loop, as asyncio's own transport does.

        The socket goes on (BAD-API-5).
        """
        message = "a datagram protocol's callback failed; its socket goes on"
        self._pump.loop.call_exception_handler(
            {"message": message, "exception": error, "transport": self, "protocol": self._protocol}
        )

    def _tell_lost(self, error: Exception | None) -> None:
        """Call ``connection_lost``, and forget the transport."""
        try:
            self._protocol.connection_lost(error)
        finally:
            if self._shown is not None:
                self._shown.end()
            self._owner.forget_datagrams(self)
