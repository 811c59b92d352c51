"""Pacing rate, send quantum and window, computed from BBR's model and state (draft-ietf-ccwg-bbr, 5.6)."""

from enum import Enum, auto
from typing import ClassVar, Final

from postel.compiler import mypyc_attr
from postel.tcp.congestion import Congestion
from postel.tcp.congestion.bbr.path_model import PathModel
from postel.tcp.congestion.bbr.short_term import INFINITE
from postel.times import MILLISECOND, SECOND


class BbrState(Enum):
    """State of BBR (5.1.1 of the draft; see `postel.tcp.congestion.bbr`)."""

    STARTUP = auto()
    DRAIN = auto()
    PROBE_BW_DOWN = auto()
    PROBE_BW_CRUISE = auto()
    PROBE_BW_REFILL = auto()
    PROBE_BW_UP = auto()
    PROBE_RTT = auto()


STARTUP, DRAIN, PROBE_RTT = BbrState.STARTUP, BbrState.DRAIN, BbrState.PROBE_RTT
PROBE_BW_DOWN, PROBE_BW_CRUISE = BbrState.PROBE_BW_DOWN, BbrState.PROBE_BW_CRUISE
PROBE_BW_REFILL, PROBE_BW_UP = BbrState.PROBE_BW_REFILL, BbrState.PROBE_BW_UP
PROBE_BW: Final = (PROBE_BW_DOWN, PROBE_BW_CRUISE, PROBE_BW_REFILL, PROBE_BW_UP)

GAINS: Final = {  # pacing gain and window gain of each state, in percent (5.6.1 of the draft)
    STARTUP: (277, 200),  # BBR-startup
    DRAIN: (50, 200),  # BBR-drain
    PROBE_BW_DOWN: (90, 200),  # BBR-probebw
    PROBE_BW_CRUISE: (100, 200),
    PROBE_BW_REFILL: (100, 200),
    PROBE_BW_UP: (125, 225),
    PROBE_RTT: (100, 50),
}
PACING_MARGIN_PERCENT: Final = 1  # the pace stays so far below the estimated bandwidth, so that queues drain
HEADROOM_PERCENT: Final = 15  # share of inflight_longterm that is left for other flows
MIN_PIPE_SEGMENTS: Final = 4  # least window in segments
LARGEST_QUANTUM: Final = 64 * 1024  # largest send quantum in octets


