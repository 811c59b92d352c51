"""A host that talks to itself: no packet takes to the link, and nothing need be at the link's other end."""

import asyncio

import pytest

from postel import aio
from postel.aio import Network
from postel.host.host import Host
from postel.links import pair
from tests.aio.conftest import NEAR_4, NEAR_6

OURS = ("127.0.0.1", "::1", NEAR_4, NEAR_6)


def alone() -> Network:
    link, _ = pair()
    return aio.attach(Host(f"{NEAR_4}/24", f"{NEAR_6}/64", secret=b"near"), link)


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write((await reader.read()).upper())
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("address", OURS)
@pytest.mark.parametrize("bound", [None, "same"])
async def test_a_stream(address: str, bound: str | None):
    async with alone() as net:
        server = await net.start_server(shout, address if bound else None, 80)
        reader, writer = await net.open_connection(address, 80)
        assert writer.get_extra_info("sockname")[0] == address
        writer.write(b"loud " * 20_000)
        writer.write_eof()
        assert await reader.read() == b"LOUD " * 20_000
        writer.close()
        await writer.wait_closed()
        server.close()
        assert net.host.statistics()["packets_sent"] == 0


@pytest.mark.parametrize("address", OURS)
async def test_a_closed_port_refuses(address: str):
    async with alone() as net:
        with pytest.raises(ConnectionRefusedError):
            await net.open_connection(address, 81)


class Echo(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.got.set_result(data)
        self.transport.sendto(data.upper(), addr)


class Caller(Echo):
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.got.set_result(data)


@pytest.mark.parametrize("address", OURS)
async def test_datagrams(address: str):
    async with alone() as net:
        server, _ = await net.create_datagram_endpoint(Echo, local_addr=(address, 53))
        client, caller = await net.create_datagram_endpoint(Caller, remote_addr=(address, 53))
        client.sendto(b"ask")
        assert await caller.got == b"ASK"
        client.close()
        server.close()
