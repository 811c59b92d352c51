"""CUBIC (RFC 9438): Reno with a growth that depends on the time since congestion, not on the round trip.

Theory of operation. After congestion at the window W_max, CUBIC reduces the window to 0.7 * W_max, and then
follows a cubic function of the time ``t`` since that reduction::

    W_cubic(t) = C * (t - K)^3 + W_max        K = cube root of ((W_max - window after congestion) / C)

    window
           │                                               ╱
           │                                             ╱   beyond W_max: faster and faster, to find
           │                                          .-'    new bandwidth (convex)
     W_max ┤             _.----------●-----------.--'
           │         .-'             around W_max: almost flat, because congestion happened here
           │      ╱      fast towards W_max (concave)
       0.7 ┤    ╱
     W_max │
           └────┬────────────────────┬────────────────────────► t
                0                    K

So a flow with a long round trip grows as fast as one with a short round trip. Where Reno's window
(``_w_est``) would be larger, on short or slow paths, the window follows ``_w_est`` instead (RFC 9438, 4.3).
If congestion comes below W_max, another flow probably needs room: then W_max is lowered further (fast
convergence, RFC 9438, 4.7).

Time stands still while the window isn't in use. Windows are octets and times microseconds, where the RFC has
segments and seconds. All values but W_est are whole numbers, so that the result doesn't depend on a
platform's cube root.
"""

from typing import ClassVar, Final

from postel.compiler import mypyc_attr
from postel.tcp.congestion import Sample
from postel.tcp.congestion.reno import Reno
from postel.times import SECOND

# C is 0.4 segments per cubic second (RFC9438-5.1), beta is 0.7
_C_NUMERATOR: Final = 4
_C_DENOMINATOR: Final = 10 * SECOND**3
_ALPHA: Final = 9 / 17  # 3 * (1 - beta) / (1 + beta)
_NONE: Final = -1  # value of ``_epoch`` while no stage of congestion avoidance is under way


