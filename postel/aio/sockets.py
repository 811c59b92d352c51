"""What ``get_extra_info("socket")`` gives: the socket module's shape, to look at and to set options."""

import socket
from typing import Protocol

from postel.aio import options
from postel.aio.pump import Pump
from postel.errors import ConnectionDoesNotExist, OptionUnknown
from postel.tcp.connection import Connection
from postel.wire import address
from postel.wire.address import Endpoint

_FIXED = ("SO_TYPE", "SO_DOMAIN", "SO_PROTOCOL", "SO_ERROR")  # what never changes, or was told already

Name = tuple[str, int] | tuple[str, int, int, int]


def name(endpoint: Endpoint) -> Name:
    """As the socket module names it: a pair for IPv4, with flow and scope for IPv6."""
    text = address.to_text(endpoint.address)
    return (text, endpoint.port) if len(endpoint.address) == 4 else (text, endpoint.port, 0, 0)


class Socket:
    """A name and a family. It has no descriptor, so nothing can be read or written past the transport."""

    def __init__(self, local: Endpoint, remote: Endpoint | None, kind: socket.SocketKind) -> None:
        self._local = local
        self._remote = remote
        self.family = socket.AF_INET if len(local.address) == 4 else socket.AF_INET6
        self.type = kind
        self.proto = socket.IPPROTO_TCP if kind is socket.SOCK_STREAM else socket.IPPROTO_UDP

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
        return options.answer(self._option(level, option), buflen)

    def setsockopt(self, level: int, option: int, value: options.Value | None, optlen: int | None = None) -> None:
        """As of a socket. Raises OptionUnknown and OptionInvalid, which are OSErrors."""
        del value, optlen
        raise OptionUnknown(f"option {(level, option)} can't be set here")

    def _option(self, level: int, option: int) -> bytes:
        fixed = (self.type.value, self.family.value, self.proto, 0)
        for name_of_it, number in zip(_FIXED, fixed, strict=True):
            if (level, option) == (socket.SOL_SOCKET, getattr(socket, name_of_it, None)):
                return options.NUMBER.pack(number)
        raise OptionUnknown(f"option {(level, option)} is not known here")


class Lingering(Protocol):
    """A transport: ``linger`` is what SO_LINGER asks of its `close`, in seconds, -1 for nothing."""

    linger: int


class ConnectionSocket(Socket):
    """Options of TCP change the connection's `Config`, by the table of `postel.aio.options`; SO_ERROR tells what ended it, and TCP_INFO all
    there is to know. SO_LINGER with 0 seconds lets `close` of the transport reset the connection."""

    def __init__(self, connection: Connection, pump: Pump, transport: Lingering) -> None:
        super().__init__(connection.local, connection.remote, socket.SOCK_STREAM)
        self._connection = connection
        self._pump = pump
        self._transport = transport

    def setsockopt(self, level: int, option: int, value: options.Value | None, optlen: int | None = None) -> None:
        if value is None:
            value = bytes(optlen or 0)
        if (level, option) == options.SO_LINGER:
            self._transport.linger = options.linger_of(value)
            return
        self._connection.configure(options.changed(self._connection.config, level, option, value), self._pump.now())
        self._pump.wake()

    def _option(self, level: int, option: int) -> bytes:
        if (level, option) == options.SO_LINGER:
            linger = self._transport.linger
            return options.LINGER.pack(linger >= 0, max(0, linger))
        try:
            return options.get(self._connection, level, option, self._pump.now())
        except OptionUnknown:
            return super()._option(level, option)
