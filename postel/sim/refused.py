"""Functions that replace those which a sealed world refuses, as they would block or reach the machine.

Each function raises an error that says what to do instead. If the caller isn't a task of a sealed world, the
function calls the original.
"""

import ipaddress
import socket
import threading
from collections.abc import Callable
from typing import Any, Final, NoReturn

from postel.errors import CallError
from postel.sim.virtual import Function, is_importing, place_of_caller

_LOCAL: Final = (None, "", "localhost", b"", b"localhost")


def refusing(original: Function, what: str, allowed: str) -> Function:
    """Make a function that raises CallError when a task of a sealed world calls it."""

    def refuse(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the original's
        if place_of_caller() is None or is_importing():
            return original(*args, **options)
        _refuse(what, allowed)

    return refuse


def connecting(original: Function, allowed: str) -> Function:
    """Make a replacement of ``socket.socket.connect``, which raises CallError.

    The replacement closes the socket first, because programs close their socket only after an OSError.
    """

    def connect(self: socket.socket, address: Any, /) -> Any:  # noqa: ANN401 - as the original's
        if place_of_caller() is None:
            return original(self, address)
        self.close()
        _refuse(f"a connection of the machine to {address!r}", allowed)

    return connect


def sleeping(original: Function) -> Function:
    """Make a replacement of ``time.sleep``, which raises CallError unless the time is 0."""

    def sleep(seconds: float, /) -> None:
        if place_of_caller() is None:
            original(seconds)
        elif seconds > 0:
            _refuse(
                f"time.sleep({seconds!r}), which stops all computers of the world", "await asyncio.sleep()"
            )

    return sleep


def looking_up(original: Function) -> Function:
    """Make a replacement of a look-up such as ``socket.getaddrinfo``, which refuses to ask a name server."""

    def look_up(host: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the original's
        if place_of_caller() is not None and host not in _LOCAL and not _is_address(host):
            _refuse(
                f"a blocking look-up of {host!r}",
                "await loop.getaddrinfo(), which knows the world's computers",
            )
        return original(host, *args, **options)

    return look_up


def starting(original: Function) -> Function:
    """Make a function for the place of ``threading.Thread.start`` that raises CallError.

    A worker thread of anyio is allowed: it does its work at once in the loop's thread, as asyncio's executor
    does here.
    """

    def start(self: threading.Thread) -> None:
        if place_of_caller() is None or is_importing():
            original(self)
        elif type(self).__name__ == "WorkerThread" and type(self).__module__.startswith("anyio."):
            vars(self)["queue"] = _Inline(self.run)
        else:
            _refuse(
                f"the thread {self.name}", "asyncio.to_thread(), which calls its function at once, or a task"
            )

    return start


class _Inline:
    """Queue of a worker thread of anyio.

    `put_nowait` lets the worker do its work at once. Afterwards the worker has nothing left to do.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._waiting: list[Any] = []

    def put_nowait(self, item: Any) -> None:  # noqa: ANN401 - anyio's own
        """Let the worker do its work on ``item``."""
        if item is not None:
            self._waiting = [item, None]
            self._work()

    def get(self) -> Any:  # noqa: ANN401 - anyio's own
        """Return the item, and at the next call None, which ends the worker."""
        return self._waiting.pop(0)

    def task_done(self) -> None:
        """Do nothing."""


def _is_address(host: Any) -> bool:  # noqa: ANN401 - whatever a caller may try
    try:
        ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host)
    except ValueError:
        return False
    return True


def _refuse(what: str, allowed: str) -> NoReturn:
    raise CallError(f"{what}, in a sealed world; allowed: {allowed}")
