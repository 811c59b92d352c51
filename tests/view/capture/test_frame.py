"""Where the segment is in a frame, for every kind of link."""

import pytest

from postel.view.capture import layers
from postel.view.capture.frame import Located, segment
from postel.view.capture.layers import NOWHERE, network
from postel.wire import ip
from postel.wire.address import parse
from postel.wire.segment import ACK, Segment, encode_for
from tests.view.capture.tape import pcap, read

A4, B4, A6, B6 = (parse(text) for text in ("10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"))


def tcp(source: bytes, destination: bytes) -> bytes:
    return encode_for(Segment(1024, 80, 1, 1, ACK, 1000, b"data"), source, destination)


def packet(version: int) -> bytes:
    source, destination = (A4, B4) if version == 4 else (A6, B6)
    return ip.encode(source, destination, 6, tcp(source, destination))


TYPES = {4: b"\x08\x00", 6: b"\x86\xdd"}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("link", "head"),
    [
        (layers.ETHERNET, bytes(12)),
        (layers.ETHERNET, bytes(12) + b"\x81\x00\x00\x07"),
        (layers.ETHERNET, bytes(12) + b"\x88\xa8\x00\x07\x81\x00\x00\x08"),
        (layers.COOKED, bytes(14)),
    ],
    ids=["ethernet", "vlan", "qinq", "cooked"],
)
def test_links_with_a_type(link: int, head: bytes, version: int) -> None:
    octets = head + TYPES[version] + packet(version)
    assert network(link, octets, 0, len(octets)) == len(head) + 2
    (connection,), _, _ = read(pcap([(0, octets)], link))
    assert connection.ends[0].data == 4


@pytest.mark.parametrize("version", [4, 6])
def test_other_links(version: int) -> None:
    cooked = TYPES[version] + bytes(18)
    for link, head in [
        (layers.COOKED_2, cooked),
        (layers.RAW, b""),
        (12, b""),
        (228, b""),
        (layers.NULL, bytes(4)),
        (layers.LOOP, bytes(4)),
    ]:
        (connection,), _, _ = read(pcap([(0, head + packet(version))], link))
        assert connection.ends[0].data == 4


def test_what_is_no_ip_has_no_place() -> None:
    for link, octets in [
        (layers.ETHERNET, bytes(12) + b"\x08\x06" + bytes(28)),
        (layers.ETHERNET, bytes(12)),
        (layers.ETHERNET, (bytes(12) + b"\x81\x00\x00\x07" * 9 + b"\x08\x00")),
        (layers.COOKED_2, bytes(30)),
        (147, bytes(30)),
    ]:
        assert network(link, octets, 0, len(octets)) == NOWHERE


def located(octets: bytes, captured: int = 0) -> tuple[int, int] | None:
    found = segment(octets, 0, captured or len(octets), len(octets))
    return (found.at, found.end) if isinstance(found, Located) else None


def test_options_of_ipv4() -> None:
    plain = packet(4)
    octets = (
        b"\x46"
        + plain[1:2]
        + (len(plain) + 4).to_bytes(2, "big")
        + plain[4:20]
        + b"\x01\x01\x01\x00"
        + plain[20:]
    )
    assert located(octets) == (24, len(octets))


@pytest.mark.parametrize(("kind", "size"), [(0, 8), (43, 8), (60, 16), (44, 8), (51, 8)])
def test_extension_headers_of_ipv6(kind: int, size: int) -> None:
    plain = packet(6)
    length = {44: 0, 51: size // 4 - 2}.get(kind, size // 8 - 1)
    header = bytes((6, length)) + bytes(size - 2)
    octets = (
        plain[:4]
        + (len(plain) - 40 + size).to_bytes(2, "big")
        + bytes((kind,))
        + plain[7:40]
        + header
        + plain[40:]
    )
    assert located(octets) == (40 + size, len(octets))


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x50" + bytes(40),
        packet(4)[:19],
        packet(4)[:39],
        packet(6)[:39],
        packet(6)[:59],
        packet(4)[:6] + b"\x20\x00" + packet(4)[8:],  # a first fragment
        packet(4)[:9] + b"\x11" + packet(4)[10:],
        b"\x44" + packet(4)[1:],
        packet(4)[:32] + b"\x40" + packet(4)[33:],  # a data offset of four
        packet(4)[:32] + b"\xf0" + packet(4)[33:],  # and one beyond the end
        packet(6)[:6] + b"\x3a" + packet(6)[7:],
        packet(6)[:6] + b"\x00" + packet(6)[7:40] + b"\x3a\x00" + bytes(6),
        packet(6)[:6] + b"\x00" + packet(6)[7:44],
    ],
)
def test_what_is_no_whole_tcp_header(octets: bytes) -> None:
    assert located(octets) is None


def test_the_length_that_ip_tells_counts() -> None:
    """Also where the frame is said to be shorter: a tool cut it. A length of 0 is a packet that the sender's
    device was to cut; padding behind the packet isn't text."""
    plain = packet(4)
    assert located(plain[:2] + b"\x00\x00" + plain[4:]) == (20, 44)
    assert located(plain[:2] + b"\xff\xff" + plain[4:]) == (20, 65535)
    assert located(plain + bytes(6)) == (20, 44)
    assert located(packet(6) + bytes(6)) == (40, 64)
    assert located(plain, captured=40) == (20, 44)