@mypyc_attr(allow_interpreted_subclasses=True)
class Cubic(Reno):
    """Controller of RFC 9438, the default.

    A subclass that is alone on its path may set ``converges_fast`` to False (RFC 9438, 4.7). The first slow
    start and the validation of the window are those of `Reno`.

    >>> from postel.congestion import Cubic
    >>> controller = Cubic(smss=1000, initial_window=10_000)
    >>> controller.remember(10_000)
    >>> controller.lost(10_000, now=0)
    >>> controller.window
    7000
    """

    window: int  # as in `Congestion`: type checkers want a declaration in each class that writes an attribute
    threshold: int
    converges_fast: ClassVar[bool] = True

    def __init__(self, smss: int, initial_window: int, seed: int = 0) -> None:
        """Create the controller; arguments are those of `Congestion`."""
        super().__init__(smss, initial_window, seed)
        self._cwnd_prior = 0  # the window when the threshold was set last
        self._w_max = 0  # W_max in octets; 0: undefined
        self._k = 0  # K in microseconds
        self._w_est = 0.0  # W_est in octets: what Reno would have
        # When this stage of congestion avoidance began, by a clock that stands still while the window isn't
        # in use: the time less ``_still``.
        self._epoch = _NONE
        self._still = 0  # microseconds for which that clock has stood still
        self._heard = 0  # time of the last ACK, or of the first segment of the flight
        self._saved = (0, 0, 0, 0.0, _NONE)

    def observed(self, sample: Sample, now: int) -> None:
        """Learn from one ACK as Reno does, and stop the clock where the window isn't in use."""
        super().observed(sample, now)
        if not sample.is_window_limited:
            self._still += now - self._heard  # RFC9438-4.2b
        self._heard = now

    def started(self, now: int) -> None:
        """Stop the clock for the time in which nothing was in flight."""
        super().started(now)
        self._still += now - self._heard
        self._heard = now

    def marked(self, flight: int, now: int) -> None:
        """Reduce the window to 70 % of what was in flight, down to one segment."""
        used = self._give_up_validation(flight)
        decreased = self._decreased(used or flight)
        self._end_stage(used or self.window)
        self.threshold: int = max(decreased, 2 * self.smss)
        # RFC9438-4.6c: marks may reduce the window to one segment. A smaller one would wait for the timer.
        self.window: int = min(self.window, max(decreased, self.smss))

    def timed_out(self, flight: int, now: int, *, again: bool) -> None:
        """Set the window to one segment, and forget W_max."""
        super().timed_out(flight, now, again=again)
        self._epoch = _NONE
        self._w_max = 0  # RFC9438-4.8

    def idled(self, now: int) -> None:
        """Lower the window to the initial window, and begin a new stage of congestion avoidance."""
        super().idled(now)
        self._epoch = _NONE

    def remember(self, flight: int) -> None:
        """Keep window, threshold and the cubic function for `undo`."""
        super().remember(flight)
        self._saved = (self._cwnd_prior, self._w_max, self._k, self._w_est, self._epoch)

    def undo(self, limit: int, now: int) -> None:
        """Restore what `remember` kept, unless the window has grown beyond that already."""
        if self.window < self._cwnd_prior:  # RFC9438-4.9
            super().undo(limit, now)
            self._cwnd_prior, self._w_max, self._k, self._w_est, self._epoch = self._saved

    @property
    def _is_in_slow_start(self) -> bool:
        """Whether the window is at most the threshold."""
        return self.window <= self.threshold  # RFC9438-4.10

    def _start_slowly(self, octets: int) -> None:
        """Grow in slow start up to one octet above the threshold, where congestion avoidance begins.

        A whole segment beyond the threshold after each loss would be a gain that the analysis of RFC 9438,
        5.1, doesn't have.
        """
        super()._start_slowly(octets)
        self.window = min(self.window, self.threshold + 1)

    def _avoid(self, octets: int, now: int) -> None:
        """Grow in congestion avoidance (RFC 9438, 4.2 to 4.5).

        An ACK counts for the octets that it acknowledges, so a peer that divides or delays ACKs changes
        nothing.
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
        # RFC9438-4.2c
        target = min(max(self._w_cubic(t + self._smoothed), self.window), self.window * 3 // 2)
        self.window += (target - self.window) * min(octets, self.window) // self.window  # RFC9438-4.4

    def _begin_stage(self, clock: int) -> None:
        """Begin a stage of congestion avoidance: set K and W_est by the present window."""
        self._epoch = clock
        self._w_est = float(self.window)
        # RFC 9438, 4.10: cwnd_prior is unset where HyStart++ ended slow start before anything was lost.
        self._cwnd_prior = self._cwnd_prior or self.window
        if self._w_max > self.window:
            # RFC9438-4.2a
            self._k = cube_root((self._w_max - self.window) * _C_DENOMINATOR // (_C_NUMERATOR * self.smss))
        else:
            self._w_max = self.window
            self._k = 0

    def _w_cubic(self, t: int) -> int:
        """Return W_cubic in octets, ``t`` microseconds after the stage began (RFC9438-4.2a)."""
        since = t - self._k
        return self._w_max + _C_NUMERATOR * self.smss * since * since * since // _C_DENOMINATOR

    def _decreased(self, octets: int) -> int:
        """Return 70 % of the ``octets`` in flight, rather than of cwnd, of which a part may be unused."""
        return octets * 7 // 10  # RFC9438-4.6a; it is of the flight, so RFC9438-4.6b is met

    def _end_stage(self, window: int) -> None:
        """End the stage at congestion: set W_max for the next one."""
        self._epoch = _NONE
        self._cwnd_prior = self.window
        is_less = self.converges_fast and window < self._w_max
        self._w_max = window * 17 // 20 if is_less else window  # RFC9438-4.7


def cube_root(value: int) -> int:
    """Return the largest whole number with a cube of at most ``value``, which is positive.

    Newton's method, from above.
    """
    root = 1 << -(-value.bit_length() // 3)
    while (smaller := (2 * root + value // (root * root)) // 3) < root:
        root = smaller
    return root
