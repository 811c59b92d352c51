"""Interface of congestion controllers: how many octets a connection may have in flight.

A controller owns cwnd, ssthresh and the pacing rate. A controller never sees the connection, which calls it
to tell what each ACK delivered, what was lost, and when a timer expired. Users import these names from
`postel.congestion`.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Final

from postel.compiler import mypyc_attr

SEGMENTS_OF_INITIAL_WINDOW: Final = 10  # RFC 6928
ARBITRARILY_HIGH: Final = 1 << 30  # octets: the first threshold (RFC5681-3.1e)


class Sample:
    """Measurements that one ACK brought about the path, for a congestion controller.

    Sizes are octets, times microseconds, and no value is negative. Positions (``una``, ``max``) count octets
    since the connection was opened and never wrap; they and the totals never decrease.

    - ``acked``: octets by which the ACK advanced SND.UNA.
    - ``delivered``: octets that the ACK acknowledged or SACKed for the first time.
    - ``lost``: octets that the ACK showed to be lost.
    - ``marked``: octets delivered with the CE mark (RFC 9768); with classic ECN (RFC 3168) all of
      ``delivered`` if the ACK carries ECE.
    - ``flight``: octets in the network after this ACK.
    - ``flight_before``: octets in the network when something was last sent. Several ACKs that are read
      together all have the same value.
    - ``round_trip``: the round trip that this ACK measured; 0 if it measured none. Without SACK, ACKs measure
      one only for a controller with ``is_model``.
    - ``smoothed``: SRTT of RFC 6298 where SACK wasn't agreed; else 0.
    - ``una``, ``max``: positions of SND.UNA and SND.MAX.
    - ``total_delivered``, ``total_lost``: octets since the connection was opened.
    - ``is_window_limited``: the window was in use, so the ACK is evidence that the path carries that window.

    The other fields are a rate sample (the BBR draft, 4.1). They are set only for a controller with
    ``is_model``. They describe the newest segment that this ACK delivered; ``interval`` is 0, and the others
    mean nothing, where the ACK delivered no segment that was sent only once:

    - ``rate``: delivery rate in octets a second.
    - ``interval``: time over which the rate was measured.
    - ``lost_since``: octets lost since that segment was sent.
    - ``prior_delivered``, ``segment_lost``: ``total_delivered`` and ``total_lost`` when the segment was sent.
    - ``segment_flight``: octets in the network when the segment was sent, itself included.
    - ``is_app_limited``: the sender had no more data to send when the segment was sent, so the rate may be
      below what the path can carry.
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
        """Create a sample that tells nothing."""
        self.acked: int = 0
        self.delivered: int = 0
        self.lost: int = 0
        self.marked: int = 0
        self.flight: int = 0
        self.flight_before: int = 0
        self.round_trip: int = 0
        self.smoothed: int = 0
        self.una: int = 0
        self.max: int = 0
        self.total_delivered: int = 0
        self.total_lost: int = 0
        self.is_window_limited: bool = False
        self.rate: int = 0
        self.interval: int = 0
        self.lost_since: int = 0
        self.prior_delivered: int = 0
        self.segment_flight: int = 0
        self.segment_lost: int = 0
        self.is_app_limited: bool = False


