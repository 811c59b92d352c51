"""Lines that say for what each task waits and where in the code, for the errors that end a simulation."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from types import CodeType, FrameType
from typing import Any, Final

from postel.sim import program
from postel.sim.wire import Wire

_MOST_FRAMES: Final = 8
_PROGRAM: Final = program.__file__  # file of `Program`, left out: it is in every line
_MOST_TASKS: Final = 200

Named = Callable[["asyncio.Task[Any]"], str]  # returns the name of a task's computer; "" for the test's own


def of_no_computer(task: "asyncio.Task[Any]") -> str:
    """Return "": a loop without computers has no names for them."""
    del task
    return ""


def tasks(found: Sequence["asyncio.Task[Any]"], computer_of: Named = of_no_computer) -> list[str]:
    """Line of text for each of up to 200 tasks, and then one with the number of the others."""
    lines = [task(each, computer_of) for each in found[:_MOST_TASKS]]
    if len(found) > _MOST_TASKS:
        lines.append(f"and {len(found) - _MOST_TASKS} further tasks")
    return lines


def task(of: "asyncio.Task[Any]", computer_of: Named = of_no_computer) -> str:
    """Line of text for a task, from its function to the code line where it waits.

    An example is ``server: Task-3 in serve at app.py:12, in Server.serve at server.py:70``.
    """
    computer = computer_of(of)
    waiter = getattr(of, "_fut_waiter", None)
    awaited = f", for {waiter.get_name()}" if isinstance(waiter, asyncio.Task) else ""
    return f"{computer + ': ' if computer else ''}{of.get_name()} {way(of.get_coro())}{awaited}"


def connections(wires: Iterable[Wire]) -> list[str]:
    """Line of text for each connection: its addresses and its state."""
    return [
        f"{local} to {remote}: {state}" for wire in wires for local, remote, state in wire.host.connections()
    ]


def way(coroutine: object) -> str:
    """Code lines where a coroutine waits, from its own to that of the innermost one that it awaits."""
    steps: list[str] = []
    while coroutine is not None:
        frame = _first(coroutine, "cr_frame", "gi_frame", "ag_frame")
        code: CodeType | None = _first(coroutine, "cr_code", "gi_code", "ag_code")
        if code is None:
            break
        if code.co_filename != _PROGRAM:
            steps.append(_step(code, frame))
        coroutine = _first(coroutine, "cr_await", "gi_yieldfrom", "ag_await")
    if len(steps) > _MOST_FRAMES:
        steps[_MOST_FRAMES // 2 : -_MOST_FRAMES // 2] = ["…"]
    return ", ".join(steps)


def _step(code: CodeType, frame: FrameType | None) -> str:
    line = f":{frame.f_lineno}" if frame is not None else ""
    return f"in {code.co_qualname} at {code.co_filename}{line}"


def _first(thing: object, *names: str) -> Any:  # noqa: ANN401 - an attribute of any kind
    return next((found for name in names if (found := getattr(thing, name, None)) is not None), None)
