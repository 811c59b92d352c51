"""IP packets, both versions: octets to record and back (RFC 791, RFC 1122 3.2, RFC 8200)."""

from struct import Struct
from typing import Final

from postel.errors import ArgumentError, WireError
from postel.wire import checksum

HEADER_4: Final = 20  # octets, without options
HEADER_6: Final = 40
LARGEST: Final = 0xFFFF

HOP_BY_HOP: Final = 0
ROUTING: Final = 43
FRAGMENT: Final = 44
NO_NEXT_HEADER: Final = 59
DESTINATION_OPTIONS: Final = 60

_EXTENSIONS: Final = (HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS)
_MOST_EXTENSIONS: Final = (
    8  # RFC 8504, 5.3 wants a limit; each kind once and the destination options twice make five
)

# codes of ICMPv6's parameter problem (RFC 4443, 3.4; RFC 7112, 6); IPv4's has the first alone
ERRONEOUS_FIELD: Final = 0
UNRECOGNIZED_NEXT_HEADER: Final = 1
UNRECOGNIZED_OPTION: Final = 2
INCOMPLETE_CHAIN: Final = 3  # of headers, in a first fragment

SOURCE_ROUTE_FAILED: Final = (
    5  # not of a parameter problem, but of IPv4's "destination unreachable" (RFC 1122, 3.3.5)
)

_PAYLOAD_LENGTH: Final = 4  # where that field of IPv6's header is
_NEXT_HEADER: Final = 6
_PROTOCOL: Final = 9  # where that field of IPv4's header is

_UPPER_HEADERS: Final = {6: 20, 17: 8, 58: 8}  # octets: TCP without options, UDP, ICMPv6
_TCP: Final = 6

_END_OF_OPTIONS: Final = 0
_NO_OPERATION: Final = 1
_SOURCE_ROUTES: Final = (131, 137)  # loose and strict

DONT_FRAGMENT: Final = 0x4000
_MORE_FRAGMENTS: Final = 0x2000

_WORDS_4: Final = Struct("!IIIII")
_FIELDS_4: Final = Struct("!HHHHBBH")
_FIELDS_6: Final = Struct("!IHBB")
_FRAGMENT: Final = Struct("!BBHI")


class Packet:
    """One packet that arrived, or one fragment of it. Its payload is ``octets[start:end]``.

    Written out by hand for the same reason as Segment. ``protocol`` is that of the payload, behind all
    extension headers. ``fragment_offset`` counts octets. ``traffic_class`` is IPv4's type of service: six
    bits DSCP, two bits ECN. ``named_at`` is where the octet stands that says ``protocol``. ``first`` is the
    first fragment of a packet that was reassembled.
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
        return self.octets[self.start : self.end]

    @property
    def is_fragment(self) -> bool:
        return self.more_fragments or self.fragment_offset > 0


def parse(octets: bytes) -> Packet:
    """The packet at the start of ``octets``; what a link left behind its end is ignored.

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
    size = packet.end - packet.start
    if (more and (size == 0 or size % 8)) or offset + size > LARGEST:
        raise WireError("bad_fragment", f"{size} octets at {offset}")
    packet.fragment_offset = offset
    packet.more_fragments = more


def _check_options4(octets: bytes, end: int) -> None:
    """Walks the options of an IPv4 header and its checksum; all but source routes are ignored (RFC 1122,
    3.2.1.8).
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
    """How many octets the option of IPv4 takes that begins at ``position``; all up to ``end`` for the end of
    the list.

    Raises WireError where it doesn't fit (RFC 1122, 3.2.2.5).
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
    """Code and pointer for a packet with a source route; a route that has come to its end is dropped without
    a word.
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
    """Moves ``start`` and ``protocol`` behind the extension headers (RFC 8200, 4), but not into what a
    fragment may have cut.
    """
    for count in range(_MOST_EXTENSIONS):
        kind = packet.protocol
        if kind not in _EXTENSIONS or packet.is_fragment:
            return
        if kind == HOP_BY_HOP and count > 0:  # RFC 8200, 4: as if it were unknown
            detail = "hop-by-hop options not in the first place"
            raise WireError("misplaced_header", detail, UNRECOGNIZED_NEXT_HEADER, packet.named_at)
        _step_over(packet, kind)
    if packet.protocol in _EXTENSIONS and not packet.is_fragment:  # RFC 8504, 5.3: silently
        raise WireError("too_many_headers", f"more than {_MOST_EXTENSIONS} extension headers")


def _step_over(packet: Packet, kind: int) -> None:
    octets, start = packet.octets, packet.start
    end = _end_of_extension(packet, kind)
    if end > packet.end:  # RFC 4443, 3.4: its length is wrong, or the packet's where there is no room for one
        at = start + 1 if kind != FRAGMENT and start + 1 < packet.end else _PAYLOAD_LENGTH
        detail = f"{packet.end - start} octets of extension header {kind}"
        raise WireError("truncated", detail, ERRONEOUS_FIELD, at)
    _enter(packet, end)
    if kind == FRAGMENT:
        packet.dont_fragment = False
        packet.identification = int.from_bytes(octets[start + 4 : start + 8], "big")
        bits = octets[start + 2] << 8 | octets[start + 3]
        if bits & 0xFFF9:  # else it is whole, and goes on like any other packet (RFC 6946)
            _set_fragment6(packet, bits & 0xFFF8, more=bits & 1 != 0)
    elif kind == ROUTING:
        if octets[start + 3]:  # segments left, and no type of route is known (RFC 8200, 4.4; RFC 5095)
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
    """Where the extension header at the packet's ``start`` ends, be it beyond the packet's end."""
    start = packet.start
    if kind == FRAGMENT or start + 1 >= packet.end:
        return start + 8
    return start + 8 + 8 * packet.octets[start + 1]


def _set_fragment6(packet: Packet, offset: int, *, more: bool) -> None:
    """RFC 8200, 4.5: what makes a fragment void, and where to point. The fragment's header ends at
    ``start``.
    """
    size = packet.end - packet.start
    if more and size % 8:
        raise WireError("bad_fragment", f"{size} octets, and more follow", ERRONEOUS_FIELD, _PAYLOAD_LENGTH)
    if packet.named_at - HEADER_6 + offset + size > LARGEST:  # with the headers before the fragment's own
        raise WireError("bad_fragment", f"{size} octets at {offset}", ERRONEOUS_FIELD, packet.named_at + 2)
    if more and size == 0 and offset > 0:
        raise WireError("bad_fragment", f"no octets at {offset}")
    packet.fragment_offset = offset
    packet.more_fragments = more


def _require_whole_chain(packet: Packet) -> None:
    """RFC 8200, 4.5; RFC 7112: a first fragment holds all headers, the upper layer's too."""
    if (
        packet.protocol == HOP_BY_HOP
    ):  # RFC 8200, 4: as in `_walk_extensions`, which will not see it in the whole packet
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
    """As `_walk_extensions`, without a look at what the headers hold, and through the headers of fragments
    too.

    It stops where a header isn't whole, and behind the header of a fragment that isn't the first. False:
    there are too many headers.
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
    """How many octets the header takes that begins at ``start``, as far as that is known."""
    if packet.protocol in _EXTENSIONS:
        return _end_of_extension(packet, packet.protocol) - packet.start
    if packet.protocol == _TCP and packet.start + 12 < packet.end:
        return max(_UPPER_HEADERS[_TCP], packet.octets[packet.start + 12] >> 4 << 2)
    return _UPPER_HEADERS.get(packet.protocol, 0)


def _check_options6(octets: bytes, start: int, end: int) -> None:
    """Options of IPv6 say themselves, in their two highest bits, whether a host that doesn't know them may go
    on (RFC 8200, 4.2).
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
        if kind >> 6:  # 01 says: silently
            code = UNRECOGNIZED_OPTION if kind >> 7 else -1
            raise WireError("bad_option", f"IPv6 option {kind} forbids to go on", code, position)
        position += length


