"""Expressions of the source for readers that don't know its private names.

A default such as ``orphans.MOST`` tells a reader nothing, so the expression by which that constant is defined
stands in its place.
"""

import ast
import sys
import types

from tools.docs.interface import assignments, modules, names

UNITS = {"KIBIBYTE", "MEBIBYTE"}  # say more than the number does
LONGEST = 40


class WithoutPrivateNames(ast.NodeTransformer):
    """Puts the definition of a private constant in place of its name, in an expression of ``module``."""

    def __init__(self, module: types.ModuleType) -> None:
        self.module = module
        self.public = {name.name for known in modules() for name in names(known)} | UNITS

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """A constant of this module, or one that it imports."""
        return self._definition(node, node.id, self.module)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """A constant of another module."""
        owner = vars(self.module).get(node.value.id) if isinstance(node.value, ast.Name) else None
        is_own = isinstance(owner, types.ModuleType) and owner.__name__.startswith("postel")
        return self._definition(node, node.attr, owner) if is_own else node

    def _definition(self, node: ast.expr, name: str, module: types.ModuleType) -> ast.expr:
        value = vars(module).get(name)
        if name in self.public or type(value) not in {int, str, bytes, float}:
            return node
        for path in [module.__name__, *sorted(found for found in sys.modules if found.startswith("postel"))]:
            if vars(sys.modules[path]).get(name) == value and name in assignments(path):
                found = ast.parse(assignments(path)[name].value, mode="eval").body
                if len(ast.unparse(found)) <= LONGEST and not isinstance(found, ast.Call):
                    return WithoutPrivateNames(sys.modules[path]).visit(found)
        return ast.Constant(value)


def readable(expression: str, module: str) -> str:
    """An expression of a module, with the definitions of private constants in place of their names."""
    before = ast.unparse(ast.parse(expression, mode="eval"))
    after = ast.unparse(
        WithoutPrivateNames(sys.modules[module]).visit(ast.parse(expression, mode="eval").body)
    )
    return expression if after == before else after
