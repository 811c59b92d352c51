"""How far a search is: every way of showing it passes the outcomes on."""

import pytest

from postel.search import progress
from postel.search.records import FAILED, PASSED, Outcome

OUTCOMES = [Outcome(seed, FAILED if seed % 3 == 0 else PASSED) for seed in range(20)]


@pytest.mark.parametrize("show", [progress._bar, progress._text])
def test_the_outcomes_are_passed_on(show: object) -> None:
    assert callable(show)
    assert list(show(iter(OUTCOMES), 5, 2, 25)) == OUTCOMES


def test_a_brief_search_without_a_terminal_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress.shown(iter(OUTCOMES), done=0, failed=0, total=20)) == OUTCOMES
    assert capsys.readouterr().err == ""
