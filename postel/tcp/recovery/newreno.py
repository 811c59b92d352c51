"""Fast retransmit and fast recovery by RFC 6582, with limited transmit (RFC 3042)."""

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
        super().__init__(iss)
        self._recover = iss  # RFC6582-3.2-1
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
            self.is_active = False
            self.inflation = 0
            self.retransmit = -1
            congestion.recovered(flight, now)
            return True
        self.retransmit = una  # RFC6582-3.2-3b: the next hole begins where this ACK ends
        self.inflation = max(0, self.inflation - acked) + (congestion.smss if acked >= congestion.smss else 0)
        is_first = not self._had_partial
        self._had_partial = True
        return is_first

    def on_duplicate(self, una: int, maximum: int, flight: int, congestion: Congestion, now: int, *, is_proof: bool) -> None:
        self._duplicates += 1
        if self.is_active:
            self.inflation = min(self.inflation + congestion.smss, flight)  # RFC5681-3.2f, as far as octets are outstanding
        elif self._duplicates < DUPLICATES:
            if self._duplicates == 1:
                self._flight = flight
            self.inflation = self._duplicates * congestion.smss  # RFC3042-2a: new data flies, cwnd stays (RFC3042-2b)
        elif self._duplicates == DUPLICATES and (is_proof or seq.gt(una, self._recover)):  # RFC6582-3.2-2
            self._enter(una, maximum, congestion, now)

    def on_timeout(self, maximum: int) -> None:
        self._recover = maximum  # RFC6582-3.2-4
        self._duplicates = 0
        self.is_active = False
        self.inflation = 0
        self.retransmit = -1

    def _enter(self, una: int, maximum: int, congestion: Congestion, now: int) -> None:
        self.is_active = True
        self._had_partial = False
        self._recover = maximum
        congestion.lost(self._flight, now)
        self.inflation = DUPLICATES * congestion.smss  # RFC5681-3.2e
        self.retransmit = una
