"""The header before each packet of a TUN device with IFF_VNET_HDR: ``struct virtio_net_hdr`` of Linux.

The header is defined in <linux/virtio_net.h>. It has the byte order of the machine, which is Linux's default.
"""

from struct import Struct
from typing import Final

from postel.wire.ip import HEADER_4, HEADER_6
from postel.wire.parcel import Parcel
from postel.wire.segment import CHECKSUM_AT, CWR, HEADER

LENGTH: Final = 10  # octets of the header; a device may ask for a longer one, which is filled up with zeros

NEEDS_CHECKSUM: Final = 1
DATA_VALID: Final = 2

GSO_NONE: Final = 0
GSO_TCP_4: Final = 1
GSO_TCP_6: Final = 4
GSO_ECN: Final = 0x80  # CWR is set in the first packet only

_HEADER: Final = Struct("=BBHHHH")
_NOTHING: Final = bytes(LENGTH)


def header(parcel: Parcel) -> bytes:
    """Header that tells the kernel how to cut a parcel and finish its checksum."""
    if not parcel.start:
        return _NOTHING
    if not parcel.stride:
        return _HEADER.pack(NEEDS_CHECKSUM, GSO_NONE, 0, 0, parcel.start, parcel.field)
    kind = GSO_TCP_4 if parcel.head[0] >> 4 == 4 else GSO_TCP_6
    if parcel.head[parcel.start + 13] & CWR:
        kind |= GSO_ECN
    return _HEADER.pack(NEEDS_CHECKSUM, kind, len(parcel.head), parcel.stride, parcel.start, parcel.field)


def parse(header: bytes, packet: memoryview) -> Parcel:
    """Parcel for a packet that arrived behind ``header``.

    If the header contradicts itself or the packet, the parcel has the unchanged packet, and the host checks
    the packet.
    """
    if len(header) < LENGTH:
        return Parcel(bytes(packet))
    flags, kind, _, stride, start, field = _HEADER.unpack_from(header)
    if not flags and not kind:
        return Parcel(bytes(packet))
    size = len(packet)
    stride = stride if kind else 0
    if not flags & NEEDS_CHECKSUM:
        return Parcel(bytes(packet), stride=stride, is_vouched=flags & DATA_VALID != 0)
    if not HEADER_4 <= start <= size - field - 2 or (stride and not _is_joined(packet, kind, start, field)):
        return Parcel(bytes(packet))
    begin = start + (packet[start + 12] >> 4 << 2) if stride else size
    if begin >= size or _size(packet) != size:
        return Parcel(bytes(packet), stride=stride, start=start, field=field)
    # The payload may be large. This is its only copy until the program reads it.
    return Parcel(bytes(packet[:begin]), bytes(packet[begin:]), stride=stride, start=start, field=field)


def _is_joined(packet: memoryview, kind: int, start: int, field: int) -> bool:
    """Whether ``kind`` is one of TCP's, and a whole TCP header stands at ``start``, behind an IP header."""
    if kind & ~GSO_ECN not in (GSO_TCP_4, GSO_TCP_6):
        return False
    if field != CHECKSUM_AT or start + HEADER > len(packet) or packet[start + 12] >> 4 << 2 < HEADER:
        return False
    if packet[0] >> 4 == 6:
        return start >= HEADER_6
    return packet[0] == 0x40 | start >> 2 and start & 3 == 0


def _size(packet: memoryview) -> int:
    """Size of the packet in octets by its IP header."""
    return packet[2] << 8 | packet[3] if packet[0] >> 4 == 4 else HEADER_6 + (packet[4] << 8 | packet[5])
