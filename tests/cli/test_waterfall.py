"""Bars of steps, as wide as they lasted."""

import pytest

from postel.cli.http import client, waterfall
from postel.cli.http.fetch import CLOSE, CONNECT, CONTENT, DNS, WAIT, Step, Visit
from postel.errors import ArgumentError
from postel.times import MILLISECOND
from postel.view.width import width

WHERE = client.target("http://www.example.org/")


def visit(*steps: tuple[str, int, int], url: str = "http://www.example.org/", status: int = 200) -> Visit:
    return Visit(
        client.target(url),
        [Step(name, begin * MILLISECOND, end * MILLISECOND) for name, begin, end in steps],
        status,
        305,
    )


ONE = visit(
    (DNS, 1000, 1100), (CONNECT, 1100, 1300), (WAIT, 1300, 1400), (CONTENT, 1400, 1400), (CLOSE, 1400, 1500)
)


def test_one_visit_in_80_columns() -> None:
    text = """\
http://www.example.org/                                          200, 305 octets
  DNS      ############                                               100.000 ms
  connect             ########################                        200.000 ms
  wait                                       ############             100.000 ms
  content                                               #               0.000 ms
  close                                                 ############  100.000 ms
  total                                                               500.000 ms"""
    assert waterfall.render([ONE], ascii_only=True) == text
    assert waterfall.render([ONE]) == text.replace("#", "█")


def test_visits_stand_on_one_scale_and_what_failed_is_lighter() -> None:
    again = visit((DNS, 1500, 2500), status=0)
    again.steps[0].failed = True
    lines = waterfall.render([ONE, again], columns=60, ascii_only=True).splitlines()
    assert lines[0].endswith("200, 305 octets")
    assert lines[6:] == [
        "http://www.example.org/                          no response",
        "  DNS                  xxxxxxxxxxxxxxxxxxxxxxxxx    1.000 s",
        "  total                                             1.500 s",
    ]


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_line_is_wider_than_told(columns: int, language: str) -> None:
    long = visit((DNS, 0, 3), (CONNECT, 3, 100_000), url="http://www.example.org/" + "x" * 200, status=0)
    lines = waterfall.render([ONE, long], columns=columns, language=language).splitlines()
    assert max(map(width, lines)) <= columns


def test_where_nothing_happened_nothing_is_drawn() -> None:
    assert waterfall.render([Visit(WHERE)]) == ""
    with pytest.raises(ArgumentError, match="columns is 59"):
        waterfall.render([ONE], columns=59)
