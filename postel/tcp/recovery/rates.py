"""How fast the path delivers: a sample for each ACK (the BBR draft, 4.1; delivery rate estimation)."""

from postel.tcp.congestion import Sample
from postel.tcp.recovery.transmissions import Sent, Stamp
from postel.times import SECOND


class Rates:
    """Every record is stamped with what had been delivered when it went out. The rate is the slower of
    sending and acknowledging.
    """

    __slots__ = ("_delivered", "_delivered_at", "_first_at", "_limited_until", "_lost")

    def __init__(self) -> None:
        self._delivered = 0
        self._delivered_at = 0
        self._first_at = 0
        self._limited_until = 0  # as long as less than this was delivered, the sender had too little to send
        self._lost = 0

    def stamp(self, record: Sent, flight: int, now: int) -> None:
        """``flight``: with this record."""
        if flight <= record.end - record.start:  # nothing else flies: the interval begins here
            self._first_at = self._delivered_at = now
        record.stamp = Stamp(
            self._delivered,
            self._delivered_at,
            self._first_at,
            flight,
            self._lost,
            is_app_limited=self._limited_until > 0,
        )

    def limit(self, flight: int) -> None:
        """The sender has nothing more to send, while the window would let it."""
        self._limited_until = max(1, self._delivered + flight)

    def fill(self, sample: Sample, newest: Sent | None, shortest: int, now: int) -> None:
        """``newest`` is the record sent last of those that this ACK delivered; ``shortest`` the minimum round
        trip.
        """
        self._lost = sample.total_lost
        if sample.delivered:
            self._delivered += sample.delivered
            self._delivered_at = now
        if self._limited_until and self._delivered > self._limited_until:
            self._limited_until = 0
        sample.rate = sample.interval = 0
        stamp = None if newest is None else newest.stamp
        if newest is None or stamp is None:
            return
        self._first_at = newest.at
        sample.is_app_limited = stamp.is_app_limited
        sample.prior_delivered = stamp.delivered
        sample.segment_flight = stamp.flight
        sample.segment_lost = stamp.lost
        sample.lost_since = sample.total_lost - stamp.lost
        interval = max(newest.at - stamp.first_at, now - stamp.delivered_at)
        if interval >= max(1, shortest):  # a shorter one is an artefact of compressed ACKs
            sample.interval = interval
            sample.rate = (self._delivered - stamp.delivered) * SECOND // interval
