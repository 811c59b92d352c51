"""Units of time. All times in Postel are ints in microseconds, on the clock that the driver uses.

Write ``200 * MILLISECOND``, never ``200_000``.
"""

from typing import Final

__all__ = ["DAY", "HOUR", "MICROSECOND", "MILLISECOND", "MINUTE", "NEVER", "SECOND"]

MICROSECOND: Final = 1
MILLISECOND: Final = 1000
SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

NEVER: Final = 1 << 60  # later than any deadline: 36,000 years
