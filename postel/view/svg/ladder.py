"""Ladder as SVG: time runs down, and a segment slopes from its departure to its arrival.

::

    time │ states │ lifeline ─── segments, timers ─── lifeline │ states

The lifelines have the colours of the states. A state stands at the height of the time at which the end came
into it; of several states of one moment the later ones stand below the first.

Rows are as far apart as their text needs, not in proportion to time: otherwise 2MSL would need many thousands
of pixels. Each moment of the connection gets the least height at which its text doesn't cover what is drawn
already (``_need``), and then reserves its room (``_settle``). A long silence gets some room of its own.

A script can move through the picture: each moment is a group with ``data-at``, its number, and ``data-y``,
its height; the group of a segment also has ``data-until``, the moment of its arrival.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Final

from postel.tcp.state import State
from postel.times import NEVER
from postel.view import caption, fold, moments, notes
from postel.view.flow import Change, Expiry, Flow, Remark
from postel.view.fold import Run
from postel.view.moments import Moment
from postel.view.packet import Packet
from postel.view.svg import palette
from postel.view.svg.element import document, element, escaped, in_languages
from postel.view.width import width, wrap
from postel.wire.address import Endpoint

WIDTH: Final = 704
_LEFT: Final = 180
_RIGHT: Final = 590
_INNER: Final = _RIGHT - _LEFT
# All sizes are in pixels.
_MARGIN: Final = 10  # from a lifeline to its text
_TIMES: Final = 72  # right edge of the times
_LINE: Final = 13  # height of a line of text
_CODE: Final = 6.65  # width of a character of code
_TEXT: Final = 5.7  # width of a character of other text
_TOP: Final = 58  # height of the names above the lifelines
_SLOPE: Final = 14  # least height from a departure to its arrival
_BAND: Final = 24  # height of the broad arrow of a run
_SEEN: Final = 0.62  # part of the arrow that is drawn if the packet is lost or wasn't seen to arrive
_SILENCE: Final = 34  # height of a long silence

# Line at height 0, with a small arrow: a page moves it to the moment that it shows
NOW: Final = f"M{_TIMES + 12} 0H{_RIGHT}M{_TIMES + 4} -4l6 4-6 4z"

Texts = dict[str, list[str]]


def render(
    flows: Sequence[Flow], *, language: str = "en", unfold: bool = False, in_page: bool = False
) -> str:
    """Draw the ladder of each connection, as one SVG document; its colours follow light and dark mode.

    With ``unfold`` each segment of a long run of data is drawn (see `fold`). With ``in_page`` the picture has
    no style sheet, because the page has that of `palette.for_page`.
    """
    drawn = [flow for flow in flows if flow.packets]
    start = min((flow.packets[0].sent_at for flow in drawn), default=0)
    y, parts = 12.0, []
    for flow in drawn:
        found = moments.of(flow, [] if unfold else fold.runs(flow))
        ladder = Ladder(flow, found, start, (language,), y)
        parts += ladder.draw()
        y = ladder.bottom + 32
    return document(
        parts or [element("text", escaped(notes.say("nothing", language)), x=20, y=24)],
        WIDTH,
        max(y, 40.0),
        style="" if in_page else palette.for_picture(),
    )


@dataclass(slots=True)
class _Side:
    """One lifeline: its position, the height down to which it is occupied, and the end's states."""

    x: int
    text: float  # height of the lowest text on the inner side
    state: float  # height of the lowest name of a state
    head: float  # height of the lowest arrowhead
    # For each state: the height at which it begins, the state, and the number of the moment of the change
    states: list[tuple[float, State | None, int]] = field(default_factory=list)


