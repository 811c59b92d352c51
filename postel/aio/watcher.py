"""``loop.add_reader`` and ``add_writer`` for a socket without a descriptor."""

import asyncio
from typing import Any, Protocol, cast


class Watched(Protocol):
    """A socket."""

    def is_ready(self, *, to_write: bool) -> bool: ...


class Watcher:
    """Runs ``handle`` once in each turn of the loop while the socket is readable, or writable, as a loop does
    that polls descriptors.
    """

    __slots__ = ("_is_scheduled", "_loop", "_sock", "_to_write", "handle")

    def __init__(
        self, sock: Watched, handle: asyncio.Handle, loop: asyncio.AbstractEventLoop, *, to_write: bool
    ) -> None:
        self.handle: asyncio.Handle | None = handle  # None: no more
        self._sock = sock
        self._loop = loop
        self._to_write = to_write
        self._is_scheduled = False

    def look(self) -> None:
        """The socket may have become ready."""
        if (
            not self._is_scheduled
            and self.handle is not None
            and self._sock.is_ready(to_write=self._to_write)
        ):
            self._is_scheduled = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        self._is_scheduled = False
        if self.handle is None or not self._sock.is_ready(to_write=self._to_write):
            return
        # In its own context, and what it raises goes to the loop's handler
        cast(Any, self.handle)._run()  # noqa: SLF001
        self.look()
