"""Packets inside a byte stream, as a VPN over TLS carries them: the stream's back-pressure holds the host
back, and nothing is lost.
"""

import asyncio
import socket
from typing import Any

import pytest

from postel import Host, aio
from postel.errors import LinkError
from postel.links import PushedLink
from tests.links.test_contract import asked, shout

OCTETS = bytes(range(256)) * 4000


class Framed(asyncio.Protocol):
    """Each packet has its length before it, in two octets."""

    def __init__(self) -> None:
        self.link = PushedLink(self.write, queue=50, resume=self.resume, stop=self.stop)
        self.pauses = [0, 0]  # of sending, of reading
        self.transport: Any = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.transport.set_write_buffer_limits(4000)

    def write(self, packet: bytes) -> None:
        self.transport.write(len(packet).to_bytes(2, "big") + packet)

    def pause_writing(self) -> None:
        self.pauses[0] += 1
        self.link.pause_sending()

    def resume_writing(self) -> None:
        self.link.resume_sending()

    def data_received(self, data: bytes) -> None:
        batch, self._buffer = [], self._buffer + data
        while len(self._buffer) >= 2 and len(self._buffer) >= (
            end := 2 + int.from_bytes(self._buffer[:2], "big")
        ):
            batch.append(self._buffer[2:end])
            self._buffer = self._buffer[end:]
        if not self.link.packets_arrive(batch):
            self.pauses[1] += 1
            self.transport.pause_reading()

    def resume(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def stop(self) -> None:
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.link.end(exc)


async def joined() -> tuple[Framed, Framed]:
    """Two ends of a stream of the kernel's, with small buffers."""
    loop = asyncio.get_running_loop()
    ends = socket.socketpair()
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    near, far = [(await loop.create_connection(Framed, sock=end))[1] for end in ends]
    return near, far


def test_the_streams_back_pressure_loses_nothing() -> None:
    async def main() -> None:
        near, far = await joined()
        async with (
            aio.attach(Host("10.0.0.1/24"), near.link) as client,
            aio.attach(Host("10.0.0.2/24"), far.link) as server,
        ):
            await server.start_server(shout, port=7)
            assert await asked(client, OCTETS) == OCTETS.upper()
        assert near.pauses[0] > 0
        assert near.link.statistics() == far.link.statistics() == {"lost": 0}
        assert near.transport.is_closing()

    asyncio.run(main())


@pytest.mark.parametrize("abort", [False, True])
def test_the_end_of_the_stream_ends_the_network(abort: bool) -> None:
    async def main() -> None:
        near, far = await joined()
        async with aio.attach(Host("10.0.0.1/24"), near.link) as client:
            connecting = asyncio.ensure_future(client.open_connection("10.0.0.2", 7))
            await asyncio.sleep(0)
            far.transport.abort() if abort else far.transport.close()
            with pytest.raises(LinkError, match="the transport under the link has ended"):
                await client.wait_closed()
            with pytest.raises(LinkError):
                await connecting

    asyncio.run(main())
