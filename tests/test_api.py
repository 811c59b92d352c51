"""What is public, name by name with its signature, is in api.txt. The file is read like code: a change in it
is a change of the interface.

``SNAPSHOT=write`` in the environment writes it anew.
"""

import dataclasses
import enum
import importlib
import inspect
import os
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_origin, get_type_hints

import pytest

import postel

SNAPSHOT = Path(__file__).with_name("api.txt")
ROOT = Path(__file__).parents[1]
MODULES = (
    *(
        "postel",
        "postel.aio",
        "postel.blocking",
        "postel.congestion",
        "postel.errors",
        "postel.links",
        "postel.sim",
        "postel.testing",
    ),
    *("postel.times", "postel.trio"),
    *(
        "postel.view",
        "postel.view.capture",
        "postel.view.chart",
        "postel.view.ladder",
        "postel.view.notebook",
        "postel.view.pcapng",
    ),
    "postel.view.status",
)
OF_AN_EXTRA = ("postel.testing.faults", "postel.testing.machine")  # need Hypothesis
TOOLS = ("postel.drill", "postel.lab")  # commands of which the how-to shows that they can be called
SOURCE = (
    not inspect.getfile(postel.Connection.send).endswith(".so")
    if inspect.isfunction(postel.Connection.send)
    else False
)
LONGEST_DEFAULT = 40


def names_of(module: types.ModuleType) -> list[str]:
    """Its ``__all__``."""
    return sorted(module.__all__)


def signature(thing: Any) -> str:
    try:
        return plain(str(inspect.signature(thing)))
    except (TypeError, ValueError):
        return "(...)"


def plain(text: str) -> str:
    return re.sub(r" at 0x[0-9a-f]+", "", text).replace("typing.", "").replace("collections.abc.", "")


def described(name: str, thing: Any) -> Iterator[str]:
    if isinstance(thing, types.ModuleType):
        yield f"{name}: module"
    elif isinstance(thing, type):
        yield from described_class(name, thing)
    elif get_origin(thing) is not None:  # what annotations call by this name
        yield f"{name} = {plain(repr(thing))}"
    elif callable(thing):
        yield f"{name}{signature(thing)}"
    elif isinstance(thing, (int, str)):
        yield f"{name} = {thing!r}" if name != "__version__" else name
    else:
        yield f"{name}: {type(thing).__name__}"


