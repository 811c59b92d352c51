import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.errors import ArgumentError, WireError
from postel.wire import checksum, ip
from postel.wire.ip import Packet, encode, fragments, parse, parse_quoted

ALICE, BOB = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
ALICE_6, BOB_6 = bytes.fromhex("fd00" + "00" * 13 + "01"), bytes.fromhex("fd00" + "00" * 13 + "02")
PAIRS = [(ALICE, BOB), (ALICE_6, BOB_6)]
REASONS = {
    *("truncated", "bad_version", "bad_header_length", "bad_total_length", "bad_checksum", "bad_option"),
    *("source_route", "bad_fragment", "too_many_headers", "misplaced_header"),
}
octet = st.integers(0, 255)


def reason(octets: bytes) -> str:
    """Why the octets don't parse."""
    with pytest.raises(WireError) as caught:
        parse(octets)
    return caught.value.reason


def header4(*, first: int = 0x45, total: int = 24, bits: int = 0, options: bytes = b"") -> bytes:
    """An IPv4 header with whatever is asked for, and the checksum right."""
    blank = (
        bytes((first, 0))
        + total.to_bytes(2, "big")
        + b"\x12\x34"
        + bits.to_bytes(2, "big")
        + b"\x40\x06\0\0"
        + ALICE
        + BOB
        + options
    )
    return blank[:10] + checksum.ones_complement(blank).to_bytes(2, "big") + blank[12:]


