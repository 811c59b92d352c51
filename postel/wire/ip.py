"""IP packets of both versions: octets to records and back (RFC 791; RFC 1122, 3.2; RFC 8200)."""

from struct import Struct
from typing import Final

from postel.errors import ArgumentError, WireError
from postel.wire import checksum

HEADER_4: Final = 20  # octets of a header without options
HEADER_6: Final = 40
LARGEST: Final = 0xFFFF

HOP_BY_HOP: Final = 0
ROUTING: Final = 43
FRAGMENT: Final = 44
NO_NEXT_HEADER: Final = 59
DESTINATION_OPTIONS: Final = 60

_EXTENSIONS: Final = (HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS)
# Most extension headers of a packet: RFC 8504, 5.3 asks for a limit. A correct packet has at most five:
# destination options twice, others once
_MOST_EXTENSIONS: Final = 8

# Codes of ICMPv6's parameter problem (RFC 4443, 3.4; RFC 7112, 6). ICMP for IPv4 has only the first of these
ERRONEOUS_FIELD: Final = 0
UNRECOGNIZED_NEXT_HEADER: Final = 1
UNRECOGNIZED_OPTION: Final = 2
INCOMPLETE_CHAIN: Final = 3  # a first fragment doesn't hold all headers

# A code of IPv4's "destination unreachable", not of a parameter problem (RFC 1122, 3.3.5)
SOURCE_ROUTE_FAILED: Final = 5

_PAYLOAD_LENGTH: Final = 4  # offset of this field in IPv6's header
_NEXT_HEADER: Final = 6  # offset of this field in IPv6's header
_PROTOCOL: Final = 9  # offset of this field in IPv4's header

# Octets of the shortest header, by protocol number: TCP, UDP, ICMPv6
_UPPER_HEADERS: Final = {6: 20, 17: 8, 58: 8}
_TCP: Final = 6

_END_OF_OPTIONS: Final = 0
_NO_OPERATION: Final = 1
_SOURCE_ROUTES: Final = (131, 137)  # option types: loose and strict source route

DONT_FRAGMENT: Final = 0x4000
_MORE_FRAGMENTS: Final = 0x2000

_WORDS_4: Final = Struct("!IIIII")
_FIELDS_4: Final = Struct("!HHHHBBH")
_FIELDS_6: Final = Struct("!IHBB")
_FRAGMENT: Final = Struct("!BBHI")


class Packet:
    """One packet that arrived, or one fragment of it. Its payload is ``octets[start:end]``.

    The class is written out by hand for the same reason as `Segment`: a dataclass costs six times as much.

    It has these attributes:
        octets: the packet from its IP header on, perhaps with octets behind its end.
        version: 4 or 6.
        protocol: the protocol of the payload, behind all extension headers.
        start: offset of the payload; end: offset of the octet behind it.
        traffic_class: IPv4's type of service or IPv6's traffic class: 6 bits of DSCP, 2 bits of ECN.
        fragment_offset: the offset of a fragment's payload in the whole payload, in octets.
        named_at: offset of the octet that holds ``protocol``, for ICMP errors about it.
        first: the first fragment of a packet that was reassembled, else None.
    """

    __slots__ = (
        "destination",
        "dont_fragment",
        "end",
        "first",
        "fragment_offset",
        "hop_limit",
        "identification",
        "more_fragments",
        "named_at",
        "octets",
        "protocol",
        "source",
        "start",
        "traffic_class",
        "version",
    )

    def __init__(
        self,
        octets: bytes,
        version: int,
        source: bytes,
        destination: bytes,
        protocol: int,
        start: int,
        end: int,
        hop_limit: int,
        traffic_class: int,
    ) -> None:
        """Make a record of a packet that isn't a fragment."""
        self.octets: bytes = octets
        self.version: int = version
        self.source: bytes = source
        self.destination: bytes = destination
        self.protocol: int = protocol
        self.start: int = start
        self.end: int = end
        self.hop_limit: int = hop_limit
        self.traffic_class: int = traffic_class
        self.identification: int = 0
        self.fragment_offset: int = 0
        self.more_fragments: bool = False
        self.dont_fragment: bool = True
        self.named_at = _PROTOCOL if version == 4 else _NEXT_HEADER
        self.first: Packet | None = None

    @property
    def payload(self) -> bytes:
        """Octets behind the IP header and its extension headers."""
        return self.octets[self.start : self.end]

    @property
    def is_fragment(self) -> bool:
        """Whether this is a part of a larger packet."""
        return self.more_fragments or self.fragment_offset > 0


