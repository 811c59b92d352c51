"""``loop.sock_recv`` and similar methods, ``add_reader`` and ``add_writer``, for sockets of Postel."""

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
    """Mixin for asyncio's loops: the loop's methods on sockets, for sockets of Postel.

    Sockets of the system that are connected, or of another family, stay with asyncio.
    """

    def network_here(self) -> Network:
        """Return the network of the running task."""
        raise NotImplementedError

    def leave_postel(self, call: str) -> None:
        """Allow or refuse a call on a socket of the system, which would use the machine's network.

        This method allows the call. Loops without access to the machine's network override it and raise
        CallError.
        """

    # Sockets

    async def sock_recv(self, sock: Any, nbytes: int) -> bytes:
        """Receive up to ``nbytes`` octets, as asyncio's loops do."""
        own = self._own(sock, "sock_recv")
        return await super().sock_recv(sock, nbytes) if own is None else await _done(own, own.recv, nbytes)

    async def sock_recv_into(self, sock: Any, buf: Any) -> int:
        """Receive into ``buf``, as asyncio's loops do. Returns how many octets."""
        own = self._own(sock, "sock_recv_into")
        return (
            await super().sock_recv_into(sock, buf) if own is None else await _done(own, own.recv_into, buf)
        )

    async def sock_recvfrom(self, sock: Any, bufsize: int) -> tuple[bytes, Any]:
        """Receive a datagram and its sender, as asyncio's loops do."""
        own = self._own(sock, "sock_recvfrom", replace=True)
        return (
            await super().sock_recvfrom(sock, bufsize)
            if own is None
            else await _done(own, own.recvfrom, bufsize)
        )

    async def sock_recvfrom_into(self, sock: Any, buf: Any, nbytes: int = 0) -> tuple[int, Any]:
        """Receive a datagram into ``buf``, as asyncio's loops do. Returns how many octets, and the sender."""
        own = self._own(sock, "sock_recvfrom_into", replace=True)
        if own is None:
            return await super().sock_recvfrom_into(sock, buf, nbytes)
        return await _done(own, own.recvfrom_into, buf, nbytes or len(buf))

    async def sock_sendto(self, sock: Any, data: Any, address: Name) -> int:
        """Send a datagram to ``address``, as asyncio's loops do. Returns how many octets."""
        own = self._own(sock, "sock_sendto", replace=True)
        return (
            await super().sock_sendto(sock, data, address)
            if own is None
            else await _done(own, own.sendto, data, address, to_write=True)
        )

    async def sock_sendall(self, sock: Any, data: Any) -> None:
        """Send all of ``data``, as asyncio's loops do."""
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
        """Connect to ``address``, as asyncio's loops do: a name is resolved, and errors name the address."""
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
        """Accept a connection, as asyncio's loops do. Returns a socket of Postel and the peer's address."""
        own = self._own(sock, "sock_accept", replace=True)
        return await super().sock_accept(sock) if own is None else await _done(own, own.accept)

    async def _sock_sendfile_native(self, sock: Any, file: Any, offset: int, count: int | None) -> int:
        """Refuse ``sendfile`` for a socket of Postel: asyncio then reads the file and sends it."""
        if standins.find(sock) is not None:
            raise asyncio.SendfileNotAvailableError(f"syscall sendfile is not available for socket {sock!r}")
        return cast(int, await cast(Any, super())._sock_sendfile_native(sock, file, offset, count))

    def _own(self, sock: Any, call: str, *, replace: bool = False) -> Socket | None:
        """Return Postel's socket for a call on a socket that must not block: see `_own_or_none`."""
        if self.get_debug() and sock.gettimeout() != 0:
            raise ArgumentError("sock", sock, "one that never waits: the socket must be non-blocking")
        return self._own_or_none(sock, call, replace=replace)

    def _own_or_none(self, sock: Any, call: str, *, replace: bool = False) -> Socket | None:
        """Return Postel's socket for a call; None where the call is the system's.

        With ``replace`` a socket of Postel takes the place of one of the system, where that is possible.
        """
        own = standins.replace(sock, self.network_here) if replace else standins.find(sock)
        if own is None:
            self.leave_postel(f"{call} with a socket of the system")
        return own

    # Readiness

    def add_reader(self, fd: Any, callback: Callable[[*Ts], Any], *args: *Ts) -> None:
        """Call ``callback`` while ``fd`` is readable, as asyncio's loops do; it may be a socket of Postel."""
        self._watch(fd, callback, args, to_write=False)

    def add_writer(self, fd: Any, callback: Callable[[*Ts], Any], *args: *Ts) -> None:
        """Call ``callback`` while ``fd`` is writable, as asyncio's loops do; it may be a socket of Postel."""
        self._watch(fd, callback, args, to_write=True)

    def remove_reader(self, fd: Any) -> bool:
        """Undo `add_reader`. Returns whether there was a callback."""
        own = standins.find(fd)
        return bool(super().remove_reader(fd)) if own is None else own.watch(None, self, to_write=False)

    def remove_writer(self, fd: Any) -> bool:
        """Undo `add_writer`. Returns whether there was a callback."""
        own = standins.find(fd)
        return bool(super().remove_writer(fd)) if own is None else own.watch(None, self, to_write=True)

    def _watch(self, fd: Any, callback: Callable[..., Any], args: tuple[Any, ...], *, to_write: bool) -> None:
        """Call ``callback`` while ``fd`` is readable, or with ``to_write`` writable."""
        own = standins.find(fd)
        if own is not None:
            own.watch(asyncio.Handle(callback, args, self, None), self, to_write=to_write)
        elif to_write:
            super().add_writer(fd, callback, *args)
        else:
            super().add_reader(fd, callback, *args)


async def _done(sock: Socket, call: Callable[..., R], *arguments: Any, to_write: bool = False) -> R:
    """Make ``call``, again each time the socket becomes ready, until it needn't wait. Returns its result."""
    while True:
        try:
            return call(*arguments)
        except BlockingIOError:
            await sock.ready(to_write=to_write)


def worded(error: OSError, text: str) -> OSError:
    """Make an error of the same class and number with another text, as asyncio writes it."""
    return type(error)(text) if isinstance(error, TcpError) else OSError(error.errno, text)
