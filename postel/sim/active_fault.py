"""Fault that has begun, for as long as it lasts."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from postel.sim.faults import Fault


class ActiveFault:
    """Fault that has begun. `end` ends it, and so does the end of a ``with`` block.

    ``fault`` is its record.
    """

    def __init__(
        self, fault: Fault, stands: Callable[["ActiveFault"], bool], end: Callable[["ActiveFault"], object]
    ) -> None:
        """Make it; ``stands`` says whether it has an effect, and ``end`` ends it."""
        self.fault = fault
        self._stands = stands
        self._end = end

    @property
    def is_active(self) -> bool:
        """Whether it still has an effect: nothing has ended it."""
        return self._stands(self)

    def end(self) -> None:
        """End it, and no other fault. Does nothing where it has ended."""
        if self.is_active:
            self._end(self)

    def __enter__(self) -> Self:
        """Return it, for ``with``."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self.end()

    def __repr__(self) -> str:
        """Say whether it is active, and which fault it is."""
        return f"<{'active' if self.is_active else 'ended'}: {self.fault}>"
