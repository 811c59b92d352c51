"""A UDP socket as an asyncio transport."""

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
    def forget_datagrams(self, transport: "DatagramTransport") -> None: ...


class DatagramTransport(asyncio.Transport, asyncio.DatagramTransport):  # both, as asyncio's own
    """``addr`` is a pair of address and port, as with sockets. What can't be sent is told by
    ``error_received``.
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
        super().__init__()
        self._pump = pump
        self._context = context  # of the protocol's callbacks
        self._socket = socket
        self._protocol = protocol
        self._owner = owner
        self._closing = False
        self._shown = sock  # the program's, or once it asked for it: what it set stays
        self._family = (
            0 if sock is None else sock.family
        )  # in which names are written; 0: in that of the address
        self._default = default  # where datagrams go that name no address, of a socket that hears others too
        socket.context = self

    def __repr__(self) -> str:
        return (
            "<postel datagrams "
            f"{self._socket.local}{f' to {self._socket.remote}' if self._socket.remote else ''}>"
        )

    def begin_later(self, waiter: "asyncio.Future[None]") -> None:
        """As `begin`, in the loop's next turn. ``waiter`` is done then."""
        self._pump.loop.call_soon(self._begin, waiter)

    def _begin(self, waiter: "asyncio.Future[None]") -> None:
        self.begin()
        if not waiter.done():
            waiter.set_result(None)
        self._context.run(self._deliver)

    def begin(self) -> None:
        try:
            self._context.run(self._protocol.connection_made, self)
        except Exception as error:  # noqa: BLE001 - whatever the program's callback raises
            self._report(error)

    def happened(self, event: Event) -> None:
        """For the pump: an event of the socket."""
        self._context.run(self._happened, event)

    def _happened(self, event: Event) -> None:
        if self._shown is not None:
            self._shown.refresh()
        if isinstance(event, Readable):
            self._deliver()
        elif isinstance(event, Trouble):
            try:
                self._protocol.error_received(event.error)
            except Exception as error:  # noqa: BLE001
                self._report(error)

    def sendto(self, data: bytes | bytearray | memoryview, addr: object = None) -> None:
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
            if (
                remote is not None and remote.port == 0
            ):  # where a datagram came from that wants no answer (RFC 768)
                raise RemoteUnspecified("no datagram can be sent to port 0")
            self._socket.send(data, self._pump.now(), remote=remote)
        except TcpError as error:
            self._protocol.error_received(error)
        self._pump.wake()

    def _remote_of(self, addr: object) -> Endpoint | None:
        """None for the remote of the socket's own."""
        if self._default is not None:
            if addr not in (None, self._default):
                raise ArgumentError("addr", addr, f"Invalid address: must be None or {self._default}")
            addr = self._default
        if addr is None:
            return None
        return endpoint_of(addr, self._family) if self._family else arguments.endpoint("addr", addr, 0)

    def _name(self, endpoint: Endpoint) -> Name:
        return name_of(endpoint, self._family) if self._family else name(endpoint)

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self.force_close(None)

    def abort(self) -> None:
        self.force_close(None)

    def force_close(self, error: Exception | None) -> None:
        if self._closing:
            return
        self._closing = True
        self._socket.context = None
        self._socket.close()
        self._pump.wake()  # what was sent before still leaves
        self._pump.loop.call_soon(self._tell_lost, error, context=self._context)

    def get_write_buffer_size(self) -> int:
        return 0

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return 0, 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Without effect: datagrams leave at once or are lost."""

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast(asyncio.DatagramProtocol, protocol)

    def get_extra_info(self, name_of_it: str, default: object = None) -> object:
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
        while not self._closing and (received := self._socket.receive()) is not None:
            data, sender = received
            try:
                self._protocol.datagram_received(data, self._name(sender))
            # One sender's datagram must not end the socket for all others
            except Exception as error:  # noqa: BLE001
                self._report(error)

    def _report(self, error: Exception) -> None:
        """To the loop, as asyncio's own transport does: a callback's failure ends nothing (BAD-API-5)."""
        message = "a datagram protocol's callback failed; its socket goes on"
        self._pump.loop.call_exception_handler(
            {"message": message, "exception": error, "transport": self, "protocol": self._protocol}
        )

    def _tell_lost(self, error: Exception | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            if self._shown is not None:
                self._shown.end()
            self._owner.forget_datagrams(self)
