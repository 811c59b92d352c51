"""How much may fly. A controller owns its window and never sees the Tcb: it is told what was acknowledged and
what was lost.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Final

from postel.compiler import mypyc_attr

SEGMENTS_OF_INITIAL_WINDOW: Final = 10
ARBITRARILY_HIGH: Final = 1 << 30  # the first threshold (RFC5681-3.1e)


class Sample:
    """What one ACK told: all that a controller may want to know. Octets, microseconds; positions count octets
    and never wrap.

    Nothing is negative, and the totals never decrease.

    The fields from ``rate`` on are those of a rate sample (the BBR draft, 4.1): they speak of the newest
    segment that this ACK delivered, and say nothing (``interval`` 0) where it delivered none that was sent
    only once.
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
        self.acked: int = 0  # SND.UNA advanced by as much
        self.delivered: int = 0  # acknowledged or SACKed, for the first time
        self.lost: int = 0  # newly found lost
        self.marked: int = 0  # of what was delivered, with CE (RFC 9768); or all of it with ECE (RFC 3168)
        self.flight: int = 0  # in the network after this ACK
        self.flight_before: int = (
            0  # and when something was last sent: several ACKs that come at once all find as much
        )
        self.round_trip: int = 0  # measured by this ACK; 0: none
        self.smoothed: int = (
            0  # round trip (SRTT of RFC 6298), where no ACK measures one by itself: without SACK; else 0
        )
        self.una: int = 0  # position of SND.UNA
        self.max: int = 0  # position of SND.MAX
        self.total_delivered: int = 0  # since the start
        self.total_lost: int = 0
        self.is_window_limited: bool = False  # the window was in use: what was acknowledged says that it fits
        self.rate: int = 0  # octets a second
        self.interval: int = 0  # over which the rate was measured
        self.lost_since: int = 0  # lost since that segment was sent
        self.prior_delivered: int = 0  # ``total_delivered`` when it was sent
        self.segment_flight: int = 0  # in the network when it was sent, itself included
        self.segment_lost: int = 0  # ``total_lost`` when it was sent
        self.is_app_limited: bool = False  # its sender had no more to send then


