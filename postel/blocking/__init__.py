r"""Blocking programs over Postel: sockets that can be used wherever `socket.socket` can.

::

    with postel.blocking.attach(host, link, names={"server": "10.7.0.1"}) as network:
        with network.create_connection(("server", 80)) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")

A thread of the network drives the host; programs call from any other thread. Inside
``with network.replacing_sockets():``, libraries that make their own sockets, such as requests, run
unmodified. The command ``postel run`` does so for whole programs.
"""

from collections.abc import Mapping, Sequence

from postel.blocking.network import BlockingNetwork, BlockingResolver
from postel.blocking.sockets import DescriptorSocket
from postel.host.host import Host
from postel.links import Link
from postel.sockets.preparation import DEFAULT_LINGER
from postel.wire.address import Address

__all__ = ["BlockingNetwork", "BlockingResolver", "DescriptorSocket", "attach"]


def attach(
    host: Host,
    link: Link,
    *,
    names: Mapping[str, str | list[str]] | None = None,
    servers: Sequence[Address] = (),
    resolver: BlockingResolver | None = None,
    linger: float = DEFAULT_LINGER,
) -> BlockingNetwork:
    """Make the network that ``host`` reaches by ``link``. The network is open inside ``with``.

    Leaving the block closes the network and its link. Connections that the program has closed get up to
    ``linger`` seconds, 0 or more, to deliver their data and to receive the peer's FIN; all others are
    aborted.

    ``names`` maps names to an address, or to a list of addresses, the preferred one first. For other names
    the network asks ``servers`` over this network, name servers given as addresses with or without a port, or
    else it asks ``resolver``, an object of yours. Raises ArgumentError for a host or a link that is in use
    already, for a host and a link that can't be used together, and if both ``servers`` and ``resolver`` are
    given.

    >>> from threading import Thread
    >>> from postel import Host
    >>> from postel.links import pair
    >>> left, right = pair()
    >>> with attach(Host("10.7.0.1/24"), left) as near, attach(Host("10.7.0.2/24"), right) as far:
    ...     server = far.create_server(("10.7.0.2", 80))
    ...     def answer():
    ...         accepted, _ = server.accept()
    ...         with accepted:
    ...             accepted.sendall(accepted.recv(100).upper())
    ...     thread = Thread(target=answer)
    ...     thread.start()
    ...     with near.create_connection(("10.7.0.2", 80)) as sock:
    ...         sock.sendall(b"hello")
    ...         print(sock.recv(100))
    ...     thread.join()
    ...     server.close()
    b'HELLO'
    """
    return BlockingNetwork(host, link, names=names or {}, servers=servers, resolver=resolver, linger=linger)
