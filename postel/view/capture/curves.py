"""Segments of a connection as curves over time: sequence numbers, windows and round trips, as SVG.

Each end has its colour. In the first chart a dot is a segment with data, a cross is a retransmission, and the
line shows which number the other end has acknowledged. In the second chart a line is the window that an end
advertises, and a dot is how many octets the other end has in flight. The third chart has round-trip times,
measured where the capture was made.
"""

from collections import deque
from typing import Final, NamedTuple

from postel.tcp import seq as sequence
from postel.times import MILLISECOND, SECOND
from postel.view.capture import translations
from postel.view.capture.connection import Connection
from postel.view.capture.measures import scale
from postel.view.capture.sent import UNKNOWN, Sight
from postel.view.capture.table import Seen
from postel.view.svg.element import document, element, escaped
from postel.wire.segment import ACK, RST, SYN

MOST: Final = 4000  # largest number of points of a curve; further ones are left out, and the page says so
_WIDE: Final = 860.0
_HIGH: Final = 190.0
_LEFT: Final = 74.0
_TOP: Final = 26.0
_BOTTOM: Final = 22.0
_SIDES: Final = ("first", "second")


class Point(NamedTuple):
    """Point of a curve.

    ``when`` is in microseconds since the connection began, ``value`` in octets or microseconds.
    """

    when: int
    value: int


class Curves:
    """Curves of one connection. A `Table` can call ``look`` with each segment of the connection."""

    def __init__(self, connection: Connection) -> None:
        """Begin without points."""
        self.connection: Connection = connection
        self.is_cut: bool = False  # whether there were more points than are drawn
        self._sent: tuple[list[Point], list[Point]] = ([], [])
        self._again: tuple[list[Point], list[Point]] = ([], [])
        self._acked: tuple[list[Point], list[Point]] = ([], [])
        self._windows: tuple[list[Point], list[Point]] = ([], [])
        self._flights: tuple[list[Point], list[Point]] = ([], [])
        self._trips: tuple[list[Point], list[Point]] = ([], [])
        self._outstanding: tuple[deque[tuple[int, int]], deque[tuple[int, int]]] = (
            deque(maxlen=1000),
            deque(maxlen=1000),
        )

    def look(self, seen: Seen) -> None:
        """Add the points of a segment; a RST and a copy of a packet add none."""
        if seen.sight is Sight.COPY or seen.located.bits & RST:
            return
        end, located = seen.end, seen.located
        when, side = seen.when - self.connection.began, end.side
        if length := seen.length:
            again = seen.sight is Sight.RETRANSMISSION
            behind = sequence.offset(sequence.add(located.seq, length), end.first)
            self._add(self._again[side] if again else self._sent[side], when, behind)
            if again:
                self._outstanding[side].clear()
            else:
                self._outstanding[side].append((sequence.add(located.seq, length), when))
            if end.other.ack != UNKNOWN:
                self._add(self._flights[side], when, max(sequence.offset(end.next, end.other.ack), 0))
        if located.bits & ACK and end.other.first != UNKNOWN:
            self._acknowledge(seen, when)
        shift = scale(end)
        if shift != UNKNOWN and not located.bits & SYN:
            self._add(self._windows[side], when, located.window << shift)

    def _acknowledge(self, seen: Seen, when: int) -> None:
        """Add the points of an ACK: the number that it acknowledges, and the round-trip time it shows."""
        side = 1 - seen.end.side
        self._add(self._acked[side], when, sequence.offset(seen.located.ack, seen.end.other.first))
        outstanding = self._outstanding[side]
        while outstanding and sequence.le(outstanding[0][0], seen.located.ack):
            _, sent = outstanding.popleft()
            if not outstanding or sequence.gt(outstanding[0][0], seen.located.ack):
                self._add(self._trips[side], when, when - sent)

    def _add(self, points: list[Point], when: int, value: int) -> None:
        """Add a point, unless the curve has as many as are drawn."""
        if len(points) < MOST:
            points.append(Point(when, value))
        else:
            self.is_cut = True

    def render(self, language: str) -> str:
        """Return the charts as SVG, one below the other, to put into a web page."""
        numbers: list[Marks] = [("curve", self._acked), ("dots", self._sent), ("crosses", self._again)]
        windows: list[Marks] = [("curve", self._windows), ("dots", self._flights)]
        charts = [
            _Chart("numbers", (*self._sent, *self._again, *self._acked), numbers),
            _Chart("windows", (*self._windows, *self._flights), windows),
            _Chart("trips", self._trips, [("dots", self._trips)]),
        ]
        return "".join(
            _drawn(chart, self.connection.last - self.connection.began, language)
            for chart in charts
            if any(chart.points)
        )


Marks = tuple[str, tuple[list[Point], list[Point]]]


class _Chart(NamedTuple):
    """Chart to draw: its name, all its points, and how they are marked."""

    name: str
    points: tuple[list[Point], ...]
    marks: list[Marks]


def _drawn(chart: _Chart, took: int, language: str) -> str:
    """Return a chart as SVG."""
    highest = max(point.value for points in chart.points for point in points) or 1
    across, up = (_WIDE - _LEFT - 8) / max(took, 1), (_HIGH - _TOP - _BOTTOM) / highest
    parts = [
        element(
            "text",
            escaped(translations.say(translations.SENTENCES[chart.name], language)),
            x=0,
            y=14,
            class_="strong",
        ),
        *_axis(highest, took, up, is_time=chart.name == "trips"),
    ]
    for kind, both in chart.marks:
        parts += [
            _marked(kind, points, side, across, up)
            for side, points in zip(_SIDES, both, strict=True)
            if points
        ]
    return document(parts, _WIDE, _HIGH)


def _axis(highest: int, took: int, up: float, *, is_time: bool) -> list[str]:
    """Return the lines and numbers of both axes."""
    bottom, parts = _HIGH - _BOTTOM, list[str]()
    for part in (0, 1, 2):
        value = highest * part // 2
        y = bottom - value * up
        parts.append(element("line", x1=_LEFT, y1=y, x2=_WIDE, y2=y, class_="tick"))
        text = f"{value / MILLISECOND:.3f} ms" if is_time else f"{value:,}"
        parts.append(element("text", escaped(text), x=_LEFT - 6, y=y + 4, text_anchor="end", class_="muted"))
    for part in (0, 1, 2):
        moment = took * part // 2
        anchor = ("start", "middle", "end")[part]
        x = _LEFT + (_WIDE - _LEFT - 8) * part / 2
        parts.append(
            element(
                "text",
                escaped(f"{moment / SECOND:.3f} s"),
                x=x,
                y=_HIGH - 6,
                text_anchor=anchor,
                class_="muted",
            )
        )
    return parts


def _marked(kind: str, points: list[Point], side: str, across: float, up: float) -> str:
    """Return the points of one end as a curve, dots or crosses."""
    bottom = _HIGH - _BOTTOM
    places = [
        (round(_LEFT + point.when * across, 1), round(bottom - point.value * up, 1)) for point in points
    ]
    places = list(dict.fromkeys(places))  # points at the same pixel are drawn once
    if kind == "dots":
        return element("path", d="".join(f"M{x:g} {y:g}h.01" for x, y in places), class_=f"dots {side}")
    if kind == "crosses":
        return element(
            "path", d="".join(f"M{x - 3:g} {y - 3:g}l6 6m0 -6l-6 6" for x, y in places), class_="cross"
        )
    return element("path", d="M" + "L".join(f"{x:g} {y:g}" for x, y in places), class_=f"curve {side}")
