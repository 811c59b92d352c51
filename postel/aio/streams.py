"""Reader of a stream that returns all received data before it raises the error that ended the connection."""

import asyncio
from typing import Any, cast

from postel.errors import PostelError, renewed


class StreamReader(asyncio.StreamReader):
    """asyncio's stream reader, except that an error is raised only after the data before it has been read.

    asyncio's own reader raises an error as soon as the connection reports it, and loses data that wasn't
    read. If the error is Postel's, each call raises a new exception object; another error is raised again
    without the traceback of the call before. All of asyncio's reading methods look at ``_exception`` first,
    and call `_wait_for_data` when they need more.
    """

    _reason: BaseException | None = None

    @property
    def _exception(self) -> BaseException | None:
        """Error that asyncio's methods see: None while data is left to read."""
        # asyncio's private attribute: its reader has no public way to change this
        return None if cast(Any, self)._buffer else self.exception()  # noqa: SLF001 - see above

    @_exception.setter
    def _exception(self, reason: BaseException | None) -> None:
        """Store the error that ended the connection."""
        self._reason = None if reason is None else _raisable(reason)

    def exception(self) -> Any:  # noqa: ANN401 - typeshed says Exception, and TLS tells others
        """Return the error that ended the connection, even before all data was read; None without one."""
        return None if self._reason is None else _raisable(self._reason)

    async def _wait_for_data(self, func_name: str) -> None:
        """Wait for data, or raise the error that ended the connection."""
        if self._reason is not None:
            raise self.exception()
        await cast(Any, super())._wait_for_data(func_name)  # noqa: SLF001 - asyncio's own method


def _raisable(reason: BaseException) -> BaseException:
    """Return an exception that may be raised now, without the traceback of an earlier raise."""
    if isinstance(reason, PostelError) and isinstance(reason, OSError):
        return renewed(reason)
    return reason.with_traceback(None)
