"""The SYN cache (RFC 4987, 3.5): half-open connections as small records.

Theory of operation. In a flood of SYNs nearly all half-open connections are never answered, and a
`Connection` for each is much memory. Once more than 32 half-open connections exist, a further one becomes a
record as soon as its SYN,ACK is sent. Over IPv4 a record takes about 220 octets of memory in all, a tenth of
the connection::

    SYN ──► Connection in SYN-RECEIVED ──► SYN,ACK sent ──► record: the SYN, when it arrived, and what
               ▲                                            repeated SYNs and refused segments changed
               │                                              │
               └──── a segment of the pair arrives, or ◄──────┘
                     the SYN,ACK must be retransmitted

A half-open connection follows from its SYN: the ISS is the sum of a clock, at the time when the SYN arrived,
and of a keyed hash of the pair (RFC 9293, 3.4.1). So a new connection gets the same SYN once more, and its
answer is thrown away, because it was sent before (`postel.tcp.half_open`). Then the connection processes the
segment, or its timer, as any other.

In contrast to SYN cookies (`postel.host.cookies`), a record keeps every option of the SYN that a listener
reads, and the SYN,ACK is retransmitted. Beyond the listener's backlog cookies are used.
"""

from struct import Struct
from typing import Final

from postel.host.records import Records
from postel.tcp.half_open import Changes, Remains

# Head of a record: the listener's number, the time at which the SYN arrived, and the number of
# retransmissions with a flag. The changes and the SYN follow the head
_HEAD: Final = Struct("!IQB")
_CHANGES: Final = Struct("!QQIHHHBB")
_CHANGED: Final = 0x80  # the flag in the octet of the retransmissions: changes follow


class SynCache(Records):
    """All records of a host, by the key of their pair. The argument ``listener`` is a listener's number."""

    __slots__ = ()

    def keep(self, key: bytes, listener: int, remains: Remains) -> None:
        """Insert a record. Its deadline is when the SYN,ACK must be retransmitted."""
        changes = b"" if remains.changes is None else _CHANGES.pack(*remains.changes)
        again = remains.retransmissions | (_CHANGED if changes else 0)
        self.put(key, remains.deadline, _HEAD.pack(listener, remains.arrived, again) + changes + remains.syn)

    def claim(self, key: bytes) -> tuple[int, Remains]:
        """Remove a record, and return the listener's number and the data that restore the connection."""
        content = self.content(key)
        listener, arrived, again = _HEAD.unpack_from(content)
        start, changes = _HEAD.size, None
        if again & _CHANGED:
            changes = Changes(*_CHANGES.unpack_from(content, start))
            start += _CHANGES.size
        remains = Remains(arrived, again & ~_CHANGED, content[start:], changes, self.deadline(key))
        self.discard(key)
        return listener, remains

    def forget(self, listener: int) -> None:
        """Remove the records of a listener that is closed."""
        for key in [key for key in self if self._listener(key) == listener]:
            self.discard(key)

    def _listener(self, key: bytes) -> int:
        return int.from_bytes(self.content(key)[:4], "big")
