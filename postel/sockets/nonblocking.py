"""Sockets that never wait, for every driver (asyncio, trio, threads).

Each call does what it can do now, as on Linux, or raises WouldBlock, which is a BlockingIOError.
`StreamCalls` of `postel.sockets.stream` is TCP's socket, `DatagramCalls` of `postel.sockets.datagram` UDP's.
"""

import errno
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol, TypeAlias

from postel.errors import (
    ArgumentError,
    KindError,
    SocketCallInvalid,
    SocketCallUnknown,
    SocketClosed,
    SocketKindUnknown,
    TcpError,
    renewed,
)
from postel.host.host import Host
from postel.sockets import options
from postel.sockets.bindings import Bindings
from postel.sockets.names import Name
from postel.sockets.options import SocketOptions
from postel.sockets.table import NAMED, numbered
from postel.tcp.connection import Connection
from postel.tcp.events import Event
from postel.wire.address import Endpoint, is_unspecified, to_text

Data: TypeAlias = bytes | bytearray | memoryview
Message: TypeAlias = tuple[bytes, list[tuple[int, int, bytes]], int, Any]
MessageInto: TypeAlias = tuple[int, list[tuple[int, int, bytes]], int, Any]

_HARMLESS: Final = (
    socket.MSG_DONTWAIT
    | getattr(socket, "MSG_NOSIGNAL", 0)
    | getattr(socket, "MSG_MORE", 0)
    | socket.MSG_WAITALL
)
_V6ONLY: Final = NAMED["IPV6_V6ONLY"]


class SocketOwner(Protocol):
    """Part of a network that sockets need: a network of `postel.aio`, `postel.trio` or `postel.blocking`.

    ``bindings`` are the endpoints that sockets of ``host`` have bound.
    """

    host: Host
    bindings: Bindings

    def now(self) -> int:
        """Return the time of the network's clock, in microseconds. It works after the network's end, too."""
        ...

    def wake(self) -> None:
        """Let the pump send packets and deliver events soon, because a socket made a call.

        Does nothing after the network's end.
        """
        ...

    def abandon(self, connection: Connection) -> None:
        """Keep a connection until it has ended, though its socket is closed.

        The connection has data to deliver, or waits for a FIN.
        """
        ...