def described_class(name: str, kind: type) -> Iterator[str]:
    bases = ", ".join(base.__name__ for base in kind.__bases__ if base is not object)
    if issubclass(kind, enum.Enum):
        yield f"class {name}({bases}): {', '.join(kind.__members__)}"
        return
    yield f"class {name}({bases})" + ("" if issubclass(kind, BaseException) else signature(kind))
    if issubclass(kind, BaseException):
        return
    fields = [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []
    for member in sorted(
        {found for parent in kind.__mro__ if parent.__module__.startswith("postel") for found in vars(parent)}
    ):
        value = inspect.getattr_static(kind, member)
        if member.startswith("_") or member in fields:
            continue
        if isinstance(value, (staticmethod, classmethod)):
            yield f"    {member}{signature(getattr(kind, member))}"
        elif callable(value):
            yield f"    {member}{signature(value)}"
        else:
            yield f"    {member}"


def surface() -> str:
    lines: list[str] = []
    for name in MODULES:
        module = importlib.import_module(name)
        lines += [
            f"== {name} ==",
            *[line for found in names_of(module) for line in described(found, getattr(module, found))],
            "",
        ]
    return "\n".join(lines)


@pytest.mark.skipif(
    not SOURCE,
    reason="annotations are in the source; what is compiled has names and defaults: test_descriptions.py",
)
def test_the_public_interface_is_as_reviewed() -> None:
    found = surface()
    if os.environ.get("SNAPSHOT") == "write":
        SNAPSHOT.write_text(found, encoding="utf-8")
    assert found == SNAPSHOT.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_says_what_it_is(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    things = {found: getattr(module, found) for found in names_of(module)}
    explained = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)
    assert [
        found for found, thing in things.items() if isinstance(thing, explained) and not thing.__doc__
    ] == []


def members_of(kind: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties of a class that Postel defines, but those that take the place of another
    package's.
    """
    own = [parent for parent in kind.__mro__ if parent.__module__.startswith("postel")]
    foreign = [parent for parent in kind.__mro__ if parent not in own]
    for name, member in [item for parent in own for item in vars(parent).items()]:
        is_told = inspect.isroutine(member) or isinstance(member, (property, staticmethod))
        if is_told and not name.startswith("_") and not any(hasattr(parent, name) for parent in foreign):
            yield f"{kind.__name__}.{name}", getattr(kind, name)


@pytest.mark.skipif(not SOURCE, reason="the compiled core says the same: test_descriptions.py")
@pytest.mark.parametrize("name", MODULES)
def test_every_public_method_says_what_it_does(name: str) -> None:
    module = importlib.import_module(name)
    kinds = [kind for kind in map(vars(module).get, names_of(module)) if isinstance(kind, type)]
    told = [item for kind in kinds for item in members_of(kind)]
    assert sorted({found for found, member in told if not inspect.getdoc(member)}) == []


def test_the_package_lists_its_public_modules() -> None:
    listed = set(re.findall(r"`(postel[.\w]*)`", postel.__doc__ or ""))
    assert {*MODULES, *OF_AN_EXTRA} <= listed


def choices_in(thing: Any) -> Iterator[Any]:
    """The Literal types by which a public class or function is annotated."""
    hinted = (
        [thing, *(value for value in vars(thing).values() if inspect.isfunction(value))]
        if isinstance(thing, type)
        else [thing]
    )
    for item in hinted:
        if isinstance(item, (type, types.FunctionType)):
            yield from (hint for hint in get_type_hints(item).values() if get_origin(hint) is Literal)


@pytest.mark.skipif(not SOURCE, reason="annotations are in the source")
def test_a_choice_has_a_public_name_for_annotations() -> None:
    public = [
        getattr(module, name) for module in map(importlib.import_module, MODULES) for name in names_of(module)
    ]
    named = [thing for thing in public if get_origin(thing) is Literal]
    assert [(thing, choice) for thing in public for choice in choices_in(thing) if choice not in named] == []


PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "README.zh.md",
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "examples").glob("*.py"),
    ]
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_imports_public_names_alone(page: Path) -> None:
    allowed = {*MODULES, *OF_AN_EXTRA, *TOOLS}
    text = page.read_text(encoding="utf-8")
    for module, names in re.findall(
        r"^(?:>>> |\.\.\. | {4})?from (postel[.\w]*) import \(?([^\n#)]+)", text, re.MULTILINE
    ):
        assert module in allowed, f"{page.name} imports from {module}"
        public = getattr(importlib.import_module(module), "__all__", None)
        wanted = {name.split(" as ")[0].strip() for name in names.split(",") if name.strip()}
        foreign = {
            name
            for name in wanted
            if public is not None and name not in public and f"{module}.{name}" not in allowed
        }
        assert foreign == set(), f"{page.name} imports {foreign} from {module}"
    assert not re.search(r"\.tcb\b", text), f"{page.name} shows the inside of a connection"


def test_the_readme_needs_two_lines_of_imports_for_each_program() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for program in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        assert len(re.findall(r"^(?:from|import) postel", program, re.MULTILINE)) <= 2, program


def test_now_is_the_last_positional_argument() -> None:
    wrong = []
    for line in surface().splitlines():
        if line.startswith("class "):
            continue  # a record has its fields in an order of its own
        arguments = line.partition("(")[2].partition("*, ")[0].removesuffix(", ")
        if re.search(r"\bnow: int\b.*, \w+: ", arguments.partition(") ->")[0]):
            wrong.append(line.strip())
    assert wrong == []
