"""The ``%{ … }%`` blocks compute what Python computes, or say that they don't."""

import contextlib
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.drill import code
from postel.errors import ScriptError, ScriptFailed

NAMES = {"tcpi_rto": 200_000, "tcpi_unacked": 3, "zero": 0}
ATOMS = st.sampled_from(["0", "1", "7", "-3", "2.5", "True", "None", *NAMES])
UNARY = ("+", "-", "~", "not ")
BINARY = (
    "+",
    "-",
    "*",
    "//",
    "/",
    "%",
    "&",
    "|",
    "^",
    "<<",
    ">>",
    "and",
    "or",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
)
# Whether two equal numbers are one object is left to the interpreter
SINGLETONS = st.sampled_from(["None", "True", "False"])


def deeper(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{}({})".format, st.sampled_from(UNARY), parts),
        st.builds("({}) {} ({})".format, parts, st.sampled_from(BINARY), parts),
        st.builds("({}) {} {}".format, parts, st.sampled_from(("is", "is not")), SINGLETONS),
        st.builds("({}) if ({}) else ({})".format, parts, parts, parts),
        st.builds("({}) in [{}, {}]".format, parts, parts, parts),
        st.builds("({}) not in ({}, {})".format, parts, parts, parts),
        st.builds("({}) < ({}) <= ({})".format, parts, parts, parts),
    )


def outcome(text: str) -> object:
    names: dict[str, object] = dict(NAMES)
    code.execute(f"x = {text}", names, 1)
    return names["x"]


@given(text=st.recursive(ATOMS, deeper, max_leaves=12))
def test_an_expression_has_the_value_that_python_gives_it_or_none(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns of "is" with a literal
        try:
            wanted = eval(text, {}, dict(NAMES))
        except (ArithmeticError, TypeError, ValueError, MemoryError):
            with pytest.raises(ScriptError):
                outcome(text)
            return
        try:
            found = outcome(text)
        except ScriptError as error:
            assert "isn't supported" in str(error)
            return
    assert (type(found), found) == (type(wanted), wanted)


@pytest.mark.parametrize(
    "text", ["assert +1 == 1", "assert ~0 == -1", "assert -(-1) == 1", "x = y = +5\nassert x == y == 5"]
)
def test_an_assertion_that_holds(text: str) -> None:
    code.execute(text, {}, 1)


def test_an_operand_that_does_not_matter_is_not_computed() -> None:
    code.execute("assert zero == 0 or 1 // zero\nassert not (zero and 1 // zero)", dict(NAMES), 1)


@pytest.mark.parametrize(
    "text",
    [
        "x.y = 1",
        "x, y = 1, 2",
        "assert 1 << 99999",
        "assert [0] * 5",
        "assert 1 / 0",
        "assert 1 < None",
        "assert 1 in 2",
        "assert -None",
    ],
)
def test_what_is_not_run_is_an_error_of_the_script(text: str) -> None:
    with pytest.raises(ScriptError):
        code.execute(text, {}, 1)


@pytest.mark.parametrize(
    "text",
    [
        "not " * 5000 + "1",
        "(" * 5000 + "1" + ")" * 5000,
        "9" * 5000,
        "0" + "+1" * 5000,
        "[" * 150 + "]" * 150,
        "\0",
    ],
)
def test_no_assertion_is_too_deep_or_too_long(text: str) -> None:
    with contextlib.suppress(ScriptError, ScriptFailed):
        code.execute(f"assert {text}", {}, 1)


def test_an_assertion_that_fails_tells_the_variables() -> None:
    with pytest.raises(ScriptFailed, match="tcpi_unacked = 3"):
        code.execute("assert tcpi_unacked == +4", dict(NAMES), 1)
