"""``loop.sock_recv`` and its like, ``add_reader`` and ``add_writer``, for sockets of Postel's."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar, TypeVarTuple, cast

from postel.aio import standins
from postel.aio.network import Network
from postel.aio.sockets import Socket
from postel.errors import ArgumentError, TcpError

R = TypeVar("R")
Ts = TypeVarTuple("Ts")
Name = Any


class SocketCalls(asyncio.AbstractEventLoop):
    """A mixin for asyncio's loops. Sockets of the system that are connected, or of another family, stay with
    asyncio.
    """

    def network_here(self) -> Network:
        """The network of the running task."""
        raise NotImplementedError

    def leave_postel(self, call: str) -> None:
        """Called before a call on a socket of the system's goes to the machine; a loop that is closed to it
        raises CallError.
        """

    # Sockets

    async def sock_recv(self, sock: Any, nbytes: int) -> bytes:
        """As asyncio's."""
        own = self._own(sock, "sock_recv")
        return await super().sock_recv(sock, nbytes) if own is None else await _done(own, own.recv, nbytes)

    async def sock_recv_into(self, sock: Any, buf: Any) -> int:
        """As asyncio's."""
        own = self._own(sock, "sock_recv_into")
        return (
            await super().sock_recv_into(sock, buf) if own is None else await _done(own, own.recv_into, buf)
        )

    async def sock_recvfrom(self, sock: Any, bufsize: int) -> tuple[bytes, Any]:
        """As asyncio's."""
        own = self._own(sock, "sock_recvfrom", replace=True)
        return (
            await super().sock_recvfrom(sock, bufsize)
            if own is None
            else await _done(own, own.recvfrom, bufsize)
        )

    async def sock_recvfrom_into(self, sock: Any, buf: Any, nbytes: int = 0) -> tuple[int, Any]:
        """As asyncio's."""
        own = self._own(sock, "sock_recvfrom_into", replace=True)
        if own is None:
            return await super().sock_recvfrom_into(sock, buf, nbytes)
        return await _done(own, own.recvfrom_into, buf, nbytes or len(buf))

    async def sock_sendto(self, sock: Any, data: Any, address: Name) -> int:
        """As asyncio's."""
        own = self._own(sock, "sock_sendto", replace=True)
        return (
            await super().sock_sendto(sock, data, address)
            if own is None
            else await _done(own, own.sendto, data, address, to_write=True)
        )

    async def sock_sendall(self, sock: Any, data: Any) -> None:
        """As asyncio's."""
        own = self._own(sock, "sock_sendall")
        if own is None:
            await super().sock_sendall(sock, data)
            return
        view = memoryview(data).cast("B")
        if not view:
            own.send(b"")
        while view:
            view = view[await _done(own, own.send, view, to_write=True) :]

    async def sock_connect(self, sock: Any, address: Name) -> None:
        """As asyncio's: a name is resolved, and errors name the address."""
        own = self._own(sock, "sock_connect", replace=True)
        if own is None:
            await super().sock_connect(sock, address)
            return
        resolved = await cast(Any, self)._ensure_resolved(
            address, family=own.family, type=own.type, proto=own.proto, loop=self
        )
        address = resolved[0][4]
        try:
            own.connect(address)
        except BlockingIOError:
            await own.ready(to_write=True)
            error = own.claim_error()
            if error is not None:
                raise worded(error, f"Connect call failed {address}") from error

    async def sock_accept(self, sock: Any) -> tuple[Any, Any]:
        """As asyncio's; the accepted socket is of Postel's."""
        own = self._own(sock, "sock_accept", replace=True)
        return await super().sock_accept(sock) if own is None else await _done(own, own.accept)

    async def _sock_sendfile_native(self, sock: Any, file: Any, offset: int, count: int | None) -> int:
        if standins.find(sock) is not None:
            raise asyncio.SendfileNotAvailableError(f"syscall sendfile is not available for socket {sock!r}")
        return cast(int, await cast(Any, super())._sock_sendfile_native(sock, file, offset, count))

    def _own(self, sock: Any, call: str, *, replace: bool = False) -> Socket | None:
        """As `_own_or_none`, for a call that asks for a socket which doesn't wait."""
        if self.get_debug() and sock.gettimeout() != 0:
            raise ArgumentError("sock", sock, "one that never waits: the socket must be non-blocking")
        return self._own_or_none(sock, call, replace=replace)

    def _own_or_none(self, sock: Any, call: str, *, replace: bool = False) -> Socket | None:
        """Postel's socket for a call, made now where ``replace`` asks for it; None where the call is the
        system's.
        """
        own = standins.replace(sock, self.network_here) if replace else standins.find(sock)
        if own is None:
            self.leave_postel(f"{call} with a socket of the system's")
        return own

    # Readiness

    def add_reader(self, fd: Any, callback: Callable[[*Ts], Any], *args: *Ts) -> None:
        """As asyncio's; ``fd`` may be a socket of Postel's."""
        self._watch(fd, callback, args, to_write=False)

    def add_writer(self, fd: Any, callback: Callable[[*Ts], Any], *args: *Ts) -> None:
        """As asyncio's; ``fd`` may be a socket of Postel's."""
        self._watch(fd, callback, args, to_write=True)

    def remove_reader(self, fd: Any) -> bool:
        """As asyncio's: whether there was one."""
        own = standins.find(fd)
        return bool(super().remove_reader(fd)) if own is None else own.watch(None, self, to_write=False)

    def remove_writer(self, fd: Any) -> bool:
        """As asyncio's: whether there was one."""
        own = standins.find(fd)
        return bool(super().remove_writer(fd)) if own is None else own.watch(None, self, to_write=True)

    def _watch(self, fd: Any, callback: Callable[..., Any], args: tuple[Any, ...], *, to_write: bool) -> None:
        own = standins.find(fd)
        if own is not None:
            own.watch(asyncio.Handle(callback, args, self, None), self, to_write=to_write)
        elif to_write:
            super().add_writer(fd, callback, *args)
        else:
            super().add_reader(fd, callback, *args)


async def _done(sock: Socket, call: Callable[..., R], *arguments: Any, to_write: bool = False) -> R:
    """The result of a socket's call, once it needn't wait."""
    while True:
        try:
            return call(*arguments)
        except BlockingIOError:
            await sock.ready(to_write=to_write)


def worded(error: OSError, text: str) -> OSError:
    """An error of the same class and number, in asyncio's words."""
    return type(error)(text) if isinstance(error, TcpError) else OSError(error.errno, text)
