import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.errors import ArgumentError, WireError
from postel.wire import icmp, ip
from postel.wire.icmp import IcmpMessage, Quoted, encode, parse, quote
from postel.wire.segment import ACK, Segment, encode_for

ALICE, BOB = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
ALICE_6, BOB_6 = bytes.fromhex("fd00" + "00" * 13 + "01"), bytes.fromhex("fd00" + "00" * 13 + "02")
PAIRS = [(ALICE, BOB), (ALICE_6, BOB_6)]
pairs = pytest.mark.parametrize("pair", PAIRS)

NUMBERS = [  # kind, code here, type and code in ICMP, type and code in ICMPv6
    (icmp.ECHO_REQUEST, 0, (8, 0), (128, 0)),
    (icmp.ECHO_REPLY, 0, (0, 0), (129, 0)),
    (icmp.UNREACHABLE, icmp.NO_NETWORK, (3, 0), (1, 0)),
    (icmp.UNREACHABLE, icmp.NO_HOST, (3, 1), (1, 3)),
    (icmp.UNREACHABLE, icmp.NO_PROTOCOL, (3, 2), None),
    (icmp.UNREACHABLE, icmp.NO_PORT, (3, 3), (1, 4)),
    (icmp.UNREACHABLE, icmp.SOURCE_ROUTE_FAILED, (3, 5), None),
    (icmp.UNREACHABLE, icmp.PROHIBITED, (3, 13), (1, 1)),
    (icmp.PACKET_TOO_BIG, 0, (3, 4), (2, 0)),
    (icmp.TIME_EXCEEDED, icmp.IN_TRANSIT, (11, 0), (3, 0)),
    (icmp.TIME_EXCEEDED, icmp.IN_REASSEMBLY, (11, 1), (3, 1)),
    (icmp.PARAMETER_PROBLEM, 1, (12, 1), (4, 1)),
    (icmp.SOURCE_QUENCH, 0, (4, 0), None),
]


def packet(payload: bytes, pair: tuple[bytes, bytes] = (ALICE, BOB)) -> ip.Packet:
    protocol = icmp.PROTOCOL_4 if len(pair[0]) == 4 else icmp.PROTOCOL_6
    return ip.parse(ip.encode(*pair, protocol, payload))


def unchecked(number: int, code: int, pair: tuple[bytes, bytes], rest: int = 0) -> IcmpMessage:
    return parse(packet(bytes((number, code, 0, 0)) + rest.to_bytes(4, "big") + b"body", pair), verify=False)


def tcp_packet(pair: tuple[bytes, bytes], size: int = 1000) -> bytes:
    return ip.encode(*pair, 6, encode_for(Segment(1000, 80, 0xDEADBEEF, 2, ACK, 500, bytes(size)), *pair))


@pytest.mark.parametrize(("kind", "code", "four", "six"), NUMBERS)
def test_numbers_of_both_families(
    kind: int, code: int, four: tuple[int, int], six: tuple[int, int] | None
) -> None:
    message = IcmpMessage(kind, code, 1280, b"body")
    octets = encode(message, ALICE, BOB)
    assert (octets[0], octets[1]) == four
    assert parse(packet(octets)) == message
    if six is None:
        with pytest.raises(ArgumentError):
            encode(message, ALICE_6, BOB_6)
    else:
        octets = encode(message, ALICE_6, BOB_6)
        assert (octets[0], octets[1]) == six
        assert parse(packet(octets, (ALICE_6, BOB_6))) == message


@pairs
def test_other_messages_are_read_but_not_made(pair: tuple[bytes, bytes]) -> None:
    message = unchecked(200, 5, pair)
    assert message == IcmpMessage(icmp.OTHER, 200, 0, b"body")
    assert not message.is_error
    with pytest.raises(ArgumentError, match="kind"):
        encode(message, *pair)


@pytest.mark.parametrize(
    ("code", "expected"),
    [(2, icmp.NO_NETWORK), (5, icmp.PROHIBITED), (6, icmp.PROHIBITED), (99, icmp.NO_NETWORK)],
)
def test_codes_that_only_ipv6_has(code: int, expected: int) -> None:
    assert unchecked(1, code, (ALICE_6, BOB_6)) == IcmpMessage(icmp.UNREACHABLE, expected, 0, b"body")


def test_bad_icmp_4_source_quench_is_told_apart() -> None:
    assert unchecked(4, 0, (ALICE, BOB)).kind == icmp.SOURCE_QUENCH


@pytest.mark.parametrize("mtu", [0, 1, 67, 68, 575, 1500, 65535])
@pairs
def test_bad_icmp_1_any_mtu_is_read_as_it_stands(pair: tuple[bytes, bytes], mtu: int) -> None:
    too_big = icmp.packet_too_big(mtu, ip.parse(tcp_packet(pair)))
    arrived = parse(packet(encode(too_big, *pair), pair))
    assert (arrived.kind, arrived.mtu) == (icmp.PACKET_TOO_BIG, mtu)