class Ladder:
    """Picture of one connection; ``heights`` has the height of each moment, and `draw` gives the elements."""

    def __init__(
        self, flow: Flow, found: Sequence[Moment], start: int, languages: Sequence[str], top: float
    ) -> None:
        """Compute the height of each moment of ``found``, all below the height ``top``.

        ``start`` is the time of the trace's first packet.
        """
        self.flow = flow
        self.moments = found
        self.start = start
        self.languages = languages
        self.top: float = top + _TOP
        self.sides: list[_Side] = [
            _Side(x, self.top, self.top, self.top, [(self.top, flow.initial_state(end), -1)])
            for x, end in _lifelines(flow)
        ]
        self.heights: list[float] = []
        # Time of each moment as text; empty where it is the same as above and no state begins
        self.clocks: list[str] = []
        self.silences: list[tuple[float, int]] = []
        self._departed: dict[int, int] = {}  # number of the moment of departure, by id() of the packet
        self._arrivals = {id(moment.what): number for number, moment in enumerate(found) if moment.is_arrival}
        self._spoken: dict[int, Texts] = {}  # notes in each language, by the moment's order number
        self._place()
        self.bottom: float = max(self.heights, default=self.top) + _SLOPE + _LINE

    def side(self, what: Packet | Run | Expiry | Remark | Change, *, is_arrival: bool = False) -> int:
        """Number of the lifeline that something belongs to: 0 for the opener's, 1 for the other's."""
        if isinstance(what, Packet):
            return int((what.destination if is_arrival else what.source) != self.flow.ends[0])
        return int((what.source if isinstance(what, Run) else what.at) != self.flow.ends[0])

    # Heights

    def _place(self) -> None:
        y, clock, clock_at, before = self.top, "", self.top, NEVER
        for number, moment in enumerate(self.moments):
            if before != NEVER and moment.when - before >= fold.PAUSE:
                self.silences.append((y + _SILENCE / 2, moment.when - before))
                y += _SILENCE
                for side in self.sides:
                    side.text = max(side.text, y - _LINE)
            before = moment.when
            told = caption.clock(moment.when - self.start).strip()
            # Another time stands below everything of the time before, so that each height has one time.
            y = max(self._need(moment), y + _LINE if told != clock else y)
            if (
                moment.changes and y > clock_at
            ):  # the time stands beside each new state, even if it is the same
                y = max(y, clock_at + _LINE)
            is_told = told != clock or (bool(moment.changes) and y > clock_at)
            self.clocks.append(told if is_told else "")
            if is_told:
                clock, clock_at = told, y
            self.heights.append(y)
            y += self._settle(moment, number, y)

    def _need(self, moment: Moment) -> float:
        """Smallest height at which there is room for a moment."""
        side = self.sides[self.side(moment.what, is_arrival=moment.is_arrival)]
        least = max(
            [self.sides[self.side(change)].state + _LINE + 1 for change in moment.changes], default=0.0
        )
        if moment.is_arrival:
            departed = self._departed.get(id(moment.what))
            sent = self.heights[departed] + _SLOPE if departed is not None else 0.0
            return max(least, sent, side.head + 9)
        floor = side.text
        if self._is_wide(moment):
            floor = max(floor, self.sides[0].text, self.sides[1].text)
        return max(least, floor + _LINE * self._lines(moment) + 8)

    def _settle(self, moment: Moment, number: int, y: float) -> float:
        """Reserve room for a moment at height ``y``.

        Returns by how much lower, at least, the next moment must stand.
        """
        index = self.side(moment.what, is_arrival=moment.is_arrival)
        side = self.sides[index]
        lowest = y
        for change in moment.changes:
            changed = self.sides[self.side(change)]
            changed.state = max(y, changed.state + _LINE + 1)
            changed.states.append((changed.state, change.after, number))
            lowest = max(lowest, changed.state)
        if moment.is_arrival:
            side.head = side.text = y
        elif isinstance(moment.what, Run):
            for each in self.sides:
                each.text = each.head = y + _BAND
            return _BAND
        else:
            side.text = y if isinstance(moment.what, Packet) else y + 5
            if isinstance(moment.what, Packet):
                self._departed[id(moment.what)] = number
            if self._is_wide(moment):
                self.sides[1 - index].text = max(self.sides[1 - index].text, y - _LINE)
        # A second state of this moment has to stand above the time of the next moment.
        return lowest - y

    def _lines(self, moment: Moment) -> int:
        said = self._said(moment)
        return len(self._label(moment)) + max((len(lines) for lines in said.values()), default=0)

    def _is_wide(self, moment: Moment) -> bool:
        longest = max(
            (width(line) * _TEXT for lines in self._said(moment).values() for line in lines), default=0
        )
        return max(longest, *(width(line) * _CODE for line in self._label(moment)), 0) > _INNER / 2 - _MARGIN

    def _label(self, moment: Moment) -> list[str]:
        if moment.is_arrival or not isinstance(moment.what, Packet):
            return []
        return wrap(" ".join(caption.of_packet(moment.what)), int((_INNER - 2 * _MARGIN) / _CODE))

    def _said(self, moment: Moment) -> Texts:
        if moment.is_arrival:
            return {}
        if moment.order not in self._spoken:
            columns = int((_INNER - 3 * _MARGIN) / _TEXT)
            self._spoken[moment.order] = {
                language: wrap(moments.said(moment, self.flow, language), columns)
                for language in self.languages
            }
        return self._spoken[moment.order]

    # Elements

    def draw(self, beneath: str = "") -> list[str]:
        """Give the SVG elements.

        ``beneath`` is an element that lies under all but the names and the lines of time.
        """
        fixed = [*self._heads(), *self._ticks(), beneath, *self._lives(), *self._pauses()]
        return [*fixed, *(self._moment(number) for number in range(len(self.moments)))]

    def _heads(self) -> Iterator[str]:
        for side, end, kind, anchor in zip(
            self.sides, self.flow.ends, ("first", "second"), ("start", "end"), strict=True
        ):
            x = side.x - _MARGIN if anchor == "start" else side.x + _MARGIN
            yield element(
                "text",
                escaped(self.flow.names.get(end, "")),
                x=x,
                y=self.top - 38,
                class_=f"title {kind}",
                text_anchor=anchor,
            )
            yield element("text", escaped(end), x=x, y=self.top - 22, class_="code muted", text_anchor=anchor)
        if self.flow.is_captured:
            texts = {language: notes.say("of a capture", language) for language in self.languages}
            middle = (_LEFT + _RIGHT) / 2
            yield in_languages(
                "text", texts, x=middle, y=self.top - 54, class_="muted halo", text_anchor="middle"
            )

    def _ticks(self) -> Iterator[str]:
        for number, clock in enumerate(self.clocks):
            if clock:
                y = self.heights[number]
                yield element("line", x1=_TIMES + 6, x2=_RIGHT, y1=y, y2=y, class_="tick")
                yield element(
                    "text", escaped(clock), x=_TIMES, y=y + 4, class_="code muted", text_anchor="end"
                )

    def _lives(self) -> Iterator[str]:
        for index, side in enumerate(self.sides):
            ends = [y for y, _, _ in side.states[1:]] + [self.bottom]
            for (y, state, since), until in zip(side.states, ends, strict=True):
                at = since if since >= 0 else None
                kind = palette.phase(state)
                yield element("line", x1=side.x, x2=side.x, y1=y, y2=until, class_=f"life {kind}", data_at=at)
                if state is not None:
                    x, anchor = (side.x - _MARGIN, "end") if index == 0 else (side.x + _MARGIN, "start")
                    name = escaped(state)
                    yield element(
                        "text",
                        name,
                        x=x,
                        y=y + 4,
                        class_=f"strong halo {kind}",
                        text_anchor=anchor,
                        data_at=at,
                    )

    def _pauses(self) -> Iterator[str]:
        for y, length in self.silences:
            texts = {
                language: notes.say("pause", language, length=caption.duration(length, language))
                for language in self.languages
            }
            yield in_languages(
                "text", texts, x=(_LEFT + _RIGHT) / 2, y=y + 8, class_="muted halo", text_anchor="middle"
            )

    def _moment(self, number: int) -> str:
        moment, y = self.moments[number], self.heights[number]
        kind, until, inner = "moment", None, ""
        if isinstance(moment.what, Run):
            inner = self._run(moment.what, y)
        elif isinstance(moment.what, Packet) and moment.is_arrival:
            kind = f"moment arrival {_kind(moment.what)}"
            inner = self._head(moment.what, y)
        elif isinstance(moment.what, Packet):
            until = self._arrivals.get(id(moment.what))
            kind = f"moment sent {_kind(moment.what)}"
            inner = self._packet(moment.what, y, until) + "".join(self._texts(moment, y))
        else:
            kind = "moment second-end" if self.side(moment.what) else "moment"
            inner = self._beside(moment, y)
        return element("g", inner, class_=kind, data_at=number, data_until=until, data_y=y)

    def _packet(self, packet: Packet, y: float, until: int | None) -> str:
        """Draw a line from one lifeline to the other, or a part of it where no arrival was seen."""
        index = self.side(packet)
        begin, end = self.sides[index].x, self.sides[1 - index].x
        landed = y + _SLOPE * _SEEN if until is None else self.heights[until]
        if until is None:
            end = round(begin + (end - begin) * _SEEN)
        kind = (
            "shaft copied"
            if packet.copy
            else "shaft unknown"
            if packet.arrived_at == NEVER and not packet.lost
            else "shaft"
        )
        parts = [element("path", d=f"M{begin} {y:.1f}L{end} {landed:.1f}", class_=kind)]
        if packet.lost:
            parts.append(_cross(end, landed))
        return "".join(parts)

    def _texts(self, moment: Moment, y: float) -> Iterator[str]:
        """Draw a segment's label, and below it the notes, above the departure."""
        x, anchor = (_LEFT + _MARGIN, "start") if self.side(moment.what) == 0 else (_RIGHT - _MARGIN, "end")
        top = y - _LINE * (self._lines(moment) - 1) - 5
        for line in self._label(moment):
            number, space, rest = line.partition(" ") if line.startswith("#") else ("", "", line)
            strong = element("tspan", escaped(number), class_="strong") if number else ""
            yield element(
                "text", strong + escaped(space + rest), x=x, y=top, class_="code halo", text_anchor=anchor
            )
            top += _LINE
        for texts in self._rows(moment):
            yield in_languages("text", texts, x=x, y=top, class_="muted halo", text_anchor=anchor)
            top += _LINE

    def _rows(self, moment: Moment) -> Iterator[dict[str, str]]:
        """Give the notes line by line, each in every language."""
        for lines in zip_longest(*self._said(moment).values(), fillvalue=""):
            yield dict(zip(self.languages, lines, strict=True))

    def _head(self, packet: Packet, y: float) -> str:
        """Draw the arrowhead along the slope, or a cross where the packet was dropped on arrival."""
        x = self.sides[self.side(packet, is_arrival=True)].x
        back = -1 if x == _RIGHT else 1
        tip = x + back * 2.5
        if packet.dropped or packet.damaged:
            return _cross(x + back * 10, y)
        departed = self._departed.get(id(packet))
        slope = (y - self.heights[departed]) / _INNER if departed is not None else 0.0
        base = y - 9 * slope
        corners = f"{tip:.1f},{y:.1f} {tip + back * 9:.1f},{base - 4:.1f} {tip + back * 9:.1f},{base + 4:.1f}"
        return element("polygon", points=corners, class_="head")

    def _run(self, run: Run, y: float) -> str:
        """Draw a broad arrow for a run of many segments."""
        low, half = y + _BAND, y + _BAND / 2
        if self.side(run) == 0:
            points = (
                f"{_LEFT + 3},{y:.1f} {_RIGHT - 16},{y:.1f} {_RIGHT - 3},{half:.1f} "
                f"{_RIGHT - 16},{low:.1f} {_LEFT + 3},{low:.1f}"
            )
        else:
            points = (
                f"{_RIGHT - 3},{y:.1f} {_LEFT + 16},{y:.1f} {_LEFT + 3},{half:.1f} "
                f"{_LEFT + 16},{low:.1f} {_RIGHT - 3},{low:.1f}"
            )
        texts = {language: run.text(language) for language in self.languages}
        text = in_languages("text", texts, x=(_LEFT + _RIGHT) / 2, y=half + 4, text_anchor="middle")
        return element("polygon", points=points, class_="band") + text

    def _beside(self, moment: Moment, y: float) -> str:
        """Draw a timer, a remark or a call at its lifeline."""
        index = self.side(moment.what)
        x, inward, anchor, kind = (_RIGHT, -1, "end", "second") if index else (_LEFT, 1, "start", "first")
        parts = []
        if isinstance(moment.what, Expiry):
            middle = x + inward * (_MARGIN + 5)
            parts.append(element("circle", cx=middle, cy=y, r=5, class_="clock"))
            parts.append(element("path", d=f"M{middle} {y - 3:.1f}v3l2.4 1.6", class_="clock"))
        x += inward * (_MARGIN + (16 if parts else 0))
        rows = list(self._rows(moment))
        for number, texts in enumerate(rows, 1 - len(rows)):
            place = y + 4 + _LINE * number
            parts.append(in_languages("text", texts, x=x, y=place, class_=f"halo {kind}", text_anchor=anchor))
        return "".join(parts)


def _lifelines(flow: Flow) -> list[tuple[int, Endpoint]]:
    return list(zip((_LEFT, _RIGHT), flow.ends, strict=True))


def _kind(packet: Packet) -> str:
    """Name of a packet's colour; a RST has the colour of a lost packet."""
    look = moments.look_of(packet)
    return "lost" if look == "reset" else look


def _cross(x: float, y: float) -> str:
    return element("path", d=f"M{x - 5:.1f} {y - 5:.1f}l10 10m0 -10l-10 10", class_="cross")
