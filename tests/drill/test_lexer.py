"""A script's words, with their lines."""

import pytest

from postel.drill.lexer import END_OF_SCRIPT, tokens
from postel.errors import ScriptError


def words(text: str, *defined: str) -> list[tuple[str, int]]:
    return [(token.text, token.line) for token in tokens(text, defined) if token.kind != END_OF_SCRIPT]


def kinds(text: str) -> list[str]:
    return [token.kind for token in tokens(text)]


def test_comments_leave_the_lines_as_they_are() -> None:
    assert words("a // b\n/* c\n d */ e") == [("a", 1), ("e", 3)]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("0.25", "decimal"),
        (".25", "decimal"),
        ("17", "integer"),
        ("0x1F", "hex"),
        ("sackOK", "word"),
        ('"text"', "string"),
        ("`sysctl -w a=1 // no comment`", "command"),
        ("%{ assert 1 }%", "code"),
        ("...", "ellipsis"),
        ("--mtu=72", "option"),
        (">", "mark"),
        ("'", "mark"),
    ],
)
def test_each_kind(text: str, kind: str) -> None:
    assert kinds(text) == [kind, END_OF_SCRIPT]


def test_a_range_of_times_is_not_one_number() -> None:
    assert [text for text, _ in words("0.10...0.20")] == ["0.10", "...", "0.20"]


def test_what_is_not_defined_is_left_out() -> None:
    text = "a\n#ifdef X\nb\n#else\nc\n#endif\n#ifndef X\nd\n#endif\ne"
    assert words(text, "X") == [("a", 1), ("b", 3), ("e", 10)]
    assert words(text) == [("a", 1), ("c", 5), ("d", 8), ("e", 10)]


@pytest.mark.parametrize(("text", "line"), [("\n#endif", 2), ("#ifdef X\n", 2), ("#else", 1)])
def test_conditions_come_in_pairs(text: str, line: int) -> None:
    with pytest.raises(ScriptError) as caught:
        tokens(text)
    assert caught.value.line == line
