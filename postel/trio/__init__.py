"""trio over Postel: sockets with trio's own methods, and trio's own functions on them, in real and in virtual
time.

::

    async with postel.trio.attach(host, link) as network, network.as_default():
        stream = await trio.open_tcp_stream("10.7.0.1", 80)

It needs trio: ``pip install 'postel[trio]'``.
"""

try:
    import trio as _trio  # noqa: F401 - told here, before the modules that need it
except ImportError as _missing:  # pragma: no cover - told in a process of its own
    raise ImportError(
        "postel.trio needs trio, of the extra \"trio\": pip install 'postel[trio]'"
    ) from _missing

from postel.host.host import Host
from postel.links.contract import Link
from postel.sockets.lookup import NameResolver
from postel.trio.network import LINGER, TrioNetwork
from postel.trio.routing import current

__all__ = ["NameResolver", "TrioNetwork", "attach", "current"]


def attach(
    host: Host, link: Link, *, linger: float = LINGER, resolver: NameResolver | None = None
) -> TrioNetwork:
    """The network that ``host`` reaches by ``link``, open inside ``async with``; leaving closes the link.

    On leaving, connections that were closed get up to ``linger`` seconds to deliver what was written and to
    hear the peer's end; all others are aborted. ``resolver`` finds the addresses of names; without one there
    are only addresses, and ``localhost``.
    """
    return TrioNetwork(host, link, linger=linger, resolver=resolver)
