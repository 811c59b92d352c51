"""Minimum round trip, and when ProbeRTT must look for it again (draft-ietf-ccwg-bbr, 5.3.4)."""

from typing import Final

from postel.tcp.congestion.bbr.short_term import INFINITE
from postel.times import SECOND

MIN_RTT_FILTER_LEN: Final = 10 * SECOND  # age at which a newer minimum replaces ``value``
PROBE_RTT_INTERVAL: Final = 5 * SECOND  # time without a shorter round trip after which PROBE_RTT is due


class MinRtt:
    """Two minima of the round trip, in microseconds.

    ``value`` is the draft's min_rtt, over ten seconds. ``probe_rtt_min_delay`` is the minimum over five
    seconds: where nothing shorter was seen for that long, ``probe_rtt_expired`` is True, and PROBE_RTT is
    due.
    """

    __slots__ = ("probe_rtt_expired", "probe_rtt_min_delay", "probe_rtt_min_stamp", "stamp", "value")

    def __init__(self) -> None:
        """Create the minima of a path that wasn't measured."""
        self.value: int = INFINITE
        self.stamp: int = 0
        self.probe_rtt_min_delay: int = INFINITE
        self.probe_rtt_min_stamp: int = 0
        self.probe_rtt_expired: bool = False

    def begin(self, now: int) -> None:
        """Begin both intervals at ``now``, the time of the first ACK."""
        self.stamp = self.probe_rtt_min_stamp = now

    def restart_interval(self, now: int) -> None:
        """Begin the five seconds anew, because PROBE_RTT is over."""
        self.probe_rtt_min_stamp = now

    def update(self, round_trip: int, now: int) -> None:
        """Update both minima by the round trip of one ACK, 0 where the ACK measured none (UpdateMinRTT)."""
        self.probe_rtt_expired = now > self.probe_rtt_min_stamp + PROBE_RTT_INTERVAL
        if round_trip and (round_trip < self.probe_rtt_min_delay or self.probe_rtt_expired):
            self.probe_rtt_min_delay = round_trip
            self.probe_rtt_min_stamp = now
        is_expired = now > self.stamp + MIN_RTT_FILTER_LEN
        if self.probe_rtt_min_delay < self.value or is_expired:
            self.value = self.probe_rtt_min_delay
            self.stamp = self.probe_rtt_min_stamp
