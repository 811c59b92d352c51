"""Transports on sockets that the program, or the loop for it, opened first."""

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
    """A transport on a connected socket, which is the transport's from now on. Raises
    ConnectionDoesNotExist.
    """
    network = cast(Network, sock.network)
    connection = cast(StreamCalls, sock.calls).connection
    if connection is None:
        raise ConnectionDoesNotExist
    with suppress(TcpError):  # it may be over already
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
    """As `stream`, with TLS: ``tls`` are the arguments of asyncio's own protocol. The transport that the
    program writes to.
    """
    secured: Any = SSLProtocol(loop, waiter=cast(Any, waiter), **tls)
    stream(sock, secured, None, server)
    return secured._get_app_transport()  # noqa: SLF001 - as the event loops do


def datagrams(
    sock: Socket, protocol: asyncio.DatagramProtocol, default: Name | None, waiter: Waiter
) -> DatagramTransport:
    """A transport on a UDP socket. ``default`` is where datagrams go that name no address."""
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
