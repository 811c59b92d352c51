"""Whether the delivery rate has stopped growing, so that the path is full (draft-ietf-ccwg-bbr, 5.3.1)."""

from typing import Final

FULL_BW_ROUNDS: Final = 3


class Plateau:
    """``bw``, ``count`` and ``is_reached`` are the draft's full_bw, full_bw_count and full_bw_now."""

    __slots__ = ("bw", "count", "is_reached")

    def __init__(self) -> None:
        self.bw: int = 0
        self.count: int = 0  # rounds without growth
        self.is_reached: bool = False

    def reset(self, bw: int = 0) -> None:
        """ResetFullBW: look for growth beyond ``bw`` octets a second."""
        self.bw = bw
        self.count = 0
        self.is_reached = False

    def update(self, rate: int) -> bool:
        """One more round is over, with ``rate`` octets a second. Whether it is the third in a row that grew
        by less than a quarter.
        """
        if 4 * rate >= 5 * self.bw:
            self.reset(rate)
            return False
        self.count += 1
        self.is_reached = self.count >= FULL_BW_ROUNDS
        return self.is_reached

    def reach(self) -> None:
        """Losses say that the path is full."""
        self.is_reached = True
