"""Fast retransmit and fast recovery by RFC 6582, with limited transmit (RFC 3042) and F-RTO (RFC 5682): for
peers without SACK.
"""

from typing import Final

from postel.tcp import seq
from postel.tcp.congestion import Congestion
from postel.tcp.recovery import BACK, NO_LIMIT, NOTHING, ON, MtuProbe, Recovery
from postel.tcp.recovery.frto import GOES_ON, SPURIOUS
from postel.tcp.recovery.segment_clock import SegmentClock
from postel.tcp.rtt import Rtt
from postel.wire.segment import Segment

DUPLICATES: Final = 3  # RFC 5681, 3.2: the threshold


class NewReno(Recovery):
    """Without SACK a partial ACK is the only word of a second loss, so each costs a round trip.

    ``_recover`` is one past the highest number sent when the last loss was found: until SND.UNA is beyond it,
    duplicate ACKs may be echoes of our own retransmissions.
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

    flight: int  # of the base class: type checkers want a declaration in each class that writes it
    inflation: int
    is_active: bool
    is_excused: bool
    is_wary: bool
    keeps_timer: bool
    mtu_probe: MtuProbe | None
    turn: int

    def __init__(self, una: int, congestion: Congestion, rtt: Rtt) -> None:
        super().__init__(congestion, rtt)
        self._una = una
        self._max = una
        self._recover = seq.add(una, -1)  # RFC6582-3.2-1: the number of our SYN
        self._lost = -1
        self._duplicates = 0
        self._had_partial = False
        # before limited transmit added to it (RFC5681-3.2d); in recovery, with that: as it was at
        # ``_counted_at``
        self._flight = 0
        self._counted_at = 0  # when recovery began, or at the first partial ACK a round trip later
        self._answered = una  # a mark of what was sent before has cut the window
        self._again_to = una  # end of what was sent again, while ``is_wary``
        self._clock = SegmentClock() if congestion.is_model else None

    @property
    def _outstanding(self) -> int:
        return seq.distance(self._una, self._max)

    def on_sent(self, number: int, octets: int, now: int) -> None:
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
        self._begin_sample(0)
        self.sample.flight = self._outstanding
        self._observe(now)

    def on_timeout(self, *, again: bool, has_more: bool, now: int) -> None:
        may_test = has_more and (again or seq.gt(self._una, self._recover))  # RFC5682-2.1-1
        self._time_out(self._outstanding, now, again=again)
        self._recover = self._max  # RFC6582-3.2-4
        self._duplicates = 0
        self._leave()
        if may_test:
            self.timeout_test.begin()
            self.turn = ON  # what the test sends after this segment was never sent before
            self._lost = self._una
        else:
            self._go_back()

    def on_marked(self, flight: int) -> None:
        self._marked_flight = flight
        self._answered = self._max
        self._undo.end()  # RFC4015-3.1-9: a mark stands, whatever becomes of a loss before it

    def on_refused(self) -> None:
        self._recover = self._max  # the duplicate ACKs that this draws are no sign of a loss
        self._duplicates = 0
        self._leave()
        self._undo.end()
        self._go_back()

    def next_lost(self, una: int) -> tuple[int, int]:
        return NOTHING if self._lost < 0 else (seq.latest(self._lost, una), self.congestion.smss)

    def room(self, una: int, nxt: int) -> int:
        if self.timeout_test.is_running:
            return self.timeout_test.room
        return self.congestion.window + self.inflation - seq.distance(una, nxt)

    def ran_dry(self) -> None:
        if self._clock is not None and self._outstanding < self.congestion.window and self._lost < 0:
            self._clock.rates.limit(self._outstanding)

    # Progress

    def _begin_sample(self, acked: int) -> None:
        sample = self.sample
        sample.acked = sample.delivered = acked
        sample.smoothed = self.rtt.smoothed
        sample.flight_before = self.flight
        sample.una += acked
        sample.max = sample.una + seq.distance(seq.add(self._una, acked), self._max)
        sample.total_delivered += acked
        sample.lost = sample.round_trip = sample.rate = sample.interval = 0

    def _progress(self, acked: int, echo: int, now: int, *, has_more: bool) -> None:
        self._duplicates = 0
        if self._undo.is_disproved_by_echo(echo):
            self._take_back(acked, now)
        elif self.timeout_test.is_running:
            self._test_timeout(acked, now, has_more=has_more)
        if not self.is_active:
            self.inflation = 0
            if seq.gt(
                self._una, self._recover
            ):  # follow, so that 2**31 octets without a loss don't turn the comparison
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
        """RFC6582-3.2-3b: the next hole begins where this ACK ends."""
        smss = self.congestion.smss
        self._lost = self._una
        self.inflation = min(
            max(0, self.inflation - acked) + (smss if acked >= smss else 0), self._outstanding
        )
        if (
            now - self._counted_at >= self.rtt.smoothed > 0
        ):  # duplicates of what was sent in recovery can have come by now
            self._flight = self._outstanding
            self._counted_at = now
        self.keeps_timer = self._had_partial
        self._had_partial = True

    # Duplicates

    def _on_duplicate(self, now: int) -> None:
        smss = self.congestion.smss
        if self.timeout_test.is_running:  # RFC5682-2.1-2, RFC5682-2.1-3
            self._go_back()
        elif self.is_active:
            # RFC5681-3.2f, but for no more than is outstanding, or was a round trip ago (RFC 5681, 3.2, on
            # bogus duplicate ACKs)
            self.inflation = min(self.inflation + smss, self._flight, self._outstanding)
        elif self._duplicates < DUPLICATES:
            if self._duplicates == 1:
                self._flight = self.flight
            if seq.gt(self._una, self._recover):  # else it may be an echo of what a timeout sent again
                self.inflation = (
                    self._duplicates * smss
                )  # RFC3042-2a: new data flies, cwnd stays (RFC3042-2b)
        elif self.sample.lost:
            self._enter(now)

    @property
    def _finds_loss(self) -> bool:
        """RFC6582-3.2-2: three duplicates mean a loss, unless they may be echoes of what a timeout sent
        again.
        """
        is_third = self._duplicates == DUPLICATES and not self.timeout_test.is_running and not self.is_active
        return is_third and seq.gt(self._una, self._recover)

    @property
    def _finds_more_lost(self) -> bool:
        """Whether SND.UNA came to a hole behind a lost probe, which is a loss like any other."""
        if not self.is_excused or seq.ge(self._una, self._recover):
            return False
        return self.mtu_probe is None or seq.ge(self._una, self.mtu_probe.end)

    def _enter(self, now: int) -> None:
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
        """More than a probe was lost."""
        self.is_excused = False
        self.mtu_probe = None
        self._reduce(self.flight, now)

    def _leave(self) -> None:
        self.is_active = self.is_excused = False
        self.inflation = 0
        self._lost = -1

    # Timeouts that may have been spurious

    def _test_timeout(self, acked: int, now: int, *, has_more: bool) -> None:
        """The basic F-RTO algorithm, without SACK: every ACK of new data decides."""
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
        """The conventional way: all of it again, in order."""
        self.timeout_test.end()
        self._lost = -1
        self.turn = BACK

    def _take_back(self, acked: int, now: int) -> None:
        """Nothing was lost: go on as before (RFC 4015)."""
        self.timeout_test.end()
        self.turn = ON  # RFC4015-3.1-9
        limit = (
            NO_LIMIT if self.is_active else self._outstanding + min(acked, self.congestion.initial_window)
        )  # RFC4015-3.1-9
        if not self.is_active:
            self.rtt.revive()  # RFC4015-3.1-11
        self._recover = seq.add(self._una, -1)  # RFC5682-2.1-3: duplicates mean a loss again
        self._leave()
        if self._undo.is_open and not self.sample.marked:  # RFC4015-3.1-9: else a mark stands
            self.congestion.undo(limit, now)
        self._undo.end()