@mypyc_attr(allow_interpreted_subclasses=True)
class Congestion(ABC):
    """The interface of congestion controllers: subclass it to bring your own.

    A controller decides how many octets may be in flight, and never sees the connection. Each connection
    makes one when it first has something to send, by ``Controller(smss, initial_window, seed)``, and calls it
    as described here. All sizes are octets, all times microseconds of the host's clock; ``now`` never
    decreases.

    **What it owns.** Only the controller writes ``window``, ``threshold`` and ``pacing_rate``; the connection
    reads them after each call.

    - ``window`` is cwnd of RFC 5681, 2: at least ``smss`` after every call but `resized`. It begins as
      ``initial_window``.
    - ``threshold`` is ssthresh: while recovery lasts, Proportional Rate Reduction (RFC 9937) leads what is in
      flight down to it, unless
      ``is_model`` says that the controller keeps to a rate of its own there too.
    - ``pacing_rate`` spreads what the window allows, in octets a second; 0 sends at once.
    - ``smss`` is the sender's maximum segment size, which `resized` changes.
    - ``seed`` is an int to draw random numbers from. It differs between the connections of a host, and is the
      same again for the same
      secret, addresses and time, so that a simulation can be repeated. `postel.congestion.Xorshift` is a
      generator to begin with it.

    **One ACK** brings these calls, in this order, each at most once but for `lost` and `recovered`:

    1. `observed`, with all that the ACK told, where it delivered, lost or marked anything, and before each of
       the following;
    2. `marked`, where it told of a mark that needs an answer;
    3. `undo`, where it proved that the last episode of losses was none;
    4. `lost` and `recovered`, where it showed that a tail probe repaired a loss (RFC 8985, 7.4.2);
    5. `recovered`, where it ended an episode;
    6. `remember` and `lost`, where it began one; or `lost` alone, where something that was sent again is lost
       once more;
    7. `acknowledged`, where none of 2, 4, 5 and 6 was called, recovery doesn't last, and the window was in
       use.

    What becomes lost by waiting (the reordering timer of RFC 8985, 6.3) is told as an ACK that delivers
    nothing. The mark of a SYN is told by `marked` alone, before any sample (RFC 9768, 3.2.2).

    **The retransmission timer** brings `remember` and `timed_out`, or `timed_out` alone where it expires
    again for the same octets. No sample tells of what that makes lost: the next one has it in ``total_lost``.

    **Sending** brings `started` before the first segment when nothing is in flight, and `idled` before that
    if there was a long rest; and `sent` after each segment, for a controller that has ``wants_sends``.

    A controller raises no exception, asks no clock, and keeps no reference to a sample.
    `postel.testing.check_congestion` tells whether one keeps to all this.
    """

    is_model: ClassVar[bool] = False
    wants_sends: ClassVar[bool] = False

    def __init__(self, smss: int, initial_window: int, seed: int = 0) -> None:
        self.smss: int = smss
        self.window: int = initial_window
        self.initial_window: int = initial_window
        self.seed: int = seed
        self.threshold: int = ARBITRARILY_HIGH
        self.pacing_rate: int = 0
        self._window_before = initial_window
        self._threshold_before = self.threshold

    @abstractmethod
    def acknowledged(self, octets: int, now: int) -> None:
        """``octets`` were acknowledged outside of recovery, while the window was in use: it may grow (RFC
        5681, 3.1).
        """

    @abstractmethod
    def lost(self, flight: int, now: int) -> None:
        """Recovery begins, with ``flight`` octets outstanding; or, while it lasts, something that was sent
        again is lost too.

        Set ``threshold`` and ``window`` to at most what the controller holds for right after congestion: half
        of ``flight`` for Reno (RFC 5681, 3.2, equation 4), never less than 2 * ``smss``.
        """

    @abstractmethod
    def recovered(self, flight: int, now: int) -> None:
        """Recovery ends, with ``flight`` octets outstanding: set ``window`` so that no burst follows (RFC
        6582, 3.2, step 3).
        """

    @abstractmethod
    def timed_out(self, flight: int, now: int, *, again: bool) -> None:
        """The retransmission timer expired; ``again``: for octets that had timed out before, which leaves
        ``threshold`` as it is.

        Set ``window`` to the loss window, which is ``smss`` (RFC 5681, 3.1).
        """

    @abstractmethod
    def idled(self, now: int) -> None:
        """Nothing was sent for longer than one RTO, and now something will be: the restart window is due (RFC
        5681, 4.1).
        """

    def observed(self, sample: Sample, now: int) -> None:
        """What one ACK told, in recovery too. The record is used again: copy what is to be kept."""

    def marked(self, flight: int, now: int) -> None:
        """The network marked packets, with ``flight`` octets outstanding: once a round trip, and never in
        recovery (RFC 3168, 6.1.2).

        Congestion as a loss is, but nothing is sent again. What it costs is never undone.
        """
        self.lost(flight, now)

    def started(self, now: int) -> None:
        """Something will be sent, and nothing is in flight."""

    def sent(self, octets: int, flight: int, now: int) -> None:
        """A segment of ``octets`` left, for the first time or again, and with it ``flight`` octets are in the
        network.

        Called only where the class has ``wants_sends = True``. Without SACK, ``flight`` counts what is lost
        too.
        """

    def remember(self, flight: int) -> None:
        """An episode of losses begins, with ``flight`` octets outstanding: keep what `undo` needs. `lost` or
        `timed_out` follows.

        Not called before what `undo` never takes back: a further `lost` of the same episode, the loss that a
        tail probe repaired, and `marked`; after the last two there is no `undo` of an episode before.
        """
        self._window_before = self.window
        self._threshold_before = max(flight, self.threshold)  # RFC4015-3.1-0

    def undo(self, limit: int, now: int) -> None:
        """Nothing had been lost after all (RFC 4015, RFC 5682, RFC 2883): go back to what `remember` kept.

        ``limit`` is the most that the window may grow to here, against a burst.
        """
        self.window = max(self.window, min(limit, self._window_before))
        self.threshold = self._threshold_before

    def resized(self, smss: int) -> None:
        """The path carries segments of another size: windows stay as many octets as they are."""
        self.smss = smss


def initial_window(smss: int, segments: int = SEGMENTS_OF_INITIAL_WINDOW) -> int:
    """IW of RFC 6928, 2: min(10 MSS, max(2 MSS, 14,600)). A smaller number of segments lowers it
    (RFC6928-2a).
    """
    return min(segments * smss, max(2 * smss, 14_600))
