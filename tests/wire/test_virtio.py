"""The header of IFF_VNET_HDR, field by field: struct virtio_net_hdr is flags, type, header length, segment size, start, offset."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.wire import virtio
from postel.wire.parcel import Parcel
from postel.wire.segment import CWR

FOUR, SIX = bytes([0x45]) + bytes(51), bytes([0x60]) + bytes(71)


def fields(header: bytes) -> list[int]:
    return [header[0], header[1], *(int.from_bytes(header[at : at + 2], sys.byteorder) for at in (2, 4, 6, 8))]


def test_a_finished_packet_needs_nothing() -> None:
    assert virtio.header(Parcel(FOUR)) == bytes(virtio.LENGTH)


@pytest.mark.parametrize(("head", "start", "kind"), [(FOUR, 20, 1), (SIX, 40, 4)])
def test_what_the_kernel_is_told(head: bytes, start: int, kind: int) -> None:
    assert fields(virtio.header(Parcel(head, b"text", start=start))) == [1, 0, 0, 0, start, 16]
    assert fields(virtio.header(Parcel(head, bytes(5000), stride=1448, start=start))) == [1, kind, len(head), 1448, start, 16]
    with_cwr = head[: start + 13] + bytes([CWR]) + head[start + 14 :]
    assert fields(virtio.header(Parcel(with_cwr, bytes(5000), stride=1448, start=start)))[1] == kind | 0x80


def header(*of: int) -> bytes:
    return bytes(of[:2]) + b"".join(value.to_bytes(2, sys.byteorder) for value in of[2:])


def test_what_the_kernel_tells() -> None:
    parcel = virtio.parse(header(1, 1, 52, 1448, 20, 16), FOUR)
    assert (parcel.head, parcel.stride, parcel.start, parcel.field, parcel.is_vouched) == (FOUR, 1448, 20, 16, True)
    parcel = virtio.parse(header(2, 0, 0, 0, 0, 0), FOUR)
    assert (parcel.stride, parcel.start, parcel.is_vouched) == (0, 0, True)
    parcel = virtio.parse(header(0, 0, 0, 0, 0, 0), FOUR)
    assert (parcel.stride, parcel.start, parcel.is_vouched) == (0, 0, False)


@given(st.binary(min_size=10, max_size=12), st.binary(max_size=80))
def test_a_header_that_makes_no_sense_vouches_for_nothing(before: bytes, packet: bytes) -> None:
    parcel = virtio.parse(before, packet)
    assert parcel.head == packet
    assert parcel.start == 0 or parcel.start + parcel.field + 2 <= len(packet)
    assert parcel.is_vouched <= bool(before[0] & 3)
