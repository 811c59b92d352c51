"""What is lost. A recovery decides which octets go again, and tells congestion control what that costs."""

from abc import ABC, abstractmethod
from typing import Final

from postel.tcp.congestion import Congestion, Sample
from postel.tcp.recovery.frto import TimeoutTest
from postel.tcp.recovery.tailprobe import TailProbe
from postel.tcp.recovery.undo import Undo
from postel.tcp.rtt import Rtt
from postel.times import NEVER
from postel.wire.segment import Segment

NOTHING: Final = (-1, 0)
NO_LIMIT: Final = 1 << 62

# Where SND.NXT shall go
STAY: Final = 0
BACK: Final = 1  # to SND.UNA: everything again, in order
ON: Final = 2  # to SND.MAX: nothing again


class Figures:
    """What a recovery knows of the path. Octets and microseconds; 0 where it doesn't know."""

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
        self.sacked: int = 0  # of what is in flight
        self.lost: int = 0
        self.retransmitted: int = 0
        self.delivered: int = 0  # since the start
        self.duplicates: int = 0  # segments that D-SACKs reported
        self.reorderings: int = 0  # how often segments overtook others
        self.min_rtt: int = 0
        self.delivery_rate: int = 0  # octets a second


class MtuProbe:
    """A packet larger than the path is known to carry. Where it alone is lost, congestion isn't to blame (RFC
    4821, 7.6.2).
    """

    __slots__ = ("end", "is_lost", "start")

    def __init__(self, start: int, end: int) -> None:
        self.start: int = start
        self.end: int = end
        self.is_lost: bool = False


class Recovery(ABC):
    """Made when the handshake is done, with the connection's own controller and round-trip times.

    While ``is_active`` the congestion window doesn't grow. ``inflation`` is what may fly beyond it: octets
    that duplicate ACKs say have left the network. ``turn`` says where SND.NXT shall go; what moves it there
    sets ``turn`` to STAY. ``keeps_timer``: this ACK doesn't start the retransmission timer anew.
    ``reorder_at`` is when `on_reorder_timeout` is due. While ``timeout_test`` runs, the next ACKs tell
    whether the last timeout was spurious, given that something new is sent. ``mtu_probe`` is in flight; where
    it, and nothing else, is found lost, it is marked instead of telling congestion control (RFC4821-4).
    ``flight`` is FlightSize when something was last sent: ACKs are read in batches, and what they
    acknowledged together had all been in flight. ``is_wary``: something was sent again, so that what an ACK
    echoes matters.
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
        self.is_excused: bool = (
            False  # this recovery began with the loss of an MTU probe, and so far that is all
        )
        self.is_wary: bool = False
        self._undo = Undo()
        self._has_decided = False  # congestion control was told that this ACK means congestion, or its end
        self._tells_sends = congestion.wants_sends
        self._marked_flight = 0  # octets: `marked` is due, after `observed`

    def figures(self) -> Figures:
        return Figures()

    @abstractmethod
    def on_sent(self, number: int, octets: int, now: int) -> None:
        """Text or FIN went out from ``number`` on, for the first time or again."""

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
        """An acceptable ACK: SND.UNA advanced by ``acked`` to ``una``, or it may be a duplicate ACK
        (RFC5681-2a) or carry SACK blocks.

        ``echo`` is the tick of the timestamp that it echoes, else NO_ECHO; ``has_more``: something new could
        be sent. Fills in ``sample``, but for ``marked`` and ``is_window_limited``, which are set before, and
        tells congestion control in the order that `Congestion` has.
        """

    @abstractmethod
    def on_bare_mark(self, now: int) -> None:
        """An ACK that says nothing new but that packets arrived marked: ``sample.marked`` octets."""

    @abstractmethod
    def on_timeout(self, *, again: bool, has_more: bool, now: int) -> None:
        """The retransmission timer expired; ``again``: with nothing acknowledged since it last did."""

    def on_reorder_timeout(self, now: int) -> None:
        """``reorder_at`` has come."""

    @abstractmethod
    def on_refused(self) -> None:
        """What is in flight was too large for the path, or was sent into a window that closed: it goes again,
        in order from SND.UNA on, and congestion isn't to blame."""

    @abstractmethod
    def on_marked(self, flight: int) -> None:
        """Congestion control is to answer marks among ``flight`` octets, once it has heard of the ACK that
        tells of them: a loss among what is in flight now is answered by that (RFC3168-6.1.2a)."""

    @abstractmethod
    def next_lost(self, una: int) -> tuple[int, int]:
        """The first number to send again now, and how many octets at most; NOTHING for none."""

    @abstractmethod
    def room(self, una: int, nxt: int) -> int:
        """Octets that congestion control lets go out from SND.NXT on; may be negative."""

    def beyond_sacked(self, number: int) -> int:
        """The first number from ``number`` on that isn't SACKed: where a pass over what was sent before goes
        on.
        """
        return number

    def watches_tail(self) -> bool:
        """Whether a probe timeout comes before the retransmission timeout (RFC 8985, 7.2)."""
        return False

    def ran_dry(self) -> None:
        """The user has given no more to send."""

    def tail(self) -> tuple[int, int]:
        """Number and octets of the last segment that was sent."""
        return NOTHING

    # What congestion control is told, in the order that `Congestion` describes

    def _observe(self, now: int, *, is_undone: bool = False) -> None:
        """First the sample, then the answer to marks."""
        self._has_decided = False
        sample = self.sample
        if sample.delivered or sample.lost or sample.marked or is_undone:
            self.congestion.observed(sample, now)
        if self._marked_flight:
            flight, self._marked_flight = self._marked_flight, 0
            self._has_decided = True
            self.congestion.marked(flight, now)

    def _reduce(self, flight: int, now: int) -> None:
        """Something was lost: remember how it was, and slow down."""
        self.congestion.remember(flight)
        self._undo.begin()
        self._reduce_again(flight, now)

    def _reduce_again(self, flight: int, now: int) -> None:
        """As `_reduce`, of an episode that goes on."""
        self._has_decided = True
        self.congestion.lost(flight, now)

    def _tell_recovered(self, flight: int, now: int) -> None:
        self._has_decided = True
        self.congestion.recovered(flight, now)

    def _tell_acknowledged(self, acked: int, now: int) -> None:
        """The last word on an ACK that brings progress and nothing else, but perhaps an `undo`."""
        if (
            self.sample.is_window_limited and not self._has_decided and not self.sample.marked
        ):  # RFC3168-6.1.2a
            self.congestion.acknowledged(acked, now)

    def _time_out(self, flight: int, now: int, *, again: bool) -> None:
        if not again:  # RFC4015-3.1-0
            self.congestion.remember(flight)
            self.rtt.remember()
            self._undo.begin()
        self.congestion.timed_out(flight, now, again=again)
