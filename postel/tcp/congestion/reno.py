"""Slow start and congestion avoidance of RFC 5681, counting octets, not ACKs (RFC 3465)."""

from typing import ClassVar

from postel.compiler import mypyc_attr
from postel.tcp.congestion import ARBITRARILY_HIGH, Congestion, Sample
from postel.tcp.congestion.hystart import HyStart, L
from postel.tcp.congestion.validation import Validation
from postel.times import SECOND

_HALVINGS = 32  # leave nothing of any window


@mypyc_attr(allow_interpreted_subclasses=True)
class Reno(Congestion):
    """The standard's controller: it doubles in a round trip until the threshold, then grows by one segment in
    each.

    Its first slow start is that of HyStart++ (RFC 9406), unless a subclass sets ``uses_hystart`` to False.
    What a window is worth that is hardly used is RFC 7661's; but after a rest of more than an RTO it begins
    with RFC 5681's restart window (a SHOULD of the standards track, where RFC 7661 is an experiment).
    """

    window: int  # of `Congestion`: type checkers want a declaration in each class that writes it
    threshold: int
    pacing_rate: int
    uses_hystart: ClassVar[bool] = True

    def __init__(self, smss: int, initial_window: int, seed: int = 0) -> None:
        super().__init__(smss, initial_window, seed)
        self._smoothed = 0  # round trip, RFC 6298's, in microseconds; 0: unknown
        self._counted = 0  # octets acknowledged since the last step of congestion avoidance
        self._hystart: HyStart | None = None  # during the first slow start
        self._validation: Validation | None = None  # from the first ACK on
        self._is_untried = False  # so it is paced

    # What it is told

    def observed(self, sample: Sample, now: int) -> None:
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
        used = self._validation.reduction(flight) if self._validation is not None else 0
        self.threshold: int = max(
            used // 2 if used else self._decreased(flight), 2 * self.smss
        )  # RFC5681-3.2d, RFC7661-4.4.1a
        self._end_stage(used or self.window)
        self.window: int = self.threshold

    def marked(self, flight: int, now: int) -> None:
        used = self._give_up_validation(flight)
        self.threshold = max((used or flight) * 8 // 10, 2 * self.smss)  # RFC8511-3
        self._end_stage(used or self.window)
        self.window = min(self.window, self.threshold)

    def recovered(self, flight: int, now: int) -> None:
        fitted = self._validation.restoration() if self._validation is not None else 0
        if fitted:
            self.window = max(fitted // 2, self.smss)  # RFC7661-4.4.1a
            self.threshold = max(self.window, 2 * self.smss)
        else:
            self.window = min(
                self.threshold, max(flight, self.smss) + self.smss
            )  # RFC6582-3.2-3a, against a burst

    def timed_out(self, flight: int, now: int, *, again: bool) -> None:
        self._give_up_validation(flight)
        if not again:  # RFC5681-3.1i
            self.threshold = max(self._decreased(flight), 2 * self.smss)  # RFC5681-3.1h
            self._end_stage(self.window)
        self.window = self.smss  # RFC5681-3.1j

    def idled(self, now: int) -> None:
        self.window = min(self.window, self.initial_window)  # RFC5681-4.1a

    def started(self, now: int) -> None:
        if self._validation is not None:
            self._age(self._validation, now)

    def undo(self, limit: int, now: int) -> None:
        super().undo(limit, now)
        self._give_up_validation(0)

    # Slow start

    @property
    def _is_in_slow_start(self) -> bool:
        return self.window < self.threshold

    def _start_slowly(self, octets: int) -> None:
        if self._hystart is None:
            self.window += min(octets, self.smss)  # RFC5681-3.1f, RFC3465-2.2 with L = 1
        else:  # RFC 9406 may count more of one ACK than RFC 3465 for it leaves before the queue is full
            self.window += self._hystart.growth(octets if self.pacing_rate else min(octets, L * self.smss))

    def _watch_round_trips(self, sample: Sample) -> None:
        if self.threshold != ARBITRARILY_HIGH or not self.uses_hystart:  # RFC9406-4.3b
            self._hystart = None
            return
        if self._hystart is None:
            if (
                not sample.round_trip
            ):  # it doesn't count eight segments of an ACK where it can't see the queue
                return
            self._hystart = HyStart(sample.max)
        self._hystart.observed(sample)
        if self._hystart.is_over:
            self.threshold = self.window  # RFC9406-4.2b
            self._hystart = None

    # Congestion avoidance

    def _avoid(self, octets: int, now: int) -> None:
        self._counted += octets  # RFC5681-3.1g, RFC3465-2.1
        if self._counted >= self.window:
            self._counted -= self.window
            self.window += self.smss

    def _decreased(self, octets: int) -> int:
        return octets // 2

    def _end_stage(self, window: int) -> None:
        """Congestion: ``window`` was too much, or what of it was in use."""
        self._counted = 0

    # Validation

    def _age(self, validation: Validation, now: int) -> None:
        """RFC7661-4.4.3: what each period without use costs. RFC7661-4.4.2: a window that wasn't filled
        lately is paced.
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
        """The phase ends without recovery. Returns how much of the window had been in use; 0: as much as it
        may.
        """
        if self._validation is None:
            return 0
        used = self._validation.reduction(flight)
        self._validation.forget()
        return used
