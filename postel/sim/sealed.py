"""Calls that a loop in virtual time refuses, because they would reach the machine.

Input from the machine comes at no defined moment of the world, so that two runs of a seed would differ.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, NoReturn, Protocol, TypeVarTuple

from postel.errors import CallError
from postel.links import memory

Ts = TypeVarTuple("Ts")
FIRST_WIRE: Final = 1 << 40  # descriptor of the first wire: no kernel gives such numbers


class HasDescriptor(Protocol):
    """Socket or file with a method that returns its descriptor."""

    def fileno(self) -> int:
        """Number of the descriptor."""
        ...


class Sealed(asyncio.SelectorEventLoop):
    """Base class of a loop. Its methods raise CallError for calls that would reach the machine.

    The error says what to do instead. In the order of base classes `Sealed` comes after `postel.aio.Routing`,
    which answers calls for the network.
    """

    def add_reader(self, fd: int | HasDescriptor, callback: Callable[[*Ts], Any], *args: *Ts) -> None:
        """Call ``callback`` when a descriptor of the world is readable. Raises CallError for others."""
        self._require_virtual(fd)
        super().add_reader(fd, callback, *args)

    def add_writer(self, fd: int | HasDescriptor, callback: Callable[[*Ts], Any], *args: *Ts) -> None:
        """Call ``callback`` when a descriptor of the world is writable. Raises CallError for others."""
        self._require_virtual(fd)
        super().add_writer(fd, callback, *args)

    def is_virtual(self, descriptor: int) -> bool:
        """Whether a descriptor belongs to a wire, to a socket in the world, or to a link in memory."""
        return descriptor >= FIRST_WIRE or descriptor in memory.bells

    def _require_virtual(self, fd: int | HasDescriptor) -> None:
        number = fd if isinstance(fd, int) else fd.fileno()
        if not self.is_virtual(number):
            _refuse(
                f"a wait for descriptor {number} of the machine", "sockets that the world's computers open"
            )

    async def subprocess_shell(self, *args: Any, **options: Any) -> NoReturn:  # noqa: ANN401 - asyncio's arguments
        """Raise CallError: subprocesses are refused."""
        _refuse(
            "a subprocess", "the program as a coroutine function, by computer.run() on a computer of its own"
        )

    async def subprocess_exec(self, *args: Any, **options: Any) -> NoReturn:  # noqa: ANN401 - asyncio's arguments
        """Raise CallError: subprocesses are refused."""
        _refuse(
            "a subprocess", "the program as a coroutine function, by computer.run() on a computer of its own"
        )

    async def create_unix_connection(self, *args: Any, **options: Any) -> NoReturn:  # noqa: ANN401 - asyncio's arguments
        """Raise CallError: Unix sockets are refused."""
        _refuse(
            "a Unix socket", "a TCP connection between the world's computers, or to 127.0.0.1 on the same one"
        )

    async def create_unix_server(self, *args: Any, **options: Any) -> NoReturn:  # noqa: ANN401 - asyncio's arguments
        """Raise CallError: Unix sockets are refused."""
        _refuse("a Unix socket", "a TCP server on 127.0.0.1 of the computer")

    async def connect_read_pipe(self, *args: Any, **options: Any) -> NoReturn:  # noqa: ANN401 - asyncio's arguments
        """Raise CallError: pipes are refused."""
        _refuse("a pipe of the machine", "asyncio.Queue, or a TCP connection to 127.0.0.1 of the computer")

    async def connect_write_pipe(self, *args: Any, **options: Any) -> NoReturn:  # noqa: ANN401 - asyncio's arguments
        """Raise CallError: pipes are refused."""
        _refuse("a pipe of the machine", "asyncio.Queue, or a TCP connection to 127.0.0.1 of the computer")


def _refuse(what: str, instead: str) -> NoReturn:
    raise CallError(
        f"{what} in virtual time: what comes from the machine comes at no moment of the world; allowed: "
        f"{instead}"
    )
