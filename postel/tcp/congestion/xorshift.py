"""Random numbers for congestion controllers, from a generator of the core's own.

The core may not ask the system for randomness, so that simulations repeat. The generator is Marsaglia's
xorshift with 32 bits of state ("Xorshift RNGs", 2003). It is good enough to keep flows apart, and unfit for
secrets.
"""

from typing import Final

_MASK: Final = 0xFFFFFFFF
_NEVER_ZERO: Final = 0x9E3779B9  # used in place of the state 0, which would stay 0


class Xorshift:
    """Sequence of random numbers that ``seed`` decides: the same on each platform and in each release.

    >>> from postel.congestion import Xorshift
    >>> first, second = Xorshift(1), Xorshift(1)
    >>> [first.below(6) for _ in range(3)] == [second.below(6) for _ in range(3)]
    True
    """

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        """Create a generator; ``seed`` is any int."""
        state = (seed ^ seed >> 32) & _MASK
        for _ in range(2):  # the finalizer of MurmurHash3 spreads seeds that differ in a few bits
            state = (state ^ state >> 16) * 0x85EBCA6B & _MASK
            state = (state ^ state >> 13) * 0xC2B2AE35 & _MASK
            state ^= state >> 16
        self._state = state or _NEVER_ZERO

    def below(self, limit: int) -> int:
        """Return the next number, from 0 to ``limit`` - 1; ``limit`` is 1 to 2**32."""
        state = self._state
        state ^= state << 13 & _MASK
        state ^= state >> 17
        state ^= state << 5 & _MASK
        self._state = state
        return state * limit >> 32
