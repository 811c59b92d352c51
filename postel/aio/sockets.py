"""A socket of Postel's in asyncio: the shape of the socket module, without waiting."""

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
"""The sockets that have a descriptor, by its number."""


def name(endpoint: Endpoint) -> Name:
    """As the socket module names it: a pair for IPv4, with flow and scope for IPv6."""
    text = address.to_text(endpoint.address)
    return (text, endpoint.port) if len(endpoint.address) == 4 else (text, endpoint.port, 0, 0)


class SocketNetwork(SocketOwner, Protocol):
    """The network that a socket is on."""

    def config_of_sockets(self) -> Config:
        """The choices of its connections, unless options change them."""
        ...

    def keep_socket(self, calls: NonBlockingSocket) -> None:
        """A socket was made: it hears of the network's end."""
        ...

    def forget_socket(self, calls: NonBlockingSocket) -> None:
        """It was closed, or a transport has it."""
        ...

    def call_in_thread_of_loop(self, call: Callable[[], None]) -> None:
        """From any thread: at once where that is the loop's, or soon."""
        ...

    def context(self) -> Context:
        """Of callbacks: the caller's, with this network as the current one."""
        ...


class Socket:
    """A TCP or UDP socket of ``network``, for ``loop.sock_recv`` and the like, and what
    ``get_extra_info("socket")`` gives.

    It has the calls of `socket.socket`, with Linux's errors, and never waits: what would wait raises
    BlockingIOError. Options are those of `postel.sockets`. `fileno` is a real descriptor, made when it is
    asked for first; polls find it readable and writable as the socket is, and nothing else can be done with
    it. The socket of a transport shows names, options and readiness; what reads and writes is the
    transport's.
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
        if calls is None:
            family, kind = known_family(family, type)
            config = network.config_of_sockets()
            calls = (
                StreamCalls(network, family, config)
                if kind is socket.SOCK_STREAM
                else DatagramCalls(network, family, config)
            )
        self._calls = calls
        self._is_lent = False  # to a transport or a server of the network
        self._is_over = False  # what it was lent to has ended
        self._is_watched = False  # something waits, or has waited, for readiness
        self._descriptor: Descriptor | None = None
        self._watchers: dict[bool, Watcher] = {}  # of writing, of reading
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
        return f"<postel socket {self._calls!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
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
        """The socket that a transport or a server shows; it leaves ``end`` to that."""
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

    _peer: Endpoint | None = None  # of a socket that is shown: known after the connection's end, too

    @property
    def calls(self) -> NonBlockingSocket:
        """For transports: what it is a socket of."""
        return self._calls

    def lend(self) -> None:
        """For transports: what it is a socket of is theirs from now on."""
        self._is_lent = True
        self.network.forget_socket(self._calls)

    def end(self) -> None:
        """For transports and servers: what it was lent to has ended."""
        self._is_over = True
        self._stop_watching()

    # Names and options

    def fileno(self) -> int:
        """The number of its descriptor; -1 once it is closed."""
        if self._calls.is_closed or self._is_over:
            return -1
        if self._descriptor is None:
            self._is_watched = True
            self._descriptor = Descriptor()
            polled[self._descriptor.fileno()] = self
            self.refresh()
        return self._descriptor.fileno()

    def gettimeout(self) -> float:
        """0.0: it never waits."""
        return 0.0

    def getblocking(self) -> bool:
        """False: it never waits."""
        return False

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - as the socket module has it
        """False is what it is; True is an ArgumentError."""
        if flag:
            raise ArgumentError(
                "flag", flag, "False: a socket in asyncio never waits; postel.blocking has sockets that do"
            )

    def settimeout(self, value: float | None) -> None:
        """0 is what it is; any other is an ArgumentError."""
        if value != 0:
            raise ArgumentError(
                "value", value, "0: a socket in asyncio never waits; postel.blocking has sockets that do"
            )

    def get_inheritable(self) -> bool:
        """False: no other process can have it."""
        return False

    def set_inheritable(self, inheritable: bool) -> None:  # noqa: FBT001 - as the socket module has it
        """False is what it is; True is an ArgumentError."""
        if inheritable:
            raise ArgumentError(
                "inheritable", inheritable, "False: no other process can have a socket of Postel's"
            )

    def getsockname(self) -> Name:
        """Its own address and port; zeros where it has none yet."""
        return self._calls.getsockname()

    def getpeername(self) -> Name:
        """The peer's address and port. Raises ConnectionDoesNotExist."""
        return self._calls.getpeername() if self._peer is None else name(self._peer)

    def getsockopt(self, level: int, option: int, buflen: int = 0) -> int | bytes:
        """As of a socket: an int, or with ``buflen`` octets. Raises OptionUnknown and OptionInvalid, which
        are OSErrors.
        """
        return self._calls.getsockopt(level, option, buflen)

    def setsockopt(
        self, level: int, option: int, value: options.Value | None, optlen: int | None = None
    ) -> None:
        """As of a socket. Raises OptionUnknown, OptionInvalid and ConnectionAlreadyExists, which are
        OSErrors.
        """
        self._calls.setsockopt(level, option, value, optlen)

    def claim_error(self) -> OSError | None:
        """SO_ERROR as an exception: what went wrong since it was asked last."""
        return self._calls.claim_error()

    @property
    def resets_on_close(self) -> bool:
        """Whether SO_LINGER asks for 0 seconds."""
        return self._calls.resets_on_close

    # Opening

    def bind(self, address: Name) -> None:
        """Take an own address and port; port 0 takes a free one. Raises AddressInUse, AddressNotAvailable."""
        self._own.bind(address)

    def listen(self, backlog: int = 128) -> None:
        """Accept connections, as many at once as ``backlog``."""
        self._own.listen(backlog)
        self.refresh()

    def accept(self) -> "tuple[Socket, Name]":
        """The oldest connection that waits, and its peer. Raises WouldBlock."""
        calls, peer = self._own.accept()
        self.refresh()
        return Socket(self.network, calls=calls), peer

    def connect(self, address: Name) -> None:
        """Open a connection, or choose the peer of UDP. Raises ConnectionBegun; it is writable once the
        outcome is known.
        """
        try:
            self._own.connect(address)
        finally:
            self.refresh()

    def connect_ex(self, address: Name) -> int:
        """As `connect`: the number of its error, or 0."""
        try:
            self.connect(address)
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    # Reading and writing

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Up to ``bufsize`` octets, or one datagram; ``b""`` at the end of a stream. Raises WouldBlock, and
        what ended the connection.
        """
        return self._refreshing(self._own.recv, bufsize, flags)

    def recv_into(self, buffer: object, nbytes: int = 0, flags: int = 0) -> int:
        """As `recv`, into ``buffer``: how many octets."""
        return self._refreshing(self._own.recv_into, buffer, nbytes, flags)

    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, Any]:
        """As `recv`, with the sender, None of a stream."""
        return self._refreshing(self._own.recvfrom, bufsize, flags)

    def recvfrom_into(self, buffer: object, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        """As `recv_into`, with the sender."""
        return self._refreshing(self._own.recvfrom_into, buffer, nbytes, flags)

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0) -> Message:
        """As `recvfrom`, with no ancillary data, and the flag MSG_TRUNC where a datagram was longer."""
        return self._refreshing(self._own.recvmsg, bufsize, ancbufsize, flags)

    def send(self, data: object, flags: int = 0) -> int:
        """Send what there is room for, or one datagram: how many octets. Raises WouldBlock, and what ended
        the connection.
        """
        return self._refreshing(self._own.send, data, flags)

    def sendall(self, data: object, flags: int = 0) -> None:
        """Raises BlockingIOError where not all of it has room, as a socket that doesn't wait; what had is
        sent.
        """
        view = memoryview(cast(Any, data)).cast("B")
        while view:
            view = view[self.send(view, flags) :]

    # The flags may be left out
    def sendto(self, data: object, *flags_and_address: Any) -> int:  # noqa: ANN401
        """Send one datagram to an address, the last argument; flags may stand before it."""
        flags, name_of_it = flags_and_address if len(flags_and_address) > 1 else (0, *flags_and_address)
        return self._refreshing(self._own.sendto, data, flags, name_of_it)

    def sendmsg(
        self,
        buffers: Iterable[object],
        ancdata: Sequence[object] = (),
        flags: int = 0,
        address: object = None,
    ) -> int:
        """As `send` with the octets of all buffers, or as `sendto` with an ``address``."""
        return self._refreshing(self._own.sendmsg, buffers, ancdata, flags, address)

    # Ending

    def shutdown(self, how: int) -> None:
        """End reading, writing or both: SHUT_RD, SHUT_WR, SHUT_RDWR. Raises ConnectionDoesNotExist."""
        self._refreshing(self._own.shutdown, how)

    def detach(self) -> int:
        """Raises SocketCallUnknown: its descriptor can only be polled."""
        raise SocketCallUnknown("a socket of Postel's can't be detached: use the socket itself")

    def close(self) -> None:
        """Everything written is still sent. A second call does nothing; of a transport's socket, no call
        does.
        """
        if self._is_lent:
            return
        if not self._calls.is_closed:
            self.network.forget_socket(self._calls)
            self._calls.close()
        self._stop_watching()

    def _stop_watching(self) -> None:
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
        """Wait until it is readable, or writable; until it is closed, too."""
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
        """Run ``handle`` again and again while it is readable, or writable; None for no more. Whether one was
        there before.
        """
        before = self._watchers.pop(to_write, None)
        if before is not None and before.handle is not None:
            before.handle.cancel()
            before.handle = None
        if handle is not None:
            self._is_watched = True
            self._watchers[to_write] = Watcher(self, handle, loop, to_write=to_write)
            self._watchers[to_write].look()
        # A socket that is watched lives on, as one that a loop polls
        self._calls.changed = self.refresh if self._watchers else _weakly(self)
        return before is not None

    def refresh(self) -> None:
        """Something has happened: tell whatever waits for it."""
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
        """Whether it is readable, or writable."""
        return self._calls.is_writable if to_write else self._calls.is_readable

    @property
    def _own(self) -> NonBlockingSocket:
        if self._is_lent:
            raise CallError(f"{self!r} belongs to a transport or a server, which reads, writes and accepts")
        return self._calls

    def _refreshing(self, call: Callable[..., R], *arguments: Any) -> R:  # noqa: ANN401 - the call's own
        try:
            return call(*arguments)
        finally:
            self.refresh()


def _weakly(sock: Socket) -> Callable[[], None]:
    """`Socket.refresh`, that doesn't keep the socket: one that the program forgets is closed."""
    reference = weakref.ref(sock)

    def changed() -> None:
        found = reference()
        if found is not None:
            found.refresh()

    return changed
