"""The shortest round trip of late, and when it is time to look for it by ProbeRTT (draft-ietf-ccwg-bbr,
5.3.4).
"""

from typing import Final

from postel.tcp.congestion.bbr.short_term import INFINITE
from postel.times import SECOND

MIN_RTT_FILTER_LEN: Final = 10 * SECOND
PROBE_RTT_INTERVAL: Final = 5 * SECOND


class MinRtt:
    """``value`` is the draft's min_rtt, of ten seconds; ``probe_rtt_min_delay`` is that of five. In
    microseconds.
    """

    __slots__ = ("probe_rtt_expired", "probe_rtt_min_delay", "probe_rtt_min_stamp", "stamp", "value")

    def __init__(self) -> None:
        self.value: int = INFINITE
        self.stamp: int = 0
        self.probe_rtt_min_delay: int = INFINITE
        self.probe_rtt_min_stamp: int = 0
        self.probe_rtt_expired: bool = False

    def begin(self, now: int) -> None:
        """Count from ``now`` on."""
        self.stamp = self.probe_rtt_min_stamp = now

    def restart_interval(self, now: int) -> None:
        """ProbeRTT is over: the next is due in five seconds."""
        self.probe_rtt_min_stamp = now

    def update(self, round_trip: int, now: int) -> None:
        """UpdateMinRTT, by a ``round_trip`` of the last ACK, 0 where it measured none."""
        self.probe_rtt_expired = now > self.probe_rtt_min_stamp + PROBE_RTT_INTERVAL
        if round_trip and (round_trip < self.probe_rtt_min_delay or self.probe_rtt_expired):
            self.probe_rtt_min_delay = round_trip
            self.probe_rtt_min_stamp = now
        is_expired = now > self.stamp + MIN_RTT_FILTER_LEN
        if self.probe_rtt_min_delay < self.value or is_expired:
            self.value = self.probe_rtt_min_delay
            self.stamp = self.probe_rtt_min_stamp
