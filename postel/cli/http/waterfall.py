"""Bars that show how long each step of a fetch took, one below the other on one scale.

::

    http://www.example.org/                                        200, 305 octets
      DNS       █████████████                                             20.000 ms
      connect                ██████████████                               20.000 ms
"""

from collections.abc import Iterable
from typing import Final

from postel.cli.http.fetch import CLOSE, CONNECT, CONTENT, DNS, TLS, WAIT, Step, Visit
from postel.errors import ArgumentError
from postel.times import MILLISECOND, SECOND
from postel.view.notes import LANGUAGES
from postel.view.width import left, right, width

NARROWEST: Final = 60
_LENGTH: Final = 11  # columns for the duration beside a bar, such as "999.999 ms"
_WORDS: Final = {
    DNS: ("DNS", "域名解析"),
    CONNECT: ("connect", "TCP 握手"),
    TLS: ("TLS", "TLS 握手"),
    WAIT: ("wait", "等待响应"),
    CONTENT: ("content", "接收内容"),
    CLOSE: ("close", "TCP 挥手"),
    "total": ("total", "合计"),
    "got": ("{status}, {octets} octets", "{status}，{octets} 字节"),
    "nothing": ("no response", "没有响应"),
}
_TO_ASCII: Final = str.maketrans("█▒…", "#x~")


def render(
    visits: Iterable[Visit], *, columns: int = 80, language: str = "en", ascii_only: bool = False
) -> str:
    """Draw the visits, at most ``columns`` wide (60 or more). A step that failed is drawn lighter."""
    if columns < NARROWEST:
        raise ArgumentError("columns", columns, f"{NARROWEST} or more")
    shown = [visit for visit in visits if visit.steps]
    if not shown:
        return ""
    begin = shown[0].steps[0].begin
    span = max(max(step.end for visit in shown for step in visit.steps) - begin, 1)
    labels = max(width(_say(key, language)) for key in _WORDS if key not in ("got", "nothing"))
    room = columns - labels - 4 - 1 - _LENGTH
    lines = []
    for visit in shown:
        lines.append(_heading(visit, columns, language))
        lines += [
            _row(
                _say(step.name, language), _bar(step, begin, span, room), step.end - step.begin, labels, room
            )
            for step in visit.steps
        ]
    lines.append(_row(_say("total", language), "", span, labels, room))
    text = "\n".join(lines)
    return text.translate(_TO_ASCII) if ascii_only else text


def _say(key: str, language: str) -> str:
    return _WORDS[key][LANGUAGES.index(language)]


def _heading(visit: Visit, columns: int, language: str) -> str:
    url = str(visit.where)
    got = _say("got" if visit.status else "nothing", language).format(
        status=visit.status, octets=visit.octets
    )
    most = columns - width(got) - 2
    return left(url if len(url) <= most else url[: most - 1] + "…", most + 2) + got


def _bar(step: Step, begin: int, span: int, room: int) -> str:
    start = min((step.begin - begin) * room // span, room - 1)
    stop = max(-(-(step.end - begin) * room // span), start + 1)
    return " " * start + ("▒" if step.failed else "█") * (stop - start)


def _row(label: str, bar: str, length: int, labels: int, room: int) -> str:
    return f"  {left(label, labels)}  {left(bar, room)} {right(_duration(length), _LENGTH)}".rstrip()


def _duration(length: int) -> str:
    return f"{length / MILLISECOND:.3f} ms" if length < SECOND else f"{length / SECOND:.3f} s "
