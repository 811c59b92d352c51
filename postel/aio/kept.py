"""A set whose order is that in which its members came: what a network does with all of its connections it
does in the same order in every run, wherever they lie in memory."""

from typing import TypeVar

T = TypeVar("T")


class Kept(dict[T, None]):
    """Members are kept in their order, each once."""

    def add(self, member: T) -> None:
        """Keep ``member``."""
        self[member] = None

    def discard(self, member: T) -> None:
        """Keep it no longer, where it is kept."""
        self.pop(member, None)
