"""Headers before an IP packet in a frame: the link's header, tags and labels, PPP, LLC, 802.11.

Most functions return the offset at which IP begins, or NOWHERE. The numbers of link types are those of
draft-ietf-opsawg-pcaplinktype; the types after a link's header are EtherTypes (IEEE 802).
"""

from collections.abc import Callable
from typing import Final

NULL: Final = 0
ETHERNET: Final = 1
PPP: Final = 9
ATM_RFC1483: Final = 100
RAW: Final = 101
CISCO_HDLC: Final = 104
WIFI: Final = 105
LOOP: Final = 108
COOKED: Final = 113
RADIOTAP: Final = 127
PPI: Final = 192
NFLOG: Final = 239
COOKED_2: Final = 276
_PPP_SERIAL: Final = 50
_PPP_ETHERNET: Final = 51
_PPP_WITH_DIRECTION: Final = 204
_RAW: Final = (RAW, 12, 14, 228, 229)  # some systems write 12 or 14; 228 is for IPv4 alone, 229 for IPv6

NOWHERE: Final = -1
IPV4: Final = 0x0800
IPV6: Final = 0x86DD
_TAGS: Final = (0x8100, 0x88A8, 0x9100)  # IEEE 802.1Q, 802.1ad, and its predecessor QinQ
_MPLS: Final = (0x8847, 0x8848)
_PPPOE_SESSION: Final = 0x8864
_ETHERNET_BRIDGED: Final = 0x6558
_PPP_IN_GRE: Final = 0x880B
_LARGEST_LENGTH: Final = 0x05FF  # IEEE 802.3: a smaller number is the length of an LLC frame
_MOST_LAYERS: Final = 8
_SNAP: Final = b"\xaa\xaa\x03\x00\x00\x00"
_PPP_IPV4: Final = 0x0021
_PPP_IPV6: Final = 0x0057
_PPP_MPLS: Final = (0x0281, 0x0283)
_NFLOG_PAYLOAD: Final = 9

LINK_NAMES: Final = {
    WIFI: "802.11",
    RADIOTAP: "802.11",
    PPI: "802.11",
    119: "802.11",
    163: "802.11",
    6: "Token Ring",
    10: "FDDI",
    107: "Frame Relay",
    147: "private",
    187: "Bluetooth",
    189: "USB",
    195: "802.15.4",
    201: "Bluetooth",
    220: "USB",
    249: "USB",
    251: "Bluetooth",
    277: "802.15.4",
}


def is_known(link: int) -> bool:
    """Return whether `network` can find IP in frames of this link type."""
    return link == ETHERNET or link in _LINKS


def network(link: int, octets: bytes, start: int, end: int) -> int:
    """Return where the IP header begins in a frame from ``start`` to ``end``; NOWHERE if none is found."""
    if link == ETHERNET:
        return ethernet(octets, start, end)
    find = _LINKS.get(link)
    return NOWHERE if find is None else find(octets, start, end)


def ethernet(octets: bytes, start: int, end: int, layers: int = 0) -> int:
    """Return where IP begins in the Ethernet frame at ``start``."""
    return typed(_number(octets, start + 12, end), octets, start + 14, end, layers)


def typed(kind: int, octets: bytes, at: int, end: int, layers: int = 0) -> int:
    """Return where IP begins after the Ethernet type ``kind``; ``layers`` counts the headers before it."""
    if kind in (IPV4, IPV6):
        return at
    if layers >= _MOST_LAYERS:
        return NOWHERE
    if kind in _TAGS:
        return typed(_number(octets, at + 2, end), octets, at + 4, end, layers + 1)
    if kind in _MPLS:
        return _labelled(octets, at, end, layers)
    if kind == _PPPOE_SESSION:
        return _ppp(octets, at + 6, end)
    if kind == _PPP_IN_GRE:
        return _ppp(octets, at, end)
    if kind == _ETHERNET_BRIDGED:
        return ethernet(octets, at, end, layers + 1)
    return _llc(octets, at, end) if 0 <= kind <= _LARGEST_LENGTH else NOWHERE


def _number(octets: bytes, at: int, end: int) -> int:
    """Return a number of two octets, -1 where they weren't captured."""
    return octets[at] << 8 | octets[at + 1] if at + 2 <= end else -1


def _labelled(octets: bytes, at: int, end: int, layers: int) -> int:
    """Return where IP begins after MPLS labels.

    RFC 3032: each label has four octets, and a bit marks the last label. After the labels comes IP, or the
    Ethernet frame of a pseudowire (RFC 4448).
    """
    for _ in range(_MOST_LAYERS):
        if at + 4 >= end:
            return NOWHERE
        is_last = octets[at + 2] & 1
        at += 4
        if is_last:
            version = octets[at] >> 4
            if version in (4, 6):
                return at
            return ethernet(octets, at + 4, end, layers + 1) if version == 0 else NOWHERE
    return NOWHERE


def _llc(octets: bytes, at: int, end: int) -> int:
    """Return where IP begins after an LLC header with SNAP, which ends in an Ethernet type (IEEE 802.2)."""
    if octets[at : at + 6] != _SNAP:
        return NOWHERE
    kind = _number(octets, at + 6, end)
    return at + 8 if kind in (IPV4, IPV6) else NOWHERE