def parse(octets: bytes) -> Packet:
    """Packet at the start of ``octets``.

    Octets behind the packet's end, such as padding of a link, are ignored.

    Raises WireError: ``truncated``, ``bad_version``, ``bad_header_length``, ``bad_total_length``,
    ``bad_checksum``, ``bad_option``, ``source_route``, ``bad_fragment``, ``too_many_headers``,
    ``misplaced_header``.
    """
    if not octets:
        raise WireError("truncated", "no octets")
    version = octets[0] >> 4
    if version == 4:
        return _parse4(octets)
    if version == 6:
        return _parse6(octets)
    raise WireError("bad_version", f"version {version}")


def _parse4(octets: bytes) -> Packet:
    if len(octets) < HEADER_4:
        raise WireError("truncated", f"{len(octets)} octets of an IPv4 header")
    first, second, third, source, destination = _WORDS_4.unpack_from(octets)
    start = first >> 22 & 0x3C
    end = first & 0xFFFF
    if start != HEADER_4:
        _check_options4(octets, start)
    elif (first + second + third + source + destination) % checksum.MODULUS:
        raise WireError("bad_checksum", "IPv4 header")
    if end < start:
        raise WireError("bad_total_length", f"{end} octets with a header of {start}")
    if end > len(octets):
        raise WireError("truncated", f"{len(octets)} octets of {end}")
    packet = Packet(
        octets,
        4,
        octets[12:16],
        octets[16:20],
        third >> 16 & 0xFF,
        start,
        end,
        third >> 24,
        first >> 16 & 0xFF,
    )
    packet.identification = second >> 16
    packet.dont_fragment = second & DONT_FRAGMENT != 0
    if second & 0x3FFF:
        _set_fragment(packet, (second & 0x1FFF) << 3, more=second & _MORE_FRAGMENTS != 0)
    return packet


def _set_fragment(packet: Packet, offset: int, *, more: bool) -> None:
    """Set the fragment fields of an IPv4 packet, or raise WireError for an impossible fragment."""
    size = packet.end - packet.start
    if (more and (size == 0 or size % 8)) or offset + size > LARGEST:
        raise WireError("bad_fragment", f"{size} octets at {offset}")
    packet.fragment_offset = offset
    packet.more_fragments = more


def _check_options4(octets: bytes, end: int) -> None:
    """Check the options of an IPv4 header, and its checksum.

    A source route is refused; all other options are ignored (RFC 1122, 3.2.1.8).
    """
    if end < HEADER_4:
        raise WireError("bad_header_length", f"{end} octets")
    if end > len(octets):
        raise WireError("truncated", f"{len(octets)} octets of an IPv4 header of {end}")
    if not checksum.is_right(octets[:end]):
        raise WireError("bad_checksum", "IPv4 header")
    position = HEADER_4
    while position < end:
        size = option_length(octets, position, end)
        if octets[position] in _SOURCE_ROUTES:
            raise WireError(
                "source_route", f"option {octets[position]}", *_source_route(octets, position, size)
            )
        position += size


