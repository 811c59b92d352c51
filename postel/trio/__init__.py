"""trio over Postel: sockets with trio's own methods, and trio's own functions on them.

::

    async with postel.trio.attach(host, link) as network, network.as_default():
        stream = await trio.open_tcp_stream("10.7.0.1", 80)

Networks run in real time, and in virtual time with trio's own clocks. The package needs trio: ``pip install
'postel[trio]'``.
"""

try:
    import trio as _trio  # noqa: F401 - fails here with advice, before the modules that need it
except ImportError as _missing:  # pragma: no cover - tested in a process of its own
    raise ImportError(
        "postel.trio needs trio, of the extra \"trio\": pip install 'postel[trio]'"
    ) from _missing

from postel.host.host import Host
from postel.links.contract import Link
from postel.sockets.lookup import NameResolver
from postel.sockets.preparation import DEFAULT_LINGER
from postel.trio.network import TrioNetwork
from postel.trio.routing import current

__all__ = ["NameResolver", "TrioNetwork", "attach", "current"]


def attach(
    host: Host, link: Link, *, linger: float = DEFAULT_LINGER, resolver: NameResolver | None = None
) -> TrioNetwork:
    """Make the network that ``host`` reaches by ``link``. It is open inside ``async with``.

    Leaving the block closes the network and its link. Connections that the program has closed get up to
    ``linger`` seconds, 0 or more, to deliver their data and to receive the peer's FIN; all others are
    aborted. ``resolver`` finds the addresses of names; without one, only IP addresses and ``localhost`` can
    be used. Raises ArgumentError for a host or a link that is in use, or can't be used together.

    >>> import trio
    >>> from postel import Host
    >>> from postel.links import pair
    >>> async def answer(stream):
    ...     await stream.send_all((await stream.receive_some()).upper())
    >>> async def main():
    ...     async with attach(Host("10.7.0.1/24"), pair()[0]) as network, network.as_default():
    ...         async with trio.open_nursery() as nursery:
    ...             listeners = await nursery.start(trio.serve_tcp, answer, 80)
    ...             async with await trio.open_tcp_stream("10.7.0.1", 80) as stream:
    ...                 await stream.send_all(b"hello")
    ...                 print(bytes(await stream.receive_some()))
    ...             nursery.cancel_scope.cancel()
    >>> trio.run(main)
    b'HELLO'
    """
    return TrioNetwork(host, link, linger=linger, resolver=resolver)
