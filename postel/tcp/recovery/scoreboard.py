"""Loss recovery with SACK: the scoreboard, and the pipe of RFC 6675.

Positions count octets and never wrap; position 0 is the first octet after our SYN::

          una            lost edge            end of SACK        max
    ───────┼─────▒▒▒▒▒▒──────┼─────▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒┼──────────────┼────►
           │ not SACKed: lost│  not lost yet       │ in flight    │
"""

from typing import Final

from postel.tcp import seq
from postel.tcp.congestion import Congestion
from postel.tcp.ranges import Ranges
from postel.tcp.recovery import Recovery

DUPLICATES: Final = 3
RANGES: Final = 1024  # a peer that reports more holes than that isn't believed further


class Scoreboard(Recovery):
    """SACKed octets stay in the send buffer until they are acknowledged (RFC6675-4a): a peer may change its mind."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self._una = first
        self._position = 0  # of SND.UNA
        self._sacked = Ranges()
        self._duplicates = 0
        self._point = 0  # RecoveryPoint
        self._retransmitted = 0  # HighRxt
        self._lost_by_timeout = 0  # everything below is lost unless SACKed
        self._is_forced = False  # the first retransmission waits for no room

    def on_ack(self, acked: int, una: int, flight: int, congestion: Congestion, now: int) -> bool:
        self._position += acked
        self._una = una
        self._duplicates = 0  # RFC6675-5a
        self._sacked.drop_below(self._position)
        self._retransmitted = max(self._retransmitted, self._position)
        self._is_forced = False
        if self.is_active and self._position >= self._point:  # RFC6675-5d
            self.is_active = False
            congestion.recovered(flight, now)
        return True

    def on_duplicate(self, una: int, maximum: int, flight: int, congestion: Congestion, now: int) -> None:
        self._duplicates += 1
        if self._duplicates >= DUPLICATES and self._sacked.total:  # RFC3042-2c: an ACK that SACKs nothing is no sign of loss
            self._consider(maximum, congestion, now)

    def on_sack(self, blocks: tuple[tuple[int, int], ...], una: int, maximum: int, congestion: Congestion, now: int) -> None:
        for left, right in blocks:
            is_possible = seq.ge(left, una) and seq.lt(left, right) and seq.le(right, maximum)  # below: a D-SACK (RFC2883-5), or a lie
            if is_possible and len(self._sacked) < RANGES:
                self._sacked.add(self._at(left), self._at(right))
        if self._lost_edge(congestion.smss) > self._position:
            self._consider(maximum, congestion, now)

    def on_timeout(self, una: int, maximum: int) -> bool:
        if self._sacked.around(self._position)[1]:  # SND.UNA was SACKed and still isn't acknowledged: the peer reneged
            self._sacked.clear()
        self.is_active = False
        self._duplicates = 0
        self._point = self._at(maximum)  # RFC6675-5.1a
        self._lost_by_timeout = self._point
        self._retransmitted = self._position
        self._is_forced = True  # RFC2018-5c
        return False

    def on_path_loss(self, maximum: int) -> bool:
        self._lost_by_timeout = self._at(maximum)
        self._retransmitted = self._position
        return False

    def next_lost(self, una: int, maximum: int, window: int, smss: int) -> tuple[int, int]:
        if self._is_quiet:
            return (-1, 0)
        edge = self._lost_edge(smss)
        start = self._retransmitted
        if start >= edge and not self._is_forced:
            return (-1, 0)
        while (run := self._sacked.around(start))[1]:
            start = run[1]
        if start >= edge and not self._is_forced:
            return (-1, 0)
        if not self._is_forced and window - self._pipe(maximum, edge) < smss:  # RFC6675-5c
            return (-1, 0)
        hole_end = self._sacked.first_within(start, start + smss)
        return self._number(start), (hole_end[0] - start if hole_end[1] else smss)  # RFC6675-4d

    def on_retransmitted(self, end: int) -> None:
        self._retransmitted = max(self._retransmitted, self._at(end))
        self._is_forced = False

    def room(self, una: int, nxt: int, maximum: int, window: int, smss: int) -> int:
        if nxt != maximum or self._is_quiet:  # or a window that opened again: all of it goes in order
            return window - seq.distance(una, nxt)
        return window - self._pipe(maximum, self._lost_edge(smss))

    @property
    def _is_quiet(self) -> bool:
        """Nothing SACKed, nothing lost, nothing forced: as nearly always."""
        return not self._sacked.lefts and self._lost_by_timeout <= self._position and not self._is_forced

    def _consider(self, maximum: int, congestion: Congestion, now: int) -> None:
        """Enter recovery, once a window (RFC6675-5b)."""
        if self.is_active or self._position < self._point:
            return
        self.is_active = True
        self._point = self._at(maximum)
        self._retransmitted = self._position
        self._is_forced = True
        congestion.lost(self._point - self._position, now)

    def _lost_edge(self, smss: int) -> int:
        """IsLost (RFC6675-4b): below three SACKed ranges, or below more than two segments' octets of them. It looks at three at most."""
        octets = 0
        edge = max(self._position, self._lost_by_timeout)
        for count in range(1, len(self._sacked) + 1):
            octets += self._sacked.rights[-count] - self._sacked.lefts[-count]
            if count == DUPLICATES or octets > (DUPLICATES - 1) * smss:
                return max(edge, self._sacked.lefts[-count])
        return edge

    def _pipe(self, maximum: int, edge: int) -> int:
        """SetPipe (RFC6675-4c): octets in the network. What is neither SACKed nor lost, and what was sent again."""
        in_flight = self._at(maximum) - edge - self._sacked.covered_above(edge)
        sent_again = self._retransmitted - self._position
        return in_flight + sent_again - (self._sacked.total - self._sacked.covered_above(self._retransmitted))

    def _at(self, number: int) -> int:
        return self._position + seq.offset(number, self._una)

    def _number(self, position: int) -> int:
        return seq.add(self._una, position - self._position)
