"""Host on a link inside a running trio."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self

import trio

from postel.errors import CallError, LinkDown, LinkError, NetworkUnreachable, renewed
from postel.host.host import Host
from postel.links.contract import Link
from postel.links.junction import require_free
from postel.sockets.bindings import Bindings
from postel.sockets.datagram import DatagramCalls
from postel.sockets.lingering import LingeringConnections
from postel.sockets.lookup import NameResolver
from postel.sockets.nonblocking import known_family
from postel.sockets.preparation import prepare
from postel.sockets.stream import StreamCalls
from postel.tcp.connection import Connection
from postel.trio import routing
from postel.trio.pump import TrioPump
from postel.trio.sockets import OpenedSocket, opened


class TrioNetwork:
    """Network of one host on one link, for the tasks of one `trio.run`; made by `postel.trio.attach`.

    The network is open inside ``async with``. `socket` makes sockets with trio's own methods; inside
    `as_default` trio's own functions use the network. Errors are OSErrors with the kernel's numbers: see
    `postel.errors`. ``resolver`` finds the addresses of names; with None, only IP addresses and ``localhost``
    can be used. ``bindings`` says which ports sockets have bound.
    """

    def __init__(
        self, host: Host, link: Link, *, linger: float, resolver: NameResolver | None = None
    ) -> None:
        """Make a network that isn't open yet: see `postel.trio.attach`."""
        prepare(host, link, linger)
        self.host: Host = host
        self.link: Link = link
        self.resolver: NameResolver | None = resolver
        self.bindings: Bindings = Bindings()
        self._linger = linger
        self._pump: TrioPump | None = None
        self._error: OSError | None = None  # the error that ended the network, for later calls
        self._ended: trio.Event | None = None
        self._sockets: dict[OpenedSocket, None] = {}  # a set, in the order in which the sockets were made
        self._lingering = LingeringConnections()

    async def __aenter__(self) -> Self:
        """Open the network in the running trio. Raises CallError for a second time."""
        if self._pump is not None or self._error is not None:
            raise CallError(
                "the network was opened before; each network is opened once, so attach the host again"
            )
        await trio.lowlevel.checkpoint()
        require_free(self.host, self.link)
        self._ended = trio.Event()
        self._pump = TrioPump(self.host, self.link, self._broke, self._is_down)
        self.host.join(
            self.link.mtu, b"", self._pump.now()
        )  # the host may have been on another link since `attach`
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the network."""
        await self.close()

    def socket(
        self,
        family: int = socket.AF_INET,
        type: int = socket.SOCK_STREAM,  # noqa: A002 - trio's name for this argument
        proto: int = 0,
    ) -> trio.socket.SocketType:
        """Make a socket, as ``trio.socket.socket`` does.

        `trio.SocketStream` and `trio.SocketListener` accept it. ``family`` is AF_INET or AF_INET6, ``type``
        SOCK_STREAM or SOCK_DGRAM. The methods are those of trio's sockets, with Linux's errors. The socket
        has no descriptor: ``fileno()`` is a number that stands for none, and -1 once it is closed. Raises
        SocketKindUnknown, an OSError, for other kinds, CallError outside of ``async with``, and the error
        that ended the network.
        """
        if self._error is not None:
            raise renewed(self._error)
        if self._pump is None:
            raise CallError("the network isn't open: use it inside `async with`")
        known, kind = known_family(family, type)
        calls = StreamCalls if kind is socket.SOCK_STREAM else DatagramCalls
        return opened(self, calls(self, known, self.host.config))

    @asynccontextmanager
    async def as_default(self) -> AsyncIterator[None]:
        """Let this task, and the tasks that it starts, use the network inside ``async with``.

        `trio.open_tcp_stream`, `trio.serve_tcp`, and all that is built on them, such as httpx, go over this
        network. Other tasks aren't affected. Raises CallError where the network isn't open.
        """
        if self._pump is None or self._is_over():
            raise CallError("the network isn't open: use it inside `async with`")
        with routing.installed(self):
            await trio.lowlevel.checkpoint()
            yield

    # The end

    async def close(self) -> None:
        """Close the network, and its link.

        Connections that the program has closed get up to ``linger`` seconds to end; all others are aborted at
        once. A second call does nothing.
        """
        pump = self._pump
        if pump is None or self._error is not None:
            await trio.lowlevel.checkpoint()
            return
        self._error = NetworkUnreachable("the network is closed")
        self._end_sockets(self._error)
        pump.wake()
        try:
            with trio.move_on_after(self._linger):
                await trio.lowlevel.checkpoint()
                while self._lingering and not self._is_over():
                    await pump.next_turn()
        finally:
            self._lingering.abort(pump.now())
            pump.finish()
            self._over()

    async def wait_closed(self) -> None:
        """Wait for the network's end.

        Raises the `LinkError` with which the link ended, if that was before `close`, and CallError before the
        network is open.
        """
        if self._ended is None:
            raise CallError("the network isn't open: use it inside `async with`")
        await self._ended.wait()
        if isinstance(self._error, LinkError):
            raise renewed(self._error)

    def _is_over(self) -> bool:
        """Tell whether the network has ended."""
        return self._ended is not None and self._ended.is_set()

    def _over(self) -> None:
        """Close the link, and let `wait_closed` return."""
        with suppress(OSError):
            self.link.close()
        if self._ended is not None:
            self._ended.set()

    def _broke(self, error: LinkError) -> None:
        """End the network, because its link has ended: all waiting calls raise ``error``."""
        if self._pump is None or self._is_over():
            return
        error.__traceback__ = None
        self._error = self._error or error
        self._end_sockets(error)
        self._lingering.abort(self._pump.now())
        self._lingering.clear()
        self._pump.stop()
        self._pump.discard()
        self._over()

    def _end_sockets(self, error: OSError) -> None:
        """Let calls on sockets raise ``error``."""
        for each in tuple(self._sockets):
            each.calls.fail(error)

    def _is_down(self, error: LinkDown) -> None:
        """Let connections that are being opened fail: the device is switched off, perhaps for a moment.

        Connections that are open go on.
        """
        for each in tuple(self._sockets):
            each.calls.link_is_down(error)

    # For sockets

    def now(self) -> int:
        """Return the time of trio's clock, in microseconds. Sockets use it."""
        return 0 if self._pump is None else self._pump.now()

    def wake(self) -> None:
        """Let the pump send packets and deliver events soon, because a socket made a call."""
        if self._pump is not None:
            self._pump.wake()

    def abandon(self, connection: Connection) -> None:
        """Keep the connection of a closed socket until the connection has ended.

        `close` waits for the connection, for up to ``linger`` seconds, and then aborts it.
        """
        self._lingering.add(connection)

    def adopt(self, opened: OpenedSocket) -> None:
        """Keep a socket until it calls `forget`."""
        self._sockets[opened] = None

    def forget(self, opened: OpenedSocket) -> None:
        """Forget a socket that was closed."""
        self._sockets.pop(opened, None)
