"""Data of one connection, which the page's script shows step by step, one moment after another.

The script only shows these data; it has no rules of TCP.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from postel.lab.front import Note
from postel.tcp.state import State
from postel.view import caption, header, moments, states
from postel.view.flow import Flow
from postel.view.fold import Run
from postel.view.moments import Moment
from postel.view.notes import LANGUAGES
from postel.view.packet import Packet
from postel.view.svg import diagram
from postel.web import translations
from postel.wire.segment import flags_text

Variables = dict[str, int]


class Story:
    """Data of one connection, for JSON.

    ``variables`` and ``packets`` have each entry once; a moment has the index of its entry, or -1 for none.
    """

    def __init__(
        self, flow: Flow, found: Sequence[Moment], noted: Iterable[tuple[Note, Packet]], start: int
    ) -> None:
        """Take a flow, its moments, its variables at each packet, and the first packet's time."""
        self.flow = flow
        self.moments = found
        self.start = start
        self.variables: list[Variables] = []
        self.packets: list[Packet] = []
        self._notes = [_Noted(packet, note) for note, packet in noted]
        self._numbers: dict[int, int] = {}  # index of each packet in ``packets``, by the packet's id()

    def data(self) -> dict[str, Any]:
        """Give the connection as dicts and lists."""
        told = list(self._told())
        return {
            "initial": [_state(self.flow.initial_state(end)) for end in self.flow.ends],
            "paths": [
                [{"way": states.edge(change)[0], "state": diagram.goal(change)} for change in changes]
                for changes in self._changes()
            ],
            "moments": told,
            "variables": self.variables,
            "packets": [of_packet(packet) for packet in self.packets],
        }

    def name(self, index: int) -> str:
        """Name of an end, or its endpoint as text."""
        end = self.flow.ends[index]
        return self.flow.names.get(end, "") or str(end)

    def _changes(self) -> list[list[Any]]:
        return [
            [change for moment in self.moments for change in moment.changes if change.at == end]
            for end in self.flow.ends
        ]

    def _told(self) -> Iterator[dict[str, Any]]:
        steps, known, packet = [0, 0], [-1, -1], -1
        now = [self.flow.initial_state(end) for end in self.flow.ends]
        for number, moment in enumerate(self.moments):
            following = self.moments[number + 1].order if number + 1 < len(self.moments) else None
            for change in moment.changes:
                side = int(change.at != self.flow.ends[0])
                steps[side] += 1
                now[side] = change.after
            for side in (0, 1):
                known[side] = (
                    self._known(side, known[side], following) if now[side] is not State.CLOSED else -1
                )
            what = moment.what.packets[0] if isinstance(moment.what, Run) else moment.what
            packet = self._index(what) if isinstance(what, Packet) else packet
            time = caption.clock(moment.when - self.start).strip()
            said = {language: _sentence(moment, self, language) for language in LANGUAGES}
            yield {"time": time, "said": said, "steps": [*steps], "variables": [*known], "packet": packet}

    def _known(self, side: int, before: int, following: int | None) -> int:
        """Add an end's last variables before the next moment to ``variables``, and return their index."""
        end = self.flow.ends[side]
        found = [
            noted
            for noted in self._notes
            if noted.is_of(end) and (following is None or noted.order < following)
        ]
        if not found:
            return before
        last = found[-1].variables
        if not last:
            return -1
        if before >= 0 and self.variables[before] == last:
            return before
        self.variables.append(last)
        return len(self.variables) - 1

    def _index(self, packet: Packet) -> int:
        if id(packet) not in self._numbers:
            self._numbers[id(packet)] = len(self.packets)
            self.packets.append(packet)
        return self._numbers[id(packet)]


class _Noted:
    """Variables of an end's TCB after a packet left or arrived, with their order number."""

    def __init__(self, packet: Packet, note: Note) -> None:
        self.order = packet.arrival_order if note.arrived else packet.order
        self.variables = note.variables
        self._end = packet.destination if note.arrived else packet.source

    def is_of(self, end: object) -> bool:
        """Whether the variables are those of ``end``."""
        return self._end == end


def _sentence(moment: Moment, story: Story, language: str) -> str:
    what = moment.what
    note = moments.said(moment, story.flow, language)
    if isinstance(what, Run):
        return note
    if isinstance(what, Packet):
        title = title_of(what)
        index = int((what.destination if moment.is_arrival else what.source) != story.flow.ends[0])
        key = "arrived" if moment.is_arrival else "lost" if what.lost else "sent"
        return translations.say(key, who=story.name(index), what=title)[language]
    return translations.say("beside", who=story.name(int(what.at != story.flow.ends[0])), what=note)[language]


def title_of(packet: Packet) -> str:
    """Number and flags of a packet, or its number and caption where it isn't TCP."""
    return (
        f"#{packet.number} {packet.caption if packet.segment is None else flags_text(packet.segment.flags)}"
    )


def of_packet(packet: Packet) -> dict[str, Any]:
    """Give a packet's headers field by field: offset, octets in hex, and name and value in each language."""
    sections = [
        {
            "title": translations.say("data") if title == "data" else dict.fromkeys(LANGUAGES, title),
            "kind": title,
            "fields": [
                {
                    "at": field.at,
                    "hex": field.octets.hex(),
                    "name": {"en": field.name, "zh": translations.field(field.name)},
                    "value": {
                        "en": field.value,
                        "zh": translations.value(field.value) if title != "data" else field.value,
                    },
                }
                for field in fields
            ],
        }
        for title, fields in header.sections(packet.octets)
    ]
    return {
        "title": title_of(packet),
        "size": translations.say("octets", count=len(packet.octets)),
        "sections": sections,
    }


def _state(state: State | None) -> str | None:
    return None if state is None else str(state)
