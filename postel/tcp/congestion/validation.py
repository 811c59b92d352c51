"""Congestion window validation (RFC 7661): a window that wasn't used lately says little of the path.

pipeACK, the most that arrived at the peer within one round trip of late, tells whether the window is in use.
A round trip lasts until what was in flight at its beginning is acknowledged, so nothing has to be remembered
of each segment. There are no timers: each period is judged when the next thing happens.
"""

from typing import Final

from postel.tcp.congestion import Sample
from postel.times import MINUTE, SECOND

NVP: Final = 5 * MINUTE  # the non-validated period (RFC7661-4.4.3)
SHORTEST_PERIOD: Final = SECOND  # of sampling: max(3 * RTT, 1 s)
UNDEFINED: Final = -1


class Validation:
    """Whether the window ``is_validated``, whether the last ACK found it ``is_full``, and what loss costs
    where it wasn't.
    """

    __slots__ = (
        "_before",
        "_delivered",
        "_half",
        "_half_began",
        "_lost",
        "_lost_before",
        "_repairs",
        "_round_end",
        "_since",
        "_used",
        "is_full",
        "is_validated",
    )

    def __init__(self) -> None:
        self.is_validated: bool = True
        self.is_full: bool = False
        self._since = 0  # when the non-validated phase began, or the last period of it
        self._half = UNDEFINED  # the highest sample of this half of the sampling period
        self._before = UNDEFINED  # and of the half before
        self._half_began = 0
        self._round_end = UNDEFINED  # SND.MAX when this round trip began, as a position
        self._delivered = 0  # what had been delivered then
        self._lost = 0  # octets, since the start
        self._lost_before = 0  # and before what the last ACK told, or before recovery
        self._used = (
            0  # max(pipeACK, LossFlightSize), while recovery repairs what a window cost that wasn't validated
        )
        self._repairs = False

    @property
    def pipe(self) -> int:
        """The variable pipeACK in octets, or UNDEFINED."""
        return max(self._half, self._before)

    def observed(self, sample: Sample, window: int, smss: int, smoothed: int, now: int) -> None:
        """One ACK, with the smoothed round trip in microseconds (0: unknown)."""
        self.is_full = sample.flight_before + smss > window  # 4.5.3: what is left has no room for a segment
        if self._repairs:  # RFC7661-4.2: no samples in recovery
            self._lost = sample.total_lost
            return
        self._lost, self._lost_before = sample.total_lost, sample.total_lost - sample.lost
        if sample.una < self._round_end:
            return
        if self._round_end != UNDEFINED:  # a round trip is over
            self._measure(
                sample.total_delivered - self._delivered, max(3 * smoothed, SHORTEST_PERIOD) // 2, now
            )
            self._judge(window, smss, now)
        self._round_end = sample.max
        # What the ACK of the first segment of a flight acknowledges belongs to that flight
        self._delivered = sample.total_delivered - (sample.delivered if sample.max > sample.una else 0)

    def reduction(self, flight: int) -> int:
        """Recovery begins with ``flight`` octets outstanding. How much of the window had been used: half of
        it remains (RFC7661-4.4.1a).
        """
        self._used = 0 if self.is_validated else max(self.pipe, flight)
        self._repairs = True
        self.is_validated = True
        return self._used

    def restoration(self) -> int:
        """Recovery ends: what of the window in use was found to fit, or 0 if the window was validated."""
        fitted = max(1, self._used - (self._lost - self._lost_before)) if self._used else 0
        self.forget()
        return fitted

    def forget(self) -> None:
        """Back to the validated phase, with pipeACK undefined: after recovery, and at a timeout."""
        self._half = self._before = self._round_end = UNDEFINED
        self._used = 0
        self._repairs = False
        self.is_validated = True

    def periods(self, now: int) -> int:
        """How many non-validated periods are over and not yet paid for."""
        if self.is_validated:
            return 0
        count = (now - self._since) // NVP
        self._since += count * NVP
        return count

    def _measure(self, octets: int, half: int, now: int) -> None:
        """A maximum over two halves is never of anything older than the whole period."""
        passed = now - self._half_began
        if passed >= half:
            self._before = self._half if passed < 2 * half else UNDEFINED
            self._half = octets
            self._half_began = now
        self._half = max(self._half, octets)

    def _judge(self, window: int, smss: int, now: int) -> None:
        """Below half of the window (RFC7661-4.4a); a segment's slack, for slow start doubles the window and
        can't use all of it.
        """
        is_validated = 2 * self.pipe + smss >= window
        if self.is_validated and not is_validated:
            self._since = now
        self.is_validated = is_validated
