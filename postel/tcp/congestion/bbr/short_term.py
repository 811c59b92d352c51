"""Short-term limits of the path, learned from losses (draft-ietf-ccwg-bbr, 5.5.10)."""

from typing import Final

from postel.tcp.congestion.bbr.rate_sample import RateSample

INFINITE: Final = 1 << 60  # stands for the draft's Infinity
BETA_PERCENT: Final = 70  # BBR-loss: what remains of a bound after a round with losses


class ShortTermModel:
    """Bounds that each round with losses lowers: ``bw`` is bw_shortterm, ``inflight`` inflight_shortterm.

    These rounds are not those of `PathModel`: the first loss of a round begins a new round. Volumes are
    octets, rates octets a second.
    """

    __slots__ = (
        "bw",
        "bw_latest",
        "inflight",
        "inflight_latest",
        "is_loss_in_round",
        "loss_events",
        "loss_round_delivered",
        "loss_round_start",
    )

    def __init__(self) -> None:
        """Create the model with no bounds."""
        self.bw: int = INFINITE
        self.bw_latest: int = 0
        self.inflight: int = INFINITE
        self.inflight_latest: int = 0
        self.loss_round_delivered: int = 0
        self.loss_round_start: bool = False
        self.is_loss_in_round: bool = False
        self.loss_events: int = 0  # ACKs in this round that reported losses

    def update_latest(self, rs: RateSample, delivered: int) -> None:
        """Update the largest rate and volume of this round (UpdateLatestDeliverySignals)."""
        self.bw_latest = max(self.bw_latest, rs.delivery_rate)
        self.inflight_latest = max(self.inflight_latest, rs.delivered)
        self.loss_round_start = rs.prior_delivered >= self.loss_round_delivered
        if self.loss_round_start:
            self.loss_round_delivered = delivered

    def advance_latest(self, rs: RateSample) -> None:
        """Begin a new round where one has ended (AdvanceLatestDeliverySignals)."""
        if self.loss_round_start:
            self.bw_latest = rs.delivery_rate
            self.inflight_latest = rs.delivered
            self.loss_events = 0

    def note_loss(self, delivered: int) -> bool:
        """Note a loss, and return whether it is the first in this round (NoteLoss)."""
        is_first = not self.is_loss_in_round
        if is_first:
            self.loss_round_delivered = delivered
        self.is_loss_in_round = True
        return is_first

    def count_loss(self) -> None:
        """Count one more ACK that reported losses."""
        self.loss_events += 1

    def forget_loss(self) -> None:
        """Forget the loss of this round, because it was spurious."""
        self.is_loss_in_round = False

    def raise_bounds(self, bw: int, inflight: int) -> None:
        """Raise the bounds to at least these values."""
        self.bw = max(self.bw, bw)
        self.inflight = max(self.inflight, inflight)

    def adapt_lower_bounds(self, max_bw: int, window: int, *, probes: bool) -> None:
        """At the end of a round with losses, lower the bounds (AdaptLowerBoundsFromCongestion).

        While the controller ``probes`` for bandwidth, the bounds stay.
        """
        if not self.loss_round_start:
            return
        if self.is_loss_in_round and not probes:
            if self.bw == INFINITE:
                self.bw = max_bw
            if self.inflight == INFINITE:
                self.inflight = window
            self.bw = max(self.bw_latest, BETA_PERCENT * self.bw // 100)
            self.inflight = max(self.inflight_latest, BETA_PERCENT * self.inflight // 100)
        self.is_loss_in_round = False

    def reset_congestion_signals(self) -> None:
        """Forget losses and deliveries of this round (ResetCongestionSignals)."""
        self.is_loss_in_round = False
        self.bw_latest = 0
        self.inflight_latest = 0

    def reset(self) -> None:
        """Lift both bounds (ResetShortTermModel)."""
        self.bw = INFINITE
        self.inflight = INFINITE
