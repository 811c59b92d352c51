import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.errors import WireError
from postel.wire import checksum, ip, segment
from postel.wire.segment import (
    ABSENT,
    ACK,
    AE,
    CWR,
    ECE,
    FIN,
    PSH,
    RST,
    SYN,
    URG,
    Segment,
    encode,
    encode_for,
    parse,
)

ALICE, BOB = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
ALICE_6, BOB_6 = bytes.fromhex("fd00" + "00" * 13 + "01"), bytes.fromhex("fd00" + "00" * 13 + "02")
PAIRS = [(ALICE, BOB), (ALICE_6, BOB_6)]
NAMES = (
    *("source", "destination", "seq", "ack", "flags", "window", "data", "urgent", "len"),
    *("mss", "window_scale", "sack_permitted", "tsval", "tsecr", "sack", "other"),
)

words = st.integers(0, 0xFFFFFFFF)
halves = st.integers(0, 0xFFFF)
timestamps = st.just((ABSENT, ABSENT)) | st.tuples(words, words)


@st.composite
def segments(draw: st.DrawFn) -> Segment:
    tsval, tsecr = draw(timestamps)
    flags = draw(st.integers(0, 0x1FF))
    made = Segment(
        *(draw(halves), draw(halves), draw(words), draw(words), flags, draw(halves)),
        *(draw(st.binary(max_size=600)), draw(halves), tsval, tsecr),
    )
    if flags & SYN:
        made.mss = draw(st.just(ABSENT) | halves)
        made.window_scale = draw(st.just(ABSENT) | st.integers(0, 14))
        made.sack_permitted = draw(st.booleans())
    else:
        made.sack = tuple(draw(st.lists(st.tuples(words, words), max_size=3)))
        made.other = ((30, b"ab"),) if not made.sack and draw(st.booleans()) else ()
    return made


def fields(of: Segment) -> dict[str, object]:
    return {name: getattr(of, name) for name in NAMES}


def header(bits: int, size: int = 40) -> bytes:
    """A header with ``bits`` as its word of data offset, reserved bits and flags."""
    return (
        bytes.fromhex("03e80050 00000001 00000002")
        + bits.to_bytes(2, "big")
        + bytes.fromhex("0100 0000 0000")
        + bytes(size - 20)
    )


@given(segments())
def test_round_trip(made: Segment) -> None:
    octets = encode(made)
    assert fields(parse(octets, 0, len(octets))) == fields(made)


@given(segments(), st.sampled_from(PAIRS))
def test_must_2_encode_for_fills_in_the_checksum(made: Segment, pair: tuple[bytes, bytes]) -> None:
    blank, octets = encode(made), encode_for(made, *pair)
    value = checksum.of_payload(blank, *pair, segment.PROTOCOL)
    assert (
        octets == blank[: segment.CHECKSUM_AT] + value.to_bytes(2, "big") + blank[segment.CHECKSUM_AT + 2 :]
    )
    packet = ip.encode(*pair, segment.PROTOCOL, octets) + b"padding"
    start = len(packet) - 7 - len(octets)
    assert segment.checksum_is_right(packet, start, len(packet) - 7, *pair)
    assert fields(parse(packet, start, len(packet) - 7)) == fields(made)


def test_a_captured_syn() -> None:
    octets = bytes.fromhex(
        "c7d40050 1a2b3c4d 00000000 a002faf0 00000000 020405b4 0402080a 00112233 00000000 01030307"
    )
    syn = parse(octets, 0, 40)
    assert (syn.source, syn.destination, syn.seq, syn.ack, syn.window) == (51156, 80, 0x1A2B3C4D, 0, 64240)
    assert (syn.mss, syn.window_scale, syn.sack_permitted, syn.tsval, syn.tsecr) == (
        1460,
        7,
        True,
        0x112233,
        0,
    )
    assert encode(syn) == octets


@pytest.mark.parametrize(("flags", "occupies"), [(ACK, 0), (SYN, 1), (FIN | ACK, 1), (SYN | FIN, 2)])
def test_len_counts_data_syn_and_fin(flags: int, occupies: int) -> None:  # RFC9293-3.4-seglen
    assert Segment(1, 2, 3, 4, flags, 5, b"abc").len == 3 + occupies
    octets = encode(Segment(1, 2, 3, 4, flags, 5, b"abc", 0, 6, 7))
    assert parse(octets, 0, len(octets)).len == 3 + occupies


