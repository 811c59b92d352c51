"""Writes the pages of the public interface for Sphinx: one for each public module, and one for each of its
larger classes.

Public modules are those that the docstring of `postel` lists, public names those of their ``__all__``. Each
name is described in one place; other modules that export it refer to that place. Texts come from docstrings,
and for constants, fields of records and members of enums from the comments beside their definitions.
"""

import ast
import dataclasses
import enum
import functools
import importlib
import inspect
import io
import re
import sys
import tokenize
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_origin

import postel

WITHOUT_PAGE = 3  # methods at most of a class that is described on the page of its module
NOT_ALL_ARGUMENTS = 8  # fields of a record from which on its signature would only repeat their list

KINDS = ("Classes", "Events", "Functions", "Constants", "Types for annotations", "Errors", "Modules")
SENTENCE = re.compile(r"(.+?\.)(?: [A-Z`(]|$)")


class Undocumented(Exception):
    """Public names without a text that says what they are."""


# What is public


def modules() -> list[str]:
    """Names of the public modules, in alphabetical order."""
    named = re.findall(r"`(postel[.a-z_]*)`", postel.__doc__ or "")
    return sorted({name for name in named if hasattr(importlib.import_module(name), "__all__")})


@dataclass(frozen=True)
class Name:
    """A name in the ``__all__`` of a public module."""

    module: str
    name: str
    thing: Any

    @property
    def path(self) -> str:
        return f"{self.module}.{self.name}"

    @property
    def kind(self) -> str:
        """Heading under which the page of its module has it."""
        thing = self.thing
        if isinstance(thing, types.ModuleType):
            return "Modules"
        if isinstance(thing, type) and not isinstance(thing, types.GenericAlias):
            if issubclass(thing, BaseException):
                return "Errors"
            return "Events" if issubclass(thing, postel.Event) else "Classes"
        if get_origin(thing) is not None or isinstance(thing, types.UnionType):
            return "Types for annotations"
        return "Functions" if callable(thing) else "Constants"

    @property
    def has_page(self) -> bool:
        """Whether the name is a class large enough for a page of its own."""
        if self.kind != "Classes" or issubclass(self.thing, enum.Enum):
            return False
        return len([member for member in members(self.thing) if member.is_call]) > WITHOUT_PAGE or (
            dataclasses.is_dataclass(self.thing) and len(dataclasses.fields(self.thing)) > NOT_ALL_ARGUMENTS
        )


def names(module: str) -> list[Name]:
    """Public names of a module, in alphabetical order."""
    loaded = importlib.import_module(module)
    return [Name(module, name, getattr(loaded, name)) for name in sorted(loaded.__all__)]


@functools.cache
def homes() -> dict[str, str]:
    """Of each public name, by its path, the path under which it is described."""
    everything = [name for module in modules() for name in names(module)]
    found: dict[tuple[str, int], list[Name]] = {}
    for name in everything:
        found.setdefault((name.name, id(name.thing)), []).append(name)
    return {name.path: _home(found[name.name, id(name.thing)]).path for name in everything}


def _home(exporters: list[Name]) -> Name:
    own = [name for name in exporters if getattr(name.thing, "__module__", "") == name.module]
    units = [name for name in exporters if name.module == "postel.times"]
    return [*own, *units, *exporters][0]


@functools.cache
def public_paths() -> dict[str, str]:
    """Of each public class and function, by the path of its definition, the path of its description."""
    found = {}
    for module in modules():
        for name in names(module):
            defined = getattr(name.thing, "__module__", ""), getattr(name.thing, "__qualname__", "")
            if name.kind not in {"Constants", "Types for annotations"} and all(defined):
                found[".".join(defined)] = homes()[name.path]
    return found


# What a class has


@dataclass(frozen=True)
class Member:
    """A public attribute or method of a class, with the class that defines it."""

    name: str
    owner: type
    value: Any

    @property
    def is_call(self) -> bool:
        return inspect.isroutine(self.value) or isinstance(self.value, (staticmethod, classmethod))

    @property
    def is_property(self) -> bool:
        return isinstance(self.value, (property, functools.cached_property))


def members(kind: type) -> list[Member]:
    """Public members of a class and of its bases that Postel defines, in the order of their definitions."""
    found: dict[str, Member] = {}
    for owner in kind.__mro__:
        if owner.__module__.startswith("postel"):
            for name in [*vars(owner), *getattr(owner, "__annotations__", {})]:
                if not name.startswith("_"):
                    found.setdefault(name, Member(name, owner, inspect.getattr_static(kind, name, None)))
    return list(found.values())


def has_public_base(kind: type) -> bool:
    """Whether a class has a base that a reader knows: a public one of Postel, or one of another package."""
    return any(
        base is not object
        and (
            not base.__module__.startswith("postel")
            or f"{base.__module__}.{base.__qualname__}" in public_paths()
        )
        for base in kind.__bases__
    )


# Texts beside definitions


