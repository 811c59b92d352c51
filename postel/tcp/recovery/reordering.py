"""How much reordering to bear with before a segment is called lost: RACK's reordering window (RFC 8985, 6.2,
steps 1, 3 and 4).
"""

from typing import Final

from postel.tcp.recovery.transmissions import Sent
from postel.tcp.recovery.undo import NO_ECHO
from postel.tcp.rtt import GRANULARITY
from postel.times import MINUTE

DUPLICATES: Final = 3  # DupThresh
PERSISTENCE: Final = 16  # recoveries that a wider window outlives without need
_WIDEST: Final = 64
_MINIMUM_LASTS: Final = 5 * MINUTE
_NONE: Final = -1


class Reordering:
    """``count`` is 0 until RACK.reordering_seen, ``shortest`` RACK.min_RTT."""

    __slots__ = ("_measured_at", "_multiplier", "_persistence", "_round", "count", "shortest")

    def __init__(self, round_trip: int) -> None:
        """``round_trip``: of the handshake; 0 where it wasn't measured."""
        self.count: int = 0
        self.shortest: int = round_trip
        self._measured_at = 0
        self._multiplier = 1  # RACK.reo_wnd_mult
        self._persistence = PERSISTENCE  # RACK.reo_wnd_persist
        self._round = _NONE  # RACK.dsack_round

    def measured(self, round_trip: int, now: int) -> None:
        """RFC8985-6.2-1: the minimum of the last minutes."""
        if round_trip <= self.shortest or self.shortest == 0 or now - self._measured_at > _MINIMUM_LASTS:
            self.shortest = round_trip
            self._measured_at = now

    def duplicated(self, una: int, end: int) -> None:
        """A D-SACK: something went again for nothing. Once a round trip the window widens (RFC8985-6.2-4)."""
        if una >= self._round:
            self._round = end
            self._multiplier = min(self._multiplier + 1, _WIDEST)
            self._persistence = PERSISTENCE

    def recovered(self) -> None:
        self._persistence -= 1
        if self._persistence <= 0:
            self._multiplier = 1

    def window(self, segments_sacked: int, smoothed: int, *, is_recovering: bool) -> int:
        """RACK.reo_wnd: nothing, until reordering is seen, once there are signs enough of a loss
        (RFC8985-6.2-4).
        """
        if not self.count and (is_recovering or segments_sacked >= DUPLICATES):
            return 0
        return min(self._multiplier * self.shortest // 4, smoothed)

    def is_credible(self, record: Sent, echo: int, now: int) -> bool:
        """RFC8985-6.2-2: an ACK of what was sent again may be for its first copy. ``echo`` is the timestamp
        that it echoes.
        """
        if not record.is_again:
            return True
        if echo != NO_ECHO and echo < record.at // GRANULARITY:
            return False
        return now - record.at >= self.shortest
