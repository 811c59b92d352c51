"""BBR (draft-ietf-ccwg-bbr): a controller that keeps to a model of the path, at a pace of its own.

What it knows of the path is in `PathModel`, what it makes of that in `ControlParameters`. Here is the machine
of seven states between them, which probes for more bandwidth and drains what that left in the queue. Names
are the draft's.
"""

from typing import Final

from postel.compiler import mypyc_attr
from postel.tcp.congestion import Sample
from postel.tcp.congestion.bbr.bandwidth_probe import AckPhase, BandwidthProbe
from postel.tcp.congestion.bbr.before_loss import BeforeLoss
from postel.tcp.congestion.bbr.control_parameters import (
    DRAIN,
    PROBE_BW,
    PROBE_BW_CRUISE,
    PROBE_BW_DOWN,
    PROBE_BW_REFILL,
    PROBE_BW_UP,
    PROBE_RTT,
    STARTUP,
    ControlParameters,
)
from postel.tcp.congestion.bbr.plateau import Plateau
from postel.tcp.congestion.bbr.short_term import BETA_PERCENT, INFINITE
from postel.tcp.congestion.xorshift import Xorshift
from postel.times import MILLISECOND, SECOND

STARTUP_FULL_LOSSES: Final = 6
DRAIN_ROUNDS: Final = 3
PROBE_RTT_DURATION: Final = 200 * MILLISECOND
SHORTEST_PROBE_WAIT: Final = 2 * SECOND
MOST_PROBE_ROUNDS: Final = 63