@dataclass(frozen=True)
class Assignment:
    """An assignment in a module or in a class: what Sphinx can't see of it."""

    annotation: str
    value: str
    comment: str


@functools.cache
def assignments(module: str) -> dict[str, Assignment]:
    """Assignments in the source of a module, by name; those in a class by ``Class.name``."""
    source = Path(inspect.getfile(importlib.import_module(module)))
    if source.suffix != ".py":
        return {}
    text = source.read_text(encoding="utf-8")
    comments = _comments(text)
    lines = text.splitlines()
    return {
        f"{prefix}{target}": Assignment(
            _code(getattr(node, "annotation", None)), _value(text, node), _comment(node, comments, lines)
        )
        for prefix, node, target in _assigned(ast.parse(text))
    }


def _assigned(tree: ast.Module) -> Iterator[tuple[str, ast.Assign | ast.AnnAssign, str]]:
    bodies: list[tuple[str, Iterable[ast.stmt]]] = [("", tree.body)]
    bodies += [(f"{node.name}.", node.body) for node in tree.body if isinstance(node, ast.ClassDef)]
    for prefix, body in bodies:
        for node in body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
            for target in targets:
                if isinstance(target, ast.Name) and isinstance(node, (ast.Assign, ast.AnnAssign)):
                    yield prefix, node, target.id


def _code(node: ast.expr | None) -> str:
    return "" if node is None else ast.unparse(node)


def _value(text: str, node: ast.Assign | ast.AnnAssign) -> str:
    """As it is written, with the underscores of its numbers, if it is on one line."""
    written = "" if node.value is None else ast.get_source_segment(text, node.value) or ""
    return _code(node.value) if "\n" in written else written


