"""BBR's model of the path: its bandwidth, round trip and capacity (draft-ietf-ccwg-bbr, 5.5).

Names are the draft's. Rates are octets a second, volumes octets, times microseconds; INFINITE stands for the
draft's Infinity.
"""

from typing import Final

from postel.tcp.congestion import Sample
from postel.tcp.congestion.bbr.ack_aggregation import AckAggregation
from postel.tcp.congestion.bbr.max_filter import MaxFilter
from postel.tcp.congestion.bbr.min_rtt import MinRtt
from postel.tcp.congestion.bbr.rate_sample import RateSample
from postel.tcp.congestion.bbr.short_term import INFINITE, ShortTermModel

MAX_BW_FILTER_LEN: Final = 2  # cycles of ProbeBW of which ``max_bw`` is the maximum (BBR-filter)


class PathModel:
    """Estimates about the path, updated by `BBR` for each ACK in the order of UpdateModelAndState."""

    def __init__(self) -> None:
        """Create the model of a path of which nothing is known."""
        self.rs: RateSample = RateSample()
        self.short_term: ShortTermModel = ShortTermModel()
        self.min_rtt: MinRtt = MinRtt()
        self.aggregation: AckAggregation = AckAggregation()

        self.delivered: int = 0  # C.delivered
        self._lost = 0  # C.lost at the last sample
        self._app_limited = -1  # C.app_limited, where BBR itself holds the sender back

        self.next_round_delivered: int = 0
        self.round_start: bool = False
        self.round_count: int = 0
        self.rounds_since_probe_up: int = 0

        self.max_bw: int = 0
        self.max_bw_filter: MaxFilter = MaxFilter()
        self.cycle_count: int = 0
        self.bw: int = 0
        self.inflight_longterm: int = INFINITE

    def begin(self, now: int) -> None:
        """Begin all intervals at ``now``, the time of the first ACK."""
        self.min_rtt.begin(now)
        self.aggregation.begin(now)

    def generate_rate_sample(self, sample: Sample) -> None:
        """Store the rate sample of one ACK, and the total octets delivered and lost (GenerateRateSample)."""
        self.rs.generate(sample, sample.total_lost - self._lost, self._app_limited)
        self.delivered = sample.total_delivered
        self._lost = sample.total_lost

    def update_signals(self) -> None:
        """Update deliveries, round and bandwidth (UpdateLatestDeliverySignals, UpdateRound, UpdateMaxBw)."""
        rs = self.rs
        self.short_term.update_latest(rs, self.delivered)
        self.round_start = rs.prior_delivered >= self.next_round_delivered
        if self.round_start:
            self.start_round()
            self.round_count += 1
            self.rounds_since_probe_up += 1
        if rs.delivery_rate > 0 and (rs.delivery_rate >= self.max_bw or not rs.is_app_limited):  # BBR-rate-2
            self.max_bw = self.max_bw_filter.update(rs.delivery_rate, self.cycle_count, MAX_BW_FILTER_LEN)

    def start_round(self) -> None:
        """Begin a round: it ends when what is sent from now on is acknowledged."""
        self.next_round_delivered = self.delivered

    def mark_app_limited(self, flight: int) -> None:
        """Mark samples as app-limited until what is in flight is delivered (MarkConnectionAppLimited).

        PROBE_RTT calls this, because BBR itself holds the sender back then.
        """
        self._app_limited = self.delivered + flight

    def note_loss(self) -> bool:
        """Note a loss, and return whether it is the first in this round (NoteLoss)."""
        return self.short_term.note_loss(self.delivered)

    def adapt_lower_bounds(self, window: int, *, probes: bool) -> None:
        """Lower the short-term bounds after a round with losses (AdaptLowerBoundsFromCongestion)."""
        self.short_term.adapt_lower_bounds(self.max_bw, window, probes=probes)

    def update_ack_aggregation(
        self, newly_acked: int, window: int, now: int, *, full_bw_reached: bool
    ) -> None:
        """Update the estimate of ACK aggregation (UpdateACKAggregation)."""
        self.aggregation.update(
            self.bw, newly_acked, window, self.round_count, now, full_bw_reached=full_bw_reached
        )

    def advance(self) -> None:
        """End the work on an ACK (AdvanceLatestDeliverySignals and BoundBWForModel)."""
        self.short_term.advance_latest(self.rs)
        self.bw = min(self.max_bw, self.short_term.bw)
