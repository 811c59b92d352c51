"""Draws the state diagram from the table that the program runs by.

    python tools/diagram.py > docs/state-diagram.svg

Drawn are the ways of RFC 9293's figure 5 (F…); those from its notes and from other RFCs (N…) stand below, sorted by the state they leave.
"""

import sys
from html import escape
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from postel.tcp.state import EDGES, State

WIDTH, BOX_WIDTH, BOX_HEIGHT = 1140, 150, 40
LEFT, MIDDLE, RIGHT = 220, 570, 920
LINE = 17

PLACES = {
    State.CLOSED: (MIDDLE, 40),
    State.LISTEN: (MIDDLE, 180),
    State.SYN_RECEIVED: (LEFT, 320),
    State.SYN_SENT: (RIGHT, 320),
    State.ESTABLISHED: (MIDDLE, 450),
    State.FIN_WAIT_1: (LEFT, 590),
    State.CLOSE_WAIT: (RIGHT, 590),
    State.FIN_WAIT_2: (LEFT, 740),
    State.CLOSING: (MIDDLE, 740),
    State.LAST_ACK: (RIGHT, 740),
    State.TIME_WAIT: (MIDDLE, 880),
}
END = (RIGHT, 880)  # CLOSED again, so that no arrow crosses the whole picture

# id: where it leaves and enters (offsets from the middles of the two boxes), and where its label stands (anchor, offset from its middle)
ROUTES = {
    "F1": ((-30, 20), (-30, -20), "end", (-8, 0)),
    "F3": ((30, -20), (30, 20), "start", (8, 0)),
    "F2": ((75, 0), (0, -20), "end", (62, -22)),
    "F6": ((50, -20), (75, -14), "start", (120, -78)),
    "F4": ((75, 6), (-75, -12), "start", (14, -20)),
    "F5": ((-75, 0), (20, -20), "end", (-24, -18)),
    "F9": ((60, -20), (-60, 20), "start", (16, 16)),
    "F7": ((-75, 4), (75, 4), "middle", (0, -26)),
    "F8": ((-30, 20), (75, -10), "start", (20, 8)),
    "F10": ((30, 20), (-75, -10), "end", (-20, 8)),
    "F11": ((-40, 20), (-40, -20), "end", (-8, 0)),
    "F12": ((-75, 10), (30, -20), "start", (14, 14)),
    "F13": ((75, 10), (-30, -20), "end", (-14, 14)),
    "F14": ((-40, 20), (-40, -20), "end", (-8, 0)),
    "F15": ((60, 20), (-50, -20), "start", (24, -12)),
    "F16": ((0, 20), (-75, 0), "end", (-24, 18)),
    "F17": ((0, 20), (0, -20), "start", (8, -6)),
    "F18": ((40, 20), (40, -20), "start", (8, 0)),
    "F19": ((40, 20), (40, -20), "start", (8, 0)),
    "F20": ((75, 0), (-75, 0), "middle", (0, -30)),
}

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1b2733; }
  .state rect { fill: #eaf2fb; stroke: #2b6cb0; stroke-width: 1.5; rx: 6; }
  .state text { font-weight: 600; text-anchor: middle; }
  .resting rect { fill: #dff3e4; stroke: #2f855a; }
  .way { fill: none; stroke: #4a5568; stroke-width: 1.4; marker-end: url(#head); }
  .label text, .notes text { stroke: #fff; stroke-width: 4px; paint-order: stroke; stroke-linejoin: round; }
  .action, .id { fill: #718096; }
  .heading { font-weight: 600; }
"""


def text(x: int, y: int, content: str, anchor: str = "start", kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x}" y="{y}" text-anchor="{anchor}">{escape(content)}</text>'


def box(name: str, place: tuple[int, int], kind: str) -> str:
    x, y = place
    corner = f'x="{x - BOX_WIDTH // 2}" y="{y - BOX_HEIGHT // 2}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6"'
    return f'<g class="state {kind}"><rect {corner}/>{text(x, y + 5, name, "middle")}</g>'


def way(number: str, before: State, event: str, action: str, after: State) -> str:
    """An arrow and its label: what happens, and below it in grey what is done."""
    leave, enter, anchor, offset = ROUTES[number]
    goes_to_end = after is State.CLOSED and PLACES[before][1] > PLACES[State.ESTABLISHED][1]
    (x1, y1), (x2, y2) = PLACES[before], END if goes_to_end else PLACES[after]
    x1, y1, x2, y2 = x1 + leave[0], y1 + leave[1], x2 + enter[0], y2 + enter[1]
    # CLOSED and SYN-SENT stand a corner apart: their ways go round it.
    path = {"F2": f"Q {x2} {y1} {x2} {y2}", "F6": f"Q {x1} {y2} {x2} {y2}"}.get(number, f"L {x2} {y2}")
    x, y = (x1 + x2) // 2 + offset[0], (y1 + y2) // 2 + offset[1]
    label = text(x, y, event, anchor) + (text(x, y + LINE, action, anchor, "action") if action else "")
    return f'<path class="way" d="M {x1} {y1} {path}"/><g class="label">{label}</g>'


def notes(top: int) -> tuple[list[str], int]:
    """The ways that figure 5 doesn't draw, in two columns, and the height that they need."""
    lines: list[tuple[str, str, str]] = []
    for state in State:
        leaving = [edge for edge in EDGES if edge[1] is state and not edge[0].startswith("F")]
        lines += [("heading", "", f"{state}")] if leaving else []
        lines += [("", number, f"{event} → {done(action)}{after}") for number, _, event, action, after in leaving]
    half = next(index for index in range(len(lines) // 2, len(lines)) if lines[index][0])
    drawn = []
    for index, (kind, number, content) in enumerate(lines):
        column, row = divmod(index, half) if index < half else (1, index - half)
        x, y = 40 + column * WIDTH // 2, top + row * LINE
        drawn.append(text(x, y, content, kind=kind) if kind else text(x + 14, y, number, kind="id") + text(x + 48, y, content))
    return drawn, top + max(half, len(lines) - half) * LINE


def done(action: str) -> str:
    return f"{action} → " if action else ""


def svg() -> str:
    ways = [way(*edge) for edge in EDGES if edge[0].startswith("F")]
    resting = {State.CLOSED, State.LISTEN, State.ESTABLISHED}
    boxes = [box(str(state), place, "resting" if state in resting else "") for state, place in PLACES.items()]
    listed, height = notes(985)
    triangle = '<path d="M0 0 L9 4.5 L0 9 z" fill="#4a5568"/>'
    head = f'<marker id="head" markerWidth="9" markerHeight="9" refX="8" refY="4.5" orient="auto">{triangle}</marker>'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height + 10}" width="{WIDTH}" height="{height + 10}">',
            "<title>The states of a TCP connection (RFC 9293, figure 5, and its notes)</title>",
            f"<style>{STYLE}</style><defs>{head}</defs>",
            '<rect width="100%" height="100%" fill="#fff"/>',
            *ways,
            *boxes,
            box("CLOSED", END, "resting"),
            text(40, 955, "Ways that figure 5 leaves out: its notes, RFC 1122, 1337, 5961 and 6191", kind="heading"),
            '<g class="notes">',
            *listed,
            "</g>",
            "</svg>",
            "",
        ]
    )


if __name__ == "__main__":
    sys.stdout.write(svg())
