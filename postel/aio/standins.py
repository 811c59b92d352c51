"""Sockets of the system that a program made, and that Postel replaced by sockets of its own.

Programs such as hypercorn, anyio and aiohappyeyeballs make a `socket.socket` and give it to the loop. While
it isn't connected, it is no more than an address and options. The loop then opens a socket of Postel with
these, closes the system's descriptor, and changes the class of the program's object to `Replaced`: from then
on, each of its methods calls Postel's socket. Such an object is a *stand-in*.
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

_DOUBLED: Final = ("SO_RCVBUF", "SO_SNDBUF")  # Linux returns twice the value that was set
_BACKLOG: Final = 128  # for a socket that listens already: its backlog can't be read
_PLAIN: Final = socket.socket

Options = dict[tuple[int, int], tuple[Option, int]]


class Replaced(socket.socket):
    """Class of a program's socket object after Postel's socket has taken its place.

    Each method calls the `Socket` that belongs to the object.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """Show Postel's socket."""
        return f"<replaced by {_sockets[self]!r}>"

    def _real_close(self, *_: object) -> None:
        """Close Postel's socket; `socket.socket.close` calls this."""
        _sockets[self].close()

    def detach(self) -> int:
        """Raise what `Socket.detach` raises."""
        return _sockets[self].detach()


def _delegated(name: str) -> Callable[..., Any]:
    """Make a method that calls the method ``name`` of Postel's socket."""

    def call(self: Replaced, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - arguments differ from method to method
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
_usual: dict[tuple[int, int], Options] = {}  # options of a new socket of the system, by family and kind


def find(sock: object) -> Socket | None:
    """Return the socket of Postel behind ``sock``, which may be a descriptor; None for one of the system."""
    if isinstance(sock, Socket):
        return sock
    if isinstance(sock, TransportSocket):
        return find(cast(Any, sock)._sock)  # noqa: SLF001 - ``server.sockets`` has such wrappers
    if isinstance(sock, int):
        return polled.get(sock)
    return _sockets.get(sock) if isinstance(sock, Replaced) else None


def replace(sock: object, network_here: Callable[[], Network]) -> Socket | None:
    """Return the socket of Postel behind ``sock``; make one where ``sock`` isn't connected yet.

    None for a connected socket of the system, which stays the system's.
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
    """Tell whether ``sock`` is a socket of TCP or UDP without a peer.

    An object of a subclass with a ``connect`` of its own isn't replaceable, because its ``connect`` does more
    than a socket's.
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
    """Return the new class of a program's socket: `Replaced`, mixed with the program's own subclass."""
    kind = type(sock)
    return (
        Replaced
        if kind is _PLAIN
        else cast(type[Replaced], type(kind.__name__, (kind, Replaced), {"__slots__": ()}))
    )


def _configure_as(made: Socket, sock: socket.socket) -> None:
    """Set on Postel's socket the options that the program has changed on its own."""
    for key, (option, value) in _options(sock).items():
        if (option, value) != _usual_options(sock)[key]:
            with suppress(OSError):  # Postel doesn't have this option: the program runs without it
                made.setsockopt(*key, value // 2 if option.name in _DOUBLED else value)


def _bind_as(made: Socket, sock: socket.socket) -> None:
    """Bind Postel's socket, and let it listen, as the program's socket is bound and listens."""
    bound: Any = sock.getsockname()
    if bound[1]:
        made.bind(bound)
    if sock.type is socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        made.listen(_BACKLOG)


def _options(sock: socket.socket) -> Options:
    """Return the options of a socket of the system that Postel knows, and their values."""
    found: Options = {}
    for option in OPTIONS:
        key = system_number(option.level), system_number(option.name)
        if option.kind in ("told", "name") or option.name == "SO_LINGER" or -1 in key:
            continue
        with suppress(OSError):
            found[key] = option, sock.getsockopt(*key)
    return found


def _usual_options(sock: socket.socket) -> Options:
    """Return the options of a new socket of the same family and kind."""
    kind = int(sock.family), int(sock.type)
    if kind not in _usual:
        with _PLAIN(*kind) as fresh:
            _usual[kind] = _options(fresh)
    return _usual[kind]
