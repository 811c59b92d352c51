"""BBR: a congestion controller that paces by a model of the path (draft-ietf-ccwg-bbr).

Theory of operation. Loss-based controllers fill the queue of the bottleneck until it overflows. BBR estimates
two quantities of the path instead, and sends at the rate at which the path delivers:

- ``max_bw``, the maximum of the delivery rates of the last two probing cycles, in octets a second;
- ``min_rtt``, the minimum round trip of the last ten seconds, in microseconds.

Their product is the bandwidth-delay product (BDP): the octets that fill the path and leave its queue empty.
The pacing rate is ``pacing_gain * bw``. The window is ``cwnd_gain * BDP``, plus an allowance for ACKs that
arrive in bursts; it limits what is in flight when ACKs stop arriving. ``bw`` is ``max_bw``, bounded by what
losses showed (`short_term`).

The two can't be measured at once: to see more bandwidth, BBR must fill the queue; to see the minimum round
trip, BBR must let the queue become empty. So BBR alternates between seven states, each with its gains::

    STARTUP    pace 2.77    double each round trip, until the rate grew by less than a quarter for three
       │                    rounds, or too much was lost
       ▼
    DRAIN      pace 0.50    empty the queue that STARTUP left, until flight <= BDP
       │
       ▼
    PROBE_BW_DOWN   0.90 ──► PROBE_BW_CRUISE  1.00 ──► PROBE_BW_REFILL  1.00 ──► PROBE_BW_UP  1.25
       ▲ drain the queue     keep the rate until 2 to  fill the path for one     look for more bandwidth,
       │                     3 s have passed, or the   round trip                until the rate stops growing
       │                     time of Reno's sawtooth                             or too much is lost
       └───────────────────────────────────────────────────────────────────────────────┘

    PROBE_RTT  window 0.5   from any state, where no shorter round trip was seen for five seconds: keep half
                            a BDP in flight for 200 ms and a round trip, so that the queue is empty

Loss lowers two kinds of bounds. ``inflight_longterm`` is the volume in flight at which a probe lost more than
2 %; probes raise it. ``bw_shortterm`` and ``inflight_shortterm`` fall by 30 % in each round with losses, and
are lifted before the next probe.

`PathModel` estimates the path, `ControlParameters` computes pacing rate and window from the estimates, and
this module has the states. Variables and states have the draft's names.
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

STARTUP_FULL_LOSSES: Final = 6  # STARTUP ends only if at least so many ACKs of one round report losses
DRAIN_ROUNDS: Final = 3  # round trips after which DRAIN ends even if the queue isn't empty
PROBE_RTT_DURATION: Final = 200 * MILLISECOND  # how long PROBE_RTT keeps the flight small
SHORTEST_PROBE_WAIT: Final = 2 * SECOND  # least random wait until a probe for bandwidth is due
MOST_PROBE_ROUNDS: Final = 63  # round trips between two probes at most


@mypyc_attr(allow_interpreted_subclasses=True)
class BBR(ControlParameters):
    """Controller of draft-ietf-ccwg-bbr: it paces at the rate of the path, with about two BDP in flight.

    The controller works on rate samples. Where recovery gives none, the window stays near the initial window
    (4.1.3.6 of the draft).

    The public attributes are the draft's variables, and may change when the draft changes.
    """

    window: int  # as in the base classes: type checkers want a declaration in each class that writes it
    full_bw_reached: bool

    def __init__(self, smss: int, initial_window: int, seed: int = 0) -> None:
        """Create the controller; arguments are those of `Congestion`. ``seed`` varies the times of probes."""
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
        self._repaired_at = INFINITE  # position of SND.UNA at which the recovery after a timeout ends
        self._max = 0  # position of SND.MAX at the last ACK
        self._limited_round = -2  # the last round in which the window was full
        self._random = Xorshift(seed)

    # Calls of the connection

    def observed(self, sample: Sample, now: int) -> None:
        """Update the model, the state, and then pacing rate and window by one ACK (5.2.3 of the draft)."""
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
        """Do nothing: `observed` sets the window by every ACK."""

    def lost(self, flight: int, now: int) -> None:
        """Note that recovery begins.

        `observed` has noted the loss already and has saved the window as it was before that ACK. Only where a
        tail probe repaired the loss, this method does so.
        """
        if not self.model.rs.newly_lost:
            self._save_cwnd()
            self._note_loss()
        self._is_in_recovery = True
        self._recovery_round = self.model.round_count

    def marked(self, flight: int, now: int) -> None:
        """Treat an ECN mark as a loss above the threshold of 2 % (BBR-ecn)."""
        self._note_loss()
        if self.state is STARTUP:
            self._end_startup()
            self._enter_drain()
        elif self.probe.is_sample:
            self._handle_inflight_too_high(flight, now)

    def recovered(self, flight: int, now: int) -> None:
        """End recovery: restore the window that was saved at its beginning."""
        self._is_in_recovery = False
        self._repaired_at = INFINITE
        self._restore_cwnd()
        self._bound_cwnd()

    def timed_out(self, flight: int, now: int, *, again: bool) -> None:
        """Set the window to one segment; restore it once what is in flight now is acknowledged."""
        self._save_state_upon_loss()
        self._is_in_recovery = True
        self._recovery_round = self.model.round_count
        self._repaired_at = self._max
        self.window: int = self.smss

    def idled(self, now: int) -> None:
        """Keep the window after idle time: the model is valid, and pacing prevents a burst (draft, 5.4.1)."""

    def started(self, now: int) -> None:
        """Pace at the estimated bandwidth after idle time, and begin to count ACK aggregation anew."""
        self.idle_restart = True
        self.model.aggregation.begin(now)
        if self.state in PROBE_BW:
            self._set_pacing_rate(100)
        elif self.state is PROBE_RTT:
            self._check_probe_rtt_done(now)

    def undo(self, limit: int, now: int) -> None:
        """Restore window, bounds and state after a spurious loss (HandleSpuriousLossDetection).

        ``limit`` is ignored, because pacing prevents a burst.
        """
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

    # Steps of each ACK (5.2.3 of the draft)

    def _update_state(self, sample: Sample, now: int) -> None:
        """Update the model, and change the state where the present one is over (UpdateModelAndState)."""
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
        """Set pacing rate, send quantum and window (UpdateControlParameters)."""
        self._set_pacing_rate(self.pacing_gain)
        self._set_send_quantum()
        if sample.una >= self._repaired_at:
            self._repaired_at = INFINITE
            self._is_in_recovery = False
            self._restore_cwnd()
        self._set_cwnd(sample.delivered)

    # Startup and Drain (5.3.1, 5.3.2)

    def _check_full_bw_reached(self) -> None:
        """At the end of a round, check whether the delivery rate still grows (CheckFullBWReached)."""
        model, plateau = self.model, self.plateau
        if plateau.is_reached or not model.round_start or model.rs.is_app_limited:
            return
        if plateau.update(model.rs.delivery_rate):
            self.full_bw_reached = True

    def _check_startup_done(self) -> None:
        """Leave STARTUP for DRAIN once the path is full, by its rate or by losses (CheckStartupDone)."""
        if self.state is not STARTUP:
            return
        self._check_startup_high_loss()
        if self.full_bw_reached:
            self._enter_drain()

    def _check_startup_high_loss(self) -> None:
        """End STARTUP after a round of recovery with high loss (CheckStartupHighLoss).

        The loss is high if in a full round six ACKs or more reported losses, and if these are more than 2 %
        of the octets that were in flight.
        """
        model = self.model
        is_lossy_round = (
            model.short_term.loss_round_start
            and model.short_term.loss_events >= STARTUP_FULL_LOSSES
            and model.rs.is_inflight_too_high
        )
        if is_lossy_round and self._is_in_recovery and model.round_count > self._recovery_round:
            self._end_startup()

    def _end_startup(self) -> None:
        """Note that the path is full, because losses or a mark said so, and bound what is in flight."""
        self.before_loss.note_end_of(STARTUP)
        self.plateau.reach()
        self.full_bw_reached = True
        self.model.inflight_longterm = max(self._bdp(), self.model.short_term.inflight_latest)

    def _enter_drain(self) -> None:
        """Enter DRAIN, and note the round."""
        self._enter(DRAIN)
        self.drain_start_round = self.model.round_count

    def _check_drain_done(self, flight: int, now: int) -> None:
        """Leave DRAIN once the queue is empty, or after three rounds (CheckDrainDone)."""
        if self.state is not DRAIN:
            return
        if (
            flight <= self._inflight(self.model.bw)
            or self.model.round_count > self.drain_start_round + DRAIN_ROUNDS
        ):
            self._start_down(now)

    # ProbeBW (5.3.3 of the draft)

    def _update_probe_bw_cycle_phase(self, sample: Sample, now: int) -> None:
        """Enter the next state of ProbeBW's cycle if the present one is over (UpdateProbeBWCyclePhase)."""
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
        """Raise inflight_longterm where not too much was lost; return whether the state was changed."""
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
        """End a probe after its last rate samples; return whether the next probe begins at once.

        The next probe begins at once where this probe ended early as a precaution and didn't lose too much.
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
        """Raise inflight_longterm while a probe is limited by it, twice as fast each round."""
        model = self.model
        if not self._is_cwnd_limited or self.window < model.inflight_longterm:
            return
        model.inflight_longterm += self.probe.claim_growth(newly_acked) * self.smss
        if model.round_start:
            self.probe.raise_slope(self.window, self.smss)

    def _start_down(self, now: int) -> None:
        """Enter PROBE_BW_DOWN, and choose when to probe next (StartProbeBW_DOWN)."""
        self.model.short_term.reset_congestion_signals()
        self.probe.start_down(self._pick_probe_wait(), now)
        self.model.start_round()
        self._enter(PROBE_BW_DOWN)

    def _start_refill(self) -> None:
        """Enter PROBE_BW_REFILL, without the short-term bounds (StartProbeBW_REFILL)."""
        self.model.short_term.reset()
        self.probe.start_refill()
        self.model.start_round()
        self._enter(PROBE_BW_REFILL)

    def _start_up(self) -> None:
        """Enter PROBE_BW_UP (StartProbeBW_UP)."""
        self.model.start_round()
        self.plateau.reset(self.model.rs.delivery_rate)
        self._enter(PROBE_BW_UP)
        self.probe.start_up(self.window, self.smss)

    def _probes_when_due(self, now: int) -> bool:
        """Begin the next probe if it is due; returns whether it was (IsTimeToProbeBW)."""
        # IsRenoCoexistenceProbeTime: about as many rounds as a Reno flow takes between two losses
        rounds = min(min(self._bdp(), self.window) // self.smss, MOST_PROBE_ROUNDS)
        is_due = self.probe.is_due(now) or self.model.rounds_since_probe_up >= rounds
        if is_due:
            self._start_refill()
        return is_due

    def _pick_probe_wait(self) -> int:
        """Return microseconds until the next probe: 2 to 3 s, at random (PickProbeWait).

        A random time keeps flows from probing all at once.
        """
        self.model.rounds_since_probe_up = self._random.below(2)
        return SHORTEST_PROBE_WAIT + self._random.below(SECOND + 1)

    def _is_time_to_cruise(self, flight: int) -> bool:
        """Say whether the queue is drained and there is headroom (IsTimeToCruise)."""
        return flight <= self._inflight_with_headroom() and flight <= self._inflight(self.model.max_bw)

    def _is_time_to_go_down(self, flight: int) -> bool:
        """Say whether the probe is to end (IsTimeToGoDown).

        ``flight`` is what was in flight before this ACK: with a full window, what remains after the ACK never
        reaches the bound.
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
        """Whether the window was full at any time of the last round trip."""
        return self._limited_round >= self.model.round_count - 1

    # ProbeRTT (5.3.4 of the draft)

    def _check_probe_rtt(self, flight: int, now: int) -> None:
        """Enter PROBE_RTT where no shorter round trip was seen for long (CheckProbeRTT)."""
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
        """Wait in PROBE_RTT for the flight to fall, and then 200 ms and a round trip (HandleProbeRTT)."""
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
        """Leave PROBE_RTT once its time is over (CheckProbeRTTDone)."""
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

    # Loss (5.5.10 of the draft)

    def _handle_loss(self, now: int) -> None:
        """Note what an ACK found lost (HandleLostPacket, called once for each ACK).

        The newest segment that arrived stands for the lost ones, because its record has the octets in flight
        when it was sent.
        """
        if not self._is_in_recovery:
            self._save_cwnd()
        self._note_loss()
        self.model.short_term.count_loss()
        if self.probe.is_sample and self.model.rs.is_inflight_too_high:
            self._handle_inflight_too_high(self.model.rs.inflight_at_loss, now)

    def _handle_inflight_too_high(self, tx_in_flight: int, now: int) -> None:
        """Lower inflight_longterm: at ``tx_in_flight`` octets too much was lost (HandleInflightTooHigh)."""
        self.probe.note_too_high()
        if not self.model.rs.is_app_limited:
            target = min(self._bdp(), self.window)
            self.model.inflight_longterm = max(tx_in_flight, BETA_PERCENT * target // 100)
        if self.state is PROBE_BW_UP:
            self.before_loss.note_end_of(PROBE_BW_UP)
            self._start_down(now)

    def _note_loss(self) -> None:
        """Note a loss, and at the first of a round save what `undo` needs (NoteLoss)."""
        if self.model.note_loss():
            self._save_state_upon_loss()

    def _save_state_upon_loss(self) -> None:
        """Save the window and the bounds for `undo` (SaveStateUponLoss)."""
        self._save_cwnd()
        self.before_loss.save(self.model)