def test_bad_icmp_1_the_unused_half_of_an_ipv4_mtu_is_ignored() -> None:
    assert unchecked(3, 4, (ALICE, BOB), 0xABCD0000 | 1280).mtu == 1280
    assert unchecked(2, 0, (ALICE_6, BOB_6), 0x10000).mtu == 0x10000


def test_only_packet_too_big_has_an_mtu() -> None:
    assert IcmpMessage(icmp.ECHO_REQUEST, 0, 1280).mtu == 0


@given(st.integers(0, 0xFFFFFFFF), st.binary(max_size=600), st.sampled_from(PAIRS))
def test_echo(rest: int, data: bytes, pair: tuple[bytes, bytes]) -> None:
    request = parse(packet(encode(IcmpMessage(icmp.ECHO_REQUEST, 0, rest, data), *pair), pair))
    reply = parse(packet(encode(icmp.echo_reply(request), *pair[::-1]), pair[::-1]))
    assert reply == IcmpMessage(icmp.ECHO_REPLY, 0, rest, data)
    assert not reply.is_error


def test_an_echo_reply_of_nothing_but_zeros_has_a_checksum() -> None:
    assert encode(IcmpMessage(icmp.ECHO_REPLY), ALICE, BOB) == bytes.fromhex("0000ffff00000000")
    assert parse(packet(bytes.fromhex("0000ffff00000000"))) == IcmpMessage(icmp.ECHO_REPLY)


@pairs
def test_bad_icmp_2_bad_checksum(pair: tuple[bytes, bytes]) -> None:
    octets = encode(IcmpMessage(icmp.PACKET_TOO_BIG, 0, 1280, b"body"), *pair)
    for position in range(len(octets)):
        flipped = bytearray(octets)
        flipped[position] ^= 0x10
        with pytest.raises(WireError, match="bad_checksum"):
            parse(packet(bytes(flipped), pair))


@pytest.mark.parametrize("length", range(8))
@pairs
def test_truncated(pair: tuple[bytes, bytes], length: int) -> None:
    with pytest.raises(WireError, match="truncated"):
        parse(packet(bytes(length), pair))


@pairs
def test_errors_quote_the_packet_that_they_are_about(pair: tuple[bytes, bytes]) -> None:
    octets = tcp_packet(pair, 1400)
    offender = ip.parse(octets + b"padding")
    for message in (
        icmp.unreachable(icmp.NO_PORT, offender),
        icmp.packet_too_big(1280, offender),
        icmp.time_exceeded(icmp.IN_REASSEMBLY, offender),
    ):
        assert message.is_error
        error = ip.encode(*pair, 1, encode(message, *pair))
        assert len(error) == (576 if len(pair[0]) == 4 else 1280)
        assert octets.startswith(message.body)
        assert quote(message.body) == Quoted(*pair, 6, 1000, 80, 0xDEADBEEF, len(octets))


@pairs
def test_padding_is_not_quoted(pair: tuple[bytes, bytes]) -> None:
    octets = tcp_packet(pair, 0)
    assert icmp.unreachable(icmp.NO_PORT, ip.parse(octets + b"padding")).body == octets


@pairs
def test_bad_icmp_2_quotes_cut_anywhere(pair: tuple[bytes, bytes]) -> None:
    octets = tcp_packet(pair)
    header = 20 if len(pair[0]) == 4 else 40
    for length in range(header + 8):
        assert quote(octets[:length]) is None
    for length in range(header + 8, header + 20):
        assert quote(octets[:length]) == Quoted(*pair, 6, 1000, 80, 0xDEADBEEF, len(octets))


def test_quotes_of_later_fragments_name_no_port() -> None:
    for pair in PAIRS:
        first, second = ip.fragments(*pair, 17, bytes(range(64)), 48 + len(pair[0]) * 2)[:2]
        assert quote(first) is not None
        assert quote(second) is None


def test_bad_icmp_2_nested_icmp_names_its_protocol() -> None:
    nested = icmp.unreachable(icmp.NO_PORT, ip.parse(tcp_packet((ALICE, BOB))))
    quoted = quote(ip.encode(BOB, ALICE, icmp.PROTOCOL_4, encode(nested, BOB, ALICE)))
    assert quoted is not None
    assert quoted.protocol == icmp.PROTOCOL_4


@given(st.binary(max_size=100))
def test_any_quote_is_something_or_nothing(octets: bytes) -> None:
    for candidate in (octets, b"\x45" + octets, b"\x60" + octets):
        quoted = quote(candidate)
        assert quoted is None or len(quoted.source) in (4, 16)


@given(st.binary(max_size=60), st.sampled_from(PAIRS), st.booleans())
def test_any_octets_parse_or_raise(octets: bytes, pair: tuple[bytes, bytes], verify: bool) -> None:
    try:
        parse(packet(octets, pair), verify=verify)
    except WireError as error:
        assert error.reason in {"truncated", "bad_checksum"}
