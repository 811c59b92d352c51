"""A packet of up to 64 KiB for a link that cuts, joins and checks packets itself (segmentation offload).

Theory of operation. A packet costs nearly the same time whatever its size. So a connection makes one large
segment where its link can cut it into packets of the usual size (TSO, "TCP segmentation offload"). In the
other direction the link joins packets of a connection that arrive one after another (GRO, "generic receive
offload"). The link also computes checksums, and checks them. A `Parcel` is such a packet, with the numbers
that the link needs for this work::

    head                     text
    ┌───────────┬────────────┬────────────┬────────────┬──────┐
    │ IP header │ TCP header │  stride    │  stride    │ rest │
    └───────────┴────────────┴────────────┴────────────┴──────┘
                ▲     ▲
                start start + field: here stands the sum of the pseudo-header instead of the checksum

    the link sends       IP TCP stride,   IP TCP stride,   IP TCP rest

``text`` is the TCP payload, and ``stride`` the payload of each packet but the last, in octets. The packets
differ in their sequence numbers, lengths and checksums. CWR is set in the first only, FIN and PSH in the last
only, as network cards do it.

`finished` does the link's work in Python, for links that can't cut. In a parcel that arrives, ``is_vouched``
says that the link has checked the checksum, and ``stride`` the size of the packets that it joined.
"""

from typing import Final

from postel.wire import checksum, ip
from postel.wire.ip import HEADER_4, HEADER_6, LARGEST
from postel.wire.segment import CHECKSUM_AT, CWR, FIN, HEADER, PSH, URG

_UDP_CHECKSUM_AT: Final = 6
_DONT_FRAGMENT: Final = 0x40  # the flag "don't fragment" in octet 6 of IPv4's header
_ONLY_FIRST: Final = CWR  # flags of the first packet only: CWR reports one reduction of cwnd, once (RFC 3168)
_ONLY_LAST: Final = FIN | PSH  # flags of the last packet only


class Parcel:
    """One IP packet in the form that a link with offload sends and receives.

    It has these attributes:
        head: the headers, or the whole packet where ``text`` is empty.
        text: the TCP payload, or b"".
        stride: octets of payload for each packet into which the link cuts it, or from which the link has
            joined it; 0 where it is a single packet.
        start: offset at which the unfinished checksum begins to count; 0 where the checksum is complete.
            Otherwise the sum of the pseudo-header stands in the checksum field.
        field: offset of the checksum field from ``start``.
        is_vouched: whether the link says that the packet arrived undamaged.
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
        """Make a parcel. An unfinished checksum (``start`` > 0) implies ``is_vouched``."""
        self.head: bytes = head
        self.text: bytes = text
        self.stride: int = stride
        self.start: int = start
        self.field: int = field
        self.is_vouched: bool = is_vouched or start > 0

    @property
    def largest_packet(self) -> int:
        """Size in octets of the largest packet that goes over the wire for this parcel."""
        return len(self.head) + (min(self.stride, len(self.text)) if self.stride else len(self.text))


def finished(parcel: Parcel) -> list[bytes]:
    """Packets to send for a parcel, with checksums, for a link that can't cut or compute checksums.

    A parcel with fields that contradict each other gives one uncut packet: its mistakes stay in it.
    """
    if parcel.stride > 0 and _can_be_cut(parcel):
        return (
            _cut(parcel.head, parcel.text, parcel.start, parcel.stride) if parcel.text else _cut_whole(parcel)
        )
    octets = parcel.head + parcel.text
    if not 0 < parcel.start <= len(octets) - parcel.field - 2 or parcel.field < 0:
        return [octets]
    value = checksum.field(checksum.total(octets[parcel.start :]))
    if value == 0 and parcel.field == _UDP_CHECKSUM_AT:  # in UDP, zero means "no checksum" (RFC 768)
        value = checksum.MODULUS
    at = parcel.start + parcel.field
    return [octets[:at] + value.to_bytes(2, "big") + octets[at + 2 :]]


def _can_be_cut(parcel: Parcel) -> bool:
    """Whether a whole TCP header stands at ``start``, behind an IP header and before some payload.

    The packet must also be no larger than IP allows.
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
    """Packets with ``stride`` octets of ``text`` each.

    Most of their headers differ in the sequence number and the checksum only. So the other fields, and their
    sum, are computed only for the first, the second and the last packet. The packets between use those of the
    second.
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
    """Headers of the packet with ``size`` octets of payload at ``offset``.

    The fields for the sequence number and the checksum are zero.
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
    """Correct the urgent pointer of a packet that begins ``offset`` octets later.

    The pointer counts from the sequence number (RFC 9293, 3.1). URG is cleared where the urgent data ends
    before it.
    """
    urgent = int.from_bytes(head[start + 18 : start + 20], "big") - offset
    if urgent <= 0:
        head[start + 13] &= ~URG
    head[start + 18 : start + 20] = max(0, urgent).to_bytes(2, "big")


def _fit(head: bytearray, start: int, size: int, index: int) -> None:
    """Set the length in the IP header, and in IPv4 the checksum.

    IPv4's identification is set too, where routers may fragment the packet.
    """
    if head[0] >> 4 == 6:
        head[4:6] = (start - 40 + size).to_bytes(2, "big")
        return
    head[2:4] = (start + size).to_bytes(2, "big")
    if not head[6] & _DONT_FRAGMENT:
        head[4:6] = (int.from_bytes(head[4:6], "big") + index & 0xFFFF).to_bytes(2, "big")
    head[:start] = ip.summed(head[:start])
