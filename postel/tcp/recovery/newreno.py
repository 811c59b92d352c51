"""NewReno: fast retransmit and fast recovery without SACK (RFC 6582).

Theory of operation. Without SACK the peer can say only "I have everything before SEG.ACK". Each segment that
arrives behind a hole makes it repeat the same ACK, a duplicate ACK. Three duplicates mean that the segment at
SND.UNA is lost::

    sequence space    1 │ 2 │ 3 │ 4 │ 5 │ 6 │ 7 │ 8 │      each number is one segment; 2 and 5 are lost
    received          1       3   4       6   7   8
                          ▲                         ▲
                          SND.UNA                   SND.MAX when the loss was found (``_recover``)

    time   ACK of 1                     SND.UNA = 2
           3 × duplicate ACK            fast retransmit of 2, cwnd is reduced, recovery begins
           more duplicates              each says that a segment left the network: ``inflation`` grows by SMSS
           ACK up to 5 (partial)        below recover: 5 is lost too, retransmit it; recovery goes on
           ACK up to 9 (full)           recover is reached: recovery ends, ``inflation`` is 0

A partial ACK is the only sign of a second loss, so each lost segment costs one round trip. While SND.UNA is
below ``_recover``, duplicate ACKs may be answers to copies that were retransmitted, so they don't begin a new
recovery.

Before the third duplicate, each duplicate lets one new segment go out: limited transmit (RFC 3042), which
draws more duplicates where few segments are in flight. A timeout without SACK is tested by F-RTO
(`postel.tcp.recovery.frto`); if it was genuine, everything goes again in order from SND.UNA (go-back-N).
"""

from typing import Final

from postel.tcp import seq
from postel.tcp.congestion import Congestion
from postel.tcp.recovery import BACK, NO_LIMIT, NOTHING, ON, MtuProbe, Recovery
from postel.tcp.recovery.frto import GOES_ON, SPURIOUS
from postel.tcp.recovery.segment_clock import SegmentClock
from postel.tcp.rtt import Rtt
from postel.wire.segment import Segment

DUPLICATES: Final = 3  # duplicate ACKs that mean a loss (RFC 5681, 3.2)


