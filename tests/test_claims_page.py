"""docs/claims.md and the READMEs say what the experiments find."""

import pytest

from tools.claims import PAGE, READMES, page, readme

MENDING = "python tools/claims.py"


def test_the_page_of_claims_is_up_to_date() -> None:
    assert page() == PAGE.read_text(encoding="utf-8"), MENDING


@pytest.mark.parametrize("language", READMES)
def test_the_claims_in_a_readme_are_up_to_date(language: str) -> None:
    text = READMES[language].read_text(encoding="utf-8")
    assert text.count("<!-- claims -->") == 1
    assert readme(language) == text, MENDING
