"""Words of a script (tokens), with the numbers of their lines for error messages."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from postel.errors import ScriptError

_KINDS: Final = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<comment>//[^\n]*|/\*.*?\*/)
    | (?P<code>%\{.*?\}%)
    | (?P<command>`[^`]*`)
    | (?P<string>"[^"\n]*")
    | (?P<option>--[A-Za-z_0-9]+(?:=[^\n]*)?)
    | (?P<ellipsis>\.\.\.)
    | (?P<hex>0[xX][0-9a-fA-F]+)
    | (?P<decimal>\d*\.\d+|\d+\.(?=\s))
    | (?P<integer>\d+)
    | (?P<word>[A-Za-z_][A-Za-z_0-9]*)
    | (?P<mark>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_DIRECTIVE: Final = re.compile(r"\s*#\s*(ifdef|ifndef|else|endif)\b\s*(\w*)")
_IGNORED: Final = ("space", "comment")


@dataclass(frozen=True, slots=True)
class Token:
    """Word of the script: its kind, text and line, and where it starts and ends in the whole text."""

    kind: str
    text: str
    line: int
    start: int
    end: int


END_OF_SCRIPT: Final = "end"
TOO_DEEP: Final = "this is nested too deeply"  # message of a parser that has run out of stack


def tokens(text: str, defined: Collection[str] = ()) -> list[Token]:
    """Tokens of a script, without comments and without the lines that ``#ifdef`` removes.

    ``defined`` has the names that ``#ifdef`` finds defined. The last token is END_OF_SCRIPT.
    """
    text = _chosen(text, defined)
    found = []
    line = 1
    for match in _KINDS.finditer(text):
        kind = match.lastgroup or ""
        if kind not in _IGNORED:
            found.append(Token(kind, match.group(), line, match.start(), match.end()))
        line += match.group().count("\n")
    found.append(Token(END_OF_SCRIPT, "", line, len(text), len(text)))
    return found


def _chosen(text: str, defined: Collection[str]) -> str:
    """Text in which the lines that ``#ifdef`` removes are empty, so that other lines keep their numbers."""
    lines = []
    conditions: list[bool] = []
    for number, line in enumerate(text.split("\n"), 1):
        directive = _DIRECTIVE.match(line)
        if directive is None:
            lines.append(line if all(conditions) else "")
            continue
        lines.append("")
        word, name = directive.groups()
        if word in ("ifdef", "ifndef"):
            conditions.append((name in defined) == (word == "ifdef"))
        elif not conditions:
            raise ScriptError(number, f"#{word}", "no #ifdef before this")
        elif word == "else":
            conditions[-1] = not conditions[-1]
        else:
            conditions.pop()
    if conditions:
        raise ScriptError(len(lines), "#ifdef", "no #endif for it")
    return "\n".join(lines)
