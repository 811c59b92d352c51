"""Numbers as arguments of commands."""

import math
from argparse import ArgumentTypeError
from typing import Final

_MOST: Final = 1_000_000
_LONGEST: Final = 86_400.0
_FACTORS: Final = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def natural(text: str) -> int:
    """Read a whole number, 1 to 1,000,000."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MOST)) and 1 <= int(text) <= _MOST):
        raise ArgumentTypeError(f"number is {text!r}; allowed: 1 to {_MOST}")
    return int(text)


def seconds(text: str) -> float:
    """Read a number of seconds, more than 0, up to a day."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= _LONGEST:
        raise ArgumentTypeError(f"seconds are {text!r}; allowed: more than 0, to {_LONGEST:g}")
    return value


def octets(text: str) -> int:
    """Read a number of octets, which may end with K, M or G (1,024 octets and its powers)."""
    factor = _FACTORS.get(text[-1:].upper(), 1)
    digits = text if factor == 1 else text[:-1]
    if not (digits.isascii() and digits.isdigit() and len(digits) <= len(str(_MOST)) + 6 and int(digits) > 0):
        raise ArgumentTypeError(f"number of octets is {text!r}; allowed: 1 or more, such as 500K, 100M or 2G")
    return int(digits) * factor
