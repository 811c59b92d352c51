"""Reno: slow start and congestion avoidance of RFC 5681, counting octets instead of ACKs (RFC 3465).

Theory of operation. In slow start the window grows by what is acknowledged, so it doubles each round trip. In
congestion avoidance it grows by one segment each round trip. A loss halves it::

    window
           │       loss           loss
           │        ╱│           ╱│
           │       ╱ │         ╱  │         ╱
           │      ╱  │       ╱    │       ╱     congestion avoidance: one segment each round trip
           │     │   │     ╱      │     ╱
           │     │   │   ╱        │   ╱
           │    ╱    │ ╱          │ ╱           after a loss: window = threshold = flight / 2
           │  _╱     slow start: doubles each round trip, until a loss or `HyStart` ends it
           └────────────────────────────────────────► time

The first slow start is that of HyStart++ (`postel.tcp.congestion.hystart`). A window that wasn't used lately
counts for less (`postel.tcp.congestion.validation`).
"""

from typing import ClassVar

from postel.compiler import mypyc_attr
from postel.tcp.congestion import ARBITRARILY_HIGH, Congestion, Sample
from postel.tcp.congestion.hystart import HyStart, L
from postel.tcp.congestion.validation import Validation
from postel.times import SECOND

_HALVINGS = 32  # halvings that reduce any window to the initial window


