"""Join standard input and output to a peer: one connection, or datagrams.

Like ``nc -N``: the end of the input closes this direction only, and what the peer still sends is printed::

    echo hello | postel nc 10.7.0.1 7 --tun postel0 --address 10.7.0.2/24
    postel nc -l 80 --tun postel0 --address 10.7.0.2/24
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from typing import Final

from postel.aio import Network
from postel.cli.network import attachment
from postel.cli.network.attachment import Attached, Attachment
from postel.cli.network.numbers import seconds
from postel.cli.network.ports import port
from postel.errors import ArgumentError, ConnectionTimedOut
from postel.wire import address

_CHUNK: Final = 64 << 10
_DATAGRAM: Final = 1200  # octets of input at most: fits any usual MTU
_STDIN: Final = 0

Told = Callable[[], None] | None


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "peer", nargs="+", metavar="[HOST] PORT", help="where to connect; with -l the port alone"
    )
    parser.add_argument(
        "-l", "--listen", action="store_true", help="wait for one connection, or for the first datagram"
    )
    parser.add_argument("-u", "--udp", action="store_true", help="datagrams: one for each read of the input")
    parser.add_argument(
        "-N",
        action="store_true",
        dest="half_close",
        help="half-close at the end of the input; always so, for nc's users",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="with -l, say when it listens")
    parser.add_argument(
        "-w",
        "--wait",
        type=seconds,
        default=None,
        metavar="SECONDS",
        help="leave after so much silence; a connection that takes longer to open has failed",
    )
    attachment.arguments(parser)


def run(options: argparse.Namespace) -> int:
    if len(options.peer) != (1 if options.listen else 2):
        raise ArgumentError("peer", " ".join(options.peer), "PORT with -l, else HOST PORT")
    try:
        number = port(options.peer[-1])
    except argparse.ArgumentTypeError as error:
        raise ArgumentError("PORT", options.peer[-1], "1 to 65535") from error
    where = "" if options.listen else address.to_text(address.parse(options.peer[0]))
    listening = _listening if options.verbose else None
    asyncio.run(
        talk(
            Attachment(options),
            where,
            number,
            patience=options.wait,
            over_udp=options.udp,
            listening=listening,
        )
    )
    return 0


def _listening() -> None:
    print("listening", file=sys.stderr, flush=True)


async def talk(
    attached: Attached, where: str, number: int, *, patience: float | None, over_udp: bool, listening: Told
) -> None:
    """With the peer at ``where``, or with the first that comes if that is empty."""
    exchange = _exchange_datagrams if over_udp else _exchange_streams
    async with attached.network() as network:
        await exchange(network, where, number, patience, listening)


async def _exchange_streams(
    network: Network, where: str, number: int, patience: float | None, listening: Told
) -> None:
    if where:
        reader, writer = await _connected(network, where, number, patience)
    else:
        reader, writer = await _accepted(network, number, listening)
    await _exchange(reader, writer, patience)


async def _connected(
    network: Network, where: str, number: int, patience: float | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that opens within ``patience``. Raises ConnectionTimedOut, and what
    `Network.open_connection` raises.
    """
    waiting = asyncio.timeout(patience)
    try:
        async with waiting:
            return await network.open_connection(where, number)
    except TimeoutError:
        if not waiting.expired():
            raise
    raise ConnectionTimedOut(f"{where} didn't answer within {patience:g} seconds")


async def _accepted(
    network: Network, number: int, listening: Told
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The first connection; the others find a closed port."""
    first: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = (
        asyncio.get_running_loop().create_future()
    )

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if first.done():
            writer.transport.abort()
        else:
            first.set_result((reader, writer))

    server = await network.start_server(accept, port=number, backlog=1)
    if listening is not None:
        listening()
    try:
        return await first
    finally:
        server.close()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience: float | None
) -> None:
    """Until both directions have ended, each by itself."""
    sending = asyncio.create_task(_send_input(writer))
    try:
        while octets := await _within(patience, reader):
            _print(octets)
        await sending
    except TimeoutError:
        writer.transport.abort()
        return
    finally:
        sending.cancel()
    writer.close()
    await writer.wait_closed()


async def _within(patience: float | None, reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(patience):
        return await reader.read(_CHUNK)


async def _send_input(writer: asyncio.StreamWriter) -> None:
    while octets := await _read_input(_CHUNK):
        writer.write(octets)
        await writer.drain()
    writer.write_eof()


class _Inbox(asyncio.DatagramProtocol):
    """Datagrams from the first host that sends one."""

    def __init__(self, peer: asyncio.Future[tuple[str, int]]) -> None:
        self.peer = peer
        self.heard = asyncio.Event()
        self.error: OSError | None = None

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self.peer.done():
            self.peer.set_result(addr[:2])
        if addr[:2] == self.peer.result():
            _print(data)
            self.heard.set()

    def error_received(self, exc: Exception) -> None:
        if isinstance(exc, OSError):
            self.error = exc
            self.heard.set()


async def _exchange_datagrams(
    network: Network, where: str, number: int, patience: float | None, listening: Told
) -> None:
    """As long as something comes within ``patience``; without it, until interrupted."""
    peer: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
    inbox = _Inbox(peer)
    if where:
        peer.set_result((where, number))
        transport, _ = await network.create_datagram_endpoint(lambda: inbox, remote_addr=(where, number))
    else:
        transport, _ = await network.create_datagram_endpoint(lambda: inbox, local_addr=(None, number))
        if listening is not None:
            listening()
    sending = asyncio.create_task(_send_datagrams(transport, peer, is_connected=bool(where)))
    try:
        while True:
            inbox.heard.clear()
            async with asyncio.timeout(patience):
                await inbox.heard.wait()
            if inbox.error is not None:
                raise inbox.error
    except TimeoutError:
        return
    finally:
        sending.cancel()
        transport.close()


async def _send_datagrams(
    transport: asyncio.DatagramTransport, peer: asyncio.Future[tuple[str, int]], *, is_connected: bool
) -> None:
    addr = None if is_connected else await peer
    while octets := await _read_input(_DATAGRAM):
        transport.sendto(octets, addr)


async def _read_input(most: int) -> bytes:
    """What standard input has, without a thread that would keep the program from ending."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(_STDIN, ready.set)
    except PermissionError:  # a file: always ready, and epoll won't have it
        await asyncio.sleep(0)
        return os.read(_STDIN, most)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(_STDIN)
    return os.read(_STDIN, most)


def _print(octets: bytes) -> None:
    sys.stdout.buffer.write(octets)
    sys.stdout.buffer.flush()
