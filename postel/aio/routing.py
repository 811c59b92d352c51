"""Event loops whose network calls go over Postel: any asyncio program runs on them, unmodified.

::

    with asyncio.Runner(loop_factory=postel.aio.loop_factory(host, link)) as runner:
        runner.run(main())  # asyncio.open_connection, httpx, uvicorn, asyncpg … talk by way of `host` and `link`

A call goes to the network in `current`, a context variable; without one to the loop's own network; without that it is refused. It never
goes to the machine's network without a word.
"""

import asyncio
import ssl as tls
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, cast

from postel.aio.network import LINGER, Network, current
from postel.errors import CallError
from postel.host.host import Host
from postel.links.contract import Link
from postel.sockets import lookup
from postel.sockets.lookup import NameResolver

__all__ = ["Loop", "Routing", "current", "loop_factory"]

Factory = Callable[[], Any]


class Routing(asyncio.AbstractEventLoop):
    """A mixin for asyncio's loops: their network calls go to `network_here`.

    ``advice`` says what to do where a call is made without a network. ``own_network`` is that of calls without a `current` one.
    """

    own_network: Network | None = None
    advice = "allowed: a loop of postel.aio.loop_factory(), or a task inside `async with network.as_default()`"

    def network_here(self) -> Network:
        """The network of the running task. Raises CallError where there is none on this loop."""
        found = current.get()
        if found is not None and found.loop is self:
            return found
        if self.own_network is not None:
            return self.own_network
        raise CallError(f"a network call of a task that has no network; {self.advice}")

    # Names

    async def getaddrinfo(self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:
        """As asyncio's, by the network's resolver: see `Network.resolver`. Raises ``socket.gaierror``."""
        return await lookup.getaddrinfo(self.network_here(), host, port, family=family, type=type, proto=proto, flags=flags)

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """As asyncio's; the address as it is written, and the service."""
        return lookup.getnameinfo(self.network_here(), sockaddr, flags)

    # Streams

    async def create_connection(
        self,
        protocol_factory: Factory,
        host: Any = None,
        port: Any = None,
        *,
        ssl: tls.SSLContext | bool | None = None,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        sock: Any = None,
        local_addr: Any = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        happy_eyeballs_delay: float | None = None,
        interleave: int | None = None,
        all_errors: bool = False,
    ) -> Any:
        """As asyncio's."""
        network = self.network_here()
        if sock is not None:
            raise CallError("sock: not yet")
        found = await self.getaddrinfo(host, port, family=family, type=1, proto=proto, flags=flags)
        failures: list[OSError] = []
        for *_, address in found:
            try:
                return await network.create_connection(
                    protocol_factory,
                    address[0],
                    address[1],
                    ssl=ssl,
                    local_addr=local_addr,
                    server_hostname=server_hostname if server_hostname is not None or not ssl else host,
                    ssl_handshake_timeout=ssl_handshake_timeout,
                    ssl_shutdown_timeout=ssl_shutdown_timeout,
                )
            except OSError as error:
                failures.append(error)
        if all_errors:
            raise ExceptionGroup("create_connection failed", failures)
        raise failures[-1]

    async def create_server(
        self,
        protocol_factory: Factory,
        host: str | Sequence[str] | None = None,
        port: Any = None,
        *,
        family: int = 0,
        flags: int = 1,
        sock: Any = None,
        backlog: int = 100,
        ssl: tls.SSLContext | bool | None = None,
        reuse_address: bool | None = None,
        reuse_port: bool | None = None,
        keep_alive: bool | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
    ) -> Any:
        """As asyncio's."""
        if sock is not None:
            raise CallError("sock: not yet")
        hosts: list[Any] = [None] if host in (None, "") else [host] if isinstance(host, (str, bytes)) else list(host or ())
        found = [info for each in hosts for info in await self.getaddrinfo(each, port or 0, family=family, type=1, flags=flags)]
        addresses = list(dict.fromkeys(sockaddr[0] for *_, sockaddr in found))
        return await self.network_here().create_server(
            protocol_factory,
            addresses,
            found[0][4][1],
            backlog=backlog,
            ssl=cast(Any, ssl),
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
            start_serving=start_serving,
        )

    # Datagrams

    async def create_datagram_endpoint(
        self,
        protocol_factory: Factory,
        local_addr: Any = None,
        remote_addr: Any = None,
        *,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        reuse_address: bool | None = None,
        reuse_port: bool | None = None,
        allow_broadcast: bool | None = None,
        sock: Any = None,
    ) -> Any:
        """As asyncio's."""
        if sock is not None:
            raise CallError("sock: not yet")
        ends: list[Any] = []
        for end in (local_addr, remote_addr):
            if end is None:
                ends.append(None)
                continue
            found = await self.getaddrinfo(end[0], end[1], family=family, type=2, proto=proto, flags=flags)
            ends.append(found[0][4][:2])
        return await self.network_here().create_datagram_endpoint(protocol_factory, ends[0], ends[1])


class Loop(Routing, asyncio.SelectorEventLoop):
    """An asyncio loop in real time whose network calls go over Postel.

    ``network`` is its own: it is opened when the loop first runs, and closed with the loop. Without one, calls need
    `Network.as_default`. Unix sockets, pipes and subprocesses are the machine's, as on asyncio's loop.
    """

    def __init__(self, network: Network | None = None) -> None:
        super().__init__()
        self.own_network = network

    def run_forever(self) -> None:
        """As asyncio's; opens the network first. Raises CallError and ArgumentError where the host or the link is in use."""
        if self.own_network is not None and self.own_network.loop is None:
            self.own_network.enter(self)
        super().run_forever()

    def close(self) -> None:
        """As asyncio's; closes the network first, which waits for what its user closed, up to its ``linger``."""
        network = self.own_network
        if network is not None and not self.is_closed() and not self.is_running():
            if network.loop is self:
                self.run_until_complete(network.close())
            with suppress(OSError):
                network.link.close()
        super().close()


def loop_factory(
    host: Host | Callable[[], Host],
    link: Link | Callable[[], Link],
    *,
    resolver: NameResolver | Callable[[Network], NameResolver] | None = None,
    linger: float = LINGER,
) -> Callable[[], Loop]:
    """A function that makes a `Loop` on a network of its own: for `asyncio.Runner`, uvicorn's ``--loop``, pytest-asyncio's and anyio's.

    A host and a link serve one loop. For more than one, as in pytest-asyncio, give functions that make them: each loop calls both.
    ``resolver`` is what `Network.resolver` is, or a function that makes one for a network. ``linger`` is that of `attach`.
    """

    def make() -> Loop:
        network = Network(host() if callable(host) else host, link() if callable(link) else link, linger=linger)
        network.resolver = resolver(network) if callable(resolver) else resolver
        return Loop(network)

    return make
