"""ICMP for both IP families (RFC 792, RFC 1191, RFC 4443): one record, one set of kinds and codes.

A kind is what a message means, whatever the family's number for it. Of the codes only those of UNREACHABLE
and TIME_EXCEEDED matter to a host; the former are IPv4's numbers, into which IPv6's are translated. IPv4's
"fragmentation needed" is a PACKET_TOO_BIG.
"""

from struct import Struct
from typing import Final, NamedTuple

from postel.errors import ArgumentError, WireError
from postel.wire import checksum, ip

PROTOCOL_4: Final = 1
PROTOCOL_6: Final = 58

# kinds
OTHER: Final = 0
ECHO_REQUEST: Final = 1
ECHO_REPLY: Final = 2
UNREACHABLE: Final = 3
PACKET_TOO_BIG: Final = 4
TIME_EXCEEDED: Final = 5
PARAMETER_PROBLEM: Final = 6
SOURCE_QUENCH: Final = 7

# codes of UNREACHABLE
NO_NETWORK: Final = 0
NO_HOST: Final = 1
NO_PROTOCOL: Final = 2
NO_PORT: Final = 3
SOURCE_ROUTE_FAILED: Final = 5
PROHIBITED: Final = 13

# codes of TIME_EXCEEDED
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
_CODES_6: Final = (
    NO_NETWORK,
    PROHIBITED,
    NO_NETWORK,
    NO_HOST,
    NO_PORT,
    PROHIBITED,
    PROHIBITED,
)  # of UNREACHABLE, RFC 4443, 3.1

_TYPES_4: Final = {kind: number for number, kind in _KINDS_4.items()}
_TYPES_6: Final = {kind: number for number, kind in _KINDS_6.items()}
_CODES_TO_6: Final = {NO_NETWORK: 0, PROHIBITED: 1, NO_HOST: 3, NO_PORT: 4}

_HEADER: Final = Struct("!BBHI")
_PORTS_AND_SEQ: Final = Struct("!HHI")
_QUOTED_IN_4: Final = 576 - 20 - 8  # octets: RFC 1812, 4.3.2.3
_QUOTED_IN_6: Final = 1280 - 40 - 8  # RFC 4443, 2.4 (c)
_ERRORS: Final = (UNREACHABLE, PACKET_TOO_BIG, TIME_EXCEEDED, PARAMETER_PROBLEM, SOURCE_QUENCH)


class IcmpMessage(NamedTuple):
    """``rest`` is the header's second word: identifier and sequence number of an echo, the MTU of a
    PACKET_TOO_BIG.

    ``body`` is the echo's data or the start of the packet that an error is about. Of an OTHER message
    ``code`` is the type.
    """

    kind: int
    code: int = 0
    rest: int = 0
    body: bytes = b""

    @property
    def mtu(self) -> int:
        """The next hop's MTU as the router gives it: 0 from one older than RFC 1191, and for any other
        kind.
        """
        return self.rest if self.kind == PACKET_TOO_BIG else 0

    @property
    def is_error(self) -> bool:
        return self.kind in _ERRORS


class Quoted(NamedTuple):
    """The packet that an error is about, as far as it was quoted. ``length`` is its whole length in octets
    (RFC 1191, 5).
    """

    source: bytes
    destination: bytes
    protocol: int
    source_port: int
    destination_port: int
    seq: int
    length: int


def parse(packet: ip.Packet, *, verify: bool = True) -> IcmpMessage:
    """The packet's message. Raises WireError ``truncated`` or ``bad_checksum``."""
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
    """The message with its checksum, in the addresses' family. Raises ArgumentError for what that family has
    no number for.
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
    return IcmpMessage(ECHO_REPLY, 0, request.rest, request.body)


def unreachable(code: int, packet: ip.Packet) -> IcmpMessage:
    """The answer to a packet for which there is no socket is ``unreachable(NO_PORT, packet)``."""
    return IcmpMessage(UNREACHABLE, code, 0, _quotable(packet))


def parameter_problem(code: int, pointer: int, packet: ip.Packet) -> IcmpMessage:
    """``pointer`` is the offset of the octet that is wrong."""
    rest = pointer << 24 if packet.version == 4 else pointer
    return IcmpMessage(PARAMETER_PROBLEM, code, rest, _quotable(packet))


def packet_too_big(mtu: int, packet: ip.Packet) -> IcmpMessage:
    return IcmpMessage(PACKET_TOO_BIG, 0, mtu, _quotable(packet))


def time_exceeded(code: int, packet: ip.Packet) -> IcmpMessage:
    """``packet`` is the first fragment where the time was IN_REASSEMBLY's."""
    return IcmpMessage(TIME_EXCEEDED, code, 0, _quotable(packet))


def _quotable(packet: ip.Packet) -> bytes:
    """The start of the packet, of one in fragments that of the first: header and data as they came (RFC 1122,
    3.2.2).
    """
    packet = packet.first or packet
    return packet.octets[: min(packet.end, _QUOTED_IN_4 if packet.version == 4 else _QUOTED_IN_6)]


def quote(octets: bytes) -> Quoted | None:
    """What an error's body says of the packet that it is about; None where that isn't enough to find a
    connection by.

    Routers may quote as little as eight octets behind the IP header, so lengths and checksums prove nothing
    here (RFC 5927, 4.1).
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