def _ppp(octets: bytes, at: int, end: int) -> int:
    """Return where IP begins after a PPP header (RFC 1661).

    The fields address and control of RFC 1662 may be there or not; the protocol has two octets, or one if it
    was compressed.
    """
    if octets[at : at + 2] == b"\xff\x03":
        at += 2
    if at >= end:
        return NOWHERE
    protocol, size = (octets[at], 1) if octets[at] & 1 else (_number(octets, at, end), 2)
    if protocol in (_PPP_IPV4, _PPP_IPV6):
        return at + size
    return _labelled(octets, at + size, end, 1) if protocol in _PPP_MPLS else NOWHERE


def _null(octets: bytes, start: int, end: int) -> int:  # noqa: ARG001 - `_LINKS` needs it
    """Return where IP begins after four octets with the address family."""
    return start + 4


def _raw(octets: bytes, start: int, end: int) -> int:  # noqa: ARG001 - `_LINKS` needs it
    """Return where IP begins in a frame without a link header, which is at the frame's start."""
    return start


def _cooked(octets: bytes, start: int, end: int) -> int:
    """Return where IP begins in a frame of Linux's cooked capture, version 1."""
    return typed(_number(octets, start + 14, end), octets, start + 16, end)


def _cooked_2(octets: bytes, start: int, end: int) -> int:
    """Return where IP begins in a frame of Linux's cooked capture, version 2."""
    return typed(_number(octets, start, end), octets, start + 20, end)


def _cisco_hdlc(octets: bytes, start: int, end: int) -> int:
    """Return where IP begins in a frame of Cisco's HDLC."""
    return typed(_number(octets, start + 2, end), octets, start + 4, end)


def _ppp_ethernet(octets: bytes, start: int, end: int) -> int:
    """Return where IP begins in a frame that begins with a PPPoE header, without Ethernet's header."""
    return _ppp(octets, start + 6, end)


def _wifi(octets: bytes, start: int, end: int, *, is_padded: bool = False) -> int:
    """Return where IP begins in an 802.11 data frame that isn't encrypted."""
    if start + 24 > end:
        return NOWHERE
    control, flags = octets[start], octets[start + 1]
    is_data = control & 0x0F == 0x08  # a data frame of version 0
    is_null, is_protected = control & 0x40, flags & 0x40
    if not is_data or is_null or is_protected:
        return NOWHERE
    at = start + 24 + 6 * (flags & 3 == 3)
    if control & 0x80:  # the header has a field for quality of service
        at += 2 + 4 * (flags & 0x80 != 0)
    if is_padded:
        at += -(at - start) % 4
    return _llc(octets, at, end)


def _radiotap(octets: bytes, start: int, end: int) -> int:
    """Return where IP begins after a radiotap header, which has its length in a field.

    One of its fields may say that 802.11's header is padded.
    """
    if start + 8 > end:
        return NOWHERE
    at = start + (octets[start + 2] | octets[start + 3] << 8)
    return _wifi(octets, at, end, is_padded=_has_padding(octets, start, end))


def _has_padding(octets: bytes, start: int, end: int) -> bool:
    """Return whether radiotap's field of flags says that 802.11's header is padded."""
    present, fields = int.from_bytes(octets[start + 4 : start + 8], "little"), start + 8
    further = present
    while further & 1 << 31 and fields + 4 <= end:
        further = int.from_bytes(octets[fields : fields + 4], "little")
        fields += 4
    if not present & 2:  # there is no field of flags
        return False
    fields += 8 * (present & 1)
    if present & 1:  # a timestamp of eight octets, aligned to eight, comes before the flags
        fields += -(fields - 8 - start) % 8
    return fields < end and octets[fields] & 0x20 != 0


def _ppi(octets: bytes, start: int, end: int) -> int:
    """Return where IP begins after a PPI header, which has the type of the link inside."""
    if start + 8 > end:
        return NOWHERE
    link = int.from_bytes(octets[start + 4 : start + 8], "little")
    at = start + (octets[start + 2] | octets[start + 3] << 8)
    return NOWHERE if link == PPI else network(link, octets, at, end)


def _nflog(octets: bytes, start: int, end: int) -> int:
    """Return where IP begins in a message of Linux's NFLOG.

    The message has four octets and then attributes. Each begins with its length and type, in the byte order
    of the machine that wrote them; this function reads little-endian.
    """
    at = start + 4
    while at + 4 <= end:
        size, kind = octets[at] | octets[at + 1] << 8, octets[at + 2] | octets[at + 3] << 8
        if kind & 0x7FFF == _NFLOG_PAYLOAD:
            return at + 4
        if size < 4:
            return NOWHERE
        at += size + -size % 4
    return NOWHERE


def _ppp_with_direction(octets: bytes, start: int, end: int) -> int:
    """Return where IP begins after an octet for the packet's direction and a PPP header."""
    return _ppp(octets, start + 1, end)


_LINKS: Final[dict[int, Callable[[bytes, int, int], int]]] = {
    NULL: _null,
    LOOP: _null,
    COOKED: _cooked,
    COOKED_2: _cooked_2,
    PPP: _ppp,
    _PPP_SERIAL: _ppp,
    _PPP_ETHERNET: _ppp_ethernet,
    _PPP_WITH_DIRECTION: _ppp_with_direction,
    ATM_RFC1483: _llc,
    CISCO_HDLC: _cisco_hdlc,
    WIFI: _wifi,
    RADIOTAP: _radiotap,
    PPI: _ppi,
    NFLOG: _nflog,
    **dict.fromkeys(_RAW, _raw),
}
