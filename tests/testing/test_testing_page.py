"""What docs/testing.md shows passes: its programs as a module of tests."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent.parent / "docs" / "testing.md"
pytest_plugins = ["pytester"]


def test_the_tests_of_the_page_pass(pytester: pytest.Pytester) -> None:
    pytest.importorskip("cryptography")
    programs = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    pytester.makepyfile("\n\n".join(program for program in programs if "print(" not in program))
    done = pytester.runpytest_inprocess(
        "-p", "pytest_postel", "-p", "no:cacheprovider", "-p", "no:asyncio", "-q"
    )
    done.assert_outcomes(passed=1 + 20 + 1 + 1 + 5 + 1)


@pytest.mark.postel(sealed=False, runs=1)
async def test_a_mark_may_leave_python_as_it_is(world: object) -> None:
    import time  # noqa: PLC0415

    assert time.time() > 1_780_000_000