class NonBlockingSocket(ABC):
    """Base class of sockets that never wait.

    ``changed`` is called after each event that may change `is_readable` or `is_writable`; the driver
    (asyncio, trio, threads) sets it. Addresses are numeric: the driver resolves names before. Errors are
    OSErrors with Linux's numbers, EBADF once the socket is closed.
    """

    def __init__(
        self, owner: SocketOwner, family: int, kind: socket.SocketKind, settings: SocketOptions
    ) -> None:
        """Make a socket of this family and kind. ``settings`` are its options."""
        self.owner = owner
        self.family: socket.AddressFamily = socket.AddressFamily(family)
        self.type: socket.SocketKind = kind
        self.proto: int = socket.IPPROTO_TCP if kind is socket.SOCK_STREAM else socket.IPPROTO_UDP
        self.changed: Callable[[], None] = _nothing
        self.has_shut_down_reading: bool = False
        self.has_shut_down_writing: bool = False
        self.is_closed: bool = False
        self._options = settings
        self._failure: OSError | None = None  # reason why the network ended
        self._error: OSError | None = None  # an error that no call has raised yet

    # Names and options

    @abstractmethod
    def getsockname(self) -> Name:
        """Return the own address and port; zeros before there are any."""

    @abstractmethod
    def getpeername(self) -> Name:
        """Return the peer's address and port. Raises ConnectionDoesNotExist."""

    def getsockopt(self, level: int, option: int, buflen: int = 0) -> int | bytes:
        """Return the value of an option: an int, or with ``buflen`` octets.

        Raises OptionUnknown and OptionInvalid, which are OSErrors.
        """
        self.require_open()
        found = numbered(level, option)
        if found.name == "SO_ERROR":
            error = self.claim_error()
            return options.answer(
                options.NUMBER.pack(0 if error is None else error.errno or errno.EIO), buflen
            )
        return options.answer(self._options.get(found, self.owner.now()), buflen)

    def setsockopt(
        self, level: int, option: int, value: options.Value | None, optlen: int | None = None
    ) -> None:
        """Set an option: ``value`` is an int or octets; None stands for ``optlen`` octets of zero.

        Raises OptionUnknown, OptionInvalid and ConnectionAlreadyExists, which are OSErrors.
        """
        self.require_open()
        self._options.set(
            numbered(level, option), bytes(optlen or 0) if value is None else value, self.owner.now()
        )
        self.owner.wake()

    @property
    def resets_on_close(self) -> bool:
        """Whether SO_LINGER is set to 0 seconds: `close` sends a RST."""
        return self._options.linger == 0

    def claim_error(self) -> OSError | None:
        """Return the error for SO_ERROR; None if there is none. Each error is returned once."""
        error, self._error = self._error, None
        return error

    # Opening

    @abstractmethod
    def bind(self, name: Name) -> None:
        """Bind to an own address and port; port 0 takes a free port.

        Raises AddressInUse and AddressNotAvailable.
        """

    @abstractmethod
    def connect(self, name: Name) -> None:
        """Open a connection, or choose the peer.

        Raises ConnectionBegun for TCP: the socket is writable once the connection is open or has failed.
        """

    @abstractmethod
    def listen(self, backlog: int = 128) -> None:
        """Accept connections; up to ``backlog`` may wait for `accept`."""

    @abstractmethod
    def accept(self) -> "tuple[NonBlockingSocket, Name]":
        """Return the connection that waits longest, and its peer. Raises WouldBlock."""

    # Readiness

    @property
    @abstractmethod
    def is_readable(self) -> bool:
        """Whether a call that reads or accepts needn't wait: poll's POLLIN."""

    @property
    @abstractmethod
    def is_writable(self) -> bool:
        """Whether a call that sends needn't wait, or `connect` has ended: poll's POLLOUT.

        Where `is_writable` is False, `changed` is called once it has become True.
        """

    @abstractmethod
    def happened(self, event: Event) -> None:
        """Handle an event of the connection, listener or datagram socket. The pump calls this."""

    def fail(self, error: OSError) -> None:
        """End the socket, because the network has ended.

        Received data can still be read; all other calls raise ``error``.
        """
        if self._failure is None:
            self._failure = self._error = error
            self.changed()

    @abstractmethod
    def link_is_down(self, error: OSError) -> None:
        """End with ``error`` a connection that is being opened, because the device is switched off.

        The device may be off for a moment only, so that open connections go on.
        """

    # Reading and writing

    @abstractmethod
    def _read(self, limit: int, flags: int) -> tuple[bytes, Endpoint | None, int]:
        """Return up to ``limit`` octets, their sender (None for a stream), and the flags of ``recvmsg``."""

    @abstractmethod
    def _write(self, data: Data, flags: int, remote: Endpoint | None) -> int:
        """Send as much as there is room for. Returns how many octets."""

    @abstractmethod
    def _named(self, sender: Endpoint | None) -> Any:  # noqa: ANN401 - a name, or None of a stream's peer
        """Return the sender as `recvfrom` shows it."""

    @abstractmethod
    def _target(self, name: object) -> Endpoint | None:
        """Return the remote endpoint of `sendto`; None for the peer of a stream."""

    def recv(self, limit: int, flags: int = 0) -> bytes:
        """Return up to ``limit`` octets, or one datagram; ``b""`` at the end of a stream.

        Raises WouldBlock.
        """
        return self._read(_counted(limit), flags)[0]

    def recvfrom(self, limit: int, flags: int = 0) -> tuple[bytes, Any]:
        """Receive as `recv` does. Returns the octets, and the sender's name."""
        data, sender, _ = self._read(_counted(limit), flags)
        return data, self._named(sender)

    def recvmsg(self, limit: int, ancillary: int = 0, flags: int = 0) -> Message:
        """Receive as `recvfrom` does, with no ancillary data.

        The flag MSG_TRUNC says that a datagram was longer.
        """
        data, sender, told = self._read(_counted(limit), flags)
        return data, [], told, self._named(sender)

    def recv_into(self, buffer: object, limit: int = 0, flags: int = 0) -> int:
        """Receive into ``buffer`` as `recv` does. Returns how many octets."""
        return self.recvmsg_into([_room(buffer, limit)], 0, flags)[0]

    def recvfrom_into(self, buffer: object, limit: int = 0, flags: int = 0) -> tuple[int, Any]:
        """Receive into ``buffer`` as `recvfrom` does. Returns how many octets, and the sender's name."""
        count, _, _, sender = self.recvmsg_into([_room(buffer, limit)], 0, flags)
        return count, sender

    def recvmsg_into(self, buffers: Iterable[object], ancillary: int = 0, flags: int = 0) -> MessageInto:
        """Receive into ``buffers``, one after another, as `recvmsg` does.

        Returns the number of octets where `recvmsg` returns the octets.
        """
        rooms = [_room(buffer, 0) for buffer in buffers]
        data, sender, told = self._read(sum(map(len, rooms)), flags)
        at = 0
        for room in rooms:
            part = data[at : at + len(room)]
            room[: len(part)] = part
            at += len(part)
        return len(data), [], told, self._named(sender)

    def send(self, data: object, flags: int = 0) -> int:
        """Send to the peer as much as there is room for, or one datagram. Returns how many octets."""
        return self._write(_octets(data), flags, None)

    def sendto(self, data: object, flags: int, name: object) -> int:
        """Send one datagram to ``name``. A stream ignores the name. Returns how many octets."""
        self.require_open()
        return self._write(_octets(data), flags, self._target(name))

    def sendmsg(
        self, buffers: Iterable[object], ancillary: Sequence[object] = (), flags: int = 0, name: object = None
    ) -> int:
        """Send the octets of all buffers, as `send` or `sendto` does.

        Raises SocketCallInvalid for ancillary data.
        """
        if list(ancillary):
            raise SocketCallInvalid("ancillary data is not known here; allowed: none")
        data = b"".join([_octets(buffer) for buffer in buffers])
        return self.send(data, flags) if name is None else self.sendto(data, flags, name)

    @abstractmethod
    def shutdown(self, how: int) -> None:
        """End reading, writing or both: SHUT_RD, SHUT_WR, SHUT_RDWR. Raises ConnectionDoesNotExist."""

    @abstractmethod
    def close(self) -> None:
        """Close the socket. Data that was written before is still sent. A second call does nothing."""

    # For subclasses

    def require_open(self) -> None:
        """Raise SocketClosed once the socket is closed."""
        if self.is_closed:
            raise SocketClosed

    def _require_network(self) -> None:
        """Raise SocketClosed if the socket is closed, or the error that ended the network if it has ended."""
        self.require_open()
        if self._failure is not None:
            raise renewed(self._failure)

    def _note_shutdown(self, how: int) -> None:
        """Note which directions have ended. Raises SocketCallInvalid for an unknown ``how``."""
        if how not in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR):
            raise SocketCallInvalid(f"how is {how}; allowed: SHUT_RD, SHUT_WR, SHUT_RDWR")
        if how != socket.SHUT_WR:
            self.has_shut_down_reading = True
        if how != socket.SHUT_RD:
            self.has_shut_down_writing = True

    def _own_address(self, octets: bytes) -> str | None:
        """Return an own address in the form that `Host.listen` takes.

        None stands for all addresses of both families, which "::" means unless IPV6_V6ONLY is set.
        """
        if len(octets) == 16 and is_unspecified(octets) and not self._is_v6only():
            return None
        return to_text(octets)

    def _is_v6only(self) -> bool:
        """Tell whether the option IPV6_V6ONLY is set."""
        return any(self._options.get(_V6ONLY, self.owner.now()))

    @property
    def _nowhere(self) -> Endpoint:
        """Wildcard address of the socket's family, with port 0."""
        return Endpoint(bytes(4 if self.family is socket.AF_INET else 16), 0)