@mypyc_attr(allow_interpreted_subclasses=True)
class BBR(ControlParameters):
    """Paces at what the path delivers, and keeps twice in flight what fits into it.

    It lives on samples. Where recovery has none, as without SACK, it stays near the initial window (4.1.3.6
    of the draft).
    """

    window: int  # of the bases: type checkers want a declaration in each class that writes it
    full_bw_reached: bool

    def __init__(self, smss: int, initial_window: int, seed: int = 0) -> None:
        super().__init__(smss, initial_window, seed)
        self.plateau: Plateau = Plateau()
        self.drain_start_round: int = 0
        self.probe: BandwidthProbe = BandwidthProbe()
        self.probe_rtt_done_stamp: int = 0
        self.probe_rtt_round_done: bool = False
        self.idle_restart: bool = False
        self.before_loss: BeforeLoss = BeforeLoss()
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
        if model.rs.newly_lost:
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
        """`observed` has noted the loss, and saved the window as it was before that ACK, unless a tail probe
        repaired it.
        """
        if not self.model.rs.newly_lost:
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
        elif self.probe.is_sample:
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
        self.model.aggregation.begin(now)
        if self.state in PROBE_BW:
            self._set_pacing_rate(100)
        elif self.state is PROBE_RTT:
            self._check_probe_rtt_done(now)

    def undo(self, limit: int, now: int) -> None:
        """HandleSpuriousLossDetection. Its pace makes a burst impossible, so it heeds no ``limit``."""
        model, before = self.model, self.before_loss
        self._is_in_recovery = False
        self._repaired_at = INFINITE
        self._restore_cwnd()
        model.short_term.forget_loss()
        self.plateau.reset()
        before.restore(model)
        if before.state is STARTUP and self.state is not STARTUP:
            self.full_bw_reached = False
            if self.state is not PROBE_RTT:
                self._enter(STARTUP)
        elif before.state is PROBE_BW_UP and self.state is not PROBE_BW_UP and self.state is not PROBE_RTT:
            self._start_refill()
        before.forget_state()

    # Per ACK (5.2.3)

    def _update_state(self, sample: Sample, now: int) -> None:
        model = self.model
        model.adapt_lower_bounds(self.window, probes=self.state in (STARTUP, PROBE_BW_REFILL, PROBE_BW_UP))
        model.update_ack_aggregation(sample.delivered, self.window, now, full_bw_reached=self.full_bw_reached)
        self._check_full_bw_reached()
        self._check_startup_done()
        self._check_drain_done(sample.flight, now)
        self._update_probe_bw_cycle_phase(sample, now)
        model.min_rtt.update(sample.round_trip, now)
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

    def _check_full_bw_reached(self) -> None:
        model, plateau = self.model, self.plateau
        if plateau.is_reached or not model.round_start or model.rs.is_app_limited:
            return
        if plateau.update(model.rs.delivery_rate):
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
        is_lossy_round = (
            model.short_term.loss_round_start
            and model.short_term.loss_events >= STARTUP_FULL_LOSSES
            and model.rs.is_inflight_too_high
        )
        if is_lossy_round and self._is_in_recovery and model.round_count > self._recovery_round:
            self._end_startup()

    def _end_startup(self) -> None:
        self.before_loss.note_end_of(STARTUP)
        self.plateau.reach()
        self.full_bw_reached = True
        self.model.inflight_longterm = max(self._bdp(), self.model.short_term.inflight_latest)

    def _enter_drain(self) -> None:
        self._enter(DRAIN)
        self.drain_start_round = self.model.round_count

    def _check_drain_done(self, flight: int, now: int) -> None:
        if self.state is not DRAIN:
            return
        if (
            flight <= self._inflight(self.model.bw)
            or self.model.round_count > self.drain_start_round + DRAIN_ROUNDS
        ):
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
                self._start_up()
        elif self.state is PROBE_BW_UP and self._is_time_to_go_down(sample.flight_before):
            self.probe.note_full()
            self._start_down(now)

    def _adapt_long_term_model(self, newly_acked: int) -> bool:
        """Whether it decided on a state."""
        model = self.model
        if model.round_start:
            self.probe.hear_feedback()
        if self.probe.ack_phase is AckPhase.PROBE_STOPPING and model.round_start and self._ends_probe():
            return True
        if model.rs.is_inflight_too_high or model.inflight_longterm == INFINITE:
            return False
        model.inflight_longterm = max(model.inflight_longterm, model.rs.tx_in_flight)
        if self.state is PROBE_BW_UP:
            self._probe_inflight_longterm_upward(newly_acked)
        return False

    def _ends_probe(self) -> bool:
        """The last samples of a probe are in. Whether the next begins at once, for that one was a precaution,
        and went well.
        """
        self.probe.end()
        if self.state not in PROBE_BW:
            return False
        if not self.model.rs.is_app_limited:
            self.model.cycle_count += 1  # AdvanceMaxBwFilter
        if not self.probe.prev_precautionary or self.probe.prev_too_high:
            return False
        self._start_refill()
        return True

    def _probe_inflight_longterm_upward(self, newly_acked: int) -> None:
        model = self.model
        if not self._is_cwnd_limited or self.window < model.inflight_longterm:
            return
        model.inflight_longterm += self.probe.claim_growth(newly_acked) * self.smss
        if model.round_start:
            self.probe.raise_slope(self.window, self.smss)

    def _start_down(self, now: int) -> None:
        self.model.short_term.reset_congestion_signals()
        self.probe.start_down(self._pick_probe_wait(), now)
        self.model.start_round()
        self._enter(PROBE_BW_DOWN)

    def _start_refill(self) -> None:
        self.model.short_term.reset()
        self.probe.start_refill()
        self.model.start_round()
        self._enter(PROBE_BW_REFILL)

    def _start_up(self) -> None:
        self.model.start_round()
        self.plateau.reset(self.model.rs.delivery_rate)
        self._enter(PROBE_BW_UP)
        self.probe.start_up(self.window, self.smss)

    def _probes_when_due(self, now: int) -> bool:
        rounds = min(
            min(self._bdp(), self.window) // self.smss, MOST_PROBE_ROUNDS
        )  # IsRenoCoexistenceProbeTime
        is_due = self.probe.is_due(now) or self.model.rounds_since_probe_up >= rounds
        if is_due:
            self._start_refill()
        return is_due

    def _pick_probe_wait(self) -> int:
        """PickProbeWait: at another time than other flows, lest all of them probe at once. In
        microseconds.
        """
        self.model.rounds_since_probe_up = self._random.below(2)
        return SHORTEST_PROBE_WAIT + self._random.below(SECOND + 1)

    def _is_time_to_cruise(self, flight: int) -> bool:
        return flight <= self._inflight_with_headroom() and flight <= self._inflight(self.model.max_bw)

    def _is_time_to_go_down(self, flight: int) -> bool:
        """Of ``flight`` before this ACK: with a full window, what remains after it never reaches the
        bound.
        """
        if self.probe.prev_too_high and flight >= self.model.inflight_longterm:
            self.probe.note_precaution()
            return True
        if self._is_cwnd_limited and self.window >= self.model.inflight_longterm:
            self.plateau.reset(self.model.rs.delivery_rate)
            return False
        return self.plateau.is_reached

    @property
    def _is_cwnd_limited(self) -> bool:
        """At any point of the last round trip."""
        return self._limited_round >= self.model.round_count - 1

    # ProbeRTT (5.3.4)

    def _check_probe_rtt(self, flight: int, now: int) -> None:
        if self.state is not PROBE_RTT and self.model.min_rtt.probe_rtt_expired and not self.idle_restart:
            self._enter(PROBE_RTT)
            self._save_cwnd()
            self.probe_rtt_done_stamp = 0
            self.probe.stop()
            self.model.start_round()
        if self.state is PROBE_RTT:
            self._handle_probe_rtt(flight, now)
        if self.model.rs.delivered > 0:
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
        self.model.min_rtt.restart_interval(now)
        self._restore_cwnd()
        self.model.short_term.reset()
        if self.full_bw_reached:
            self._start_down(now)
            self._enter(PROBE_BW_CRUISE)
        else:
            self._enter(STARTUP)

    # Loss (5.5.10)

    def _handle_loss(self, now: int) -> None:
        """HandleLostPacket, once an ACK: of what was newly lost, the newest segment that arrived knows what
        flew beside it.
        """
        if not self._is_in_recovery:
            self._save_cwnd()
        self._note_loss()
        self.model.short_term.count_loss()
        if self.probe.is_sample and self.model.rs.is_inflight_too_high:
            self._handle_inflight_too_high(self.model.rs.inflight_at_loss, now)

    def _handle_inflight_too_high(self, tx_in_flight: int, now: int) -> None:
        self.probe.note_too_high()
        if not self.model.rs.is_app_limited:
            target = min(self._bdp(), self.window)
            self.model.inflight_longterm = max(tx_in_flight, BETA_PERCENT * target // 100)
        if self.state is PROBE_BW_UP:
            self.before_loss.note_end_of(PROBE_BW_UP)
            self._start_down(now)

    def _note_loss(self) -> None:
        if self.model.note_loss():
            self._save_state_upon_loss()

    def _save_state_upon_loss(self) -> None:
        self._save_cwnd()
        self.before_loss.save(self.model)
