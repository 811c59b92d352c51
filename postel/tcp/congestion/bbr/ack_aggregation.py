"""ACK aggregation: how much more than expected is acknowledged by ACKs in bursts (draft-ietf-ccwg-bbr, 5.5).

Some links hold ACKs back and deliver them together. BBR adds the octets that such a burst of ACKs
acknowledges to its window, so that the connection can keep sending until the next burst.
"""

from typing import Final

from postel.tcp.congestion.bbr.max_filter import MaxFilter
from postel.times import SECOND

EXTRA_ACKED_FILTER_LEN: Final = 10  # rounds of which ``extra_acked`` is the maximum (BBR-filter)


class AckAggregation:
    """Estimate of ACK aggregation: ``extra_acked`` octets.

    ``extra_acked`` is the most that was acknowledged lately beyond what the bandwidth delivers in the time
    since ``interval_start``.
    """

    __slots__ = ("_delivered", "_filter", "extra_acked", "interval_start")

    def __init__(self) -> None:
        """Create an estimate of 0."""
        self.extra_acked: int = 0
        self.interval_start: int = 0
        self._delivered = 0  # extra_acked_delivered
        self._filter = MaxFilter()

    def begin(self, now: int) -> None:
        """Expect deliveries at the estimated bandwidth from ``now`` on."""
        self.interval_start = now

    def update(
        self, bw: int, newly_acked: int, window: int, round_count: int, now: int, *, full_bw_reached: bool
    ) -> None:
        """Update the estimate by an ACK of ``newly_acked`` octets (UpdateACKAggregation).

        ``bw`` is octets a second, ``window`` octets, ``round_count`` the number of this round.
        """
        expected_delivered = bw * (now - self.interval_start) // SECOND
        if self._delivered <= expected_delivered:
            self._delivered = 0
            self.interval_start = now
            expected_delivered = 0
        self._delivered += newly_acked
        extra = min(self._delivered - expected_delivered, window)
        length = EXTRA_ACKED_FILTER_LEN if full_bw_reached else 1
        self.extra_acked = self._filter.update(extra, round_count, length)
