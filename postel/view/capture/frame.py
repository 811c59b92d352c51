"""Where the segment is in a frame: past the link's header, VLAN tags, and IP's options or extension headers."""

from struct import Struct
from typing import Final, NamedTuple

from postel.wire import checksum

# draft-ietf-opsawg-pcaplinktype
NULL: Final = 0
ETHERNET: Final = 1
RAW: Final = 101
LOOP: Final = 108
COOKED: Final = 113
COOKED_2: Final = 276
_TYPED: Final = {ETHERNET: 12, COOKED: 14}  # where its type is in the link's header, before tags and IP
_RAW: Final = (RAW, 12, 14, 228, 229)  # what some systems write for it; IPv4 alone, IPv6 alone

IPV4: Final = 0x0800
IPV6: Final = 0x86DD
_IP: Final = (IPV4, IPV6)
_TAGS: Final = (0x8100, 0x88A8, 0x9100)  # IEEE 802.1Q, 802.1ad, and what came before it
_MOST_TAGS: Final = 8
TCP: Final = 6
NOWHERE: Final = -1

_SIZED: Final = (0, 43, 60)  # IPv6: hop-by-hop options, routing, destination options: a length in units of eight octets
_FRAGMENT: Final = 44
_AUTHENTICATION: Final = 51

_IPV4: Final = Struct("!BxHxxHxB")
_IPV6: Final = Struct("!4xHB")
_TCP: Final = Struct("!4xIIHH")


class Located(NamedTuple):
    """A segment: ``pair`` is source and destination address and both ports as they stand in the packet; ``at`` and ``end`` bound it.
    Its header alone must have been captured."""

    pair: bytes
    at: int
    end: int
    seq: int
    ack: int
    bits: int
    window: int


def network(link: int, octets: bytes, start: int, end: int) -> int:
    """Where the IP header begins, NOWHERE if there is none."""
    if link in _TYPED:
        return _tagged(octets, start + _TYPED[link], end)
    if link == COOKED_2:
        return start + 20 if _kind(octets, start, end) in _IP else NOWHERE
    if link in (NULL, LOOP):
        return start + 4
    return start if link in _RAW else NOWHERE


def _tagged(octets: bytes, at: int, end: int) -> int:
    for _ in range(_MOST_TAGS):
        kind = _kind(octets, at, end)
        if kind in _IP:
            return at + 2
        if kind not in _TAGS:
            return NOWHERE
        at += 4
    return NOWHERE


def _kind(octets: bytes, at: int, end: int) -> int:
    return octets[at] << 8 | octets[at + 1] if at + 2 <= end else -1


def segment(octets: bytes, ip: int, end: int, whole: int) -> Located | None:
    """The TCP segment in the IP packet at ``ip``, None if there is none. ``end`` is where the captured octets end, ``whole`` where the
    frame did on the wire; where IP's header tells the packet's length, that counts: some tools cut packets and don't say so."""
    if ip >= end:
        return None
    version = octets[ip] >> 4
    if version == 4:
        return _in_ipv4(octets, ip, end, whole)
    return _in_ipv6(octets, ip, end, whole) if version == 6 else None


def _in_ipv4(octets: bytes, ip: int, end: int, whole: int) -> Located | None:
    if ip + 20 > end:
        return None
    first, total, fragment, protocol = _IPV4.unpack_from(octets, ip)
    header = (first & 15) << 2
    if header < 20 or protocol != TCP or fragment & 0x3FFF:
        return None
    whole = ip + total if total else whole  # 0: the sender left it to its device, and was captured before that
    return _located(octets, ip + 12, ip + 20, ip + header, end, whole)


def _in_ipv6(octets: bytes, ip: int, end: int, whole: int) -> Located | None:
    if ip + 40 > end:
        return None
    length, following = _IPV6.unpack_from(octets, ip)
    whole = ip + 40 + length if length else whole
    at = ip + 40
    while following != TCP:
        if at + 8 > end:
            return None
        if following in _SIZED:
            size = 8 * octets[at + 1] + 8
        elif following == _AUTHENTICATION:
            size = 4 * octets[at + 1] + 8
        elif following == _FRAGMENT and not (octets[at + 2] << 8 | octets[at + 3]) & 0xFFF9:
            size = 8
        else:
            return None
        following = octets[at]
        at += size
    return _located(octets, ip + 8, ip + 40, at, end, whole)


def _located(octets: bytes, addresses: int, behind: int, at: int, end: int, whole: int) -> Located | None:
    if at + 20 > end or at + 20 > whole:
        return None
    seq, ack, bits, window = _TCP.unpack_from(octets, at)
    if not 20 <= bits >> 10 & 0x3C <= whole - at:
        return None
    pair = octets[addresses : at + 4] if at == behind else octets[addresses:behind] + octets[at : at + 4]
    return Located(pair, at, whole, seq, ack, bits, window)


def is_damaged(octets: bytes, ip: int, end: int, located: Located) -> bool:
    """Whether the segment's checksum is wrong: it never is where not all was captured."""
    if located.end > end:
        return False
    size = (len(located.pair) - 4) // 2
    source, destination = located.pair[:size], located.pair[size:-4]
    return not checksum.payload_is_right(octets[ip : located.end], located.at - ip, located.end - ip, source, destination, TCP)
