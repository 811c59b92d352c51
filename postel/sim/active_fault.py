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
        """Keep ``fault``. ``stands(self)`` says whether it still has an effect, and ``end(self)`` ends it."""
        self.fault = fault
        self._stands = stands
        self._end = end

    @property
    def is_active(self) -> bool:
        """Whether the fault still has an effect, because nothing has ended it."""
        return self._stands(self)

    def end(self) -> None:
        """End this fault, and no other one. Does nothing where this fault has already ended."""
        if self.is_active:
            self._end(self)

    def __enter__(self) -> Self:
        """Return this object, for ``with``."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the fault at the end of the block."""
        self.end()

    def __repr__(self) -> str:
        """Say whether the fault is active, and which fault this is."""
        return f"<{'active' if self.is_active else 'ended'}: {self.fault}>"
