"""One HTML page with all that is known of a capture: the table, the findings, and each connection's ladder. It loads nothing."""

from html import escape
from typing import Final

from postel.view import ladder
from postel.view.capture import report, words
from postel.view.capture.report import Row
from postel.view.flow import Flow
from postel.view.trace import Trace

_MOST_LADDERS: Final = 200
_STYLE: Final = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #8884; vertical-align: top }
pre { overflow-x: auto; font: 13px/1.25 ui-monospace, monospace; padding: .8rem; background: #8881 }
ul { margin: 0; padding-left: 1.2rem; color: #a50 }
summary { cursor: pointer }
"""


def of(connections: list[tuple[Row, list[str]]], trace: Trace, language: str) -> str:
    """``connections`` are rows of the table, each with the texts of its findings."""
    heads = "".join(f"<th>{escape(head)}</th>" for head in report.heads(language))
    body = "".join(_of_connection(row, findings) for row, findings in connections)
    ladders = "".join(_of_ladder(trace, flow, language) for flow in trace.flows[:_MOST_LADDERS] if flow.packets)
    return (
        f'<!doctype html>\n<html lang="{language}">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n'
        f"<title>TCP</title>\n<style>{_STYLE}</style>\n<h1>TCP</h1>\n"
        f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n{ladders}</html>\n"
    )


def _of_connection(row: Row, findings: list[str]) -> str:
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in row)
    items = "".join(f"<li>{escape(finding)}</li>" for finding in findings)
    below = f'<tr><td></td><td colspan="{len(words.COLUMNS) - 1}"><ul>{items}</ul></td></tr>\n' if items else ""
    return f"<tr>{cells}</tr>\n{below}"


def _of_ladder(trace: Trace, flow: Flow, language: str) -> str:
    drawn = escape(ladder.render(trace, connection=flow.number, language=language))
    title = escape(" → ".join(str(end) for end in flow.ends))
    return f"<details><summary>#{flow.packets[0].number}: {title}</summary><pre>{drawn}</pre></details>\n"
