"""Socket of Postel in asyncio: the methods of `socket.socket`, which never wait."""

import asyncio
import errno
import socket
import warnings
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextvars import Context
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, cast

from postel.aio.descriptor import Descriptor
from postel.aio.watcher import Watcher
from postel.errors import ArgumentError, CallError, SocketCallUnknown
from postel.host.datagrams import DatagramSocket
from postel.host.listener import Listener
from postel.sockets import options
from postel.sockets.datagram import DatagramCalls
from postel.sockets.names import Name
from postel.sockets.nonblocking import Message, NonBlockingSocket, SocketOwner, known_family
from postel.sockets.stream import StreamCalls
from postel.tcp.config import Config
from postel.tcp.connection import Connection
from postel.wire import address
from postel.wire.address import Endpoint

R = TypeVar("R")

polled: "weakref.WeakValueDictionary[int, Socket]" = weakref.WeakValueDictionary()
"""Sockets that have a descriptor, by its number."""


def name(endpoint: Endpoint) -> Name:
    """Return an endpoint as the socket module writes it: a pair for IPv4, with flow and scope for IPv6."""
    text = address.to_text(endpoint.address)
    return (text, endpoint.port) if len(endpoint.address) == 4 else (text, endpoint.port, 0, 0)


class SocketNetwork(SocketOwner, Protocol):
    """Part of a network that a socket in asyncio calls."""

    def config_of_sockets(self) -> Config:
        """Return what TCP does on the socket's connections, unless options change it."""
        ...

    def keep_socket(self, calls: NonBlockingSocket) -> None:
        """Keep a new socket, so that the network can end the socket when the network itself ends."""
        ...

    def forget_socket(self, calls: NonBlockingSocket) -> None:
        """Forget a socket that was closed, or that a transport uses now."""
        ...

    def call_in_thread_of_loop(self, call: Callable[[], None]) -> None:
        """Call a function from any thread: at once in the loop's thread, else soon."""
        ...

    def context(self) -> Context:
        """Return a copy of the caller's context, for callbacks, in which this network is the current one."""
        ...


