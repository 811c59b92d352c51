"""BBR's model of the path: how fast it delivers, how long it takes, how much fits into it
(draft-ietf-ccwg-bbr, 5.5).

Names are the draft's. Rates are octets a second, volumes octets, times microseconds, INFINITE where the draft
has Infinity.
"""

from typing import Final

from postel.tcp.congestion import Sample
from postel.tcp.congestion.bbr.ack_aggregation import AckAggregation
from postel.tcp.congestion.bbr.max_filter import MaxFilter
from postel.tcp.congestion.bbr.min_rtt import MinRtt
from postel.tcp.congestion.bbr.rate_sample import RateSample
from postel.tcp.congestion.bbr.short_term import INFINITE, ShortTermModel

MAX_BW_FILTER_LEN: Final = 2  # cycles (BBR-filter)


class PathModel:
    """What BBR knows of the path. `BBR` tells it of each ACK in the order of the draft's
    UpdateModelAndState.
    """

    def __init__(self) -> None:
        self.rs: RateSample = RateSample()
        self.short_term: ShortTermModel = ShortTermModel()
        self.min_rtt: MinRtt = MinRtt()
        self.aggregation: AckAggregation = AckAggregation()

        self.delivered: int = 0  # C.delivered
        self._lost = 0  # C.lost, as far as it was noticed
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
        """The first ACK: only now is there a time to count from."""
        self.min_rtt.begin(now)
        self.aggregation.begin(now)

    def generate_rate_sample(self, sample: Sample) -> None:
        """GenerateRateSample, and what is counted since the start."""
        self.rs.generate(sample, sample.total_lost - self._lost, self._app_limited)
        self.delivered = sample.total_delivered
        self._lost = sample.total_lost

    def update_signals(self) -> None:
        """UpdateLatestDeliverySignals, UpdateRound and UpdateMaxBw."""
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
        self.next_round_delivered = self.delivered

    def mark_app_limited(self, flight: int) -> None:
        """MarkConnectionAppLimited: what flies now, and what will until it has arrived, says little of the
        path.
        """
        self._app_limited = self.delivered + flight

    def note_loss(self) -> bool:
        """NoteLoss. Whether it is the first in this round."""
        return self.short_term.note_loss(self.delivered)

    def adapt_lower_bounds(self, window: int, *, probes: bool) -> None:
        """AdaptLowerBoundsFromCongestion."""
        self.short_term.adapt_lower_bounds(self.max_bw, window, probes=probes)

    def update_ack_aggregation(
        self, newly_acked: int, window: int, now: int, *, full_bw_reached: bool
    ) -> None:
        """UpdateACKAggregation."""
        self.aggregation.update(
            self.bw, newly_acked, window, self.round_count, now, full_bw_reached=full_bw_reached
        )

    def advance(self) -> None:
        """AdvanceLatestDeliverySignals and BoundBWForModel."""
        self.short_term.advance_latest(self.rs)
        self.bw = min(self.max_bw, self.short_term.bw)
