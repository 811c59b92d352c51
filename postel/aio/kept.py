"""Set that keeps the order in which its members came.

A network uses it for its connections. Whatever it does with all of them, it does in the same order in every
run, which a set of Python doesn't promise.
"""

from typing import TypeVar

T = TypeVar("T")


class Kept(dict[T, None]):
    """Set of members in the order in which they were added."""

    def add(self, member: T) -> None:
        """Add ``member``, if it isn't in the set."""
        self[member] = None

    def discard(self, member: T) -> None:
        """Remove ``member``, if it is in the set."""
        self.pop(member, None)