class Socket:
    """TCP or UDP socket of a network, for ``loop.sock_recv`` and similar methods.

    ``get_extra_info("socket")`` of a transport returns such a socket, too. That socket only shows addresses,
    options and readiness: the transport reads and writes.

    It has the methods of `socket.socket`, with Linux's errors, and never waits: where a call would wait, it
    raises BlockingIOError. Options are those of `postel.sockets`. `fileno` returns a real descriptor, which
    the first call makes. A poll finds the descriptor readable and writable as the socket is; no other use of
    the descriptor is possible.

    ``network`` is a `Network`, ``family`` AF_INET or AF_INET6, ``type`` SOCK_STREAM or SOCK_DGRAM;
    `Network.socket` makes one with the same arguments. Raises SocketKindUnknown, an OSError, for other kinds,
    and ArgumentError for a ``proto`` that doesn't match.
    """

    def __init__(
        self,
        network: SocketNetwork,
        family: int = socket.AF_INET,
        type: int = socket.SOCK_STREAM,  # noqa: A002 - as the socket module calls it
        proto: int = 0,
        *,
        calls: NonBlockingSocket | None = None,
    ) -> None:
        """Make a socket; with ``calls``, one that uses this existing socket of the host."""
        if calls is None:
            family, kind = known_family(family, type)
            config = network.config_of_sockets()
            calls = (
                StreamCalls(network, family, config)
                if kind is socket.SOCK_STREAM
                else DatagramCalls(network, family, config)
            )
        self._calls = calls
        self._is_lent = False  # a transport or a server of the network uses the socket
        self._is_over = False  # the transport or server that used the socket has ended
        self._is_watched = False  # a task or callback waits, or has waited, for readiness
        self._descriptor: Descriptor | None = None
        self._watchers: dict[bool, Watcher] = {}  # True: for writing, False: for reading
        self._waiting: dict[bool, list[asyncio.Future[None]]] = {False: [], True: []}
        self.network: SocketNetwork = network
        self.family: socket.AddressFamily = calls.family
        self.type: socket.SocketKind = calls.type
        self.proto: int = calls.proto
        if proto not in (0, self.proto):
            raise ArgumentError("proto", proto, f"0 or {self.proto}")
        calls.changed = _weakly(self)
        network.keep_socket(calls)

    def __repr__(self) -> str:
        """Show the kind of socket, its addresses and its state."""
        return f"<postel socket {self._calls!r}>"

    def __enter__(self) -> Self:
        """Return the socket, which is closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the socket."""
        self.close()

    def __del__(self) -> None:
        """Close a socket that the program has forgotten, with a ResourceWarning."""
        if getattr(self, "_is_lent", True):
            if self._descriptor is not None:
                self._descriptor.close()
            return
        if not self._calls.is_closed:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)
            self.network.forget_socket(self._calls)
            self.network.call_in_thread_of_loop(self._calls.close)
            self._stop_watching()

    @staticmethod
    def shown(
        network: SocketNetwork, end: Connection | Listener | DatagramSocket, peer: Endpoint | None = None
    ) -> "Socket":
        """Make the socket that a transport or a server shows to the program.

        The transport or server goes on using ``end``.
        """
        family = socket.AF_INET if len(end.local.address) == 4 else socket.AF_INET6
        calls: NonBlockingSocket
        if isinstance(end, DatagramSocket):
            calls = DatagramCalls(network, family, network.config_of_sockets(), end)
        elif isinstance(end, Listener):
            calls = StreamCalls(network, family, network.config_of_sockets(), listener=end)
        else:
            context = end.context
            calls = StreamCalls(network, family, end.config, end)
            end.context = context
        made = Socket(network, calls=calls)
        made.lend()
        made._peer = peer
        return made

    _peer: Endpoint | None = None  # peer of a transport's socket, known after the connection's end, too

    @property
    def calls(self) -> NonBlockingSocket:
        """Socket of the host behind this one. Transports use it."""
        return self._calls

    def lend(self) -> None:
        """Leave the host's socket to a transport or a server: it uses that socket from now on."""
        self._is_lent = True
        self.network.forget_socket(self._calls)

    def end(self) -> None:
        """Note that the transport or server that used the socket has ended."""
        self._is_over = True
        self._stop_watching()

    # Names and options

    def fileno(self) -> int:
        """Return the number of the descriptor; -1 once the socket is closed."""
        if self._calls.is_closed or self._is_over:
            return -1
        if self._descriptor is None:
            self._is_watched = True
            self._descriptor = Descriptor()
            polled[self._descriptor.fileno()] = self
            self.refresh()
        return self._descriptor.fileno()

    def gettimeout(self) -> float:
        """Return 0.0: the socket never waits."""
        return 0.0

    def getblocking(self) -> bool:
        """Return False: the socket never waits."""
        return False

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - as the socket module has it
        """Accept False, which changes nothing. Raises ArgumentError for True."""
        if flag:
            raise ArgumentError(
                "flag", flag, "False: a socket in asyncio never waits; postel.blocking has sockets that do"
            )

    def settimeout(self, value: float | None) -> None:
        """Accept 0, which changes nothing. Raises ArgumentError for another timeout."""
        if value != 0:
            raise ArgumentError(
                "value", value, "0: a socket in asyncio never waits; postel.blocking has sockets that do"
            )

    def get_inheritable(self) -> bool:
        """Return False: no other process can have the socket."""
        return False

    def set_inheritable(self, inheritable: bool) -> None:  # noqa: FBT001 - as the socket module has it
        """Accept False, which changes nothing. Raises ArgumentError for True."""
        if inheritable:
            raise ArgumentError(
                "inheritable", inheritable, "False: no other process can have a socket of Postel's"
            )

    def getsockname(self) -> Name:
        """Return the own address and port; zeros before `bind` and `connect`."""
        return self._calls.getsockname()

    def getpeername(self) -> Name:
        """Return the peer's address and port. Raises ConnectionDoesNotExist."""
        return self._calls.getpeername() if self._peer is None else name(self._peer)

    def getsockopt(self, level: int, option: int, buflen: int = 0) -> int | bytes:
        """Return the value of an option: an int, or with ``buflen`` octets.

        Raises OptionUnknown and OptionInvalid, which are OSErrors.
        """
        return self._calls.getsockopt(level, option, buflen)

    def setsockopt(
        self, level: int, option: int, value: options.Value | None, optlen: int | None = None
    ) -> None:
        """Set an option: ``value`` is an int or octets.

        Raises OptionUnknown, OptionInvalid and ConnectionAlreadyExists, which are OSErrors.
        """
        self._calls.setsockopt(level, option, value, optlen)

    def claim_error(self) -> OSError | None:
        """Return the error for SO_ERROR as an exception, and forget it; None if there is none."""
        return self._calls.claim_error()

    @property
    def resets_on_close(self) -> bool:
        """Whether SO_LINGER is set to 0 seconds: `close` sends a RST."""
        return self._calls.resets_on_close

    # Opening

    def bind(self, address: Name) -> None:
        """Bind to an own address and port; port 0 takes a free port.

        Raises AddressInUse and AddressNotAvailable.
        """
        self._own.bind(address)

    def listen(self, backlog: int = 128) -> None:
        """Accept connections; up to ``backlog`` may wait for `accept`."""
        self._own.listen(backlog)
        self.refresh()

    def accept(self) -> "tuple[Socket, Name]":
        """Return the connection that waits longest, and its peer. Raises WouldBlock where none waits."""
        calls, peer = self._own.accept()
        self.refresh()
        return Socket(self.network, calls=calls), peer

    def connect(self, address: Name) -> None:
        """Open a connection, or choose the peer of a UDP socket.

        Raises ConnectionBegun for TCP: the socket is writable once the connection is open or has failed.
        """
        try:
            self._own.connect(address)
        finally:
            self.refresh()

    def connect_ex(self, address: Name) -> int:
        """Connect as `connect` does, but return the number of its error, or 0."""
        try:
            self.connect(address)
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    # Reading and writing

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Return up to ``bufsize`` octets, or one datagram; ``b""`` at the end of a stream.

        Raises WouldBlock, and the error that ended the connection.
        """
        return self._refreshing(self._own.recv, bufsize, flags)

    def recv_into(self, buffer: object, nbytes: int = 0, flags: int = 0) -> int:
        """Receive into ``buffer`` as `recv` does. Returns how many octets."""
        return self._refreshing(self._own.recv_into, buffer, nbytes, flags)

    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, Any]:
        """Receive as `recv` does. Returns the octets and their sender, which is None for a stream."""
        return self._refreshing(self._own.recvfrom, bufsize, flags)

    def recvfrom_into(self, buffer: object, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        """Receive into ``buffer`` as `recv` does. Returns how many octets, and their sender."""
        return self._refreshing(self._own.recvfrom_into, buffer, nbytes, flags)

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0) -> Message:
        """Receive as `recvfrom` does, with no ancillary data.

        The flag MSG_TRUNC says that a datagram was longer.
        """
        return self._refreshing(self._own.recvmsg, bufsize, ancbufsize, flags)

    def send(self, data: object, flags: int = 0) -> int:
        """Send as much as there is room for, or one datagram. Returns how many octets.

        Raises WouldBlock, and the error that ended the connection.
        """
        return self._refreshing(self._own.send, data, flags)

    def sendall(self, data: object, flags: int = 0) -> None:
        """Send all of ``data``.

        Raises BlockingIOError, as a non-blocking socket does, if there isn't room for all of ``data``. The
        octets for which there is room are sent.
        """
        view = memoryview(cast(Any, data)).cast("B")
        while view:
            view = view[self.send(view, flags) :]

    def sendto(self, data: object, *flags_and_address: Any) -> int:  # noqa: ANN401 - flags may be left out
        """Send one datagram to an address, the last argument; flags may stand before it.

        Returns how many octets.
        """
        flags, name_of_it = flags_and_address if len(flags_and_address) > 1 else (0, *flags_and_address)
        return self._refreshing(self._own.sendto, data, flags, name_of_it)

    def sendmsg(
        self,
        buffers: Iterable[object],
        ancdata: Sequence[object] = (),
        flags: int = 0,
        address: object = None,
    ) -> int:
        """Send the octets of all buffers, as `send` does, or to ``address``, as `sendto` does."""
        return self._refreshing(self._own.sendmsg, buffers, ancdata, flags, address)

    # Ending

    def shutdown(self, how: int) -> None:
        """End reading, writing or both: SHUT_RD, SHUT_WR, SHUT_RDWR. Raises ConnectionDoesNotExist."""
        self._refreshing(self._own.shutdown, how)

    def detach(self) -> int:
        """Raise SocketCallUnknown: the descriptor can only be polled."""
        raise SocketCallUnknown("a socket of Postel's can't be detached: use the socket itself")

    def close(self) -> None:
        """Close the socket. Data that was written before is still sent.

        A second call does nothing. A call on the socket of a transport or a server does nothing, either.
        """
        if self._is_lent:
            return
        if not self._calls.is_closed:
            self.network.forget_socket(self._calls)
            self._calls.close()
        self._stop_watching()

    def _stop_watching(self) -> None:
        """End the waiting of all tasks and callbacks for readiness, and close the descriptor."""
        for watcher in self._watchers.values():
            watcher.handle = None
        self._watchers.clear()
        self._calls.changed = _weakly(self)
        if self._descriptor is not None:
            polled.pop(self._descriptor.fileno(), None)
            self._descriptor.close()
            self._descriptor = None

    # Readiness, for loops

    async def ready(self, *, to_write: bool) -> None:
        """Wait until the socket is readable, or with ``to_write`` writable, or closed."""
        if self.is_ready(to_write=to_write):
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._is_watched = True
        self._waiting[to_write].append(waiter)
        try:
            await waiter
        finally:
            self._waiting[to_write].remove(waiter)

    def watch(
        self, handle: asyncio.Handle | None, loop: asyncio.AbstractEventLoop, *, to_write: bool
    ) -> bool:
        """Run ``handle`` while the socket is readable, or with ``to_write`` writable; None to stop.

        ``handle`` runs once in each round of the loop. Returns whether there was a handle before.
        """
        before = self._watchers.pop(to_write, None)
        if before is not None and before.handle is not None:
            before.handle.cancel()
            before.handle = None
        if handle is not None:
            self._is_watched = True
            self._watchers[to_write] = Watcher(self, handle, loop, to_write=to_write)
            self._watchers[to_write].look()
        # A watched socket is kept alive, as a loop keeps one that it polls
        self._calls.changed = self.refresh if self._watchers else _weakly(self)
        return before is not None

    def refresh(self) -> None:
        """Wake tasks and callbacks that wait for readiness, and update the descriptor.

        This is called after each event of the socket and each call on it.
        """
        if not self._is_watched:
            return
        for to_write, waiters in self._waiting.items():
            if waiters and self.is_ready(to_write=to_write):
                for waiter in waiters:
                    if not waiter.done():
                        waiter.set_result(None)
        for watcher in self._watchers.values():
            watcher.look()
        if self._descriptor is not None and not self._calls.is_closed:
            self._descriptor.show(is_readable=self._calls.is_readable, is_writable=self._calls.is_writable)

    def is_ready(self, *, to_write: bool) -> bool:
        """Tell whether the socket is readable, or with ``to_write`` writable."""
        return self._calls.is_writable if to_write else self._calls.is_readable

    @property
    def _own(self) -> NonBlockingSocket:
        """Socket of the host. Raises CallError where a transport or a server uses it."""
        if self._is_lent:
            raise CallError(f"{self!r} belongs to a transport or a server, which reads, writes and accepts")
        return self._calls

    def _refreshing(self, call: Callable[..., R], *arguments: Any) -> R:  # noqa: ANN401 - the call's own
        """Make a call on the host's socket, after which readiness may be different."""
        try:
            return call(*arguments)
        finally:
            self.refresh()


def _weakly(sock: Socket) -> Callable[[], None]:
    """Make a function that calls `Socket.refresh` without keeping the socket alive.

    So a socket that the program forgets is still closed by `Socket.__del__`.
    """
    reference = weakref.ref(sock)

    def changed() -> None:
        found = reference()
        if found is not None:
            found.refresh()

    return changed
