"""asyncio over Postel: streams, transports, servers and datagrams on any running event loop.

::

    async with postel.aio.attach(host, link) as net:
        reader, writer = await net.open_connection("10.7.0.1", 80)
"""

from postel.aio.arguments import ConnectionOptions, ServerOptions
from postel.aio.network import LINGER, Network
from postel.aio.resolver import Resolver
from postel.aio.routing import Loop, Routing, current, loop_factory
from postel.aio.server import Server
from postel.aio.sockets import Socket
from postel.host.host import Host
from postel.links import Link
from postel.sockets.lookup import NameResolver

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
    host: Host, link: Link, *, linger: float = LINGER, resolver: NameResolver | None = None
) -> Network:
    """The network that ``host`` reaches by ``link``, open inside ``async with``; leaving closes the link.

    On leaving, connections that were closed get up to ``linger`` seconds to deliver what was written
    and to hear the peer's end; all others are aborted. ``resolver`` is `Network.resolver`.
    """
    return Network(host, link, linger=linger, resolver=resolver)
