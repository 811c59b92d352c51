"""The ``%{ … }%`` blocks: assertions over `tcp_info`, evaluated by their syntax tree. Nothing of Python but expressions is run."""

import ast
import operator
from collections.abc import Callable
from typing import Any, Final

from postel.drill.commands import STATES
from postel.drill.failure import Failure, ScriptError
from postel.tcp.connection import Connection
from postel.tcp.state import State
from postel.times import MILLISECOND

LINUX_NUMBERS: Final = (
    State.ESTABLISHED, State.SYN_SENT, State.SYN_RECEIVED, State.FIN_WAIT_1, State.FIN_WAIT_2, State.TIME_WAIT, State.CLOSED,
    State.CLOSE_WAIT, State.LAST_ACK, State.LISTEN, State.CLOSING,
)  # fmt: skip
_CONSTANTS: Final = {
    **{f"TCPI_{name}": state for name, state in STATES.items()},
    **{f"TCP_{name}": state for name, state in STATES.items()},
    "TCPI_OPT_TIMESTAMPS": 1, "TCPI_OPT_SACK": 2, "TCPI_OPT_WSCALE": 4, "TCPI_OPT_ECN": 8, "TCPI_OPT_SYN_DATA": 32,
}  # fmt: skip
_MILLISECONDS: Final = {"last_data_sent": MILLISECOND, "last_data_recv": MILLISECOND, "last_ack_recv": MILLISECOND}
_COMPARISONS: Final[dict[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
_OPERATIONS: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv, ast.Div: operator.truediv,
    ast.Mod: operator.mod, ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.LShift: operator.lshift, ast.RShift: operator.rshift,
}  # fmt: skip


def information(connection: Connection | None, fallback: State, now: int) -> dict[str, object]:
    """The fields of `tcp_info`, in its units. ``fallback`` is the state of a socket without a connection."""
    if connection is None or connection.state is State.CLOSED:
        return {"tcpi_state": fallback}
    status = connection.status(now)._asdict()
    told = {f"tcpi_{name}": value // _MILLISECONDS.get(name, 1) if isinstance(value, int) else value for name, value in status.items()}
    return {**told, "tcpi_state": connection.state, "tcpi_snd_wnd": status["send_window"], "tcpi_rcv_wnd": status["receive_window"]}


def execute(text: str, names: dict[str, object], line: int) -> None:
    """Variables persist in ``names``. Raises Failure for an assertion that doesn't hold."""
    try:
        tree = ast.parse("\n".join(part.strip() for part in text.strip().split("\n")))
    except SyntaxError as error:
        raise ScriptError(line, (error.text or "").strip(), "no Python") from error
    for statement in tree.body:
        if isinstance(statement, ast.Assert):
            _assert(statement, names, line)
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            names[statement.targets[0].id] = _value(statement.value, names, line)
        elif not _is_print(statement):
            raise ScriptError(line, ast.unparse(statement), "only assertions and assignments are run")


def _is_print(statement: ast.stmt) -> bool:
    """For people; nobody listens here."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call) and ast.unparse(statement.value.func) == "print"


def _assert(statement: ast.Assert, names: dict[str, object], line: int) -> None:
    if _value(statement.test, names, line):
        return
    known = {node.id for node in ast.walk(statement.test) if isinstance(node, ast.Name)} & names.keys()
    raise Failure(line, "assertion", ast.unparse(statement.test), ", ".join(f"{name} = {names[name]}" for name in sorted(known)))


def _value(node: ast.expr, names: dict[str, object], line: int) -> Any:  # noqa: ANN401  # whatever the script computes with
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        if node.id in names:
            return names[node.id]
        if node.id in _CONSTANTS:
            return _CONSTANTS[node.id]
        raise ScriptError(line, node.id, "this name isn't known")
    if isinstance(node, ast.BoolOp):
        values = [_value(part, names, line) for part in node.values]
        return all(values) if isinstance(node.op, ast.And) else any(values)
    if isinstance(node, ast.UnaryOp):
        value = _value(node.operand, names, line)
        return not value if isinstance(node.op, ast.Not) else -value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        return _OPERATIONS[type(node.op)](_value(node.left, names, line), _value(node.right, names, line))
    if isinstance(node, ast.Compare):
        return _compare(node, names, line)
    if isinstance(node, ast.Tuple | ast.List):
        return tuple([_value(part, names, line) for part in node.elts])
    raise ScriptError(line, ast.unparse(node), "this expression isn't run")


def _compare(node: ast.Compare, names: dict[str, object], line: int) -> bool:
    left = _value(node.left, names, line)
    for kind, comparator in zip(node.ops, node.comparators, strict=True):
        right = _value(comparator, names, line)
        if isinstance(kind, ast.In | ast.NotIn):
            holds = (left in right) == isinstance(kind, ast.In)
        elif type(kind) in _COMPARISONS:
            holds = _COMPARISONS[type(kind)](_numbered(left, right), _numbered(right, left))
        else:
            raise ScriptError(line, ast.unparse(node), "this comparison isn't run")
        if not holds:
            return False
        left = right
    return True


def _numbered(value: object, other: object) -> object:
    """A state beside a plain number is meant by Linux's number for it."""
    if isinstance(value, State) and isinstance(other, int):
        return LINUX_NUMBERS.index(value) + 1
    return value
