"""RACK's reordering window: how long to wait for segments that others overtook (RFC 8985, 6.2).

A segment sent before one that has arrived is lost, or the network reordered the two. RACK waits one round
trip and this window before it calls the segment lost. The window is 0 where no reordering was ever seen and
enough was SACKed, else a quarter of the minimum round trip, times a factor that grows with each round trip in
which a D-SACK shows that a retransmission was needless.
"""

from typing import Final

from postel.tcp.recovery.transmissions import Sent
from postel.tcp.recovery.undo import NO_ECHO
from postel.tcp.rtt import GRANULARITY
from postel.times import MINUTE

DUPLICATES: Final = 3  # DupThresh: segments SACKed that mean a loss
PERSISTENCE: Final = 16  # recoveries without a D-SACK after which the window is narrow again
_WIDEST: Final = 64  # largest factor of a quarter of the minimum round trip
_MINIMUM_LASTS: Final = 5 * MINUTE  # age at which the next round trip replaces the minimum round trip
_NONE: Final = -1  # a position before all others


class Reordering:
    """State of the reordering window (RFC 8985, 6.2, steps 1, 3 and 4).

    ``count`` is how often reordering was seen; RACK.reordering_seen is ``count > 0``. ``shortest`` is
    RACK.min_RTT in microseconds.
    """

    __slots__ = ("_measured_at", "_multiplier", "_persistence", "_round", "count", "shortest")

    def __init__(self, round_trip: int) -> None:
        """Create the state; ``round_trip`` is that of the handshake, 0 where it wasn't measured."""
        self.count: int = 0
        self.shortest: int = round_trip
        self._measured_at = 0
        self._multiplier = 1  # RACK.reo_wnd_mult
        self._persistence = PERSISTENCE  # RACK.reo_wnd_persist
        self._round = _NONE  # RACK.dsack_round: D-SACKs don't count until SND.UNA reaches this position

    def measured(self, round_trip: int, now: int) -> None:
        """Update the minimum round trip of the last minutes (RFC8985-6.2-1)."""
        if round_trip <= self.shortest or self.shortest == 0 or now - self._measured_at > _MINIMUM_LASTS:
            self.shortest = round_trip
            self._measured_at = now

    def duplicated(self, una: int, end: int) -> None:
        """Widen the window for a D-SACK, at most once a round trip (RFC8985-6.2-4).

        A D-SACK shows that a retransmission was needless. ``una`` and ``end`` are the positions of SND.UNA
        and SND.MAX.
        """
        if una >= self._round:
            self._round = end
            self._multiplier = min(self._multiplier + 1, _WIDEST)
            self._persistence = PERSISTENCE

    def recovered(self) -> None:
        """Count the end of a recovery; after 16 without a D-SACK, make the window narrow again."""
        self._persistence -= 1
        if self._persistence <= 0:
            self._multiplier = 1

    def window(self, segments_sacked: int, smoothed: int, *, is_recovering: bool) -> int:
        """Return RACK.reo_wnd in microseconds (RFC8985-6.2-4).

        The window is 0 while no reordering was ever seen and there are clear signs of a loss: a recovery
        under way (``is_recovering``), or ``segments_sacked`` at the threshold. ``smoothed`` is SRTT, the
        upper bound.
        """
        if not self.count and (is_recovering or segments_sacked >= DUPLICATES):
            return 0
        return min(self._multiplier * self.shortest // 4, smoothed)

    def is_credible(self, record: Sent, echo: int, now: int) -> bool:
        """Say whether an ACK answers this transmission, ``record``, and no earlier one (RFC8985-6.2-2).

        If the octets had been sent before, the ACK may answer their first copy. That is assumed if the
        timestamp ``echo`` is from before this transmission, or if less than the minimum round trip has passed
        since this transmission.
        """
        if not record.is_again:
            return True
        if echo != NO_ECHO and echo < record.at // GRANULARITY:
            return False
        return now - record.at >= self.shortest
