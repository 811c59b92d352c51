"""Durations, bandwidths and sizes, as ints or as text with a unit.

>>> duration("10ms"), duration("1.5h"), duration(250), bandwidth("10Mbit"), size("64KiB")
(10000, 5400000000, 250, 10000000, 65536)
>>> queue_limit(64), queue_limit("64KiB")
(64, '65536B')
>>> duration_text(3_260_000)
'3.26s'
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from postel.errors import ArgumentError
from postel.times import DAY, HOUR, MICROSECOND, MILLISECOND, MINUTE, NEVER, SECOND

Duration = int | str  # microseconds, or text such as "10ms"
Bandwidth = int | str  # bits a second, or text such as "10Mbit"
Size = int | str  # octets, or text such as "64KiB"
QueueLimit = int | str  # packets, or octets as text such as "64KiB"

_DURATIONS: Final = {
    "us": MICROSECOND,
    "µs": MICROSECOND,
    "ms": MILLISECOND,
    "s": SECOND,
    "m": MINUTE,
    "min": MINUTE,
    "h": HOUR,
    "d": DAY,
}
_SHOWN: Final = (
    ("d", 1),
    ("h", 1),
    ("m", 1),
    ("s", 3),
    ("ms", 3),
)  # units with their most decimals: the first one that can show the duration exactly is used
_BANDWIDTHS: Final = {"bit": 1, "kbit": 10**3, "Mbit": 10**6, "Gbit": 10**9, "Tbit": 10**12}
_SIZES: Final = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
}
_QUEUES: Final = "packets as an int, or octets as text such as '64KiB'"
_QUANTITY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-zµ]+)(?:/s)?")


def duration(value: Duration, name: str = "duration") -> int:
    """Microseconds of ``value``: an int, or text with a unit: "250us", "10ms", "2s", "1m", "1.5h", "2d".

    Raises ArgumentError, with ``name`` in it: for a float, which has no unit, for a negative number, and for
    one that is not a whole number of microseconds.
    """
    return _read(
        value,
        name,
        _DURATIONS,
        NEVER,
        "microseconds as an int, or text such as '10ms', '2s' or '1.5h'",
        per_second=False,
    )


def bandwidth(value: Bandwidth, name: str = "bandwidth") -> int:
    """Bits a second of ``value``: an int, or text with a unit: "10Mbit", "1Gbit", "64kbit/s".

    Raises ArgumentError.
    """
    return _read(
        value,
        name,
        _BANDWIDTHS,
        NEVER,
        "bits a second as an int, or text such as '10Mbit' or '1Gbit'",
        per_second=True,
    )


def size(value: Size, name: str = "size") -> int:
    """Octets of ``value``: an int, or text with a unit: "64KiB" (65,536), "64kB" (64,000), "1500B".

    Raises ArgumentError.
    """
    return _read(
        value, name, _SIZES, NEVER, "octets as an int, or text such as '64KiB' or '1500B'", per_second=False
    )


def queue_limit(value: QueueLimit, name: str = "queue") -> QueueLimit:
    """Limit of a queue: packets as an int, or octets as text with a unit.

    The text is returned in octets: "64KiB" becomes "65536B", and "0B" becomes 0. Raises ArgumentError.
    """
    if isinstance(value, str):
        octets = _read(value, name, _SIZES, NEVER, _QUEUES, per_second=False)
        return f"{octets}B" if octets else 0
    return _read(value, name, {}, NEVER, _QUEUES, per_second=False)


def duration_text(microseconds: int) -> str:
    """Text that `duration` reads as the same duration: "3.26s", "10ms", "1.5h"."""
    for unit, decimals in _SHOWN:
        value = Decimal(microseconds) / _DURATIONS[unit]
        if microseconds >= _DURATIONS[unit] and value == round(value, decimals):
            return f"{value.normalize():f}{unit}"
    return f"{microseconds}us" if microseconds else "0s"


class _Measured:
    """Descriptor of a setting. Each assigned value is read by a function such as `duration`.

    The class has no ``__get__``, so that reading the setting is as fast as reading any attribute.
    """

    def __init__(self, read: Callable[[Any, str], int]) -> None:
        self._read = read

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __set__(self, owner: object, value: Any) -> None:  # noqa: ANN401 - whatever a caller may try
        settings = vars(owner)
        settings[self._name] = self._read(value, self._name)
        settings["is_judged"] = False  # tells a path to compute `is_plain` and `is_steady` again


def measured(read: Callable[[Any, str], int]) -> Any:  # noqa: ANN401 - a descriptor stands for the value
    """Descriptor of an int. ``read`` (`duration`, `bandwidth` or `size`) reads each assigned value."""
    return _Measured(read)


def _read(
    value: object, name: str, units: dict[str, int], most: int, allowed: str, *, per_second: bool
) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
        return value
    found = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if found is None or found[2] not in units or (found[0].endswith("/s") and not per_second):
        raise ArgumentError(name, value, allowed)
    exact = Decimal(found[1]) * units[found[2]]
    if exact != int(exact) or exact > most:
        raise ArgumentError(name, value, allowed + "; a whole number of the smallest unit")
    return int(exact)
