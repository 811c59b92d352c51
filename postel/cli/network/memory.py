"""Memory that is given back to the system after a peak."""

import asyncio
import ctypes
import gc
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

_EVERY: Final = 5.0  # seconds
_MUCH: Final = 16 << 20  # octets: less isn't worth the search for it


class Load(Protocol):
    """`postel.cli.http.limits.Counters`, or something like it: connections now, and at most since the field was set."""

    open: int
    recent: int


async def give_back(load: Load) -> None:
    """Look now and then whether a peak is over, and give back what it took. For ever.

    glibc keeps freed memory for the process: a peak of a thousand connections left hundreds of megabytes.
    """
    trim, least = trimmer(), resident()
    while trim is not None:
        await asyncio.sleep(_EVERY)
        if load.open <= load.recent // 4 and resident() - least >= _MUCH:
            gc.collect()
            trim(0)
            load.recent, least = load.open, min(least, resident())


def resident() -> int:
    """Octets of memory that this process has; 0 where the system doesn't say."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return 0


def trimmer() -> Callable[[int], object] | None:
    """The C library's ``malloc_trim``; None where it has none."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
