"""Code blocks ``%{ … }%`` of scripts: assertions about `tcp_info` in Python.

Expressions are evaluated by walking their syntax tree. Only expressions, assertions and assignments are
supported, so a script can't run other Python code.
"""

import ast
import operator
from collections.abc import Callable
from typing import Any, Final

from postel.drill.commands import STATES
from postel.drill.lexer import TOO_DEEP
from postel.errors import ScriptError, ScriptFailed
from postel.sockets.tcpinfo import number_of
from postel.tcp.connection import Connection
from postel.tcp.state import State
from postel.times import MILLISECOND

_CONSTANTS: Final = {
    **{f"TCPI_{name}": state for name, state in STATES.items()},
    **{f"TCP_{name}": state for name, state in STATES.items()},
    "TCPI_OPT_TIMESTAMPS": 1, "TCPI_OPT_SACK": 2, "TCPI_OPT_WSCALE": 4, "TCPI_OPT_ECN": 8,
    "TCPI_OPT_SYN_DATA": 32,
}  # fmt: skip
_MILLISECONDS: Final = {
    "last_data_sent": MILLISECOND,
    "last_data_recv": MILLISECOND,
    "last_ack_recv": MILLISECOND,
}
_COMPARISONS: Final[dict[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
_OPERATIONS: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod, ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
}  # fmt: skip
_UNARY: Final[dict[type[ast.unaryop], Callable[[Any], Any]]] = {
    ast.Not: operator.not_, ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Invert: operator.invert,
}  # fmt: skip
# Limit of a shift in bits: scripts need 64 at most, and a larger result would fill the memory
_FARTHEST_SHIFT: Final = 1024


def information(connection: Connection | None, fallback: State, now: int) -> dict[str, object]:
    """Fields of `tcp_info`, in its units. ``fallback`` is the state of a socket without a connection."""
    if connection is None or connection.state is State.CLOSED:
        return {"tcpi_state": fallback}
    status = connection.status(now)._asdict()
    told = {
        f"tcpi_{name}": value // _MILLISECONDS.get(name, 1) if isinstance(value, int) else value
        for name, value in status.items()
    }
    return {
        **told,
        "tcpi_state": connection.state,
        "tcpi_snd_wnd": status["send_window"],
        "tcpi_rcv_wnd": status["receive_window"],
    }


def execute(text: str, names: dict[str, object], line: int) -> None:
    """Run a code block. Variables that the block assigns stay in ``names``.

    Raises ScriptFailed if an assertion is false.
    """
    try:
        _execute(text, names, line)
    except (RecursionError, MemoryError):  # in Python's parser, or in the evaluation of its tree
        raise ScriptError(line, "", TOO_DEEP) from None


def _execute(text: str, names: dict[str, object], line: int) -> None:
    try:
        tree = ast.parse("\n".join(part.strip() for part in text.strip().split("\n")))
    except SyntaxError as error:
        raise ScriptError(line, (error.text or "").strip(), "this isn't Python") from error
    except ValueError as error:  # the text has octets with the value 0
        raise ScriptError(line, "", f"this isn't Python: {error}") from error
    for statement in tree.body:
        if isinstance(statement, ast.Assert):
            _assert(statement, names, line)
        elif isinstance(statement, ast.Assign):
            value = _value(statement.value, names, line)
            names.update(dict.fromkeys([_variable(target, line) for target in statement.targets], value))
        elif not _is_print(statement):
            raise ScriptError(line, ast.unparse(statement), "only assertions and assignments are supported")


def _variable(target: ast.expr, line: int) -> str:
    if not isinstance(target, ast.Name):
        raise ScriptError(line, ast.unparse(target), "only variables can be assigned to")
    return target.id


def _is_print(statement: ast.stmt) -> bool:
    """Whether a statement is a call of print, which is ignored."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and ast.unparse(statement.value.func) == "print"
    )


def _assert(statement: ast.Assert, names: dict[str, object], line: int) -> None:
    if _value(statement.test, names, line):
        return
    known = {node.id for node in ast.walk(statement.test) if isinstance(node, ast.Name)} & names.keys()
    raise ScriptFailed(
        line,
        "assertion",
        ast.unparse(statement.test),
        ", ".join(f"{name} = {names[name]}" for name in sorted(known)),
    )


# Any, because a script may compute with any type
def _value(node: ast.expr, names: dict[str, object], line: int) -> Any:  # noqa: ANN401 - see above
    """Value of an expression. Raises ScriptError if it isn't supported or can't be computed."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return _named(node.id, names, line)
    if isinstance(node, ast.BoolOp):
        return _both_or_either(node, names, line)
    if isinstance(node, ast.IfExp):
        return _value(node.body if _value(node.test, names, line) else node.orelse, names, line)
    if isinstance(node, ast.Compare):
        return _compare(node, names, line)
    if isinstance(node, ast.Tuple | ast.List):
        parts = [_value(part, names, line) for part in node.elts]
        return parts if isinstance(node, ast.List) else tuple(parts)
    try:
        if isinstance(node, ast.UnaryOp):
            return _UNARY[type(node.op)](_value(node.operand, names, line))
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
            return _computed(node, _value(node.left, names, line), _value(node.right, names, line), line)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise ScriptError(line, ast.unparse(node), f"this can't be computed: {error}") from error
    raise ScriptError(line, ast.unparse(node), "this expression isn't supported")


def _named(name: str, names: dict[str, object], line: int) -> object:
    if name in names:
        return names[name]
    if name in _CONSTANTS:
        return _CONSTANTS[name]
    raise ScriptError(line, name, "this name isn't known")


def _both_or_either(node: ast.BoolOp, names: dict[str, object], line: int) -> object:
    """Value of ``and`` or ``or``: operands are evaluated up to the first one that decides."""
    value: object = None
    for part in node.values:
        value = _value(part, names, line)
        if bool(value) != isinstance(node.op, ast.And):
            break
    return value


def _computed(node: ast.BinOp, left: Any, right: Any, line: int) -> object:  # noqa: ANN401 - as `_value`
    if isinstance(node.op, ast.LShift) and right > _FARTHEST_SHIFT:
        raise ScriptError(
            line, ast.unparse(node), f"a shift by more than {_FARTHEST_SHIFT} bits isn't supported"
        )
    if isinstance(node.op, ast.Mult) and not (
        isinstance(left, int | float) and isinstance(right, int | float)
    ):
        raise ScriptError(line, ast.unparse(node), "only numbers are multiplied")
    return _OPERATIONS[type(node.op)](left, right)


def _compare(node: ast.Compare, names: dict[str, object], line: int) -> bool:
    left = _value(node.left, names, line)
    for kind, comparator in zip(node.ops, node.comparators, strict=True):
        right = _value(comparator, names, line)
        if isinstance(kind, ast.In | ast.NotIn):
            holds = _is_in(left, right, node, line) == isinstance(kind, ast.In)
        elif isinstance(kind, ast.Is | ast.IsNot):
            holds = (left is right) == isinstance(kind, ast.Is)
        elif type(kind) in _COMPARISONS:
            holds = _ordered(kind, left, right, node, line)
        else:
            raise ScriptError(line, ast.unparse(node), "this comparison isn't supported")
        if not holds:
            return False
        left = right
    return True


def _is_in(value: object, values: Any, node: ast.expr, line: int) -> bool:  # noqa: ANN401 - as `_value`
    try:
        return value in values
    except TypeError as error:
        raise ScriptError(line, ast.unparse(node), f"this can't be compared: {error}") from error


def _ordered(kind: ast.cmpop, left: object, right: object, node: ast.expr, line: int) -> bool:
    try:
        return bool(_COMPARISONS[type(kind)](_numbered(left, right), _numbered(right, left)))
    except TypeError as error:
        raise ScriptError(line, ast.unparse(node), f"this can't be compared: {error}") from error


def _numbered(value: object, other: object) -> object:
    """Linux's number for a state, if ``value`` is one and is compared with a number; else ``value``."""
    if isinstance(value, State) and isinstance(other, int):
        return number_of(value)
    return value