def option_length(octets: bytes, position: int, end: int) -> int:
    """Length in octets of the IPv4 option at ``position``, or of all that is left at the end of the list.

    Raises WireError where the option is longer than the list (RFC 1122, 3.2.2.5).
    """
    kind = octets[position]
    if kind == _END_OF_OPTIONS:
        return end - position
    if kind == _NO_OPERATION:
        return 1
    length = octets[position + 1] if position + 1 < end else 0
    if length < 2 or position + length > end:
        at = position + 1 if position + 1 < end else position
        detail = f"IPv4 option {kind}, length {length}, {end - position} octets left"
        raise WireError("bad_option", detail, ERRONEOUS_FIELD, at)
    return length


def _source_route(octets: bytes, position: int, length: int) -> tuple[int, int]:
    """Code and pointer of the ICMP error for a packet with a source route.

    If the route has come to its end, the code is -1: no error message is sent.
    """
    if length == 2:
        return ERRONEOUS_FIELD, position + 1
    pointer = octets[position + 2]
    if pointer < 4:  # RFC 791, 3.1: the smallest legal value
        return ERRONEOUS_FIELD, position + 2
    return (SOURCE_ROUTE_FAILED if pointer <= length else -1), position


def _parse6(octets: bytes) -> Packet:
    if len(octets) < HEADER_6:
        raise WireError("truncated", f"{len(octets)} octets of an IPv6 header")
    first, length, protocol, hop_limit = _FIELDS_6.unpack_from(octets)
    end = HEADER_6 + length
    if end > len(octets):
        raise WireError("truncated", f"{len(octets)} octets of {end}")
    packet = Packet(
        octets, 6, octets[8:24], octets[24:40], protocol, HEADER_6, end, hop_limit, first >> 20 & 0xFF
    )
    if protocol in _EXTENSIONS:
        _walk_extensions(packet)
        if packet.more_fragments and packet.fragment_offset == 0:
            _require_whole_chain(packet)
    return packet


def _walk_extensions(packet: Packet) -> None:
    """Move ``start`` and ``protocol`` behind the extension headers (RFC 8200, 4).

    The walk stops after a fragment header, because the headers after that may have been cut.
    """
    for count in range(_MOST_EXTENSIONS):
        kind = packet.protocol
        if kind not in _EXTENSIONS or packet.is_fragment:
            return
        if kind == HOP_BY_HOP and count > 0:  # RFC 8200, 4: refused like an unknown header
            detail = "hop-by-hop options not in the first place"
            raise WireError("misplaced_header", detail, UNRECOGNIZED_NEXT_HEADER, packet.named_at)
        _step_over(packet, kind)
    if packet.protocol in _EXTENSIONS and not packet.is_fragment:  # RFC 8504, 5.3: drop it without an answer
        raise WireError("too_many_headers", f"more than {_MOST_EXTENSIONS} extension headers")


def _step_over(packet: Packet, kind: int) -> None:
    """Check the extension header at ``start``, and go on to the header behind it."""
    octets, start = packet.octets, packet.start
    end = _end_of_extension(packet, kind)
    if (
        end > packet.end
    ):  # RFC 4443, 3.4: point to the length field that is wrong, the header's or the packet's
        at = start + 1 if kind != FRAGMENT and start + 1 < packet.end else _PAYLOAD_LENGTH
        detail = f"{packet.end - start} octets of extension header {kind}"
        raise WireError("truncated", detail, ERRONEOUS_FIELD, at)
    _enter(packet, end)
    if kind == FRAGMENT:
        packet.dont_fragment = False
        packet.identification = int.from_bytes(octets[start + 4 : start + 8], "big")
        bits = octets[start + 2] << 8 | octets[start + 3]
        if bits & 0xFFF9:  # otherwise the packet is whole, and treated like any other (RFC 6946)
            _set_fragment6(packet, bits & 0xFFF8, more=bits & 1 != 0)
    elif kind == ROUTING:
        if octets[start + 3]:  # segments left; no routing type is supported (RFC 8200, 4.4; RFC 5095)
            raise WireError(
                "source_route", f"routing header of type {octets[start + 2]}", ERRONEOUS_FIELD, start + 2
            )
    else:
        _check_options6(octets, start + 2, end)