@mypyc_attr(allow_interpreted_subclasses=True)
class Congestion(ABC):
    """Interface of congestion controllers: subclass it to bring your own.

    A controller decides how many octets may be in flight, and never sees the connection. Each connection
    makes one controller when it first has something to send, by ``Controller(smss, initial_window, seed)``,
    and calls it as described here. All sizes are octets, all times microseconds of the host's clock. ``now``
    never decreases.

    **What the controller owns.** Only the controller writes ``window``, ``threshold`` and ``pacing_rate``.
    The connection reads them after each call.

    - ``window`` is cwnd of RFC 5681, 2: the most octets in flight. It begins as ``initial_window``, and is at
      least ``smss`` after every call but `resized`.
    - ``threshold`` is ssthresh, and begins as `ARBITRARILY_HIGH`. While recovery lasts, Proportional Rate
      Reduction (RFC 9937) lowers the octets in flight to ``threshold``, unless the class has ``is_model``.
    - ``pacing_rate`` is in octets a second: the connection spreads what the window allows over time. 0 means
      no pacing.
    - ``smss`` is the sender's maximum segment size, which `resized` changes. ``initial_window`` stays as it
      was given.
    - ``seed`` is an int to draw random numbers from, with `postel.congestion.Xorshift` for example. It
      differs between the connections of a host. For the same secret, addresses and time the seed is the same,
      so that a simulation can be repeated.

    **What a class chooses.**

    - ``is_model`` (False by default): the controller follows a model of the path, as BBR does. Then samples
      carry a rate sample, and recovery leaves the window to the controller instead of applying Proportional
      Rate Reduction.
    - ``wants_sends`` (False by default): the connection calls `sent` after each segment.

    **One ACK** brings these calls, in this order, each at most once but for `lost` and `recovered`:

    1. `observed`, where the ACK delivered, lost or marked anything, and before each of the following calls;
    2. `marked`, where it told of an ECN mark that needs an answer;
    3. `undo`, where it proved that nothing was lost in the last episode;
    4. `lost` and `recovered`, where it showed that a tail probe repaired a loss (RFC 8985, 7.4.2);
    5. `recovered`, where it ended an episode of recovery;
    6. `remember` and `lost`, where it began an episode; or `lost` alone, where a retransmission is lost in
       the same episode;
    7. `acknowledged`, where none of 2, 4, 5 and 6 was called, no recovery is under way, and the window was in
       use.

    The reordering timer (RFC 8985, 6.3) brings the same calls as an ACK that delivers nothing. A mark on a
    SYN brings `marked` alone, before any sample (RFC 9768, 3.2.2).

    **The retransmission timer** brings `remember` and `timed_out`, or `timed_out` alone where it expires
    again for the same octets. No sample reports what is lost by a timeout: the next sample has it in
    ``total_lost``.

    **Sending** brings `started` before a segment when nothing is in flight, and `idled` before that where
    nothing was sent for longer than one RTO; and `sent` after each segment, for a class with ``wants_sends``.

    A controller raises no exception, asks no clock, and keeps no reference to a sample.
    `postel.testing.check_congestion` checks whether a class keeps to this contract.

    A small controller, after RFC 5681, and what the beginning of an episode does to it:

    >>> from postel.congestion import Congestion
    >>> class Halving(Congestion):
    ...     def acknowledged(self, octets, now):
    ...         if self.window < self.threshold:
    ...             self.window += min(octets, self.smss)
    ...         else:
    ...             self.window += max(1, self.smss * self.smss // self.window)
    ...     def lost(self, flight, now):
    ...         self.window = self.threshold = max(flight // 2, 2 * self.smss)
    ...     def recovered(self, flight, now):
    ...         self.window = self.threshold
    ...     def timed_out(self, flight, now, *, again):
    ...         if not again:
    ...             self.threshold = max(flight // 2, 2 * self.smss)
    ...         self.window = self.smss
    ...     def idled(self, now):
    ...         self.window = min(self.window, self.initial_window)
    >>> controller = Halving(smss=1000, initial_window=10_000)
    >>> controller.remember(10_000)
    >>> controller.lost(10_000, now=0)
    >>> controller.window, controller.threshold
    (5000, 5000)
    """

    is_model: ClassVar[bool] = False
    wants_sends: ClassVar[bool] = False

    def __init__(self, smss: int, initial_window: int, seed: int = 0) -> None:
        """Create the controller of one connection.

        ``smss`` is the sender's maximum segment size in octets, 1 or more. ``initial_window`` is the first
        window in octets, at least ``smss``. ``seed`` is any int, to draw random numbers from. A subclass that
        has a constructor of its own takes the same arguments and passes them on.
        """
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
        """Let the window grow: ``octets`` were acknowledged outside of recovery (RFC 5681, 3.1).

        The window was in use, so it may grow by at most ``octets``; without pacing, by at most 8 * ``smss``
        for one ACK.
        """

    @abstractmethod
    def lost(self, flight: int, now: int) -> None:
        """Reduce the window: something was lost, with ``flight`` octets in flight.

        Called when recovery begins, and again while it lasts where a retransmission is lost too.

        Set ``threshold`` and ``window`` to what may be in flight after congestion: half of ``flight`` for
        Reno (RFC 5681, 3.2, equation 4), never less than 2 * ``smss``.
        """

    @abstractmethod
    def recovered(self, flight: int, now: int) -> None:
        """Recovery ends, with ``flight`` octets in flight: set ``window`` (RFC 6582, 3.2, step 3).

        Choose it so that no burst follows. Reno takes ``threshold``, but at most one segment more than
        ``flight``.
        """

    @abstractmethod
    def timed_out(self, flight: int, now: int, *, again: bool) -> None:
        """Collapse the window: the retransmission timer expired with ``flight`` octets in flight.

        Set ``window`` to the loss window, which is ``smss``, and ``threshold`` to at most what `lost` would
        (RFC 5681, 3.1). ``again`` says that the timer has expired before for the same octets; then leave
        ``threshold`` as it is.
        """

    @abstractmethod
    def idled(self, now: int) -> None:
        """Restart after idle time: a segment will be sent now, the first for longer than one RTO.

        Lower ``window`` to at most the restart window, which is ``initial_window`` (RFC 5681, 4.1). A
        controller that paces may leave it as it is.
        """

    def observed(self, sample: Sample, now: int) -> None:
        """Learn from one ACK, in recovery too. The default does nothing.

        The connection uses the same `Sample` object for every ACK: copy what is to be kept.
        """

    def marked(self, flight: int, now: int) -> None:
        """Answer ECN marks of the network, with ``flight`` octets in flight (RFC 3168, 6.1.2).

        Called at most once a round trip, and never in recovery. A mark means congestion, as a loss does, but
        nothing is sent again, and the reduction is never undone. By default the answer is that of `lost`; RFC
        8511 allows a smaller one.
        """
        self.lost(flight, now)

    def started(self, now: int) -> None:
        """Note that a segment will be sent while nothing is in flight. The default does nothing."""

    def sent(self, octets: int, flight: int, now: int) -> None:
        """Note that a segment of ``octets`` was sent, for the first time or again. The default does nothing.

        ``flight`` is what is in the network in octets, this segment included; without SACK it includes what
        is lost, too. Called only where the class has ``wants_sends = True``.
        """

    def remember(self, flight: int) -> None:
        """Save what `undo` needs, because an episode of losses begins with ``flight`` octets in flight.

        `lost` or `timed_out` follows. Not called before a reduction that `undo` never takes back: a further
        `lost` of the same episode, a loss that a tail probe repaired, and `marked`. After one of the last
        two, the episode before it can't be undone. The default saves ``window``, and the larger of
        ``threshold`` and ``flight``.
        """
        self._window_before = self.window
        self._threshold_before = max(flight, self.threshold)  # RFC4015-3.1-0

    def undo(self, limit: int, now: int) -> None:
        """Restore what `remember` kept: nothing was lost after all (RFC 4015, RFC 5682, RFC 2883).

        ``limit`` in octets is the most that the window may grow to in this call, so that no burst follows.
        """
        self.window = max(self.window, min(limit, self._window_before))
        self.threshold = self._threshold_before

    def resized(self, smss: int) -> None:
        """Take a new segment size in octets; ``window`` and ``threshold`` keep their octets.

        Called when the path was found to carry larger or smaller segments.
        """
        self.smss = smss


def initial_window(smss: int, segments: int = SEGMENTS_OF_INITIAL_WINDOW) -> int:
    """Return the initial window in octets: min(10 MSS, max(2 MSS, 14,600)) (IW of RFC 6928, 2).

    ``smss`` is the segment size in octets. A smaller number of ``segments`` lowers the window (RFC6928-2a).

    >>> from postel.congestion import initial_window
    >>> initial_window(1460), initial_window(9000), initial_window(1460, segments=2)
    (14600, 18000, 2920)
    """
    return min(segments * smss, max(2 * smss, 14_600))
