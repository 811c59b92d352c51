"""Tasks of a loop in virtual time.

Tasks are numbered, so that a run depends on no address in memory. A crash ends the tasks of a computer at
once.
"""

import asyncio
from collections.abc import Coroutine, Generator
from contextvars import Context, copy_context
from typing import Any, Final, TypeVar

from postel.aio.network import Network, current

T = TypeVar("T")
_MOST_AWAITS: Final = 100  # number of times that a coroutine may await something while it is closed


class SimulatedTask(asyncio.Task[T]):
    """Task that knows on which network it runs.

    Its hash is its number in the loop. So a set of tasks, such as that of `asyncio.wait` or of a task group,
    has the same order in every run.
    """

    def __init__(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        loop: asyncio.AbstractEventLoop,
        number: int,
        **options: Any,  # noqa: ANN401 - those of asyncio.Task
    ) -> None:
        """Make a task with a number. The loop calls this."""
        self.number = number
        self.context: Context = options.pop("context", None) or copy_context()
        name = options.pop("name", None) or f"Task-{number}"
        super().__init__(coro, loop=loop, context=self.context, name=name, **options)

    def __hash__(self) -> int:
        """Number of the task."""
        return self.number

    @property
    def network(self) -> Network | None:
        """Network of the computer that the task belongs to; None for the test's own tasks."""
        return self.context.get(current)

    def kill(self) -> None:
        """End the task at once, as a power failure would: no `asyncio.CancelledError` is thrown into it.

        Python runs the ``finally`` blocks of a coroutine that ends, up to the first ``await``; packets that
        these blocks send don't leave a crashed computer. Other tasks that wait for this one see it as
        cancelled.
        """
        self._log_destroy_pending = False
        loop, running = self.get_loop(), asyncio.current_task(self.get_loop())
        if running is not None:
            asyncio.tasks._leave_task(loop, running)  # noqa: SLF001 - named in "Extending asyncio"
        asyncio.tasks._enter_task(loop, self)  # noqa: SLF001 - named in "Extending asyncio"
        try:
            self.context.run(_close, self.get_coro())
        finally:
            asyncio.tasks._leave_task(loop, self)  # noqa: SLF001 - named in "Extending asyncio"
            if running is not None:
                asyncio.tasks._enter_task(loop, running)  # noqa: SLF001 - named in "Extending asyncio"
        asyncio.Future.cancel(self)


def _close(coroutine: Any) -> None:  # noqa: ANN401 - a coroutine, or whatever a task was made of
    """End a coroutine at once. Exceptions of its ``finally`` blocks are dropped with the computer."""
    for _ in range(_MOST_AWAITS):
        try:
            coroutine.close()
        except RuntimeError as error:
            if "ignored GeneratorExit" not in str(error):
                return
        except BaseException:  # noqa: BLE001 - dropped, because the computer has crashed
            return
        else:
            return
