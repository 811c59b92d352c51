"""Numbers as arguments."""

import math
from argparse import ArgumentTypeError
from typing import Final

_MOST: Final = 1_000_000
_LONGEST: Final = 86_400.0


def natural(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MOST)) and 1 <= int(text) <= _MOST):
        raise ArgumentTypeError(f"number is {text!r}; allowed: 1 to {_MOST}")
    return int(text)


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= _LONGEST:
        raise ArgumentTypeError(f"seconds are {text!r}; allowed: more than 0, to {_LONGEST:g}")
    return value
