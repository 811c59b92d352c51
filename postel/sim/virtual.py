"""What Python's clocks and random functions are in a sealed world, by module and name: those of the computer
whose task calls.

Each takes the place of one function. Where no task of a sealed world runs, in other threads for one, it calls
the original.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Any, Final

from postel.aio.network import current
from postel.sim.loop import Loop
from postel.sim.place import Place

Function = Callable[..., Any]
_FREE: Final = frozenset(
    {"_pytest", "pytest", "pluggy", "hypothesis", "xdist", "execnet", "coverage"}
)  # which measure real time


def place_of_caller(depth: int = 2) -> Place | None:
    """The place whose task calls; None outside of sealed worlds, for what measures the test from inside, and
    for a module that is being imported, which happens in the first of several runs alone."""
    loop = asyncio._get_running_loop()  # noqa: SLF001 - documented for loops
    if not isinstance(loop, Loop) or not loop.is_sealed:
        return None
    caller = sys._getframe(depth)  # noqa: SLF001
    if caller.f_code.co_name == "<module>" or caller.f_globals.get("__name__", "").partition(".")[0] in _FREE:
        return None
    return loop.places.get(current.get()) or loop.places[None]


def is_importing() -> bool:
    """Whether the running task is in the middle of an import, whose calls are no part of the run."""
    frame = sys._getframe(1)  # noqa: SLF001
    while frame is not None and frame.f_code.co_name != "_run_once":
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def timed(original: Function, read: Callable[[Place], object]) -> Function:
    """A clock."""

    def clock() -> object:
        place = place_of_caller()
        return original() if place is None else read(place)

    return clock


def by_clock(
    original: Function, wall: Callable[[Place], object], monotonic: Callable[[Place], object]
) -> Function:
    """``time.clock_gettime`` and its like."""

    def clock_gettime(which: int, /) -> object:
        place = place_of_caller()
        if place is None:
            return original(which)
        return wall(place) if which == 0 else monotonic(place)  # 0: CLOCK_REALTIME

    return clock_gettime


def broken_down(original: Function, position: int, wrap: Callable[[float], Any]) -> Function:
    """``time.localtime`` and its like: the argument at ``position`` is by default the time now, as ``wrap``
    makes it.
    """

    def convert(*args: Any) -> Any:  # noqa: ANN401 - as the original's
        place = place_of_caller()
        if place is None or (len(args) > position and args[position] is not None):
            return original(*args)
        return original(*args[:position], wrap(place.wall()))

    return convert


def drawn(original: Function, name: str) -> Function:
    """A function of the module `random`."""

    def draw(*args: Any, **options: Any) -> Any:  # noqa: ANN401
        place = place_of_caller()
        return original(*args, **options) if place is None else getattr(place.random, name)(*args, **options)

    return draw


def octets(original: Function) -> Function:
    """``os.urandom`` and its like: so many octets."""

    def urandom(size: int, /, *flags: int) -> bytes:
        place = place_of_caller()
        return original(size, *flags) if place is None else place.random.randbytes(size)

    return urandom


def seeded(original: Function) -> Function:
    """``random.Random.seed``: a generator that is given no seed gets one of its place."""

    def seed(self: Any, a: Any = None, version: int = 2) -> None:  # noqa: ANN401
        if a is None and (place := place_of_caller()) is not None and self is not place.random:
            a = place.random.getrandbits(128)
        original(self, a, version)

    return seed
