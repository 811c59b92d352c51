"""A position in the tokens of a script, with the checks that a parser needs."""

from typing import Final

from postel.drill.lexer import END_OF_SCRIPT, Token
from postel.errors import ScriptError
from postel.times import SECOND

LONGEST_NUMBER: Final = 100  # limit of the digits of a number


class Cursor:
    """Reader of tokens, one after another."""

    def __init__(self, tokens: list[Token]) -> None:
        """Begin at the first token."""
        self._tokens = tokens
        self._at = 0

    @property
    def token(self) -> Token:
        """Token at this position."""
        return self._tokens[self._at]

    @property
    def line(self) -> int:
        """Line number of the token."""
        return self.token.line

    @property
    def at_end(self) -> bool:
        """Whether all tokens are read."""
        return self.token.kind == END_OF_SCRIPT

    def ahead(self, count: int) -> Token:
        """Token that is ``count`` tokens ahead, or the last."""
        return self._tokens[min(self._at + count, len(self._tokens) - 1)]

    def refusal(self, why: str) -> ScriptError:
        """Error that names this line and token."""
        return ScriptError(self.line, self.token.text.partition("\n")[0], why)

    def next(self) -> Token:
        """Return the token at this position, and go on to the next one."""
        token = self.token
        self._at += not self.at_end
        return token

    def sees(self, *texts: str) -> bool:
        """Whether the token is one of these texts."""
        return self.token.text in texts and self.token.kind in ("mark", "word", "ellipsis")

    def takes(self, text: str) -> bool:
        """Whether the token is ``text``; if so, go on to the next."""
        found = self.sees(text)
        if found:
            self.next()
        return found

    def expect(self, text: str) -> None:
        """Go on to the next token if this token is ``text``. Raises ScriptError if it isn't."""
        if not self.takes(text):
            raise self.refusal(f"expected {text!r}")

    def word(self) -> str:
        """Read a word. Raises ScriptError."""
        if self.token.kind != "word":
            raise self.refusal("expected a word")
        return self.next().text

    def number(self) -> int:
        """Read a decimal or hexadecimal number, perhaps negative. Raises ScriptError."""
        sign = 1
        while self.takes("-"):
            sign = -sign
        if self.token.kind not in ("integer", "hex"):
            raise self.refusal("expected a number")
        self._require_length()
        token = self.next()
        return sign * int(token.text, 16 if token.kind == "hex" else 10)

    def _require_length(self) -> None:
        """Raise ScriptError if the number has more than 100 digits.

        Python raises ValueError for numbers with some thousand digits.
        """
        if len(self.token.text) > LONGEST_NUMBER:
            raise ScriptError(
                self.line,
                f"{self.token.text[:LONGEST_NUMBER]}…",
                f"a number has at most {LONGEST_NUMBER} digits here",
            )

    def seconds(self) -> int:
        """Read a time in seconds, and return it in microseconds. Raises ScriptError."""
        if self.token.kind not in ("decimal", "integer"):
            raise self.refusal("expected a time")
        self._require_length()
        whole, _, fraction = self.next().text.partition(".")
        return int(whole or "0") * SECOND + int(f"{fraction[:6]:0<6}")

    def joined(self) -> str:
        """Read tokens with no spaces between them as one text, up to a space or one of ``,><)]``.

        Flags such as ``S.`` and octets such as ``0a1b`` are written so.
        """
        first = self.token
        text = ""
        end = first.start
        while not self.at_end and self.token.start == end and not self.sees(",", ">", "<", ")", "]"):
            end = self.token.end
            text += self.next().text
        if not text:
            raise self.refusal("expected something")
        return text
