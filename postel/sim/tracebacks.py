"""Tracebacks of errors that end a run, made of the frames of the program alone.

The loop finds a limit or a deadlock while every task waits. The traceback of such an error has frames of
asyncio and Postel, which say nothing about the program. So it is replaced by frames that show where the test
waits.
"""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final

_POSTEL: Final = Path(__file__).parents[1]
_INTERNAL: Final = tuple(map(str, (Path(asyncio.__file__).parent, _POSTEL / "aio", _POSTEL / "sim")))


def of_program(
    traceback: TracebackType | None,
    main: Any,  # noqa: ANN401 - a coroutine
) -> TracebackType | None:
    """Frames of the program in ``traceback``; if there are none, the frames in which ``main`` waits."""
    frames = []
    while traceback is not None:
        frames.append((traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno))
        traceback = traceback.tb_next
    return _joined(frames) or _joined(_waiting(main))


def _waiting(coroutine: Any) -> Iterable[tuple[FrameType, int, int]]:  # noqa: ANN401 - a coroutine
    """Frames of a coroutine that waits, down to the innermost coroutine that it awaits."""
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        yield frame, frame.f_lasti, frame.f_lineno
        coroutine = coroutine.cr_await


def _joined(frames: Iterable[tuple[FrameType, int, int]]) -> TracebackType | None:
    """Traceback of the program's own frames among ``frames``, the outermost first; None if there are none."""
    found: TracebackType | None = None
    for frame, instruction, line in reversed(list(frames)):
        if not frame.f_code.co_filename.startswith(_INTERNAL):
            found = TracebackType(found, frame, instruction, line)
    return found
