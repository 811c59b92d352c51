"""A closed window with the kernel at either end: acknowledgements and aborts are heard, and the window does
close.
"""

import array
import asyncio
import contextlib
import fcntl
import select
import socket
import struct
import termios
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from postel.tcp.config import DEFAULT, Config
from postel.tcp.connection import Connection
from tests.kernel.test_transfer import KERNEL, POSTEL, Peer

CLOSED_FOR = 2.5  # seconds: some window probes of Postel and of the kernel are in them
SOON = 0.9  # less than a retransmission timeout of Postel
BUFFER = 16_384
SHRINKS = Path("/proc/sys/net/ipv4/tcp_shrink_window")
SMALL = replace(DEFAULT, receive_buffer=BUFFER, nagle=False)
# The window's field counts units of the whole buffer
ENDLESS = replace(DEFAULT, receive_buffer=BUFFER, scale_for=1 << 30)

callers = pytest.mark.parametrize("kernel_calls", [True, False], ids=["kernel_calls", "postel_calls"])


async def connected(
    net: Any, namespace: Any, family: int, config: Config, *, kernel_calls: bool
) -> tuple[socket.socket, Any]:
    """The kernel's end, which doesn't block, and Postel's transport, which reads nothing."""
    if kernel_calls:
        made: asyncio.Queue[Peer] = asyncio.Queue()

        class Waiting(Peer):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                self.transport.pause_reading()
                made.put_nowait(self)

        server = await net.create_server(lambda: Waiting(0), POSTEL[family], config=config)
        kernel = namespace.stream(family)
        await asyncio.to_thread(kernel.connect, (POSTEL[family], server.sockets[0].getsockname()[1]))
        peer: Peer = await made.get()
    else:
        with namespace.listening(family) as listener:
            _, peer = await net.create_connection(
                lambda: Peer(0), KERNEL[family], listener.getsockname()[1], config=config
            )
            peer.transport.pause_reading()
            kernel, _ = await asyncio.to_thread(listener.accept)
    kernel.setblocking(False)
    return kernel, peer.transport


async def within(seconds: float, condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.01)
    return True


def unacknowledged_by_postel(kernel: socket.socket) -> int:
    left = array.array("i", [0])
    fcntl.ioctl(kernel, termios.TIOCOUTQ, left)
    return left[0]


def was_reset(kernel: socket.socket) -> bool:
    poll = select.poll()
    poll.register(kernel, 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))


@callers
@pytest.mark.parametrize("postel_aborts", [True, False], ids=["postel_aborts", "kernel_aborts"])
async def test_the_kernel_reads_nothing(
    namespace: Any, attached: Any, family: int, kernel_calls: bool, postel_aborts: bool
) -> None:
    async with attached() as net:
        kernel, transport = await connected(net, namespace, family, DEFAULT, kernel_calls=kernel_calls)
        connection: Connection = transport.get_extra_info("connection")
        transport.write(bytes(16 << 20))
        assert await within(20, lambda: connection._tcb.snd.wnd == 0)
        await asyncio.sleep(CLOSED_FOR)
        assert connection._tcb.snd.window_probes > 0
        kernel.send(bytes(1000))
        assert await within(SOON, lambda: unacknowledged_by_postel(kernel) == 0)
        await aborted(kernel, transport, postel_aborts=postel_aborts)


@pytest.mark.skipif(not SHRINKS.exists(), reason="this kernel never shrinks a window")
@pytest.mark.parametrize("postel_aborts", [True, False], ids=["postel_aborts", "kernel_aborts"])
async def test_the_kernel_shrinks_its_window(
    namespace: Any, attached: Any, family: int, postel_aborts: bool
) -> None:
    """Text is in flight beyond the window then, not a probe alone."""
    async with attached() as net:
        namespace.command("sysctl", "-qw", "net.ipv4.tcp_shrink_window=1")
        kernel, transport = await connected(net, namespace, family, DEFAULT, kernel_calls=False)
        connection: Connection = transport.get_extra_info("connection")
        kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20_000)
        transport.write(bytes(4 << 20))
        assert await within(20, lambda: connection._tcb.snd.wnd == 0)
        for _ in range(2):
            kernel.send(bytes(1000))
            assert await within(SOON, lambda: unacknowledged_by_postel(kernel) == 0)
            await asyncio.sleep(CLOSED_FOR)
        await aborted(kernel, transport, postel_aborts=postel_aborts)


@callers
@pytest.mark.parametrize("postel_aborts", [True, False], ids=["postel_aborts", "kernel_aborts"])
@pytest.mark.parametrize("config", [SMALL, ENDLESS], ids=["small", "coarse"])
async def test_postel_reads_nothing(
    namespace: Any, attached: Any, family: int, kernel_calls: bool, postel_aborts: bool, config: Config
) -> None:
    async with attached() as net:
        kernel, transport = await connected(net, namespace, family, config, kernel_calls=kernel_calls)
        connection: Connection = transport.get_extra_info("connection")
        with contextlib.suppress(BlockingIOError):
            while True:
                kernel.send(bytes(1 << 20))
        await asyncio.sleep(CLOSED_FOR)
        assert connection.readable <= BUFFER + (1 << connection._tcb.rcv.shift)
        transport.write(bytes(1000))
        assert await within(SOON, lambda: connection.unacknowledged == 0)
        await aborted(kernel, transport, postel_aborts=postel_aborts)


async def aborted(kernel: socket.socket, transport: Any, *, postel_aborts: bool) -> None:
    """One end aborts; the other hears of it."""
    connection: Connection = transport.get_extra_info("connection")
    if postel_aborts:
        transport.abort()
        assert await within(SOON, lambda: was_reset(kernel))
        kernel.close()
    else:
        kernel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        kernel.close()
        assert await within(SOON, lambda: connection.error is not None)


@callers
@pytest.mark.parametrize("octets", [60, 100, 1000])
async def test_the_window_closes_whatever_the_kernels_segments(
    namespace: Any, attached: Any, family: int, kernel_calls: bool, octets: int
) -> None:
    """Each write leaves as a segment of its own, and its ACK rounds the window anew."""
    async with attached() as net:
        # The window's field counts units of 128 octets
        config = replace(SMALL, delayed_ack=0, scale_for=6 << 20)
        kernel, transport = await connected(net, namespace, family, config, kernel_calls=kernel_calls)
        kernel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection: Connection = transport.get_extra_info("connection")
        unit = 1 << connection._tcb.rcv.shift
        end = time.monotonic() + 4
        while time.monotonic() < end and connection._tcb.rcv.wnd >= unit:
            await sent(kernel, octets)
        for _ in range(200):
            await sent(kernel, octets)
        assert connection._tcb.rcv.wnd < unit
        assert connection.readable <= BUFFER + unit
        kernel.close()
        transport.abort()


async def sent(kernel: socket.socket, octets: int) -> None:
    with contextlib.suppress(BlockingIOError):
        kernel.send(bytes(octets))
    await asyncio.sleep(0.001)
