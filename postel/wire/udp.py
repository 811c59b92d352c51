"""UDP datagrams: octets to a record and back (RFC 768; RFC 8200, 8.1)."""

from struct import Struct
from typing import Final, NamedTuple

from postel.errors import ArgumentError, WireError
from postel.wire import checksum
from postel.wire.ip import Packet

PROTOCOL: Final = 17
HEADER: Final = 8

_HEADER: Final = Struct("!HHHH")


class Datagram(NamedTuple):
    """A UDP datagram: source and destination port, and data."""

    source: int
    destination: int
    data: bytes


def parse(packet: Packet, *, verify: bool = True) -> Datagram:
    """Datagram in a packet. Raises WireError ``truncated``, ``bad_length`` or ``bad_checksum``.

    ``verify=False`` skips the checksum.
    """
    octets, start = packet.octets, packet.start
    if packet.end - start < HEADER:
        raise WireError("truncated", f"{packet.end - start} octets of a UDP header")
    source, destination, length, field = _HEADER.unpack_from(octets, start)
    end = start + length
    if length < HEADER or end > packet.end:
        raise WireError("bad_length", f"UDP length {length} in {packet.end - start} octets")
    if field == 0:
        if packet.version == 6:  # only IPv4 allows a datagram without a checksum
            raise WireError("bad_checksum", "UDP over IPv6 without a checksum")
    elif verify and not checksum.payload_is_right(
        octets, start, end, packet.source, packet.destination, PROTOCOL
    ):
        raise WireError("bad_checksum", "UDP")
    return Datagram(source, destination, octets[start + HEADER : end])


def encode_for(datagram: Datagram, source: bytes, destination: bytes) -> bytes:
    """Octets of a datagram, with its checksum between these addresses.

    Raises ArgumentError where the data is longer than a packet can hold.
    """
    length = HEADER + len(datagram.data)
    if length > 0xFFFF:
        raise ArgumentError("data", len(datagram.data), f"at most {0xFFFF - HEADER} octets")
    blank = _HEADER.pack(datagram.source, datagram.destination, length, 0) + datagram.data
    # A checksum of zero is sent as 0xFFFF, because zero in the field means that there is no checksum
    value = checksum.of_payload(blank, source, destination, PROTOCOL) or 0xFFFF
    return _HEADER.pack(datagram.source, datagram.destination, length, value) + datagram.data
