"""Join standard input and output to a peer: one connection, or datagrams.

At the end of the input only the sending direction is closed, as with ``nc -N``, and data that the peer still
sends is printed::

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
_DATAGRAM: Final = 1200  # largest number of octets of input in one datagram, which fits any usual MTU
_STDIN: Final = 0

Told = Callable[[], None] | None


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    parser.add_argument(
        "peer", nargs="+", metavar="[HOST] PORT", help="address and port to connect to; with -l only the port"
    )
    parser.add_argument(
        "-l", "--listen", action="store_true", help="wait for one connection, or for the first datagram"
    )
    parser.add_argument(
        "-u", "--udp", action="store_true", help="send datagrams, one for each read of the input"
    )
    parser.add_argument(
        "-N",
        action="store_true",
        dest="half_close",
        help="close our direction at the end of the input; Postel always does, -N is for users of nc",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="with -l, print when it listens")
    parser.add_argument(
        "-w",
        "--wait",
        type=seconds,
        default=None,
        metavar="SECONDS",
        help="end after so many seconds without data; fail if the connection takes longer to open",
    )
    attachment.arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Connect or listen, and pass octets on until both directions have ended. Returns 0."""
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
    """Exchange octets with the peer at ``where``; if it is empty, with the first peer that connects.

    With ``patience``, the exchange ends after so many seconds without data.
    """
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
    """Open a connection within ``patience`` seconds.

    Raises ConnectionTimedOut, and what `Network.open_connection` raises.
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
    """Wait for the first connection; any other is reset, and later ones find a closed port."""
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
    """Pass octets on in both directions until each has ended."""
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
    """Receiver of datagrams from the first host that sends one."""

    def __init__(self, peer: asyncio.Future[tuple[str, int]]) -> None:
        """Take the future that gets the peer's address."""
        self.peer = peer
        self.heard = asyncio.Event()
        self.error: OSError | None = None

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Print a datagram of the peer."""
        if not self.peer.done():
            self.peer.set_result(addr[:2])
        if addr[:2] == self.peer.result():
            _print(data)
            self.heard.set()

    def error_received(self, exc: Exception) -> None:
        """Keep an error, such as a closed port at the peer."""
        if isinstance(exc, OSError):
            self.error = exc
            self.heard.set()


async def _exchange_datagrams(
    network: Network, where: str, number: int, patience: float | None, listening: Told
) -> None:
    """Pass datagrams on until none arrives for ``patience`` seconds; with None, until interrupted."""
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
    """Read standard input without a thread, which would keep the program from ending."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(_STDIN, ready.set)
    except PermissionError:  # the input is a file, which is always ready, and which epoll refuses
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
