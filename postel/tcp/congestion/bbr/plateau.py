"""Detection of a full path: the delivery rate has stopped growing (draft-ietf-ccwg-bbr, 5.3.1)."""

from typing import Final

FULL_BW_ROUNDS: Final = 3  # rounds without growth of the rate after which the path is full


class Plateau:
    """State of the search for a rate that doesn't grow any more.

    ``bw``, ``count`` and ``is_reached`` are the draft's full_bw, full_bw_count and full_bw_now.
    """

    __slots__ = ("bw", "count", "is_reached")

    def __init__(self) -> None:
        """Begin to look for growth beyond 0."""
        self.bw: int = 0
        self.count: int = 0  # rounds without growth
        self.is_reached: bool = False

    def reset(self, bw: int = 0) -> None:
        """Look for growth beyond ``bw`` octets a second from now on (ResetFullBW)."""
        self.bw = bw
        self.count = 0
        self.is_reached = False

    def update(self, rate: int) -> bool:
        """Judge the ``rate`` of a round in octets a second, and return whether the path is full.

        The path is full after three rounds in a row in which the rate didn't grow by a quarter or more.
        """
        if 4 * rate >= 5 * self.bw:
            self.reset(rate)
            return False
        self.count += 1
        self.is_reached = self.count >= FULL_BW_ROUNDS
        return self.is_reached

    def reach(self) -> None:
        """Note that the path is full, because losses say so."""
        self.is_reached = True
