"""Signatures as the source has them.

Sphinx shows what annotations stand for. The source says ``Address``, which is shorter and leads to a
description.
"""

import ast
import inspect
import sys
import textwrap
import types
from typing import Any

from sphinx.application import Sphinx

from tools.docs.constants import WithoutPrivateNames
from tools.docs.interface import NOT_ALL_ARGUMENTS, public_paths


class Unquoted(ast.NodeTransformer):
    """Removes the quotes of an annotation that is written as a text."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        """A text becomes the expression in it."""
        return ast.parse(node.value, mode="eval").body if isinstance(node.value, str) else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """The words of a Literal stay texts."""
        return node if ast.unparse(node.value) == "Literal" else self.generic_visit(node)  # type: ignore[return-value]


def signature_of(function: object) -> tuple[str, str] | None:
    """Arguments and result of a function, or None where there is no source."""
    try:
        node = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body[0]  # type: ignore[arg-type]
    except (OSError, TypeError, SyntaxError):
        return None
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    everything = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    for argument in [*everything, node.args.vararg, node.args.kwarg]:
        if argument is not None and argument.annotation is not None:
            argument.annotation = Unquoted().visit(argument.annotation)
    shown = WithoutPrivateNames(sys.modules[function.__module__])
    node.args.defaults = [shown.visit(default) for default in node.args.defaults]
    node.args.kw_defaults = [default and shown.visit(default) for default in node.args.kw_defaults]
    result = "" if node.returns is None else ast.unparse(Unquoted().visit(node.returns))
    return ast.unparse(_without_self(node.args)), result


def _without_self(arguments: ast.arguments) -> ast.arguments:
    positional = arguments.posonlyargs or arguments.args
    if positional and positional[0].arg in {"self", "cls"}:
        del positional[0]
    return arguments


def in_words_of_source(
    _app: Sphinx,
    what: str,
    _name: str,
    thing: object,
    _options: object,
    signature: str | None,
    result: str | None,
) -> tuple[str | None, str | None] | None:
    """The signature of a function or class. A record of many fields has none: its fields follow."""
    if what == "class":
        if len(getattr(thing, "__dataclass_fields__", {})) > NOT_ALL_ARGUMENTS:
            return "(**fields)", None
        thing = vars(thing).get("__init__")
    found = signature_of(thing) if isinstance(thing, types.FunctionType | types.MethodType) else None
    if found is None or signature is None:
        return None
    return f"({found[0]})", None if what == "class" else found[1] or result


def without_private_bases(
    _app: Sphinx, _name: str, _thing: object, _options: object, bases: list[Any]
) -> None:
    """Of the bases of a class only the public ones are shown, or else ``object``."""
    known = public_paths()
    kept = [
        base
        for base in bases
        if not getattr(base, "__module__", "").startswith("postel")
        or f"{base.__module__}.{getattr(base, '__qualname__', '')}" in known
    ]
    bases[:] = kept or [object]


def setup(app: Sphinx) -> None:
    """Connect to Sphinx."""
    app.connect("autodoc-process-signature", in_words_of_source)
    app.connect("autodoc-process-bases", without_private_bases)