def test_both_ways_of_reading_timestamps_agree() -> None:
    plain = Segment(1000, 80, 1, 2, ACK | PSH, 500, b"hello", 0, 111, 222)
    octets = encode(plain)
    moved = octets[:20] + octets[22:32] + b"\x01\x01" + octets[32:]
    assert fields(parse(moved, 0, len(moved))) == fields(plain)


@pytest.mark.parametrize("length", range(20))
def test_bad_hdr_1_cut_in_the_header(length: int) -> None:  # EP-PRE-1
    with pytest.raises(WireError) as caught:
        parse(header(0x8010), 0, length)
    assert caught.value.reason == "truncated"


@pytest.mark.parametrize("offset", range(16))
def test_bad_hdr_1_cut_below_the_data_offset(offset: int) -> None:  # EP-PRE-1
    octets = header(offset << 12 | ACK, 60)
    for length in range(20, 60):
        if offset < 5 or length < offset * 4:
            with pytest.raises(WireError) as caught:
                parse(octets, 0, length)
            assert caught.value.reason == "bad_data_offset"
        else:
            assert parse(octets, 0, length).data == octets[offset * 4 : length]


def test_bad_hdr_3_what_lies_around_the_segment_is_not_read() -> None:
    octets = encode(Segment(1000, 80, 1, 2, ACK, 500, b"data"))
    around = b"\xff" * 20 + octets + b"padding"
    assert parse(around, 20, 20 + len(octets)).data == b"data"


@pytest.mark.parametrize("flags", [SYN, SYN | ACK, ACK, RST, FIN | ACK, 0])
@pytest.mark.parametrize("reserved", range(8))
@pytest.mark.parametrize("ae", [0, AE])
def test_bad_hdr_4_reserved_bits_are_ignored(flags: int, reserved: int, ae: int) -> None:
    arrived = parse(header(5 << 12 | reserved << 9 | ae | flags, 20), 0, 20)
    assert arrived.flags == flags | ae
    with_timestamps = header(8 << 12 | reserved << 9 | ae | flags, 20) + bytes.fromhex(
        "0101080a 00000001 00000002"
    )
    assert parse(with_timestamps, 0, 32).flags == flags | ae


@pytest.mark.parametrize("flags", [0, FIN, FIN | PSH | URG, SYN | FIN, 0x1FF])
def test_bad_hdr_6_and_7_odd_flags_parse_as_they_stand(flags: int) -> None:
    assert parse(header(5 << 12 | flags, 20), 0, 20).flags == flags


def test_bad_hdr_9_port_0_parses_for_the_host_to_drop() -> None:
    octets = encode(Segment(0, 0, 1, 2, ACK, 3))
    assert (parse(octets, 0, 20).source, parse(octets, 0, 20).destination) == (0, 0)


@given(st.binary(max_size=80))
def test_bad_hdr_12_any_octets_parse_or_raise(octets: bytes) -> None:
    try:
        arrived = parse(octets, 0, len(octets))
    except WireError as error:
        assert error.reason in {"truncated", "bad_data_offset", "bad_option"}
    else:
        again = encode(arrived)
        assert fields(parse(again, 0, len(again))) == fields(arrived) | {"sack": arrived.sack[:4]}


@given(segments(), st.integers(0, 40), st.binary(min_size=1, max_size=4))
def test_bad_hdr_12_mutated_segments_parse_or_raise(made: Segment, position: int, scar: bytes) -> None:
    octets = encode(made)
    mutated = octets[:position] + scar + octets[position + len(scar) :]
    try:
        parse(mutated, 0, len(mutated))
    except WireError as error:
        assert error.reason in {"truncated", "bad_data_offset", "bad_option"}


