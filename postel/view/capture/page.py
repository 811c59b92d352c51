"""HTML page about a capture, which needs no other file.

The page has the table of connections, their findings, and ladders and curves of chosen connections.
"""

from dataclasses import dataclass
from html import escape
from typing import Final

from postel.view.capture import report, translations
from postel.view.capture.curves import Curves
from postel.view.capture.report import Row
from postel.view.flow import Flow
from postel.view.svg import ladder, palette

MOST_DRAWN: Final = 200  # largest number of connections with a ladder
MOST_PACKETS: Final = 20_000  # largest number of packets in all ladders together
_STYLE: Final = """
body { padding-top: 28px }
h1 { margin-bottom: 18px }
thead th { white-space: nowrap }
td:first-child { color: var(--muted) }
details { border-bottom: 1px solid var(--rule); padding: 6px 0 }
details:first-of-type { margin-top: 32px }
details svg.postel { margin: 12px 0; max-width: 860px; width: 100% }
.curves .curve { fill: none; stroke-width: 1.2 }
.curves .curve.first, .curves .dots.first { stroke: var(--first) }
.curves .curve.second, .curves .dots.second { stroke: var(--second) }
.curves .dots { fill: none; stroke-width: 3; stroke-linecap: round }
"""
_SCRIPT: Final = """<script>
const reveal = () => {
  const found = document.querySelector(location.hash || null)
  if (found) found.open = true
}
addEventListener("hashchange", reveal); if (location.hash) reveal()
</script>
"""


@dataclass(slots=True)
class Drawn:
    """Connection that has pictures on the page."""

    number: int
    flow: Flow
    curves: Curves | None


def of(
    connections: list[tuple[Row, list[str]]], drawn: list[Drawn], language: str, *, unfold: bool = False
) -> str:
    """Return the HTML text of the page.

    ``connections`` are rows of the table, each with the texts of its findings; ``unfold`` is as in
    `ladder.render`.
    """
    heads = "".join(f"<th>{escape(head)}</th>" for head in report.heads(language))
    numbers = {str(one.number) for one in drawn}
    body = "".join(_of_connection(row, findings, is_drawn=row[0] in numbers) for row, findings in connections)
    pictures = "".join(_of_drawn(one, language, unfold=unfold, is_alone=len(drawn) == 1) for one in drawn)
    left = len(connections) - len(drawn)
    unseen = translations.say(translations.SENTENCES["not drawn"], language, count=f"{left:,}")
    note = f"<p>{escape(unseen)}</p>\n" if left > 0 else ""
    return (
        f'<!doctype html>\n<html lang="{language}">\n<meta charset="utf-8">\n<meta name="viewport" '
        'content="width=device-width">\n'
        f"<title>TCP</title>\n<style>{palette.for_page()}{_STYLE}</style>\n<h1>TCP</h1>\n"
        f'<div class="wide"><table>\n<thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{body}</tbody>\n</table></div>\n"
        f"{note}{pictures}{_SCRIPT}</html>\n"
    )


def _of_connection(row: Row, findings: list[str], *, is_drawn: bool) -> str:
    """Return the row of a connection, and below it its findings."""
    number = f'<a href="#c{row[0]}">{row[0]}</a>' if is_drawn else escape(row[0])
    cells = f"<td>{number}</td>" + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
    items = "".join(f"<li>{escape(finding)}</li>" for finding in findings)
    columns = len(translations.COLUMNS) - 1
    below = (
        f'<tr><td></td><td colspan="{columns}"><ul class="finding">{items}</ul></td></tr>\n' if items else ""
    )
    return f"<tr>{cells}</tr>\n{below}"


def _of_drawn(one: Drawn, language: str, *, unfold: bool, is_alone: bool) -> str:
    """Return the pictures of a connection, which the reader has to unfold unless they are the only ones."""
    flow = one.flow
    drawn = ladder.render([flow], language=language, unfold=unfold, in_page=True)
    curves = "" if one.curves is None else one.curves.render(language)
    title = f"{one.number}: " + escape(" → ".join(str(end) for end in flow.ends))
    numbers = f"#{flow.packets[0].number}–#{flow.packets[-1].number}"
    opened = " open" if is_alone else ""
    return (
        f'<details id="c{one.number}"{opened}><summary>{title} ({numbers})</summary>'
        f'<div class="wide">{drawn}</div><div class="wide curves">{curves}</div></details>\n'
    )
