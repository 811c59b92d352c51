"""BBR (draft-ietf-ccwg-bbr): a controller that keeps to a model of the path, at a pace of its own.

What it knows of the path is in `PathModel`, what it makes of that in `ControlParameters`. Here is the machine of seven states between
them, which probes for more bandwidth and drains what that left in the queue. Names are the draft's.
"""

from enum import Enum, auto
from typing import Final

from postel.compiler import mypyc_attr
from postel.tcp.congestion import Sample
from postel.tcp.congestion.bbr.control_parameters import (
    DRAIN,
    PROBE_BW,
    PROBE_BW_CRUISE,
    PROBE_BW_DOWN,
    PROBE_BW_REFILL,
    PROBE_BW_UP,
    PROBE_RTT,
    STARTUP,
    BbrState,
    ControlParameters,
)
from postel.tcp.congestion.bbr.path_model import BETA_PERCENT, INFINITE
from postel.tcp.congestion.xorshift import Xorshift
from postel.times import MILLISECOND, SECOND


class AckPhase(Enum):
    """What the ACKs say of bandwidth probing (2.13)."""

    INIT = auto()
    REFILLING = auto()
    PROBE_STARTING = auto()
    PROBE_FEEDBACK = auto()
    PROBE_STOPPING = auto()


FULL_BW_ROUNDS: Final = 3
STARTUP_FULL_LOSSES: Final = 6
DRAIN_ROUNDS: Final = 3
PROBE_RTT_DURATION: Final = 200 * MILLISECOND
SHORTEST_PROBE_WAIT: Final = 2 * SECOND
MOST_PROBE_ROUNDS: Final = 63


