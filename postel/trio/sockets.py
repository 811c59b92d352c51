"""Socket over Postel with the methods of trio's own sockets."""

import socket
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol, Self, TypeVar

import outcome
import trio

from postel.errors import ConnectionBegun, KindError, SocketCallUnknown, WouldBlock, renewed
from postel.sockets import lookup
from postel.sockets.lookup import LookupNetwork
from postel.sockets.nonblocking import NonBlockingSocket

Result = TypeVar("Result")
Received = tuple[bytes, list[tuple[int, int, bytes]], int, Any]
ReceivedInto = tuple[int, list[tuple[int, int, bytes]], int, Any]

NO_DESCRIPTOR: Final = 1 << 28  # no system gives such a large number to a file

_READS: Final = "reading from"
_WRITES: Final = "writing to"


class OpenedSocket(Protocol):
    """Part of a socket that its network calls."""

    @property
    def calls(self) -> NonBlockingSocket:
        """Socket of the host, which never waits."""
        ...


class TrioSocketOwner(LookupNetwork, Protocol):
    """Part of a network that a socket calls."""

    def adopt(self, opened: OpenedSocket) -> None:
        """Keep the socket until `forget`."""
        ...

    def forget(self, opened: OpenedSocket) -> None:
        """Forget a socket that was closed."""
        ...


def opened(network: TrioSocketOwner, calls: NonBlockingSocket) -> trio.socket.SocketType:
    """Make a socket with trio's methods. They wait until the methods of ``calls`` needn't wait."""
    return _TrioSocket(network, calls)


