"""Event loops whose network calls go over Postel: any asyncio program runs on them, unmodified.

::

    with asyncio.Runner(loop_factory=postel.aio.loop_factory(host, link)) as runner:
        runner.run(main())  # asyncio.open_connection, httpx, uvicorn, asyncpg … talk by way of `host` and
        `link`

A call goes to the network in `current`, a context variable; without one to the loop's own network; without
that it is refused. It never goes to the machine's network without a word.
"""

import asyncio
import socket
from asyncio.base_events import Server as AsyncioServer
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, cast

from postel.aio import connecting, endpoints, serving, takeover
from postel.aio.network import LINGER, Network, current
from postel.aio.sockcalls import SocketCalls
from postel.aio.sockets import Socket
from postel.errors import CallError
from postel.host.host import Host
from postel.links.contract import Link
from postel.sockets import lookup
from postel.sockets.lookup import NameResolver

__all__ = ["Loop", "Routing", "current", "loop_factory"]

Factory = Callable[[], Any]


class Routing(SocketCalls):
    """A mixin for asyncio's loops: their network calls go to `network_here`.

    ``advice`` says what to do where a call is made without a network. ``own_network`` is that of calls
    without a `current` one.
    """

    own_network: Network | None = None
    advice: str = (
        "allowed: a loop of postel.aio.loop_factory(), or a task inside `async with network.as_default()`"
    )

    def network_here(self) -> Network:
        """The network of the running task. Raises CallError where there is none on this loop."""
        found = current.get()
        if found is not None and found.loop is self:
            return found
        if self.own_network is not None:
            return self.own_network
        raise CallError(f"a network call of a task that has no network; {self.advice}")

    # Names

    async def getaddrinfo(
        self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        """As asyncio's, by the network's resolver: see `Network.resolver`. Raises ``socket.gaierror``."""
        return await lookup.getaddrinfo(
            self.network_here(), host, port, family=family, type=type, proto=proto, flags=flags
        )

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
        sock: Any = None,
        **options: Any,
    ) -> Any:
        """As asyncio's, with all its options. ``sock`` is a `Socket`, a socket of the system's that isn't
        connected yet, in whose place one of Postel's is opened, or one that is connected, which stays the
        system's.
        """
        if sock is not None:
            sock = self._own_or_none(sock, "create_connection", replace=True) or sock
        return await super().create_connection(protocol_factory, host, port, sock=sock, **options)

    async def connect_accepted_socket(self, protocol_factory: Factory, sock: Any, **options: Any) -> Any:
        """As asyncio's, with all its options."""
        sock = self._own_or_none(sock, "connect_accepted_socket") or sock
        return await super().connect_accepted_socket(protocol_factory, sock, **options)

    async def create_server(
        self,
        protocol_factory: Factory,
        host: Any = None,
        port: Any = None,
        *,
        family: int = socket.AF_UNSPEC,
        flags: int = socket.AI_PASSIVE,
        sock: Any = None,
        backlog: int = 100,
        ssl: Any = None,
        reuse_address: bool | None = None,
        reuse_port: bool | None = None,
        keep_alive: bool | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
    ) -> Any:
        """As asyncio's, with all its options. ``sock`` is as that of `create_connection`."""
        timeouts = {
            "ssl_handshake_timeout": ssl_handshake_timeout,
            "ssl_shutdown_timeout": ssl_shutdown_timeout,
        }
        serving.check(ssl, host, port, sock, **timeouts)
        if sock is not None and (own := self._own_or_none(sock, "create_server", replace=True)) is None:
            return await super().create_server(
                protocol_factory,
                sock=sock,
                backlog=backlog,
                ssl=ssl,
                start_serving=start_serving,
                **cast(Any, timeouts),
            )
        if sock is None:
            infos = await self._passive(host, port, family, flags)
            wanted = {
                socket.SO_REUSEADDR: reuse_address is not False,
                socket.SO_REUSEPORT: reuse_port,
                socket.SO_KEEPALIVE: keep_alive,
            }
            sockets = serving.bound(
                self.network_here(), infos, [option for option, is_wanted in wanted.items() if is_wanted]
            )
        else:
            sockets = [cast(Socket, own)]
        server: Any = AsyncioServer(
            cast(Any, self), cast(Any, sockets), protocol_factory, ssl, backlog, *timeouts.values()
        )
        if start_serving:
            server._start_serving()
            await asyncio.sleep(0)
        return server

    async def _passive(self, host: Any, port: Any, family: int, flags: int) -> list[lookup.AddressInfo]:
        """The addresses for a server, each once."""
        found: dict[lookup.AddressInfo, None] = {}
        for each in serving.hosts_of(host):
            infos = await self._resolved(each, port, family=family, type=socket.SOCK_STREAM, flags=flags)
            if not infos:
                raise OSError(f"getaddrinfo({each!r}) returned empty list")
            found |= dict.fromkeys(infos)
        return list(found)

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
        """As asyncio's, with all its options. ``sock`` is as that of `create_connection`."""
        if reuse_address:
            raise ValueError(endpoints.NO_REUSE)
        default: Any = None
        if sock is not None:
            given = {
                "local_addr": local_addr,
                "remote_addr": remote_addr,
                "family": family,
                "proto": proto,
                "flags": flags,
            }
            endpoints.check_socket(
                sock, {**given, "reuse_port": reuse_port, "allow_broadcast": allow_broadcast}
            )
            own = self._own_or_none(sock, "create_datagram_endpoint", replace=True)
            if own is None:
                return await super().create_datagram_endpoint(protocol_factory, sock=sock)
        else:
            network = self.network_here()
            tried = await endpoints.pairs(self._resolved, local_addr, remote_addr, family, proto, flags)
            wanted = {socket.SO_REUSEPORT: reuse_port, socket.SO_BROADCAST: allow_broadcast}
            options = [option for option, is_wanted in wanted.items() if is_wanted]
            own, default = endpoints.opened(network, tried, options, connect=not allow_broadcast)
        protocol = protocol_factory()
        waiter: asyncio.Future[None] = self.create_future()
        transport = takeover.datagrams(own, protocol, default, waiter)
        try:
            await waiter
        except BaseException:
            transport.close()
            raise
        return transport, protocol

    async def _resolved(self, host: Any, port: Any, **options: Any) -> Any:
        return await cast(Any, self)._ensure_resolved((host, port), loop=self, **options)

    # What asyncio's own loops are made of

    async def _connect_sock(
        self, exceptions: list[list[OSError]], addr_info: Any, local_addr_infos: Any = None
    ) -> Socket:
        return await connecting.connected(self, self.network_here(), exceptions, addr_info, local_addr_infos)

    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        if not isinstance(sock, Socket):
            return cast(Any, super())._make_socket_transport(
                sock, protocol, waiter, extra=extra, server=server
            )
        return takeover.stream(sock, protocol, waiter, server)

    def _make_ssl_transport(
        self, rawsock: Any, protocol: Any, sslcontext: Any, waiter: Any = None, **options: Any
    ) -> Any:
        if not isinstance(rawsock, Socket):
            return cast(Any, super())._make_ssl_transport(rawsock, protocol, sslcontext, waiter, **options)
        server = options.pop("server", None)
        options.pop("extra", None)
        return takeover.secure_stream(
            self, rawsock, waiter, server, {"app_protocol": protocol, "sslcontext": sslcontext, **options}
        )

    def _start_serving(
        self, protocol_factory: Any, sock: Any, sslcontext: Any = None, server: Any = None, *rest: Any
    ) -> None:
        if not isinstance(sock, Socket):
            cast(Any, super())._start_serving(protocol_factory, sock, sslcontext, server, *rest)
            return
        names = ("backlog", "ssl_handshake_timeout", "ssl_shutdown_timeout")
        options = {name: value for name, value in zip(names, rest, strict=False) if name != "backlog"}
        tls = {} if sslcontext is None else {"sslcontext": sslcontext, **options}
        serving.Acceptor(self, protocol_factory, sock, server, tls).begin()

    def _stop_serving(self, sock: Any) -> None:
        if not isinstance(sock, Socket):
            cast(Any, super())._stop_serving(sock)
            return
        sock.close()


