"""A packet as a link takes or gives it that does part of the work: checksums, and the cutting and joining of segments (TSO, GRO).

::

    sender                          link                                 receiver
      │ head │ 43 × stride octets  ──► 43 packets, each with a checksum ──► joined again, checked: one parcel
"""

from typing import Final

from postel.wire import checksum
from postel.wire.segment import CHECKSUM_AT, CWR, FIN, PSH

_UDP_CHECKSUM_AT: Final = 6
_DONT_FRAGMENT: Final = 0x40  # of octet 6
_ONLY_FIRST: Final = CWR  # as TSO does it: RFC 3168's CWR is told once
_ONLY_LAST: Final = FIN | PSH


class Parcel:
    """``head`` and ``text`` together are one IP packet. Where ``text`` isn't empty, it is all of TCP's, and ``head`` the headers.

    Where ``start`` isn't 0 the checksum at ``start + field`` is not done yet: the sum of the pseudo-header stands there, and whoever ends
    it adds up everything from ``start`` on. ``stride`` isn't 0 where the packet is to be cut into segments of so many octets of text, or
    was joined of such. ``is_vouched``: the link says that what arrived is undamaged.
    """

    __slots__ = ("field", "head", "is_vouched", "start", "stride", "text")

    def __init__(
        self, head: bytes, text: bytes = b"", *, stride: int = 0, start: int = 0, field: int = CHECKSUM_AT, is_vouched: bool = False
    ) -> None:
        self.head = head
        self.text = text
        self.stride = stride
        self.start = start
        self.field = field
        self.is_vouched = is_vouched or start > 0

    @property
    def largest_packet(self) -> int:
        """Octets of the largest packet that goes over the wire for it."""
        return len(self.head) + (min(self.stride, len(self.text)) if self.stride else len(self.text))


def finished(parcel: Parcel) -> list[bytes]:
    """The packets that go over the wire for it: what a link without these gifts must be given."""
    octets = parcel.head + parcel.text
    if not parcel.start:
        return [octets]
    if parcel.stride and parcel.field == CHECKSUM_AT:
        return _cut(octets, parcel.start, parcel.stride)
    value = checksum.field(checksum.total(octets[parcel.start :]))
    if value == 0 and parcel.field == _UDP_CHECKSUM_AT:  # there, zero would mean: none (RFC 768)
        value = checksum.MODULUS
    at = parcel.start + parcel.field
    return [octets[:at] + value.to_bytes(2, "big") + octets[at + 2 :]]


def _cut(octets: bytes, start: int, stride: int) -> list[bytes]:
    """Most headers differ in their sequence number alone: the rest, and its sum, is written for the first, the second and the last."""
    begin = start + (octets[start + 12] >> 4 << 2)
    size = len(octets)
    number = int.from_bytes(octets[start + 4 : start + 8], "big")
    has_identification = octets[0] >> 4 == 4 and not octets[6] & _DONT_FRAGMENT
    pieces: list[bytes] = []
    front = middle = back = b""
    words = 0
    for index, at in enumerate(range(begin, size, stride)):
        text = octets[at : at + stride]
        if index < 2 or at + stride >= size or has_identification:
            head = _head(octets, start, begin, len(text), index, is_last=at + stride >= size)
            front, middle, back = head[: start + 4], head[start + 8 : start + CHECKSUM_AT], head[start + CHECKSUM_AT + 2 :]
            words = checksum.total(head[start:]) + _pseudo_header(octets, start) + len(head) - start + len(text)
        value = checksum.field(checksum.total(text) + words + number)
        pieces.append(b"".join((front, number.to_bytes(4, "big"), middle, value.to_bytes(2, "big"), back, text)))
        number = number + stride & 0xFFFFFFFF
    return pieces


def _head(octets: bytes, start: int, begin: int, size: int, index: int, *, is_last: bool) -> bytes:
    """The headers of the piece with ``size`` octets of text, their sequence number and checksum zero."""
    head = bytearray(octets[:begin])
    head[start + 4 : start + 8] = bytes(4)
    head[start + CHECKSUM_AT : start + CHECKSUM_AT + 2] = bytes(2)
    if index:
        head[start + 13] &= ~_ONLY_FIRST
    if not is_last:
        head[start + 13] &= ~_ONLY_LAST
    _fit(head, start, begin - start + size, index)
    return bytes(head)


def _pseudo_header(octets: bytes, start: int) -> int:
    """Its sum, as the sender left it, without the length of the whole."""
    return int.from_bytes(octets[start + CHECKSUM_AT : start + CHECKSUM_AT + 2], "big") - (len(octets) - start)


def _fit(head: bytearray, start: int, size: int, index: int) -> None:
    """The IP header's length; IPv4's identification, where fragments need it, and checksum."""
    if head[0] >> 4 == 6:
        head[4:6] = (start - 40 + size).to_bytes(2, "big")
        return
    head[2:4] = (start + size).to_bytes(2, "big")
    if not head[6] & _DONT_FRAGMENT:
        head[4:6] = (int.from_bytes(head[4:6], "big") + index & 0xFFFF).to_bytes(2, "big")
    head[10:12] = b"\0\0"
    head[10:12] = checksum.ones_complement(bytes(head[:start])).to_bytes(2, "big")
