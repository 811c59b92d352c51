"""Words to mypyc, which makes the core into C, that mean nothing to an interpreter; and nobody needs a package for them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_extensions import i64 as i64  # noqa: PLC0414 - for others to import
    from mypy_extensions import mypyc_attr as mypyc_attr  # noqa: PLC0414
else:
    i64 = int

    def mypyc_attr(**_attributes: bool) -> Callable[[type], type]:
        """What a compiled class allows, as ``allow_interpreted_subclasses=True``."""
        return lambda decorated: decorated
