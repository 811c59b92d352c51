r"""Blocking programs over Postel: sockets that are accepted wherever `socket.socket` is.

::

    with postel.blocking.attach(host, link, names={"server": "10.7.0.1"}) as network:
        with network.create_connection(("server", 80)) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")

A thread drives the host; programs call from any other. Libraries that make their own sockets, such as
requests, run unmodified inside ``with network.replacing_sockets():``, and whole programs by ``postel run``.
"""

from collections.abc import Mapping, Sequence

from postel.blocking.network import LINGER, BlockingNetwork, BlockingResolver
from postel.blocking.sockets import DescriptorSocket
from postel.host.host import Host
from postel.links import Link
from postel.wire.address import Address

__all__ = ["BlockingNetwork", "BlockingResolver", "DescriptorSocket", "attach"]


def attach(
    host: Host,
    link: Link,
    *,
    names: Mapping[str, str | list[str]] | None = None,
    servers: Sequence[Address] = (),
    resolver: BlockingResolver | None = None,
    linger: float = LINGER,
) -> BlockingNetwork:
    """The network that ``host`` reaches by ``link``, open inside ``with``; leaving closes the link.

    ``names`` are names with their address, or their addresses, the preferred one first. Others are asked for
    at name ``servers``, addresses with or without a port, by way of the host; or at a ``resolver`` of your
    own. On leaving, connections that were closed get up to ``linger`` seconds to deliver what was written
    and to hear the peer's end; all others are aborted.
    """
    return BlockingNetwork(host, link, names=names or {}, servers=servers, resolver=resolver, linger=linger)
