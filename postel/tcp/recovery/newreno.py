"""Fast retransmit and fast recovery by RFC 6582, with limited transmit (RFC 3042): for peers without SACK."""

from typing import Final

from postel.tcp import seq
from postel.tcp.congestion import Congestion
from postel.tcp.recovery import Recovery

DUPLICATES: Final = 3  # RFC 5681, 3.2: the threshold


class NewReno(Recovery):
    """Without SACK a partial ACK is the only word of a second loss, so each costs a round trip.

    ``_recover`` is one past the highest number sent when the last loss was found: until SND.UNA is beyond it, duplicate ACKs may
    be echoes of our own retransmissions.
    """

    def __init__(self, iss: int) -> None:
        super().__init__()
        self._recover = iss  # RFC6582-3.2-1
        self._lost = -1
        self._duplicates = 0
        self._had_partial = False
        self._flight = 0  # before limited transmit added to it (RFC5681-3.2d)

    def on_ack(self, acked: int, una: int, flight: int, congestion: Congestion, now: int) -> bool:
        self._duplicates = 0
        if not self.is_active:
            self.inflation = 0
            if seq.gt(una, self._recover):  # follow, so that 2**31 octets without a loss don't turn the comparison
                self._recover = seq.add(una, -1)
            return True
        if seq.ge(una, self._recover):  # RFC6582-3.2-3a
            self._leave()
            congestion.recovered(flight, now)
            return True
        self._lost = una  # RFC6582-3.2-3b: the next hole begins where this ACK ends
        self.inflation = max(0, self.inflation - acked) + (congestion.smss if acked >= congestion.smss else 0)
        is_first = not self._had_partial
        self._had_partial = True
        return is_first

    def on_duplicate(self, una: int, maximum: int, flight: int, congestion: Congestion, now: int) -> None:
        self._duplicates += 1
        if self.is_active:
            self.inflation = min(self.inflation + congestion.smss, flight)  # RFC5681-3.2f, as far as octets are outstanding
        elif self._duplicates < DUPLICATES:
            if self._duplicates == 1:
                self._flight = flight
            self.inflation = self._duplicates * congestion.smss  # RFC3042-2a: new data flies, cwnd stays (RFC3042-2b)
        elif self._duplicates == DUPLICATES:
            self._consider(una, maximum, congestion, now)

    def on_sack(self, blocks: tuple[tuple[int, int], ...], una: int, maximum: int, congestion: Congestion, now: int) -> None:
        """Not agreed: not looked at."""

    def on_timeout(self, una: int, maximum: int) -> bool:
        self._recover = maximum  # RFC6582-3.2-4
        self._duplicates = 0
        self._leave()
        return True

    def on_path_loss(self, maximum: int) -> bool:
        self._recover = maximum
        self._leave()
        return True

    def next_lost(self, una: int, maximum: int, window: int, smss: int) -> tuple[int, int]:
        return (-1, 0) if self._lost < 0 else (seq.latest(self._lost, una), smss)

    def on_retransmitted(self, end: int) -> None:
        self._lost = -1

    def room(self, una: int, nxt: int, maximum: int, window: int, smss: int) -> int:
        return window + self.inflation - seq.distance(una, nxt)

    def _consider(self, una: int, maximum: int, congestion: Congestion, now: int) -> None:
        """RFC6582-3.2-2: three duplicates mean a loss, unless they may be echoes of what a timeout sent again."""
        if not seq.gt(una, self._recover):
            return
        self.is_active = True
        self._had_partial = False
        self._recover = maximum
        congestion.lost(self._flight, now)
        self.inflation = DUPLICATES * congestion.smss  # RFC5681-3.2e
        self._lost = una

    def _leave(self) -> None:
        self.is_active = False
        self.inflation = 0
        self._lost = -1
