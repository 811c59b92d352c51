"""How much may fly. A controller owns its window and never sees the Tcb: it is told what was acknowledged and what was lost."""

from abc import ABC, abstractmethod
from typing import Final

SEGMENTS_OF_INITIAL_WINDOW: Final = 10


class Congestion(ABC):
    """Subclass to bring your own. All sizes are octets; only the controller writes ``window`` and ``threshold``.

    ``window`` is cwnd, ``threshold`` ssthresh and ``smss`` the sender's maximum segment size of RFC 5681, 2.
    """

    def __init__(self, smss: int, initial_window: int) -> None:
        self.smss = smss
        self.window = initial_window
        self.initial_window = initial_window
        self.threshold = 1 << 30  # RFC5681-3.1e: arbitrarily high

    @abstractmethod
    def acknowledged(self, octets: int, now: int) -> None:
        """``octets`` were acknowledged outside of recovery, while the window was in use."""

    @abstractmethod
    def lost(self, flight: int, now: int) -> None:
        """Recovery begins, with ``flight`` octets outstanding."""

    @abstractmethod
    def recovered(self, flight: int, now: int) -> None:
        """Recovery ends, with ``flight`` octets outstanding."""

    @abstractmethod
    def timed_out(self, flight: int, now: int, *, again: bool) -> None:
        """The retransmission timer expired; ``again``: for octets that had timed out before."""

    @abstractmethod
    def idled(self, now: int) -> None:
        """Nothing was sent for longer than one RTO, and now something will be."""

    def resized(self, smss: int) -> None:
        """The path's segment size changed; windows stay octets."""
        self.smss = smss


def initial_window(smss: int, segments: int = SEGMENTS_OF_INITIAL_WINDOW) -> int:
    """IW of RFC 6928, 2: min(10 MSS, max(2 MSS, 14,600)). A smaller number of segments lowers it (RFC6928-2a)."""
    return min(segments * smss, max(2 * smss, 14_600))
