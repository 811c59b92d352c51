"""UDP datagrams (RFC 768; RFC 8200, 8.1)."""

from struct import Struct
from typing import Final, NamedTuple

from postel.errors import ArgumentError, WireError
from postel.wire import checksum
from postel.wire.ip import Packet

PROTOCOL: Final = 17
HEADER: Final = 8

_HEADER: Final = Struct("!HHHH")


class Datagram(NamedTuple):
    """Ports and data."""

    source: int
    destination: int
    data: bytes


def parse(packet: Packet, *, verify: bool = True) -> Datagram:
    """The packet's datagram. Raises WireError ``truncated``, ``bad_length`` or ``bad_checksum``."""
    octets, start = packet.octets, packet.start
    if packet.end - start < HEADER:
        raise WireError("truncated", f"{packet.end - start} octets of a UDP header")
    source, destination, length, field = _HEADER.unpack_from(octets, start)
    end = start + length
    if length < HEADER or end > packet.end:
        raise WireError("bad_length", f"UDP length {length} in {packet.end - start} octets")
    if field == 0:
        if packet.version == 6:  # only IPv4 may go without
            raise WireError("bad_checksum", "UDP over IPv6 without a checksum")
    elif verify and not checksum.payload_is_right(
        octets, start, end, packet.source, packet.destination, PROTOCOL
    ):
        raise WireError("bad_checksum", "UDP")
    return Datagram(source, destination, octets[start + HEADER : end])


def encode_for(datagram: Datagram, source: bytes, destination: bytes) -> bytes:
    """The datagram with its checksum between these addresses. Raises ArgumentError where the data is too long
    for any packet.
    """
    length = HEADER + len(datagram.data)
    if length > 0xFFFF:
        raise ArgumentError("data", len(datagram.data), f"at most {0xFFFF - HEADER} octets")
    blank = _HEADER.pack(datagram.source, datagram.destination, length, 0) + datagram.data
    value = (
        checksum.of_payload(blank, source, destination, PROTOCOL) or 0xFFFF
    )  # zero would say that there is none
    return _HEADER.pack(datagram.source, datagram.destination, length, value) + datagram.data
