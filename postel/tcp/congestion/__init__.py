"""How much may fly. A controller owns its window and never sees the Tcb: it is told what was acknowledged and what was lost."""

from abc import ABC, abstractmethod
from typing import ClassVar, Final

from postel.compiler import mypyc_attr

SEGMENTS_OF_INITIAL_WINDOW: Final = 10
ARBITRARILY_HIGH: Final = 1 << 30  # the first threshold (RFC5681-3.1e)


class Sample:
    """What one ACK told: all that a controller may want to know. Octets, microseconds; positions count octets and never wrap.

    The fields from ``rate`` on are those of a rate sample (the BBR draft, 4.1): they speak of the newest segment that this ACK delivered,
    and say nothing (``interval`` 0) where it delivered none that was sent only once.
    """

    __slots__ = (
        "acked",
        "delivered",
        "flight",
        "flight_before",
        "interval",
        "is_app_limited",
        "is_window_limited",
        "lost",
        "lost_since",
        "marked",
        "max",
        "prior_delivered",
        "rate",
        "round_trip",
        "segment_flight",
        "segment_lost",
        "smoothed",
        "total_delivered",
        "total_lost",
        "una",
    )

    def __init__(self) -> None:
        self.acked = 0  # SND.UNA advanced by as much
        self.delivered = 0  # acknowledged or SACKed, for the first time
        self.lost = 0  # newly found lost
        self.marked = 0  # of what was delivered, with CE (RFC 9768); or all of it with ECE (RFC 3168)
        self.flight = 0  # in the network after this ACK
        self.flight_before = 0  # and when something was last sent: several ACKs that come at once all find as much
        self.round_trip = 0  # measured by this ACK; 0: none
        self.smoothed = 0  # round trip (SRTT of RFC 6298), where no ACK measures one by itself: without SACK; else 0
        self.una = 0  # position of SND.UNA
        self.max = 0  # position of SND.MAX
        self.total_delivered = 0  # since the start
        self.total_lost = 0
        self.is_window_limited = False  # the window was in use: what was acknowledged says that it fits
        self.rate = 0  # octets a second
        self.interval = 0  # over which the rate was measured
        self.lost_since = 0  # lost since that segment was sent
        self.prior_delivered = 0  # ``total_delivered`` when it was sent
        self.segment_flight = 0  # in the network when it was sent, itself included
        self.segment_lost = 0  # ``total_lost`` when it was sent
        self.is_app_limited = False  # its sender had no more to send then


@mypyc_attr(allow_interpreted_subclasses=True)
class Congestion(ABC):
    """Subclass to bring your own. All sizes are octets; only the controller writes ``window`` and ``threshold``.

    ``window`` is cwnd, ``threshold`` ssthresh and ``smss`` the sender's maximum segment size of RFC 5681, 2. ``pacing_rate``, in octets a
    second, spreads what the window allows; 0 sends at once. While recovery lasts, Proportional Rate Reduction (RFC 9937) leads what flies
    down to ``threshold``, unless ``is_model`` says that the controller keeps to a rate of its own there too.
    """

    is_model: ClassVar[bool] = False

    def __init__(self, smss: int, initial_window: int) -> None:
        self.smss = smss
        self.window = initial_window
        self.initial_window = initial_window
        self.threshold = ARBITRARILY_HIGH
        self.pacing_rate = 0
        self._window_before = initial_window
        self._threshold_before = self.threshold

    @abstractmethod
    def acknowledged(self, octets: int, now: int) -> None:
        """``octets`` were acknowledged outside of recovery, while the window was in use."""

    @abstractmethod
    def lost(self, flight: int, now: int) -> None:
        """Recovery begins, with ``flight`` octets outstanding; or, while it lasts, something that went again is lost too.

        A loss that a tail probe has repaired is told by `lost` and `recovered` at once (RFC 8985, 7.4.2).
        """

    @abstractmethod
    def recovered(self, flight: int, now: int) -> None:
        """Recovery ends, with ``flight`` octets outstanding."""

    @abstractmethod
    def timed_out(self, flight: int, now: int, *, again: bool) -> None:
        """The retransmission timer expired; ``again``: for octets that had timed out before."""

    @abstractmethod
    def idled(self, now: int) -> None:
        """Nothing was sent for longer than one RTO, and now something will be."""

    def observed(self, sample: Sample, now: int) -> None:
        """Every ACK that delivered, lost or marked something, in recovery too, and before `acknowledged`. The record is used again."""

    def marked(self, flight: int, now: int) -> None:
        """The network marked a packet (RFC 3168, 6.1.2): as a loss, once a round trip, and nothing goes again."""
        self.lost(flight, now)

    def started(self, now: int) -> None:
        """Something will be sent, and nothing is in flight."""

    def remember(self, flight: int) -> None:
        """Before the `lost` or `timed_out` that begins an episode, with ``flight`` octets outstanding: what `undo` goes back to.

        Not before what `undo` never takes back: a further `lost` of the same episode, the loss that a tail probe repaired, and `marked`;
        after the last two there is no `undo` of an episode before.
        """
        self._window_before = self.window
        self._threshold_before = max(flight, self.threshold)  # RFC4015-3.1-0

    def undo(self, limit: int, now: int) -> None:
        """Nothing had been lost after all (RFC 4015, RFC 5682, RFC 2883): as if it had never been asked to slow down, but for
        a burst: ``limit`` is the most that the window may be."""
        self.window = max(self.window, min(limit, self._window_before))
        self.threshold = self._threshold_before

    def resized(self, smss: int) -> None:
        """The path's segment size changed; windows stay octets."""
        self.smss = smss


def initial_window(smss: int, segments: int = SEGMENTS_OF_INITIAL_WINDOW) -> int:
    """IW of RFC 6928, 2: min(10 MSS, max(2 MSS, 14,600)). A smaller number of segments lowers it (RFC6928-2a)."""
    return min(segments * smss, max(2 * smss, 14_600))
