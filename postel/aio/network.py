"""Host on a link inside a running event loop."""

import asyncio
import ssl as tls
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from dataclasses import replace
from socket import AF_INET, SOCK_STREAM
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from postel.aio import arguments, secure
from postel.aio.arguments import ConnectionOptions, ServerOptions
from postel.aio.datagram import DatagramTransport
from postel.aio.kept import Kept
from postel.aio.opening import Opening
from postel.aio.pump import Pump
from postel.aio.secure import Security
from postel.aio.server import Factory, Server
from postel.aio.sockets import Socket
from postel.aio.streams import StreamReader
from postel.aio.transport import Transport
from postel.errors import (
    ArgumentError,
    CallError,
    ConnectionAborted,
    LinkDown,
    LinkError,
    NetworkUnreachable,
    TcpError,
    renewed,
    require_number,
)
from postel.host.host import Host
from postel.host.listener import AnyPort, Listener
from postel.links.contract import Link
from postel.links.junction import require_free
from postel.sockets.bindings import Bindings
from postel.sockets.lingering import LingeringConnections
from postel.sockets.lookup import NameResolver
from postel.sockets.nonblocking import NonBlockingSocket
from postel.sockets.preparation import prepare
from postel.sockets.stream import StreamCalls
from postel.tcp.authentication.keychain import Keychain
from postel.tcp.config import Config
from postel.tcp.connection import Connection
from postel.times import NEVER, SECOND
from postel.wire.address import Address

STREAM_LIMIT = 64 * 1024  # default buffer of a reader, in octets, as in asyncio

P = TypeVar("P", bound=asyncio.BaseProtocol)
D = TypeVar("D", bound=asyncio.DatagramProtocol)
ClientConnected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]

current: ContextVar["Network | None"] = ContextVar("postel_network", default=None)
"""Network that a loop with `Routing` uses for the calls of this task and of the tasks that it starts.

None for the loop's own network.
"""


