"""HyStart++: end the first slow start when round trips grow longer, before the queue overflows (RFC 9406).

Theory of operation. Slow start doubles the window each round trip until something is lost, so it overshoots
by up to a whole window. Before the queue of the bottleneck overflows, it grows, and with it the round trip.
HyStart++ compares the minimum round trip of each round with that of the round before::

    slow start ──── minimum grew by 4 to 16 ms ────► Conservative Slow Start (CSS): a quarter of the growth
        ▲                                                │                    │
        │                                                │                    │
        └── minimum below that of CSS's beginning: ──────┘                    └── five rounds of CSS:
            the longer round trips were no queue of ours                          threshold = window, the end

A round ends when everything that was in flight at its beginning is acknowledged. At least eight round trips
are measured in a round before it is judged. Rounds are compared by positions, which never wrap. The constants
are those of RFC9406-4.3a.
"""

from typing import Final

from postel.tcp.congestion import Sample
from postel.times import MILLISECOND, NEVER

MIN_RTT_THRESH: Final = 4 * MILLISECOND
MAX_RTT_THRESH: Final = 16 * MILLISECOND
MIN_RTT_DIVISOR: Final = 8
N_RTT_SAMPLE: Final = 8
CSS_GROWTH_DIVISOR: Final = 4
CSS_ROUNDS: Final = 5
L: Final = 8  # without pacing, most segments of one ACK that let the window grow


class HyStart:
    """State of HyStart++ during the first slow start of a connection.

    ``is_conservative`` says that Conservative Slow Start (CSS) is under way, ``is_over`` that the controller
    is to end slow start.
    """

    __slots__ = (
        "_baseline",
        "_current_round",
        "_last_round",
        "_rounds",
        "_samples",
        "_window_end",
        "is_conservative",
    )

    def __init__(self, window_end: int) -> None:
        """Begin the first round, which ends when SND.UNA reaches the position ``window_end``."""
        self._window_end = window_end
        self._last_round = NEVER  # lastRoundMinRTT
        self._current_round = NEVER  # currentRoundMinRTT
        self._samples = 0  # rttSampleCount
        self._baseline = NEVER  # cssBaselineMinRtt
        self._rounds = 0  # rounds of CSS that have ended
        self.is_conservative: bool = False

    @property
    def is_over(self) -> bool:
        """Whether CSS has lasted its five rounds."""
        return self._rounds >= CSS_ROUNDS

    def growth(self, octets: int) -> int:
        """Return by how many octets the window grows for ``octets`` acknowledged."""
        return octets // CSS_GROWTH_DIVISOR if self.is_conservative else octets

    def observed(self, sample: Sample) -> None:
        """Count the round trip that one ACK measured, and end the round if that ACK ends it."""
        if sample.round_trip:
            self._current_round = min(self._current_round, sample.round_trip)
            self._samples += 1
            if self._samples >= N_RTT_SAMPLE:
                self._judge()
        if sample.una >= self._window_end:
            self._begin_round(sample.max)

    def _judge(self) -> None:
        """Compare this round's minimum round trip with that of the round before, or of CSS's beginning."""
        if self.is_conservative:
            if self._current_round < self._baseline:  # RFC9406-4.2b: no queue of ours made it longer
                self._baseline = NEVER
                self._rounds = 0
                self.is_conservative = False
        elif self._last_round != NEVER:
            threshold = max(MIN_RTT_THRESH, min(self._last_round // MIN_RTT_DIVISOR, MAX_RTT_THRESH))
            if self._current_round >= self._last_round + threshold:  # RFC9406-4.2a
                self._baseline = self._current_round
                self.is_conservative = True

    def _begin_round(self, window_end: int) -> None:
        """Begin a round that ends at ``window_end``. A round in which CSS began counts as one of CSS."""
        self._rounds += self.is_conservative
        self._window_end = window_end
        self._last_round = self._current_round
        self._current_round = NEVER
        self._samples = 0
