"""Every exception that Postel raises is of `postel.errors`, found by walking the source of the whole
package.
"""

import ast
import builtins
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from postel import errors

PACKAGE = Path(errors.__file__).parent
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
KINDS = {
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.PostelError)
}
BUILTIN = {
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
}

# Classes that a standard interface prescribes: each is also one of `postel.errors`.
PRESCRIBED = {("sockets/names.py", "UnresolvedName")}  # getaddrinfo's is a socket.gaierror

# Never seen by a caller: raised and caught by the same part of the program.
WITHIN = {
    ("cli/http/client.py", "BadResponse"),
    ("drill/calls.py", "Waits"),
    ("search/shrink.py", "Spent"),
    ("search/worker.py", "Unsuitable"),
    ("sim/watchdog.py", "Interrupted"),
    ("view/capture/container.py", "_Broken"),
}

# What Python prescribes, file by file.
STANDARD = {
    ("__init__.py", "AttributeError"),  # of a module's __getattr__
    # asyncio refuses arguments so, and in these words
    *product(
        (f"aio/{name}.py" for name in ("connecting", "endpoints", "routing", "serving")),
        ("OSError", "TypeError", "ValueError"),
    ),
    ("aio/sockcalls.py", "NotImplementedError"),  # of a method that the loop has
    ("blocking/network.py", "ExceptionGroup"),  # of socket.create_connection's all_errors
    ("blocking/program.py", "ImportError"),  # of a finder of modules
    ("blocking/sockets.py", "TimeoutError"),  # of every socket with a timeout, without a number
    ("testing/machine.py", "ImportError"),  # of an extra
    ("trio/__init__.py", "ImportError"),  # as testing/machine.py
}
SYSTEM_CALLS = "drill/"  # a script's calls fail with OSError and an errno, as the kernel's do
CHECKS = "testing/"  # a check that fails raises AssertionError, which test runners know
PROGRAM = "cli/"  # catches what its parts raise; argparse wants exceptions of its own


def tree(path: str) -> ast.Module:
    return ast.parse((PACKAGE / path).read_text(encoding="utf-8"))


def names_of(expression: ast.expr) -> Iterator[str]:
    """Of the classes that ``raise expression`` may raise, as far as they are written there."""
    if isinstance(expression, ast.IfExp):
        yield from names_of(expression.body)
        yield from names_of(expression.orelse)
    elif isinstance(expression, ast.Call):
        yield from names_of(expression.func)
    elif isinstance(expression, ast.Name):
        yield expression.id


def defined() -> Iterator[tuple[str, str]]:
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef) and path != "errors.py":
                bases = {name for base in node.bases for name in names_of(base) if isinstance(base, ast.Name)}
                if bases & (BUILTIN | KINDS) and not (
                    path.startswith(CHECKS) and bases == {"AssertionError"}
                ):
                    yield path, node.name


def test_every_exception_class_is_defined_in_errors() -> None:
    assert set(defined()) == PRESCRIBED | WITHIN


@pytest.mark.parametrize("path", [path for path in FILES if not path.startswith(PROGRAM)])
def test_every_raise_is_of_such_a_class(path: str) -> None:
    raised = {
        name
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Raise) and node.exc
        for name in names_of(node.exc)
    }
    foreign = {name for name in raised & BUILTIN if (path, name) not in STANDARD}
    if path.startswith(SYSTEM_CALLS):
        foreign.discard("OSError")
    if path.startswith(CHECKS):
        foreign.discard("AssertionError")
    assert foreign == set(), f"{path} raises {foreign}"


def test_the_docstring_shows_every_class() -> None:
    shown = errors.__doc__ or ""
    assert [kind for kind in sorted(KINDS) if f"─ {kind}" not in shown and kind != "PostelError"] == []


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_class_says_what_it_is(kind: str) -> None:
    assert vars(errors)[kind].__doc__