class NewReno(Recovery):
    """Loss recovery of a connection without SACK.

    ``_recover`` is one past the highest number sent when the last loss was found, RFC 6582's recover plus
    one. ``_lost`` is the number to retransmit from, or -1.
    """

    __slots__ = (
        "_again_to",
        "_answered",
        "_clock",
        "_counted_at",
        "_duplicates",
        "_flight",
        "_had_partial",
        "_lost",
        "_max",
        "_recover",
        "_una",
    )

    flight: int  # as in `Recovery`: type checkers want a declaration in each class that writes an attribute
    inflation: int
    is_active: bool
    is_excused: bool
    is_wary: bool
    keeps_timer: bool
    mtu_probe: MtuProbe | None
    turn: int

    def __init__(self, una: int, congestion: Congestion, rtt: Rtt) -> None:
        """Create the recovery; ``una`` is SND.UNA after the handshake, the first number of data."""
        super().__init__(congestion, rtt)
        self._una = una
        self._max = una
        self._recover = seq.add(una, -1)  # RFC6582-3.2-1: the number of our SYN
        self._lost = -1
        self._duplicates = 0  # duplicate ACKs since SND.UNA last advanced
        self._had_partial = False  # this recovery has seen a partial ACK
        # Octets in flight. Before recovery these are those at the first duplicate ACK, without what limited
        # transmit added (RFC5681-3.2d). In recovery these are all that were in flight at ``_counted_at``.
        self._flight = 0
        # When ``_flight`` was counted: when recovery began, then at a partial ACK in each round trip
        self._counted_at = 0
        # SND.MAX when cwnd was last reduced for an ECN mark: a loss before it doesn't reduce cwnd once more
        self._answered = una
        self._again_to = una  # while ``is_wary``: one past the highest number that was sent again
        self._clock = SegmentClock() if congestion.is_model else None

    @property
    def _outstanding(self) -> int:
        """Octets sent and not acknowledged: FlightSize of RFC 5681."""
        return seq.distance(self._una, self._max)

    def on_sent(self, number: int, octets: int, now: int) -> None:
        """Record a transmission; if its octets were sent before, remember where they end and the time."""
        end = seq.add(number, octets)
        if seq.lt(number, self._max):
            self._undo.sent_again(octets, now)
            self._again_to = seq.latest(self._again_to, end) if self.is_wary else end
            self.is_wary = True
            self._lost = -1
        else:
            self.timeout_test.sent(octets)
        self._max = seq.latest(self._max, end)
        self.flight = self._outstanding
        if self._clock is not None:
            self._clock.sent(
                self.sample.una + seq.distance(self._una, number), octets, self._outstanding, now
            )
        if self._tells_sends:
            self.congestion.sent(octets, self._outstanding, now)

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
        """Process one acceptable ACK; see `Recovery.on_ack`."""
        self._begin_sample(acked)
        self.keeps_timer = False
        if acked:
            self._una = una
            self._max = seq.latest(self._max, una)
            if self._clock is not None:
                self._clock.acknowledged(self.sample, now, is_clear=not self.is_active)
        elif is_duplicate:
            self._duplicates += 1
        if self._finds_more_lost if acked else is_duplicate and self._finds_loss:
            self.sample.lost = self.congestion.smss
            self.sample.total_lost += self.congestion.smss
        self.sample.flight = self._outstanding
        self._observe(now)
        if acked:
            self._progress(acked, echo, now, has_more=has_more)
        elif is_duplicate:
            self._on_duplicate(now)
        self._tell_acknowledged(acked, now)

    def on_bare_mark(self, now: int) -> None:
        """Tell the controller of an ACK that tells nothing new except ECN marks."""
        self._begin_sample(0)
        self.sample.flight = self._outstanding
        self._observe(now)

    def on_timeout(self, *, again: bool, has_more: bool, now: int) -> None:
        """Go back to SND.UNA, or test first whether the timeout was spurious."""
        may_test = has_more and (again or seq.gt(self._una, self._recover))  # RFC5682-2.1-1
        self._time_out(self._outstanding, now, again=again)
        self._recover = self._max  # RFC6582-3.2-4
        self._duplicates = 0
        self._leave()
        if may_test:
            self.timeout_test.begin()
            self.turn = ON  # the test retransmits one segment (`_lost`), and then sends new data only
            self._lost = self._una
        else:
            self._go_back()

    def on_marked(self, flight: int) -> None:
        """Let the controller answer an ECN mark as soon as it has got the sample of this ACK."""
        self._marked_flight = flight
        self._answered = self._max
        self._undo.end()  # RFC4015-3.1-9: the reduction for a mark isn't undone with a loss before it

    def on_refused(self) -> None:
        """Send everything in flight again, in order, without telling congestion control."""
        self._recover = self._max  # octets that arrive twice draw duplicate ACKs, which are no sign of a loss
        self._duplicates = 0
        self._leave()
        self._undo.end()
        self._go_back()

    def next_lost(self, una: int) -> tuple[int, int]:
        """Return the segment to retransmit, or NOTHING; at most one is known to be lost."""
        return NOTHING if self._lost < 0 else (seq.latest(self._lost, una), self.congestion.smss)

    def room(self, una: int, nxt: int) -> int:
        """Return how many octets may go out from SND.NXT on: cwnd and inflation less what is in flight."""
        if self.timeout_test.is_running:
            return self.timeout_test.room
        return self.congestion.window + self.inflation - seq.distance(una, nxt)

    def ran_dry(self) -> None:
        """Note that the send buffer is empty: rate samples are marked as app-limited."""
        if self._clock is not None and self._outstanding < self.congestion.window and self._lost < 0:
            self._clock.rates.limit(self._outstanding)

    # ACKs that advance SND.UNA

    def _begin_sample(self, acked: int) -> None:
        """Fill in the sample of an ACK that advanced SND.UNA by ``acked`` octets."""
        sample = self.sample
        sample.acked = sample.delivered = acked
        sample.smoothed = self.rtt.smoothed
        sample.flight_before = self.flight
        sample.una += acked
        sample.max = sample.una + seq.distance(seq.add(self._una, acked), self._max)
        sample.total_delivered += acked
        sample.lost = sample.round_trip = sample.rate = sample.interval = 0

    def _progress(self, acked: int, echo: int, now: int, *, has_more: bool) -> None:
        """Act on an ACK that advanced SND.UNA: undo, test, or end or continue recovery."""
        self._duplicates = 0
        if self._undo.is_disproved_by_echo(echo):
            self._take_back(acked, now)
        elif self.timeout_test.is_running:
            self._test_timeout(acked, now, has_more=has_more)
        if not self.is_active:
            self.inflation = 0
            if seq.gt(self._una, self._recover):
                # ``_recover`` follows SND.UNA, because a number 2**31 octets back would compare as one ahead.
                self._recover = seq.add(self._una, -1)
                self._answered = seq.latest(self._answered, self._una)
                self._undo.end()
                self.is_wary = False
        elif seq.ge(self._una, self._recover):  # RFC6582-3.2-3a
            if not self.is_excused:
                self._tell_recovered(self._outstanding, now)
            self._leave()
            self._undo.end()
        else:
            if self.sample.lost:
                self._blame_congestion(now)
            self._partial(acked, now)

    def _partial(self, acked: int, now: int) -> None:
        """Retransmit where this partial ACK ends, and deflate the window (RFC6582-3.2-3b)."""
        smss = self.congestion.smss
        self._lost = self._una
        self.inflation = min(
            max(0, self.inflation - acked) + (smss if acked >= smss else 0), self._outstanding
        )
        if now - self._counted_at >= self.rtt.smoothed > 0:
            # After a round trip, octets sent in recovery cause duplicate ACKs, too: count these octets.
            self._flight = self._outstanding
            self._counted_at = now
        self.keeps_timer = self._had_partial
        self._had_partial = True

    # Duplicate ACKs

    def _on_duplicate(self, now: int) -> None:
        """Act on a duplicate ACK: end the test, inflate, do limited transmit, or enter recovery."""
        smss = self.congestion.smss
        if self.timeout_test.is_running:  # RFC5682-2.1-2, RFC5682-2.1-3
            self._go_back()
        elif self.is_active:
            # RFC5681-3.2f. A bogus receiver may send more duplicates than segments arrived. So inflation is
            # limited by what is in flight now, and by what was in flight a round trip ago.
            self.inflation = min(self.inflation + smss, self._flight, self._outstanding)
        elif self._duplicates < DUPLICATES:
            if self._duplicates == 1:
                self._flight = self.flight
            if seq.gt(self._una, self._recover):  # else a retransmission may have caused the duplicate ACK
                # RFC3042-2a: each duplicate lets a new segment go, and cwnd stays (RFC3042-2b).
                self.inflation = self._duplicates * smss
        elif self.sample.lost:
            self._enter(now)

    @property
    def _finds_loss(self) -> bool:
        """Whether this duplicate ACK is the third, and shows a loss (RFC6582-3.2-2).

        While SND.UNA is below ``_recover`` it shows none: it may answer a segment that a timeout sent again.
        """
        is_third = self._duplicates == DUPLICATES and not self.timeout_test.is_running and not self.is_active
        return is_third and seq.gt(self._una, self._recover)

    @property
    def _finds_more_lost(self) -> bool:
        """Whether SND.UNA came to a second hole, behind a lost MTU probe.

        Congestion control isn't told of the probe's own loss, but it is told of a second loss.
        """
        if not self.is_excused or seq.ge(self._una, self._recover):
            return False
        return self.mtu_probe is None or seq.ge(self._una, self.mtu_probe.end)

    def _enter(self, now: int) -> None:
        """Begin fast recovery: reduce cwnd, and retransmit the segment at SND.UNA."""
        self.is_active = True
        self._had_partial = False
        self._recover = self._max
        if self.mtu_probe is not None and self.mtu_probe.start == self._una:
            self.mtu_probe.is_lost = self.is_excused = True
        elif seq.ge(self._una, self._answered):
            self._reduce(self._flight, now)
        self._flight = self._outstanding
        self._counted_at = now
        self.inflation = min(DUPLICATES * self.congestion.smss, self._flight)  # RFC5681-3.2e
        self._lost = self._una

    def _blame_congestion(self, now: int) -> None:
        """Reduce cwnd after all: more than the MTU probe was lost in this recovery."""
        self.is_excused = False
        self.mtu_probe = None
        self._reduce(self.flight, now)

    def _leave(self) -> None:
        """End recovery, or make sure that none is under way."""
        self.is_active = self.is_excused = False
        self.inflation = 0
        self._lost = -1

    # After a timeout

    def _test_timeout(self, acked: int, now: int, *, has_more: bool) -> None:
        """Judge an ACK that advanced SND.UNA by the basic F-RTO algorithm (RFC 5682, 2.1)."""
        may_go_on = has_more and seq.ge(self._una, self._again_to) and seq.lt(self._una, self._recover)
        smss = self.congestion.smss
        verdict = self.timeout_test.judge(
            smss, is_progress=True, may_go_on=may_go_on, shows_arrival=True, says_something=True
        )
        if verdict == SPURIOUS:
            self._take_back(acked, now)
        elif verdict == GOES_ON:
            self._lost = -1
        else:
            self._go_back()

    def _go_back(self) -> None:
        """End the test, and retransmit everything in flight in order, as without F-RTO."""
        self.timeout_test.end()
        self._lost = -1
        self.turn = BACK

    def _take_back(self, acked: int, now: int) -> None:
        """Undo the latest reduction of cwnd, because nothing was lost, and go on (RFC 4015)."""
        self.timeout_test.end()
        self.turn = ON  # RFC4015-3.1-9
        limit = (
            NO_LIMIT if self.is_active else self._outstanding + min(acked, self.congestion.initial_window)
        )  # RFC4015-3.1-9
        if not self.is_active:
            self.rtt.revive()  # RFC4015-3.1-11
        self._recover = seq.add(self._una, -1)  # RFC5682-2.1-3: from now on duplicates mean a loss again
        self._leave()
        if self._undo.is_open and not self.sample.marked:  # RFC4015-3.1-9: a mark isn't undone
            self.congestion.undo(limit, now)
        self._undo.end()