class _TrioSocket(trio.socket.SocketType):
    """Socket with the methods of trio's own, and Linux's errors.

    `TrioNetwork.socket` makes such a socket, and ``trio.socket.socket`` does where the network is the
    default. `trio.SocketStream` and `trio.SocketListener` accept it. It has no descriptor: `fileno` is a
    number that stands for none, and -1 once it is closed.
    """

    def __init__(self, network: TrioSocketOwner, calls: NonBlockingSocket) -> None:
        super().__init__()
        self._network = network
        self._calls = calls
        self._waiting: dict[str, trio.lowlevel.Task] = {}
        calls.changed = self._changed
        network.adopt(self)

    def __repr__(self) -> str:
        return f"<postel trio socket: {self._calls!r}>"

    @property
    def calls(self) -> NonBlockingSocket:
        return self._calls

    @property
    def _sock(self) -> NonBlockingSocket:
        """Socket in which packages such as anyio look for names, family and options."""
        return self._calls

    # Calls that don't wait

    @property
    def family(self) -> socket.AddressFamily:
        return self._calls.family

    @property
    def type(self) -> socket.SocketKind:
        return self._calls.type

    @property
    def proto(self) -> int:
        return self._calls.proto

    @property
    def did_shutdown_SHUT_WR(self) -> bool:  # noqa: N802 - trio's name
        return self._calls.has_shut_down_writing

    def fileno(self) -> int:
        return -1 if self._calls.is_closed else NO_DESCRIPTOR

    def getsockname(self) -> Any:  # noqa: ANN401 - trio's type
        return self._calls.getsockname()

    def getpeername(self) -> Any:  # noqa: ANN401 - trio's type
        return self._calls.getpeername()

    # Returns an int, or bytes with ``buflen``
    def getsockopt(self, level: int, optname: int, buflen: int | None = None) -> Any:  # noqa: ANN401
        return self._calls.getsockopt(level, optname, buflen or 0)

    def setsockopt(self, level: int, optname: int, value: Any, optlen: int | None = None) -> None:  # noqa: ANN401 - any buffer
        self._calls.setsockopt(level, optname, value, optlen)

    def listen(self, backlog: int = min(socket.SOMAXCONN, 128)) -> None:
        self._calls.listen(backlog)

    def get_inheritable(self) -> bool:
        return False

    def set_inheritable(self, inheritable: bool) -> None:  # noqa: FBT001 - trio's signature
        if inheritable:
            raise SocketCallUnknown("set_inheritable: a socket over Postel belongs to its process")

    def detach(self) -> int:
        raise SocketCallUnknown("detach: a socket over Postel has no descriptor")

    def dup(self) -> trio.socket.SocketType:
        raise SocketCallUnknown("dup: a socket over Postel has no descriptor; use the same object")

    def is_readable(self) -> bool:
        return self._calls.is_readable

    def shutdown(self, flag: int) -> None:
        self._calls.shutdown(flag)

    def close(self) -> None:
        self._calls.close()
        self._network.forget(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Opening

    async def bind(self, address: Any) -> None:  # noqa: ANN401 - trio's type
        name = await self._resolved(address, flags=socket.AI_PASSIVE)
        await trio.lowlevel.checkpoint()
        self._calls.bind(name)

    async def connect(self, address: Any) -> None:  # noqa: ANN401 - trio's type
        """Open a connection. If the call is cancelled, the socket is closed, as trio's own sockets are."""
        try:
            await self._connect(await self._resolved(address))
        except trio.Cancelled:
            self.close()
            raise
        if (error := self._calls.claim_error()) is not None:
            raise renewed(error)

    async def _connect(self, name: Any) -> None:  # noqa: ANN401 - trio's type
        """Connect to an address, and wait for the outcome."""
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            self._calls.connect(name)
        except ConnectionBegun:
            await self._wait_for(_WRITES)
            return
        except OSError:
            await trio.lowlevel.cancel_shielded_checkpoint()
            raise
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def accept(self) -> tuple[trio.socket.SocketType, Any]:
        accepted, name = await self._done(_READS, self._calls.accept)
        return _TrioSocket(self._network, accepted), name

    # Reading

    async def recv(self, buflen: int, flags: int = 0, /) -> bytes:
        return await self._done(_READS, lambda: self._calls.recv(buflen, flags))

    # ``buffer`` is any object with a buffer, here and below
    async def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:  # noqa: ANN401
        return await self._done(_READS, lambda: self._calls.recv_into(buffer, nbytes, flags))

    async def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, Any]:
        return await self._done(_READS, lambda: self._calls.recvfrom(bufsize, flags))

    async def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:  # noqa: ANN401
        return await self._done(_READS, lambda: self._calls.recvfrom_into(buffer, nbytes, flags))

    async def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /) -> Received:
        return await self._done(_READS, lambda: self._calls.recvmsg(bufsize, ancbufsize, flags))

    async def recvmsg_into(
        self, buffers: Iterable[Any], ancbufsize: int = 0, flags: int = 0, /
    ) -> ReceivedInto:
        return await self._done(_READS, lambda: self._calls.recvmsg_into(buffers, ancbufsize, flags))

    # Writing

    async def send(self, data: Any, flags: int = 0, /) -> int:  # noqa: ANN401 - trio's type
        return await self._done(_WRITES, lambda: self._calls.send(data, flags))

    async def sendto(self, *args: Any) -> int:  # noqa: ANN401 - data, flags or none, address
        if not 2 <= len(args) <= 3:
            raise KindError("arguments", args, "data, address, or data, flags, address")
        flags = args[1] if len(args) == 3 else 0
        name = await self._resolved(args[-1])
        return await self._done(_WRITES, lambda: self._calls.sendto(args[0], flags, name))

    async def sendmsg(
        self,
        buffers: Iterable[Any],
        ancdata: Iterable[Any] = (),
        flags: int = 0,
        address: Any = None,  # noqa: ANN401 - trio's type
        /,
    ) -> int:
        name = None if address is None else await self._resolved(address)
        return await self._done(_WRITES, lambda: self._calls.sendmsg(buffers, tuple(ancdata), flags, name))

    async def wait_writable(self) -> None:
        """Wait until a call that sends needn't wait."""
        self._calls.require_open()
        if self._calls.is_writable:
            await trio.lowlevel.checkpoint()
        else:
            await self._wait_for(_WRITES)

    # Waiting

    async def _done(self, direction: str, call: Callable[[], Result]) -> Result:
        """Make ``call``, again each time the socket becomes ready, until it needn't wait. Returns its result.

        The method is always a checkpoint. If the task is cancelled, ``call`` has done nothing.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            result = call()
        except WouldBlock:
            pass
        except BaseException:
            await trio.lowlevel.cancel_shielded_checkpoint()
            raise
        else:
            await trio.lowlevel.cancel_shielded_checkpoint()
            return result
        while True:
            if not self._is_ready(direction):  # makes the connection report when it has room
                await self._wait_for(direction)
            try:
                return call()
            except WouldBlock:
                pass

    async def _wait_for(self, direction: str) -> None:
        """Wait until the socket is ready, or closed by another task.

        Raises BusyResourceError, ClosedResourceError.
        """
        if direction in self._waiting:
            raise trio.BusyResourceError(f"another task is already {direction} this socket")
        self._waiting[direction] = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            del self._waiting[direction]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def _is_ready(self, direction: str) -> bool:
        """Tell whether the socket is readable, or writable."""
        return self._calls.is_readable if direction == _READS else self._calls.is_writable

    def _changed(self) -> None:
        """Wake the tasks that wait for readiness, if the socket is ready now."""
        for direction in tuple(self._waiting):
            if self._calls.is_closed:
                closed = trio.ClosedResourceError("another task closed this socket")
                trio.lowlevel.reschedule(self._waiting.pop(direction), outcome.Error(closed))
            elif self._is_ready(direction):
                trio.lowlevel.reschedule(self._waiting.pop(direction))

    async def _resolved(self, address: Any, *, flags: int = 0) -> Any:  # noqa: ANN401 - trio's type
        """Return ``address`` with its name resolved.

        An ``address`` that isn't a pair of a name and a port is returned unchanged, and the socket's call
        refuses it.
        """
        if not isinstance(address, tuple) or not 2 <= len(address) <= 4:
            return address
        host, port, *others = address
        if isinstance(port, int) and (
            host in ("", "<broadcast>") or (isinstance(host, str) and lookup.literal(host) is not None)
        ):
            return address
        found = await lookup.getaddrinfo(
            self._network,
            host or None,
            port,
            family=self.family,
            type=self.type,
            proto=self.proto,
            flags=flags,
        )
        return (*found[0][4][:2], *others)