@mypyc_attr(allow_interpreted_subclasses=True)
class BBR(ControlParameters):
    """Paces at what the path delivers, and keeps twice in flight what fits into it.

    It lives on samples. Where recovery has none, as without SACK, it stays near the initial window (4.1.3.6 of the draft).
    """

    window: int  # of the bases: type checkers want a declaration in each class that writes it
    full_bw_reached: bool

    def __init__(self, smss: int, initial_window: int, seed: int = 0) -> None:
        super().__init__(smss, initial_window, seed)
        self.full_bw: int = 0
        self.full_bw_count: int = 0
        self.full_bw_now: bool = False
        self.drain_start_round: int = 0
        self.ack_phase: AckPhase = AckPhase.INIT
        self.cycle_stamp: int = 0
        self.bw_probe_wait: int = 0
        self.bw_probe_up_rounds: int = 0
        self.bw_probe_up_acked: int = 0
        self.probe_up_acked_per_inc: int = INFINITE
        self.is_bw_probe_sample: bool = False
        self.prev_probe_too_high: bool = False
        self.prev_probe_precautionary: bool = False
        self.probe_rtt_done_stamp: int = 0
        self.probe_rtt_round_done: bool = False
        self.idle_restart: bool = False
        self.undo_state: BbrState | None = None
        self.undo_bw_shortterm: int = 0
        self.undo_inflight_shortterm: int = 0
        self.undo_inflight_longterm: int = 0
        self._has_begun = False
        self._has_round_trip = False
        self._recovery_round = 0
        self._repaired_at = INFINITE  # position: a timeout's recovery ends when SND.UNA comes there
        self._max = 0  # position of SND.MAX at the last ACK
        self._limited_round = -2  # the last round in which the window was full
        self._random = Xorshift(seed)

    # What it is told

    def observed(self, sample: Sample, now: int) -> None:
        model = self.model
        if not self._has_begun:
            self._has_begun = True
            model.begin(now)
        model.generate_rate_sample(sample)
        self._max = sample.max
        if model.newly_lost:
            self._handle_loss(now)
        model.update_signals()
        if sample.flight_before + self.smss > self.window:
            self._limited_round = model.round_count
        if sample.round_trip and not self._has_round_trip:
            self._has_round_trip = True
            self._pace(sample.round_trip)
        self._update_state(sample, now)
        self._update_control(sample)

    def acknowledged(self, octets: int, now: int) -> None:
        """`observed` has seen to it."""

    def lost(self, flight: int, now: int) -> None:
        """`observed` has noted the loss, and saved the window as it was before that ACK, unless a tail probe repaired it."""
        if not self.model.newly_lost:
            self._save_cwnd()
            self._note_loss()
        self._is_in_recovery = True
        self._recovery_round = self.model.round_count

    def marked(self, flight: int, now: int) -> None:
        """A mark is as good as loss beyond the threshold (BBR-ecn)."""
        self._note_loss()
        if self.state is STARTUP:
            self._end_startup()
            self._enter_drain()
        elif self.is_bw_probe_sample:
            self._handle_inflight_too_high(flight, now)

    def recovered(self, flight: int, now: int) -> None:
        self._is_in_recovery = False
        self._repaired_at = INFINITE
        self._restore_cwnd()
        self._bound_cwnd()

    def timed_out(self, flight: int, now: int, *, again: bool) -> None:
        self._save_state_upon_loss()
        self._is_in_recovery = True
        self._recovery_round = self.model.round_count
        self._repaired_at = self._max
        self.window: int = self.smss

    def idled(self, now: int) -> None:
        """The model keeps, and pacing makes a burst of what was idle impossible (5.4.1)."""

    def started(self, now: int) -> None:
        self.idle_restart = True
        self.model.extra_acked_interval_start = now
        if self.state in PROBE_BW:
            self._set_pacing_rate(100)
        elif self.state is PROBE_RTT:
            self._check_probe_rtt_done(now)

    def undo(self, limit: int, now: int) -> None:
        """HandleSpuriousLossDetection. Its pace makes a burst impossible, so it heeds no ``limit``."""
        model = self.model
        self._is_in_recovery = False
        self._repaired_at = INFINITE
        self._restore_cwnd()
        model.is_loss_in_round = False
        self._reset_full_bw()
        model.bw_shortterm = max(model.bw_shortterm, self.undo_bw_shortterm)
        model.inflight_shortterm = max(model.inflight_shortterm, self.undo_inflight_shortterm)
        model.inflight_longterm = max(model.inflight_longterm, self.undo_inflight_longterm)
        if self.undo_state is STARTUP and self.state is not STARTUP:
            self.full_bw_reached = False
            if self.state is not PROBE_RTT:
                self._enter(STARTUP)
        elif self.undo_state is PROBE_BW_UP and self.state is not PROBE_BW_UP and self.state is not PROBE_RTT:
            self._start_refill()
        self.undo_state = None

    # Per ACK (5.2.3)

    def _update_state(self, sample: Sample, now: int) -> None:
        model = self.model
        model.adapt_lower_bounds(self.window, probes=self.state in (STARTUP, PROBE_BW_REFILL, PROBE_BW_UP))
        model.update_ack_aggregation(sample.delivered, self.window, now, full_bw_reached=self.full_bw_reached)
        self._check_full_bw_reached()
        self._check_startup_done()
        self._check_drain_done(sample.flight, now)
        self._update_probe_bw_cycle_phase(sample, now)
        model.update_min_rtt(sample.round_trip, now)
        self._check_probe_rtt(sample.flight, now)
        model.advance()

    def _update_control(self, sample: Sample) -> None:
        self._set_pacing_rate(self.pacing_gain)
        self._set_send_quantum()
        if sample.una >= self._repaired_at:
            self._repaired_at = INFINITE
            self._is_in_recovery = False
            self._restore_cwnd()
        self._set_cwnd(sample.delivered)

    # Startup and Drain (5.3.1, 5.3.2)

    def _reset_full_bw(self) -> None:
        self.full_bw = 0
        self.full_bw_count = 0
        self.full_bw_now = False

    def _check_full_bw_reached(self) -> None:
        model = self.model
        if self.full_bw_now or not model.round_start or model.is_app_limited:
            return
        if 4 * model.rate >= 5 * self.full_bw:
            self._reset_full_bw()
            self.full_bw = model.rate
            return
        self.full_bw_count += 1
        self.full_bw_now = self.full_bw_count >= FULL_BW_ROUNDS
        if self.full_bw_now:
            self.full_bw_reached = True

    def _check_startup_done(self) -> None:
        if self.state is not STARTUP:
            return
        self._check_startup_high_loss()
        if self.full_bw_reached:
            self._enter_drain()

    def _check_startup_high_loss(self) -> None:
        """A full round of recovery, in which six ACKs or more told of loss, and more than 2 % of it."""
        model = self.model
        is_lossy_round = model.loss_round_start and model.loss_events >= STARTUP_FULL_LOSSES and model.is_inflight_too_high
        if is_lossy_round and self._is_in_recovery and model.round_count > self._recovery_round:
            self._end_startup()

    def _end_startup(self) -> None:
        self.undo_state = STARTUP
        self.full_bw_now = self.full_bw_reached = True
        self.model.inflight_longterm = max(self._bdp(), self.model.inflight_latest)

    def _enter_drain(self) -> None:
        self._enter(DRAIN)
        self.drain_start_round = self.model.round_count

    def _check_drain_done(self, flight: int, now: int) -> None:
        if self.state is not DRAIN:
            return
        if flight <= self._inflight(self.model.bw) or self.model.round_count > self.drain_start_round + DRAIN_ROUNDS:
            self._start_down(now)

    # ProbeBW (5.3.3)

    def _update_probe_bw_cycle_phase(self, sample: Sample, now: int) -> None:
        if not self.full_bw_reached or self._adapt_long_term_model(sample.delivered):
            return
        if self.state is PROBE_BW_DOWN:
            if not self._probes_when_due(now) and self._is_time_to_cruise(sample.flight):
                self._enter(PROBE_BW_CRUISE)
        elif self.state is PROBE_BW_CRUISE:
            self._probes_when_due(now)
        elif self.state is PROBE_BW_REFILL:
            if self.model.round_start:
                self.is_bw_probe_sample = True
                self._start_up()
        elif self.state is PROBE_BW_UP and self._is_time_to_go_down(sample.flight_before):
            self.prev_probe_too_high = False
            self._start_down(now)

    def _adapt_long_term_model(self, newly_acked: int) -> bool:
        """Whether it decided on a state."""
        model = self.model
        if self.ack_phase is AckPhase.PROBE_STARTING and model.round_start:
            self.ack_phase = AckPhase.PROBE_FEEDBACK
        if self.ack_phase is AckPhase.PROBE_STOPPING and model.round_start and self._ends_probe():
            return True
        if model.is_inflight_too_high or model.inflight_longterm == INFINITE:
            return False
        model.inflight_longterm = max(model.inflight_longterm, model.tx_in_flight)
        if self.state is PROBE_BW_UP:
            self._probe_inflight_longterm_upward(newly_acked)
        return False

    def _ends_probe(self) -> bool:
        """The last samples of a probe are in. Whether the next begins at once, for that one was a precaution, and went well."""
        self.is_bw_probe_sample = False
        self.ack_phase = AckPhase.INIT
        if self.state not in PROBE_BW:
            return False
        if not self.model.is_app_limited:
            self.model.cycle_count += 1  # AdvanceMaxBwFilter
        if not self.prev_probe_precautionary or self.prev_probe_too_high:
            return False
        self._start_refill()
        return True

    def _probe_inflight_longterm_upward(self, newly_acked: int) -> None:
        model = self.model
        if not self._is_cwnd_limited or self.window < model.inflight_longterm:
            return
        self.bw_probe_up_acked += newly_acked
        delta = self.bw_probe_up_acked // self.probe_up_acked_per_inc
        self.bw_probe_up_acked -= delta * self.probe_up_acked_per_inc
        model.inflight_longterm += delta * self.smss
        if model.round_start:
            self._raise_inflight_longterm_slope()

    def _raise_inflight_longterm_slope(self) -> None:
        growth_this_round = 1 << self.bw_probe_up_rounds
        self.bw_probe_up_rounds = min(self.bw_probe_up_rounds + 1, 30)
        self.probe_up_acked_per_inc = max(self.window // growth_this_round, self.smss)

    def _start_down(self, now: int) -> None:
        self.model.reset_congestion_signals()
        self.probe_up_acked_per_inc = INFINITE
        self._pick_probe_wait()
        self.cycle_stamp = now
        self.ack_phase = AckPhase.PROBE_STOPPING
        self.model.start_round()
        self._enter(PROBE_BW_DOWN)

    def _start_refill(self) -> None:
        self.model.reset_short_term()
        self.bw_probe_up_rounds = 0
        self.bw_probe_up_acked = 0
        self.prev_probe_precautionary = False
        self.ack_phase = AckPhase.REFILLING
        self.model.start_round()
        self._enter(PROBE_BW_REFILL)

    def _start_up(self) -> None:
        self.ack_phase = AckPhase.PROBE_STARTING
        self.model.start_round()
        self._reset_full_bw()
        self.full_bw = self.model.rate
        self._enter(PROBE_BW_UP)
        self._raise_inflight_longterm_slope()

    def _probes_when_due(self, now: int) -> bool:
        rounds = min(min(self._bdp(), self.window) // self.smss, MOST_PROBE_ROUNDS)  # IsRenoCoexistenceProbeTime
        is_due = now > self.cycle_stamp + self.bw_probe_wait or self.model.rounds_since_probe_up >= rounds
        if is_due:
            self._start_refill()
        return is_due

    def _pick_probe_wait(self) -> None:
        """PickProbeWait: at another time than other flows, lest all of them probe at once."""
        self.model.rounds_since_probe_up = self._random.below(2)
        self.bw_probe_wait = SHORTEST_PROBE_WAIT + self._random.below(SECOND + 1)

    def _is_time_to_cruise(self, flight: int) -> bool:
        return flight <= self._inflight_with_headroom() and flight <= self._inflight(self.model.max_bw)

    def _is_time_to_go_down(self, flight: int) -> bool:
        """Of ``flight`` before this ACK: with a full window, what remains after it never reaches the bound."""
        if self.prev_probe_too_high and flight >= self.model.inflight_longterm:
            self.prev_probe_precautionary = True
            return True
        if self._is_cwnd_limited and self.window >= self.model.inflight_longterm:
            self._reset_full_bw()
            self.full_bw = self.model.rate
            return False
        return self.full_bw_now

    @property
    def _is_cwnd_limited(self) -> bool:
        """At any point of the last round trip."""
        return self._limited_round >= self.model.round_count - 1

    # ProbeRTT (5.3.4)

    def _check_probe_rtt(self, flight: int, now: int) -> None:
        if self.state is not PROBE_RTT and self.model.probe_rtt_expired and not self.idle_restart:
            self._enter(PROBE_RTT)
            self._save_cwnd()
            self.probe_rtt_done_stamp = 0
            self.ack_phase = AckPhase.PROBE_STOPPING
            self.model.start_round()
        if self.state is PROBE_RTT:
            self._handle_probe_rtt(flight, now)
        if self.model.rs_delivered > 0:
            self.idle_restart = False

    def _handle_probe_rtt(self, flight: int, now: int) -> None:
        self.model.mark_app_limited(flight)
        if self.probe_rtt_done_stamp == 0:
            if flight <= self._probe_rtt_cwnd():
                self.probe_rtt_done_stamp = now + PROBE_RTT_DURATION
                self.probe_rtt_round_done = False
                self.model.start_round()
            return
        if self.model.round_start:
            self.probe_rtt_round_done = True
        if self.probe_rtt_round_done:
            self._check_probe_rtt_done(now)

    def _check_probe_rtt_done(self, now: int) -> None:
        if self.probe_rtt_done_stamp == 0 or now <= self.probe_rtt_done_stamp:
            return
        self.model.probe_rtt_min_stamp = now
        self._restore_cwnd()
        self.model.reset_short_term()
        if self.full_bw_reached:
            self._start_down(now)
            self._enter(PROBE_BW_CRUISE)
        else:
            self._enter(STARTUP)

    # Loss (5.5.10)

    def _handle_loss(self, now: int) -> None:
        """HandleLostPacket, once an ACK: of what was newly lost, the newest segment that arrived knows what flew beside it."""
        if not self._is_in_recovery:
            self._save_cwnd()
        self._note_loss()
        self.model.loss_events += 1
        if self.is_bw_probe_sample and self.model.is_inflight_too_high:
            self._handle_inflight_too_high(self.model.inflight_at_loss, now)

    def _handle_inflight_too_high(self, tx_in_flight: int, now: int) -> None:
        self.prev_probe_too_high = True
        self.is_bw_probe_sample = False
        if not self.model.is_app_limited:
            target = min(self._bdp(), self.window)
            self.model.inflight_longterm = max(tx_in_flight, BETA_PERCENT * target // 100)
        if self.state is PROBE_BW_UP:
            self.undo_state = PROBE_BW_UP
            self._start_down(now)

    def _note_loss(self) -> None:
        if self.model.note_loss():
            self._save_state_upon_loss()

    def _save_state_upon_loss(self) -> None:
        self._save_cwnd()
        self.undo_state = None
        self.undo_bw_shortterm = self.model.bw_shortterm
        self.undo_inflight_shortterm = self.model.inflight_shortterm
        self.undo_inflight_longterm = self.model.inflight_longterm
