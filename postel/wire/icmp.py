"""ICMP for both IP versions: one record, with the same kinds and codes for both (RFC 792, 1191, 4443).

A *kind* is the meaning of a message, such as UNREACHABLE; the two versions have different type numbers for
it. Codes matter to a host only in UNREACHABLE and TIME_EXCEEDED. The codes of UNREACHABLE are IPv4's numbers,
and IPv6's are translated into them. IPv4's "fragmentation needed" becomes the kind PACKET_TOO_BIG.
"""

from struct import Struct
from typing import Final, NamedTuple

from postel.errors import ArgumentError, WireError
from postel.wire import checksum, ip

PROTOCOL_4: Final = 1
PROTOCOL_6: Final = 58

# Kinds
OTHER: Final = 0
ECHO_REQUEST: Final = 1
ECHO_REPLY: Final = 2
UNREACHABLE: Final = 3
PACKET_TOO_BIG: Final = 4
TIME_EXCEEDED: Final = 5
PARAMETER_PROBLEM: Final = 6
SOURCE_QUENCH: Final = 7

# Codes of UNREACHABLE
NO_NETWORK: Final = 0
NO_HOST: Final = 1
NO_PROTOCOL: Final = 2
NO_PORT: Final = 3
SOURCE_ROUTE_FAILED: Final = 5
PROHIBITED: Final = 13

# Codes of TIME_EXCEEDED
IN_TRANSIT: Final = 0
IN_REASSEMBLY: Final = 1

_KINDS_4: Final = {
    0: ECHO_REPLY,
    3: UNREACHABLE,
    4: SOURCE_QUENCH,
    8: ECHO_REQUEST,
    11: TIME_EXCEEDED,
    12: PARAMETER_PROBLEM,
}
_KINDS_6: Final = {
    1: UNREACHABLE,
    2: PACKET_TOO_BIG,
    3: TIME_EXCEEDED,
    4: PARAMETER_PROBLEM,
    128: ECHO_REQUEST,
    129: ECHO_REPLY,
}
_FRAGMENTATION_NEEDED: Final = 4  # IPv4's code of UNREACHABLE
# IPv4's code for each of IPv6's codes of UNREACHABLE: RFC 4443, 3.1
_CODES_6: Final = (
    NO_NETWORK,
    PROHIBITED,
    NO_NETWORK,
    NO_HOST,
    NO_PORT,
    PROHIBITED,
    PROHIBITED,
)

_TYPES_4: Final = {kind: number for number, kind in _KINDS_4.items()}
_TYPES_6: Final = {kind: number for number, kind in _KINDS_6.items()}
_CODES_TO_6: Final = {NO_NETWORK: 0, PROHIBITED: 1, NO_HOST: 3, NO_PORT: 4}

_HEADER: Final = Struct("!BBHI")
_PORTS_AND_SEQ: Final = Struct("!HHI")
_QUOTED_IN_4: Final = 576 - 20 - 8  # most octets of a quoted packet: RFC 1812, 4.3.2.3
_QUOTED_IN_6: Final = 1280 - 40 - 8  # most octets of a quoted packet: RFC 4443, 2.4 (c)
_ERRORS: Final = (UNREACHABLE, PACKET_TOO_BIG, TIME_EXCEEDED, PARAMETER_PROBLEM, SOURCE_QUENCH)


class IcmpMessage(NamedTuple):
    """An ICMP message of either IP version.

    It has these attributes:
        kind: the meaning, such as ECHO_REQUEST; OTHER for types that a host doesn't handle.
        code: the code in IPv4's numbers; for the kind OTHER the type.
        rest: the second word of the header: identifier and sequence number of an echo, or the MTU of a
            PACKET_TOO_BIG.
        body: the data of an echo, or the start of the packet that an error is about.
    """

    kind: int
    code: int = 0
    rest: int = 0
    body: bytes = b""

    @property
    def mtu(self) -> int:
        """MTU of the next hop in octets, from a PACKET_TOO_BIG; 0 for other kinds.

        Routers older than RFC 1191 send 0.
        """
        return self.rest if self.kind == PACKET_TOO_BIG else 0

    @property
    def is_error(self) -> bool:
        """Whether the message reports an error about a packet."""
        return self.kind in _ERRORS


class Quoted(NamedTuple):
    """Packet that an ICMP error is about: the part that the error quotes.

    ``length`` is the whole length of that packet in octets, from its IP header (RFC 1191, 5).
    """

    source: bytes
    destination: bytes
    protocol: int
    source_port: int
    destination_port: int
    seq: int
    length: int


def parse(packet: ip.Packet, *, verify: bool = True) -> IcmpMessage:
    """Message in a packet. Raises WireError ``truncated`` or ``bad_checksum``."""
    octets, start, end = packet.octets, packet.start, packet.end
    if end - start < 8:
        raise WireError("truncated", f"{end - start} octets of an ICMP header")
    if verify and not _checksum_is_right(packet):
        raise WireError("bad_checksum", "ICMP")
    number, code, _, rest = _HEADER.unpack_from(octets, start)
    body = octets[start + 8 : end]
    return _meaning4(number, code, rest, body) if packet.version == 4 else _meaning6(number, code, rest, body)


