"""Sequence numbers: arithmetic modulo 2**32 (RFC 9293, 3.4). No other module does it.

Two numbers compare by the shorter way round the circle, so they must be less than 2**31 apart:

          a                b                   a < b: b is ahead of a by 1 … 2**31 - 1
    ──────┼────────────────┼──────────►
          └─ distance(a,b) ┘

>>> hex(add(0xFFFFFFFF, 1)), lt(0xFFFFFFFF, 0), offset(0, 0xFFFFFFFF)
('0x0', True, 1)
"""

from typing import Final

MASK: Final = 0xFFFFFFFF
HALF: Final = 0x80000000


NO_SEQUENCE: Final = -1  # stands for a number that isn't known


def add(a: int, n: int) -> int:
    """Return the number ``n`` octets after ``a``, or before it where ``n`` is negative."""
    return (a + n) & MASK


def distance(a: int, b: int) -> int:
    """Return how many octets ``b`` is ahead of ``a``: 0 … 2**32 - 1."""
    return (b - a) & MASK


def offset(a: int, b: int) -> int:
    """Return how far ``a`` is ahead of ``b``, negative where it is behind: -2**31 … 2**31 - 1."""
    return ((a - b + HALF) & MASK) - HALF


def lt(a: int, b: int) -> bool:
    """Whether ``a`` is before ``b``."""
    return 0 < (b - a) & MASK < HALF


def le(a: int, b: int) -> bool:
    """Whether ``a`` is before ``b``, or equal."""
    return (b - a) & MASK < HALF


def gt(a: int, b: int) -> bool:
    """Whether ``a`` is after ``b``."""
    return 0 < (a - b) & MASK < HALF


def ge(a: int, b: int) -> bool:
    """Whether ``a`` is after ``b``, or equal."""
    return (a - b) & MASK < HALF


def latest(a: int, b: int) -> int:
    """Return the later of two numbers."""
    return a if (a - b) & MASK < HALF else b


def extended(a: int, near: int) -> int:
    """Return ``a`` as an int that doesn't wrap: of all that it may stand for, the one nearest to ``near``.

    ``near`` is such an int itself (RFC 9187, 4).

    >>> hex(extended(5, 0x1_FFFF_FFF0)), hex(extended(0xFFFFFFF0, 0x2_0000_0005))
    ('0x200000005', '0x1fffffff0')
    """
    return near + offset(a, near & MASK)
