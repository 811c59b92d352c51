"""RST segments for connections that don't exist: the CLOSED state of RFC 9293, 3.10.7.1."""

from typing import Final

from postel.tcp.budget import Budget
from postel.tcp.output import reset_for
from postel.wire.segment import RST, Segment

_RESETS_A_SECOND: Final = 1000


class Resets:
    """Answers segments with RST, up to a limit per second that is drawn anew each second.

    With a random limit a peer can't count the RSTs that other peers have caused (CVE-2016-5696).
    """

    __slots__ = ("_budget",)

    def __init__(self, secret: bytes) -> None:
        """Derive the limits from the host's secret."""
        self._budget = Budget(_RESETS_A_SECOND, secret + b"reset")

    def answer(self, segment: Segment, now: int) -> Segment | None:
        """EP-CLO-2, EP-CLO-3, EP-LIS-2: RST that answers a segment; None for a RST (EP-PRE-9, EP-CLO-1).

        The result is None also if the limit of this second is reached.
        """
        if segment.flags & RST or not self._budget.claim(now):
            return None
        return reset_for(segment)
