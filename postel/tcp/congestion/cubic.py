"""CUBIC (RFC 9438): Reno with another way to grow, which depends on the time since congestion and not on the
round trip.

Windows are octets and times microseconds, where the RFC has segments and seconds. Everything but W_est is
whole numbers: no platform's idea of a cube root decides what is sent.
"""

from typing import ClassVar, Final

from postel.compiler import mypyc_attr
from postel.tcp.congestion import Sample
from postel.tcp.congestion.reno import Reno
from postel.times import SECOND

# C is 0.4 (RFC9438-5.1), beta 0.7
_C_NUMERATOR: Final = 4
_C_DENOMINATOR: Final = 10 * SECOND**3
_ALPHA: Final = 9 / 17  # 3 * (1 - beta) / (1 + beta)
_NONE: Final = -1


@mypyc_attr(allow_interpreted_subclasses=True)
class Cubic(Reno):
    """After congestion it climbs fast to where that happened, stays there a while, and then climbs faster and
    faster.

    A subclass that is alone on its path may set ``converges_fast`` to False (4.7).
    """

    window: int  # of `Congestion`: type checkers want a declaration in each class that writes it
    threshold: int
    converges_fast: ClassVar[bool] = True

    def __init__(self, smss: int, initial_window: int, seed: int = 0) -> None:
        super().__init__(smss, initial_window, seed)
        self._cwnd_prior = 0  # the window when the threshold was set last
        self._w_max = 0  # 0: undefined
        self._k = 0
        self._w_est = 0.0
        # when this stage of congestion avoidance began, by the clock that stands still while nothing fills
        # the window
        self._epoch = _NONE
        self._still = 0  # how long it stood still so far
        self._heard = 0  # when something was acknowledged last, or began to fly
        self._saved = (0, 0, 0, 0.0, _NONE)

    def observed(self, sample: Sample, now: int) -> None:
        super().observed(sample, now)
        if not sample.is_window_limited:
            self._still += now - self._heard  # RFC9438-4.2b
        self._heard = now

    def started(self, now: int) -> None:
        super().started(now)
        self._still += now - self._heard
        self._heard = now

    def marked(self, flight: int, now: int) -> None:
        used = self._give_up_validation(flight)
        decreased = self._decreased(used or flight)
        self._end_stage(used or self.window)
        self.threshold: int = max(decreased, 2 * self.smss)
        self.window: int = min(
            self.window, max(decreased, self.smss)
        )  # RFC9438-4.6c: to one segment; below, the sender's timer

    def timed_out(self, flight: int, now: int, *, again: bool) -> None:
        super().timed_out(flight, now, again=again)
        self._epoch = _NONE
        self._w_max = 0  # RFC9438-4.8

    def idled(self, now: int) -> None:
        super().idled(now)
        self._epoch = _NONE

    def remember(self, flight: int) -> None:
        super().remember(flight)
        self._saved = (self._cwnd_prior, self._w_max, self._k, self._w_est, self._epoch)

    def undo(self, limit: int, now: int) -> None:
        if self.window < self._cwnd_prior:  # RFC9438-4.9
            super().undo(limit, now)
            self._cwnd_prior, self._w_max, self._k, self._w_est, self._epoch = self._saved

    @property
    def _is_in_slow_start(self) -> bool:
        return self.window <= self.threshold  # RFC9438-4.10

    def _start_slowly(self, octets: int) -> None:
        """To the threshold and no farther: where each loss leaves the window, a whole segment would be a gain
        that 5.1 doesn't count.
        """
        super()._start_slowly(octets)
        self.window = min(self.window, self.threshold + 1)

    def _avoid(self, octets: int, now: int) -> None:
        """4.2 to 4.5. An ACK counts for the octets that it acknowledges, so that dividing or delaying ACKs
        changes nothing.
        """
        clock = now - self._still
        if self._epoch == _NONE:
            self._begin_stage(clock)
        t = clock - self._epoch
        alpha = _ALPHA if self._w_est < self._cwnd_prior else 1.0
        self._w_est += alpha * octets * self.smss / self.window
        if self._w_cubic(t) < self._w_est:  # RFC9438-4.3
            self.window = max(self.window, int(self._w_est))
            return
        target = min(
            max(self._w_cubic(t + self._smoothed), self.window), self.window * 3 // 2
        )  # RFC9438-4.2c
        self.window += (target - self.window) * min(octets, self.window) // self.window  # RFC9438-4.4

    def _begin_stage(self, clock: int) -> None:
        self._epoch = clock
        self._w_est = float(self.window)
        self._cwnd_prior = (
            self._cwnd_prior or self.window
        )  # 4.10: HyStart++ ended slow start, nothing was lost yet
        if self._w_max > self.window:
            self._k = cube_root(
                (self._w_max - self.window) * _C_DENOMINATOR // (_C_NUMERATOR * self.smss)
            )  # RFC9438-4.2a
        else:
            self._w_max = self.window
            self._k = 0

    def _w_cubic(self, t: int) -> int:
        since = t - self._k
        return (
            self._w_max + _C_NUMERATOR * self.smss * since * since * since // _C_DENOMINATOR
        )  # RFC9438-4.2a

    def _decreased(self, octets: int) -> int:
        return octets * 7 // 10  # RFC9438-4.6a; of the flight, so RFC9438-4.6b asks nothing

    def _end_stage(self, window: int) -> None:
        self._epoch = _NONE
        self._cwnd_prior = self.window
        is_less = self.converges_fast and window < self._w_max
        self._w_max = window * 17 // 20 if is_less else window  # RFC9438-4.7


def cube_root(value: int) -> int:
    """The largest whole number whose cube is no more than ``value``, which is positive. Newton's method, from
    above.
    """
    root = 1 << -(-value.bit_length() // 3)
    while (smaller := (2 * root + value // (root * root)) // 3) < root:
        root = smaller
    return root
