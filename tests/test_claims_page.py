"""docs/claims.md says what the experiments find."""

from pathlib import Path

from tools.claims import page

KEPT = Path(__file__).parent.parent / "docs" / "claims.md"


def test_the_page_of_claims_is_up_to_date() -> None:
    assert page() == KEPT.read_text(encoding="utf-8"), "python tools/claims.py > docs/claims.md"
