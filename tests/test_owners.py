"""One owner for each field, one thing for each name: what the sources say, and that questions change
nothing.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from enum import Enum
from functools import cache
from pathlib import Path
from types import GetSetDescriptorType

import pytest

from postel.tcp.connection import Connection
from postel.tcp.sending import Sending
from postel.tcp.tcb import Tcb
from postel.testing import states
from postel.testing.states import Maker, Scene
from postel.wire.segment import ACK, PSH

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "postel").rglob("*.py"))
PARTS = ("wire", "tcp", "host", "links", "sockets", "aio", "blocking", "sim", "trio")
MACHINES = [path for path in SOURCES if path.relative_to(ROOT / "postel").parts[0] in PARTS]
THE_SAME = {"Loop"}  # an asyncio loop over Postel, in real time and in a world's
MOST_FIELDS = 25
MOST_CALLED_TAKE = 3
MOST_INSIDE = 5
# Flat records of figures, made at once and never written again: to nest them would hide names
RECORDS = {"Config", "Status", "Packet"}


@cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def classes(paths: list[Path]) -> Iterator[tuple[Path, ast.ClassDef]]:
    for path in paths:
        yield from ((path, node) for node in nodes(path) if isinstance(node, ast.ClassDef))


@cache
def targets(node: ast.AST | Path) -> list[tuple[str, str]]:
    """Every attribute that is assigned there, in whatever way: of what, and its name."""
    within = nodes(node) if isinstance(node, Path) else ast.walk(node)
    stored = [part for part in within if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)]
    return [(ast.unparse(part.value), part.attr) for part in stored]


def writers(sequence: str, field: str, kind: str) -> set[str]:
    """The modules that write ``field`` of ``tcb.<sequence>``, an object of class ``kind``."""
    found = {
        path.name
        for path in SOURCES
        for of, name in targets(path)
        if name == field and of.split(".")[-1] == sequence
    }
    return found | {
        path.name for path, node in classes(SOURCES) if node.name == kind and ("self", field) in targets(node)
    }


def fields(node: ast.ClassDef) -> set[str]:
    """What a class adds: its slots, the fields of a record, or else what its methods assign."""
    found = {
        line.target.id
        for line in node.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
    }
    for line in node.body:
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "__slots__":
            # A base's fields may be declared again
            return {part.value for part in ast.walk(line.value) if isinstance(part, ast.Constant)}
    return found | {name for of, name in targets(node) if of == "self"}


@pytest.mark.parametrize(
    ("sequence", "field", "kind", "owner"),
    [
        (name, field, "Sending", "sending.py")
        for name, field in (("snd", "una"), ("snd", "nxt"), ("snd", "max"), ("snd", "wnd"))
    ]
    + [("rcv", field, "Receiving", "receiving.py") for field in ("nxt", "wnd", "position", "unread")],
)
def test_one_module_writes_a_number(sequence: str, field: str, kind: str, owner: str) -> None:
    assert writers(sequence, field, kind) == {owner}


def test_one_module_starts_and_stops_the_user_timer() -> None:
    found = {
        path.name
        for path in SOURCES
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("start", "stop")
        and [ast.unparse(argument) for argument in node.args[:1]] == ["USER"]
    }
    assert found == {"usertimeout.py"}


def test_no_class_has_more_fields_than_can_be_kept_in_mind() -> None:
    found = [(node.name, len(fields(node))) for _, node in classes(SOURCES) if node.name not in RECORDS]
    assert [(name, count) for name, count in found if count > MOST_FIELDS] == []


def test_a_class_name_stands_once() -> None:
    counted = Counter(node.name for _, node in classes(MACHINES))
    assert [name for name, count in counted.items() if count > 1 and name not in THE_SAME] == []


def test_few_functions_are_called_take() -> None:
    found = [
        path.name
        for path in MACHINES
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef) and node.name == "take"
    ]
    assert len(found) <= MOST_CALLED_TAKE


def test_a_host_asks_connections_by_verbs() -> None:
    """Lines of ``host`` that know the inside of a connection: what is asked for each segment may, the rest is
    in `postel.tcp.hosted`.
    """
    lines = [
        line
        for path in (ROOT / "postel" / "host").rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    assert len([line for line in lines if ".tcb" in line or "._tcb" in line]) <= MOST_INSIDE


# Questions


_VARIABLES = (type(Sending.una), GetSetDescriptorType)  # slots, and what mypyc makes of them


def variables(thing: object) -> object:
    """An object by all its variables, and those of what it holds: equal where nothing has changed, and
    nothing was made.
    """
    if isinstance(thing, Enum) or not type(thing).__module__.startswith("postel."):
        return [variables(item) for item in thing] if isinstance(thing, list) else thing
    kind = type(thing)
    names = {
        name
        for name in dir(kind)
        if not name.startswith("__") and isinstance(getattr(kind, name), _VARIABLES)
    }
    names |= set(getattr(thing, "__dict__", {}))
    return kind.__name__, {
        name: variables(getattr(thing, name)) for name in sorted(names - {"observer", "config"})
    }


def properties(kind: type) -> list[str]:
    """Compiled or not: what ``dir`` knows that is no method."""
    return [name for name in dir(kind) if not name.startswith("__") and not callable(getattr(kind, name))]


def ask(scene: Scene) -> None:
    """Everything that there is to ask."""
    connection = scene.connection
    for name in properties(Connection):
        getattr(connection, name)
    for part in (scene.tcb, scene.tcb.snd, scene.tcb.rcv, scene.tcb.opening):
        for name in properties(type(part)):
            getattr(part, name)
    connection.next_timeout()
    repr(connection)
    if scene.state is not states.CLOSED:
        connection.status(scene.now)


@pytest.mark.parametrize("make", states.EVERY.values())
def test_a_question_changes_nothing_and_makes_nothing(make: Maker) -> None:
    scene = make()
    before = variables(scene.tcb)
    ask(scene)
    assert variables(scene.tcb) == before


def test_a_question_to_a_receiver_makes_no_controller() -> None:
    scene = states.established()
    scene.hears(ACK | PSH, b"text")
    ask(scene)
    tcb: Tcb = scene.tcb
    assert tcb.controller is None
    assert tcb.recovery is None
