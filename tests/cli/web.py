"""A web server and its client, each on a host of its own, joined by a link in memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from postel import aio
from postel.aio import Network
from postel.host.host import Host
from postel.links import pair

T = TypeVar("T")
SERVER = "10.7.0.2"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def with_server(handler: Handler, use: Callable[[Network], Awaitable[T]], *, limit: int = 16 << 10) -> T:
    """What ``use`` returns, given the client's network, while ``handler`` serves at port 80."""

    async def run() -> T:
        async with AsyncExitStack() as stack:
            networks = []
            for address, link in zip((f"{SERVER}/24", "10.7.0.1/24"), pair(), strict=True):
                networks.append(
                    await stack.enter_async_context(aio.attach(Host(address, secret=address.encode()), link))
                )
            await networks[0].start_server(handler, port=80, limit=limit)
            return await use(networks[1])

    return asyncio.run(run())


class Attached:
    """In the place of an `Attachment`: a network that is there already."""

    def __init__(self, network: Network) -> None:
        self._network = network

    @asynccontextmanager
    async def network(self) -> AsyncIterator[Network]:
        yield self._network


async def exchanged(network: Network, octets: bytes, *, half_close: bool = True) -> bytes:
    """All that the server sends in answer to ``octets``."""
    reader, writer = await network.open_connection(SERVER, 80)
    writer.write(octets)
    if half_close:
        writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer
