import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.errors import ArgumentError, WireError
from postel.wire import ip, udp
from postel.wire.ip import Packet
from postel.wire.udp import Datagram, encode_for, parse

ALICE, BOB = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
ALICE_6, BOB_6 = bytes.fromhex("fd00" + "00" * 13 + "01"), bytes.fromhex("fd00" + "00" * 13 + "02")
PAIRS = [(ALICE, BOB), (ALICE_6, BOB_6)]
halves = st.integers(0, 0xFFFF)


def packet(payload: bytes, pair: tuple[bytes, bytes] = (ALICE, BOB)) -> Packet:
    return ip.parse(ip.encode(*pair, udp.PROTOCOL, payload))


@given(halves, halves, st.binary(max_size=600), st.sampled_from(PAIRS))
def test_round_trip(source: int, destination: int, data: bytes, pair: tuple[bytes, bytes]) -> None:
    datagram = Datagram(source, destination, data)
    octets = encode_for(datagram, *pair)
    assert octets[6:8] != b"\0\0"
    assert parse(packet(octets, pair)) == datagram


def test_octets_behind_the_length_are_no_data() -> None:
    assert parse(packet(encode_for(Datagram(1, 2, b"abc"), ALICE, BOB) + b"more")) == Datagram(1, 2, b"abc")


@pytest.mark.parametrize("pair", PAIRS)
def test_a_checksum_that_comes_out_as_zero_is_sent_as_all_ones(pair: tuple[bytes, bytes]) -> None:
    blank = encode_for(Datagram(0, 2, b""), *pair)
    datagram = Datagram(int.from_bytes(blank[6:8], "big"), 2, b"")
    octets = encode_for(datagram, *pair)
    assert octets[6:8] == b"\xff\xff"
    assert parse(packet(octets, pair)) == datagram


def test_without_a_checksum_over_ipv4_only() -> None:
    octets = bytes.fromhex("00010002000b0000") + b"abc"
    assert parse(packet(octets)) == Datagram(1, 2, b"abc")
    with pytest.raises(WireError, match="bad_checksum"):
        parse(packet(octets, (ALICE_6, BOB_6)))


@pytest.mark.parametrize("pair", PAIRS)
def test_damaged(pair: tuple[bytes, bytes]) -> None:
    octets = encode_for(Datagram(1, 2, b"abc"), *pair)
    damaged = packet(octets[:-1] + b"x", pair)
    with pytest.raises(WireError, match="bad_checksum"):
        parse(damaged)
    assert parse(damaged, verify=False) == Datagram(1, 2, b"abx")


@pytest.mark.parametrize("length", range(8))
def test_truncated(length: int) -> None:
    with pytest.raises(WireError, match="truncated"):
        parse(packet(bytes(length)))


@pytest.mark.parametrize("length", [0, 7, 12, 0xFFFF])
def test_bad_length(length: int) -> None:
    with pytest.raises(WireError, match="bad_length"):
        parse(packet(bytes.fromhex("00010002") + length.to_bytes(2, "big") + b"\0\0abc"))


def test_too_long_to_send() -> None:
    with pytest.raises(ArgumentError):
        encode_for(Datagram(1, 2, bytes(65528)), ALICE, BOB)


@given(st.binary(max_size=40), st.sampled_from(PAIRS))
def test_any_octets_parse_or_raise(octets: bytes, pair: tuple[bytes, bytes]) -> None:
    try:
        parse(packet(octets, pair))
    except WireError as error:
        assert error.reason in {"truncated", "bad_length", "bad_checksum"}