def _enter(packet: Packet, end: int) -> None:
    """Go on to the header behind the extension header at ``start``, which ends at ``end``."""
    packet.protocol = packet.octets[packet.start]
    packet.named_at = packet.start
    packet.start = end


def _end_of_extension(packet: Packet, kind: int) -> int:
    """Offset of the end of the extension header at the packet's ``start``.

    The offset may lie behind the packet's end.
    """
    start = packet.start
    if kind == FRAGMENT or start + 1 >= packet.end:
        return start + 8
    return start + 8 + 8 * packet.octets[start + 1]


def _set_fragment6(packet: Packet, offset: int, *, more: bool) -> None:
    """Set the fragment fields, or raise WireError for a fragment that RFC 8200, 4.5 doesn't allow.

    The fragment's header ends at ``start``.
    """
    size = packet.end - packet.start
    if more and size % 8:
        raise WireError("bad_fragment", f"{size} octets, and more follow", ERRONEOUS_FIELD, _PAYLOAD_LENGTH)
    if packet.named_at - HEADER_6 + offset + size > LARGEST:  # whole packet, earlier headers too
        raise WireError("bad_fragment", f"{size} octets at {offset}", ERRONEOUS_FIELD, packet.named_at + 2)
    if more and size == 0 and offset > 0:
        raise WireError("bad_fragment", f"no octets at {offset}")
    packet.fragment_offset = offset
    packet.more_fragments = more


def _require_whole_chain(packet: Packet) -> None:
    """Raise WireError unless a first fragment holds all headers (RFC 8200, 4.5; RFC 7112).

    The header of TCP, UDP or ICMPv6 is one of them.
    """
    # RFC 8200, 4. Checked in the fragment, because in the reassembled packet this header would come first
    if packet.protocol == HOP_BY_HOP:
        detail = "hop-by-hop options in a fragment"
        raise WireError("misplaced_header", detail, UNRECOGNIZED_NEXT_HEADER, packet.named_at)
    upper = Packet(
        packet.octets, 6, packet.source, packet.destination, packet.protocol, packet.start, packet.end, 0, 0
    )
    _skip_extensions(upper)
    if upper.start + _header_of(upper) > upper.end:
        detail = f"{packet.end - packet.start} octets in the first fragment"
        raise WireError("bad_fragment", detail, INCOMPLETE_CHAIN)


def _skip_extensions(packet: Packet) -> bool:
    """Move ``start`` and ``protocol`` behind the extension headers, whatever these contain.

    Fragment headers are followed too. The walk stops at a header that isn't whole, and behind the fragment
    header of a fragment that isn't the first. Returns False where there are too many headers.
    """
    for _ in range(2 * _MOST_EXTENSIONS):
        octets, start, kind = packet.octets, packet.start, packet.protocol
        if kind not in _EXTENSIONS or packet.fragment_offset or _end_of_extension(packet, kind) > packet.end:
            return True
        _enter(packet, _end_of_extension(packet, kind))
        if kind == FRAGMENT:
            packet.fragment_offset = (octets[start + 2] << 8 | octets[start + 3]) & 0xFFF8
    return False


def _header_of(packet: Packet) -> int:
    """Length in octets of the header at ``start``, or its least length if it is cut; 0 if unknown."""
    if packet.protocol in _EXTENSIONS:
        return _end_of_extension(packet, packet.protocol) - packet.start
    if packet.protocol == _TCP and packet.start + 12 < packet.end:
        return max(_UPPER_HEADERS[_TCP], packet.octets[packet.start + 12] >> 4 << 2)
    return _UPPER_HEADERS.get(packet.protocol, 0)


