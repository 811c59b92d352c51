"""What a link would do to a parcel, done here: cut as TSO cuts, with checksums as hardware computes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.wire import checksum, ip, segment, udp
from postel.wire.parcel import Parcel, finished
from postel.wire.segment import ACK, CWR, ECE, FIN, PSH, Segment, encode_for, encode_head

PAIRS = [(bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])), (bytes(15) + b"\x01", bytes(15) + b"\x02")]
TOP = 0xFFFFFFFF


def made(flags: int, number: int, data: bytes, tsval: int) -> Segment:
    return Segment(80, 4000, number, 77, flags, 500, data, tsval=tsval, tsecr=tsval)


def unfinished(of: Segment, pair: tuple[bytes, bytes], stride: int, *, dont_fragment: bool = True) -> Parcel:
    flow = ip.Envelope(*pair, segment.PROTOCOL)
    head = encode_head(of, flow.words)
    before = flow.header(
        len(head) + len(of.data), identification=0xFFFE, fragment=ip.DONT_FRAGMENT if dont_fragment else 0
    )
    return Parcel(before + head, of.data, stride=stride, start=len(before))


@given(
    st.sampled_from(PAIRS),
    st.integers(0, TOP),
    st.binary(max_size=5000),
    st.integers(1, 1500),
    st.sampled_from([-1, 0, TOP]),
)
def test_what_is_cut_is_what_would_have_been_sent_one_by_one(
    pair: tuple[bytes, bytes], number: int, data: bytes, stride: int, tsval: int
) -> None:
    whole = made(FIN | PSH | ACK | ECE | CWR, number, data, tsval)
    pieces = finished(unfinished(whole, pair, stride if len(data) > stride else 0))
    expected = []
    for at in range(0, max(len(data), 1), stride):
        # RFC 3168's CWR is told once
        flags = ACK | ECE | (CWR if at == 0 else 0) | (FIN | PSH if at + stride >= len(data) else 0)
        payload = encode_for(made(flags, number + at & TOP, data[at : at + stride], tsval), *pair)
        expected.append(ip.encode(*pair, segment.PROTOCOL, payload, identification=0xFFFE))
    assert pieces == expected


def test_fragments_of_different_pieces_are_told_apart() -> None:
    """RFC 6864, 4.1: only what may be fragmented needs an identification of its own."""
    pieces = finished(unfinished(made(ACK, 1, bytes(250), 0), PAIRS[0], 100, dont_fragment=False))
    assert [ip.parse(piece).identification for piece in pieces] == [0xFFFE, 0xFFFF, 0]


def test_a_finished_parcel_passes_as_it_is() -> None:
    assert finished(Parcel(b"head", b"text")) == [b"headtext"]
    assert not Parcel(b"head").is_vouched


@pytest.mark.parametrize("pair", PAIRS)
def test_datagrams_get_their_checksum_too(pair: tuple[bytes, bytes]) -> None:
    """As they come from the kernel's sockets: the pseudo-header's sum in the field."""
    for data in (b"hello", _summing_to_zero(pair)):
        size = 8 + len(data)
        partial = checksum.pseudo_header(*pair, udp.PROTOCOL, size) % checksum.MODULUS
        header = b"".join(word.to_bytes(2, "big") for word in (53, 54, size, partial))
        before = ip.Envelope(*pair, udp.PROTOCOL).header(size)
        (packet,) = finished(Parcel(before + header + data, start=len(before), field=6))
        assert packet[len(before) + 6 : len(before) + 8] != b"\0\0"  # RFC 768: that would mean none
        assert udp.parse(ip.parse(packet), verify=True).data == data


def _summing_to_zero(pair: tuple[bytes, bytes]) -> bytes:
    """Two octets such that the checksum comes out as zero."""
    total = checksum.pseudo_header(*pair, udp.PROTOCOL, 10) + 53 + 54 + 10
    return (-total % checksum.MODULUS).to_bytes(2, "big")


def test_the_largest_packet_of_a_parcel() -> None:
    assert Parcel(bytes(52), bytes(5000), stride=1448, start=20).largest_packet == 1500
    assert Parcel(bytes(52), bytes(100), stride=1448, start=20).largest_packet == 152
    assert Parcel(bytes(52), bytes(5000)).largest_packet == 5052
