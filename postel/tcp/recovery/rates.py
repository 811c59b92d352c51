"""Delivery rate estimation: one sample of the path's rate for each ACK (the BBR draft, 4.1).

Each record of a transmission is stamped with how many octets had been delivered when it was sent. When the
record is acknowledged, the rate is the octets delivered since its stamp, divided by the longer of two
intervals::

    send interval   first record of the sample sent ──────────────► this record sent
    ACK interval             latest delivery before it was sent ─────────────────────► this ACK
    rate = (delivered now - delivered when this record was sent) / max(send interval, ACK interval)

The longer interval is right: ACKs that arrive compressed into a burst make the ACK interval too short, and a
burst of sending makes the send interval too short.
"""

from postel.tcp.congestion import Sample
from postel.tcp.recovery.transmissions import Sent, Stamp
from postel.times import SECOND


class Rates:
    """Counters from which rate samples are made; octets, microseconds and octets a second."""

    __slots__ = ("_delivered", "_delivered_at", "_first_at", "_limited_until", "_lost")

    def __init__(self) -> None:
        """Create the counters of a path on which nothing was delivered yet."""
        self._delivered = 0  # octets delivered so far
        self._delivered_at = 0  # when octets were last delivered
        self._first_at = 0  # when the first record of the present send interval was sent
        # Samples are marked as app-limited until more octets than this have been delivered; 0: they aren't
        self._limited_until = 0
        self._lost = 0  # octets lost so far

    def stamp(self, record: Sent, flight: int, now: int) -> None:
        """Stamp a record that is sent now; ``flight`` is the octets in flight, this record included."""
        if flight <= record.end - record.start:  # nothing else is in flight: the interval begins here
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
        """Mark samples as app-limited until the ``flight`` octets in flight are delivered.

        Called when the sender has nothing more to send although cwnd would allow more.
        """
        self._limited_until = max(1, self._delivered + flight)

    def fill(self, sample: Sample, newest: Sent | None, shortest: int, now: int) -> None:
        """Set the fields of ``sample`` that tell the rate.

        Of the records that this ACK delivered, ``newest`` is the one sent last; None if there is none.
        ``shortest`` is the minimum round trip in microseconds.
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
        if interval >= max(1, shortest):  # ACKs that the path compressed into a burst make it too short
            sample.interval = interval
            sample.rate = (self._delivered - stamp.delivered) * SECOND // interval