def _checksum_is_right(packet: ip.Packet) -> bool:
    if packet.version == 4:
        return checksum.is_right(packet.payload)
    return checksum.payload_is_right(
        packet.octets, packet.start, packet.end, packet.source, packet.destination, PROTOCOL_6
    )


def _meaning4(number: int, code: int, rest: int, body: bytes) -> IcmpMessage:
    kind = _KINDS_4.get(number, OTHER)
    if kind == UNREACHABLE and code == _FRAGMENTATION_NEEDED:
        return IcmpMessage(PACKET_TOO_BIG, 0, rest & 0xFFFF, body)  # RFC 1191, 4: the upper half is unused
    return IcmpMessage(kind, code if kind != OTHER else number, rest, body)


def _meaning6(number: int, code: int, rest: int, body: bytes) -> IcmpMessage:
    kind = _KINDS_6.get(number, OTHER)
    if kind == UNREACHABLE:
        return IcmpMessage(kind, _CODES_6[code] if code < len(_CODES_6) else NO_NETWORK, rest, body)
    return IcmpMessage(kind, code if kind != OTHER else number, rest, body)


def encode(message: IcmpMessage, source: bytes, destination: bytes) -> bytes:
    """Octets of a message with its checksum, in the IP version of the addresses.

    Raises ArgumentError where that version has no number for the kind or the code.
    """
    if len(source) == 4:
        number, code = _numbers4(message)
        pseudo_header = 0
    else:
        number, code = _numbers6(message)
        pseudo_header = checksum.pseudo_header(source, destination, PROTOCOL_6, 8 + len(message.body))
    blank = _HEADER.pack(number, code, 0, message.rest) + message.body
    return (
        _HEADER.pack(number, code, checksum.field(checksum.total(blank) + pseudo_header), message.rest)
        + message.body
    )


def _numbers4(message: IcmpMessage) -> tuple[int, int]:
    if message.kind == PACKET_TOO_BIG:
        return _TYPES_4[UNREACHABLE], _FRAGMENTATION_NEEDED
    if message.kind not in _TYPES_4:
        raise ArgumentError("kind", message.kind, "a kind of ICMP message")
    return _TYPES_4[message.kind], message.code


def _numbers6(message: IcmpMessage) -> tuple[int, int]:
    if message.kind not in _TYPES_6:
        raise ArgumentError("kind", message.kind, "a kind of ICMPv6 message")
    if message.kind != UNREACHABLE:
        return _TYPES_6[message.kind], message.code
    if message.code not in _CODES_TO_6:
        raise ArgumentError("code", message.code, "a code of ICMPv6's destination unreachable")
    return _TYPES_6[UNREACHABLE], _CODES_TO_6[message.code]


def echo_reply(request: IcmpMessage) -> IcmpMessage:
    """Reply to an echo request, with the same identifier, sequence number and data."""
    return IcmpMessage(ECHO_REPLY, 0, request.rest, request.body)


def unreachable(code: int, packet: ip.Packet) -> IcmpMessage:
    """Error "destination unreachable" about a packet.

    ``code`` is NO_PORT where no socket takes the packet.
    """
    return IcmpMessage(UNREACHABLE, code, 0, _quotable(packet))


def parameter_problem(code: int, pointer: int, packet: ip.Packet) -> IcmpMessage:
    """Error "parameter problem" about a packet, in which the octet at offset ``pointer`` is wrong."""
    rest = pointer << 24 if packet.version == 4 else pointer
    return IcmpMessage(PARAMETER_PROBLEM, code, rest, _quotable(packet))


def packet_too_big(mtu: int, packet: ip.Packet) -> IcmpMessage:
    """Error about a packet that is larger than ``mtu`` octets, the MTU of the next link."""
    return IcmpMessage(PACKET_TOO_BIG, 0, mtu, _quotable(packet))


def time_exceeded(code: int, packet: ip.Packet) -> IcmpMessage:
    """Error "time exceeded" about a packet; with IN_REASSEMBLY ``packet`` is the first fragment."""
    return IcmpMessage(TIME_EXCEEDED, code, 0, _quotable(packet))


def _quotable(packet: ip.Packet) -> bytes:
    """Start of a packet for the body of an error, as it arrived (RFC 1122, 3.2.2).

    For a packet that arrived in fragments it is the start of the first fragment.
    """
    packet = packet.first or packet
    return packet.octets[: min(packet.end, _QUOTED_IN_4 if packet.version == 4 else _QUOTED_IN_6)]


def quote(octets: bytes) -> Quoted | None:
    """Packet that an ICMP error is about, from the error's body; None where too little is quoted.

    A router may quote as few as eight octets after the IP header. So the lengths and checksums of the quoted
    packet can't be checked (RFC 5927, 4.1).
    """
    try:
        packet = ip.parse_quoted(octets)
    except WireError:
        return None
    if packet.fragment_offset or packet.end - packet.start < 8:
        return None
    source_port, destination_port, seq = _PORTS_AND_SEQ.unpack_from(octets, packet.start)
    length = (
        int.from_bytes(octets[2:4], "big")
        if packet.version == 4
        else ip.HEADER_6 + int.from_bytes(octets[4:6], "big")
    )
    return Quoted(
        packet.source, packet.destination, packet.protocol, source_port, destination_port, seq, length
    )