def outline(octets: bytes) -> Packet:
    """The packet that `parse` refused, as far as its headers can be followed, whatever they hold.

    ``protocol`` and ``start`` are behind all extension headers that are whole. Raises WireError where there
    are too many, or no whole IP header; lengths and checksums aren't looked at again.
    """
    length = len(octets)
    if length >= HEADER_6 and octets[0] >> 4 == 6:
        length = min(length, HEADER_6 + (octets[4] << 8 | octets[5]))
    elif length >= HEADER_4:
        length = min(length, octets[2] << 8 | octets[3])
    return _outline(octets, length)


def _outline(octets: bytes, end: int) -> Packet:
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
    """Where an octet of a packet stood when it arrived: elsewhere than now if that was in fragments."""
    first = packet.first
    if first is None or pointer == _PAYLOAD_LENGTH:
        return pointer
    header = HEADER_4 if packet.version == 4 else HEADER_6
    return first.named_at if pointer < header else first.start + pointer - header


def parse_quoted(octets: bytes) -> Packet:
    """The start of a packet as an ICMP error quotes it: cut anywhere, changed on its way, so neither length
    nor checksum counts.
    """
    return _outline(octets, len(octets))


class Envelope:
    """What the headers of all packets of a flow have in common; the addresses' length says which version.

    ``words`` is the addresses' part of the pseudo-header's sum, modulo 0xFFFF.
    """

    __slots__ = ("_addresses", "_first", "_fixed", "_hop_limit", "_protocol", "is_ipv4", "words")

    def __init__(
        self, source: bytes, destination: bytes, protocol: int, *, hop_limit: int = 64, traffic_class: int = 0
    ) -> None:
        self.is_ipv4: bool = len(source) == 4
        self._addresses = source + destination
        self.words: int = (
            int.from_bytes(self._addresses, "big") % checksum.MODULUS
        )  # small, for it is added to every packet
        self._protocol = protocol
        self._hop_limit = hop_limit
        self._first = (0x4500 if self.is_ipv4 else 0x6000) | (
            traffic_class if self.is_ipv4 else traffic_class << 4
        )
        self._fixed = self.words + (hop_limit << 8 | protocol)

    def header(
        self, size: int, ecn: int = 0, identification: int = 0, fragment: int = DONT_FRAGMENT
    ) -> bytes:
        """For a payload of ``size`` octets, marked ``ecn``. The last two are IPv4's alone: ``fragment`` is
        the field of the fragment's flags and offset. IPv6 has them in a header of their own."""
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
    """One packet of a flow of its own."""
    envelope = Envelope(source, destination, protocol, hop_limit=hop_limit, traffic_class=traffic_class)
    return envelope.header(len(payload), 0, identification, DONT_FRAGMENT if dont_fragment else 0) + payload


def summed(header: bytearray) -> bytes:
    """An IPv4 header in which something was changed, with its checksum made anew."""
    header[10:12] = bytes(2)
    header[10:12] = checksum.ones_complement(bytes(header)).to_bytes(2, "big")
    return bytes(header)


def with_options(packet: bytes, octets: bytes) -> bytes:
    """An IPv4 packet with these options, whole words of them, in its header, which has none yet."""
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
    """The payload cut into packets of at most ``mtu`` octets (RFC 791, 3.2; RFC 8200, 4.5)."""
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
