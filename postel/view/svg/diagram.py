"""State diagram as SVG, laid out as figure 5 of RFC 9293, with the states that each end passed.

Theory of operation
-------------------

The arrows are the edges of `EDGES`, the table of legal transitions by which the state machine runs. Edges
F1 to F20 are those of the figure and are always drawn. The others (N1, N2, …) are drawn only where an end
took them.

Boxes stand on a grid of columns and rows (``_PLACES``); a `Scale` says how many pixels the grid is wide and
high. CLOSED stands twice, at the top and at the bottom right, so that no arrow crosses the whole figure. An
arrow to CLOSED goes to the nearer one (`_target`)::

    row 0                     CLOSED
    row 1                     LISTEN
    row 2    SYN-RECEIVED                  SYN-SENT
    row 3                   ESTABLISHED
    row 4    FIN-WAIT-1                    CLOSE-WAIT
    row 5    FIN-WAIT-2       CLOSING      LAST-ACK
    row 6                    TIME-WAIT     CLOSED

An arrow is a quadratic Bézier curve with an arrowhead. A `_Route` says at which points of the two boxes the
arrow begins and ends, in half widths and half heights from the middle: (-0.4, 1) lies on the lower edge, a
bit left of the middle. The control point lies half way, so that the arrow is straight; where it lies at a
corner (``_CORNERS``), the arrow goes round that corner. Edges outside the figure have no route and are drawn
as a bow from edge to edge (`_direct`).

The steps of the opener have the marks A1, A2, …, those of the other end B1, B2, …. The marks stand on the
boxes' lower edges, and the lists below the figure say what led to each step.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from postel.tcp.state import EDGES, State
from postel.view import caption, states
from postel.view.flow import Change, Flow
from postel.view.svg import palette
from postel.view.svg.element import document, element, escaped

# Column and row of each state's box in the grid
_PLACES: Final = {
    State.CLOSED: (1, 0),
    State.LISTEN: (1, 1),
    State.SYN_RECEIVED: (0, 2),
    State.SYN_SENT: (2, 2),
    State.ESTABLISHED: (1, 2.93),
    State.FIN_WAIT_1: (0, 3.93),
    State.CLOSE_WAIT: (2, 3.93),
    State.FIN_WAIT_2: (0, 5),
    State.CLOSING: (1, 5),
    State.LAST_ACK: (2, 5),
    State.TIME_WAIT: (1, 6),
}
_END: Final = (2, 6)  # column and row of the second CLOSED
Edge = tuple[str, State, str, str, State]  # a row of `EDGES`: id, state before, event, action, state after
END: Final = "END"  # the name of the second CLOSED in ``data-state``


class _Route(NamedTuple):
    """Points at which an arrow leaves one box and enters another, and the position of its words.

    ``leave`` and ``enter`` are in half widths and half heights of a box from its middle. ``offset`` of the
    words is in pixels from the arrow's middle, and ``anchor`` is their ``text-anchor`` in SVG.
    """

    leave: tuple[float, float]
    enter: tuple[float, float]
    anchor: str
    offset: tuple[int, int]


_ROUTES: Final = {
    "F1": _Route((-0.4, 1), (-0.4, -1), "end", (-8, 0)),
    "F3": _Route((0.4, -1), (0.4, 1), "start", (8, 0)),
    "F2": _Route((1, 0), (0, -1), "end", (62, -22)),
    "F6": _Route((0.67, -1), (1, -0.7), "start", (120, -78)),
    "F4": _Route((1, 0.3), (-1, -0.6), "start", (14, -20)),
    "F5": _Route((-1, 0), (0.27, -1), "end", (-24, -18)),
    "F9": _Route((0.8, -1), (-0.8, 1), "start", (16, 16)),
    "F7": _Route((-1, 0.2), (1, 0.2), "middle", (0, -26)),
    "F8": _Route((-0.4, 1), (1, -0.5), "start", (20, 8)),
    "F10": _Route((0.4, 1), (-1, -0.5), "end", (-20, 8)),
    "F11": _Route((-0.53, 1), (-0.53, -1), "end", (-8, 0)),
    "F12": _Route((-1, 0.5), (0.4, -1), "start", (14, 14)),
    "F13": _Route((1, 0.5), (-0.4, -1), "end", (-14, 14)),
    "F14": _Route((-0.53, 1), (-0.53, -1), "end", (-8, 0)),
    "F15": _Route((0.8, 1), (-0.67, -1), "start", (24, -12)),
    "F16": _Route((0, 1), (-1, 0), "end", (-24, 18)),
    "F17": _Route((0, 1), (0, -1), "start", (8, -6)),
    "F18": _Route((0.53, 1), (0.53, -1), "start", (8, 0)),
    "F19": _Route((0.53, 1), (0.53, -1), "start", (8, 0)),
    "F20": _Route((1, 0), (-1, 0), "middle", (0, -30)),
}
# CLOSED and SYN-SENT differ in column and row, so the arrows between them go round a corner. The corner lies
# in the column where the arrow enters, or where it leaves.
_CORNERS: Final = {
    "F2": "enter",
    "F6": "leave",
}


class Scale(NamedTuple):
    """Sizes in pixels: middle of the first box, distances of columns and rows, half width and height."""

    left: int
    top: int
    column: int
    row: int
    half: tuple[int, int]


LARGE: Final = Scale(220, 40, 350, 140, (75, 20))
SMALL: Final = Scale(47, 18, 109, 56, (45, 12))
LARGE_SIZE: Final = (1140, 910)
SMALL_SIZE: Final = (312, 370)
_LINE: Final = 17
_GAP: Final = 34  # pixels between the figure and the lists of steps below it
_HEAD: Final = 9.0  # length of an arrowhead, in pixels
_AWAY: Final = 4.0  # where both ends took the same arrow: pixels by which each drawn arrow moves sideways


def render(flows: Iterable[Flow] = ()) -> str:
    """Draw a diagram and a list of steps for each connection, or the bare diagram if there is none.

    Returns an SVG document. Flows without changes of state are left out.
    """
    y, parts = 0.0, []
    for flow in [flow for flow in flows if flow.changes]:
        parts.append(element("g", *_of_flow(flow), class_="large", transform=f"translate(0 {y:g})"))
        y += _height(flow)
    if not parts:
        parts, y = [plain()], LARGE_SIZE[1]
    return document(parts, LARGE_SIZE[0], y, style=palette.for_picture(), title="RFC 9293, figure 5")


def of_state(state: State) -> str:
    """Draw the small diagram with one state highlighted, as an SVG document."""
    return document(small([], state), *SMALL_SIZE, style=palette.for_picture())


def plain() -> str:
    """Draw the large diagram without marks of any end: arrows, words and boxes, as an SVG group."""
    ways = [way(_named(name), LARGE, words=True) for name in _ROUTES]
    return element("g", *ways, *(box(state, LARGE, "") for state in [*_PLACES, None]), class_="large plain")


def small(changes: Sequence[Change], initial: State | None) -> list[str]:
    """Draw the small diagram of one end, without words.

    Returns SVG elements. The state that the end is in is highlighted; states and arrows that the end passed
    are marked.
    """
    taken = {states.edge(change)[0] for change in changes}
    path = ["" if initial is None else str(initial), *map(goal, changes)]
    ways = [
        way(_named(name), SMALL, "taken" if name in taken else "") for name in (*_ROUTES, *_beside(taken))
    ]
    boxes = []
    for state in [*_PLACES, None]:
        name = str(state or END)
        is_passed, is_here = name in path, name == path[-1]
        boxes.append(
            box(
                state,
                SMALL,
                f"{palette.phase(state)}{' passed' if is_passed else ''}{' lit' if is_here else ''}",
            )
        )
    return [*ways, *boxes]


def goal(change: Change) -> str:
    """Name of the box that a change of state leads to; for CLOSED, that of the nearer of its two boxes."""
    return str(_target(change.before, change.after) or END)


def _beside(taken: set[str]) -> list[str]:
    """Ids of those edges of ``taken`` that figure 5 of RFC 9293 leaves out."""
    return sorted(taken - set(_ROUTES) - {""})


def _named(name: str) -> Edge:
    return next(edge for edge in EDGES if edge[0] == name)


# One connection, both ends


def _of_flow(flow: Flow) -> Iterator[str]:
    sides = [[change for change in flow.changes if change.at == end] for end in flow.ends]
    taken = [{states.edge(change)[0] for change in changes} for changes in sides]
    for name in (*_ROUTES, *_beside(taken[0] | taken[1])):
        yield way(_named(name), LARGE, words=True)
        both = name in taken[0] and name in taken[1]
        for index in (0, 1):
            if name in taken[index]:
                kind = "taken by-second" if index else "taken"
                yield way(_named(name), LARGE, kind, shift=(_AWAY if index else -_AWAY) * both)
    badges = [_marks(flow, index) for index in (0, 1)]
    passed = {name for marks in badges for name in marks}
    for state in [*_PLACES, None]:
        yield box(state, LARGE, "passed" if str(state or END) in passed else "")
        for index, marks in enumerate(badges):
            yield from _badges(state, marks.get(str(state or END), []), index)
    yield from _steps(flow, sides)


def _marks(flow: Flow, index: int) -> dict[str, list[str]]:
    """Marks of one end (``A0``, ``A1`` and so on) by the name of the box that it was in."""
    letter, end = "AB"[index], flow.ends[index]
    initial = flow.initial_state(end)
    marks = {} if initial is None else {str(initial): [f"{letter}0"]}
    for number, change in enumerate([change for change in flow.changes if change.at == end], 1):
        marks.setdefault(goal(change), []).append(f"{letter}{number}")
    return marks


def _badges(state: State | None, marks: list[str], index: int) -> Iterator[str]:
    """Draw an end's marks on the lower edge of a box.

    The opener's marks begin at the left of the edge, the other end's at the right.
    """
    x, y = _place(state, LARGE)
    for number, mark in enumerate(reversed(marks) if index else marks):
        wide = 7 * len(mark) + 8
        at = (
            x - LARGE.half[0] + 6 + number * (wide + 3)
            if index == 0
            else x + LARGE.half[0] - 6 - wide - number * (wide + 3)
        )
        plate = element("rect", x=at, y=y + LARGE.half[1] - 7, width=wide, height=14, rx=4)
        kind = "badge by-second" if index else "badge"
        yield element(
            "g", plate, element("text", mark, x=at + wide / 2, y=y + LARGE.half[1] + 4), class_=kind
        )


def _steps(flow: Flow, sides: Sequence[Sequence[Change]]) -> Iterator[str]:
    """Draw two columns of text: for each end, the number, time and cause of each change of state."""
    start = flow.packets[0].sent_at if flow.packets else flow.changes[0].when
    for index, (end, changes) in enumerate(zip(flow.ends, sides, strict=True)):
        x, y = 40 + index * LARGE_SIZE[0] // 2, LARGE_SIZE[1] + _GAP
        name = f"{'AB'[index]}  {flow.names.get(end, '')} {end}"
        yield element("text", escaped(name), x=x, y=y, class_=f"title {'second' if index else 'first'}")
        for number, change in enumerate(changes, 1):
            y += _LINE
            yield element("text", escaped(f"{'AB'[index]}{number}"), x=x, y=y, class_="code strong")
            yield element(
                "text",
                escaped(caption.clock(change.when - start).strip()),
                x=x + 100,
                y=y,
                class_="code muted",
                text_anchor="end",
            )
            yield element("text", escaped(states.step(change)), x=x + 112, y=y)


def _height(flow: Flow) -> int:
    rows = max(sum(change.at == end for change in flow.changes) for end in flow.ends)
    return LARGE_SIZE[1] + _GAP + (rows + 2) * _LINE


# Boxes and arrows


def _place(state: State | None, scale: Scale) -> tuple[float, float]:
    column, row = _END if state is None else _PLACES[state]
    return scale.left + column * scale.column, scale.top + row * scale.row


def box(state: State | None, scale: Scale, kind: str) -> str:
    """Draw the box of a state; None stands for the second CLOSED."""
    x, y = _place(state, scale)
    wide, high = scale.half
    rect = element("rect", x=x - wide, y=y - high, width=2 * wide, height=2 * high, rx=min(high / 2, 6))
    name = element(
        "text", escaped(state or State.CLOSED), x=x, y=y + (5 if scale is LARGE else 4), class_="strong"
    )
    return element("g", rect, name, class_=f"state {kind}".strip(), data_state=state or END)


def way(edge: Edge, scale: Scale, kind: str = "", *, words: bool = False, shift: float = 0.0) -> str:
    """Draw an arrow, and if ``words`` is true its event and, below that in grey, its action.

    ``kind`` has further CSS classes, and ``shift`` is by how many pixels the arrow moves sideways.
    """
    name, before, event, action, after = edge
    is_drawn = name in _ROUTES
    x1, y1, x2, y2, bend = _course(name, before, after, scale) if is_drawn else _direct(before, after, scale)
    along_x, along_y = _unit(x2 - bend[0], y2 - bend[1])
    x1, y1, x2, y2 = x1 - along_y * shift, y1 + along_x * shift, x2 - along_y * shift, y2 + along_x * shift
    path = f"M{x1:.1f} {y1:.1f}Q{bend[0]:.1f} {bend[1]:.1f} {x2 - along_x * 4:.1f} {y2 - along_y * 4:.1f}"
    long = _HEAD if scale is LARGE else 6.5
    base_x, base_y = x2 - along_x * long, y2 - along_y * long
    corners = " ".join(
        f"{base_x + turn * along_y * long / 2:.1f},{base_y - turn * along_x * long / 2:.1f}"
        for turn in (1, -1)
    )
    parts = [
        element("title", escaped(f"{before} → {after}: {event}{' / ' + action if action else ''}")),
        element("path", d=path),
        element("polygon", points=f"{x2:.1f},{y2:.1f} {corners}"),
    ]
    if words and is_drawn:
        parts += _words(name, event, action, ((x1 + x2) / 2, (y1 + y2) / 2))
    return element(
        "g", *parts, class_=" ".join(["way", *([] if is_drawn else ["beside"]), *kind.split()]), data_way=name
    )


def _words(name: str, event: str, action: str, middle: tuple[float, float]) -> Iterator[str]:
    route = _ROUTES[name]
    x, y = middle[0] + route.offset[0], middle[1] + route.offset[1]
    yield element("text", escaped(event), x=x, y=y, class_="halo", text_anchor=route.anchor)
    yield (
        element("text", escaped(action), x=x, y=y + _LINE - 2, class_="halo muted", text_anchor=route.anchor)
        if action
        else ""
    )


_Course = tuple[float, float, float, float, tuple[float, float]]


def _course(name: str, before: State, after: State, scale: Scale) -> _Course:
    """Start, end and control point of an arrow that figure 5 has."""
    route = _ROUTES[name]
    x1, y1 = _place(before, scale)
    x2, y2 = _place(_target(before, after), scale)
    x1, y1 = x1 + route.leave[0] * scale.half[0], y1 + route.leave[1] * scale.half[1]
    x2, y2 = x2 + route.enter[0] * scale.half[0], y2 + route.enter[1] * scale.half[1]
    corner = _CORNERS.get(name)
    if corner is None:
        return x1, y1, x2, y2, ((x1 + x2) / 2, (y1 + y2) / 2)
    return x1, y1, x2, y2, ((x2, y1) if corner == "enter" else (x1, y2))


def _direct(before: State, after: State, scale: Scale) -> _Course:
    """Start, end and control point of an arrow that figure 5 leaves out: a bow from box to box."""
    x1, y1 = _place(before, scale)
    x2, y2 = _place(_target(before, after), scale)
    if (x1, y1) == (x2, y2):  # the state stays the same: draw a loop at the corner
        x, y = x1 + scale.half[0], y1 - scale.half[1]
        return x - 14, y, x, y + 12, (x + 16, y - 14)
    bow = 0.12
    bend = (x1 + x2) / 2 + (y2 - y1) * bow, (y1 + y2) / 2 - (x2 - x1) * bow
    (x1, y1), (x2, y2) = _edge_of((x1, y1), bend, scale), _edge_of((x2, y2), bend, scale)
    return x1, y1, x2, y2, bend


def _edge_of(middle: tuple[float, float], towards: tuple[float, float], scale: Scale) -> tuple[float, float]:
    """Point where the line from a box's middle to ``towards`` leaves the box."""
    dx, dy = towards[0] - middle[0], towards[1] - middle[1]
    part = min(scale.half[0] / abs(dx) if dx else 1e9, scale.half[1] / abs(dy) if dy else 1e9)
    return middle[0] + dx * part, middle[1] + dy * part


def _target(before: State, after: State) -> State | None:
    """State of the box that an arrow enters, or None for the second CLOSED, where that is nearer."""
    return None if after is State.CLOSED and _PLACES[before][1] >= _PLACES[State.ESTABLISHED][1] else after


def _unit(dx: float, dy: float) -> tuple[float, float]:
    length = (dx * dx + dy * dy) ** 0.5 or 1.0
    return dx / length, dy / length
