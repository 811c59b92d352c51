"""Runs of data that say nothing new: one row of a ladder stands for all of them.

Folded is only what went as it should, from one end to the other, together with the ACKs for it: nothing lost,
sent again or overtaken, no timer, no call, no change of state, no silence in between.
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

FEWEST: Final = 12  # data segments: fewer have room each
PAUSE: Final = SECOND  # a gap from which on the time between two rows gets a row itself
_CE: Final = 3


@dataclass(slots=True)
class Run:
    """Packets that follow each other, data from ``source`` and ACKs for it."""

    source: Endpoint
    packets: list[Packet]

    @property
    def data(self) -> list[Packet]:
        return [packet for packet in self.packets if packet.source == self.source]

    @property
    def octets(self) -> int:
        return sum(_length(packet) for packet in self.data)

    @property
    def acknowledged(self) -> int:
        return max((packet.ack for packet in self.packets if packet.source != self.source), default=UNKNOWN)

    def text(self, language: str) -> str:
        """``… #4–#90: 57 data segments, 82 KB, acknowledged``."""
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
    """Those that are long enough."""
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
