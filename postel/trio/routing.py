"""Which network trio's own sockets and names are of: that of the host of the current task."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import trio

from postel.sockets import lookup
from postel.sockets.lookup import LookupNetwork


class DefaultNetwork(LookupNetwork, Protocol):
    """What trio's hooks need of a network."""

    def socket(self, family: int = ..., type: int = ..., proto: int = ...) -> trio.socket.SocketType: ...  # noqa: A002 - trio's name


current: ContextVar[DefaultNetwork | None] = ContextVar("postel_trio_network", default=None)
"""The network of this task and of the tasks that it starts, set by `TrioNetwork.as_default`.

None where trio's sockets are trio's own.
"""


class _SocketFactory(trio.abc.SocketFactory):
    """For ``trio.socket.socket``. ``before`` is what made sockets for tasks without a network."""

    def __init__(self, before: trio.abc.SocketFactory | None) -> None:
        self.before = before

    def socket(
        self,
        family: int = socket.AF_INET,
        type: int = socket.SOCK_STREAM,  # noqa: A002
        proto: int = 0,
    ) -> trio.socket.SocketType:
        network = current.get()
        if network is not None:
            return network.socket(family, type, proto)
        if self.before is not None:
            return self.before.socket(family, type, proto)
        return trio.socket.from_stdlib_socket(socket.socket(family, type, proto))


class _HostnameResolver(trio.abc.HostnameResolver):
    """For ``trio.socket.getaddrinfo`` and ``getnameinfo``. ``before`` is what resolved names for tasks
    without a network.
    """

    def __init__(self, before: trio.abc.HostnameResolver | None) -> None:
        self.before = before

    async def getaddrinfo(
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,  # noqa: A002
        proto: int = 0,
        flags: int = 0,
    ) -> Any:  # noqa: ANN401 - as `socket.getaddrinfo` answers
        network = current.get()
        if network is not None:
            await trio.lowlevel.checkpoint()
            return await lookup.getaddrinfo(
                network, host, port, family=family, type=type, proto=proto, flags=flags
            )
        if self.before is not None:
            return await self.before.getaddrinfo(host, port, family, type, proto, flags)
        return await trio.to_thread.run_sync(
            socket.getaddrinfo, host, port, family, type, proto, flags, abandon_on_cancel=True
        )

    # A name of either family
    async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:  # noqa: ANN401
        network = current.get()
        if network is not None:
            await trio.lowlevel.checkpoint()
            return lookup.getnameinfo(network, sockaddr, flags)
        if self.before is not None:
            return await self.before.getnameinfo(sockaddr, flags)
        return await trio.to_thread.run_sync(socket.getnameinfo, sockaddr, flags, abandon_on_cancel=True)


@contextmanager
def installed(network: DefaultNetwork) -> Iterator[None]:
    """Inside, ``network`` is the `current` one. trio's hooks are the run's, and stay: a task that outlives
    this must not find itself on the machine's network."""
    _hook()
    token = current.set(network)
    try:
        yield
    finally:
        current.reset(token)


def _hook() -> None:
    factory, resolver = _SocketFactory(None), _HostnameResolver(None)
    factory.before = trio.socket.set_custom_socket_factory(factory)
    resolver.before = trio.socket.set_custom_hostname_resolver(resolver)
    if isinstance(factory.before, _SocketFactory):  # it was hooked already
        trio.socket.set_custom_socket_factory(factory.before)
    if isinstance(resolver.before, _HostnameResolver):
        trio.socket.set_custom_hostname_resolver(resolver.before)
