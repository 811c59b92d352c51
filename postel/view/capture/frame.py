"""Search for the TCP segment in an IP packet: past IP's options, extension headers, and tunnels.

These tunnels are known: IP in IP and 6in4 (RFC 2003, 4213), GRE (RFC 2784, 2890) with Ethernet, PPP or
ERSPAN in it, VXLAN (RFC 7348), GENEVE (RFC 8926), GTP-U (3GPP TS 29.281), AH (RFC 4302).
"""

from struct import Struct
from typing import Final, NamedTuple

from postel.view.capture import layers
from postel.view.capture.layers import NOWHERE
from postel.wire import checksum

TCP: Final = 6
_UDP: Final = 17
_GRE: Final = 47
_ICMP: Final = (1, 58)
_IN_IP: Final = (4, 41)  # IPv4 or IPv6 follows
_MOST_TUNNELS: Final = 4
_VXLAN: Final = (4789, 8472)  # UDP ports: the one of IANA, and the one that Linux used before
_GENEVE: Final = 6081
_GTP_U: Final = 2152
_GTP_PACKET: Final = 255
_ERSPAN_2: Final = 0x88BE
_ERSPAN_3: Final = 0x22EB

# IPv6's extension headers with a length in units of eight octets: hop-by-hop options, routing, and
# destination options
_SIZED: Final = (0, 43, 60)
_FRAGMENT: Final = 44
_AUTHENTICATION: Final = 51

_IPV4: Final = Struct("!BxHxxHxB")
_IPV6: Final = Struct("!4xHB")
_TCP: Final = Struct("!4xIIHH")


class Located(NamedTuple):
    """Segment that was found. At least its header was captured.

    ``pair`` is source and destination address and both ports as they stand in the packet. ``ip``, ``at`` and
    ``end`` are offsets: of the IP header, of the segment, and of the octet after the segment. ``bits`` has
    the header's 16 bits for data offset and flags.
    """

    pair: bytes
    at: int
    end: int
    seq: int
    ack: int
    bits: int
    window: int
    ip: int


class Other(NamedTuple):
    """Content of an IP packet in which no TCP segment was found; ``what`` names it, or says what is wrong.

    ``ip`` is the offset of the IP header. ``is_fragment`` is True for a fragment of a TCP packet.
    """

    what: str
    ip: int = NOWHERE
    is_fragment: bool = False
    is_icmp: bool = False


CUT: Final = Other("packets with headers that were cut off")
DAMAGED: Final = Other("packets with a header that can't be")
FRAGMENTS_OF_OTHERS: Final = "fragments of other protocols"
NO_IP: Final = "frames without IP"
_NAMES: Final = {
    1: "ICMP",
    2: "IGMP",
    17: "UDP",
    50: "ESP",
    58: "ICMPv6",
    89: "OSPF",
    103: "PIM",
    112: "VRRP",
    132: "SCTP",
}
OTHER_PROTOCOLS: Final = frozenset((*_NAMES.values(), FRAGMENTS_OF_OTHERS, NO_IP))  # names without TCP inside


def segment(octets: bytes, ip: int, end: int, whole: int, tunnels: int = 0) -> Located | Other:
    """Return the TCP segment in the IP packet at ``ip``, or what is there instead.

    ``end`` is the offset at which the captured octets end, ``whole`` that at which the frame ended on the
    wire. If IP's header has the packet's length, that replaces ``whole``, because some tools cut packets and
    don't say so.
    """
    if ip >= end:
        return CUT
    version = octets[ip] >> 4
    if version == 4:
        return _in_ipv4(octets, ip, end, whole, tunnels)
    return _in_ipv6(octets, ip, end, whole, tunnels) if version == 6 else DAMAGED


def _in_ipv4(octets: bytes, ip: int, end: int, whole: int, tunnels: int) -> Located | Other:
    """Return what is in an IPv4 packet (RFC 791)."""
    if ip + 20 > end:
        return CUT
    first, total, fragment, protocol = _IPV4.unpack_from(octets, ip)
    header = (first & 15) << 2
    if header < 20:
        return DAMAGED
    if fragment & 0x3FFF:
        return Other(FRAGMENTS_OF_OTHERS, ip, protocol == TCP)
    if total:  # 0 if the packet was captured before the sender's network device filled in the length
        whole = ip + total
    at = ip + header
    if protocol == _AUTHENTICATION and at + 8 <= end:
        protocol, at = octets[at], at + 4 * octets[at + 1] + 8
    if protocol != TCP:
        return _tunnelled(protocol, octets, ip, at, end, whole, tunnels)
    return _located(octets, ip, 4, at, end, whole)


