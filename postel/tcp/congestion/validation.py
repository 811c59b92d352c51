"""Congestion window validation (RFC 7661): how far to trust a window that wasn't used lately.

Theory of operation. A window that was filled and lost nothing is known to fit the path. An application that
sends little uses a part of the window only, and after minutes the rest says little about the path. The
variable pipeACK is the most that was acknowledged within one round trip lately. If it is below half of the
window, the window isn't validated: it doesn't grow unless it is full, each five minutes halve it, and a loss
sets it by what was in use.

pipeACK is a maximum over a sampling period of three round trips or one second, kept in two halves::

    time     ─────┬───────────────┬───────────────┬────►
                  │ half before   │ this half     │       pipeACK = max of both
    samples       │  4   6   5    │  3   7        │

A round trip ends when what was in flight at its beginning is acknowledged, so nothing has to be recorded of
each segment. There are no timers: a period that has ended is noticed at the next call.
"""

from typing import Final

from postel.tcp.congestion import Sample
from postel.times import MINUTE, SECOND

NVP: Final = 5 * MINUTE  # the non-validated period (RFC7661-4.4.3)
SHORTEST_PERIOD: Final = SECOND  # the sampling period is max(3 * RTT, 1 s)
UNDEFINED: Final = -1


class Validation:
    """State of the validation of one window; octets and microseconds.

    ``is_validated`` says whether the window was in use lately, ``is_full`` whether the last ACK found no room
    for another segment in the window.
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
        """Create the state of a window that is validated."""
        self.is_validated: bool = True
        self.is_full: bool = False
        self._since = 0  # when the non-validated phase began, or the last period of it
        self._half = UNDEFINED  # the highest sample of this half of the sampling period
        self._before = UNDEFINED  # the highest sample of the half before
        self._half_began = 0
        self._round_end = UNDEFINED  # SND.MAX when this round trip began, as a position
        self._delivered = 0  # octets that had been delivered when this round trip began
        self._lost = 0  # octets lost since the connection was opened
        self._lost_before = 0  # octets that had been lost before the last ACK, or before recovery
        # In a recovery that began in the non-validated phase: max(pipeACK, LossFlightSize); else 0
        self._used = 0
        self._repairs = False  # recovery is under way

    @property
    def pipe(self) -> int:
        """The variable pipeACK in octets, or UNDEFINED."""
        return max(self._half, self._before)

    def observed(self, sample: Sample, window: int, smss: int, smoothed: int, now: int) -> None:
        """Learn from one ACK; ``smoothed`` is the smoothed round trip in microseconds, 0 if unknown."""
        self.is_full = sample.flight_before + smss > window  # RFC 7661, 4.5.3: no room for a segment
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
        # Where the ACK is of the first segment of a flight, what it delivers belongs to that flight.
        self._delivered = sample.total_delivered - (sample.delivered if sample.max > sample.una else 0)

    def reduction(self, flight: int) -> int:
        """Begin recovery with ``flight`` octets in flight.

        Returns how much of the window was in use, half of which is to remain (RFC7661-4.4.1a); 0 if the
        window was validated.
        """
        self._used = 0 if self.is_validated else max(self.pipe, flight)
        self._repairs = True
        self.is_validated = True
        return self._used

    def restoration(self) -> int:
        """End recovery; return how many octets of the window in use weren't lost, 0 if it was validated."""
        fitted = max(1, self._used - (self._lost - self._lost_before)) if self._used else 0
        self.forget()
        return fitted

    def forget(self) -> None:
        """Return to the validated phase with pipeACK undefined, after recovery and at a timeout."""
        self._half = self._before = self._round_end = UNDEFINED
        self._used = 0
        self._repairs = False
        self.is_validated = True

    def periods(self, now: int) -> int:
        """Return how many non-validated periods have ended since the last call."""
        if self.is_validated:
            return 0
        count = (now - self._since) // NVP
        self._since += count * NVP
        return count

    def _measure(self, octets: int, half: int, now: int) -> None:
        """Add a sample of ``octets`` to the maximum; a half lasts ``half`` microseconds.

        A maximum over two halves never contains a sample older than the whole period.
        """
        passed = now - self._half_began
        if passed >= half:
            self._before = self._half if passed < 2 * half else UNDEFINED
            self._half = octets
            self._half_began = now
        self._half = max(self._half, octets)

    def _judge(self, window: int, smss: int, now: int) -> None:
        """Validate the window where pipeACK is at least half of it (RFC7661-4.4a).

        One segment less is enough, because slow start doubles the window and can't use all of that.
        """
        is_validated = 2 * self.pipe + smss >= window
        if self.is_validated and not is_validated:
            self._since = now
        self.is_validated = is_validated
