"""Connections as lines of text, and as plain data for JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any, Final

from postel.times import MILLISECOND, SECOND
from postel.view.capture import translations
from postel.view.capture.case import Finding, Story
from postel.view.capture.connection import Connection
from postel.view.capture.pace import Pace
from postel.view.capture.sent import UNKNOWN
from postel.view.width import left, right, width, wrap
from postel.wire.address import to_text

Row = tuple[str, ...]
_TO_THE_RIGHT: Final = ("number", "handshake", "sent", "received", "again")
_CAN_WAIT: Final = ("handshake", "options", "zeek")
_INDENT: Final = " " * 6
_NARROWEST: Final = 30
UNLIMITED: Final = 1 << 20  # width, in columns, that stands for lines without a limit
# Widths of the columns if rows are printed as they come, when the widest row isn't known yet
LEAST_WIDTHS: Final = (4, 43, 10, 30, 10, 10, 5, 14, 0)


def heads(language: str) -> Row:
    """Return the titles of the columns."""
    return tuple(translations.say(texts, language) for texts in translations.COLUMNS.values())


def row(connection: Connection, language: str) -> Row:
    """Return a cell for each of `translations.COLUMNS`."""
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
    """Return a time as text, in milliseconds or seconds; "" for UNKNOWN."""
    if length == UNKNOWN:
        return ""
    return f"{length / MILLISECOND:.3f} ms" if length < SECOND else f"{length / SECOND:.3f} s"


def widths(rows: list[Row]) -> list[int]:
    """Return the width that each column of the table needs for these rows, in columns of the terminal."""
    return [max(map(width, column)) for column in zip(*rows, strict=True)]


def line(cells: Row, sizes: Sequence[int] = LEAST_WIDTHS, room: int = UNLIMITED) -> str:
    """Return one row as text. If it is wider than ``room``, some cells (`_CAN_WAIT`) go to a second line."""
    padded = {
        column: right(cell, size) if column in _TO_THE_RIGHT else left(cell, size)
        for cell, size, column in zip(cells, sizes, translations.COLUMNS, strict=True)
    }
    if room == UNLIMITED or sum(map(width, padded.values())) + 2 * len(padded) <= room:
        return "  ".join(padded.values()).rstrip()
    above = "  ".join(cell for column, cell in padded.items() if column not in _CAN_WAIT).rstrip()
    below = "  ".join(
        text for column, cell in padded.items() if column in _CAN_WAIT and (text := cell.strip())
    )
    return f"{above}\n{_INDENT}{below}"


def indented(text: str, room: int = UNLIMITED) -> str:
    """Return text that belongs to the row above, wrapped to ``room`` columns."""
    if room == UNLIMITED:
        return _INDENT + text
    return "\n".join(_INDENT + part for part in wrap(text, max(room - len(_INDENT), _NARROWEST)))


def finding_text(finding: Finding, language: str) -> str:
    """Return a finding as text: ``#4, #7: 10.0.0.1:80: sent again … – RFC 6298, 5.4``."""
    numbers = ", ".join(f"#{number}" for number in finding.packets)
    if finding.count > len(finding.packets):
        left = finding.count - len(finding.packets)
        numbers += f" ({translations.say(translations.SENTENCES['more'], language, count=left)})"
    rule = translations.rule(finding)
    return (
        f"{numbers}: {finding.by.endpoint}: "
        f"{translations.of_finding(finding, language)}{f' – {rule}' if rule else ''}"
    )


def story_texts(story: Story, language: str) -> list[str]:
    """Return texts about a connection: its times, then each finding, or that nothing is unusual."""
    texts = [] if story.pace is None else [pace_text(story.pace, language)]
    texts += [finding_text(finding, language) for finding in story.findings]
    return texts if story.findings else [*texts, _say(language, "nothing unusual")]


def filter_text(connection: Connection, language: str) -> str:
    """Return a line that says with which display filter Wireshark shows this connection."""
    return _say(language, "filter", filter=display_filter(connection))


