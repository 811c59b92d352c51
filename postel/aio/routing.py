"""Event loops with network calls over Postel: any asyncio program runs on them, unmodified.

::

    with asyncio.Runner(loop_factory=postel.aio.loop_factory(host, link)) as runner:
        runner.run(main())  # asyncio.open_connection, httpx, uvicorn, asyncpg: all use `host` and `link`

Theory of operation
-------------------

How does a call find its network? Each network call of asyncio ends in a method of the loop, such as
``loop.create_connection``. `Routing` overrides these methods. A method asks `Routing.network_here` in this
order::

    1. the context variable `current`   set by `Network.as_default` for a task and the tasks that it starts,
                                        and by each network for the callbacks of its own connections
    2. `Routing.own_network`            the loop's own network, from `loop_factory` or `Loop`
    3. neither                          CallError, which says what to do

A call is never passed to the machine's network silently. Because the variable belongs to the task, two tasks
of one loop can use two networks, and a server's handler uses the network on which the connection came.

asyncio itself still does the work. Its ``create_connection``, with name resolution, happy eyeballs and TLS,
calls a few private methods for each socket: ``_connect_sock``, ``_make_socket_transport``,
``_make_ssl_transport``, ``_start_serving``. These are overridden as well, and make Postel's sockets and
transports.

A program may also pass a socket of its own (``sock=``):

- A `Socket` of Postel is used as it is.
- A `socket.socket` of the system that isn't connected yet is only an address and options. A socket of Postel
  takes its place: see `postel.aio.standins`.
- A connected socket of the system stays the system's, and the call is asyncio's.
"""

import asyncio
import socket
from asyncio.base_events import Server as AsyncioServer
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, cast

from postel.aio import connecting, endpoints, serving, takeover
from postel.aio.network import Network, current
from postel.aio.sockcalls import SocketCalls
from postel.aio.sockets import Socket
from postel.errors import CallError
from postel.host.host import Host
from postel.links.contract import Link
from postel.sockets import lookup
from postel.sockets.lookup import NameResolver
from postel.sockets.preparation import DEFAULT_LINGER

__all__ = ["Loop", "Routing", "current", "loop_factory"]

Factory = Callable[[], Any]


