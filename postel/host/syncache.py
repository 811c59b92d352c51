"""The SYN cache (RFC 4987, 3.5): half-open connections as small records, where there are very many. Of a
flood hardly one is answered.

A record takes some 220 octets of memory in all over IPv4. When a segment or the timer needs the connection,
it is made again: see `postel.tcp.half_open`.
"""

from struct import Struct
from typing import Final

from postel.host.records import Records
from postel.tcp.half_open import Changes, Remains

_HEAD: Final = Struct(
    "!IQB"
)  # the number of the listener, when the SYN arrived, retransmissions; changes and the SYN follow
_CHANGES: Final = Struct("!QQIHHHBB")
_CHANGED: Final = 0x80  # beside the retransmissions: the changes follow


class SynCache(Records):
    """All of a host. A ``listener`` is its number."""

    __slots__ = ()

    def keep(self, key: bytes, listener: int, remains: Remains) -> None:
        changes = b"" if remains.changes is None else _CHANGES.pack(*remains.changes)
        again = remains.retransmissions | (_CHANGED if changes else 0)
        self.put(key, remains.deadline, _HEAD.pack(listener, remains.arrived, again) + changes + remains.syn)

    def claim(self, key: bytes) -> tuple[int, Remains]:
        """Take a connection out of the cache, to be restored."""
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
        """The listener of this number is closed."""
        for key in [key for key in self if self._listener(key) == listener]:
            self.discard(key)

    def _listener(self, key: bytes) -> int:
        return int.from_bytes(self.content(key)[:4], "big")
