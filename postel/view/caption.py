"""Texts that several views write: a packet's fields for its arrow, times, durations and sizes."""

from typing import Final

from postel.times import MILLISECOND, MINUTE, SECOND
from postel.view import notes
from postel.view.packet import UNKNOWN, Packet
from postel.wire.segment import ABSENT, ECN_NAMES, SYN, URG, Segment, flags_text

_KILO: Final = 1000


def of_packet(packet: Packet) -> list[str]:
    """Texts for a packet's arrow, most useful first: number, flags, seq, ack, length, window, options."""
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
    """Text of a time (microseconds) since the first packet: in milliseconds below 1 s, else in seconds.

    Both forms have three decimals and three characters after them, so that in texts that are aligned right
    the decimal points stand below each other.
    """
    if when < SECOND:
        return f"{when / MILLISECOND:.3f} ms"
    return f"{when / SECOND:.3f} s "


def duration(length: int, language: str) -> str:
    """Text of a duration (microseconds): in seconds below two minutes, in minutes from two minutes on."""
    if length < 2 * MINUTE:
        return notes.say("seconds", language, number=f"{length / SECOND:.3g}")
    return notes.say("minutes", language, number=f"{length / MINUTE:.1f}".removesuffix(".0"))


def size(octets: int) -> str:
    """Text of a number of octets, with 1,000 octets to the KB.

    >>> size(999), size(82_340)
    ('999 B', '82 KB')
    """
    return f"{octets} B" if octets < _KILO else f"{octets / _KILO:.0f} KB"
