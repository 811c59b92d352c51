"""Waiting for a peer while output to it may still be on its way."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from postel.tcp.connection import Connection

T = TypeVar("T")
_STEP: Final = 1.0  # seconds between two looks at what the peer has acknowledged
_EARLY: Final = 0.001  # seconds: a loop's timers may be that early


class Expired(Exception):
    """What was waited for didn't come in time."""


class Stalled(Exception):
    """The peer acknowledged nothing of what was written for it for as long as it may."""


def undelivered(writer: asyncio.StreamWriter) -> int:
    """Octets that were written and that the peer hasn't acknowledged yet."""
    connection = writer.get_extra_info("connection")
    waiting = writer.transport.get_write_buffer_size()
    return waiting + (connection.unacknowledged if isinstance(connection, Connection) else 0)


class Wait:
    """Waits on behalf of one connection. ``stall`` is in seconds: `Stalled` is raised when no octet is acknowledged for that long."""

    __slots__ = ("_is_over", "_stall", "_timeout", "_writer")

    def __init__(self, writer: asyncio.StreamWriter, stall: float) -> None:
        self._writer = writer
        self._stall = stall
        self._timeout: asyncio.Timeout | None = None
        self._is_over = False

    async def result(self, begin: Callable[[], Awaitable[T]], seconds: float) -> T:
        """Result of ``begin()``, within ``seconds`` from when all output is acknowledged. Raises Expired, or Stalled.

        ``begin`` is called again after each look at the output, so cancelling what it returns must lose nothing.
        """
        loop = asyncio.get_running_loop()
        left = undelivered(self._writer)
        begun = moved = loop.time()
        self._is_over = False
        while True:
            step = begun + seconds - loop.time() if not left else min(_STEP, self._stall)
            timeout = asyncio.timeout(max(step, 0.0))
            try:
                async with timeout:
                    self._timeout = timeout
                    return await begin()
            except TimeoutError:
                if not timeout.expired():
                    raise  # the connection's own: ETIMEDOUT
            finally:
                self._timeout = None
            now = loop.time()
            before, left = left, undelivered(self._writer)
            if left != before:
                moved = now
            if self._is_over or (not left and not before and now - begun >= seconds - _EARLY):
                raise Expired
            if left and now - moved >= self._stall - _EARLY:
                raise Stalled
            if left or before:
                begun = now

    def end(self) -> None:
        """Let the wait that is going on end at once, as if its time were over."""
        if self._timeout is not None and not self._is_over:
            self._is_over = True
            self._timeout.reschedule(0)
