"""Rate sample of the last ACK: the draft's RS (draft-ietf-ccwg-bbr, 4.1)."""

from typing import Final

from postel.tcp.congestion import Sample

LOSS_THRESH_PERCENT: Final = 2  # if a larger share of the flight is lost, too much was in flight


class RateSample:
    """Variables of RS, in octets and octets a second.

    Where the ACK measured no rate (``interval`` of `Sample` is 0), ``prior_delivered`` is -1 and the other
    variables except ``newly_lost`` are 0.
    """

    __slots__ = (
        "delivered",
        "delivery_rate",
        "is_app_limited",
        "lost",
        "newly_lost",
        "prior_delivered",
        "tx_in_flight",
    )

    def __init__(self) -> None:
        """Create a sample without a rate."""
        self.delivery_rate: int = 0
        self.prior_delivered: int = -1
        self.delivered: int = 0
        self.lost: int = 0
        self.tx_in_flight: int = 0
        self.is_app_limited: bool = False
        self.newly_lost: int = 0

    def generate(self, sample: Sample, newly_lost: int, app_limited: int) -> None:
        """Store the sample of one ACK, and the ``newly_lost`` octets since the last one (GenerateRateSample).

        A segment that was sent before ``app_limited`` octets were delivered counts as app-limited, because
        BBR held it back.
        """
        has_segment = sample.interval > 0
        self.delivery_rate = sample.rate if has_segment else 0
        self.prior_delivered = sample.prior_delivered if has_segment else -1
        self.delivered = sample.total_delivered - sample.prior_delivered if has_segment else 0
        self.lost = sample.lost_since if has_segment else 0
        self.tx_in_flight = sample.segment_flight if has_segment else 0
        self.is_app_limited = has_segment and (sample.is_app_limited or sample.prior_delivered <= app_limited)
        self.newly_lost = newly_lost

    @property
    def is_inflight_too_high(self) -> bool:
        """Whether more than 2 % of what was in flight with the segment was lost (BBR-loss)."""
        return 100 * self.lost > LOSS_THRESH_PERCENT * self.tx_in_flight

    @property
    def inflight_at_loss(self) -> int:
        """Octets in flight at which losses crossed 2 %, interpolated within the octets newly lost."""
        inflight_prev = self.tx_in_flight - self.newly_lost
        lost_prev = self.lost - self.newly_lost
        return inflight_prev + (LOSS_THRESH_PERCENT * inflight_prev - 100 * lost_prev) // (
            100 - LOSS_THRESH_PERCENT
        )
