"""HyStart++ (RFC 9406): the first slow start ends when round trips grow longer, before the queue overflows.

Rounds are measured in positions, so nothing wraps; constants are those of RFC9406-4.3a.
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
L: Final = 8  # segments' worth of one ACK that count, where nothing paces


class HyStart:
    """Standard slow start, or Conservative Slow Start while ``is_conservative``; it ``is_over`` after five
    rounds of the latter.
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
        self._window_end = window_end
        self._last_round = NEVER  # lastRoundMinRTT
        self._current_round = NEVER  # currentRoundMinRTT
        self._samples = 0  # rttSampleCount
        self._baseline = NEVER  # cssBaselineMinRtt
        self._rounds = 0  # of CSS that ended
        self.is_conservative: bool = False

    @property
    def is_over(self) -> bool:
        return self._rounds >= CSS_ROUNDS

    def growth(self, octets: int) -> int:
        """By how much the window grows, for ``octets`` that count."""
        return octets // CSS_GROWTH_DIVISOR if self.is_conservative else octets

    def observed(self, sample: Sample) -> None:
        if sample.round_trip:
            self._current_round = min(self._current_round, sample.round_trip)
            self._samples += 1
            if self._samples >= N_RTT_SAMPLE:
                self._judge()
        if sample.una >= self._window_end:
            self._begin_round(sample.max)

    def _judge(self) -> None:
        if self.is_conservative:
            if (
                self._current_round < self._baseline
            ):  # RFC9406-4.2b: the longer round trip was no queue of ours
                self._baseline = NEVER
                self._rounds = 0
                self.is_conservative = False
        elif self._last_round != NEVER:
            threshold = max(MIN_RTT_THRESH, min(self._last_round // MIN_RTT_DIVISOR, MAX_RTT_THRESH))
            if self._current_round >= self._last_round + threshold:  # RFC9406-4.2a
                self._baseline = self._current_round
                self.is_conservative = True

    def _begin_round(self, window_end: int) -> None:
        """A partial round of CSS counts as one."""
        self._rounds += self.is_conservative
        self._window_end = window_end
        self._last_round = self._current_round
        self._current_round = NEVER
        self._samples = 0
