"""Functions that replace Python's clocks and random functions in a sealed world.

They give each computer its own time and random numbers; the calling task says which computer it is. If the
caller is not a task of a sealed world but, for example, another thread, they call the original.
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
)  # tools that measure real time


def place_of_caller(depth: int = 2) -> Place | None:
    """Place of the task that calls; None outside of sealed worlds.

    It is also None for code that measures the test from inside, and for a module that is being imported,
    because modules are imported in the first of several runs only.
    """
    loop = asyncio._get_running_loop()  # noqa: SLF001 - documented for loops
    if not isinstance(loop, Loop) or not loop.is_sealed:
        return None
    caller = sys._getframe(depth)  # noqa: SLF001 - documented
    if caller.f_code.co_name == "<module>" or caller.f_globals.get("__name__", "").partition(".")[0] in _FREE:
        return None
    return loop.places.get(current.get()) or loop.places[None]


def is_importing() -> bool:
    """Whether the running task is in the middle of an import, where calls are no part of the run."""
    frame = sys._getframe(1)  # noqa: SLF001 - documented
    while frame is not None and frame.f_code.co_name != "_run_once":
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back  # type: ignore[assignment]  # None at the end
    return False


def timed(original: Function, read: Callable[[Place], object]) -> Function:
    """Make a replacement of a clock function: ``read`` gives the time of the calling task's computer."""

    def clock() -> object:
        place = place_of_caller()
        return original() if place is None else read(place)

    return clock


def by_clock(
    original: Function, wall: Callable[[Place], object], monotonic: Callable[[Place], object]
) -> Function:
    """Make a replacement of ``time.clock_gettime`` or a similar function."""

    def clock_gettime(which: int, /) -> object:
        place = place_of_caller()
        if place is None:
            return original(which)
        return wall(place) if which == 0 else monotonic(place)  # CLOCK_REALTIME is 0

    return clock_gettime


def broken_down(original: Function, position: int, wrap: Callable[[float], Any]) -> Function:
    """Make a replacement of ``time.localtime`` or a similar function.

    If the call has no argument at ``position``, the present time of the computer is passed there, converted
    by ``wrap``.
    """

    def convert(*args: Any) -> Any:  # noqa: ANN401 - as the original's
        place = place_of_caller()
        if place is None or (len(args) > position and args[position] is not None):
            return original(*args)
        return original(*args[:position], wrap(place.wall()))

    return convert


def drawn(original: Function, name: str) -> Function:
    """Make a replacement of a function of the module `random`."""

    def draw(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the original's
        place = place_of_caller()
        return original(*args, **options) if place is None else getattr(place.random, name)(*args, **options)

    return draw


def octets(original: Function) -> Function:
    """Make a replacement of ``os.urandom`` or a similar function that returns octets."""

    def urandom(size: int, /, *flags: int) -> bytes:
        place = place_of_caller()
        return original(size, *flags) if place is None else place.random.randbytes(size)

    return urandom


def seeded(original: Function) -> Function:
    """Make a replacement of ``random.Random.seed``. Without a seed, the caller's `Place` gives one."""

    def seed(self: Any, a: Any = None, version: int = 2) -> None:  # noqa: ANN401 - as the original's
        if a is None and (place := place_of_caller()) is not None and self is not place.random:
            a = place.random.getrandbits(128)
        original(self, a, version)

    return seed
