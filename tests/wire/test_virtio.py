"""The header of IFF_VNET_HDR, field by field: struct virtio_net_hdr is flags, type, header length, segment
size, start, offset.
"""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postel.wire import virtio
from postel.wire.parcel import Parcel, finished
from postel.wire.segment import CWR

FOUR, SIX = (
    bytes([0x45]) + bytes(31) + bytes([0x80]) + bytes(19),
    bytes([0x60]) + bytes(51) + bytes([0x80]) + bytes(19),
)


def fields(header: bytes) -> list[int]:
    return [
        header[0],
        header[1],
        *(int.from_bytes(header[at : at + 2], sys.byteorder) for at in (2, 4, 6, 8)),
    ]


def test_a_finished_packet_needs_nothing() -> None:
    assert virtio.header(Parcel(FOUR)) == bytes(virtio.LENGTH)


@pytest.mark.parametrize(("head", "start", "kind"), [(FOUR, 20, 1), (SIX, 40, 4)])
def test_what_the_kernel_is_told(head: bytes, start: int, kind: int) -> None:
    assert fields(virtio.header(Parcel(head, b"text", start=start))) == [1, 0, 0, 0, start, 16]
    assert fields(virtio.header(Parcel(head, bytes(5000), stride=1448, start=start))) == [
        1,
        kind,
        len(head),
        1448,
        start,
        16,
    ]
    with_cwr = head[: start + 13] + bytes([CWR]) + head[start + 14 :]
    assert fields(virtio.header(Parcel(with_cwr, bytes(5000), stride=1448, start=start)))[1] == kind | 0x80


def header(*of: int) -> bytes:
    return bytes(of[:2]) + b"".join(value.to_bytes(2, sys.byteorder) for value in of[2:])


def test_what_the_kernel_tells() -> None:
    parcel = virtio.parse(header(1, 1, 52, 1448, 20, 16), memoryview(FOUR))
    assert (parcel.head, parcel.stride, parcel.start, parcel.field, parcel.is_vouched) == (
        FOUR,
        1448,
        20,
        16,
        True,
    )
    parcel = virtio.parse(header(2, 0, 0, 0, 0, 0), memoryview(FOUR))
    assert (parcel.stride, parcel.start, parcel.is_vouched) == (0, 0, True)
    parcel = virtio.parse(header(0, 0, 0, 0, 0, 0), memoryview(FOUR))
    assert (parcel.stride, parcel.start, parcel.is_vouched) == (0, 0, False)


@pytest.mark.parametrize(("head", "start", "length_at"), [(FOUR, 20, 2), (SIX, 40, 4)])
def test_text_that_is_cut_or_joined_comes_apart_from_its_headers(
    head: bytes, start: int, length_at: int
) -> None:
    def sized(octets: int) -> bytes:
        return head[:length_at] + octets.to_bytes(2, "big") + head[length_at + 2 :]

    size = len(head) + 4 - (0 if head is FOUR else 40)
    parcel = virtio.parse(header(1, 1, len(head), 1448, start, 16), memoryview(sized(size) + b"text"))
    assert (parcel.head, parcel.text, parcel.stride, parcel.start) == (sized(size), b"text", 1448, start)
    for stride, told in ((0, size), (1448, size - 1)):
        parcel = virtio.parse(
            header(1, 1 if stride else 0, len(head), stride, start, 16), memoryview(sized(told) + b"text")
        )
        assert (parcel.head, parcel.text, parcel.stride, parcel.start) == (
            sized(told) + b"text",
            b"",
            stride,
            start,
        )


@given(st.binary(min_size=10, max_size=12), st.binary(max_size=80))
def test_a_header_that_makes_no_sense_vouches_for_nothing(before: bytes, packet: bytes) -> None:
    parcel = virtio.parse(before, memoryview(packet))
    assert parcel.head + parcel.text == packet
    assert parcel.start == 0 or parcel.start + parcel.field + 2 <= len(packet)
    assert parcel.is_vouched <= bool(before[0] & 3)


def packets(family: int, start: int, offset: int, size: int) -> bytes:
    """A packet with a TCP header of ``offset`` words at ``start``, its length right, cut or filled up to
    ``size`` octets.
    """
    octets = bytearray(max(size, start + 13, 40))
    octets[0] = (4 << 4 | start >> 2 & 15) if family == 4 else 0x60
    octets[9 if family == 4 else 6] = 6
    octets[start + 12] = offset << 4
    length = size if family == 4 else max(0, size - 40)
    octets[2 if family == 4 else 4 : 4 if family == 4 else 6] = min(length, 0xFFFF).to_bytes(2, "big")
    return bytes(octets[:size])


AROUND = st.sampled_from([0, 1, 12, 13, 19, 20, 21, 24, 39, 40, 41, 56, 60, 65535]) | st.integers(0, 70)


@settings(max_examples=1000, deadline=None)
@given(
    st.tuples(
        st.integers(0, 7),
        st.sampled_from([0, 1, 3, 4, 5, 0x81, 0x84, 255]),
        AROUND,
        AROUND,
        AROUND,
        st.sampled_from([16, 6, 0, 65535]),
    ),
    st.builds(
        packets,
        st.sampled_from([4, 6]),
        AROUND.filter(lambda n: n <= 70),
        st.integers(0, 15),
        st.integers(0, 200),
    )
    | st.binary(max_size=130),
)
def test_any_header_before_any_packet_is_a_parcel_that_any_reader_bears(
    fields_of_it: tuple[int, ...], packet: bytes
) -> None:
    parcel = virtio.parse(header(*fields_of_it), memoryview(packet))
    assert parcel.head + parcel.text == packet
    assert bool(parcel.text) <= (len(parcel.head) >= 40 and parcel.stride > 0)
    pieces = finished(parcel)
    assert pieces
    if not parcel.start:
        assert pieces == [packet]
    elif len(pieces) == 1:
        assert len(pieces[0]) == len(packet)
    else:
        begin = parcel.start + (packet[parcel.start + 12] >> 4 << 2)
        assert b"".join([piece[begin:] for piece in pieces]) == packet[begin:]
        assert max([len(piece) for piece in pieces]) == begin + parcel.stride


@given(st.binary(max_size=9), st.binary(max_size=60))
def test_a_header_that_is_too_short_says_nothing(before: bytes, packet: bytes) -> None:
    parcel = virtio.parse(before, memoryview(packet))
    assert (parcel.head, parcel.text, parcel.start, parcel.stride, parcel.is_vouched) == (
        packet,
        b"",
        0,
        0,
        False,
    )
