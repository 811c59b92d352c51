"""The SYN cache (RFC 4987, 3.5): half-open connections as small records, where there are very many. Of a flood hardly one is answered.

A child that has answered its SYN, and heard nothing since, is a function of that SYN, of when it came, and of how often the answer went
again. So a record keeps these alone, some 220 octets of memory in all where addresses are IPv4's. A segment or the timer makes the
child anew: it hears the SYN once more, and what it says to that is dropped, for it was said.
"""

from struct import Struct
from typing import Final, NamedTuple

from postel.host.records import Records
from postel.tcp.connection import Connection
from postel.wire.options import PACKED
from postel.wire.segment import Segment, encode, parse

MOST_RETRANSMISSIONS: Final = 15  # twice as many as come of the default timers; to go through them all again is work
_HEAD: Final = Struct("!IQBB")  # the fields before the SYN, whose ECN field is the last


class Record(NamedTuple):
    """``listener`` is its number, ``arrived`` when ``syn`` did; ``retransmissions`` of the SYN,ACK, and when the next is due."""

    listener: int
    arrived: int
    retransmissions: int
    syn: Segment
    deadline: int

    def replay(self, child: Connection) -> None:
        """To a new child all that the old one went through."""
        now = self.arrived
        child.open_passive(now)
        child.segment_arrives(self.syn, now)
        _drain(child, now)
        for _ in range(self.retransmissions):
            now = child.next_timeout()
            child.handle_timeout(now)
            _drain(child, now)
        child.tcb.timers.retransmission = self.deadline  # the old one's may have been late


def _drain(child: Connection, now: int) -> None:
    while child.next_segment(now) is not None:
        pass


class SynCache(Records):
    """All of a host."""

    __slots__ = ()

    def keep(self, key: bytes, record: Record) -> None:
        syn = record.syn
        head = _HEAD.pack(record.listener, record.arrived, record.retransmissions, syn.ecn)
        header = encode(syn, PACKED)
        self.put(key, record.deadline, head + header[: header[12] >> 4 << 2])  # LISTEN has left the text aside, too

    def take(self, key: bytes) -> Record:
        """Out of the cache: it is a child again."""
        content = self.content(key)
        listener, arrived, retransmissions, ecn = _HEAD.unpack_from(content)
        syn = parse(content, _HEAD.size, len(content))
        syn.ecn = ecn
        record = Record(listener, arrived, retransmissions, syn, self.deadline(key))
        self.discard(key)
        return record

    def oldest(self, listener: int) -> bytes | None:
        """The key of the one that has been here longest."""
        return next((key for key in self if self._listener(key) == listener), None)

    def forget(self, listener: int) -> None:
        """Nobody listens any more."""
        for key in [key for key in self if self._listener(key) == listener]:
            self.discard(key)

    def _listener(self, key: bytes) -> int:
        return int.from_bytes(self.content(key)[:4], "big")
