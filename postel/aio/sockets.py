"""What ``get_extra_info("socket")`` gives: the socket module's shape, to look at and to set options."""

import socket
from typing import TypedDict, Unpack

from postel.aio.pump import Pump
from postel.errors import ConnectionDoesNotExist
from postel.host.listener import Listener
from postel.sockets import options
from postel.sockets.options import SocketOptions
from postel.sockets.table import numbered
from postel.tcp.connection import Connection
from postel.wire import address
from postel.wire.address import Endpoint

Name = tuple[str, int] | tuple[str, int, int, int]


def name(endpoint: Endpoint) -> Name:
    """As the socket module names it: a pair for IPv4, with flow and scope for IPv6."""
    text = address.to_text(endpoint.address)
    return (text, endpoint.port) if len(endpoint.address) == 4 else (text, endpoint.port, 0, 0)


class Ends(TypedDict, total=False):
    """What a stream's socket is a socket of."""

    connection: Connection
    listener: Listener


class Socket:
    """A name, a family and options. It has no descriptor, so nothing can be read or written past the transport.

    What is set on a listener's or a connection's changes its `Config`, by the table of `postel.sockets`. SO_ERROR tells once what ended
    the connection, and TCP_INFO all there is to know. SO_LINGER with 0 seconds lets `close` of the transport reset the connection.
    """

    def __init__(self, local: Endpoint, remote: Endpoint | None, kind: socket.SocketKind, pump: Pump, **ends: Unpack[Ends]) -> None:
        self._local = local
        self._remote = remote
        self._pump = pump
        self.family = socket.AF_INET if len(local.address) == 4 else socket.AF_INET6
        self.type = kind
        self.proto: int = socket.IPPROTO_TCP if kind is socket.SOCK_STREAM else socket.IPPROTO_UDP
        self._options = SocketOptions(family=self.family, kind=kind, **ends)

    def __repr__(self) -> str:
        return f"<postel socket {self._local}{f' to {self._remote}' if self._remote else ''}>"

    def fileno(self) -> int:
        return -1

    def gettimeout(self) -> float:
        return 0.0  # as every socket inside asyncio

    def getsockname(self) -> Name:
        return name(self._local)

    def getpeername(self) -> Name:
        if self._remote is None:
            raise ConnectionDoesNotExist
        return name(self._remote)

    def getsockopt(self, level: int, option: int, buflen: int = 0) -> int | bytes:
        """As of a socket: an int, or with ``buflen`` octets. Raises OptionUnknown and OptionInvalid, which are OSErrors."""
        return options.answer(self._options.get(numbered(level, option), self._pump.now()), buflen)

    def setsockopt(self, level: int, option: int, value: options.Value | None, optlen: int | None = None) -> None:
        """As of a socket. Raises OptionUnknown, OptionInvalid and ConnectionAlreadyExists, which are OSErrors."""
        self._options.set(numbered(level, option), bytes(optlen or 0) if value is None else value, self._pump.now())
        self._pump.wake()

    @property
    def resets_on_close(self) -> bool:
        """Whether SO_LINGER asks for 0 seconds."""
        return self._options.linger == 0
