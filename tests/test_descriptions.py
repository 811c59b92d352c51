"""``help()`` and `inspect.signature` say of the core what its source says, compiled or not (setup.py writes
them into mypyc's C).
"""

import ast
import importlib
import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import postel
from postel import Connection, DatagramSocket, Host, Listener

CLASSES = (
    Host,
    Connection,
    Listener,
    DatagramSocket,
    postel.Keychain,
    *(getattr(postel, name) for name in ("Opened", "Closed", "Trouble")),
)


@cache
def source_of(kind: type) -> ast.ClassDef:
    path = Path(postel.__file__).parents[1].joinpath(*kind.__module__.split(".")).with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__)


def functions() -> Iterator[Any]:
    for kind in CLASSES:
        for node in source_of(kind).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                yield pytest.param(kind, node, id=f"{kind.__name__}.{node.name}")


def shape(function: ast.FunctionDef, kind: type) -> list[tuple[str, str, Any]]:
    """Name, kind and default of each parameter as the source has them."""
    plain = ast.parse(f"def f({ast.unparse(without_annotations(function.args))}): pass")
    space = dict(vars(importlib.import_module(kind.__module__)))
    exec(compile(plain, "source", "exec"), space)
    return [
        (found.name, found.kind.name, found.default)
        for found in inspect.signature(space["f"]).parameters.values()
    ]


def without_annotations(arguments: ast.arguments) -> ast.arguments:
    for argument in (
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    ):
        if argument is not None:
            argument.annotation = None
    return arguments


def seen(thing: Any) -> list[tuple[str, str, Any]]:
    return [
        (found.name, found.kind.name, found.default) for found in inspect.signature(thing).parameters.values()
    ]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_class_tells_what_its_source_tells(kind: type) -> None:
    assert inspect.getdoc(kind) == ast.get_docstring(source_of(kind))
    made = [
        node for node in source_of(kind).body if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    ]
    assert seen(kind) == (shape(made[0], kind)[1:] if made else [])


@pytest.mark.parametrize(("kind", "node"), [*functions()])
def test_a_method_tells_what_its_source_tells(kind: type, node: ast.FunctionDef) -> None:
    member = inspect.getattr_static(kind, node.name)
    documented = ast.get_docstring(node)
    if documented:
        assert (
            inspect.getdoc(getattr(kind, node.name) if isinstance(member, staticmethod) else member)
            == documented
        )
    if not any(
        isinstance(decorator, ast.Name) and decorator.id == "property" for decorator in node.decorator_list
    ):
        is_static = isinstance(member, staticmethod)
        # `self` has no name in C
        assert seen(getattr(kind, node.name))[not is_static :] == shape(node, kind)[not is_static :]
