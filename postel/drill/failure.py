"""How a script ends that doesn't pass: the stack did something else, or the runner doesn't understand the script."""

from typing import Final

from postel.errors import PostelError

TOO_DEEP: Final = "this is nested too deeply"


class ScriptError(PostelError):
    """A script that can't be understood: where, and at which word. Never a verdict on the stack."""

    def __init__(self, line: int, word: str, why: str) -> None:
        super().__init__(f"{why} at {word!r}" if word else why)
        self.line = line
        self.word = word


class Failure(PostelError):
    """The stack did something else than the script says. ``word`` is the part of the line that differs."""

    def __init__(self, line: int, field: str, expected: object, actual: object, word: str = "") -> None:
        super().__init__(f"{field}: expected {expected}, actual {actual}")
        self.line = line
        self.field = field
        self.expected = expected
        self.actual = actual
        self.word = word