def _in_ipv6(octets: bytes, ip: int, end: int, whole: int, tunnels: int) -> Located | Other:
    """Return what is in an IPv6 packet, past its extension headers (RFC 8200)."""
    if ip + 40 > end:
        return CUT
    length, following = _IPV6.unpack_from(octets, ip)
    whole = ip + 40 + length if length else whole
    at = ip + 40
    while following != TCP:
        if following in _SIZED or following in (_AUTHENTICATION, _FRAGMENT):
            if at + 8 > end:
                return CUT
        else:
            return _tunnelled(following, octets, ip, at, end, whole, tunnels)
        if following == _FRAGMENT:
            if (octets[at + 2] << 8 | octets[at + 3]) & 0xFFF9:
                return Other(FRAGMENTS_OF_OTHERS, ip, octets[at] == TCP)
            size = 8
        else:
            size = 8 * octets[at + 1] + 8 if following in _SIZED else 4 * octets[at + 1] + 8
        following = octets[at]
        at += size
    return _located(octets, ip, 16, at, end, whole)


def _located(octets: bytes, ip: int, size: int, at: int, end: int, whole: int) -> Located | Other:
    """Return the segment at ``at``, or an `Other` if its header is cut off or has an impossible length."""
    if at + 20 > end:
        return CUT
    seq, ack, bits, window = _TCP.unpack_from(octets, at)
    if not 20 <= bits >> 10 & 0x3C <= whole - at:
        return DAMAGED
    behind = ip + (20 if size == 4 else 40)
    addresses = behind - 2 * size
    pair = octets[addresses : at + 4] if at == behind else octets[addresses:behind] + octets[at : at + 4]
    return Located(pair, at, whole, seq, ack, bits, window, ip)


# Tunnels


def _tunnelled(
    protocol: int, octets: bytes, ip: int, at: int, end: int, whole: int, tunnels: int
) -> Located | Other:
    """Return what is in the packet inside a tunnel, or an `Other` with the protocol if it isn't a tunnel."""
    inner = NOWHERE
    if tunnels < _MOST_TUNNELS:
        if protocol in _IN_IP:
            inner = at
        elif protocol == _GRE:
            inner = _in_gre(octets, at, end)
        elif protocol == _UDP:
            inner = _in_udp(octets, at, end)
    if inner == NOWHERE:
        return Other(_NAMES.get(protocol, f"IP protocol {protocol}"), ip, is_icmp=protocol in _ICMP)
    return segment(octets, inner, end, whole, tunnels + 1)


def _in_gre(octets: bytes, at: int, end: int) -> int:
    """Return where IP begins after a GRE header, or NOWHERE if it isn't found."""
    if at + 4 > end:
        return NOWHERE
    flags, version, kind = octets[at], octets[at + 1] & 7, octets[at + 2] << 8 | octets[at + 3]
    checksum_or_routing, key, sequence = flags & 0xC0 != 0, flags & 0x20 != 0, flags & 0x10 != 0
    acknowledgement = version == 1 and octets[at + 1] & 0x80 != 0  # RFC 2637
    behind = at + 4 + 4 * (checksum_or_routing + key + sequence + acknowledgement)
    if kind == _ERSPAN_2:
        # ERSPAN of type I has no sequence number in GRE's header, and no header of its own.
        return layers.ethernet(octets, behind + 8 * sequence, end)
    if kind == _ERSPAN_3:
        has_more = behind + 12 <= end and octets[behind + 11] & 1
        return layers.ethernet(octets, behind + (20 if has_more else 12), end)
    return layers.typed(kind, octets, behind, end)


def _in_udp(octets: bytes, at: int, end: int) -> int:
    """Return where IP begins in a datagram of VXLAN, GENEVE or GTP-U, NOWHERE in any other."""
    if at + 16 > end:
        return NOWHERE
    port, inside = octets[at + 2] << 8 | octets[at + 3], at + 8
    if port in _VXLAN and octets[inside] & 0x08:
        return layers.ethernet(octets, inside + 8, end)
    if port == _GENEVE and not octets[inside] >> 6:
        kind = octets[inside + 2] << 8 | octets[inside + 3]
        return layers.typed(kind, octets, inside + 8 + 4 * (octets[inside] & 0x3F), end)
    if (
        _GTP_U in (port, octets[at] << 8 | octets[at + 1])
        and octets[inside] >> 5 == 1
        and octets[inside + 1] == _GTP_PACKET
    ):
        return _in_gtp(octets, inside, end)
    return NOWHERE


def _in_gtp(octets: bytes, at: int, end: int) -> int:
    """Return where IP begins after a header of GTP-U.

    The header has eight octets, or twelve if one of three flags is set. The last of the twelve octets is the
    type of the first extension header, 0 if there is none.
    """
    if not octets[at] & 7:
        return at + 8
    at += 12
    while at < end and octets[at - 1]:
        size = 4 * octets[at]
        if not size:
            return NOWHERE
        at += size
    return at


def is_damaged(octets: bytes, end: int, located: Located) -> bool:
    """Return whether the segment's checksum is wrong. False where not all of it was captured."""
    if located.end > end:
        return False
    size = (len(located.pair) - 4) // 2
    source, destination = located.pair[:size], located.pair[size:-4]
    at, behind = located.at - located.ip, located.end - located.ip
    return not checksum.payload_is_right(
        octets[located.ip : located.end], at, behind, source, destination, TCP
    )
