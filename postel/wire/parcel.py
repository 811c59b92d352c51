"""A packet as a link takes or gives it that does part of the work: checksums, and the cutting and joining of
segments (TSO, GRO).

::

    sender                          link                                 receiver
      │ head │ 43 × stride octets  ──► 43 packets, each with a checksum ──► joined again, checked: one parcel
"""

from typing import Final

from postel.wire import checksum, ip
from postel.wire.ip import HEADER_4, HEADER_6, LARGEST
from postel.wire.segment import CHECKSUM_AT, CWR, FIN, HEADER, PSH, URG

_UDP_CHECKSUM_AT: Final = 6
_DONT_FRAGMENT: Final = 0x40  # of octet 6
_ONLY_FIRST: Final = CWR  # as TSO does it: RFC 3168's CWR is told once
_ONLY_LAST: Final = FIN | PSH


class Parcel:
    """``head`` and ``text`` together are one IP packet. Where ``text`` isn't empty, it is all of TCP's, and
    ``head`` the headers.

    Where ``start`` isn't 0 the checksum at ``start + field`` is not done yet: the sum of the pseudo-header
    stands there, and whoever ends it adds up everything from ``start`` on. ``stride`` isn't 0 where the
    packet is to be cut into segments of so many octets of text, or was joined of such. ``is_vouched``: the
    link says that what arrived is undamaged.
    """

    __slots__ = ("field", "head", "is_vouched", "start", "stride", "text")

    def __init__(
        self,
        head: bytes,
        text: bytes = b"",
        *,
        stride: int = 0,
        start: int = 0,
        field: int = CHECKSUM_AT,
        is_vouched: bool = False,
    ) -> None:
        self.head: bytes = head
        self.text: bytes = text
        self.stride: int = stride
        self.start: int = start
        self.field: int = field
        self.is_vouched: bool = is_vouched or start > 0

    @property
    def largest_packet(self) -> int:
        """Octets of the largest packet that goes over the wire for it."""
        return len(self.head) + (min(self.stride, len(self.text)) if self.stride else len(self.text))


def finished(parcel: Parcel) -> list[bytes]:
    """The packets that go over the wire for it: what a link without these gifts must be given.

    A parcel of which this can't be made is one packet as it stands, with whatever is wrong with it.
    """
    if parcel.stride > 0 and _can_be_cut(parcel):
        return (
            _cut(parcel.head, parcel.text, parcel.start, parcel.stride) if parcel.text else _cut_whole(parcel)
        )
    octets = parcel.head + parcel.text
    if not 0 < parcel.start <= len(octets) - parcel.field - 2 or parcel.field < 0:
        return [octets]
    value = checksum.field(checksum.total(octets[parcel.start :]))
    if value == 0 and parcel.field == _UDP_CHECKSUM_AT:  # there, zero would mean: none (RFC 768)
        value = checksum.MODULUS
    at = parcel.start + parcel.field
    return [octets[:at] + value.to_bytes(2, "big") + octets[at + 2 :]]


def _can_be_cut(parcel: Parcel) -> bool:
    """Whether ``start`` is where a whole TCP header stands behind an IP header, and text follows that fits
    with it into one packet.
    """
    head, start = parcel.head, parcel.start
    size = len(head) + len(parcel.text)
    if parcel.field != CHECKSUM_AT or start < HEADER_4 or start + HEADER > len(head):
        return False
    version = head[0] >> 4
    if version != 4 and (version != 6 or start < HEADER_6):
        return False
    begin = start + (head[start + 12] >> 4 << 2)
    is_whole = begin >= start + HEADER and (begin == len(head) if parcel.text else begin < size)
    return is_whole and size <= (LARGEST if version == 4 else HEADER_6 + LARGEST)


def _cut_whole(parcel: Parcel) -> list[bytes]:
    octets, start = parcel.head, parcel.start
    begin = start + (octets[start + 12] >> 4 << 2)
    return _cut(octets[:begin], octets[begin:], start, parcel.stride)


def _cut(head: bytes, text: bytes, start: int, stride: int) -> list[bytes]:
    """Most headers differ in their sequence number alone: the rest, and its sum, is written for the first,
    the second and the last.
    """
    size = len(text)
    number = int.from_bytes(head[start + 4 : start + 8], "big")
    pseudo_header = int.from_bytes(head[start + CHECKSUM_AT : start + CHECKSUM_AT + 2], "big") - (
        len(head) - start + size
    )
    differs = (head[0] >> 4 == 4 and not head[6] & _DONT_FRAGMENT) or head[start + 13] & URG != 0
    pieces: list[bytes] = []
    front = middle = back = b""
    words = 0
    for index, at in enumerate(range(0, size, stride)):
        part = text[at : at + stride]
        if index < 2 or at + stride >= size or differs:
            mold = _mold(head, start, len(part), index, at, is_last=at + stride >= size)
            front, middle, back = (
                mold[: start + 4],
                mold[start + 8 : start + CHECKSUM_AT],
                mold[start + CHECKSUM_AT + 2 :],
            )
            words = checksum.total(mold[start:]) + pseudo_header + len(mold) - start + len(part)
        value = checksum.field(checksum.total(part) + words + number)
        pieces.append(
            b"".join((front, number.to_bytes(4, "big"), middle, value.to_bytes(2, "big"), back, part))
        )
        number = number + stride & 0xFFFFFFFF
    return pieces


def _mold(head: bytes, start: int, size: int, index: int, offset: int, *, is_last: bool) -> bytes:
    """The headers of the piece with ``size`` octets of text, ``offset`` octets from the first, their number
    and checksum zero.
    """
    mold = bytearray(head)
    mold[start + 4 : start + 8] = bytes(4)
    mold[start + CHECKSUM_AT : start + CHECKSUM_AT + 2] = bytes(2)
    if index:
        mold[start + 13] &= ~_ONLY_FIRST
    if not is_last:
        mold[start + 13] &= ~_ONLY_LAST
    if mold[start + 13] & URG and offset:
        _point_at_the_same_octet(mold, start, offset)
    _fit(mold, start, len(head) - start + size, index)
    return bytes(mold)


def _point_at_the_same_octet(head: bytearray, start: int, offset: int) -> None:
    """The urgent pointer counts from the sequence number, which is ``offset`` more in this piece (RFC 9293,
    3.1).
    """
    urgent = int.from_bytes(head[start + 18 : start + 20], "big") - offset
    if urgent <= 0:
        head[start + 13] &= ~URG
    head[start + 18 : start + 20] = max(0, urgent).to_bytes(2, "big")


def _fit(head: bytearray, start: int, size: int, index: int) -> None:
    """The IP header's length; IPv4's identification, where fragments need it, and checksum."""
    if head[0] >> 4 == 6:
        head[4:6] = (start - 40 + size).to_bytes(2, "big")
        return
    head[2:4] = (start + size).to_bytes(2, "big")
    if not head[6] & _DONT_FRAGMENT:
        head[4:6] = (int.from_bytes(head[4:6], "big") + index & 0xFFFF).to_bytes(2, "big")
    head[:start] = ip.summed(head[:start])
