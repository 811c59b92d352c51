"""Round trips and delivery rates without SACK, for model-based controllers.

Without SACK there is no scoreboard, but BBR needs samples. `SegmentClock` records when each segment was sent,
and measures those that a cumulative ACK covers.
"""

from postel.tcp.congestion import Sample
from postel.tcp.recovery.rates import Rates
from postel.tcp.recovery.transmissions import Transmissions


class SegmentClock:
    """Send times of all segments in flight; positions count octets and never wrap."""

    __slots__ = ("_sent", "_shortest", "rates")

    def __init__(self) -> None:
        """Create the clock of a connection that has sent nothing."""
        self.rates: Rates = Rates()
        self._sent = Transmissions(0)
        self._shortest = 0

    def sent(self, start: int, octets: int, flight: int, now: int) -> None:
        """Record ``octets`` sent from position ``start`` on, with ``flight`` octets in flight in all."""
        self.rates.stamp(self._sent.add(start, start + octets, now), flight, now)

    def acknowledged(self, sample: Sample, now: int, *, is_clear: bool) -> None:
        """Measure round trip and rate by the newest segment before ``sample.una``, which was acknowledged.

        Nothing is measured where that segment was sent again, because the ACK may answer either transmission,
        or where the peer may have held it behind a hole (``is_clear`` is False).
        """
        newest = self._sent.pop_through(sample.una)
        if newest is None or newest.is_again or not is_clear:
            newest = None
        else:
            sample.round_trip = max(1, now - newest.at)
            self._shortest = min(self._shortest or sample.round_trip, sample.round_trip)
        self.rates.fill(sample, newest, self._shortest, now)
