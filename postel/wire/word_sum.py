"""The sum of a message's 16-bit words, by the loop that C would have.

Compiled, it takes a third of what one large integer takes (`postel.wire.checksum`); interpreted, thirty times
as much.
"""

from types import FunctionType

from postel.compiler import i64


def total(octets: bytes) -> int:
    """The last word is filled up with a zero octet."""
    high: i64 = 0
    low: i64 = 0
    at: i64 = 0
    size: i64 = len(octets)
    while (
        at + 3 < size
    ):  # the last first: where that is, the others are too, and the C compiler asks but once
        low += octets[at + 3]
        high += octets[at + 2]
        low += octets[at + 1]
        high += octets[at]
        at += 4
    while at < size:
        if at & 1:
            low += octets[at]
        else:
            high += octets[at]
        at += 1
    return (high << 8) + low


def is_fast() -> bool:
    """Whether this module is compiled."""
    return not isinstance(total, FunctionType)
