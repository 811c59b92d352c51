"""Round trips and rates where there is no scoreboard: of segments that a cumulative ACK covers, for
controllers that live on them.
"""

from postel.tcp.congestion import Sample
from postel.tcp.recovery.rates import Rates
from postel.tcp.recovery.transmissions import Transmissions


class SegmentClock:
    """Times every segment, as `Transmissions` does for RACK. Positions count octets and never wrap."""

    __slots__ = ("_sent", "_shortest", "rates")

    def __init__(self) -> None:
        self.rates: Rates = Rates()
        self._sent = Transmissions(0)
        self._shortest = 0

    def sent(self, start: int, octets: int, flight: int, now: int) -> None:
        self.rates.stamp(self._sent.add(start, start + octets, now), flight, now)

    def acknowledged(self, sample: Sample, now: int, *, is_clear: bool) -> None:
        """Everything before ``sample.una``. The newest of it is measured, unless it may have waited behind a
        hole (``is_clear``).
        """
        newest = self._sent.pop_through(sample.una)
        if newest is None or newest.is_again or not is_clear:
            newest = None
        else:
            sample.round_trip = max(1, now - newest.at)
            self._shortest = min(self._shortest or sample.round_trip, sample.round_trip)
        self.rates.fill(sample, newest, self._shortest, now)
