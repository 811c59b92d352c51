"""Round-trip time and retransmission timeout (RFC 6298), with Karn's rule."""

from typing import Final

from postel.tcp.config import Config
from postel.times import MILLISECOND

GRANULARITY: Final = MILLISECOND  # G of RFC 6298, 2: the timestamp clock's tick


class Rtt:
    """Estimator of the round-trip time, and the retransmission timeout computed from it; microseconds.

    ``smoothed`` is SRTT, 0 until the first sample; ``variance`` is RTTVAR; ``rto`` includes back-off. One
    segment is timed at a time: ``timed`` is the number that its ACK must reach.
    """

    __slots__ = (
        "_config",
        "_revives",
        "_smoothed_before",
        "_variance_before",
        "is_timing",
        "round_end",
        "rto",
        "since",
        "smoothed",
        "timed",
        "variance",
    )

    def __init__(self, config: Config, iss: int = 0) -> None:
        """Begin without a sample; ``config`` has the bounds of the timeout."""
        self._config = config  # has the bounds of the timeout
        self.smoothed: int = 0
        self.variance: int = 0
        self.rto: int = config.rto_initial  # RFC6298-2.1
        self.timed: int = 0
        self.round_end: int = iss  # SND.MAX at the last sample: an ACK beyond it measures another round trip
        # When the timed segment was sent, or, if that is later, when a timer last expired
        self.since: int = 0
        self._smoothed_before = 0
        self._variance_before = 0
        self._revives = False
        self.is_timing: bool = False

    def time(self, number: int, now: int) -> None:
        """Start to time the segment that ends before ``number``, unless one is being timed (RFC6298-3b)."""
        if not self.is_timing:
            self.is_timing = True
            self.timed = number
            self.since = now

    def forget(self) -> None:
        """Stop timing, because the ACK of octets sent again is ambiguous (Karn's rule, RFC6298-3a)."""
        self.is_timing = False

    def timed_out(self, now: int) -> None:
        """Stop timing, and let no sample begin before ``now``: a timer expired (RFC6298-3a).

        A sample that began earlier would contain the wait for the timer.
        """
        self.is_timing = False
        self.since = now

    def stop(self, now: int) -> None:
        """Take a sample: the timed segment was acknowledged."""
        self.is_timing = False
        self.sample(now - self.since)

    def sample(self, measured: int) -> None:
        """Update SRTT, RTTVAR and RTO from one measured round trip, in microseconds."""
        if self._revives:  # RFC4015-3.1-11
            self._revives = False
            self.smoothed = max(1, self._smoothed_before, measured)
            self.variance = max(self._variance_before, measured // 2)
        elif self.smoothed == 0:  # RFC6298-2.2
            self.smoothed = max(1, measured)
            self.variance = measured // 2
        else:  # RFC6298-2.3: RTTVAR first, with the old SRTT
            self.variance = (3 * self.variance + abs(self.smoothed - measured)) // 4
            self.smoothed = max(1, (7 * self.smoothed + measured) // 8)
        self.rto = self._bounded()

    def adapt(self, config: Config) -> None:
        """Adopt other bounds. A timeout that was backed off stays backed off, within them."""
        before, first = self._bounded(), self._config.rto_initial
        self._config = config
        if self.smoothed == 0:
            self.rto = config.rto_initial if self.rto == first else min(config.rto_maximum, self.rto)
        elif self.rto == before:
            self.rto = self._bounded()
        else:
            self.rto = min(config.rto_maximum, max(config.rto_minimum, self.rto))

    def _bounded(self) -> int:
        """Return the timeout computed from SRTT and RTTVAR, within its bounds."""
        rto = self.smoothed + max(GRANULARITY, 4 * self.variance)  # RFC6298-4
        return min(self._config.rto_maximum, max(self._config.rto_minimum, rto))  # RFC6298-2.4, RFC6298-2.5

    def back_off(self) -> None:
        """Double the timeout, up to its maximum."""
        self.rto = min(self._config.rto_maximum, 2 * self.rto)  # RFC6298-5.5

    def restart(self, rto: int) -> None:
        """Set the timeout for data after the SYN timed out (RFC6298-5.7)."""
        self.rto = max(rto, self._config.rto_minimum)

    def remember(self) -> None:
        """Save SRTT and RTTVAR at a timeout, which may be spurious (RFC4015-3.1-0)."""
        self._smoothed_before = self.smoothed + 2 * GRANULARITY
        self._variance_before = self.variance

    def revive(self) -> None:
        """Restore the saved SRTT and RTTVAR at the next sample: the timeout was spurious (RFC4015-3.1-11).

        That sample shows how long the path can take, so the estimate is at least as large.
        """
        self._revives = True
