"""Sockets of the system's that a program made and that have become sockets of Postel's.

hypercorn, anyio, aiohappyeyeballs and others make a `socket.socket` and hand it to the loop. As long as it
isn't connected, it is an address and options: the loop opens a socket of Postel's with these, gives the
system its own back, and the program's object is `Replaced`.
"""

import os
import socket
import ssl
import weakref
from asyncio.trsock import TransportSocket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, cast

from postel.aio.network import Network
from postel.aio.sockets import Socket, polled
from postel.sockets.table import OPTIONS, Option, system_number

_DOUBLED: Final = ("SO_RCVBUF", "SO_SNDBUF")  # as Linux tells them
_BACKLOG: Final = 128  # no system tells that of a socket which listens
_PLAIN: Final = socket.socket

Options = dict[tuple[int, int], tuple[Option, int]]


class Replaced(socket.socket):
    """What the class of a program's socket is once it is Postel's: each call is that of a `Socket`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<replaced by {_sockets[self]!r}>"

    def _real_close(self, *_: object) -> None:
        _sockets[self].close()

    def detach(self) -> int:
        """Refused, as by `Socket`."""
        return _sockets[self].detach()


def _delegated(name: str) -> Callable[..., Any]:
    def call(self: Replaced, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - each has its own
        return getattr(_sockets[self], name)(*arguments, **options)

    call.__name__ = name
    return call


_CALLS: Final = (
    "accept bind connect connect_ex fileno get_inheritable getblocking getpeername getsockname getsockopt "
    "gettimeout listen recv recv_into"
    " recvfrom recvfrom_into recvmsg send sendall sendmsg sendto set_inheritable setblocking setsockopt "
    "settimeout shutdown"
)
for _name in _CALLS.split(" "):
    setattr(Replaced, _name, _delegated(_name))

_sockets: weakref.WeakKeyDictionary[socket.socket, Socket] = weakref.WeakKeyDictionary()
_usual: dict[tuple[int, int], Options] = {}  # of a new socket, by family and kind


def find(sock: object) -> Socket | None:
    """Postel's socket that ``sock`` is, by its descriptor too; None for another of the system's."""
    if isinstance(sock, Socket):
        return sock
    if isinstance(sock, TransportSocket):
        return find(cast(Any, sock)._sock)  # noqa: SLF001 - as ``server.sockets`` shows it
    if isinstance(sock, int):
        return polled.get(sock)
    return _sockets.get(sock) if isinstance(sock, Replaced) else None


def replace(sock: object, network_here: Callable[[], Network]) -> Socket | None:
    """As `find`; makes a socket of Postel's where ``sock`` isn't connected yet. What is connected stays the
    system's.
    """
    found = find(sock)
    if found is not None or not isinstance(sock, socket.socket) or not is_replaceable(sock):
        return found
    kind = _replaced_kind(sock)
    made = Socket(network_here(), sock.family, sock.type)
    try:
        _configure_as(made, sock)
        _bind_as(made, sock)
    except BaseException:
        made.close()
        raise
    os.close(_PLAIN.detach(sock))
    sock.__class__ = kind
    _sockets[sock] = made
    return made


def is_replaceable(sock: socket.socket) -> bool:
    """Whether it is a socket of TCP or UDP that has no peer. A subclass with calls of its own knows
    better.
    """
    is_plain = getattr(type(sock), "connect", None) is _PLAIN.connect and not isinstance(sock, ssl.SSLSocket)
    if not is_plain or sock.fileno() < 0:
        return False
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type not in (
        socket.SOCK_STREAM,
        socket.SOCK_DGRAM,
    ):
        return False
    try:
        sock.getpeername()
    except OSError:
        return True
    return False


def _replaced_kind(sock: socket.socket) -> type[Replaced]:
    """What its class will be: `Replaced`, or that with what the program's own subclass has beside the
    calls.
    """
    kind = type(sock)
    return (
        Replaced
        if kind is _PLAIN
        else cast(type[Replaced], type(kind.__name__, (kind, Replaced), {"__slots__": ()}))
    )


def _configure_as(made: Socket, sock: socket.socket) -> None:
    for key, (option, value) in _options(sock).items():
        if (option, value) != _usual_options(sock)[key]:
            with suppress(OSError):  # the system has it, and Postel refuses it here: nothing depends on it
                made.setsockopt(*key, value // 2 if option.name in _DOUBLED else value)


def _bind_as(made: Socket, sock: socket.socket) -> None:
    bound: Any = sock.getsockname()
    if bound[1]:
        made.bind(bound)
    if sock.type is socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        made.listen(_BACKLOG)


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
        with _PLAIN(*kind) as fresh:
            _usual[kind] = _options(fresh)
    return _usual[kind]