def with_options4(options: bytes) -> bytes:
    assert len(options) % 4 == 0
    return header4(first=0x45 + len(options) // 4, total=24 + len(options), options=options) + b"data"


def extension(following: int, size: int = 8, body: bytes = b"") -> bytes:
    """An extension header of ``size`` octets, filled up with Pad1."""
    return (bytes((following, size // 8 - 1)) + body).ljust(size, b"\0")


def packet6(first: int, payload: bytes) -> bytes:
    return encode(ALICE_6, BOB_6, first, payload)


def fragment6(bits: int, following: int = 6) -> bytes:
    return bytes((following, 0)) + bits.to_bytes(2, "big") + (77).to_bytes(4, "big")


@given(
    st.sampled_from(PAIRS),
    octet,
    st.binary(max_size=100),
    octet,
    octet,
    st.integers(0, 0xFFFF),
    st.booleans(),
)
def test_round_trip(
    pair: tuple[bytes, bytes],
    protocol: int,
    payload: bytes,
    hop_limit: int,
    traffic_class: int,
    identification: int,
    dont_fragment: bool,
) -> None:
    if len(pair[0]) == 16 and protocol in (ip.HOP_BY_HOP, ip.ROUTING, ip.FRAGMENT, ip.DESTINATION_OPTIONS):
        protocol = 6
    octets = encode(
        *pair,
        protocol,
        payload,
        hop_limit=hop_limit,
        traffic_class=traffic_class,
        identification=identification,
        dont_fragment=dont_fragment,
    )
    packet = parse(octets + b"padding")
    assert (packet.source, packet.destination) == pair
    assert (packet.protocol, packet.payload) == (protocol, payload)
    assert (packet.hop_limit, packet.traffic_class) == (hop_limit, traffic_class)
    assert not packet.is_fragment
    if packet.version == 4:
        assert (packet.identification, packet.dont_fragment) == (identification, dont_fragment)
        assert checksum.is_right(octets[:20])


def test_a_captured_header() -> None:
    octets = bytes.fromhex("45000073000040004011b861c0a80001c0a800c7") + bytes(95)
    packet = parse(octets)
    assert (packet.protocol, packet.source, packet.destination) == (
        17,
        bytes([192, 168, 0, 1]),
        bytes([192, 168, 0, 199]),
    )
    assert (packet.hop_limit, packet.dont_fragment, packet.start, packet.end) == (64, True, 20, 115)
    assert encode(packet.source, packet.destination, 17, packet.payload) == octets


@pytest.mark.parametrize("pair", PAIRS)
def test_the_largest_payload(pair: tuple[bytes, bytes]) -> None:
    most = 65515 if len(pair[0]) == 4 else 65535
    assert parse(encode(*pair, 6, bytes(most))).payload == bytes(most)
    with pytest.raises(ArgumentError, match=str(most)):
        encode(*pair, 6, bytes(most + 1))


@pytest.mark.parametrize("version", [0, 1, 5, 7, 15])
def test_other_versions(version: int) -> None:
    assert reason(bytes((version << 4 | 5,)) + bytes(60)) == "bad_version"


@pytest.mark.parametrize("pair", PAIRS)
def test_bad_hdr_3_cut_anywhere(pair: tuple[bytes, bytes]) -> None:
    octets = encode(*pair, 6, b"payload")
    for length in range(len(octets)):
        assert reason(octets[:length]) == "truncated"


@pytest.mark.parametrize("words", range(5))
def test_header_length_below_the_least(words: int) -> None:
    assert reason(header4(first=0x40 | words) + b"data") == "bad_header_length"


def test_header_length_beyond_the_octets() -> None:
    assert reason(header4(first=0x4F)) == "truncated"


@pytest.mark.parametrize("total", [0, 1, 19])
def test_bad_hdr_3_total_length_below_the_header(total: int) -> None:
    assert reason(header4(total=total) + b"data") == "bad_total_length"


def test_bad_hdr_3_total_length_below_a_header_with_options() -> None:
    assert reason(header4(first=0x46, total=23, options=bytes(4)) + b"data") == "bad_total_length"


@pytest.mark.parametrize("total", [25, 1500, 65535])
def test_bad_hdr_3_total_length_beyond_the_octets(total: int) -> None:
    assert reason(header4(total=total) + b"data") == "truncated"


@pytest.mark.parametrize("pair", PAIRS)
def test_bad_hdr_3_padding_is_never_data(pair: tuple[bytes, bytes]) -> None:
    packet = parse(encode(*pair, 6, b"data") + b"\xff" * 22)
    assert packet.payload == b"data"


@pytest.mark.parametrize("options", [b"", b"\x01" * 40])
def test_any_flipped_bit_of_an_ipv4_header_is_noticed(options: bytes) -> None:
    octets = with_options4(options)
    for bit in range(8 * (20 + len(options))):
        flipped = bytearray(octets)
        flipped[bit // 8] ^= 1 << bit % 8
        if bit // 8 == 0:
            assert reason(bytes(flipped)) in REASONS
        else:
            assert reason(bytes(flipped)) == "bad_checksum"


@pytest.mark.parametrize(
    "options",
    [
        "01010101" * 10,  # the whole room
        "00ffffff",  # whatever comes behind the end
        "94040000",  # router alert
        "0727040a000001" + "00" * 33,  # record route
        "4428050000000000" + "00" * 32,  # timestamps
        "9904abcd",  # unknown
    ],
)
def test_bad_frag_2_ipv4_options_are_stepped_over(options: str) -> None:
    packet = parse(with_options4(bytes.fromhex(options)))
    assert packet.payload == b"data"
    assert packet.start == 20 + len(options) // 2


@pytest.mark.parametrize("kind", [131, 137])
@pytest.mark.parametrize("before", ["", "010101", "94040000"])
def test_bad_frag_2_source_routes_are_dropped(kind: int, before: str) -> None:
    route = bytes((kind, 7, 4)) + BOB
    options = bytes.fromhex(before) + route
    assert reason(with_options4(options + bytes(-len(options) % 4))) == "source_route"


@pytest.mark.parametrize("options", ["07000000", "07010000", "07050000", "01010107", "44280000"])
def test_bad_frag_2_malformed_ipv4_options(options: str) -> None:
    assert reason(with_options4(bytes.fromhex(options))) == "bad_option"


@pytest.mark.parametrize(
    ("bits", "offset", "more"),
    [(0x2000, 0, True), (0x0001, 8, False), (0x2001, 8, True), (0x1FFE, 65520, False)],
)
def test_ipv4_fragments_say_so(bits: int, offset: int, *, more: bool) -> None:
    packet = parse(header4(total=28, bits=bits) + b"fragment")
    assert packet.is_fragment
    assert (packet.fragment_offset, packet.more_fragments, packet.identification) == (offset, more, 0x1234)
    assert not packet.dont_fragment


def test_the_reserved_bit_of_ipv4_is_ignored() -> None:
    assert not parse(header4(bits=0x8000) + b"data").is_fragment


@pytest.mark.parametrize(("total", "bits"), [(24, 0x2000), (20, 0x2000), (33, 0x2001), (36, 0x1FFE)])
def test_ipv4_fragments_of_no_use(total: int, bits: int) -> None:
    """A length that isn't a multiple of eight, nothing at all, or an end beyond what a packet can hold."""
    assert reason(header4(total=total, bits=bits) + bytes(20)) == "bad_fragment"


@pytest.mark.parametrize(
    ("first", "headers"),
    [
        (ip.HOP_BY_HOP, extension(6)),
        # Router alert and PadN
        (ip.HOP_BY_HOP, extension(6, 16, bytes.fromhex("0502000001080000000000000000"))),
        (ip.DESTINATION_OPTIONS, extension(6, 2048)),
        (ip.DESTINATION_OPTIONS, extension(6, body=bytes.fromhex("1e04aabbccdd"))),  # unknown, may be skipped
        (ip.ROUTING, extension(6, body=b"\0\0")),
        (ip.ROUTING, extension(6, 24, b"\x04\0")),
        (ip.FRAGMENT, fragment6(0)),
        (ip.FRAGMENT, fragment6(6)),  # reserved bits
        (ip.HOP_BY_HOP, extension(60) + extension(43) + extension(44) + fragment6(0, 60) + extension(6)),
        (ip.DESTINATION_OPTIONS, extension(60) * 7 + extension(6)),
    ],
)
def test_extension_headers_are_stepped_over(first: int, headers: bytes) -> None:
    packet = parse(packet6(first, headers + b"data"))
    assert (packet.protocol, packet.payload) == (6, b"data")
    assert not packet.is_fragment


def test_a_packet_may_end_behind_its_headers() -> None:
    packet = parse(packet6(ip.HOP_BY_HOP, extension(ip.NO_NEXT_HEADER)))
    assert (packet.protocol, packet.payload) == (ip.NO_NEXT_HEADER, b"")


@pytest.mark.parametrize("count", [9, 100, 1000])
def test_bad_frag_2_too_many_headers(count: int) -> None:
    assert (
        reason(packet6(ip.DESTINATION_OPTIONS, extension(60) * (count - 1) + extension(6) + b"data"))
        == "too_many_headers"
    )


@pytest.mark.parametrize("kind", [ip.HOP_BY_HOP, ip.ROUTING, ip.FRAGMENT, ip.DESTINATION_OPTIONS])
def test_bad_frag_2_headers_that_name_themselves_for_ever(kind: int) -> None:
    expected = "misplaced_header" if kind == ip.HOP_BY_HOP else "too_many_headers"
    assert reason(packet6(kind, (bytes((kind,)) + bytes(7)) * 20)) == expected


@pytest.mark.parametrize("kind", [ip.HOP_BY_HOP, ip.ROUTING, ip.DESTINATION_OPTIONS])
@pytest.mark.parametrize("length", range(16))
def test_bad_frag_2_headers_cut_short(kind: int, length: int) -> None:
    assert reason(packet6(kind, extension(6, 16)[:length])) == "truncated"


def test_bad_frag_2_a_header_with_a_length_field_of_zero_has_eight_octets() -> None:
    assert parse(packet6(ip.DESTINATION_OPTIONS, extension(6) + b"data")).start == 48


def test_bad_frag_2_hop_by_hop_options_come_first_or_not_at_all() -> None:
    assert (
        reason(packet6(ip.DESTINATION_OPTIONS, extension(ip.HOP_BY_HOP) + extension(6))) == "misplaced_header"
    )


@pytest.mark.parametrize("kind", [0, 2, 3, 4, 255])
def test_bad_frag_2_routing_headers_with_stops_left(kind: int) -> None:
    assert reason(packet6(ip.ROUTING, extension(6, 24, bytes((kind, 1))))) == "source_route"


@pytest.mark.parametrize("kind", [0x41, 0x8A, 0xC2, 0xC9])
@pytest.mark.parametrize("first", [ip.HOP_BY_HOP, ip.DESTINATION_OPTIONS])
def test_ipv6_options_that_forbid_to_go_on(first: int, kind: int) -> None:
    assert reason(packet6(first, extension(6, body=bytes((kind, 4))))) == "bad_option"


@pytest.mark.parametrize("options", ["010500000000", "000000000001", "1e05", "01ff"])
def test_ipv6_options_past_the_end_of_their_header(options: str) -> None:
    assert reason(packet6(ip.DESTINATION_OPTIONS, extension(6, body=bytes.fromhex(options)))) == "bad_option"


@pytest.mark.parametrize(
    ("bits", "offset", "more"), [(1, 0, True), (8, 8, False), (9, 8, True), (0xFFE8, 65512, False)]
)
def test_ipv6_fragments_say_so(bits: int, offset: int, *, more: bool) -> None:
    upper = 17 if offset == 0 else 60  # a first fragment holds all headers
    packet = parse(packet6(ip.HOP_BY_HOP, extension(44) + fragment6(bits, upper) + b"fragment"))
    assert packet.is_fragment
    assert (packet.fragment_offset, packet.more_fragments, packet.identification) == (offset, more, 77)
    assert (packet.protocol, packet.payload) == (upper, b"fragment")  # what is behind may have been cut
    assert not packet.dont_fragment


def test_a_fragment_may_be_the_last_header_allowed() -> None:
    headers = extension(60) * 6 + extension(44) + fragment6(8)
    assert parse(packet6(60, headers + b"fragment")).is_fragment


@pytest.mark.parametrize(("bits", "size"), [(1, 7), (1, 0), (9, 12), (0xFFF8, 8)])
def test_ipv6_fragments_of_no_use(bits: int, size: int) -> None:
    assert reason(packet6(ip.FRAGMENT, fragment6(bits) + bytes(size))) == "bad_fragment"


@given(st.binary(max_size=120))
def test_bad_hdr_12_any_octets_parse_or_raise(octets: bytes) -> None:
    for candidate in (octets, b"\x45" + octets, b"\x60" + octets):
        try:
            check(parse(candidate), candidate)
        except WireError as error:
            assert error.reason in REASONS


@given(st.binary(max_size=40), st.binary(max_size=20))
def test_bad_hdr_12_any_ipv4_options_parse_or_raise(options: bytes, payload: bytes) -> None:
    options = options[: len(options) & ~3]
    octets = (
        header4(first=0x45 + len(options) // 4, total=20 + len(options) + len(payload), options=options)
        + payload
    )
    try:
        check(parse(octets), octets)
    except WireError as error:
        assert error.reason in {"source_route", "bad_option"}


@given(
    st.sampled_from([0, 43, 44, 60]),
    st.lists(st.tuples(st.sampled_from([0, 6, 43, 44, 60]), st.binary(min_size=7, max_size=7)), max_size=10),
)
def test_bad_hdr_12_any_extension_headers_parse_or_raise(
    first: int, headers: list[tuple[int, bytes]]
) -> None:
    octets = packet6(first, b"".join([bytes((following,)) + body for following, body in headers]))
    try:
        check(parse(octets), octets)
    except WireError as error:
        assert error.reason in REASONS


def check(packet: Packet, octets: bytes) -> None:
    assert 20 <= packet.start <= packet.end <= len(octets)
    assert packet.version == octets[0] >> 4
    assert len(packet.source) == len(packet.destination) == (4 if packet.version == 4 else 16)
    assert 0 <= packet.fragment_offset <= 0xFFF8


@given(st.sampled_from(PAIRS), st.binary(max_size=300), st.integers(0, 400), st.integers(56, 600))
def test_fragments_put_together_are_the_payload(
    pair: tuple[bytes, bytes], payload: bytes, filler: int, mtu: int
) -> None:
    payload += bytes(filler)
    packets = [
        parse(octets)
        for octets in fragments(*pair, 17, payload, mtu, hop_limit=9, traffic_class=3, identification=0xABCD)
    ]
    assert b"".join([packet.payload for packet in packets]) == payload
    assert all(packet.end <= mtu for packet in packets)
    assert [packet.more_fragments for packet in packets] == [True] * (len(packets) - 1) + [False]
    offset = 0
    for packet in packets:
        assert packet.fragment_offset == offset
        assert (packet.protocol, packet.hop_limit, packet.traffic_class, packet.identification) == (
            17,
            9,
            3,
            0xABCD,
        )
        offset += len(packet.payload)


@pytest.mark.parametrize(("pair", "least"), [(PAIRS[0], 28), (PAIRS[1], 56)])
def test_fragments_need_room_for_eight_octets(pair: tuple[bytes, bytes], least: int) -> None:
    assert len(fragments(*pair, 17, bytes(16), least)) == 2
    with pytest.raises(ArgumentError, match=f"at least {least}"):
        fragments(*pair, 17, bytes(16), least - 1)


@pytest.mark.parametrize("pair", PAIRS)
def test_quoted_packets_may_be_cut_and_changed(pair: tuple[bytes, bytes]) -> None:
    octets = bytearray(encode(*pair, 6, bytes(100)))
    octets[8 if len(pair[0]) == 4 else 7] -= 1  # the hop limit, without the checksum
    packet = parse_quoted(bytes(octets[: len(octets) - 92]))
    assert (packet.source, packet.destination, packet.protocol, packet.end - packet.start) == (*pair, 6, 8)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x45",
        header4()[:19],
        header4(first=0x46),
        header4(first=0x44),
        header4(first=0x55),
        b"\x60" * 39,
    ],
)
def test_quotes_of_no_use(octets: bytes) -> None:
    with pytest.raises(WireError):
        parse_quoted(octets)
