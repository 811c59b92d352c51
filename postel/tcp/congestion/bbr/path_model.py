"""BBR's model of the path: how fast it delivers, how long it takes, how much fits into it (draft-ietf-ccwg-bbr, 5.5).

Names are the draft's. Rates are octets a second, volumes octets, times microseconds, INFINITE where the draft has Infinity. Of a sample
that speaks of no segment (``interval`` 0) only losses and round trips count.
"""

from typing import Final

from postel.tcp.congestion import Sample
from postel.tcp.congestion.bbr.max_filter import MaxFilter
from postel.times import SECOND

INFINITE: Final = 1 << 60

EXTRA_ACKED_FILTER_LEN: Final = 10  # rounds (BBR-filter)
MAX_BW_FILTER_LEN: Final = 2  # cycles
MIN_RTT_FILTER_LEN: Final = 10 * SECOND
PROBE_RTT_INTERVAL: Final = 5 * SECOND
LOSS_THRESH_PERCENT: Final = 2
BETA_PERCENT: Final = 70  # BBR-loss


class PathModel:
    """What BBR knows of the path. `BBR` tells it of each ACK in the order of the draft's UpdateModelAndState."""

    def __init__(self) -> None:
        self.has_segment: bool = False  # the last ACK's sample speaks of one: otherwise its fields are 0
        self.rate: int = 0  # RS.delivery_rate
        self.prior_delivered: int = -1  # RS.prior_delivered
        self.rs_delivered: int = 0  # RS.delivered
        self.rs_lost: int = 0  # RS.lost
        self.tx_in_flight: int = 0  # RS.tx_in_flight
        self.is_app_limited: bool = False  # RS.is_app_limited
        self.newly_lost: int = 0  # RS.newly_lost
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
        self.bw_shortterm: int = INFINITE
        self.bw_latest: int = 0

        self.inflight_latest: int = 0
        self.inflight_shortterm: int = INFINITE
        self.inflight_longterm: int = INFINITE

        self.loss_round_delivered: int = 0
        self.loss_round_start: bool = False
        self.is_loss_in_round: bool = False
        self.loss_events: int = 0  # ACKs that told of loss, in this round

        self.min_rtt: int = INFINITE
        self.min_rtt_stamp: int = 0
        self.probe_rtt_min_delay: int = INFINITE
        self.probe_rtt_min_stamp: int = 0
        self.probe_rtt_expired: bool = False

        self.extra_acked: int = 0
        self.extra_acked_filter: MaxFilter = MaxFilter()
        self.extra_acked_delivered: int = 0
        self.extra_acked_interval_start: int = 0

    # What an ACK says

    def begin(self, now: int) -> None:
        """The first ACK: only now is there a time to count from."""
        self.min_rtt_stamp = self.probe_rtt_min_stamp = self.extra_acked_interval_start = now

    def generate_rate_sample(self, sample: Sample) -> None:
        """GenerateRateSample."""
        self.delivered = sample.total_delivered
        self.newly_lost = sample.total_lost - self._lost
        self._lost = sample.total_lost
        self.has_segment = sample.interval > 0
        self.rate = sample.rate if self.has_segment else 0
        self.prior_delivered = sample.prior_delivered if self.has_segment else -1
        self.rs_delivered = sample.total_delivered - sample.prior_delivered if self.has_segment else 0
        self.rs_lost = sample.lost_since if self.has_segment else 0
        self.tx_in_flight = sample.segment_flight if self.has_segment else 0
        self.is_app_limited = self.has_segment and (sample.is_app_limited or sample.prior_delivered <= self._app_limited)

    def update_signals(self) -> None:
        """UpdateLatestDeliverySignals and UpdateMaxBw."""
        self.bw_latest = max(self.bw_latest, self.rate)
        self.inflight_latest = max(self.inflight_latest, self.rs_delivered)
        self.loss_round_start = self.prior_delivered >= self.loss_round_delivered
        if self.loss_round_start:
            self.loss_round_delivered = self.delivered
        self.round_start = self.prior_delivered >= self.next_round_delivered
        if self.round_start:
            self.start_round()
            self.round_count += 1
            self.rounds_since_probe_up += 1
        if self.rate > 0 and (self.rate >= self.max_bw or not self.is_app_limited):  # BBR-rate-2
            self.max_bw = self.max_bw_filter.update(self.rate, self.cycle_count, MAX_BW_FILTER_LEN)

    def start_round(self) -> None:
        self.next_round_delivered = self.delivered

    def mark_app_limited(self, flight: int) -> None:
        """MarkConnectionAppLimited: what flies now, and what will until it has arrived, says little of the path."""
        self._app_limited = self.delivered + flight

    # Aggregation

    def update_ack_aggregation(self, newly_acked: int, window: int, now: int, *, full_bw_reached: bool) -> None:
        expected_delivered = self.bw * (now - self.extra_acked_interval_start) // SECOND
        if self.extra_acked_delivered <= expected_delivered:
            self.extra_acked_delivered = 0
            self.extra_acked_interval_start = now
            expected_delivered = 0
        self.extra_acked_delivered += newly_acked
        extra = min(self.extra_acked_delivered - expected_delivered, window)
        length = EXTRA_ACKED_FILTER_LEN if full_bw_reached else 1
        self.extra_acked = self.extra_acked_filter.update(extra, self.round_count, length)

    # Round trips

    def update_min_rtt(self, round_trip: int, now: int) -> None:
        self.probe_rtt_expired = now > self.probe_rtt_min_stamp + PROBE_RTT_INTERVAL
        if round_trip and (round_trip < self.probe_rtt_min_delay or self.probe_rtt_expired):
            self.probe_rtt_min_delay = round_trip
            self.probe_rtt_min_stamp = now
        min_rtt_expired = now > self.min_rtt_stamp + MIN_RTT_FILTER_LEN
        if self.probe_rtt_min_delay < self.min_rtt or min_rtt_expired:
            self.min_rtt = self.probe_rtt_min_delay
            self.min_rtt_stamp = self.probe_rtt_min_stamp

    # Loss

    @property
    def is_inflight_too_high(self) -> bool:
        """More than 2 % of what was in flight with the segment was lost (BBR-loss)."""
        return 100 * self.rs_lost > LOSS_THRESH_PERCENT * self.tx_in_flight

    @property
    def inflight_at_loss(self) -> int:
        """At which volume in flight losses crossed the threshold, somewhere in what was newly lost."""
        inflight_prev = self.tx_in_flight - self.newly_lost
        lost_prev = self.rs_lost - self.newly_lost
        return inflight_prev + (LOSS_THRESH_PERCENT * inflight_prev - 100 * lost_prev) // (100 - LOSS_THRESH_PERCENT)

    def note_loss(self) -> bool:
        """NoteLoss. Whether it is the first in this round."""
        is_first = not self.is_loss_in_round
        if is_first:
            self.loss_round_delivered = self.delivered
        self.is_loss_in_round = True
        return is_first

    def adapt_lower_bounds(self, window: int, *, probes: bool) -> None:
        """At the end of a round: AdaptLowerBoundsFromCongestion, unless it ``probes`` for bandwidth."""
        if not self.loss_round_start:
            return
        if self.is_loss_in_round and not probes:
            if self.bw_shortterm == INFINITE:
                self.bw_shortterm = self.max_bw
            if self.inflight_shortterm == INFINITE:
                self.inflight_shortterm = window
            self.bw_shortterm = max(self.bw_latest, BETA_PERCENT * self.bw_shortterm // 100)
            self.inflight_shortterm = max(self.inflight_latest, BETA_PERCENT * self.inflight_shortterm // 100)
        self.is_loss_in_round = False

    def reset_congestion_signals(self) -> None:
        self.is_loss_in_round = False
        self.bw_latest = 0
        self.inflight_latest = 0

    def reset_short_term(self) -> None:
        self.bw_shortterm = INFINITE
        self.inflight_shortterm = INFINITE

    def advance(self) -> None:
        """AdvanceLatestDeliverySignals and BoundBWForModel."""
        if self.loss_round_start:
            self.bw_latest = self.rate
            self.inflight_latest = self.rs_delivered
            self.loss_events = 0
        self.bw = min(self.max_bw, self.bw_shortterm)
