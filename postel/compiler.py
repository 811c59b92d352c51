"""Names for mypyc, which makes the core into C: an interpreter needs no package for them. And what a compiled
core needs at its border.
"""

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING

from postel.errors import ArgumentError, KindError, refused_time

if TYPE_CHECKING:
    from mypy_extensions import i64 as i64  # noqa: PLC0414 - for others to import
    from mypy_extensions import mypyc_attr as mypyc_attr  # noqa: PLC0414
else:
    i64 = int

    def mypyc_attr(**_attributes: bool) -> Callable[[type], type]:
        """What a compiled class allows, as ``allow_interpreted_subclasses=True``."""
        return lambda decorated: decorated


def refused(name: str, kind: str, value: object) -> ArgumentError:
    """What a compiled function raises that is given a ``value`` of another ``kind`` than it takes. setup.py
    writes the call into its C.
    """
    return refused_time(value) if name == "now" else KindError(name, value, kind)


def door(kind: type, check: Callable[[str, object], None]) -> None:
    """Let ``check`` see the name and value of each argument before the constructor of ``kind`` does.

    A compiled class stores True as 1 where it is told of an int, so that it can't see the difference itself.
    """
    construct: Callable[..., None] = kind.__init__  # type: ignore[misc]
    names = tuple(inspect.signature(construct).parameters)[1:]

    @functools.wraps(construct)
    def admit(self: object, *arguments: object, **options: object) -> None:
        for name, value in (*zip(names, arguments, strict=False), *options.items()):
            check(name, value)
        construct(self, *arguments, **options)

    kind.__init__ = admit  # type: ignore[misc]