class Loop(Routing, asyncio.SelectorEventLoop):
    """An asyncio loop in real time whose network calls go over Postel.

    ``network`` is its own: it is opened when the loop first runs, and closed with the loop. Without one,
    calls need `Network.as_default`. Unix sockets, pipes and subprocesses are the machine's, as on asyncio's
    loop.
    """

    def __init__(self, network: Network | None = None) -> None:
        super().__init__()
        self.own_network = network

    def run_forever(self) -> None:
        """As asyncio's; opens the network first. Raises CallError and ArgumentError where the host or the
        link is in use.
        """
        if self.own_network is not None and self.own_network.loop is None and not self.is_closed():
            self.own_network.enter(self)
        super().run_forever()

    def close(self) -> None:
        """As asyncio's; closes the network first, which waits for what its user closed, up to its
        ``linger``.
        """
        network = self.own_network
        if network is not None and not self.is_closed() and not self.is_running():
            if network.loop is self:
                self._run_to_the_end(network.close())
            with suppress(OSError):
                network.link.close()
        super().close()

    def _run_to_the_end(self, closing: Coroutine[Any, Any, None]) -> None:
        """Though the program, or a thread of it, has called ``stop``."""
        task = self.create_task(closing)
        while not task.done():
            with suppress(RuntimeError):  # that the loop was stopped
                self.run_until_complete(task)
        task.result()


def loop_factory(
    host: Host | Callable[[], Host],
    link: Link | Callable[[], Link],
    *,
    resolver: NameResolver | Callable[[Network], NameResolver] | None = None,
    linger: float = LINGER,
) -> Callable[[], Loop]:
    """A function that makes a `Loop` on a network of its own: for `asyncio.Runner`, uvicorn's ``--loop``,
    pytest-asyncio's and anyio's.

    A host and a link serve one loop. For more than one, as in pytest-asyncio, give functions that make them:
    each loop calls both. ``resolver`` is what `Network.resolver` is, or a function that makes one for a
    network. ``linger`` is that of `attach`.
    """

    def make() -> Loop:
        if not callable(link) and link.fileno() == -1:
            raise CallError(
                "the link is closed, as a loop leaves its own; allowed: functions that make them, for more "
                "than one loop"
            )
        network = Network(
            host() if callable(host) else host, link() if callable(link) else link, linger=linger
        )
        network.resolver = resolver(network) if callable(resolver) else resolver
        return Loop(network)

    return make