def _check_options6(octets: bytes, start: int, end: int) -> None:
    """Check the options of an IPv6 extension header, and refuse unknown ones where their type says so.

    The two highest bits of an option's type say how to treat a packet with that option, if the host doesn't
    know the option (RFC 8200, 4.2).
    """
    position = start
    while position < end:
        kind = octets[position]
        if kind == 0:  # Pad1
            position += 1
            continue
        length = octets[position + 1] + 2 if position + 1 < end else 2
        if position + length > end:
            at = position + 1 if position + 1 < end else position
            raise WireError(
                "bad_option", f"IPv6 option {kind}, {end - position} octets left", ERRONEOUS_FIELD, at
            )
        if kind >> 6:  # 00 means: ignore the option; 01: drop the packet without an ICMP message
            code = UNRECOGNIZED_OPTION if kind >> 7 else -1
            raise WireError("bad_option", f"IPv6 option {kind} forbids to go on", code, position)
        position += length


def outline(octets: bytes) -> Packet:
    """Record of a packet that `parse` refused: its headers are followed as far as possible, without checks.

    ``protocol`` and ``start`` are those after the last extension header that is whole. Lengths and checksums
    aren't checked. Raises WireError where there are too many headers, or no whole IP header.
    """
    length = len(octets)
    if length >= HEADER_6 and octets[0] >> 4 == 6:
        length = min(length, HEADER_6 + (octets[4] << 8 | octets[5]))
    elif length >= HEADER_4:
        length = min(length, octets[2] << 8 | octets[3])
    return _outline(octets, length)


def _outline(octets: bytes, end: int) -> Packet:
    """Packet with headers that are followed as far as possible up to ``end``."""
    if len(octets) >= HEADER_6 and octets[0] >> 4 == 6:
        first, _, protocol, hop_limit = _FIELDS_6.unpack_from(octets)
        packet = Packet(
            octets, 6, octets[8:24], octets[24:40], protocol, HEADER_6, end, hop_limit, first >> 20 & 0xFF
        )
        if not _skip_extensions(packet):
            raise WireError("too_many_headers", f"more than {2 * _MOST_EXTENSIONS} extension headers")
        return packet
    start = (octets[0] & 15) << 2 if octets else 0
    if start < HEADER_4 or start > len(octets) or octets[0] >> 4 != 4:
        raise WireError("truncated", "no whole IP header")
    packet = Packet(octets, 4, octets[12:16], octets[16:20], octets[9], start, end, octets[8], octets[1])
    packet.fragment_offset = ((octets[6] & 0x1F) << 8 | octets[7]) << 3
    return packet


def place_received(packet: Packet, pointer: int) -> int:
    """Offset at which an octet of a packet arrived, for an ICMP error about it.

    For a packet that arrived in fragments the result is the offset in the first fragment, which differs from
    ``pointer``.
    """
    first = packet.first
    if first is None or pointer == _PAYLOAD_LENGTH:
        return pointer
    header = HEADER_4 if packet.version == 4 else HEADER_6
    return first.named_at if pointer < header else first.start + pointer - header


def parse_quoted(octets: bytes) -> Packet:
    """Start of a packet, as an ICMP error quotes it.

    The quotation may be cut at any place, and a router may have changed the packet. So neither length nor
    checksum is checked.
    """
    return _outline(octets, len(octets))


