"""What may lie around a segment: each link, tag, label and tunnel, by hand, and all of them cut at every
octet.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.view.capture import layers
from postel.view.capture.frame import Located, Other, segment
from postel.view.capture.layers import NOWHERE, network
from postel.wire import ip
from postel.wire.address import parse
from tests.view.capture.tape import Tape, pcap, read
from tests.view.capture.test_frame import packet

MAC = bytes(12)
SNAP = b"\xaa\xaa\x03\x00\x00\x00"
NEAR, FAR = parse("192.0.2.1"), parse("192.0.2.2")
NEAR_6, FAR_6 = parse("2001:db8::1"), parse("2001:db8::2")


def in_ip(protocol: int, payload: bytes) -> bytes:
    return ip.encode(NEAR, FAR, protocol, payload)


def in_udp(port: int, payload: bytes, source: int = 40_000) -> bytes:
    ports = source.to_bytes(2, "big") + port.to_bytes(2, "big")
    return in_ip(17, ports + (8 + len(payload)).to_bytes(2, "big") + bytes(2) + payload)


INNER = packet(4)
FRAME = MAC + b"\x08\x00" + INNER
FRAMES = {
    "VLAN": (1, MAC + b"\x81\x00\x00\x07\x08\x00" + INNER),
    "PPPoE": (1, MAC + b"\x88\x64\x11\x00\x00\x01\x00\x2a\x00\x21" + INNER),
    "PPPoE, IPv6": (1, MAC + b"\x88\x64\x11\x00\x00\x01\x00\x2a\x00\x57" + packet(6)),
    "MPLS": (1, MAC + b"\x88\x47\x00\x01\x00\x40\x00\x02\x01\x40" + INNER),
    "MPLS pseudowire": (1, MAC + b"\x88\x47\x00\x02\x01\x40" + bytes(4) + FRAME),
    "LLC and SNAP": (1, MAC + (len(INNER) + 8).to_bytes(2, "big") + SNAP + b"\x08\x00" + INNER),
    "PPP": (9, b"\xff\x03\x00\x21" + INNER),
    "PPP, compressed": (9, b"\x21" + INNER),
    "PPP with MPLS": (50, b"\xff\x03\x02\x81\x00\x02\x01\x40" + INNER),
    "PPP with direction": (204, b"\x01\xff\x03\x00\x21" + INNER),
    "PPPoE as a link": (51, b"\x11\x00\x00\x01\x00\x2a\x00\x21" + INNER),
    "Cisco HDLC": (104, b"\x0f\x00\x08\x00" + INNER),
    "ATM": (100, SNAP + b"\x08\x00" + INNER),
    "802.11": (105, b"\x08\x01" + bytes(22) + SNAP + b"\x08\x00" + INNER),
    "802.11 QoS": (105, b"\x88\x02" + bytes(24) + SNAP + b"\x08\x00" + INNER),
    "802.11 QoS, four addresses": (105, b"\x88\x03" + bytes(30) + SNAP + b"\x08\x00" + INNER),
    "radiotap": (127, b"\x00\x00\x08\x00" + bytes(4) + b"\x08\x01" + bytes(22) + SNAP + b"\x08\x00" + INNER),
    "radiotap, padded": (
        127,
        b"\x00\x00\x09\x00\x02\x00\x00\x00\x20\x88\x01" + bytes(24) + bytes(2) + SNAP + b"\x08\x00" + INNER,
    ),
    "PPI": (
        192,
        b"\x00\x00\x08\x00"
        + (105).to_bytes(4, "little")
        + b"\x08\x01"
        + bytes(22)
        + SNAP
        + b"\x08\x00"
        + INNER,
    ),
    "NFLOG": (
        239,
        b"\x02\x00\x00\x00"
        b"\x05\x00\x0a\x00\x00" + bytes(3) + (4 + len(INNER)).to_bytes(2, "little") + b"\x09\x00" + INNER,
    ),
    "IP in IP": (101, in_ip(4, INNER)),
    "6in4": (101, in_ip(41, packet(6))),
    "4in6": (101, ip.encode(NEAR_6, FAR_6, 4, INNER)),
    "GRE": (101, in_ip(47, b"\x00\x00\x08\x00" + INNER)),
    "GRE with key and checksum": (101, in_ip(47, b"\xb0\x00\x08\x00" + bytes(12) + INNER)),
    "GRE with Ethernet": (101, in_ip(47, b"\x00\x00\x65\x58" + FRAME)),
    "PPTP": (101, in_ip(47, b"\x30\x81\x88\x0b\x00\x2a\x00\x01" + bytes(8) + b"\xff\x03\x00\x21" + INNER)),
    "ERSPAN I": (101, in_ip(47, b"\x00\x00\x88\xbe" + FRAME)),
    "ERSPAN II": (101, in_ip(47, b"\x10\x00\x88\xbe" + bytes(4) + b"\x10\x01" + bytes(6) + FRAME)),
    "ERSPAN III": (101, in_ip(47, b"\x10\x00\x22\xeb" + bytes(4) + b"\x20\x01" + bytes(10) + FRAME)),
    "VXLAN": (101, in_udp(4789, b"\x08" + bytes(7) + FRAME)),
    "GENEVE": (101, in_udp(6081, b"\x01\x00\x65\x58" + bytes(4) + bytes(4) + FRAME)),
    "GTP-U": (101, in_udp(2152, b"\x30\xff\x00\x2c" + bytes(4) + INNER)),
    "GTP-U with an extension": (
        101,
        in_udp(2152, b"\x34\xff\x00\x34" + bytes(7) + b"\x85\x01\x00\x00\x00" + INNER),
    ),
    "AH": (101, in_ip(51, b"\x06\x04" + bytes(22) + INNER[20:])),
    "VXLAN in GRE": (101, in_ip(47, b"\x00\x00\x08\x00" + in_udp(4789, b"\x08" + bytes(7) + FRAME))),
}


def found_in(link: int, octets: bytes) -> Located | Other:
    where = network(link, octets, 0, len(octets))
    return Other("") if where == NOWHERE else segment(octets, where, len(octets), len(octets))


@pytest.mark.parametrize("name", FRAMES)
def test_the_segment_is_found(name: str) -> None:
    link, octets = FRAMES[name]
    found = found_in(link, octets)
    assert isinstance(found, Located)
    assert octets[found.at : found.end] == (
        packet(6)[40:] if "6" in name and "4in6" not in name and "60" not in name else INNER[20:]
    )


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_that_was_cut_anywhere_holds_no_segment_that_isn_t_there(name: str) -> None:
    link, octets = FRAMES[name]
    for size in range(len(octets) - len(INNER) + 39):
        assert isinstance(found_in(link, octets[:size]), Other)


@given(st.sampled_from([layers.ETHERNET, *layers._LINKS]), st.binary(max_size=200))
def test_any_octets(link: int, octets: bytes) -> None:
    found_in(link, octets)


@given(st.sampled_from(list(FRAMES)), st.data())
def test_any_octets_inside(name: str, data: st.DataObject) -> None:
    link, octets = FRAMES[name]
    at = data.draw(st.integers(0, len(octets) - 1))
    found_in(link, octets[:at] + bytes((data.draw(st.integers(0, 255)),)) + octets[at + 1 :])


def test_tunnels_in_tunnels_end() -> None:
    octets = INNER
    for _ in range(20):
        octets = in_ip(4, octets)
    assert isinstance(found_in(101, octets), Other)


# What is left out, and why


def left_out(link: int, *frames: bytes) -> dict[str, int]:
    return read(pcap([(1_000_000 + index, octets) for index, octets in enumerate(frames)], link))[2].left_out


def test_what_is_no_tcp_is_counted() -> None:
    arp = MAC + b"\x08\x06" + bytes(28)
    assert left_out(1, arp, MAC + b"\x08\x00" + in_udp(53, b"question"), FRAME) == {
        "frames without IP": 1,
        "UDP": 1,
    }
    assert left_out(189, b"usb") == {"frames of USB without IP (link type 189)": 1}
    assert left_out(400, b"?") == {"frames of an unknown link without IP (link type 400)": 1}
    assert left_out(105, b"\x08\x41" + bytes(60)) == {"frames of 802.11 without IP (link type 105)": 1}
    assert left_out(101, INNER[:30], b"\x41" + INNER[1:]) == {
        "packets with headers that were cut off": 1,
        "packets with a header that can't be": 1,
    }


# Fragments


def cut(packets: list[tuple[int, bytes]], mtu: int = 60) -> list[tuple[int, bytes]]:
    """As a router of IPv4 does."""
    pieces: list[tuple[int, bytes]] = []
    for number, (when, octets) in enumerate(packets):
        whole = octets[14:]
        parsed = ip.parse(whole)
        parts = ip.fragments(
            parsed.source, parsed.destination, 6, parsed.payload, mtu, identification=number + 1
        )
        pieces += [(when, MAC + b"\x08\x00" + part) for part in parts]
    return pieces


def talk() -> Tape:
    return (
        Tape()
        .handshake()
        .left(0x18, 1, 1, b"x" * 500)
        .right(0x10, 1, 501)
        .right(0x18, 1, 501, b"y" * 300)
        .close(501, 301)
    )


@pytest.mark.parametrize("order", [1, -1])
def test_fragments_are_joined(order: int) -> None:
    whole, pieces = talk(), cut(talk().packets)
    assert len(pieces) > 2 * len(whole.packets)
    if order < 0:
        pieces = [
            piece
            for when in dict.fromkeys(when for when, _ in pieces)
            for piece in [p for p in pieces if p[0] == when][::-1]
        ]
    (connection,), _, table = read(pcap(pieces))
    assert [end.data for end in connection.ends] == [500, 300]
    assert connection.closing is whole.connection().closing
    assert table.left_out == {}


def test_fragments_of_ipv6_are_joined() -> None:
    head, payload = packet(6)[:40], packet(6)[40:]
    parts = [
        MAC
        + b"\x86\xdd"
        + head[:4]
        + (8 + len(part)).to_bytes(2, "big")
        + b"\x2c"
        + head[7:]
        + b"\x06\x00"
        + field.to_bytes(2, "big")
        + b"same"
        + part
        for field, part in ((1, payload[:16]), (16, payload[16:]))
    ]
    (connection,), _, _ = read(pcap([(1, parts[0]), (2, parts[1])]))
    assert sum(end.data for end in connection.ends) == len(payload) - 20


def test_fragments_that_never_end_are_given_up() -> None:
    """Memory is bounded, and later packets are joined all the same."""
    firsts = [
        (
            1,
            MAC
            + b"\x08\x00"
            + in_ip(6, bytes(24))[:4]
            + number.to_bytes(2, "big")
            + b"\x20\x00"
            + in_ip(6, bytes(24))[8:],
        )
        for number in range(2000)
    ]
    found, _, table = read(pcap(firsts + cut(talk().packets)))
    assert [end.data for end in found[0].ends] == [500, 300]
    assert len(table._fragments._waiting) <= 256
    assert table.left_out == {"fragments of TCP packets that aren't whole": 2000}


def test_time_that_goes_back_is_noticed() -> None:
    tape = talk()
    assert not read(tape.pcap())[2].goes_back
    assert read(pcap(tape.packets[::-1]))[2].goes_back
