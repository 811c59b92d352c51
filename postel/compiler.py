"""Names that the core takes from mypyc, and what the compiled core needs to check arguments.

Plain Python doesn't need the package ``mypy_extensions``: here the names stand for ordinary types.
"""

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING

from postel.errors import ArgumentError, KindError, refused_time

if TYPE_CHECKING:
    from mypy_extensions import i64 as i64  # noqa: PLC0414 - other modules import the name from here
    from mypy_extensions import mypyc_attr as mypyc_attr  # noqa: PLC0414 - the same
else:
    i64 = int

    def mypyc_attr(**_attributes: bool) -> Callable[[type], type]:
        """Decorator that tells mypyc what a compiled class allows.

        An example is ``allow_interpreted_subclasses=True``. In plain Python the decorator does nothing.
        """
        return lambda decorated: decorated


def refused(name: str, kind: str, value: object) -> ArgumentError:
    """Make the error that a compiled function raises for a ``value`` that isn't of type ``kind``.

    setup.py writes the call of this function into the generated C code.
    """
    return refused_time(value) if name == "now" else KindError(name, value, kind)


def door(kind: type, check: Callable[[str, object], None]) -> None:
    """Let ``check`` see the name and value of each argument before the constructor of ``kind`` runs.

    Compiled code converts True to 1 where an int is annotated, so the constructor itself can't see the
    difference.
    """
    construct: Callable[..., None] = kind.__init__  # type: ignore[misc]  # mypy: unsafe on an instance
    names = tuple(inspect.signature(construct).parameters)[1:]

    @functools.wraps(construct)
    def admit(self: object, *arguments: object, **options: object) -> None:
        for name, value in (*zip(names, arguments, strict=False), *options.items()):
            check(name, value)
        construct(self, *arguments, **options)

    kind.__init__ = admit  # type: ignore[misc]  # mypy forbids assigning to a method
