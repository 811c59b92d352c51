"""``loop.add_reader`` and ``loop.add_writer`` for a socket without a descriptor."""

import asyncio
from typing import Any, Protocol, cast


class Watched(Protocol):
    """Part of a socket that a `Watcher` calls."""

    def is_ready(self, *, to_write: bool) -> bool:
        """Tell whether the socket is writable, with ``to_write``, else whether it is readable."""


class Watcher:
    """Runs ``handle`` once in each round of the loop while the socket is readable, or writable.

    A loop that polls descriptors does the same. ``handle`` is None once the socket is no longer watched.
    """

    __slots__ = ("_is_scheduled", "_loop", "_sock", "_to_write", "handle")

    def __init__(
        self, sock: Watched, handle: asyncio.Handle, loop: asyncio.AbstractEventLoop, *, to_write: bool
    ) -> None:
        """Make a watcher of ``sock``, for reading, or with ``to_write`` for writing; `look` starts it."""
        self.handle: asyncio.Handle | None = handle  # None: the watching has ended
        self._sock = sock
        self._loop = loop
        self._to_write = to_write
        self._is_scheduled = False

    def look(self) -> None:
        """Schedule the handle for the loop's next round, if the socket is ready."""
        if (
            not self._is_scheduled
            and self.handle is not None
            and self._sock.is_ready(to_write=self._to_write)
        ):
            self._is_scheduled = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        """Run the handle if the socket is still ready, and schedule it again for as long as it stays so."""
        self._is_scheduled = False
        if self.handle is None or not self._sock.is_ready(to_write=self._to_write):
            return
        # `Handle._run` uses the handle's context, and gives exceptions to the loop's handler
        cast(Any, self.handle)._run()  # noqa: SLF001 - no public name
        self.look()
