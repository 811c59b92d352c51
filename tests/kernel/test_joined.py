"""Segments that the kernel or Postel joined, with a FIN on the last of them: nothing waits for a
retransmission timer.
"""

import asyncio
import socket
from typing import Any

import pytest

from postel.tcp.connection import Connection
from tests.kernel.test_transfer import BLOCK, connected

SIZES = (1, 14_480, 26_064, 50_000, 150_001)
TIMES = (
    4  # of each size: chance decides whether the kernel puts its FIN on text that is more than one packet's
)
_TOTAL_RETRANSMITTED_AT = 100  # tcpi_total_retrans of <linux/tcp.h>


@pytest.fixture
def offload() -> bool:
    return True


def retransmitted_by_kernel(kernel: socket.socket) -> int:
    info = kernel.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TOTAL_RETRANSMITTED_AT + 4)
    return int.from_bytes(info[_TOTAL_RETRANSMITTED_AT:], "little")


def sends_and_ends(kernel: socket.socket, text: bytes) -> None:
    kernel.sendall(text)
    kernel.shutdown(socket.SHUT_WR)


def receives_all(kernel: socket.socket) -> bytes:
    received = b""
    while octets := kernel.recv(1 << 20):
        received += octets
    return received


@pytest.mark.parametrize("kernel_calls", [True, False], ids=["kernel_calls", "postel_calls"])
async def test_a_fin_on_joined_text_is_heard_at_once(
    namespace: Any, attached: Any, family: int, kernel_calls: bool
) -> None:
    """In both directions: neither side ever sends anything again."""
    async with attached() as net:
        for size in SIZES * TIMES:
            text = BLOCK[:size]
            kernel, postel = await connected(net, namespace, family, kernel_calls=kernel_calls)
            await asyncio.to_thread(sends_and_ends, kernel, text)
            await postel.ended
            assert sum(octets for _, octets in postel.arrivals) == size
            assert retransmitted_by_kernel(kernel) == 0
            connection: Connection = postel.transport.get_extra_info("connection")
            postel.transport.write(text)
            postel.transport.write_eof()
            assert await asyncio.to_thread(receives_all, kernel) == text
            assert connection._tcb.counts.segments_retransmitted == 0
            kernel.close()
            postel.transport.close()
