"""asyncio over Postel: streams, transports, servers, datagrams and sockets on an event loop.

There are two ways. A program that names its network calls the network's own methods, on any running loop::

    async with postel.aio.attach(host, link) as net:
        reader, writer = await net.open_connection("10.7.0.1", 80)

A program that knows nothing of Postel runs on a loop of `loop_factory`, where asyncio's own functions, and
every library built on them, use the network::

    with asyncio.Runner(loop_factory=postel.aio.loop_factory(host, link)) as runner:
        runner.run(main())
"""

from postel.aio.arguments import ConnectionOptions, ServerOptions
from postel.aio.network import Network
from postel.aio.resolver import Resolver
from postel.aio.routing import Loop, Routing, current, loop_factory
from postel.aio.server import Server
from postel.aio.sockets import Socket
from postel.host.host import Host
from postel.links import Link
from postel.sockets.lookup import NameResolver
from postel.sockets.preparation import DEFAULT_LINGER

__all__ = [
    "ConnectionOptions",
    "Loop",
    "NameResolver",
    "Network",
    "Resolver",
    "Routing",
    "Server",
    "ServerOptions",
    "Socket",
    "attach",
    "current",
    "loop_factory",
]


def attach(
    host: Host, link: Link, *, linger: float = DEFAULT_LINGER, resolver: NameResolver | None = None
) -> Network:
    r"""Make the network that ``host`` reaches by ``link``. It is open inside ``async with``.

    Leaving the block closes the network and its link. Connections that the program has closed get up to
    ``linger`` seconds, 0 or more, to deliver their data and to receive the peer's FIN; all others are
    aborted. ``resolver`` finds the addresses of names: see `Network`. Raises ArgumentError for a host or a
    link that is in use, or can't be used together.

    >>> import asyncio
    >>> from postel import Host
    >>> from postel.links import pair
    >>> async def main():
    ...     left, right = pair()
    ...     near, far = Host("10.7.0.1/24"), Host("10.7.0.2/24")
    ...     async with attach(near, left) as client, attach(far, right) as server:
    ...         async def answer(reader, writer):
    ...             writer.write((await reader.readline()).upper())
    ...             writer.close()
    ...         await server.start_server(answer, port=80)
    ...         reader, writer = await client.open_connection("10.7.0.2", 80)
    ...         writer.write(b"hello\n")
    ...         print(await reader.read())
    ...         writer.close()
    >>> asyncio.run(main())
    b'HELLO\n'
    """
    return Network(host, link, linger=linger, resolver=resolver)
