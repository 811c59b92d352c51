"""Positions of the fields in a plain frame: an IP header without options, then TCP.

All fields are read at once, because the speed of reading captures depends on this. If a frame isn't plain,
the values read have no meaning, and the checks in `Table.take` reject them.
"""

from collections.abc import Callable, Container
from struct import Struct
from typing import Any, Final, NamedTuple

from postel.view.capture import layers
from postel.wire.segment import ACK, CWR, ECE, PSH

IPV4: Final = 0x45  # first octet of an IPv4 header: version 4, length 20 octets
IPV6: Final = 0x60
TCP: Final = 6
# Mask for the IPv4 header's 32 bits from flags to protocol, without DF bit and TTL. Under this mask, a packet
# that is TCP and not a fragment has the value `TCP`.
WAY: Final = 0x3FFF00FF
NEVER: Final = 1 << 17  # header length, in octets, that is too large for any packet: the payload is negative
# Lengths of TCP headers, by the 16 bits with length and flags, of segments without SYN, FIN, RST and URG
HEADERS: Final = {
    size << 12 | ACK | push | congestion: 4 * size
    for size in range(5, 16)
    for push in (0, PSH)
    for congestion in (0, ECE, CWR, ECE | CWR)
}


class Shape(NamedTuple):
    """Positions of the fields in the frames of one link type.

    ``at`` is where the fields begin, ``ip`` where the IP header does, in octets from the frame's start.
    ``least`` and ``least_6`` are the octets that must have been captured of an IPv4 and an IPv6 packet.
    ``kinds`` are the values that the two octets at ``at`` may have: the link's types of an IP packet, or
    anything where the link has no type.
    """

    at: int
    ip: int
    least: int
    least_6: int
    unpack: Callable[[bytes, int], tuple[Any, ...]]
    unpack_6: Callable[[bytes, int], tuple[Any, ...]]
    kinds: Container[int]


_TYPES: Final = frozenset((layers.IPV4, layers.IPV6))
_ANYTHING: Final = range(1 << 16)


def _shape(at: int, ip: int, kinds: Container[int] = _TYPES) -> Shape:
    """Return the shape of a link's frames."""
    gap = ip - at - 2  # octets between the type and the IP header
    # The link's type; of IP version, length, ID, the 32 bits from flags to protocol, addresses; of TCP ports,
    # sequence and acknowledgement number, 16 bits with flags, window
    four = Struct(f"!H{gap}xBxHHI2x12sIIHH")
    six = Struct(f"!2x{gap}x4xHBx36sIIHH")
    return Shape(at, ip, at + four.size, at + six.size, four.unpack_from, six.unpack_from, kinds)


SHAPES: Final = {
    layers.ETHERNET: _shape(12, 14),
    layers.COOKED: _shape(14, 16),
    layers.COOKED_2: _shape(0, 20),
    layers.RAW: _shape(-2, 0, _ANYTHING),
    layers.NULL: _shape(2, 4, _ANYTHING),
    layers.LOOP: _shape(2, 4, _ANYTHING),
}
# Shape for all other link types; no frame of theirs counts as plain
NONE: Final = Shape(0, 0, 1 << 32, 1 << 32, SHAPES[layers.RAW].unpack, SHAPES[layers.RAW].unpack_6, ())
