"""Columns that a text takes on a terminal, where a Chinese character takes two."""

import re
from functools import lru_cache
from typing import Final
from unicodedata import combining, east_asian_width

_PAINT: Final = re.compile("\033\\[[0-9;]*m")
_NOT_ASCII: Final = re.compile("[^\0-\x7f]")
_TO_ASCII: Final = str.maketrans(
    {"“": '"', "”": '"', "’": "'", "…": "...", "′": "'", "–": "-", "→": "->", "µ": "u"}
)


def width(text: str) -> int:
    """Number of columns of a text.

    A character of ambiguous width, such as an arrow, counts as one column, as in today's terminals. Escapes
    for colours count as none.
    """
    if "\033" in text:
        text = _PAINT.sub("", text)
    if text.isascii():
        return len(text)
    return len(text) + sum(_columns(character) - 1 for character in _NOT_ASCII.findall(text))


@lru_cache(1024)
def _columns(character: str) -> int:
    if combining(character) or character in "\u200b\u200c\u200d\ufe0f":
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def plain(text: str) -> str:
    """Replace the characters of an English text that ASCII lacks, such as quotation marks and arrows."""
    return text.translate(_TO_ASCII)


def left(text: str, columns: int, fill: str = " ") -> str:
    """Pad a text on its right to ``columns`` columns; return a longer text unchanged."""
    return text + fill * (columns - width(text))


def right(text: str, columns: int, fill: str = " ") -> str:
    """Pad a text on its left to ``columns`` columns; return a longer text unchanged."""
    return fill * (columns - width(text)) + text


def wrap(text: str, columns: int) -> list[str]:
    """Break a text into lines of at most ``columns`` columns.

    Breaks are at spaces and between Chinese characters; a word longer than a line is cut.
    """
    lines: list[str] = []
    line = ""
    for piece in _pieces(text):
        if line and width(line) + width(piece.rstrip()) > columns:
            lines.append(line.rstrip())
            line = ""
        line += piece if line or piece.strip() else ""
        while width(line.rstrip()) > columns:
            head = _head(line, columns)
            lines.append(head)
            line = line[len(head) :]
    if line.strip():
        lines.append(line.rstrip())
    return lines


_NEVER_FIRST = "，。；：！？、）】》”’"  # closing punctuation never begins a line
_NEVER_LAST = "（【《“‘"  # opening punctuation never ends a line


def _pieces(text: str) -> list[str]:
    """Split a text where a line may break: into words with their spaces, and single wide characters."""
    pieces: list[str] = []
    for character in text:
        wide = _columns(character) == 2
        joins = bool(pieces) and (
            character in _NEVER_FIRST
            or character == " "
            or pieces[-1][-1] in _NEVER_LAST
            or not (wide or pieces[-1][-1] == " " or _columns(pieces[-1][-1]) == 2)
        )
        if joins:
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces


def _head(text: str, columns: int) -> str:
    taken = 0
    for index, character in enumerate(text):
        taken += _columns(character)
        if taken > columns:
            return text[: max(index, 1)]
    return text
