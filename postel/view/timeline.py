"""Bars in text that show how long each end was in each state, and when data of an end was under way.

The bars stand below each other on one scale, which ends with the last packet. The bar of a state that lasts
longer, such as TIME-WAIT, ends with an arrow at the right edge, and its duration stands beside the bar.
"""

from dataclasses import dataclass
from typing import Final

from postel.errors import ArgumentError
from postel.tcp.state import State
from postel.times import MILLISECOND, MINUTE, NEVER, SECOND
from postel.view.flow import Flow
from postel.view.packet import Packet
from postel.view.trace import Trace
from postel.view.width import left, width
from postel.wire import udp
from postel.wire.address import Endpoint

NARROWEST: Final = 60
_LENGTH: Final = 11  # columns for the duration beside a bar, such as "999.999 ms"
_RESTING: Final = (State.CLOSED, State.LISTEN)
_TO_ASCII: Final = str.maketrans("█▶", "#>")


@dataclass(slots=True)
class _Bar:
    label: str
    begin: int
    end: int  # microseconds; NEVER if the state doesn't end within the trace


def render(trace: Trace, *, width: int = 104, ascii_only: bool = False) -> str:
    """Draw all connections of a trace that have packets, at most ``width`` columns wide (60 or more)."""
    if width < NARROWEST:
        raise ArgumentError("width", width, f"{NARROWEST} columns or more")
    bars = [bar for flow in trace.flows if flow.packets for bar in _of_flow(flow)]
    if not bars:
        return ""
    start = trace.packets[0].sent_at
    end = max(packet.sent_at if packet.arrived_at == NEVER else packet.arrived_at for packet in trace.packets)
    text = _draw(bars, start, max(end - start, 1), width)
    return text.translate(_TO_ASCII) if ascii_only else text


def _of_flow(flow: Flow) -> list[_Bar]:
    bars = [bar for end in flow.ends for bar in _states(flow, end)]
    for end in flow.ends:
        bars += _data(flow, end)
    return sorted(bars, key=lambda bar: bar.begin)


def _states(flow: Flow, end: Endpoint) -> list[_Bar]:
    changes = [change for change in flow.changes if change.at == end]
    ends = [change.when for change in changes[1:]] + [NEVER]
    name = flow.names.get(end, str(end))
    return [
        _Bar(f"{name} {change.after}", change.when, until)
        for change, until in zip(changes, ends, strict=False)  # without changes ``ends`` still has NEVER
        if change.after not in _RESTING
    ]


def _data(flow: Flow, end: Endpoint) -> list[_Bar]:
    """Make a bar from the departure of an end's first octet to the arrival of its last one."""
    packets = [packet for packet in flow.packets if packet.source == end and _octets(packet)]
    if not packets:
        return []
    other = flow.ends[flow.ends[0] == end]
    octets = sum(_octets(packet) for packet in packets if not packet.original and not packet.copy)
    kind = "UDP " if flow.protocol == udp.PROTOCOL else ""
    label = f"{flow.names.get(end, end)} ▶ {flow.names.get(other, other)}: {kind}{octets}"
    arrivals = [packet.arrived_at for packet in packets if packet.arrived_at < NEVER]
    return [_Bar(label, packets[0].sent_at, max(arrivals, default=packets[-1].sent_at))]


def _octets(packet: Packet) -> int:
    if packet.segment is not None:
        return len(packet.segment.data)
    return int(packet.caption.partition("len=")[2]) if packet.caption.startswith("UDP len=") else 0


def _draw(bars: list[_Bar], start: int, span: int, columns: int) -> str:
    labels = max(width(bar.label) for bar in bars)
    room = columns - labels - 2 - _LENGTH - 1
    lines = []
    for bar in bars:
        begin = min((bar.begin - start) * room // span, room - 1)
        runs_out = bar.end > start + span
        stop = room if runs_out else max(-(-(bar.end - start) * room // span), begin + 1)
        drawn = " " * begin + "█" * (stop - begin - runs_out) + "▶" * runs_out
        length = "" if bar.end == NEVER else _duration(bar.end - bar.begin)
        lines.append(f"{left(bar.label, labels)}  {left(drawn, room)} {length:>{_LENGTH}}".rstrip())
    scale = f"{left('', labels)}  {'0':<{room - _LENGTH}}{_duration(span):>{_LENGTH}}"
    return "\n".join([scale, *lines])


def _duration(length: int) -> str:
    if length < SECOND:
        return f"{length / MILLISECOND:.3f} ms"
    return f"{length / SECOND:.3f} s" if length < 2 * MINUTE else f"{length / MINUTE:.1f} min"
