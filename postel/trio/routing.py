"""Network that trio's own sockets and names use: the one of the current task.

trio has two hooks, for making sockets and for resolving names, each for a whole run. `installed` sets both to
objects that look at the context variable `current`: a task with a network uses that network, and a task
without one uses the hooks that were set before.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import trio

from postel.sockets import lookup
from postel.sockets.lookup import LookupNetwork


class DefaultNetwork(LookupNetwork, Protocol):
    """Part of a network that trio's hooks call."""

    def socket(
        self,
        family: int = ...,
        type: int = ...,  # noqa: A002 - trio's name for this argument
        proto: int = ...,
    ) -> trio.socket.SocketType:
        """Make a socket, as ``trio.socket.socket`` does."""


current: ContextVar[DefaultNetwork | None] = ContextVar("postel_trio_network", default=None)
"""Network of this task and of the tasks that it starts, set by `TrioNetwork.as_default`.

None where trio's sockets are trio's own.
"""


class _SocketFactory(trio.abc.SocketFactory):
    """Hook of ``trio.socket.socket``.

    ``before`` is the hook that made sockets for tasks without a network.
    """

    def __init__(self, before: trio.abc.SocketFactory | None) -> None:
        self.before = before

    def socket(
        self,
        family: int = socket.AF_INET,
        type: int = socket.SOCK_STREAM,  # noqa: A002 - trio's name
        proto: int = 0,
    ) -> trio.socket.SocketType:
        """Make a socket of the task's network, or of the system."""
        network = current.get()
        if network is not None:
            return network.socket(family, type, proto)
        if self.before is not None:
            return self.before.socket(family, type, proto)
        return trio.socket.from_stdlib_socket(socket.socket(family, type, proto))


class _HostnameResolver(trio.abc.HostnameResolver):
    """Hook of ``trio.socket.getaddrinfo`` and ``getnameinfo``.

    ``before`` is the hook that resolved names for tasks without a network.
    """

    def __init__(self, before: trio.abc.HostnameResolver | None) -> None:
        self.before = before

    async def getaddrinfo(
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,  # noqa: A002 - trio's name
        proto: int = 0,
        flags: int = 0,
    ) -> Any:  # noqa: ANN401 - the type of `socket.getaddrinfo`
        """Resolve a name by the task's network, or by the system."""
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

    async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:  # noqa: ANN401 - two shapes
        """Return an address as text and its service, by the task's network or by the system."""
        network = current.get()
        if network is not None:
            await trio.lowlevel.checkpoint()
            return lookup.getnameinfo(network, sockaddr, flags)
        if self.before is not None:
            return await self.before.getnameinfo(sockaddr, flags)
        return await trio.to_thread.run_sync(socket.getnameinfo, sockaddr, flags, abandon_on_cancel=True)


@contextmanager
def installed(network: DefaultNetwork) -> Iterator[None]:
    """Make ``network`` the `current` one inside ``with``.

    trio's hooks are those of the whole run, and stay set after the block. Otherwise a task that outlives the
    block would silently use the machine's network.
    """
    _hook()
    token = current.set(network)
    try:
        yield
    finally:
        current.reset(token)


def _hook() -> None:
    """Set trio's hooks, unless they are set already."""
    factory, resolver = _SocketFactory(None), _HostnameResolver(None)
    factory.before = trio.socket.set_custom_socket_factory(factory)
    resolver.before = trio.socket.set_custom_hostname_resolver(resolver)
    if isinstance(factory.before, _SocketFactory):  # the hooks were set already
        trio.socket.set_custom_socket_factory(factory.before)
    if isinstance(resolver.before, _HostnameResolver):
        trio.socket.set_custom_hostname_resolver(resolver.before)
