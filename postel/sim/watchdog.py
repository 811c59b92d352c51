"""Ends a run that takes too long in real time, and names what the program does meanwhile: for coroutines that never yield."""

import asyncio
import ctypes
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from time import monotonic
from types import FrameType, TracebackType
from typing import Any, Final, Self

from postel.errors import BusyLoop, TimeLimitReached
from postel.sim import waiting

_LOOK: Final = 1.0  # seconds between two looks
_STUCK: Final = 10.0  # seconds in which the loop made no turn
_DEBUGGERS: Final = ("pdb.py", "bdb.py", "pydevd.py")
_SIGNAL: Final[Any] = getattr(signal, "SIGVTALRM", None)  # of all signals the one that test runners leave alone


class Interrupted(KeyboardInterrupt):
    """Raised in the thread of the loop, wherever that is, by the watchdog."""


class Watchdog:
    """Watches a loop while the block runs. After ``limit`` seconds of real time, or where the loop makes no turn for 10 seconds (or
    ``limit``, if that is less), it raises `Interrupted` in the loop's thread; ``error`` is the reason then.

    A thread of its own waits for that. It holds no lock, and a debugger stops its clock.
    """

    def __init__(self, loop: Any, limit: float) -> None:  # noqa: ANN401 - a `postel.sim.loop.Loop`
        self.error: BusyLoop | TimeLimitReached | None = None
        self._loop = loop
        self._limit = limit
        self._stuck = min(_STUCK, limit)
        self._ended = threading.Event()
        self._thread = threading.get_ident()
        self._uses_signal = _SIGNAL is not None and threading.current_thread() is threading.main_thread()
        self._before: Any = None
        self._watcher = threading.Thread(target=self._watch, name="postel's watchdog", daemon=True)

    def __enter__(self) -> Self:
        if self._uses_signal:
            self._before = signal.signal(_SIGNAL, self._interrupt)
        self._watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._ended.set()
        self._watcher.join()
        if self._uses_signal:
            signal.signal(_SIGNAL, self._before)

    def _watch(self) -> None:
        began = moved = monotonic()
        turns, look, looks_late = -1, min(_LOOK, self._stuck / 2), 0
        while not self._ended.wait(look):
            now, has_turned = monotonic(), self._loop.turns != turns
            if has_turned:
                turns, moved = self._loop.turns, now
                if now - began < self._limit:
                    continue  # all is well: nothing looks into the frames of a thread that runs
            frame = sys._current_frames().get(self._thread)  # noqa: SLF001 - documented
            if frame is None or _is_debugged(frame):
                began = moved = now
            looks_late += now - began >= self._limit
            if now - moved >= self._stuck or (looks_late > 1 and moved < now):
                self._end(BusyLoop, f"a task has not yielded for {now - moved:.1f} s of real time:", _stack(self._loop, frame))
            elif looks_late > 1:  # and the loop has turned since the look before
                what = f"the run's limit of {self._limit:g} s of real time is reached; what hasn't ended:"
                self._end(TimeLimitReached, what, self._loop.waiting())

    def _end(self, kind: Callable[[str], BusyLoop | TimeLimitReached], what: str, lines: list[str]) -> None:
        self.error = self.error or kind("\n  ".join([what, *lines]))
        if self._uses_signal:
            signal.pthread_kill(self._thread, _SIGNAL)
        else:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), ctypes.py_object(Interrupted))

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if not self._ended.is_set():
            raise Interrupted


def _is_debugged(frame: FrameType) -> bool:
    return any(above.f_code.co_filename.endswith(_DEBUGGERS) for above, _ in traceback.walk_stack(frame))


def _stack(loop: Any, frame: FrameType | None) -> list[str]:  # noqa: ANN401
    """The task that runs, and the calls of it down to where it is."""
    running = asyncio.current_task(loop)
    lines = [waiting.task(running, loop.computer_of)] if running is not None else []
    calls = [above for above, _ in traceback.walk_stack(frame)]
    own = next(
        (at for at, above in enumerate(calls) if above.f_code.co_name == "_run" and "asyncio" in above.f_code.co_filename), len(calls)
    )
    lines += [f"  {above.f_code.co_qualname} at {above.f_code.co_filename}:{above.f_lineno}" for above in calls[:own]]
    return lines
