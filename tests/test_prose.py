"""Comments and docstrings of the repository: a segment, a connection or a function is not a person."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = ("postel", "tests", "tools", "bench", "examples")
SOURCES = sorted(
    [*(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")), *ROOT.glob("*.py")]
)
PERSONS = re.compile(r"\b(who|whom|whose|nobody|somebody)\b", re.IGNORECASE)
QUOTED = re.compile(r'"[^"]*"|“[^”]*”|``[^`]*``')  # the words of an RFC, or of a program's output


def prose(source: str) -> Iterator[tuple[int, str]]:
    """Line numbers, and the comments and docstrings that begin there."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text is not None:
                yield node.body[0].lineno, text


def persons(source: str) -> list[str]:
    return [
        f"{line}: {found[0]}"
        for line, text in prose(source)
        for found in PERSONS.finditer(QUOTED.sub("", text))
    ]


def test_no_thing_is_called_a_person() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): words
        for path in SOURCES
        if (words := persons(path.read_text(encoding="utf-8")))
    }
    assert found == {}


def test_the_words_are_found() -> None:
    comment = '"""Where somebody looks on."""\n\nX = 1  # whose\n'
    quotation = '\n\ndef f():\n    """As the RFC says: "for those who"."""\n'
    assert persons(comment + quotation) == ["3: whose", "1: somebody"]