class Routing(SocketCalls):
    """Mixin for asyncio's loops: their network calls use the network of `network_here`.

    ``own_network`` is the network for calls of tasks without a `current` one. ``advice`` ends the error for a
    call without a network: it says what to do.
    """

    own_network: Network | None = None
    advice: str = (
        "allowed: a loop of postel.aio.loop_factory(), or a task inside `async with network.as_default()`"
    )

    def network_here(self) -> Network:
        """Return the network of the running task. Raises CallError where there is none on this loop."""
        found = current.get()
        if found is not None and found.loop is self:
            return found
        if self.own_network is not None:
            return self.own_network
        raise CallError(f"a task without a network made a network call; {self.advice}")

    # Names

    async def getaddrinfo(
        self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        """Resolve a name, as asyncio's loops do, by the network's resolver: see `Network`.

        Raises ``socket.gaierror``.
        """
        return await lookup.getaddrinfo(
            self.network_here(), host, port, family=family, type=type, proto=proto, flags=flags
        )

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """Return the address as text, and the service. No name is looked up, unlike in asyncio's loops."""
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
        """Open a connection, as asyncio's loops do, with all their options.

        ``sock`` may be a `Socket` of Postel or a socket of the system. If a socket of the system isn't
        connected, a socket of Postel replaces it; if it is connected, it stays the system's.
        """
        if sock is not None:
            sock = self._own_or_none(sock, "create_connection", replace=True) or sock
        return await super().create_connection(protocol_factory, host, port, sock=sock, **options)

    async def connect_accepted_socket(self, protocol_factory: Factory, sock: Any, **options: Any) -> Any:
        """Make a transport for a socket that was accepted, as asyncio's loops do, with all their options."""
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
        """Listen, as asyncio's loops do, with all their options. ``sock`` is as in `create_connection`."""
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
        """Return the addresses for a server, each once."""
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
        """Open a UDP socket, as asyncio's loops do, with all their options.

        ``sock`` is as in `create_connection`.
        """
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
        """Return the addresses of ``host``, which may already be an IP address."""
        return await cast(Any, self)._ensure_resolved((host, port), loop=self, **options)

    # Private methods that asyncio's own loops call

    async def _connect_sock(
        self, exceptions: list[list[OSError]], addr_info: Any, local_addr_infos: Any = None
    ) -> Socket:
        """Make one attempt to connect, for asyncio's ``create_connection``."""
        return await connecting.connected(self, self.network_here(), exceptions, addr_info, local_addr_infos)

    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        """Make a transport for a connected socket."""
        if not isinstance(sock, Socket):
            return cast(Any, super())._make_socket_transport(
                sock, protocol, waiter, extra=extra, server=server
            )
        return takeover.stream(sock, protocol, waiter, server)

    def _make_ssl_transport(
        self, rawsock: Any, protocol: Any, sslcontext: Any, waiter: Any = None, **options: Any
    ) -> Any:
        """Make a transport with TLS for a connected socket."""
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
        """Accept connections on a listening socket."""
        if not isinstance(sock, Socket):
            cast(Any, super())._start_serving(protocol_factory, sock, sslcontext, server, *rest)
            return
        names = ("backlog", "ssl_handshake_timeout", "ssl_shutdown_timeout")
        options = {name: value for name, value in zip(names, rest, strict=False) if name != "backlog"}
        tls = {} if sslcontext is None else {"sslcontext": sslcontext, **options}
        serving.Acceptor(self, protocol_factory, sock, server, tls).begin()

    def _stop_serving(self, sock: Any) -> None:
        """Close a listening socket."""
        if not isinstance(sock, Socket):
            cast(Any, super())._stop_serving(sock)
            return
        sock.close()


class Loop(Routing, asyncio.SelectorEventLoop):
    """asyncio loop in real time that makes its network calls over Postel.

    ``network`` is the loop's own network: it is opened when the loop first runs, and closed with the loop. If
    the loop has none, tasks need `Network.as_default`. Unix sockets, pipes and subprocesses are the
    machine's, as on asyncio's own loop.
    """

    def __init__(self, network: Network | None = None) -> None:
        """Make a loop. ``network``, where given, isn't open yet."""
        super().__init__()
        self.own_network = network

    def run_forever(self) -> None:
        """Open the network, and run the loop until it is stopped.

        Raises CallError, and ArgumentError if the host or the link is in use.
        """
        if self.own_network is not None and self.own_network.loop is None and not self.is_closed():
            self.own_network.enter(self)
        super().run_forever()

    def close(self) -> None:
        """Close the network and then the loop.

        Before that, connections that the program has closed get up to the network's ``linger`` seconds to
        deliver their data.
        """
        network = self.own_network
        if network is not None and not self.is_closed() and not self.is_running():
            if network.loop is self:
                self._run_to_the_end(network.close())
            with suppress(OSError):
                network.link.close()
        super().close()

    def _run_to_the_end(self, closing: Coroutine[Any, Any, None]) -> None:
        """Run ``closing`` to its end, even if the program, or a thread of it, has called ``stop``."""
        task = self.create_task(closing)
        while not task.done():
            with suppress(RuntimeError):  # ``run_until_complete`` raises it if the loop was stopped
                self.run_until_complete(task)
        task.result()


def loop_factory(
    host: Host | Callable[[], Host],
    link: Link | Callable[[], Link],
    *,
    resolver: NameResolver | Callable[[Network], NameResolver] | None = None,
    linger: float = DEFAULT_LINGER,
) -> Callable[[], Loop]:
    r"""Make a function that makes a `Loop` with a network of its own.

    Such a function is for `asyncio.Runner`, uvicorn's ``--loop``, and the event loop settings of
    pytest-asyncio and anyio. A host and a link serve one loop. For more than one loop, as in pytest-asyncio,
    give functions that make them: each loop calls both.

    ``resolver`` finds the addresses of names: a `NameResolver`, or a function that makes one for a network.
    ``linger`` is how many seconds the network gives closed connections at its end, 0 or more. The function
    that is returned raises ArgumentError for a host and a link that can't be used, and CallError for a link
    that is closed.

    >>> import asyncio
    >>> from postel import Host
    >>> from postel.links import pair
    >>> async def main():
    ...     async def answer(reader, writer):
    ...         writer.write((await reader.readline()).upper())
    ...         writer.close()
    ...     await asyncio.start_server(answer, "10.7.0.1", 80)
    ...     reader, writer = await asyncio.open_connection("10.7.0.1", 80)
    ...     writer.write(b"hello\n")
    ...     print(await reader.read())
    ...     writer.close()
    >>> make = loop_factory(Host("10.7.0.1/24"), pair()[0])
    >>> with asyncio.Runner(loop_factory=make) as runner:
    ...     runner.run(main())
    b'HELLO\n'
    """

    def make() -> Loop:
        """Make one loop, and its network."""
        if not callable(link) and link.fileno() == -1:
            raise CallError(
                "the link is closed, because a loop closes its link at its end; allowed: functions that make "
                "a host and a link, for more than one loop"
            )
        network = Network(
            host() if callable(host) else host, link() if callable(link) else link, linger=linger
        )
        network.resolver = resolver(network) if callable(resolver) else resolver
        return Loop(network)

    return make
