"""Runs of ordinary data segments and their ACKs; a ladder shows each run as one row.

A run has data from one end and the ACKs for the data. The run ends where anything else happens: a packet is
lost, sent again or overtaken, a timer expires, the program makes a call, a state changes, or no packet is
sent for a second.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from postel.times import SECOND
from postel.view import caption, notes
from postel.view.flow import Change, Expiry, Flow, Remark
from postel.view.packet import UNKNOWN, Kind, Packet
from postel.wire.address import Endpoint
from postel.wire.segment import ACK, PSH

FEWEST: Final = 12  # smallest number of data segments in a run; fewer segments get one row each
PAUSE: Final = SECOND  # shortest silence that gets a row of its own
_CE: Final = 3  # ECN codepoint "congestion experienced" (RFC 3168, 5)


@dataclass(slots=True)
class Run:
    """Packets that follow each other: data from ``source`` and the ACKs for it."""

    source: Endpoint
    packets: list[Packet]

    @property
    def data(self) -> list[Packet]:
        """Packets with data."""
        return [packet for packet in self.packets if packet.source == self.source]

    @property
    def octets(self) -> int:
        """Number of octets of data."""
        return sum(_length(packet) for packet in self.data)

    @property
    def acknowledged(self) -> int:
        """Highest acknowledgement number of the run, or UNKNOWN."""
        return max((packet.ack for packet in self.packets if packet.source != self.source), default=UNKNOWN)

    def text(self, language: str) -> str:
        """Text of the run's row, such as ``… #4–#90: 57 data segments, 82 KB, acknowledged``."""
        end = max(packet.seq + _length(packet) for packet in self.data)
        numbers = f"#{self.packets[0].number}–#{self.packets[-1].number}"
        said = notes.say(
            "run", language, numbers=numbers, count=len(self.data), size=caption.size(self.octets)
        )
        if self.acknowledged == UNKNOWN:
            return said
        key = "run acknowledged" if self.acknowledged >= end else "run acknowledged in part"
        return said + notes.say(key, language, ack=self.acknowledged)


def runs(flow: Flow) -> list[Run]:
    """Return the runs of a flow that have `FEWEST` data segments or more."""
    others: list[Expiry | Remark | Change] = [*flow.expiries, *flow.remarks, *flow.changes]
    breaks = sorted(other.order for other in others)
    return [run for run in _all(flow, breaks) if len(run.data) >= FEWEST]


def _all(flow: Flow, breaks: list[int]) -> Iterator[Run]:
    run: Run | None = None
    passed = 0
    for packet in flow.packets:
        before = passed
        while passed < len(breaks) and breaks[passed] < packet.order:
            passed += 1
        if run is not None and (passed > before or not _continues(run, packet)):
            yield run
            run = None
        if run is not None:
            run.packets.append(packet)
        elif _length(packet) and _is_ordinary(packet):
            run = Run(packet.source, [packet])
    if run is not None:
        yield run


def _continues(run: Run, packet: Packet) -> bool:
    is_ack = packet.source != run.source and not _length(packet)
    is_data = packet.source == run.source and _length(packet) > 0
    return (is_ack or is_data) and _is_ordinary(packet) and packet.sent_at - run.packets[-1].sent_at < PAUSE


def _is_ordinary(packet: Packet) -> bool:
    segment = packet.segment
    if (
        segment is None
        or packet.kind not in (Kind.PLAIN, Kind.WINDOW_UPDATE)
        or segment.flags & ~PSH != ACK
        or segment.ecn == _CE
    ):
        return False
    is_troubled = (
        packet.lost or packet.damaged or packet.dropped or packet.copy or packet.original or packet.again
    )
    return not (is_troubled or packet.receiver_changed or packet.text or packet.sack)


def _length(packet: Packet) -> int:
    return 0 if packet.segment is None else len(packet.segment.data)
