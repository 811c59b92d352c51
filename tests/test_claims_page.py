"""docs/claims.md says what the experiments find."""

from tools.claims import PAGE, page


def test_the_page_of_claims_is_up_to_date() -> None:
    assert page() == PAGE.read_text(encoding="utf-8"), "python tools/claims.py"
