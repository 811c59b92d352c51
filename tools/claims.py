"""Try every claim of the lab, and write what was found into the page that lists them.

    python tools/claims.py

It fails where a verdict is not the one of the table.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from postel.lab import Claim, Text, claims, run, words

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "claims.md"
SECTION = re.compile(r"(\d+)(?: (\d+(?:\.\d+)*))?")
RFC = "https://www.rfc-editor.org/rfc/rfc"
HEAD = """# What tutorials say

Claims of tutorials about TCP's handshake, data, congestion control and close. Each was tried on the stack
itself, in virtual time; the column *found* says what was found.
教程中关于 TCP 握手、数据传输、拥塞控制与挥手的说法，逐一在真实的协议栈上（虚拟时间中）做实验，结论如下。

`postel lab --find WORDS` finds claims by the words that people use, such as `"syn flood"` or `粘包`. `postel
lab run NAME` shows the experiment; `--drop 2`, `--set msl=30s` and other options interfere with it.
`tools/claims.py` runs all experiments and writes this page: don't edit it.

*holds* 成立 · *caveat* 有例外 · *myth* 误解 · *changed* 已改变 (by a later RFC)
"""


def page() -> str:
    found = list(claims().values())
    groups = list(dict.fromkeys(claim.group for claim in found))
    tables = [
        "\n".join(table(words()[group], [claim for claim in found if claim.group == group]))
        for group in groups
    ]
    return "\n".join([HEAD, *tables])


def table(title: Text, found: list[Claim]) -> Iterator[str]:
    yield f"## {title.en} · {title.zh}\n"
    yield "| | claim · 说法 | verdict · 结论 | found · 发现 | RFC |"
    yield "|---|---|---|---|---|"
    for claim in found:
        report = run(claim.id)
        if not report.agrees:
            raise SystemExit(f"{claim.id}: {report.verdict} was found, {claim.verdict} is in the table")
        verdict = f"**{claim.verdict}** {words()[str(claim.verdict)].zh}"
        cells = [
            f'<a id="{claim.id}"></a>`{claim.id}`',
            both(claim.text),
            verdict,
            both(claim.note),
            reference(claim.rfc),
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""


def both(text: Text) -> str:
    return f"{text.en}<br>{text.zh}".replace("|", "\\|")


def reference(text: str) -> str:
    """The RFC, and its section where the first thing named is one."""
    match = SECTION.match(text)
    if match is None:
        raise SystemExit(f"{text!r} is no RFC")
    number, section = match.groups()
    return f"[{text}]({RFC}{number}{f'#section-{section}' if section else ''})"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
