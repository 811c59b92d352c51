"""Loss recovery: finds which octets were lost and must be retransmitted.

A connection that sends data has one `Recovery`, and tells it of each transmission, each acceptable ACK and
each expired timer. The recovery answers three questions of the output: where SND.NXT belongs (``turn``), what
to retransmit next (``next_lost``), and how many new octets may be sent (``room``). The recovery reports each
loss to the congestion controller, which owns cwnd. A recovery never makes a segment itself.

`postel.tcp.recovery.rack.Rack` is used where the peer agreed on SACK, `postel.tcp.recovery.newreno.NewReno`
elsewhere.
"""

from abc import ABC, abstractmethod
from typing import Final

from postel.tcp.congestion import Congestion, Sample
from postel.tcp.recovery.frto import TimeoutTest
from postel.tcp.recovery.tailprobe import TailProbe
from postel.tcp.recovery.undo import Undo
from postel.tcp.rtt import Rtt
from postel.times import NEVER
from postel.wire.segment import Segment

NOTHING: Final = (-1, 0)  # answer of `next_lost` and `tail`: no segment
NO_LIMIT: Final = 1 << 62  # octets: more than any window

# Values of `Recovery.turn`: where SND.NXT belongs after the call
STAY: Final = 0
BACK: Final = 1  # to SND.UNA: retransmit everything in flight, in order
ON: Final = 2  # to SND.MAX: go on with new data; `next_lost` names what must be retransmitted


class Figures:
    """Figures of a recovery for `Connection.status`, in octets and microseconds; 0 where one isn't known."""

    __slots__ = (
        "delivered",
        "delivery_rate",
        "duplicates",
        "lost",
        "min_rtt",
        "reorderings",
        "retransmitted",
        "sacked",
    )

    def __init__(self) -> None:
        """Begin with all figures at 0."""
        self.sacked: int = 0  # octets in flight that the peer has SACKed
        self.lost: int = 0  # octets found lost and not sent again yet
        self.retransmitted: int = 0  # octets sent again and not acknowledged yet
        self.delivered: int = 0  # octets acknowledged or SACKed since the connection was opened
        self.duplicates: int = 0  # segments that D-SACKs reported
        self.reorderings: int = 0  # how often a segment arrived after one that was sent later
        self.min_rtt: int = 0  # shortest round trip measured lately
        self.delivery_rate: int = 0  # octets a second, of the latest sample


class MtuProbe:
    """Segment in flight that is larger than the path is known to carry (RFC 4821, 7).

    The segment covers the sequence numbers ``start`` to ``end`` - 1. Where this segment alone is
    lost, its size is the likely reason, so congestion control isn't told (RFC 4821, 7.6.2).
    """

    __slots__ = ("end", "is_lost", "start")

    def __init__(self, start: int, end: int) -> None:
        """Record a probe that was just sent."""
        self.start: int = start
        self.end: int = end
        self.is_lost: bool = False


