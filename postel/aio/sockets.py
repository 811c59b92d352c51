"""What ``get_extra_info("socket")`` gives: the socket module's shape, to look at and to set a few options."""

import socket
import sys
from dataclasses import replace

from postel.aio.pump import Pump
from postel.errors import ArgumentError, ConnectionDoesNotExist
from postel.tcp.connection import Connection
from postel.wire import address
from postel.wire.address import Endpoint

TYPE = (socket.SOL_SOCKET, socket.SO_TYPE)
ERROR = (socket.SOL_SOCKET, socket.SO_ERROR)
KEEPALIVE = (socket.SOL_SOCKET, socket.SO_KEEPALIVE)
NODELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY)

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

    def getsockopt(self, level: int, option: int) -> int:
        if (level, option) == TYPE:
            return self.type.value
        if (level, option) == ERROR:
            return 0
        raise ArgumentError("option", (level, option), "SO_TYPE, SO_ERROR")

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        del value
        raise ArgumentError("option", (level, option), "none can be set here")


class ConnectionSocket(Socket):
    """TCP_NODELAY and SO_KEEPALIVE change the connection's `Config`; SO_ERROR tells what ended it."""

    def __init__(self, connection: Connection, pump: Pump) -> None:
        super().__init__(connection.local, connection.remote, socket.SOCK_STREAM)
        self._connection = connection
        self._pump = pump

    def getsockopt(self, level: int, option: int) -> int:
        config = self._connection.tcb.config
        if (level, option) == NODELAY:
            return int(not config.nagle)
        if (level, option) == KEEPALIVE:
            return int(config.keep_alive)
        if (level, option) == ERROR:
            return (self._connection.error.errno or 0) if self._connection.error else 0
        if (level, option) == TYPE:
            return self.type.value
        raise ArgumentError("option", (level, option), "TCP_NODELAY, SO_KEEPALIVE, SO_ERROR, SO_TYPE")

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        wanted = bool(value if isinstance(value, int) else int.from_bytes(value, sys.byteorder))
        config = self._connection.tcb.config
        if (level, option) == NODELAY:
            config = replace(config, nagle=not wanted)
        elif (level, option) == KEEPALIVE:
            config = replace(config, keep_alive=wanted)
        else:
            raise ArgumentError("option", (level, option), "TCP_NODELAY, SO_KEEPALIVE")
        self._connection.configure(config, self._pump.now())
        self._pump.wake()
