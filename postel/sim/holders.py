"""Search for all places of a process that hold certain functions, to replace the functions for a while."""

import sys
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any, Final, NamedTuple

Function = Callable[..., Any]
# Modules that measure a test, and modules that the machine's threads need, keep the original functions.
_KEPT: Final = frozenset(
    {
        "_pytest",
        "pytest",
        "pluggy",
        "hypothesis",
        "xdist",
        "execnet",
        "coverage",
        "postel",
        "threading",
        "queue",
        "subprocess",
    }
)


class HeldFunction(NamedTuple):
    """Place that refers to a function, such as a name in a module or a default argument.

    ``key`` is a name in a module, a name in the defaults of keyword arguments, or a position in the defaults
    of positional arguments.
    """

    of: Any
    key: Any
    original: Function

    def put(self, function: Function) -> None:
        """Let the place refer to ``function``."""
        if isinstance(self.of, dict):
            self.of[self.key] = function
        else:
            defaults = list(self.of.__defaults__ or ())
            defaults[self.key] = function
            self.of.__defaults__ = tuple(defaults)


class Holders:
    """Original functions with their replacements, and the places that refer to the originals.

    Each module is searched once. A place in which a module puts an original after that isn't found, unless
    the module is imported again.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._replacements: dict[int, Function] = {}  # by the id of the original
        self._originals: dict[int, Function] = {}  # by the ids of the original and of the replacement
        self._found: list[HeldFunction] = []
        self._known: dict[str, ModuleType] = {}

    def replace(self, pairs: list[tuple[Function, Function]]) -> None:
        """Learn originals, each with its replacement."""
        for original, replacement in pairs:
            replacement.__name__ = replacement.__qualname__ = original.__name__
            replacement.__doc__ = original.__doc__
            self._replacements[id(original)] = replacement
            self._originals[id(original)] = self._originals[id(replacement)] = original

    def begin(self) -> None:
        """Put each replacement in the places of its original."""
        self._look()
        for holder in self._found:
            holder.put(self._replacements[id(holder.original)])

    def end(self) -> None:
        """Put each original back, also in modules that were imported while the replacements were in place."""
        self._look()
        for holder in self._found:
            holder.put(holder.original)

    def _look(self) -> None:
        """Search the modules that were not searched before."""
        for name, module in list(sys.modules.items()):
            if (
                self._known.get(name) is module
                or not isinstance(module, ModuleType)
                or name.partition(".")[0] in _KEPT
            ):
                continue
            self._known[name] = module
            self._found += self._in_module(module)

    def _in_module(self, module: ModuleType) -> Iterator[HeldFunction]:
        names = vars(module)
        for key, value in list(names.items()):
            if (original := self._originals.get(id(value))) is not None:
                yield HeldFunction(names, key, original)
            elif isinstance(value, FunctionType):
                yield from self._in_defaults(value)
            elif isinstance(value, type) and value.__module__ == module.__name__:
                for method in vars(value).values():
                    if isinstance(method, FunctionType):
                        yield from self._in_defaults(method)

    def _in_defaults(self, function: FunctionType) -> Iterator[HeldFunction]:
        for position, value in enumerate(function.__defaults__ or ()):
            if (original := self._originals.get(id(value))) is not None:
                yield HeldFunction(function, position, original)
        for key, value in (function.__kwdefaults__ or {}).items():
            if (original := self._originals.get(id(value))) is not None:
                yield HeldFunction(function.__kwdefaults__, key, original)
