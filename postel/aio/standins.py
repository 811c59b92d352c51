"""Sockets of Postel's in the place of those that a program made of the system's.

hypercorn, anyio, aiohappyeyeballs and others make a `socket.socket` and hand it to the loop. As long as it isn't connected, it is an
address and options: the loop makes a socket of Postel's with these, and that connects, listens or sends.
"""

import socket
import ssl
import weakref
from asyncio.trsock import TransportSocket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, Final, cast

from postel.aio.network import Network
from postel.aio.sockets import Socket, polled
from postel.sockets.table import OPTIONS, Option, system_number

_DOUBLED: Final = ("SO_RCVBUF", "SO_SNDBUF")  # as Linux tells them
_BACKLOG: Final = 128  # no system tells that of a socket which listens

Options = dict[tuple[int, int], tuple[Option, int]]
_usual: dict[tuple[int, int], Options] = {}  # of a new socket, by family and kind


class _Replaced(socket.socket):
    """What a program's own socket is once another stands for it: the same object, with the other's names, options and calls."""

    __slots__ = ()
    standing: ClassVar[Socket]

    def close(self) -> None:
        """Close both: a program that opened a socket by itself closes it by itself."""
        self.standing.close()
        super().close()

    def fileno(self) -> int:
        return self.standing.fileno()

    def getsockname(self) -> Any:
        return self.standing.getsockname()

    def getpeername(self) -> Any:
        return self.standing.getpeername()

    def getsockopt(self, level: int, optname: int, buflen: int = 0) -> Any:
        return self.standing.getsockopt(level, optname, buflen)

    def setsockopt(self, *option: Any) -> None:
        self.standing.setsockopt(*option)

    def connect(self, address: Any) -> None:
        self.standing.connect(address)

    def listen(self, backlog: int = _BACKLOG) -> None:
        self.standing.listen(backlog)

    def accept(self) -> Any:
        return self.standing.accept()

    def shutdown(self, how: int) -> None:
        self.standing.shutdown(how)

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        return self.standing.recv(bufsize, flags)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        return self.standing.recv_into(buffer, nbytes, flags)

    def recvfrom(self, bufsize: int, flags: int = 0) -> Any:
        return self.standing.recvfrom(bufsize, flags)

    def send(self, data: Any, flags: int = 0) -> int:
        return self.standing.send(data, flags)

    def sendall(self, data: Any, flags: int = 0) -> None:
        self.standing.sendall(data, flags)

    def sendto(self, data: Any, *flags_and_address: Any) -> int:
        return self.standing.sendto(data, *flags_and_address)


def _give_calls_of(made: Socket, sock: socket.socket) -> None:
    """Let the program's own object do what ``made`` does, whatever name it has in the program."""
    kind = type(sock)
    bases = (_Replaced,) if kind is socket.socket else (_Replaced, kind)
    inside = {"__slots__": (), "standing": made, "__module__": kind.__module__, "__doc__": kind.__doc__}
    with suppress(TypeError):  # of a class that is laid out in another way: its close is heard of once the program has forgotten it
        sock.__class__ = type(kind.__name__, bases, inside)


class StandIns:
    """Those of one loop."""

    def __init__(self) -> None:
        self._found: weakref.WeakKeyDictionary[socket.socket, Socket] = weakref.WeakKeyDictionary()

    def find(self, sock: object) -> Socket | None:
        """Postel's socket that ``sock`` is, by its descriptor too, or that stands for it; None for another of the system's."""
        if isinstance(sock, Socket):
            return sock
        if isinstance(sock, TransportSocket):
            return self.find(cast(Any, sock)._sock)  # noqa: SLF001 - as ``server.sockets`` shows it
        if isinstance(sock, int):
            return polled.get(sock)
        return self._found.get(sock) if isinstance(sock, socket.socket) else None

    def replace(self, sock: object, network_here: Callable[[], Network]) -> Socket | None:
        """As `find`; makes a socket of Postel's where ``sock`` isn't connected yet. What is connected stays the system's."""
        found = self.find(sock)
        if found is not None or not isinstance(sock, socket.socket) or not _is_replaceable(sock):
            return found
        made = Socket(network_here(), sock.family, sock.type)
        try:
            _configure_as(made, sock)
            _bind_as(made, sock)
        except BaseException:
            made.close()
            raise
        made.stand_for(sock)
        self._found[sock] = made
        _give_calls_of(made, sock)
        return made


def _configure_as(made: Socket, sock: socket.socket) -> None:
    for key, (option, value) in _options(sock).items():
        if (option, value) != _usual_options(sock)[key]:
            with suppress(OSError):  # the system has it, and Postel refuses it here: nothing depends on it
                made.setsockopt(*key, value // 2 if option.name in _DOUBLED else value)


def _is_replaceable(sock: socket.socket) -> bool:
    """Whether it is a plain socket of TCP or UDP that has no peer. A subclass with calls of its own knows better."""
    is_plain = getattr(type(sock), "connect", None) is socket.socket.connect and not isinstance(sock, ssl.SSLSocket)
    if not is_plain or sock.fileno() < 0:
        return False
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type not in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        return False
    try:
        sock.getpeername()
    except OSError:
        return True
    return False


def _bind_as(made: Socket, sock: socket.socket) -> None:
    bound: Any = sock.getsockname()
    if bound[1]:
        made.bind(bound)
    if sock.type is socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        made.listen(_BACKLOG)
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RD)  # the system's own network is not listened to


def _options(sock: socket.socket) -> Options:
    found: Options = {}
    for option in OPTIONS:
        key = system_number(option.level), system_number(option.name)
        if option.kind in ("told", "name") or option.name == "SO_LINGER" or -1 in key:
            continue
        with suppress(OSError):
            found[key] = option, sock.getsockopt(*key)
    return found


def _usual_options(sock: socket.socket) -> Options:
    kind = int(sock.family), int(sock.type)
    if kind not in _usual:
        with socket.socket(*kind) as fresh:
            _usual[kind] = _options(fresh)
    return _usual[kind]
