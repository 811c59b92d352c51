"""Segments for a connection that doesn't exist: the CLOSED state of RFC 9293, 3.10.7.1."""

from typing import Final

from postel.tcp.budget import Budget
from postel.tcp.output import reset_for
from postel.wire.segment import RST, Segment

_RESETS_A_SECOND: Final = 1000


class Resets:
    """Answers within a budget that is drawn anew each second, so that no peer can count what others used of
    it (CVE-2016-5696).
    """

    __slots__ = ("_budget",)

    def __init__(self, secret: bytes) -> None:
        self._budget = Budget(_RESETS_A_SECOND, secret + b"reset")

    def answer(self, segment: Segment, now: int) -> Segment | None:
        """EP-CLO-2, EP-CLO-3, EP-LIS-2; never for a RST (EP-PRE-9, EP-CLO-1)."""
        if segment.flags & RST or not self._budget.claim(now):
            return None
        return reset_for(segment)
