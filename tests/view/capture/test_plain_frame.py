"""A plain frame's fields in one go are those that are found step by step, on each link."""

import pytest

from postel.view.capture import plain_frame
from postel.view.capture.frame import Located, segment
from postel.view.capture.layers import network
from tests.view.capture.tape import HEADS, carried
from tests.view.capture.test_frame import packet


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("link", HEADS)
def test_a_shape_has_the_fields(link: int, version: int) -> None:
    kind = b"\x08\x00" if version == 4 else b"\x86\xdd"
    octets = b"before" + carried(bytes(12) + kind + packet(version), link, b"")
    located = segment(octets, network(link, octets, 6, len(octets)), len(octets), len(octets))
    shape = plain_frame.SHAPES[link]
    kind, first, size, ident, way, pair, seq, ack, bits, window = shape.unpack(octets, 6 + shape.at)
    if version == 6:
        assert first & 0xF0 == plain_frame.IPV6
        size, way, pair, seq, ack, bits, window = shape.unpack_6(octets, 6 + shape.at)
        size += 40
    else:
        assert first == plain_frame.IPV4
        assert ident == int.from_bytes(packet(4)[4:6], "big")
    assert isinstance(located, Located)
    assert (pair, seq, ack, bits, window) == (
        located.pair,
        located.seq,
        located.ack,
        located.bits,
        located.window,
    )
    assert 6 + shape.ip + size == located.end == len(octets)
    assert plain_frame.HEADERS[bits] == located.bits >> 10 & 0x3C == 20
    assert way & plain_frame.WAY == plain_frame.TCP
    assert kind in shape.kinds