def checked_flags(flags: int, known: int) -> None:
    """Raise SocketCallUnknown for an unknown flag, unless the call does the same without the flag."""
    unknown = flags & ~(_HARMLESS | known)
    if unknown:
        raise SocketCallUnknown(f"flags {unknown:#x} are not known here")


def as_os_error(error: ArgumentError) -> TcpError:
    """Return the OSError for an address that the host refuses as an argument."""
    return error if isinstance(error, TcpError) else SocketCallInvalid(str(error))


def known_family(family: int, kind: int) -> tuple[socket.AddressFamily, socket.SocketKind]:
    """Return family and kind, without the flags that Linux allows in the kind. Raises SocketKindUnknown."""
    kind &= ~(getattr(socket, "SOCK_NONBLOCK", 0) | getattr(socket, "SOCK_CLOEXEC", 0))
    if family not in (socket.AF_INET, socket.AF_INET6):
        raise SocketKindUnknown(f"address family {family} is not known here; allowed: AF_INET, AF_INET6")
    if kind not in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        raise SocketKindUnknown(f"socket kind {kind} is not known here; allowed: SOCK_STREAM, SOCK_DGRAM")
    return socket.AddressFamily(family), socket.SocketKind(kind)


def _counted(limit: int) -> int:
    """Return ``limit``. Raises KindError and ArgumentError where it is no int of 0 or more."""
    if not isinstance(limit, int):
        raise KindError("limit", limit, "int")
    if limit < 0:
        raise ArgumentError("limit", limit, "0 octets or more")
    return limit


def _octets(data: Any) -> Data:  # noqa: ANN401 - any buffer
    """Return the octets of any buffer."""
    if isinstance(data, (bytes, bytearray)):
        return data
    view = memoryview(data)
    return view if view.format == "B" and view.ndim == 1 and view.contiguous else memoryview(view.tobytes())


def _room(buffer: Any, limit: int) -> memoryview:  # noqa: ANN401 - any buffer
    """Return the part of a buffer that may be written. Raises KindError and ArgumentError."""
    room = memoryview(buffer).cast("B")
    if room.readonly:
        raise KindError("buffer", buffer, "one that may be written to")
    if not 0 <= limit <= len(room):
        raise ArgumentError("nbytes", limit, f"0 to {len(room)}, the length of the buffer")
    return room[:limit] if limit else room


def _nothing() -> None:
    """Do nothing: the value of `changed` until the driver sets another function."""
