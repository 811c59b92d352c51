"""Set that keeps the order in which its members came.

A network keeps its connections in such a set. So it aborts all connections, for example, in the same order in
every run, which a set of Python doesn't promise.
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