def _comments(text: str) -> dict[int, str]:
    """Comments of a source by line, without the sign."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {token.start[0]: token.string.lstrip("#: ") for token in tokens if token.type == tokenize.COMMENT}


def _comment(node: ast.stmt, comments: dict[int, str], lines: list[str]) -> str:
    """Comments above a statement, unless they are a heading, and beside it."""
    above: list[str] = []
    line = node.lineno - 1
    while line in comments and lines[line - 1].lstrip().startswith("#"):
        above.insert(0, comments[line])
        line -= 1
    beside = [
        comments[number] for number in range(node.lineno, (node.end_lineno or 0) + 1) if number in comments
    ]
    is_heading = len(above) == 1 and re.fullmatch(r"[A-Z][^.;:]{1,60}", above[0]) is not None
    return " ".join([*([] if is_heading else above), *beside])


def assignment_of(name: Name) -> Assignment:
    """Of a constant or a type: its definition, in whichever module of Postel that is."""
    for module in [name.module, *sorted(found for found in sys.modules if found.startswith("postel"))]:
        loaded = sys.modules[module]
        if vars(loaded).get(name.name) is name.thing and name.name in assignments(module):
            return assignments(module)[name.name]
    return Assignment("", "", "")


def escaped(text: str) -> str:
    """A comment as reStructuredText: backticks keep their meaning, nothing else has one."""
    return re.sub(r"([*|\\]|(?<=\w)_(?=\W|$))(?=[^`]*(?:`[^`]*`[^`]*)*$)", r"\\\1", text)


def summary(text: str) -> str:
    """First sentence of a docstring."""
    paragraph = " ".join(inspect.cleandoc(text).partition("\n\n")[0].split()).removesuffix(":")
    found = SENTENCE.match(paragraph)
    while found and found[1].count("`") % 2:
        found = SENTENCE.match(paragraph, 0) if len(found[1]) == len(paragraph) else None
    return (found[1] if found else paragraph).rstrip(":;")


# Pages


class Interface:
    """Pages of the interface, to be written below ``target``."""

    def __init__(self, target: Path, readable: Callable[[str, str], str]) -> None:
        """``readable`` makes the expression of a default readable, given its module."""
        self.target = target
        self.readable = readable
        self.undocumented: list[str] = []

    def write(self) -> None:
        """Write all pages. Raises Undocumented."""
        self.target.mkdir(parents=True, exist_ok=True)
        for module in modules():
            self._put(module, self._module_page(module))
            for name in names(module):
                if name.has_page and homes()[name.path] == name.path:
                    self._put(name.path, self._class_page(name))
        if self.undocumented:
            raise Undocumented(", ".join(sorted(self.undocumented)))

    def _put(self, page: str, lines: Iterable[str]) -> None:
        (self.target / f"{page}.rst").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _module_page(self, module: str) -> Iterator[str]:
        if not importlib.import_module(module).__doc__:
            self.undocumented.append(module)
        yield from [*title(f"``{module}``"), f".. automodule:: {module}", "   :no-members:", ""]
        yield from [f".. currentmodule:: {module}", ""]
        public = names(module)
        own = [name for name in public if homes()[name.path] == name.path]
        pages = [f"   {name.name} <{name.path}>" for name in own if name.has_page]
        if pages:
            yield from [".. toctree::", "   :hidden:", "", *pages, ""]
        for kind in KINDS:
            of_kind = [name for name in public if name.kind == kind]
            if of_kind:
                yield from title(kind, "-")
                yield from self._table(of_kind)
                for name in of_kind:
                    if name in own and not name.has_page:
                        yield from self._described(name)

    def _table(self, of_kind: list[Name]) -> Iterator[str]:
        elsewhere = [name for name in of_kind if name.has_page or homes()[name.path] != name.path]
        if not elsewhere:
            return
        yield from [".. list-table::", "   :class: names", "   :widths: auto", ""]
        for name in elsewhere:
            home = homes()[name.path]
            role = "py:mod" if name.kind == "Modules" else "py:obj"
            where = home if name.kind != "Modules" else name.thing.__name__
            yield f"   * - :{role}:`{name.name} <{where}>`"
            yield f"     - {self._summary(name)}"
        yield ""

    def _summary(self, name: Name) -> str:
        if name.kind in {"Constants", "Types for annotations"}:
            return escaped(assignment_of(name).comment) or f"``{assignment_of(name).value}``"
        return summary(name.thing.__doc__ or "")

    def _class_page(self, name: Name) -> Iterator[str]:
        yield from title(f"``{name.name}``")
        yield from [f".. currentmodule:: {name.module}", ""]
        yield from self._described(name)

    def _described(self, name: Name) -> Iterator[str]:
        if name.kind in {"Constants", "Types for annotations"}:
            yield from self._constant(name)
        elif name.kind == "Functions":
            self._require_docstring(name.path, name.thing)
            yield from [f".. autofunction:: {name.name}", ""]
        elif name.kind != "Modules":
            self._require_docstring(name.path, name.thing)
            directive = "autoexception" if name.kind == "Errors" else "autoclass"
            yield from [f".. {directive}:: {name.name}", "   :no-members:"]
            yield from [*(["   :show-inheritance:"] if has_public_base(name.thing) else []), ""]
            for line in self._members(name):
                yield f"   {line}" if line else ""

    def _require_docstring(self, path: str, thing: object) -> None:
        if not inspect.getdoc(thing):
            self.undocumented.append(path)

    def _constant(self, name: Name) -> Iterator[str]:
        found = assignment_of(name)
        if name.kind == "Constants":
            yield f".. py:data:: {name.name}"
            if found.value:
                yield f"   :value: {found.value}"
        else:
            yield f".. py:type:: {name.name}"
            yield f"   :canonical: {found.value or name.thing}"
        yield from ["", f"   {escaped(found.comment)}" if found.comment else "", ""]

    def _members(self, name: Name) -> Iterator[str]:
        inherited: dict[type, list[Member]] = {}
        for member in members(name.thing):
            home = public_paths().get(f"{member.owner.__module__}.{member.owner.__qualname__}")
            if home not in {None, name.path}:
                inherited.setdefault(member.owner, []).append(member)
                continue
            yield from self._member(name, member)
        for owner, of_owner in inherited.items():
            home = public_paths()[f"{owner.__module__}.{owner.__qualname__}"]
            links = ", ".join(f":py:obj:`{member.name} <{home}.{member.name}>`" for member in of_owner)
            yield from [f"Inherited from :py:obj:`{owner.__name__} <{home}>`: {links}.", ""]

    def _member(self, name: Name, member: Member) -> Iterator[str]:
        path = f"{name.name}.{member.name}"
        if member.is_call:
            self._require_docstring(f"{name.module}.{path}", getattr(name.thing, member.name))
            yield from [f".. automethod:: {path}", ""]
        elif member.is_property:
            self._require_docstring(f"{name.module}.{path}", member.value)
            yield from [f".. autoproperty:: {path}", ""]
        else:
            found = assignments(member.owner.__module__).get(f"{member.owner.__name__}.{member.name}")
            yield f".. py:attribute:: {path}"
            if found and found.annotation and not found.annotation.startswith(("Final", "ClassVar")):
                yield f"   :type: {found.annotation}"
            if found and found.value and not found.value.startswith("field("):
                yield f"   :value: {self.readable(found.value, member.owner.__module__)}"
            yield from ["", f"   {escaped(found.comment)}" if found and found.comment else "", ""]


def title(text: str, line: str = "=") -> list[str]:
    """A heading of reStructuredText."""
    return [text, line * len(text), ""]


def index() -> str:
    """The list of all public modules, for the end of the page about the interface."""
    rows = []
    for module in modules():
        rows += [
            f"   * - :py:mod:`{module}`",
            f"     - {summary(importlib.import_module(module).__doc__ or '')}",
        ]
    pages = [f"   api/{module}" for module in modules()]
    return "\n".join(
        [
            *["", "```{eval-rst}", ".. list-table::", "   :class: names", "   :widths: auto", "", *rows, ""],
            *[".. toctree::", "   :hidden:", "", *pages, "```", ""],
        ]
    )
