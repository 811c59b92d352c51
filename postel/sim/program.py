"""Function that a computer runs, and its result, over the computer's crashes and restarts."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar, cast

from postel.errors import CallError, KindError

T = TypeVar("T")


class Program(Generic[T]):
    """Function that a computer runs, as `Computer.run` returns it. Await it for the function's result.

    A crash of the computer ends the function. A restart calls the function anew with the same arguments,
    unless it had returned. `Computer.run` says what becomes of an exception. ``name`` is the function's name,
    and ``calls`` counts how often the function was called.
    """

    def __init__(
        self, function: Callable[..., Coroutine[Any, Any, T]], args: tuple[Any, ...], options: dict[str, Any]
    ) -> None:
        """Keep the function. Raises KindError for an object that can't be called, such as a coroutine."""
        given: object = function
        if asyncio.iscoroutine(given):
            given.close()
        if not callable(given):
            raise KindError("function", function, "a coroutine function: `async def`")
        self.name: str = getattr(function, "__name__", repr(function))
        self.calls: int = 0
        self._function = function
        self._args = args
        self._options = options
        self._ended = False
        self._result: T | None = None
        self._error: BaseException | None = None
        self._waiters: dict[asyncio.Future[None], None] = {}

    def __repr__(self) -> str:
        """Name and state of the program."""
        state = (
            "running"
            if not self._ended
            else "returned"
            if self._error is None
            else f"raised {type(self._error).__name__}"
        )
        return f"<program {self.name}, {state}>"

    def __await__(self) -> Generator[Any, None, T]:
        """Wait for the result, or raise the exception of the function."""
        __tracebackhide__ = True
        if not self._ended:
            yield from self._wait().__await__()
        return self.result()

    async def _wait(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = None
        try:
            await waiter
        finally:
            del self._waiters[waiter]

    @property
    def is_awaited(self) -> bool:
        """Whether a task waits for the result."""
        return bool(self._waiters)

    def done(self) -> bool:
        """Whether the function has returned or raised."""
        return self._ended

    def result(self) -> T:
        """Result of the function. Raises what the function raised, and CallError while it runs."""
        __tracebackhide__ = True
        if not self._ended:
            raise CallError(f"{self.name} is running; allowed: `await` for its result")
        if self._error is not None:
            raise self._error
        return cast(T, self._result)

    async def call(self) -> T:
        """Call the function once. The computer does this."""
        __tracebackhide__ = True
        self.calls += 1
        coroutine = self._function(*self._args, **self._options)
        if not asyncio.iscoroutine(coroutine):
            raise KindError(
                "function", coroutine, f"a coroutine function; {self.name}() returned no coroutine"
            )
        try:
            return await coroutine
        except SystemExit as error:
            raise CallError(
                f"{self.name} called sys.exit({error.code!r}); allowed: to return from the function"
            ) from error

    def end(self, result: T | None, error: BaseException | None) -> None:
        """Keep the result or the error of the function. The computer calls this."""
        self._ended = True
        self._result = result
        self._error = error
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
