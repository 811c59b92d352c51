"""One packet field by field: offset, octets, name and meaning (RFC 791, RFC 768, and RFC 9293, 3.1)."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from postel.view.packet import Packet
from postel.view.width import plain
from postel.wire import ip, segment, udp
from postel.wire.address import to_text
from postel.wire.segment import flags_text

_LINE: Final = 16  # number of octets of data that one line shows
_MOST_LINES: Final = 8
_OPTIONS: Final = {
    2: "MSS",
    3: "window scale",
    4: "SACK permitted",
    5: "SACK",
    8: "timestamps",
    34: "Fast Open",
    172: "AccECN",
    174: "AccECN",
}
_PROTOCOLS: Final = {1: "ICMP", segment.PROTOCOL: "TCP", udp.PROTOCOL: "UDP"}


class Field(NamedTuple):
    """Field of a header: its offset in the packet, its octets, its name, and its value as text."""

    at: int
    octets: bytes
    name: str
    value: str


def render(packet: Packet, *, ascii_only: bool = False) -> str:
    """Text of a packet: all fields of IPv4 with TCP or UDP, and only the octets of any other."""
    who = f"{packet.sender or packet.source} → {packet.receiver or packet.destination}"
    lines = [f"#{packet.number} {who}, {len(packet.octets)} octets"]
    for title, fields in sections(packet.octets):
        lines += [
            "",
            title,
            *[
                f"{field.at:5}  {_hex(field.octets):24} {field.name:22} {field.value}".rstrip()
                for field in fields
            ],
        ]
    text = "\n".join(lines)
    return plain(text) if ascii_only else text


def sections(octets: bytes) -> list[tuple[str, list[Field]]]:
    """Split a packet into headers, outermost first, and data; each is a title and a list of fields."""
    if octets[0] != 0x45 or octets[9] not in (segment.PROTOCOL, udp.PROTOCOL):
        return [("data", list(_data(octets, 0)))]
    inner = _tcp if octets[9] == segment.PROTOCOL else _udp
    fields = list(inner(octets))
    end = fields[-1].at + len(fields[-1].octets)
    found = [("IPv4", list(_ip(octets))), (_PROTOCOLS[octets[9]], fields)]
    return [*found, ("data", list(_data(octets, end)))] if end < len(octets) else found


def _ip(octets: bytes) -> Iterator[Field]:
    packet = ip.parse(octets)
    yield Field(0, octets[:1], "version, header length", f"{octets[0] >> 4}, {(octets[0] & 15) * 4} octets")
    yield Field(1, octets[1:2], "DSCP, ECN", f"{octets[1] >> 2}, {segment.ECN_NAMES[octets[1] & 3]}")
    yield Field(2, octets[2:4], "total length", f"{_number(octets[2:4])} octets")
    yield Field(4, octets[4:6], "identification", str(_number(octets[4:6])))
    yield Field(6, octets[6:8], "flags, offset", "don't fragment" if octets[6] & 0x40 else "")
    yield Field(8, octets[8:9], "time to live", str(octets[8]))
    yield Field(9, octets[9:10], "protocol", f"{octets[9]} {_PROTOCOLS[octets[9]]}")
    yield Field(10, octets[10:12], "header checksum", "")
    yield Field(12, octets[12:16], "source", to_text(packet.source))
    yield Field(16, octets[16:20], "destination", to_text(packet.destination))


def _tcp(octets: bytes) -> Iterator[Field]:
    at = ip.HEADER_4
    header = (octets[at + 12] >> 4) * 4
    flags = _number(octets[at + 12 : at + 14]) & 0x1FF
    yield Field(at, octets[at : at + 2], "source port", str(_number(octets[at : at + 2])))
    yield Field(at + 2, octets[at + 2 : at + 4], "destination port", str(_number(octets[at + 2 : at + 4])))
    yield Field(at + 4, octets[at + 4 : at + 8], "sequence number", str(_number(octets[at + 4 : at + 8])))
    yield Field(
        at + 8, octets[at + 8 : at + 12], "acknowledgement number", str(_number(octets[at + 8 : at + 12]))
    )
    yield Field(
        at + 12, octets[at + 12 : at + 14], "data offset, flags", f"{header} octets, {flags_text(flags)}"
    )
    yield Field(at + 14, octets[at + 14 : at + 16], "window", str(_number(octets[at + 14 : at + 16])))
    yield Field(at + 16, octets[at + 16 : at + 18], "checksum", "")
    yield Field(at + 18, octets[at + 18 : at + 20], "urgent pointer", str(_number(octets[at + 18 : at + 20])))
    yield from _options(octets, at + segment.HEADER, at + header)


def _options(octets: bytes, at: int, end: int) -> Iterator[Field]:
    while at < end:
        kind = octets[at]
        if kind < 2:
            yield Field(at, octets[at : at + 1], "option", "NOP" if kind else "end of options")
            at += 1
            continue
        size = max(octets[at + 1], 2)
        value = octets[at + 2 : at + size]
        words = [_number(value[begin : begin + 4]) for begin in range(0, len(value), 4)]
        shown = value.hex() if kind in (34, 172, 174) else ", ".join(map(str, words))
        yield Field(at, octets[at : at + size], "option", f"{_OPTIONS.get(kind, kind)} {shown}".rstrip())
        at += size


def _udp(octets: bytes) -> Iterator[Field]:
    at = ip.HEADER_4
    for offset, name in ((0, "source port"), (2, "destination port"), (4, "length"), (6, "checksum")):
        part = octets[at + offset : at + offset + 2]
        yield Field(at + offset, part, name, "" if name == "checksum" else str(_number(part)))


def _data(octets: bytes, at: int) -> Iterator[Field]:
    for begin in range(at, min(len(octets), at + _LINE * _MOST_LINES), _LINE):
        part = octets[begin : begin + _LINE]
        yield Field(begin, part, "", "".join(chr(octet) if 32 <= octet < 127 else "." for octet in part))
    if len(octets) > at + _LINE * _MOST_LINES:
        yield Field(at + _LINE * _MOST_LINES, b"", "…", f"{len(octets) - at - _LINE * _MOST_LINES} more")


def _hex(octets: bytes) -> str:
    return octets.hex(" ", -4) if len(octets) > 4 else octets.hex(" ")


def _number(octets: bytes) -> int:
    return int.from_bytes(octets, "big")
