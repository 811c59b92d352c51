"""Probing for bandwidth: when the next probe is due, how fast it grows, and what came of the last
(draft-ietf-ccwg-bbr, 5.3.3).
"""

from enum import Enum, auto

from postel.tcp.congestion.bbr.short_term import INFINITE


class AckPhase(Enum):
    """What the ACKs say of bandwidth probing (2.13)."""

    INIT = auto()
    REFILLING = auto()
    PROBE_STARTING = auto()
    PROBE_FEEDBACK = auto()
    PROBE_STOPPING = auto()


class BandwidthProbe:
    """The draft's variables of ProbeBW, without the ``bw_probe_`` of their names. Times are microseconds,
    volumes octets.
    """

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
        self.ack_phase: AckPhase = AckPhase.INIT
        self.cycle_stamp: int = 0
        self.wait: int = 0
        self.up_rounds: int = 0
        self.up_acked: int = 0
        self.acked_per_inc: int = (
            INFINITE  # so many octets acknowledged let inflight_longterm grow by one segment
        )
        self.is_sample: bool = False  # the ACKs that arrive now are for segments that probed
        self.prev_too_high: bool = False
        self.prev_precautionary: bool = False

    def start_up(self, window: int, smss: int) -> None:
        """The path is full: from now on segments probe."""
        self.is_sample = True
        self.ack_phase = AckPhase.PROBE_STARTING
        self.raise_slope(window, smss)

    def hear_feedback(self) -> None:
        """The first round of the probe is over: ACKs tell of its segments."""
        if self.ack_phase is AckPhase.PROBE_STARTING:
            self.ack_phase = AckPhase.PROBE_FEEDBACK

    def stop(self) -> None:
        """No segment probes any more, but ACKs still tell of those that did."""
        self.ack_phase = AckPhase.PROBE_STOPPING

    def end(self) -> None:
        """The last ACK of a segment that probed has arrived."""
        self.is_sample = False
        self.ack_phase = AckPhase.INIT

    def note_too_high(self) -> None:
        """The probe lost too much."""
        self.prev_too_high = True
        self.is_sample = False

    def note_full(self) -> None:
        """The probe filled the path without losing too much."""
        self.prev_too_high = False

    def note_precaution(self) -> None:
        """The probe ends at the volume at which the one before lost too much."""
        self.prev_precautionary = True

    def start_down(self, wait: int, now: int) -> None:
        """Drain what the last probe left in the queue; the next is due ``wait`` microseconds after
        ``now``.
        """
        self.acked_per_inc = INFINITE
        self.wait = wait
        self.cycle_stamp = now
        self.stop()

    def start_refill(self) -> None:
        """Fill the path once, for the probe to begin."""
        self.up_rounds = 0
        self.up_acked = 0
        self.prev_precautionary = False
        self.ack_phase = AckPhase.REFILLING

    def is_due(self, now: int) -> bool:
        """Whether the wait for the next probe is over."""
        return now > self.cycle_stamp + self.wait

    def raise_slope(self, window: int, smss: int) -> None:
        """RaiseInflightLongtermSlope: each round grows by twice as many segments as the one before."""
        growth_this_round = 1 << self.up_rounds
        self.up_rounds = min(self.up_rounds + 1, 30)
        self.acked_per_inc = max(window // growth_this_round, smss)

    def claim_growth(self, newly_acked: int) -> int:
        """How many segments inflight_longterm grows by, now that ``newly_acked`` octets more are
        acknowledged.
        """
        self.up_acked += newly_acked
        delta = self.up_acked // self.acked_per_inc
        self.up_acked -= delta * self.acked_per_inc
        return delta
