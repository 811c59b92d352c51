"""Puts what the documents' programs print into the ``text`` blocks that follow them.

python tools/printed.py README.md docs/*.md
"""

import io
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

PROGRAM = re.compile(r"^```python\n(.*?)^```$(?:(\s*```text\n)(.*?)^```$)?", re.MULTILINE | re.DOTALL)


def printed(program: str, page: str, line: int) -> str:
    """Runs it. Errors tell their line in ``page``."""
    output = io.StringIO()
    with redirect_stdout(output):
        # Our own documents
        exec(compile("\n" * line + program, page, "exec"), {"__name__": "shown"})  # noqa: S102
    return output.getvalue()


def refreshed(text: str, page: str) -> str:
    """The page as it should be. A program that nothing follows must print nothing."""

    def replacement(match: re.Match[str]) -> str:
        program, opening, _ = match.groups()
        output = printed(program, page, text.count("\n", 0, match.start(1)))
        opening = opening or ("\n\n```text\n" if output else "")
        shown = f"{opening}{output}```" if opening else ""
        return f"```python\n{program}```{shown}"

    return PROGRAM.sub(replacement, text)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(refreshed(path.read_text(encoding="utf-8"), name), encoding="utf-8")
