"""The example of a client that pays twice: what Hypothesis finds in it; its page shows it as it is."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "pay_twice.py"


def code() -> str:
    text = EXAMPLE.read_text(encoding="utf-8")
    return text[text.index("import asyncio") :]


def test_it_is_short_and_its_page_has_it() -> None:
    assert len(code().splitlines()) <= 60
    assert code() in (ROOT / "docs" / "pay-twice.md").read_text(encoding="utf-8")


def test_hypothesis_finds_one_partition_one_way(capsys: pytest.CaptureFixture[str]) -> None:
    names = runpy.run_path(str(EXAMPLE), run_name="__main__")
    out = capsys.readouterr().out
    found = re.match(r"partition client -> shop at [\d.]+ms for (3\.2\d*)s – paid at (\S+) (\S+) s\n", out)
    assert found, out
    first, second = float(found[2]), float(found[3])
    assert 5 < first < second < 10
    assert names["payments"]([]) == [0.03]
