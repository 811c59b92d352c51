import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.wire import checksum, word_sum

ALICE, BOB = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
ALICE_6, BOB_6 = bytes.fromhex("fd00" + "00" * 13 + "01"), bytes.fromhex("fd00" + "00" * 13 + "02")
PSEUDO = [(ALICE, BOB), (ALICE_6, BOB_6)]


def by_the_word(octets: bytes) -> int:
    """RFC 1071, 4.1, as it stands there."""
    octets += b"\0" * (len(octets) % 2)
    total = sum(octets[i] << 8 | octets[i + 1] for i in range(0, len(octets), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def test_example_of_rfc1071_3() -> None:
    assert checksum.ones_complement(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2


def test_nothing_but_zeros_is_never_right_and_gets_all_ones() -> None:
    assert checksum.ones_complement(bytes(20)) == 0xFFFF
    assert not checksum.is_right(bytes(20))


@given(st.binary(max_size=200), st.sampled_from([0, 511, 512, 513, 1448, 1471, 1472, 1473, 9000, 65535]))
def test_equals_the_word_loop_at_every_size(octets: bytes, size: int) -> None:
    octets = octets + bytes((i * 151 + len(octets)) & 0xFF for i in range(size))
    assert checksum.ones_complement(octets) == by_the_word(octets)
    for total in (checksum.of_integer, word_sum.total):  # whichever is faster here, both are right
        assert checksum.field(total(octets)) == by_the_word(octets)


@pytest.mark.parametrize("size", [1480, 2000, 4096, 65535])
@pytest.mark.parametrize("octet", [b"\xff", b"\x00"])
def test_uniform_octets(octet: bytes, size: int) -> None:
    assert checksum.ones_complement(octet * size) == by_the_word(octet * size)


@given(st.binary(max_size=200).filter(lambda octets: len(octets) % 2 == 0))
def test_octets_with_their_checksum_are_right(octets: bytes) -> None:
    assert checksum.is_right(octets + checksum.ones_complement(octets).to_bytes(2, "big"))


@pytest.mark.parametrize(("source", "destination"), PSEUDO)
@pytest.mark.parametrize("filler", [0, 4, 24])
@pytest.mark.parametrize("size", [2, 3, 20, 1460])
def test_payload_is_right_wherever_the_ip_header_ends(
    source: bytes, destination: bytes, filler: int, size: int
) -> None:
    data = b"\x5a" * (size - 2)
    payload = checksum.of_payload(b"\0\0" + data, source, destination, 6).to_bytes(2, "big") + data
    header = bytes(12 if len(source) == 4 else 8) + source + destination + b"\xaa" * filler
    octets = header + payload + b"padding"
    start, end = len(header), len(header) + size
    assert checksum.payload_is_right(octets, start, end, source, destination, 6)
    assert not checksum.payload_is_right(octets, start, end, source, destination, 17)
    # The wrong length for the pseudo-header
    assert not checksum.payload_is_right(octets, start, end + 1, source, destination, 6)


@pytest.mark.parametrize(("source", "destination"), PSEUDO)
def test_pseudo_header_has_addresses_protocol_and_length(source: bytes, destination: bytes) -> None:
    words = source + destination + (7).to_bytes(4, "big") + (6).to_bytes(4, "big")
    assert checksum.field(checksum.pseudo_header(source, destination, 6, 7)) == by_the_word(words)
