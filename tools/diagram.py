"""Draws the state diagram from the table that the program runs by.

    python tools/diagram.py > docs/state-diagram.svg

Drawn are the ways of RFC 9293's figure 5 (F…); those from its notes and from other RFCs (N…) stand below,
sorted by the state they leave.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from postel.tcp.state import EDGES, State
from postel.view.svg import diagram, palette
from postel.view.svg.element import document, element, escaped

WIDTH, TOP = diagram.LARGE_SIZE
LINE = 17


def notes(top: int) -> tuple[list[str], int]:
    """The ways that figure 5 doesn't draw, in two columns, and the height that they need."""
    lines: list[tuple[str, str, str]] = []
    for state in State:
        leaving = [edge for edge in EDGES if edge[1] is state and not edge[0].startswith("F")]
        lines += [("strong", "", f"{state}")] if leaving else []
        lines += [
            ("", number, f"{event} → {done(action)}{after}") for number, _, event, action, after in leaving
        ]
    half = next(index for index in range(len(lines) // 2, len(lines)) if lines[index][0])
    drawn = []
    for index, (kind, number, content) in enumerate(lines):
        column, row = divmod(index, half) if index < half else (1, index - half)
        x, y = 40 + column * WIDTH // 2, top + row * LINE
        drawn.append(
            text(x, y, content, kind) if kind else text(x + 14, y, number, "id") + text(x + 48, y, content)
        )
    return drawn, top + max(half, len(lines) - half) * LINE


def text(x: int, y: int, content: str, kind: str | None = None) -> str:
    return element("text", escaped(content), x=x, y=y, class_=kind)


def done(action: str) -> str:
    return f"{action} → " if action else ""


def svg() -> str:
    listed, height = notes(TOP + 75)
    heading = text(
        40, TOP + 45, "Ways that figure 5 leaves out: its notes, RFC 1122, 1337, 5961 and 6191", "strong"
    )
    title = "The states of a TCP connection (RFC 9293, figure 5, and its notes)"
    beneath = element("g", heading, *listed, class_="large")
    return document([diagram.plain(), beneath], WIDTH, height + 10, style=palette.for_picture(), title=title)


if __name__ == "__main__":
    sys.stdout.write(svg())
