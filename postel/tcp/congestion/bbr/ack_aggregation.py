"""How much more than expected is acknowledged by ACKs that arrive together (draft-ietf-ccwg-bbr, 5.5)."""

from typing import Final

from postel.tcp.congestion.bbr.max_filter import MaxFilter
from postel.times import SECOND

EXTRA_ACKED_FILTER_LEN: Final = 10  # rounds (BBR-filter)


class AckAggregation:
    """``extra_acked`` is the most octets lately acknowledged beyond what ``bw`` delivers in the time since
    ``interval_start``.
    """

    __slots__ = ("_delivered", "_filter", "extra_acked", "interval_start")

    def __init__(self) -> None:
        self.extra_acked: int = 0
        self.interval_start: int = 0
        self._delivered = 0  # extra_acked_delivered
        self._filter = MaxFilter()

    def begin(self, now: int) -> None:
        """Count from ``now`` on what a steady path would deliver."""
        self.interval_start = now

    def update(
        self, bw: int, newly_acked: int, window: int, round_count: int, now: int, *, full_bw_reached: bool
    ) -> None:
        """UpdateACKAggregation."""
        expected_delivered = bw * (now - self.interval_start) // SECOND
        if self._delivered <= expected_delivered:
            self._delivered = 0
            self.interval_start = now
            expected_delivered = 0
        self._delivered += newly_acked
        extra = min(self._delivered - expected_delivered, window)
        length = EXTRA_ACKED_FILTER_LEN if full_bw_reached else 1
        self.extra_acked = self._filter.update(extra, round_count, length)
