"""Thread that ends a run which takes too long in real time, and reports where the program is.

It is needed for coroutines that never yield, because the loop can't end those.
"""

import asyncio
import ctypes
import signal
import sys
import threading
import traceback
from time import monotonic
from types import FrameType, TracebackType
from typing import Any, Final, Self

from postel.errors import BusyLoop, TimeLimitReached
from postel.sim import waiting

_LOOK: Final = 1.0  # seconds between two looks at the loop
_STUCK: Final = 10.0  # seconds without a turn of the loop, after which it is interrupted
_DEBUGGERS: Final = ("pdb.py", "bdb.py", "pydevd.py")
_SIGNAL: Final[Any] = getattr(
    signal, "SIGVTALRM", None
)  # no other suitable signal is left alone by test runners


class Interrupted(KeyboardInterrupt):
    """Exception that the watchdog raises in the thread of the loop, at whatever line that thread runs."""


class Watchdog:
    """Watch over a loop while a ``with`` block runs.

    The watchdog raises `Interrupted` in the loop's thread after ``limit`` seconds of real time, or if the
    loop makes no turn for 10 seconds (or ``limit``, if that is less). ``error`` is then the reason. A thread
    of its own measures the time; while a debugger has stopped the program, the time doesn't count. Lines
    about tasks and connections are made in the loop's thread, because tasks change while that thread runs.
    """

    def __init__(self, loop: Any, limit: float) -> None:  # noqa: ANN401 - a `postel.sim.loop.Loop`
        """Prepare to watch over ``loop`` for ``limit`` seconds."""
        self.error: BusyLoop | TimeLimitReached | None = None
        self._loop = loop
        self._limit = limit
        self._stuck = min(_STUCK, limit)
        self._began = self._moved = monotonic()
        self._turns = -1  # number of the loop's turns at the last look
        self._has_turned = False  # whether the loop made a turn between the last two looks
        self._looks_late = 0
        self._is_asked = False  # whether the loop was told to end at its next turn
        self._ended = threading.Event()
        self._thread = threading.get_ident()
        self._uses_signal = _SIGNAL is not None and threading.current_thread() is threading.main_thread()
        self._before: Any = None
        self._watcher = threading.Thread(target=self._watch, name="postel's watchdog", daemon=True)

    def __enter__(self) -> Self:
        """Begin to watch."""
        if self._uses_signal:
            self._before = signal.signal(_SIGNAL, self._signalled)
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Stop watching."""
        self._ended.set()
        self._watcher.join()
        if self._uses_signal:
            signal.signal(_SIGNAL, self._before)

    def _watch(self) -> None:
        while not self._ended.wait(min(_LOOK, self._stuck / 2)):
            turns = self._loop.turns
            self._has_turned, self._turns = turns != self._turns, turns
            if self._has_turned:
                self._moved = monotonic()
                if self._moved - self._began < self._limit:
                    continue
            if self._uses_signal:
                signal.pthread_kill(self._thread, _SIGNAL)
            elif self._is_stuck(sys._current_frames().get(self._thread)):  # noqa: SLF001 - documented
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self._thread), ctypes.py_object(Interrupted)
                )

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        if not self._ended.is_set() and self._is_stuck(frame):
            raise Interrupted

    def _is_stuck(self, frame: FrameType | None) -> bool:
        """Whether to interrupt the loop's thread now. ``frame`` is the innermost frame of that thread."""
        now = monotonic()
        if frame is None or _is_debugged(frame):
            self._began = self._moved = now
        self._looks_late += now - self._began >= self._limit
        is_late = self._looks_late > 1 and not self._is_asked
        if now - self._moved >= self._stuck or (is_late and not self._has_turned):
            what = f"a task has not yielded for {now - self._moved:.1f} s of real time:"
            self.error = self.error or BusyLoop("\n  ".join([what, *_stack(self._loop, frame)]))
            return True
        if is_late:
            self._is_asked = True
            self._loop.call_soon_threadsafe(self._limit_reached)
        return False

    def _limit_reached(self) -> None:
        if not self._ended.is_set():
            what = f"the run's limit of {self._limit:g} s of real time is reached; what hasn't ended:"
            self.error = self.error or TimeLimitReached("\n  ".join([what, *self._loop.waiting()]))
            raise Interrupted


def _is_debugged(frame: FrameType) -> bool:
    return any(above.f_code.co_filename.endswith(_DEBUGGERS) for above, _ in traceback.walk_stack(frame))


def _stack(loop: Any, frame: FrameType | None) -> list[str]:  # noqa: ANN401 - a `postel.sim.loop.Loop`
    """Line for the running task, then one for each call in its stack, the innermost call first."""
    running = asyncio.current_task(loop)
    lines = [waiting.task(running, loop.computer_of)] if running is not None else []
    calls = [above for above, _ in traceback.walk_stack(frame)]
    own = next(
        (
            at
            for at, above in enumerate(calls)
            if above.f_code.co_name == "_run" and "asyncio" in above.f_code.co_filename
        ),
        len(calls),
    )
    lines += [
        f"  {above.f_code.co_qualname} at {above.f_code.co_filename}:{above.f_lineno}"
        for above in calls[:own]
    ]
    return lines
