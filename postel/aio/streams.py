"""What the program reads from: asyncio's own reader, which gives what was received before it raises what
ended the connection.
"""

import asyncio
from typing import Any, cast

from postel.errors import PostelError, renewed


class StreamReader(asyncio.StreamReader):
    """asyncio's reader raises an error as soon as it is told, and forgets what it still holds. This one
    raises once that is read.

    Each call raises an exception of its own, as far as it is Postel's; every other is raised without the
    traceback of the raise before. ``_exception`` is what all of asyncio's reading methods look at first, and
    `_wait_for_data` what they do when they need more.
    """

    _reason: BaseException | None = None

    @property
    def _exception(self) -> BaseException | None:
        # Asyncio's, as all of this class
        return None if cast(Any, self)._buffer else self.exception()  # noqa: SLF001

    @_exception.setter
    def _exception(self, reason: BaseException | None) -> None:
        self._reason = None if reason is None else _raisable(reason)

    def exception(self) -> Any:  # noqa: ANN401 - typeshed says Exception, and TLS tells others
        """What ended the connection, whether or not everything was read; None while it lives."""
        return None if self._reason is None else _raisable(self._reason)

    async def _wait_for_data(self, func_name: str) -> None:
        if self._reason is not None:
            raise self.exception()
        await cast(Any, super())._wait_for_data(func_name)  # noqa: SLF001


def _raisable(reason: BaseException) -> BaseException:
    if isinstance(reason, PostelError) and isinstance(reason, OSError):
        return renewed(reason)
    return reason.with_traceback(None)