class Network:
    """Network of one host on one link, for the tasks of one event loop; made by `postel.aio.attach`.

    The network is open inside ``async with``. The methods have the names and arguments of the event loop's
    and of asyncio's own functions: `open_connection`, `start_server`, `create_connection`, `create_server`,
    `create_datagram_endpoint`. Unlike in asyncio, hosts are given as IP addresses, not as names;
    `postel.aio.Resolver` finds the addresses of names. Connections don't use Nagle's algorithm unless their
    ``config`` says so, because asyncio's never do.

    Errors are OSErrors with the kernel's numbers: see `postel.errors`. ``resolver`` finds the addresses of
    names for programs on a loop with `Routing`; with None there are only addresses, and ``localhost``.
    ``bindings`` says which ports sockets have bound.
    """

    def __init__(
        self, host: Host, link: Link, *, linger: float, resolver: NameResolver | None = None
    ) -> None:
        """Make a network that isn't open yet: see `postel.aio.attach`."""
        prepare(host, link, linger)
        self.host = host
        self.link = link
        self.resolver: NameResolver | None = resolver
        self._linger = linger
        self._config = replace(host.config, nagle=False)
        self._running: Pump | None = None
        self._error: OSError | None = None  # the error that ended the network, for later calls
        self._link_is_gone = False
        self._ended = asyncio.Event()
        self._openings: Kept[Opening[Any]] = Kept()
        self._transports: Kept[Transport] = Kept()
        self._lingering = LingeringConnections()
        self._servers: Kept[Server] = Kept()
        self._datagrams: Kept[DatagramTransport] = Kept()
        self._sockets: Kept[NonBlockingSocket] = Kept()
        self.bindings: Bindings = Bindings()

    async def __aenter__(self) -> Self:
        """Open the network on the running loop. Raises CallError for a second time."""
        self.enter(asyncio.get_running_loop())
        return self

    def enter(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open the network on ``loop``, in the thread that runs it, as ``async with`` does.

        Loops that own a network call this; `close` ends it. Raises CallError for a second time, and
        ArgumentError where the host or the link is in use.
        """
        if self._running is not None or self._error is not None:
            raise CallError(
                "the network was opened before; each network is opened once, so attach the host again"
            )
        require_free(self.host, self.link)
        self.host.join(
            self.link.mtu, b"", int(loop.time() * SECOND)
        )  # the host may have been on another link since `attach`
        self._running = Pump(
            loop, self.host, self.link, self._broke, self._is_down, self, Context().run(self.context)
        )

    def context(self) -> Context:
        """Return a copy of the caller's context in which this network is the current one, for callbacks."""
        context = copy_context()
        context.run(current.set, self)
        return context

    def has_family(self, family: int) -> bool:
        """Tell whether the host has an address of this family: AF_INET or AF_INET6."""
        length = 4 if family == AF_INET else 16
        return any(len(interface.address) == length for interface in self.host.routes.interfaces)

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """Event loop on which the network is or was open; None before."""
        return None if self._running is None else self._running.loop

    @property
    def is_listening(self) -> bool:
        """Whether a server or a socket of the network listens."""
        return bool(self._servers) or any(
            getattr(calls, "listener", None) is not None for calls in self._sockets
        )

    @asynccontextmanager
    async def as_default(self) -> AsyncIterator[Self]:
        """Let this task, and the tasks that it starts, use the network inside ``async with``.

        Their calls of `asyncio.open_connection`, and of any library that calls the loop's methods, go over
        this network. Raises CallError on a loop without `Routing`, and where the network isn't open on this
        loop.
        """
        loop = asyncio.get_running_loop()
        if not hasattr(loop, "network_here"):
            advice = "allowed: a loop of postel.aio.loop_factory(), postel.aio.Loop or postel.sim.loop.Loop"
            raise CallError(f"{type(loop).__name__} sends its calls to the machine's own network; {advice}")
        if self.pump.loop is not loop:
            raise CallError("the network is open on another loop than the running one")
        before = current.get()
        current.set(self)
        try:
            yield self
        finally:
            # `ContextVar.reset` would fail: a test fixture may end in another context than it began
            current.set(before)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the network."""
        await self.close()

    # Streams

    async def open_connection(
        self,
        host: Address,
        port: int,
        *,
        limit: int = STREAM_LIMIT,
        **options: Unpack[ConnectionOptions],
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection, as `asyncio.open_connection` does. Returns a reader and a writer.

        ``host`` is an IP address, ``port`` 1 to 65535, ``limit`` the reader's buffer in octets, 1 or more.
        Options and errors are those of `create_connection`.
        """
        require_number("limit", limit, 1, NEVER, "1 octet or more")
        loop = asyncio.get_running_loop()
        reader = StreamReader(limit=limit, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await self.create_connection(lambda: protocol, host, port, **options)
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    async def start_server(
        self,
        client_connected_cb: ClientConnected,
        host: Address | Sequence[Address] | None = None,
        port: int | AnyPort = 0,
        *,
        limit: int = STREAM_LIMIT,
        **options: Unpack[ServerOptions],
    ) -> Server:
        """Accept connections, as `asyncio.start_server` does: each gets a reader and a writer.

        ``client_connected_cb(reader, writer)`` is a function or a coroutine function. ``limit`` is the
        readers' buffer in octets, 1 or more. Options and errors are those of `create_server`.
        """
        require_number("limit", limit, 1, NEVER, "1 octet or more")
        loop = asyncio.get_running_loop()

        def factory() -> asyncio.StreamReaderProtocol:
            return asyncio.StreamReaderProtocol(
                StreamReader(limit=limit, loop=loop), client_connected_cb, loop=loop
            )

        return await self.create_server(factory, host, port, **options)

    # Transports

    async def create_connection(
        self,
        protocol_factory: Callable[[], P],
        host: Address,
        port: int,
        *,
        ssl: tls.SSLContext | bool | None = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        local_addr: tuple[Address | None, int] | None = None,
        config: Config | None = None,
        data: bytes = b"",
        keys: Keychain | None = None,
    ) -> tuple[asyncio.Transport, P]:
        """Open a connection, as the event loop's method does. Returns transport and protocol.

        ``host`` is an IP address, ``port`` 1 to 65535. ``local_addr`` is an own address, or None for any, and
        a port, or 0 for any. ``ssl`` adds TLS, and the arguments for TLS are asyncio's; times are in seconds.
        ``config`` chooses what TCP does on this connection, ``keys`` sign its segments (RFC 5925). ``data``
        is sent first, with the SYN where TCP Fast Open allows that (RFC 7413): see `Host.connect`; not with
        ``ssl``.

        Raises ArgumentError, CallError outside of ``async with``, ConnectionRefused, ConnectionTimedOut,
        HostUnreachable and the other errors of `Host.connect`, and the error that ended the network.
        """
        if data and ssl:
            raise ArgumentError("data", len(data), "none before the handshake of TLS")
        security = secure.for_client(
            ssl, str(host), server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout
        )
        local_address, local_port = arguments.local("local_addr", local_addr)
        arguments.literal("host", host)
        arguments.number("port", port, 1)
        pump = self.pump
        connection = self.host.connect(
            host,
            port,
            pump.now(),
            local_address=local_address,
            local_port=local_port,
            config=config or self._config,
            data=data,
            keys=keys,
        )
        return await self._opened(connection, protocol_factory, security)

    async def create_server(
        self,
        protocol_factory: Factory,
        host: Address | Sequence[Address] | None = None,
        port: int | AnyPort = 0,
        *,
        backlog: int = 100,
        ssl: tls.SSLContext | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
        config: Config | None = None,
        keys: Keychain | None = None,
    ) -> Server:
        """Accept connections, as the event loop's method does. Returns a `Server`.

        ``host`` is an own IP address, a list of them, or None for all addresses of both families. ``port`` is
        0 to 65535: 0 takes a free one; ANY_PORT accepts connections to all ports. ``backlog`` connections may
        wait. ``config`` and ``keys`` are as in `create_connection`. Raises ArgumentError, AddressInUse,
        AddressNotAvailable, and the error that ended the network.
        """
        security = secure.for_server(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
        addresses = arguments.interfaces(host)
        listeners = self._listeners(
            addresses,
            port if isinstance(port, AnyPort) else arguments.number("port", port, 0),
            backlog,
            config or self._config,
            keys,
        )
        server = Server(self.pump, self, listeners, protocol_factory, security, self.context())
        self._servers.add(server)
        if start_serving:
            await server.start_serving()
        return server

    async def create_datagram_endpoint(
        self,
        protocol_factory: Callable[[], D],
        local_addr: tuple[Address | None, int] | None = None,
        remote_addr: tuple[Address, int] | None = None,
    ) -> tuple[DatagramTransport, D]:
        """Open a UDP socket, as the event loop's method does. Returns transport and protocol.

        With ``remote_addr`` the socket sends to that address, and receives from it alone. Raises
        ArgumentError, AddressInUse, AddressNotAvailable, and the error that ended the network.
        """
        address, port = arguments.local("local_addr", local_addr)
        remote = None if remote_addr is None else arguments.endpoint("remote_addr", remote_addr)
        pump = self.pump
        protocol = protocol_factory()
        transport = DatagramTransport(
            pump, self.host.datagrams(port, address=address, remote=remote), protocol, self, self.context()
        )
        self._datagrams.add(transport)
        transport.begin()
        return transport, protocol

    # The end

    async def close(self) -> None:
        """Close the network, and its link.

        Connections that the program has closed get up to ``linger`` seconds to end; all others are aborted at
        once. A second call does nothing.
        """
        if self._running is None or self._error is not None:
            return
        pump = self._running
        self._error = NetworkUnreachable("the network is closed")
        aborted = ConnectionAborted("the network was closed")
        self._end_services(aborted)
        self._end_transports(aborted, closing_too=False)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._linger):
                    while (self._transports or self._lingering) and not self._link_is_gone:
                        await pump.next_turn()
        finally:
            self._end_transports(aborted, closing_too=True)
            self._lingering.abort(pump.now())
            pump.finish()
            with suppress(OSError):
                self.link.close()
            self._ended.set()
        await asyncio.sleep(0)  # the loop calls `connection_lost` of the protocols

    async def wait_closed(self) -> None:
        """Wait for the network's end.

        Raises the `LinkError` with which the link ended, if that was before `close`, and CallError before the
        network is open.
        """
        if self._running is None:
            raise CallError("the network isn't open: use it inside `async with`")
        await self._ended.wait()
        if isinstance(self._error, LinkError):
            raise renewed(self._error)

    def _broke(self, error: LinkError) -> None:
        """End the network, because its link has ended: all waiting calls raise ``error``."""
        if self._running is None or self._link_is_gone:
            return
        self._link_is_gone = True
        error.__traceback__ = None
        self._error = self._error or error
        for server in tuple(self._servers):
            server.fail(error)
        for transport in tuple(self._transports):
            transport.end(error)
        self._end_services(error)
        self._lingering.abort(self._running.now())
        self._lingering.clear()
        self._running.stop()
        self._running.discard()
        with suppress(OSError):
            self.link.close()
        self._ended.set()

    def crash(self, error: LinkError) -> None:
        """End the network at once, without calling any protocol, for simulations of a crash.

        A crash of a host ends its programs, too.
        """
        if self._running is None or self._link_is_gone:
            return
        self._link_is_gone = True
        self._error = error
        for transport in tuple(self._transports):
            transport.abandon()
        for calls in self._sockets:
            calls.is_closed = True
        self._sockets.clear()
        self._running.stop()
        with suppress(OSError):
            self.link.close()
        self._ended.set()

    def _is_down(self, error: LinkDown) -> None:
        """Let connections that are being opened fail: the device is switched off, perhaps for a moment.

        Connections that are open go on.
        """
        for opening in tuple(self._openings):
            opening.fail(renewed(error))

    def _end_services(self, error: OSError) -> None:
        """End servers, opens, datagram transports and sockets with ``error``."""
        for server in tuple(self._servers):
            server.close()
        for opening in tuple(self._openings):
            opening.fail(renewed(error))
        for datagrams in tuple(self._datagrams):
            datagrams.force_close(renewed(error))
        for calls in tuple(self._sockets):
            calls.fail(renewed(error))
            self._abort_socket(calls)

    def _abort_socket(self, calls: NonBlockingSocket) -> None:
        """Reset a socket's connection."""
        if isinstance(calls, StreamCalls) and calls.connection is not None and not self._link_is_gone:
            with suppress(TcpError):
                calls.connection.abort(self.now())

    def _end_transports(self, error: OSError, *, closing_too: bool) -> None:
        """Reset the connections of all transports; those of closing transports only with ``closing_too``."""
        for transport in tuple(self._transports):
            if closing_too or not transport.is_closing():
                transport.force_close(renewed(error))

    # For sockets

    def socket(self, family: int = AF_INET, type: int = SOCK_STREAM, proto: int = 0) -> Socket:  # noqa: A002 - as in `socket`
        """Make a socket of this host, for ``loop.sock_connect`` and similar methods.

        ``family`` is AF_INET or AF_INET6, ``type`` SOCK_STREAM or SOCK_DGRAM. Raises an OSError for other
        kinds.
        """
        return Socket(self, family, type, proto)

    def now(self) -> int:
        """Return the time of the loop's clock, in microseconds. It works after the network's end, too.

        Sockets use it.
        """
        return self._entered.now()

    def wake(self) -> None:
        """Let the pump send packets and deliver events soon, because a socket made a call."""
        self._entered.wake()

    def call_in_thread_of_loop(self, call: Callable[[], None]) -> None:
        """Make a call from any thread, as finalizers do: at once in the loop's thread, else soon."""
        try:
            self._entered.require_thread()
        except CallError:
            with suppress(RuntimeError):  # the loop may be closed
                self._entered.loop.call_soon_threadsafe(call)
        else:
            call()

    def abandon(self, connection: Connection) -> None:
        """Keep the connection of a closed socket until the connection has ended."""
        self._lingering.add(connection)
        if self._error is not None:
            connection.abort(self.now())

    def config_of_sockets(self) -> Config:
        """Return what TCP does on the connections of sockets."""
        return self.host.config

    def keep_socket(self, calls: NonBlockingSocket) -> None:
        """Keep a socket, so that the network can end the socket when the network itself ends."""
        self._sockets.add(calls)
        if self._error is not None:
            calls.fail(renewed(self._error))

    def forget_socket(self, calls: NonBlockingSocket) -> None:
        """Forget a socket that was closed, or that a transport uses now."""
        self._sockets.discard(calls)

    # For servers and transports

    def adopt(self, transport: Transport) -> None:
        """Keep a transport until it calls `forget`."""
        self._transports.add(transport)

    def orphan(self, connection: Connection) -> None:
        """Keep a connection that outlives its transport, until it has ended.

        `close` waits for the connection, for up to ``linger`` seconds, and then aborts it.
        """
        self._lingering.add(connection)

    def forget(self, transport: Transport) -> None:
        """Forget a transport that has ended."""
        self._transports.discard(transport)
        if self._error is not None and self._running is not None:
            self._running.wake()  # `close` checks whether transports are left each time the pump has run

    def forget_server(self, server: Server) -> None:
        """Forget a server that has closed."""
        self._servers.discard(server)

    def adopt_datagrams(self, transport: DatagramTransport) -> None:
        """Keep a datagram transport until it calls `forget_datagrams`."""
        self._datagrams.add(transport)

    def forget_datagrams(self, transport: DatagramTransport) -> None:
        """Forget a datagram transport that has closed."""
        self._datagrams.discard(transport)

    # Inside

    @property
    def pump(self) -> Pump:
        """Pump of the network. Raises the error that ended the network, and CallError before it is open."""
        if self._error is not None:
            raise renewed(self._error)
        return self._entered

    @property
    def _entered(self) -> Pump:
        """Pump of the network, even after the network's end. Raises CallError before the network is open."""
        if self._running is None:
            raise CallError("the network isn't open: use it inside `async with`")
        return self._running

    async def _opened(
        self, connection: Connection, factory: Callable[[], P], security: Security | None
    ) -> tuple[asyncio.Transport, P]:
        """Wait until ``connection`` is open. Returns transport and protocol."""
        opening = Opening(self.pump, self, connection, factory, security, self.context())
        self._openings.add(opening)
        try:
            return await opening.completed()
        finally:
            self._openings.discard(opening)

    def _listeners(
        self,
        addresses: list[str | None],
        port: int | AnyPort,
        backlog: int,
        config: Config,
        keys: Keychain | None,
    ) -> list[Listener]:
        """Listen on all addresses, or on none.

        With port 0 all listeners use the free port that the first one finds. With ANY_PORT each listener
        accepts connections to all ports.
        """
        listeners: list[Listener] = []
        now = self.pump.now()
        try:
            for address in addresses:
                listeners.append(
                    self.host.listen(port, now, address=address, backlog=backlog, config=config, keys=keys)
                )
                port = port or listeners[0].local.port
        except OSError:
            for listener in listeners:
                listener.close(now)
            raise
        return listeners
