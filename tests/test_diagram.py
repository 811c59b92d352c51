"""The state diagram in docs is the one that the table draws."""

import subprocess
import sys
from pathlib import Path

from postel.tcp.state import EDGES

ROOT = Path(__file__).parent.parent
KEPT = ROOT / "docs" / "state-diagram.svg"


def test_the_state_diagram_is_up_to_date() -> None:
    drawn = subprocess.run(
        [sys.executable, ROOT / "tools" / "diagram.py"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    ).stdout
    assert drawn == KEPT.read_text(encoding="utf-8"), "python tools/diagram.py > docs/state-diagram.svg"


def test_every_edge_is_drawn_or_listed() -> None:
    text = KEPT.read_text(encoding="utf-8")
    listed = [number for number, *_ in EDGES if number.startswith("N") and f">{number}<" not in text]
    assert listed == []
    assert text.count('class="way"') == len([number for number, *_ in EDGES if number.startswith("F")])
