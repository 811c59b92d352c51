"""Connections as lines of text, and as plain data for JSON."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from postel.times import MILLISECOND, SECOND
from postel.view.capture import translations
from postel.view.capture.case import Finding
from postel.view.capture.connection import Connection
from postel.view.capture.sent import UNKNOWN
from postel.view.width import left, right, width, wrap

Row = tuple[str, ...]
_TO_THE_RIGHT: Final = ("number", "handshake", "sent", "received", "again")
_CAN_WAIT: Final = ("handshake", "options", "zeek")
_INDENT: Final = " " * 6
_NARROWEST: Final = 30
UNLIMITED: Final = 1 << 20  # columns
LEAST_WIDTHS: Final = (4, 43, 10, 30, 10, 10, 5, 14, 0)  # of the columns, for rows that come one by one


def heads(language: str) -> Row:
    return tuple(translations.say(texts, language) for texts in translations.COLUMNS.values())


def row(connection: Connection, language: str) -> Row:
    """A cell for each of `translations.COLUMNS`."""
    one, two = connection.ends
    zeek = connection.zeek
    return (
        str(connection.number),
        f"{one.endpoint} → {two.endpoint}",
        duration(connection.handshake_time),
        " ".join(connection.agreed()),
        f"{one.data:,}",
        f"{two.data:,}",
        str(one.retransmissions + two.retransmissions),
        translations.say(translations.CLOSINGS[connection.closing], language),
        f"{zeek.state} {zeek.history}",
    )


def duration(length: int) -> str:
    if length == UNKNOWN:
        return ""
    return f"{length / MILLISECOND:.3f} ms" if length < SECOND else f"{length / SECOND:.3f} s"


def widths(rows: list[Row]) -> list[int]:
    """What the columns need."""
    return [max(map(width, column)) for column in zip(*rows, strict=True)]


def line(cells: Row, sizes: Sequence[int] = LEAST_WIDTHS, room: int = UNLIMITED) -> str:
    """One row; where there isn't room for so many columns of text, what can wait stands below."""
    padded = {
        column: right(cell, size) if column in _TO_THE_RIGHT else left(cell, size)
        for cell, size, column in zip(cells, sizes, translations.COLUMNS, strict=True)
    }
    if sum(map(width, padded.values())) + 2 * len(padded) <= room:
        return "  ".join(padded.values()).rstrip()
    above = "  ".join(cell for column, cell in padded.items() if column not in _CAN_WAIT).rstrip()
    below = "  ".join(text for column, cell in padded.items() if column in _CAN_WAIT and (text := cell.strip()))
    return f"{above}\n{_INDENT}{below}"


def indented(text: str, room: int = UNLIMITED) -> str:
    """What belongs to the row above."""
    if room == UNLIMITED:
        return _INDENT + text
    return "\n".join(_INDENT + part for part in wrap(text, max(room - len(_INDENT), _NARROWEST)))


def finding_text(finding: Finding, language: str) -> str:
    """``#4, #7: 10.0.0.1:80: sent again … – RFC 6298, 5.4``."""
    numbers = ", ".join(f"#{number}" for number in finding.packets)
    if finding.count > len(finding.packets):
        numbers += f" ({translations.say(translations.SENTENCES['more'], language, count=finding.count - len(finding.packets))})"
    rule = translations.rule(finding)
    return f"{numbers}: {finding.by.endpoint}: {translations.of_finding(finding, language)}{f' – {rule}' if rule else ''}"


def record(connection: Connection, findings: Iterable[Finding] | None, language: str) -> dict[str, Any]:
    """Times in microseconds, since 1970 where they are moments; None where a thing wasn't seen."""
    data: dict[str, Any] = {
        "number": connection.number,
        "opener": _of_end(connection, 0),
        "other": _of_end(connection, 1),
        "began": connection.began,
        "ended": connection.last,
        "handshake_time": None if connection.handshake_time == UNKNOWN else connection.handshake_time,
        "agreed": connection.agreed(),
        "closing": connection.closing.value,
        "conn_state": connection.zeek.state,
        "history": connection.zeek.history,
        "completeness": connection.completeness,
    }
    if findings is not None:
        data["findings"] = [
            {
                "what": finding.kind,
                "by": str(finding.by.endpoint),
                "count": finding.count,
                "packets": finding.packets,
                "rule": translations.rule(finding),
                "text": translations.of_finding(finding, language),
            }
            for finding in findings
        ]
    return data


def _of_end(connection: Connection, side: int) -> dict[str, Any]:
    end = connection.ends[side]
    return {
        "endpoint": str(end.endpoint),
        "packets": end.packets,
        "frame_octets": end.octets,
        "octets": end.data,
        "retransmissions": end.retransmissions,
        "zero_windows": end.zero_windows,
        "resets": end.resets,
    }
