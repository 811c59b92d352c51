"""One HTML page with all that is known of a capture: the table, the findings, and each connection's ladder. It loads nothing."""

from html import escape
from typing import Final

from postel.view.capture import report, translations
from postel.view.capture.report import Row
from postel.view.flow import Flow
from postel.view.svg import ladder, palette
from postel.view.trace import Trace

_MOST_LADDERS: Final = 200
_STYLE: Final = """
body { padding-top: 28px }
h1 { margin-bottom: 18px }
thead th { white-space: nowrap }
td:first-child { color: var(--muted) }
details { border-bottom: 1px solid var(--rule); padding: 6px 0 }
details:first-of-type { margin-top: 32px }
details svg.postel { margin: 12px 0; max-width: 860px; width: 100% }
"""


def of(connections: list[tuple[Row, list[str]]], trace: Trace, language: str, *, unfold: bool = False) -> str:
    """``connections`` are rows of the table, each with the texts of its findings; ``unfold`` as in `ladder.render`."""
    heads = "".join(f"<th>{escape(head)}</th>" for head in report.heads(language))
    body = "".join(_of_connection(row, findings) for row, findings in connections)
    flows = [flow for flow in trace.flows[:_MOST_LADDERS] if flow.packets]
    ladders = "".join(_of_ladder(flow, language, unfold=unfold, is_alone=len(flows) == 1) for flow in flows)
    return (
        f'<!doctype html>\n<html lang="{language}">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n'
        f"<title>TCP</title>\n<style>{palette.for_page()}{_STYLE}</style>\n<h1>TCP</h1>\n"
        f'<div class="wide"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n{ladders}</html>\n'
    )


def _of_connection(row: Row, findings: list[str]) -> str:
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in row)
    items = "".join(f"<li>{escape(finding)}</li>" for finding in findings)
    columns = len(translations.COLUMNS) - 1
    below = f'<tr><td></td><td colspan="{columns}"><ul class="finding">{items}</ul></td></tr>\n' if items else ""
    return f"<tr>{cells}</tr>\n{below}"


def _of_ladder(flow: Flow, language: str, *, unfold: bool, is_alone: bool) -> str:
    drawn = ladder.render([flow], language=language, unfold=unfold, in_page=True)
    title = escape(" → ".join(str(end) for end in flow.ends))
    numbers = f"#{flow.packets[0].number}–#{flow.packets[-1].number}"
    opened = " open" if is_alone else ""
    return f'<details{opened}><summary>{title} ({numbers})</summary><div class="wide">{drawn}</div></details>\n'
