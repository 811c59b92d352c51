"""Where the scripts lie: our own, and a suite of others where somebody put it beside the repository."""

from pathlib import Path

TESTS = Path(__file__).parent.parent
OWN = sorted((TESTS / "scripts").rglob("*.pkt"))
SHARED = TESTS.parent.parent / "shared" / "pkt"
FREEBSD = SHARED / "freebsd"


def classes() -> dict[str, str]:
    """Of each script of the suite, by its path: core, policy or optional."""
    table = FREEBSD.with_suffix(".tsv")
    if not table.exists():
        return {}
    rows = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines()[1:]]
    return {row[0]: row[1] for row in rows}
