"""``loop.create_server`` over Postel: asyncio's own `asyncio.Server`, on sockets of Postel."""

import asyncio
import errno
import os
import socket
import sys
from asyncio.base_events import Server as AsyncioServer
from collections.abc import Callable, Iterable
from contextvars import Context
from typing import Any, Protocol, cast

from postel.aio.network import Network
from postel.aio.sockets import Socket
from postel.aio.transport import Transport
from postel.errors import LinkError, TcpError
from postel.sockets.lookup import AddressInfo
from postel.tcp.connection import Connection

_TELLS_WHICH = sys.version_info >= (3, 13)  # asyncio passes each transport to the server's methods that count
_SKIPS = sys.version_info >= (3, 13)  # asyncio skips an address that the host doesn't have
Factory = Callable[[], asyncio.BaseProtocol]


class Attaching(Protocol):
    """Part of asyncio's server that counts transports."""

    def _attach(self, *transport: object) -> None:
        """Count a transport."""

    def _detach(self, *transport: object) -> None:
        """Subtract a transport from the count."""


class Served:
    """Network as a transport of an asyncio server sees it: the server counts the transport until its end."""

    __slots__ = ("_network", "_server")

    def __init__(self, network: Network, server: Attaching) -> None:
        """Make the view of ``network`` for the transports of ``server``."""
        self._network = network
        self._server = server

    def attach(self, transport: Transport) -> None:
        """Let the server count the transport."""
        self._server._attach(*self._told(transport))

    def orphan(self, connection: Connection) -> None:
        """Keep a connection that outlives its transport: see `Network.orphan`."""
        self._network.orphan(connection)

    def forget(self, transport: Transport) -> None:
        """Let the network forget a transport that has ended, and the server subtract it from its count."""
        self._network.forget(transport)
        self._server._detach(*self._told(transport))

    def _told(self, transport: Transport) -> tuple[object, ...]:
        """Return the arguments that this version of asyncio passes to its server."""
        return (transport,) if _TELLS_WHICH else ()


def check(ssl: object, host: object, port: object, sock: object, **only_with_ssl: object) -> None:
    """Raise what asyncio's ``create_server`` raises, in its words, for arguments that don't go together."""
    if isinstance(ssl, bool):
        raise TypeError("ssl argument must be an SSLContext or None")
    for name, value in only_with_ssl.items():
        if value is not None and ssl is None:
            raise ValueError(f"{name} is only meaningful with ssl")
    if host is not None or port is not None:
        if sock is not None:
            raise ValueError("host/port and sock can not be specified at the same time")
    elif sock is None:
        raise ValueError("Neither host/port nor sock were specified")
    elif cast(Any, sock).type != socket.SOCK_STREAM:
        raise ValueError(f"A Stream Socket was expected, got {sock!r}")


def hosts_of(host: object) -> list[Any]:
    """Return the hosts that ``create_server`` is given, as a list; None in it stands for all addresses."""
    if host == "":
        return [None]
    if isinstance(host, str) or not isinstance(host, Iterable):
        return [host]
    return list(host)


def bound(network: Network, infos: Iterable[AddressInfo], wanted: list[int]) -> list[Socket]:
    """Make a bound socket for each address, with the options ``wanted`` of SOL_SOCKET.

    Raises an OSError that names the address. In that case no socket stays open.
    """
    made: list[Socket] = []
    try:
        for info in infos:
            sock = _bound(network, info, wanted)
            if sock is not None:
                made.append(sock)
    except BaseException:
        for sock in made:
            sock.close()
        raise
    if not made:
        raise OSError(f"could not bind on any address out of {[info[4] for info in infos]!r}")
    return made


def _bound(network: Network, info: AddressInfo, wanted: list[int]) -> Socket | None:
    """Make a bound socket; None for an address that the host doesn't have and that asyncio skips."""
    family, kind, proto, _, name = info
    # A host without addresses of a family is like a system without IPv6
    if name[0] in ("0.0.0.0", "::") and not network.has_family(family):  # noqa: S104
        return None
    sock = network.socket(family, kind, proto)
    try:
        for option in wanted:
            sock.setsockopt(socket.SOL_SOCKET, option, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(name)
    except TcpError as error:
        sock.close()
        if _SKIPS and error.errno == errno.EADDRNOTAVAIL:
            return None
        raise type(error)(f"error while attempting to bind on address {name!r}: {reason(error)}") from error
    except BaseException:
        sock.close()
        raise
    return sock


def reason(error: OSError) -> str:
    """Return why a socket couldn't be bound, in the words of this version of asyncio."""
    text = os.strerror(error.errno or 0)
    return (f"[Errno {error.errno}] {text}" if _TELLS_WHICH else text).lower()


class Acceptor:
    """Makes protocol and transport for each connection that a server's socket accepts."""

    def __init__(
        self, loop: Any, factory: Factory, sock: Socket, server: AsyncioServer | None, options: dict[str, Any]
    ) -> None:
        """Serve ``sock`` with protocols of ``factory``. ``server`` counts the transports."""
        self._loop = loop
        self._factory = factory
        self._sock = sock
        self._server = server
        self._options = options  # arguments of TLS; empty without TLS
        self._context: Context = sock.network.context()

    def begin(self) -> None:
        """Accept connections from now on."""
        self._sock.watch(
            asyncio.Handle(self._accept, (), self._loop, self._context), self._loop, to_write=False
        )

    def _accept(self) -> None:
        """Accept all connections that wait."""
        try:
            while True:
                accepted, _ = self._sock.accept()
                self._context.copy().run(self._serve, accepted)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error)

    def _serve(self, accepted: Socket) -> None:
        """Make protocol and transport for a connection, in a context of its own."""
        try:
            protocol = self._factory()
            if self._options:
                self._loop._make_ssl_transport(
                    accepted, protocol, server_side=True, server=self._server, **self._options
                )
            else:
                self._loop._make_socket_transport(accepted, protocol, server=self._server)
        except Exception as error:  # noqa: BLE001 - whatever the program's factory raises
            accepted.close()
            message = "Error on transport creation for incoming connection"
            self._loop.call_exception_handler(
                {"message": message, "exception": error, "server": self._server}
            )

    def _end(self, error: OSError) -> None:
        """Close the server, because the network has ended."""
        self._sock.watch(None, self._loop, to_write=False)
        if isinstance(error, LinkError):
            message = "a server's link has ended, and the server with it"
            self._loop.call_exception_handler(
                {"message": message, "exception": error, "server": self._server}
            )
        if self._server is not None:
            self._server.close()
