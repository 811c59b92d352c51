"""IP packets that came in fragments, joined again (RFC 791, 3.2; RFC 8200, 4.5).

Memory is bounded, because a capture may hold any number of packets of which fragments are missing.
"""

from typing import Final

from postel.times import SECOND

MOST: Final = 256  # largest number of incomplete packets that are kept; for one more, the oldest is dropped
_PATIENCE: Final = 60 * SECOND  # time after which an incomplete packet is dropped (RFC 8200, 4.5)
_LARGEST: Final = 65_535
_FRAGMENT: Final = 44


class _Waiting:
    """Incomplete packet: some fragments have come, and others are missing.

    ``size`` is the length of the payload in octets, 0 until the last fragment has come.
    """

    __slots__ = ("began", "count", "head", "parts", "size")

    def __init__(self, began: int) -> None:
        """Begin with the first fragment that comes, at ``began`` microseconds."""
        self.began = began
        self.count = 0  # number of the packet's fragments that have come
        self.head = b""
        self.parts: dict[int, bytes] = {}
        self.size = 0


class Fragments:
    """Fragments of incomplete packets. `take` gets each fragment, and returns a packet once it is whole."""

    def __init__(self) -> None:
        """Begin without fragments."""
        self.left: int = 0  # number of fragments that belong to packets which didn't become whole
        self._waiting: dict[bytes, _Waiting] = {}

    def take(self, octets: bytes, ip: int, end: int, now: int) -> bytes:
        """Add a fragment. Return the whole packet with its IP header, or b"" while fragments are missing."""
        key, head, offset, more, payload = (
            _parsed_4(octets, ip, end) if octets[ip] >> 4 == 4 else _parsed_6(octets, ip, end)
        )
        waiting = self._waiting.get(key)
        if waiting is None or now - waiting.began > _PATIENCE:
            self._waiting.pop(key, None)
            while len(self._waiting) >= MOST:
                del self._waiting[next(iter(self._waiting))]
            waiting = self._waiting[key] = _Waiting(now)
        self.left += 1
        waiting.count += 1
        waiting.parts.setdefault(offset, payload)
        if offset == 0:
            waiting.head = head
        if not more:
            waiting.size = offset + len(payload)
        joined = _joined(waiting)
        if joined:
            self.left -= waiting.count
            del self._waiting[key]
        return joined


def _joined(waiting: _Waiting) -> bytes:
    """Return the packet if all its fragments are there, else b""."""
    if not waiting.size or not waiting.head or waiting.size + len(waiting.head) > _LARGEST:
        return b""
    text = bytearray()
    for offset in sorted(waiting.parts):
        if offset > len(text):
            return b""
        text[offset:] = (
            waiting.parts[offset] if offset + len(waiting.parts[offset]) >= len(text) else text[offset:]
        )
    if len(text) < waiting.size:
        return b""
    head = bytearray(waiting.head)
    if head[0] >> 4 == 4:
        head[2:4] = (len(head) + waiting.size).to_bytes(2, "big")
    else:
        head[4:6] = waiting.size.to_bytes(2, "big")
    return bytes(head + text[: waiting.size])


def _parsed_4(octets: bytes, ip: int, end: int) -> tuple[bytes, bytes, int, bool, bytes]:
    """Parse an IPv4 fragment into key of its packet, header, offset, whether more follow, and payload."""
    header = (octets[ip] & 15) * 4
    total = octets[ip + 2] << 8 | octets[ip + 3]
    field = octets[ip + 6] << 8 | octets[ip + 7]
    key = octets[ip + 4 : ip + 6] + octets[ip + 9 : ip + 10] + octets[ip + 12 : ip + 20]
    head = octets[ip : ip + 6] + bytes(2) + octets[ip + 8 : ip + header]
    return key, head, (field & 0x1FFF) * 8, field & 0x2000 != 0, octets[ip + header : min(ip + total, end)]


def _parsed_6(octets: bytes, ip: int, end: int) -> tuple[bytes, bytes, int, bool, bytes]:
    """Parse an IPv6 fragment into key of its packet, header, offset, whether more follow, and payload.

    Extension headers before the fragment header aren't part of the packet that is returned.
    """
    length = octets[ip + 4] << 8 | octets[ip + 5]
    at, following = ip + 40, octets[ip + 6]
    while following != _FRAGMENT:
        following, at = octets[at], at + 8 * octets[at + 1] + 8
    field = octets[at + 2] << 8 | octets[at + 3]
    key = octets[at + 4 : at + 8] + octets[ip + 8 : ip + 40]
    head = octets[ip : ip + 6] + octets[at : at + 1] + octets[ip + 7 : ip + 40]
    return key, head, field & 0xFFF8, field & 1 != 0, octets[at + 8 : min(ip + 40 + length, end)]
