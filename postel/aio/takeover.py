"""Transports on sockets that are open already: the program or the loop opened them."""

import asyncio
import socket
from asyncio.sslproto import SSLProtocol
from contextlib import suppress
from typing import Any, cast

from postel.aio.datagram import DatagramTransport
from postel.aio.network import Network
from postel.aio.serving import Attaching, Served
from postel.aio.sockets import Socket
from postel.aio.transport import Transport
from postel.errors import ConnectionDoesNotExist, TcpError
from postel.sockets.datagram import DatagramCalls
from postel.sockets.names import Name
from postel.sockets.stream import StreamCalls

Waiter = asyncio.Future[None]


def stream(
    sock: Socket, protocol: asyncio.BaseProtocol, waiter: Waiter | None, server: Attaching | None
) -> Transport:
    """Make a transport on a connected socket, which belongs to the transport from now on.

    Raises ConnectionDoesNotExist for a socket that isn't connected.
    """
    network = cast(Network, sock.network)
    connection = cast(StreamCalls, sock.calls).connection
    if connection is None:
        raise ConnectionDoesNotExist
    with suppress(TcpError):  # the connection may have ended
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.lend()
    served = None if server is None else Served(network, server)
    transport = Transport(
        network.pump, connection, protocol, network if served is None else served, network.context()
    )
    if served is not None:
        served.attach(transport)
    network.adopt(transport)
    transport.begin_with(sock, waiter)
    return transport


def secure_stream(
    loop: asyncio.AbstractEventLoop,
    sock: Socket,
    waiter: Waiter | None,
    server: Attaching | None,
    tls: dict[str, Any],
) -> Any:
    """Make a transport with TLS on a connected socket. Returns the transport to which the program writes.

    ``tls`` are the arguments of asyncio's own TLS protocol.
    """
    secured: Any = SSLProtocol(loop, waiter=cast(Any, waiter), **tls)
    stream(sock, secured, None, server)
    return secured._get_app_transport()  # noqa: SLF001 - asyncio's loops call it, too


def datagrams(
    sock: Socket, protocol: asyncio.DatagramProtocol, default: Name | None, waiter: Waiter
) -> DatagramTransport:
    """Make a transport on a UDP socket. Datagrams without an address go to ``default``."""
    network = cast(Network, sock.network)
    calls = cast(DatagramCalls, sock.calls)
    if calls.opened is None:
        sock.bind(("", 0))
    sock.lend()
    opened = cast(Any, calls.opened)
    peer = default if opened.remote is None else None
    transport = DatagramTransport(
        network.pump, opened, protocol, network, network.context(), sock=sock, default=peer
    )
    network.adopt_datagrams(transport)
    transport.begin_later(waiter)
    return transport
