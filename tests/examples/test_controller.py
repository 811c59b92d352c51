"""The example of a controller runs, keeps a short queue, and passes the check."""

import re
import runpy
from pathlib import Path

import pytest

from postel.testing import check_congestion

EXAMPLE = Path(__file__).parents[2] / "examples" / "controller.py"


def test_it_is_short() -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) < 60


def test_it_keeps_to_the_contract() -> None:
    check_congestion(runpy.run_path(str(EXAMPLE), run_name="__main__")["Vegas"])


def test_it_fills_the_path_with_a_short_queue(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    cubic, vegas = [
        re.fullmatch(r"(\w+): (\S+) MB a second, (\d+) ms a round trip", line)
        for line in capsys.readouterr().out.splitlines()
    ]
    assert cubic
    assert vegas
    assert (cubic[1], vegas[1]) == ("cubic", "vegas")
    assert float(cubic[2]) > 1.1
    assert float(vegas[2]) > 1.1
    assert int(vegas[3]) < 30 < int(cubic[3])