@pytest.mark.parametrize("data", [b"", b"odd", b"even", bytes(600), b"\xff" * 601])
@pytest.mark.parametrize("pair", PAIRS)
# MUST-3, EP-PRE-2
def test_bad_csum_1_any_flipped_bit_is_noticed(pair: tuple[bytes, bytes], data: bytes) -> None:
    octets = encode_for(Segment(1000, 80, 1, 2, ACK, 500, data, 0, 111, 222), *pair)
    packet = ip.encode(*pair, segment.PROTOCOL, octets)
    start = len(packet) - len(octets)
    for bit in range(8 * len(octets)):
        flipped = bytearray(packet)
        flipped[start + bit // 8] ^= 1 << bit % 8
        assert not segment.checksum_is_right(bytes(flipped), start, len(flipped), *pair)


@pytest.mark.parametrize("wrong", [-2, -1, 1, 2])
@pytest.mark.parametrize("pair", PAIRS)
def test_bad_csum_1_wrong_length_of_the_pseudo_header(pair: tuple[bytes, bytes], wrong: int) -> None:
    octets = encode_for(Segment(1000, 80, 1, 2, ACK, 500, bytes(10)), *pair)
    packet = ip.encode(*pair, segment.PROTOCOL, octets) + bytes(2)
    start = len(packet) - 2 - len(octets)
    assert not segment.checksum_is_right(packet, start, start + len(octets) + wrong, *pair)


def test_bad_csum_1_other_addresses() -> None:
    octets = encode_for(Segment(1000, 80, 1, 2, ACK, 500), ALICE, BOB)
    packet = ip.encode(ALICE, bytes([10, 0, 0, 3]), segment.PROTOCOL, octets)
    assert not segment.checksum_is_right(packet, 20, 40, ALICE, bytes([10, 0, 0, 3]))


def with_checksum(value: int) -> Segment:
    """A segment with the right checksum ``value`` between ALICE and BOB; its window makes up for the
    difference.
    """
    plain = Segment(1000, 80, 1, 2, ACK, 0, b"", 0, 1, 2)
    current = int.from_bytes(encode_for(plain, ALICE, BOB)[16:18], "big")
    plain.window = (current - value) % 0xFFFF
    return plain


def test_bad_csum_1_zero_is_a_checksum_like_any_other() -> None:
    octets = encode_for(with_checksum(0), ALICE, BOB)
    packet = ip.encode(ALICE, BOB, segment.PROTOCOL, octets)
    assert octets[16:18] == b"\0\0"
    assert segment.checksum_is_right(packet, 20, len(packet), ALICE, BOB)


def test_bad_csum_1_all_ones_is_minus_zero() -> None:
    octets = encode_for(with_checksum(0), ALICE, BOB)
    packet = ip.encode(ALICE, BOB, segment.PROTOCOL, octets[:16] + b"\xff\xff" + octets[18:])
    # RFC 1071, 2: either zero stands for the other
    assert segment.checksum_is_right(packet, 20, len(packet), ALICE, BOB)
    octets = encode_for(with_checksum(1), ALICE, BOB)
    for value in (b"\0\0", b"\xff\xff"):
        packet = ip.encode(ALICE, BOB, segment.PROTOCOL, octets[:16] + value + octets[18:])
        assert not segment.checksum_is_right(packet, 20, len(packet), ALICE, BOB)


def test_bad_csum_1_swapped_words_pass() -> None:
    octets = encode_for(Segment(1000, 80, 1, 2, ACK, 500, b"abcd"), ALICE, BOB)
    packet = ip.encode(ALICE, BOB, segment.PROTOCOL, octets[:20] + b"cdab")
    assert segment.checksum_is_right(packet, 20, 44, ALICE, BOB)  # the known limit of the checksum


@pytest.mark.parametrize("flags", [FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, AE])
def test_each_flag_keeps_its_place(flags: int) -> None:
    octets = encode(Segment(1, 2, 3, 4, flags, 5))
    assert int.from_bytes(octets[12:14], "big") == 0x5000 | flags
    assert parse(octets, 0, 20).flags == flags


def test_repr_says_what_matters() -> None:
    syn = Segment(1000, 80, 1, 0, SYN, 64240)
    syn.mss = 1460
    assert repr(syn) == "<SYN seq=1 win=64240 len=0 mss=1460>"
    urgent = Segment(1000, 80, 1, 2, ACK | URG, 500, b"abc", 3, 111, 222)
    assert repr(urgent) == "<ACK,URG seq=1 ack=2 win=500 len=3 urg=3 ts=111/222>"
    assert repr(Segment(1000, 80, 1, 0, 0, 0)) == "<- seq=1 win=0 len=0>"
