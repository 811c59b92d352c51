"""Random numbers for controllers: a small generator of the core's own, since the core may not ask the system
for randomness.

It is Marsaglia's xorshift with 32 bits of state ("Xorshift RNGs", 2003): good enough to keep flows apart, and
no secret.
"""

from typing import Final

_MASK: Final = 0xFFFFFFFF
_NEVER_ZERO: Final = 0x9E3779B9  # a state of 0 would stay 0


class Xorshift:
    """A sequence of numbers that ``seed``, any int, decides: the same everywhere and for ever."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        state = (seed ^ seed >> 32) & _MASK
        for _ in range(2):  # spread seeds that differ in a few bits: the finalizer of MurmurHash3
            state = (state ^ state >> 16) * 0x85EBCA6B & _MASK
            state = (state ^ state >> 13) * 0xC2B2AE35 & _MASK
            state ^= state >> 16
        self._state = state or _NEVER_ZERO

    def below(self, limit: int) -> int:
        """The next number, from 0 to ``limit`` - 1; ``limit`` is 1 to 2**32."""
        state = self._state
        state ^= state << 13 & _MASK
        state ^= state >> 17
        state ^= state << 5 & _MASK
        self._state = state
        return state * limit >> 32
