"""Moments of a connection in order; each has a position in a picture, and is one step of a web page.

A change of state belongs to the moment of its cause. A change that only the user's call caused belongs to the
segment that the call sends; if the call sends none, the change is a moment of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from postel.times import NEVER
from postel.view import notes
from postel.view.flow import Change, Expiry, Flow, Remark
from postel.view.fold import Run
from postel.view.packet import UNKNOWN, Packet
from postel.wire.segment import FIN, RST, SYN

Look: TypeAlias = Literal["lost", "again", "reset", "opening", "closing", "data", "bare"]


@dataclass(slots=True)
class Moment:
    """One event of a flow: a packet or a run of packets leaves, a packet arrives, or one end does something.

    ``what`` is the packet, run, expired timer, remark or change of state, and ``is_arrival`` says whether the
    event is the arrival of the packet. ``when`` is in microseconds. ``changes`` are the changes of state that
    belong to the event.
    """

    order: int
    when: int
    what: Packet | Run | Expiry | Remark | Change
    is_arrival: bool = False
    changes: list[Change] = field(default_factory=list)

    @property
    def last_order(self) -> int:
        """Order number of the moment; for a run of packets, that of its last packet."""
        return self.what.packets[-1].order if isinstance(self.what, Run) else self.order


def of(flow: Flow, runs: list[Run]) -> list[Moment]:
    """List the moments of a flow in order; the packets of each run (see `fold.runs`) share one moment."""
    return _with_changes(in_order(flow, runs, _is_seen_to_arrive), flow)


def in_order(flow: Flow, runs: list[Run], arrives_apart: Callable[[Packet], bool]) -> list[Moment]:
    """List the moments of a flow in order, without its changes of state.

    A packet's arrival is a moment apart from its departure where ``arrives_apart(packet)`` is true.
    """
    folded = {id(packet) for run in runs for packet in run.packets}
    packets = [packet for packet in flow.packets if id(packet) not in folded]
    moments = [Moment(packet.order, packet.sent_at, packet) for packet in packets]
    moments += [Moment(run.packets[0].order, run.packets[0].sent_at, run) for run in runs]
    moments += [
        Moment(packet.arrival_order, packet.arrived_at, packet, is_arrival=True)
        for packet in packets
        if arrives_apart(packet)
    ]
    others: list[Expiry | Remark] = [*flow.expiries, *flow.remarks]
    moments += [Moment(other.order, other.when, other) for other in others]
    return sorted(moments, key=_order)


def look_of(packet: Packet) -> Look:
    """Most important property of a packet, such as lost or retransmitted, by which its colour is chosen."""
    if packet.lost or packet.dropped or packet.damaged:
        return "lost"
    if packet.original:
        return "again"
    flags = packet.segment.flags if packet.segment is not None else 0
    if flags & RST:
        return "reset"
    if flags & SYN:
        return "opening"
    if flags & FIN:
        return "closing"
    return "data" if packet.segment is None or packet.segment.data else "bare"


def said(moment: Moment, flow: Flow, language: str) -> str:
    """Text of the note on a moment; empty for plain data and acknowledgements."""
    what = moment.what
    if isinstance(what, Packet):
        return notes.say("joint", language).join(notes.of_packet(what, flow, language))
    if isinstance(what, Expiry):
        return notes.of_expiry(what, language)
    if isinstance(what, Remark):
        return notes.of_remark(what, language)
    return (
        what.text(language)
        if isinstance(what, Run)
        else notes.say("inferred" if flow.is_captured else "called", language)
    )


def _order(moment: Moment) -> int:
    return moment.order


def _is_seen_to_arrive(packet: Packet) -> bool:
    return packet.arrival_order != UNKNOWN and packet.arrived_at < NEVER


def _with_changes(moments: list[Moment], flow: Flow) -> list[Moment]:
    alone: list[Moment] = []
    for change in flow.changes:
        owner = _owner(change, moments)
        if owner is None:
            alone.append(Moment(change.order, change.when, change, changes=[change]))
        else:
            owner.changes.append(change)
    return sorted([*moments, *alone], key=_order)


def _owner(change: Change, moments: list[Moment]) -> Moment | None:
    if change.cause is not None:
        cause = change.cause
        return next(
            (
                moment
                for moment in moments
                if moment.what is cause and (moment.is_arrival or not isinstance(cause, Packet))
            ),
            None,
        )
    following = next((moment for moment in moments if moment.order > change.order), None)
    if following is None or following.is_arrival or not isinstance(following.what, Packet):
        return None
    is_its = following.what.source == change.at and following.when == change.when
    return following if is_its else None
