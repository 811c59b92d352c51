"""Text of an arrow (a packet's fields), and times and sizes as the views write them."""

from typing import Final

from postel.times import MILLISECOND, MINUTE, SECOND
from postel.view import notes
from postel.view.packet import UNKNOWN, Packet
from postel.wire.segment import ABSENT, ECN_NAMES, SYN, URG, Segment, flags_text

_KILO: Final = 1000


def of_packet(packet: Packet) -> list[str]:
    """Pieces of text for a packet's arrow, the most useful first: number, flags, numbers, options."""
    number = f"#{packet.number}" + "′" * packet.copy
    segment = packet.segment
    if segment is None:
        return [number, packet.caption]
    pieces = [number, flags_text(segment.flags), f"seq={packet.seq}"]
    if packet.ack != UNKNOWN:
        pieces.append(f"ack={packet.ack}")
    if segment.data:
        pieces.append(f"len={len(segment.data)}")
    pieces.append(f"win={packet.window}")
    if segment.ecn:
        pieces.append(ECN_NAMES[segment.ecn])
    if segment.flags & URG:
        pieces.append(f"urg={segment.urgent}")
    return pieces + _options(segment) + ([f"sack={notes.sack_text(packet)}"] if packet.sack else [])


def _options(segment: Segment) -> list[str]:
    pieces = []
    if segment.fast_open is not None:
        pieces.append(f"cookie={segment.fast_open.hex()}" if segment.fast_open else "cookie?")
    if segment.mss != ABSENT:
        pieces.append(f"mss={segment.mss}")
    if segment.window_scale != ABSENT:
        pieces.append(f"ws={segment.window_scale}")
    if segment.sack_permitted:
        pieces.append("sackOK")
    if segment.tsval != ABSENT and segment.flags & SYN:
        pieces.append("ts")
    return pieces


def clock(when: int) -> str:
    """Text of a time since the first packet. Aligned right, such texts have their points in one column."""
    if when < SECOND:
        return f"{when / MILLISECOND:.3f} ms"
    return f"{when / SECOND:.3f} s "


def duration(length: int, language: str) -> str:
    """Text of a length of time, in seconds below two minutes and in minutes from there."""
    if length < 2 * MINUTE:
        return notes.say("seconds", language, number=f"{length / SECOND:.3g}")
    return notes.say("minutes", language, number=f"{length / MINUTE:.1f}".removesuffix(".0"))


def size(octets: int) -> str:
    """Text of a number of octets, with 1,000 octets to the KB.

    >>> size(999), size(82_340)
    ('999 B', '82 KB')
    """
    return f"{octets} B" if octets < _KILO else f"{octets / _KILO:.0f} KB"