@mypyc_attr(allow_interpreted_subclasses=True)
class Reno(Congestion):
    """Controller of RFC 5681: slow start up to the threshold, then one segment more each round trip.

    The first slow start is that of HyStart++ (RFC 9406), unless a subclass sets ``uses_hystart`` to False. A
    window that is hardly used is validated by RFC 7661; but after a rest of more than one RTO the window
    begins again with RFC 5681's restart window, which is a SHOULD of a standard, while RFC 7661 is
    experimental.

    >>> from postel.congestion import Reno
    >>> controller = Reno(smss=1000, initial_window=10_000)
    >>> controller.acknowledged(1000, now=0)
    >>> controller.window
    11000
    """

    window: int  # as in `Congestion`: type checkers want a declaration in each class that writes an attribute
    threshold: int
    pacing_rate: int
    uses_hystart: ClassVar[bool] = True

    def __init__(self, smss: int, initial_window: int, seed: int = 0) -> None:
        """Create the controller; arguments are those of `Congestion`."""
        super().__init__(smss, initial_window, seed)
        self._smoothed = 0  # smoothed round trip (RFC 6298) in microseconds; 0: unknown
        self._counted = 0  # octets acknowledged since the last step of congestion avoidance
        self._hystart: HyStart | None = None  # state of HyStart++ during the first slow start
        self._validation: Validation | None = None  # state of the window's validation, from the first ACK on
        self._is_untried = False  # the window wasn't filled lately, so it is paced

    # Calls of the connection

    def observed(self, sample: Sample, now: int) -> None:
        """Update the smoothed round trip, HyStart++ and the validation of the window by one ACK."""
        if sample.round_trip:
            self._smoothed += (
                (sample.round_trip - self._smoothed) // 8 if self._smoothed else sample.round_trip
            )
        elif sample.smoothed:
            self._smoothed = sample.smoothed
        if self.threshold == ARBITRARILY_HIGH or self._hystart is not None:
            self._watch_round_trips(sample)
        if self._validation is None:
            self._validation = Validation()
        self._validation.observed(sample, self.window, self.smss, self._smoothed, now)
        if self._is_untried or not self._validation.is_validated:
            self._age(self._validation, now)

    def acknowledged(self, octets: int, now: int) -> None:
        """Grow by slow start below the threshold, else by congestion avoidance.

        A window that isn't validated grows only if the last ACK found it full.
        """
        if (
            self._validation is not None
            and not self._validation.is_validated
            and not self._validation.is_full
        ):  # RFC7661-4.4b
            return
        if self._is_in_slow_start:
            self._start_slowly(octets)
        else:
            self._avoid(octets, now)

    def lost(self, flight: int, now: int) -> None:
        """Set threshold and window to half of what was in flight, at least two segments."""
        used = self._validation.reduction(flight) if self._validation is not None else 0
        # RFC5681-3.2d, RFC7661-4.4.1a
        self.threshold: int = max(used // 2 if used else self._decreased(flight), 2 * self.smss)
        self._end_stage(used or self.window)
        self.window: int = self.threshold

    def marked(self, flight: int, now: int) -> None:
        """Reduce threshold and window to 80 % of what was in flight: less than for a loss (RFC 8511)."""
        used = self._give_up_validation(flight)
        self.threshold = max((used or flight) * 8 // 10, 2 * self.smss)  # RFC8511-3
        self._end_stage(used or self.window)
        self.window = min(self.window, self.threshold)

    def recovered(self, flight: int, now: int) -> None:
        """Set the window to the threshold, but at most one segment more than ``flight``, against a burst."""
        fitted = self._validation.restoration() if self._validation is not None else 0
        if fitted:
            self.window = max(fitted // 2, self.smss)  # RFC7661-4.4.1a
            self.threshold = max(self.window, 2 * self.smss)
        else:
            # RFC6582-3.2-3a, against a burst
            self.window = min(self.threshold, max(flight, self.smss) + self.smss)

    def timed_out(self, flight: int, now: int, *, again: bool) -> None:
        """Set the window to one segment, and at the first timeout the threshold to half of the flight."""
        self._give_up_validation(flight)
        if not again:  # RFC5681-3.1i
            self.threshold = max(self._decreased(flight), 2 * self.smss)  # RFC5681-3.1h
            self._end_stage(self.window)
        self.window = self.smss  # RFC5681-3.1j

    def idled(self, now: int) -> None:
        """Lower the window to the initial window: the restart window of RFC 5681, 4.1."""
        self.window = min(self.window, self.initial_window)  # RFC5681-4.1a

    def started(self, now: int) -> None:
        """Reduce a window that wasn't in use for minutes, and pace an unfilled one (RFC 7661)."""
        if self._validation is not None:
            self._age(self._validation, now)

    def undo(self, limit: int, now: int) -> None:
        """Restore window and threshold, and validate the window anew."""
        super().undo(limit, now)
        self._give_up_validation(0)

    # Slow start

    @property
    def _is_in_slow_start(self) -> bool:
        """Whether the window is below the threshold."""
        return self.window < self.threshold

    def _start_slowly(self, octets: int) -> None:
        """Grow in slow start by what an ACK acknowledged."""
        if self._hystart is None:
            self.window += min(octets, self.smss)  # RFC5681-3.1f, RFC3465-2.2 with L = 1
        else:
            # RFC 9406 counts up to L segments of one ACK, RFC 3465 one: HyStart++ leaves slow start before
            # the queue is full. With pacing there is no limit, for no burst follows.
            self.window += self._hystart.growth(octets if self.pacing_rate else min(octets, L * self.smss))

    def _watch_round_trips(self, sample: Sample) -> None:
        """Let HyStart++ judge an ACK of the first slow start, and end slow start if HyStart++ is over."""
        if self.threshold != ARBITRARILY_HIGH or not self.uses_hystart:  # RFC9406-4.3b
            self._hystart = None
            return
        if self._hystart is None:
            if not sample.round_trip:  # HyStart++ needs round trips; without them grow by RFC 3465
                return
            self._hystart = HyStart(sample.max)
        self._hystart.observed(sample)
        if self._hystart.is_over:
            self.threshold = self.window  # RFC9406-4.2b
            self._hystart = None

    # Congestion avoidance

    def _avoid(self, octets: int, now: int) -> None:
        """Grow by one segment once a window of octets was acknowledged."""
        self._counted += octets  # RFC5681-3.1g, RFC3465-2.1
        if self._counted >= self.window:
            self._counted -= self.window
            self.window += self.smss

    def _decreased(self, octets: int) -> int:
        """Return the threshold after a loss with ``octets`` in flight, before its lower bound."""
        return octets // 2

    def _end_stage(self, window: int) -> None:
        """Begin to count anew after congestion, which came with ``window`` octets of the window in use."""
        self._counted = 0

    # Validation (RFC 7661)

    def _age(self, validation: Validation, now: int) -> None:
        """Halve an unused window for each period that has passed (RFC7661-4.4.3), and pace an unfilled one.

        RFC7661-4.4.2: a window that wasn't filled lately is paced.
        """
        for _ in range(min(validation.periods(now), _HALVINGS)):
            self.threshold = max(self.threshold, 3 * self.window // 4)
            self.window = min(self.window, max(self.window // 2, self.initial_window))
        is_untried = not validation.is_validated and self._smoothed > 0 and self.window > self.initial_window
        if is_untried:
            self.pacing_rate = self.window * SECOND // self._smoothed
        elif self._is_untried:
            self.pacing_rate = 0
        self._is_untried = is_untried

    def _give_up_validation(self, flight: int) -> int:
        """End the non-validated phase without recovery.

        Returns how many octets of the window had been in use; 0 if the window was validated.
        """
        if self._validation is None:
            return 0
        used = self._validation.reduction(flight)
        self._validation.forget()
        return used
