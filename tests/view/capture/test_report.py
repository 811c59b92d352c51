"""Lines for a terminal: what has no room stands below."""

import pytest

from postel.view.capture import report
from postel.view.width import width
from postel.wire.segment import ACK, PSH
from tests.view.capture.tape import Tape

TAPE = Tape().handshake().left(ACK | PSH, 1, 1, b"x").close(2)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_row_where_there_is_room_and_where_there_isn_t(language: str) -> None:
    row = report.row(TAPE.connection(), language)
    sizes = report.widths([report.heads(language), row])
    whole = report.line(row, sizes)
    assert "\n" not in whole
    assert report.line(row, sizes, room=width(whole) + 2) == whole
    above, below = report.line(row, sizes, room=80).splitlines()
    assert max(width(above), width(below)) <= 80
    assert sorted((above + " " + below).split()) == sorted(whole.split())
    assert below == "      2.000 ms  mss=1460/1460 ws=7/7 sack ts  SF ShADFaf"


def test_a_finding_is_broken_at_spaces() -> None:
    assert report.indented("a finding") == "      a finding"
    lines = report.indented("word " * 40, room=40).splitlines()
    assert len(lines) > 1
    assert all(line.startswith("      word") and len(line) <= 40 for line in lines)