@mypyc_attr(allow_interpreted_subclasses=True)
class ControlParameters(Congestion):
    """Base class of `BBR`: pacing rate, send quantum and window by the model and the state.

    `BBR` updates the model and chooses the state.

    ``send_quantum`` is the most that should be sent at once, in octets (5.6.3 of the draft).
    """

    window: int  # as in `Congestion`: type checkers want a declaration in each class that writes an attribute
    pacing_rate: int
    is_model: ClassVar[bool] = True

    def __init__(self, smss: int, initial_window: int, seed: int = 0) -> None:
        """Create the parameters of STARTUP; arguments are those of `Congestion`."""
        super().__init__(smss, initial_window, seed)
        self.model: PathModel = PathModel()
        self.state: BbrState = STARTUP
        self.pacing_gain: int = GAINS[STARTUP][0]
        self.cwnd_gain: int = GAINS[STARTUP][1]
        self.max_inflight: int = 0
        self.send_quantum: int = 2 * smss
        self.full_bw_reached: bool = False
        self.prior_cwnd: int = 0
        self._is_in_recovery = False
        self._pace(MILLISECOND)

    def _enter(self, state: BbrState) -> None:
        """Enter a state, and take its gains."""
        self.state = state
        self.pacing_gain, self.cwnd_gain = GAINS[state]

    # Pacing rate, quantum and window

    def _pace(self, round_trip: int) -> None:
        """Set the first pacing rate (InitPacingRate).

        The rate is the initial window per ``round_trip`` (microseconds), times STARTUP's gain.
        """
        self.pacing_rate = GAINS[STARTUP][0] * self.initial_window * SECOND // (100 * round_trip)

    def _set_pacing_rate(self, gain: int) -> None:
        """Set the pacing rate to ``gain`` percent of the bandwidth; in STARTUP never lower it."""
        rate = gain * self.model.bw * (100 - PACING_MARGIN_PERCENT) // 10_000
        if rate and (self.full_bw_reached or rate > self.pacing_rate):
            self.pacing_rate = rate

    def _set_send_quantum(self) -> None:
        """Set the send quantum to what the pace sends in a millisecond, within bounds."""
        self.send_quantum = max(
            min(self.pacing_rate * MILLISECOND // SECOND, LARGEST_QUANTUM), 2 * self.smss
        )  # BBR-cwnd

    def _bdp(self) -> int:
        """Return the bandwidth-delay product in octets."""
        return self._bdp_of(self.model.bw)

    def _bdp_of(self, bandwidth: int) -> int:
        """Return the bandwidth-delay product of a bandwidth; before any round trip, the initial window."""
        min_rtt = self.model.min_rtt.value
        return self.initial_window if min_rtt == INFINITE else bandwidth * min_rtt // SECOND

    def _inflight(self, bandwidth: int) -> int:
        """Return the octets in flight that a bandwidth needs, with allowance for bursts."""
        return self._quantized(self._bdp_of(bandwidth))

    def _quantized(self, inflight: int) -> int:
        """Add an allowance to a volume in flight (QuantizationBudget).

        At least three send quanta are on their way through the two hosts; PROBE_BW_UP needs two segments
        more.
        """
        inflight = max(inflight, 3 * self.send_quantum, self._min_pipe_cwnd)
        return inflight + 2 * self.smss if self.state is PROBE_BW_UP else inflight

    @property
    def _min_pipe_cwnd(self) -> int:
        """Lower bound of the window in octets."""
        return MIN_PIPE_SEGMENTS * self.smss

    def _inflight_with_headroom(self) -> int:
        """Return inflight_longterm less the headroom for other flows."""
        longterm = self.model.inflight_longterm
        if longterm == INFINITE:
            return INFINITE
        return max(longterm - max(self.smss, HEADROOM_PERCENT * longterm // 100), self._min_pipe_cwnd)

    def _probe_rtt_cwnd(self) -> int:
        """Return the window of PROBE_RTT in octets: half a BDP."""
        return max(GAINS[PROBE_RTT][1] * self._bdp() // 100, self._min_pipe_cwnd)

    def _set_cwnd(self, newly_acked: int) -> None:
        """Let the window grow towards gain times BDP by what was acknowledged (SetCwnd)."""
        self.max_inflight = self._quantized(
            self.cwnd_gain * self._bdp() // 100 + self.model.aggregation.extra_acked
        )
        if self.full_bw_reached:
            self.window = min(self.window + newly_acked, self.max_inflight)
        elif self.window < self.max_inflight or self.model.delivered < self.initial_window:
            self.window += newly_acked
        self._bound_cwnd()

    def _bound_cwnd(self) -> None:
        """Bound the window for PROBE_RTT and by the model (BoundCwndForProbeRTT, BoundCwndForModel)."""
        self.window = max(self.window, self._min_pipe_cwnd)
        if self.state is PROBE_RTT:
            self.window = min(self.window, self._probe_rtt_cwnd())
        cap = INFINITE
        if self.state in (PROBE_RTT, PROBE_BW_CRUISE):
            cap = self._inflight_with_headroom()
        elif self.state in PROBE_BW:
            cap = self.model.inflight_longterm
        self.window = min(self.window, max(min(cap, self.model.short_term.inflight), self._min_pipe_cwnd))

    def _save_cwnd(self) -> None:
        """Save the window before a loss or PROBE_RTT reduces it (SaveCwnd)."""
        if self._is_in_recovery or self.state is PROBE_RTT:
            self.prior_cwnd = max(self.prior_cwnd, self.window)
        else:
            self.prior_cwnd = self.window

    def _restore_cwnd(self) -> None:
        """Restore at least the window that was saved (RestoreCwnd)."""
        self.window = max(self.window, self.prior_cwnd)
