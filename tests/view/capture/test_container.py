"""pcap and pcapng: both byte orders, all resolutions, all packet blocks, and files that are damaged."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.view.capture.container import LARGEST, Damage, Reader
from tests.view.capture.tape import Tape

PACKET = b"octets"
WHEN = 1_700_000_000_123_456


def frames(octets: bytes) -> tuple[list[tuple[int, bytes, int, int]], Damage | None]:
    """When, the octets, how many there were, and the link."""
    reader = Reader(io.BytesIO(octets))
    found = [
        (when, chunk[start : start + captured], original, link)
        for chunk, chunk_frames in reader.chunks()
        for when, start, captured, original, link in chunk_frames
    ]
    return found, reader.damage


def pcap(order: str, magic: int, units: int, link: int = 1) -> bytes:
    head = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    seconds, fraction = divmod(WHEN, 1_000_000)
    return head + struct.pack(f"{order}IIII", seconds, fraction * units, len(PACKET), 1500) + PACKET


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + length + body + length


def section(order: str) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str, link: int = 1, snap: int = 0, options: bytes = b"") -> bytes:
    return block(order, 1, struct.pack(f"{order}HHI", link, 0, snap) + options)


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def enhanced(order: str, ticks: int = WHEN, number: int = 0, captured: int = len(PACKET)) -> bytes:
    return block(
        order,
        6,
        struct.pack(f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, captured, 1500) + PACKET,
    )


both_orders = pytest.mark.parametrize("order", ["<", ">"])


@both_orders
@pytest.mark.parametrize(
    ("magic", "units"), [(0xA1B2C3D4, 1), (0xA1B23C4D, 1000)], ids=["microseconds", "nanoseconds"]
)
def test_pcap(order: str, magic: int, units: int) -> None:
    assert frames(pcap(order, magic, units, link=101)) == ([(WHEN, PACKET, 1500, 101)], None)


@both_orders
def test_pcapng(order: str) -> None:
    octets = (
        section(order)
        + interface(order, link=113)
        + enhanced(order)
        + block(order, 0xBAD, b"strange")
        + enhanced(order)
    )
    assert frames(octets) == ([(WHEN, PACKET, 1500, 113)] * 2, None)


@both_orders
@pytest.mark.parametrize(
    ("resolution", "ticks"), [(9, WHEN * 1000), (3, WHEN // 1000), (0x80 | 20, (WHEN << 20) // 1_000_000)]
)
def test_a_resolution_of_time(order: str, resolution: int, ticks: int) -> None:
    octets = (
        section(order)
        + interface(order, options=option(order, 9, bytes((resolution,))))
        + enhanced(order, ticks)
    )
    ((when, *_),), damage = frames(octets)
    assert damage is None
    assert abs(when - WHEN) < 1000


@both_orders
def test_an_offset_of_time(order: str) -> None:
    options = (
        option(order, 1, b"a comment")
        + option(order, 14, struct.pack(f"{order}q", 1_700_000_000))
        + option(order, 0, b"")
    )
    ((when, *_),), _ = frames(section(order) + interface(order, options=options) + enhanced(order, 123_456))
    assert when == WHEN


@both_orders
def test_simple_and_obsolete_packets(order: str) -> None:
    obsolete = block(
        order,
        2,
        struct.pack(f"{order}HHIIII", 0, 0, WHEN >> 32, WHEN & 0xFFFFFFFF, len(PACKET), 1500) + PACKET,
    )
    simple = block(order, 3, struct.pack(f"{order}I", 1500) + PACKET[:4])
    octets = section(order) + interface(order, snap=4) + obsolete + simple
    assert frames(octets) == ([(WHEN, PACKET, 1500, 1), (WHEN, PACKET[:4], 1500, 1)], None)


def test_a_second_section_may_have_another_byte_order() -> None:
    octets = (
        section("<") + interface("<", 1) + enhanced("<") + section(">") + interface(">", 101) + enhanced(">")
    )
    assert [link for *_, link in frames(octets)[0]] == [1, 101]


def test_as_packets_come() -> None:
    """A pipe gives what it has: a packet is told before the next has come."""

    class Pipe(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            return super().read1(min(size or 1, 7))

    octets = section("<") + interface("<") + enhanced("<") * 3
    reader = Reader(Pipe(octets))
    assert sum(1 for _, chunk in reader.chunks() for _ in chunk) == 3
    assert reader.damage is None


FULL = section("<") + interface("<") + enhanced("<")


@pytest.mark.parametrize(
    ("octets", "offset", "text", "packets"),
    [
        (b"", 0, "it is empty", 0),
        (b"GET / HTTP/1.1\r\n", 0, "neither pcap nor pcapng begins with 47 45 54 20", 0),
        (pcap("<", 0xA1B2C3D4, 1)[:20], 0, "cut short: 20 octets of a pcap header", 0),
        (pcap("<", 0xA1B2C3D4, 1)[:-1], 24, "cut short: 21 octets of a packet of 22", 0),
        (pcap("<", 0xA1B2C3D4, 1) + bytes(5), 46, "cut short: 5 octets of a packet's header", 1),
        (
            pcap("<", 0xA1B2C3D4, 1)[:24] + struct.pack("<IIII", 0, 0, LARGEST + 1, 1),
            24,
            "a packet of 16777217 octets",
            0,
        ),
        (FULL[:-1], 48, "cut short: 39 octets of a block of 40", 0),
        (FULL + b"\x06\x00\x00", 88, "cut short: 3 octets of a block", 1),
        (FULL + struct.pack("<II", 6, 11) + bytes(40), 88, "a block of 11 octets", 1),
        (FULL + struct.pack("<II", 6, LARGEST + 4) + bytes(40), 88, "a block of 16777220 octets", 1),
        (FULL[:-4] + bytes(4), 48, "a block of 40 octets by its start, and not by its end", 0),
        (FULL + enhanced("<", number=1), 88, "a packet from interface 1 of 1", 1),
        (FULL + enhanced("<", captured=9), 88, "a packet of 9 octets in a block of 40", 1),
        (FULL + block("<", 6, bytes(8)), 88, "a packet's block that is too short", 1),
        (FULL + block("<", 3, b""), 88, "a packet's block that is too short", 1),
        (section("<") + block("<", 1, b""), 28, "an interface description that is too short", 0),
        (section("<")[:8] + bytes(20), 0, "a section without a byte order", 0),
    ],
)
def test_damage(octets: bytes, offset: int, text: str, packets: int) -> None:
    """What could be read counts; where the file broke is told."""
    found, damage = frames(octets)
    assert damage is not None
    assert damage.offset == offset
    assert text in str(damage)
    assert len(found) == packets


@given(st.data())
def test_any_octets(data: st.DataObject) -> None:
    whole = data.draw(
        st.sampled_from(
            [
                FULL,
                section(">") + interface(">") + enhanced(">"),
                pcap("<", 0xA1B2C3D4, 1),
                Tape().handshake().pcap(),
            ]
        )
    )
    octets = bytearray(whole)
    for _ in range(data.draw(st.integers(0, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    octets += data.draw(st.binary(max_size=60))
    found, damage = frames(bytes(octets))
    assert sum(len(packet) for _, packet, _, _ in found) <= len(octets)
    assert damage is None or damage.offset <= len(octets)
