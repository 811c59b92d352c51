"""TCP Fast Open with Linux, as its client and as its server (RFC 7413)."""

import asyncio
import socket
from dataclasses import replace
from typing import Any

import pytest

from postel.tcp import seq
from postel.tcp.config import DEFAULT
from postel.tcp.observer import Observer
from postel.wire.address import Endpoint
from postel.wire.segment import ACK, SYN, Segment

POSTEL = {4: "10.7.0.2", 6: "fd07::2"}
KERNEL = {4: "10.7.0.1", 6: "fd07::1"}
FAST = replace(DEFAULT, fast_open="both")
QUESTION = b"question"


class Handshakes(Observer):
    def __init__(self) -> None:
        self.syns: list[Segment] = []
        self.answers: list[Segment] = []

    def segment_sent(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        if segment.flags & SYN:
            (self.answers if segment.flags & ACK else self.syns).append(segment)

    segment_arrived = segment_sent

    def check(self) -> None:
        """Of two connections: the first asked for a cookie, with which the second's text was acknowledged in
        the SYN,ACK.
        """
        (first, second), (given, taken) = self.syns, self.answers
        assert (first.fast_open, first.data) == (b"", b"")
        assert given.fast_open
        assert (second.fast_open, second.data) == (given.fast_open, QUESTION)
        assert taken.ack == seq.add(second.seq, 1 + len(QUESTION))


async def in_thread(namespace: Any, function: Any) -> bytes:
    return await asyncio.get_running_loop().run_in_executor(None, namespace.inside, function)


@pytest.mark.label("RFC7413-4.2.2", "RFC7413-4.1.1", "RFC7413-4.1.3")
async def test_postel_asks_the_kernel(namespace: Any, attached: Any, family: int) -> None:
    namespace.command("sysctl", "-qw", "net.ipv4.tcp_fastopen=3")
    handshakes = Handshakes()
    with namespace.stream(family) as listener:
        listener.bind((KERNEL[family], 0))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
        listener.listen(16)

        def serve() -> bytes:
            accepted, _ = listener.accept()
            with accepted:
                found = accepted.recv(100)
                accepted.sendall(found.upper())
            return found

        async with attached(handshakes) as net:
            for _ in range(2):
                serving = asyncio.ensure_future(in_thread(namespace, serve))
                reader, writer = await net.open_connection(
                    KERNEL[family], listener.getsockname()[1], config=FAST, data=QUESTION
                )
                assert await reader.read() == QUESTION.upper()
                assert await serving == QUESTION
                writer.close()
    handshakes.check()


@pytest.mark.label("RFC7413-4.2.2", "RFC7413-4.1.1", "RFC7413-4.1.2")
async def test_the_kernel_asks_postel(namespace: Any, attached: Any, family: int) -> None:
    namespace.command("sysctl", "-qw", "net.ipv4.tcp_fastopen=1")
    handshakes = Handshakes()

    async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readexactly(len(QUESTION))).upper())
        writer.close()

    def ask() -> bytes:
        with namespace.stream(family) as client:
            client.sendto(QUESTION, socket.MSG_FASTOPEN, (POSTEL[family], 80))
            return bytes(client.recv(100))

    async with attached(handshakes) as net:
        await net.start_server(upper, port=80, config=FAST)
        for _ in range(2):
            assert await in_thread(namespace, ask) == QUESTION.upper()
    handshakes.check()