def pace_text(pace: Pace, language: str) -> str:
    """Return when the connection began, how long it took, and what that was spent on, in one line."""
    connection = pace.connection
    began = datetime.fromtimestamp(connection.began / SECOND, UTC)
    parts = [_say(language, "took", began=f"{began:%Y-%m-%d %H:%M:%S.%f}", took=duration(pace.duration))]
    if opening := pace.opening():
        whole, waited, round_trip = map(duration, opening)
        key = "connected again" if opening[1] else "connected"
        parts.append(_say(language, key, whole=whole, waited=waited, round_trip=round_trip))
    for end, arrow in zip(connection.ends, "→←", strict=True):
        if trips := pace.round_trips(end.side):
            least, middle, most = map(duration, trips)
            parts.append(
                _say(language, "round trips", end=end.other.endpoint, least=least, median=middle, most=most)
            )
        if end.data:
            share = f"{pace.share_sent_again(end.side):.1%}"
            parts.append(
                _say(
                    language,
                    "moved",
                    arrow=arrow,
                    rate=f"{pace.rate(end.side):,}",
                    flight=f"{pace.flight(end.side):,}",
                    share=share,
                )
            )
        if count := pace.full(end.side):
            parts.append(_say(language, "window full", arrow=arrow, count=count))
        if shut := pace.shut_time(end.side):
            parts.append(_say(language, "shut", end=end.endpoint, time=duration(shut)))
    if pace.answers:
        parts.append(
            _say(
                language,
                "answers",
                median=duration(int(median(pace.answers))),
                most=duration(max(pace.answers)),
            )
        )
    if pace.longest is not None:
        key = f"longest: {pace.longest.kind}" if pace.longest.kind else "longest"
        parts.append(_say(language, key, length=duration(pace.longest.length), end=pace.longest.by.endpoint))
    return "; ".join(parts)


def _say(language: str, key: str, **values: object) -> str:
    """Return a sentence in a language."""
    return translations.say(translations.SENTENCES[key], language, **values)


def display_filter(connection: Connection) -> str:
    """Return the display filter with which Wireshark shows only this connection."""
    one, two = (end.endpoint for end in connection.ends)
    kind = "ip" if len(one.address) == 4 else "ipv6"
    first, last = (f"{moment / SECOND:.6f}" for moment in (connection.began, connection.last + 1))
    ends = " && ".join(
        f"{kind}.addr == {to_text(end.address)} && tcp.port == {end.port}" for end in (one, two)
    )
    return f"{ends} && frame.time_epoch >= {first} && frame.time_epoch <= {last}"


def record(connection: Connection, story: Story | None, language: str) -> dict[str, Any]:
    """Return a connection as plain data for JSON.

    Durations are in microseconds, points in time in microseconds since 1970. What the capture doesn't show is
    None.
    """
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
        "filter": display_filter(connection),
    }
    if story is not None:
        data["pace"] = None if story.pace is None else _of_pace(story.pace)
        data["findings"] = [
            {
                "what": finding.kind,
                "by": str(finding.by.endpoint),
                "count": finding.count,
                "packets": finding.packets,
                "rule": translations.rule(finding),
                "text": translations.of_finding(finding, language),
            }
            for finding in story.findings
        ]
    return data


def _of_pace(pace: Pace) -> dict[str, Any]:
    """Return the times of a connection as plain data."""
    opening, longest = pace.opening(), pace.longest
    silence = (
        None
        if longest is None
        else {"length": longest.length, "packet": longest.number, "waited_for": longest.kind or None}
    )
    if silence is not None and longest is not None:
        silence["end"] = str(longest.by.endpoint)
    return {
        "duration": pace.duration,
        "opening": None
        if opening is None
        else dict(zip(("whole", "waited_to_send_again", "round_trip"), opening, strict=True)),
        "answers": {"median": int(median(pace.answers)), "most": max(pace.answers)} if pace.answers else None,
        "longest_silence": silence,
        "opener": _pace_of_end(pace, 0),
        "other": _pace_of_end(pace, 1),
    }


def _pace_of_end(pace: Pace, side: int) -> dict[str, Any]:
    """Return the times of one end as plain data.

    ``round_trips`` are times from the capture to the other end and back, in microseconds.
    """
    trips = pace.round_trips(side)
    return {
        "octets_a_second": pace.rate(side),
        "round_trips": None if trips is None else dict(zip(("least", "median", "most"), trips, strict=True)),
        "largest_flight": pace.flight(side),
        "window_full": pace.full(side),
        "zero_window_time": pace.shut_time(side),
        "share_sent_again": round(pace.share_sent_again(side), 4),
    }


def _of_end(connection: Connection, side: int) -> dict[str, Any]:
    """Return the counts of one end as plain data."""
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