class Recovery(ABC):
    """Base class of both recoveries, and what they share.

    A recovery is made when the connection first has something to send, with the connection's own congestion
    controller and round-trip estimator. Only the recovery writes its public attributes, except where one is
    said to be set by others:

    - ``is_active``: a recovery episode is under way, so the congestion window doesn't grow.
    - ``inflation``: octets that may be in flight beyond cwnd, because duplicate ACKs say that as many have
      left the network.
    - ``turn``: where SND.NXT belongs (STAY, BACK or ON). `Tcb.turn` moves SND.NXT there and sets ``turn`` to
      STAY.
    - ``keeps_timer``: the latest ACK doesn't restart the retransmission timer.
    - ``reorder_at``: time at which to call `on_reorder_timeout`, or NEVER.
    - ``timeout_test``: while this test runs, the next ACKs show whether the latest timeout was spurious.
    - ``tail_probe``: state of the tail loss probe; the output calls its `begin` before it sends a probe.
    - ``mtu_probe``: the MTU probe in flight, set by `postel.tcp.pathmtu`, or None. Where nothing else is
      found lost, the probe is marked lost instead of telling congestion control (RFC4821-4).
    - ``flight``: FlightSize in octets when something was last sent. ACKs are read in batches: whatever
      several ACKs of one batch acknowledge was all in flight then.
    - ``is_wary``: something was sent again, so the timestamp that an ACK echoes can prove the retransmission
      needless.
    - ``sample``: what the latest ACK told, for the congestion controller.
    """

    __slots__ = (
        "_has_decided",
        "_marked_flight",
        "_tells_sends",
        "_undo",
        "congestion",
        "flight",
        "inflation",
        "is_active",
        "is_excused",
        "is_wary",
        "keeps_timer",
        "mtu_probe",
        "reorder_at",
        "rtt",
        "sample",
        "tail_probe",
        "timeout_test",
        "turn",
    )

    def __init__(self, congestion: Congestion, rtt: Rtt) -> None:
        """Create a recovery that has seen nothing sent yet."""
        self.congestion: Congestion = congestion
        self.rtt: Rtt = rtt
        self.sample: Sample = Sample()
        self.is_active: bool = False
        self.flight: int = 0
        self.inflation: int = 0
        self.turn: int = STAY
        self.keeps_timer: bool = False
        self.reorder_at: int = NEVER
        self.timeout_test: TimeoutTest = TimeoutTest()
        self.tail_probe: TailProbe = TailProbe(has_measured=rtt.smoothed > 0)
        self.mtu_probe: MtuProbe | None = None
        # True while only the MTU probe was found lost in this episode of recovery: then cwnd isn't reduced.
        self.is_excused: bool = False
        self.is_wary: bool = False
        self._undo = Undo()
        # The controller's `marked`, `lost` or `recovered` was called for this ACK, so `acknowledged` isn't
        # called.
        self._has_decided = False
        self._tells_sends = congestion.wants_sends
        # FlightSize in octets at an ECN mark that the controller hasn't been told of yet; 0 where there is
        # none. `_observe` passes it to the controller's `marked`, after `observed`.
        self._marked_flight = 0

    def figures(self) -> Figures:
        """Return the figures that `Connection.status` shows: here zeros, because this class measures none."""
        return Figures()

    @abstractmethod
    def on_sent(self, number: int, octets: int, now: int) -> None:
        """Record that ``octets`` numbers from ``number`` on were sent, for the first time or again.

        A FIN counts as one octet.
        """

    @abstractmethod
    def on_ack(
        self,
        segment: Segment,
        una: int,
        acked: int,
        echo: int,
        now: int,
        *,
        is_duplicate: bool,
        has_more: bool,
    ) -> None:
        """Process one acceptable ACK that arrived while something was in flight.

        The ACK advanced SND.UNA by ``acked`` octets to ``una``. Where ``acked`` is 0, it is a duplicate ACK
        (``is_duplicate``, RFC5681-2a), or carries SACK blocks, or both. ``echo`` is the timestamp tick that
        the ACK echoes, or NO_ECHO. ``has_more`` says that a full segment of new data waits in the send buffer
        and fits into the peer's window; it is used only while ``timeout_test`` runs.

        The caller has set ``sample.marked`` and ``sample.is_window_limited`` before. This method sets the
        other fields and calls the congestion controller in the order that `Congestion` describes.
        """

    @abstractmethod
    def on_bare_mark(self, now: int) -> None:
        """Process an ACK that tells nothing new except ECN marks: ``sample.marked`` octets arrived marked."""

    @abstractmethod
    def on_timeout(self, *, again: bool, has_more: bool, now: int) -> None:
        """React to an expired retransmission timer.

        ``again`` says that nothing was acknowledged since the timer expired before. ``has_more`` is that of
        `on_ack`.
        """

    def on_reorder_timeout(self, now: int) -> None:
        """Look for losses once more, because the clock has reached ``reorder_at``."""

    @abstractmethod
    def on_refused(self) -> None:
        """Send everything in flight again, in order from SND.UNA on, without telling congestion control.

        Called when the segments in flight were too large for the path, or were sent into a window that the
        peer then closed.
        """

    @abstractmethod
    def on_marked(self, flight: int) -> None:
        """Let congestion control answer an ECN mark, with ``flight`` octets in flight.

        The controller's `marked` is called after its `observed` for the ACK that carries the mark. A loss
        among the octets in flight now doesn't reduce cwnd once more (RFC3168-6.1.2a).
        """

    @abstractmethod
    def next_lost(self, una: int) -> tuple[int, int]:
        """Return the number to retransmit from now and the most octets to take, or NOTHING."""

    @abstractmethod
    def room(self, una: int, nxt: int) -> int:
        """Return how many octets congestion control lets go out from SND.NXT on; may be negative."""

    def beyond_sacked(self, number: int) -> int:
        """Return the first number from ``number`` on that the peer hasn't SACKed.

        Retransmission in order (``turn`` was BACK) skips the SACKed octets in this way.
        """
        return number

    def watches_tail(self) -> bool:
        """Say whether a probe timeout comes before the retransmission timeout (RFC 8985, 7.2)."""
        return False

    def ran_dry(self) -> None:
        """Note that the send buffer is empty, so that rate samples are marked as app-limited."""

    def tail(self) -> tuple[int, int]:
        """Return number and octets of the last segment that was sent, or NOTHING."""
        return NOTHING

    # Calls of the congestion controller, in the order that `Congestion` describes

    def _observe(self, now: int, *, is_undone: bool = False) -> None:
        """Tell the controller of the sample first, then of an ECN mark that waits for its answer."""
        self._has_decided = False
        sample = self.sample
        if sample.delivered or sample.lost or sample.marked or is_undone:
            self.congestion.observed(sample, now)
        if self._marked_flight:
            flight, self._marked_flight = self._marked_flight, 0
            self._has_decided = True
            self.congestion.marked(flight, now)

    def _reduce(self, flight: int, now: int) -> None:
        """Begin an episode of losses: let the controller save its window, then reduce the window."""
        self.congestion.remember(flight)
        self._undo.begin()
        self._reduce_again(flight, now)

    def _reduce_again(self, flight: int, now: int) -> None:
        """Reduce the window once more in an episode that goes on; what was saved stays saved."""
        self._has_decided = True
        self.congestion.lost(flight, now)

    def _tell_recovered(self, flight: int, now: int) -> None:
        """Tell the controller that the episode is over, with ``flight`` octets outstanding."""
        self._has_decided = True
        self.congestion.recovered(flight, now)

    def _tell_acknowledged(self, acked: int, now: int) -> None:
        """Let the window grow, unless this ACK told of congestion or ended an episode. Called last."""
        if (
            self.sample.is_window_limited and not self._has_decided and not self.sample.marked
        ):  # RFC3168-6.1.2a
            self.congestion.acknowledged(acked, now)

    def _time_out(self, flight: int, now: int, *, again: bool) -> None:
        """Tell the controller of a timeout; what can be undone is saved at the first timeout only."""
        if not again:  # RFC4015-3.1-0
            self.congestion.remember(flight)
            self.rtt.remember()
            self._undo.begin()
        self.congestion.timed_out(flight, now, again=again)
