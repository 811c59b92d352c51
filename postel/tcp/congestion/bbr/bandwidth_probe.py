"""Probing for bandwidth in ProbeBW: when, how fast, and with which result (draft-ietf-ccwg-bbr, 5.3.3)."""

from enum import Enum, auto

from postel.tcp.congestion.bbr.short_term import INFINITE


class AckPhase(Enum):
    """Part of a probe in which the segments were sent that are acknowledged now (2.13 of the draft)."""

    INIT = auto()
    REFILLING = auto()
    PROBE_STARTING = auto()
    PROBE_FEEDBACK = auto()
    PROBE_STOPPING = auto()


class BandwidthProbe:
    """Variables of ProbeBW, without the draft's ``bw_probe_`` before their names; microseconds and octets."""

    __slots__ = (
        "ack_phase",
        "acked_per_inc",
        "cycle_stamp",
        "is_sample",
        "prev_precautionary",
        "prev_too_high",
        "up_acked",
        "up_rounds",
        "wait",
    )

    def __init__(self) -> None:
        """Create the state with no probe under way."""
        self.ack_phase: AckPhase = AckPhase.INIT
        self.cycle_stamp: int = 0
        self.wait: int = 0
        self.up_rounds: int = 0
        self.up_acked: int = 0
        self.acked_per_inc: int = INFINITE  # inflight_longterm grows by one segment for so many octets acked
        self.is_sample: bool = False  # the ACKs that arrive now are for segments of a probe
        self.prev_too_high: bool = False  # the last probe lost too much
        # The last probe ended at the volume in flight at which the probe before it lost too much
        self.prev_precautionary: bool = False

    def start_up(self, window: int, smss: int) -> None:
        """Begin the probe: from now on segments are sent faster than the estimated bandwidth."""
        self.is_sample = True
        self.ack_phase = AckPhase.PROBE_STARTING
        self.raise_slope(window, smss)

    def hear_feedback(self) -> None:
        """Note that the first round of the probe is over: ACKs of its segments arrive now."""
        if self.ack_phase is AckPhase.PROBE_STARTING:
            self.ack_phase = AckPhase.PROBE_FEEDBACK

    def stop(self) -> None:
        """Note that the probe sends no more segments, while ACKs of its segments still arrive."""
        self.ack_phase = AckPhase.PROBE_STOPPING

    def end(self) -> None:
        """Note that the last ACK of a segment of the probe has arrived."""
        self.is_sample = False
        self.ack_phase = AckPhase.INIT

    def note_too_high(self) -> None:
        """Note that the probe lost too much."""
        self.prev_too_high = True
        self.is_sample = False

    def note_full(self) -> None:
        """Note that the probe filled the path without losing too much."""
        self.prev_too_high = False

    def note_precaution(self) -> None:
        """Note that the probe ends at the volume in flight at which the probe before it lost too much."""
        self.prev_precautionary = True

    def start_down(self, wait: int, now: int) -> None:
        """Begin to drain the queue of the last probe; the next is due ``wait`` microseconds after ``now``."""
        self.acked_per_inc = INFINITE
        self.wait = wait
        self.cycle_stamp = now
        self.stop()

    def start_refill(self) -> None:
        """Begin to fill the path for one round trip, before the probe."""
        self.up_rounds = 0
        self.up_acked = 0
        self.prev_precautionary = False
        self.ack_phase = AckPhase.REFILLING

    def is_due(self, now: int) -> bool:
        """Say whether the wait for the next probe is over."""
        return now > self.cycle_stamp + self.wait

    def raise_slope(self, window: int, smss: int) -> None:
        """Let inflight_longterm grow twice as fast as in the round before (RaiseInflightLongtermSlope)."""
        growth_this_round = 1 << self.up_rounds
        self.up_rounds = min(self.up_rounds + 1, 30)
        self.acked_per_inc = max(window // growth_this_round, smss)

    def claim_growth(self, newly_acked: int) -> int:
        """Return by how many segments inflight_longterm grows for ``newly_acked`` octets.

        The rest of the octets counts with the next ACK.
        """
        self.up_acked += newly_acked
        delta = self.up_acked // self.acked_per_inc
        self.up_acked -= delta * self.acked_per_inc
        return delta