class Envelope:
    """The fields of the IP header that all packets of one flow have in common.

    A connection keeps its envelope, so that only length, ECN and checksum are filled in for each packet.
    ``words`` is the sum of the addresses modulo 0xFFFF, for the pseudo-header's checksum.
    """

    __slots__ = ("_addresses", "_first", "_fixed", "_hop_limit", "_protocol", "is_ipv4", "words")

    def __init__(
        self, source: bytes, destination: bytes, protocol: int, *, hop_limit: int = 64, traffic_class: int = 0
    ) -> None:
        """Compute the constant fields; the length of the addresses decides the IP version."""
        self.is_ipv4: bool = len(source) == 4
        self._addresses = source + destination
        # The sum is reduced once here, because a small number is added faster for each packet
        self.words: int = int.from_bytes(self._addresses, "big") % checksum.MODULUS
        self._protocol = protocol
        self._hop_limit = hop_limit
        self._first = (0x4500 if self.is_ipv4 else 0x6000) | (
            traffic_class if self.is_ipv4 else traffic_class << 4
        )
        self._fixed = self.words + (hop_limit << 8 | protocol)

    def header(
        self, size: int, ecn: int = 0, identification: int = 0, fragment: int = DONT_FRAGMENT
    ) -> bytes:
        """IP header of a packet with a payload of ``size`` octets and the ECN field ``ecn``.

        ``identification`` and ``fragment`` (the flags and the offset) are fields of IPv4's header only. IPv6
        has an extension header for them.
        """
        if not self.is_ipv4:
            if size > LARGEST:
                raise ArgumentError("payload", size, f"at most {LARGEST} octets")
            first = (self._first | ecn << 4) << 16
            return _FIELDS_6.pack(first, size, self._protocol, self._hop_limit) + self._addresses
        length = HEADER_4 + size
        if length > LARGEST:
            raise ArgumentError("payload", size, f"at most {LARGEST - HEADER_4} octets")
        first = self._first | ecn
        value = -(first + length + identification + fragment + self._fixed) % checksum.MODULUS
        return (
            _FIELDS_4.pack(first, length, identification, fragment, self._hop_limit, self._protocol, value)
            + self._addresses
        )


def encode(
    source: bytes,
    destination: bytes,
    protocol: int,
    payload: bytes,
    *,
    hop_limit: int = 64,
    traffic_class: int = 0,
    identification: int = 0,
    dont_fragment: bool = True,
) -> bytes:
    """Octets of one packet."""
    envelope = Envelope(source, destination, protocol, hop_limit=hop_limit, traffic_class=traffic_class)
    return envelope.header(len(payload), 0, identification, DONT_FRAGMENT if dont_fragment else 0) + payload


def summed(header: bytearray) -> bytes:
    """IPv4 header with a new checksum, after a field was changed."""
    header[10:12] = bytes(2)
    header[10:12] = checksum.ones_complement(bytes(header)).to_bytes(2, "big")
    return bytes(header)


def with_options(packet: bytes, octets: bytes) -> bytes:
    """IPv4 packet with these options in its header, which had none.

    Their length is a multiple of 4 octets.
    """
    length = len(packet) + len(octets)
    header = bytearray(packet[:HEADER_4] + octets)
    header[0] += len(octets) >> 2
    header[2:4] = length.to_bytes(2, "big")
    return summed(header) + packet[HEADER_4:]


def fragments(
    source: bytes,
    destination: bytes,
    protocol: int,
    payload: bytes,
    mtu: int,
    *,
    hop_limit: int = 64,
    traffic_class: int = 0,
    identification: int = 0,
) -> list[bytes]:
    """Fragments of a payload, as packets of at most ``mtu`` octets (RFC 791, 3.2; RFC 8200, 4.5).

    Raises ArgumentError for an ``mtu`` that has no room for 8 octets of payload.
    """
    header = HEADER_4 if len(source) == 4 else HEADER_6 + 8
    room = (mtu - header) & ~7
    if room < 8:
        raise ArgumentError("mtu", mtu, f"at least {header + 8} octets")
    inner = protocol if len(source) == 4 else FRAGMENT
    envelope = Envelope(source, destination, inner, hop_limit=hop_limit, traffic_class=traffic_class)
    packets = []
    for offset in range(0, max(len(payload), 1), room):
        part = payload[offset : offset + room]
        more = offset + room < len(payload)
        if envelope.is_ipv4:
            field = offset >> 3 | (_MORE_FRAGMENTS if more else 0)
            packets.append(envelope.header(len(part), 0, identification, field) + part)
        else:
            part = _FRAGMENT.pack(protocol, 0, offset | more, identification) + part
            packets.append(envelope.header(len(part)) + part)
    return packets
