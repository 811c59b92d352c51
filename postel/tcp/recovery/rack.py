"""Loss recovery with SACK: RACK-TLP (RFC 8985), led down by Proportional Rate Reduction (RFC 9937).

A segment is lost when one that was sent later has arrived, and as much time has passed as a round trip and
some reordering take. So it needs no count of duplicates, and finds lost retransmissions and, by the probe of
TLP, lost tails. Positions count octets and never wrap.
"""

from typing import Final

from postel.tcp import seq
from postel.tcp.congestion import Congestion
from postel.tcp.recovery import BACK, NO_LIMIT, NOTHING, ON, Figures, MtuProbe, Recovery
from postel.tcp.recovery.frto import GENUINE, GOES_ON, SPURIOUS
from postel.tcp.recovery.rates import Rates
from postel.tcp.recovery.reduction import Reduction
from postel.tcp.recovery.reordering import Reordering
from postel.tcp.recovery.scoreboard import JUDGED, Scoreboard, is_duplicate_block
from postel.tcp.recovery.transmissions import GONE, LOST, SACKED, Sent
from postel.tcp.recovery.undo import NO_ECHO
from postel.tcp.rtt import GRANULARITY, Rtt
from postel.times import NEVER
from postel.wire.segment import Segment

_NONE: Final = -1


class Rack(Recovery):
    """``una`` is SND.UNA when the handshake is done."""

    __slots__ = (
        "_answered", "_delivered", "_duplicate_end", "_duplicates", "_echo", "_forward",
        "_is_blamed", "_is_disproved", "_is_forced", "_is_timed_out", "_lost_again", "_newest",
        "_pipe", "_point", "_rates", "_reduced_at", "_reduction", "_reordering", "_round_trip",
        "_undo_limit", "_undo_until", "_wary_until", "board",
    )  # fmt: skip

    flight: int  # of the base class: type checkers want a declaration in each class that writes it
    is_active: bool
    is_excused: bool
    is_wary: bool
    mtu_probe: MtuProbe | None
    reorder_at: int
    turn: int

    def __init__(self, una: int, congestion: Congestion, rtt: Rtt) -> None:
        super().__init__(congestion, rtt)
        self.board: Scoreboard = Scoreboard(una)
        self._pipe = 0  # when something was last sent
        self._reordering = Reordering(rtt.smoothed)
        self._rates = Rates() if congestion.is_model else None
        self._reduction: Reduction | None = None

        # RACK, 5.3
        self._newest: Sent | None = None  # RACK.segment
        self._round_trip = rtt.smoothed  # RACK.rtt
        self._duplicates = 0  # D-SACKs
        self._forward = 0  # RACK.fack

        # Episodes
        self._point = 0  # RecoveryPoint
        self._is_timed_out = False
        self._is_forced = False  # the first retransmission waits for no room
        self._answered = 0  # a mark of what was sent before has cut the window
        self._undo_until = 0  # a window after recovery
        self._wary_until = 0  # end of what was ever sent again
        self._reduced_at = 0
        self._lost_again = False  # a retransmission was lost, sent since the window was last cut

        # Of the ACK at hand
        self._echo = NO_ECHO
        self._delivered: Sent | None = None  # the newest that it delivered
        self._duplicate_end = _NONE  # where its D-SACK ends
        self._is_disproved = False
        self._is_blamed = False  # something was found lost that no probe explains
        self._undo_limit = _NONE  # octets: an episode is undone, and the window may be as large

    # What is sent

    def on_sent(self, number: int, octets: int, now: int) -> None:
        board, sent = self.board, self.board.sent
        start = board.at(number)
        is_again = start < sent.end
        if is_again:
            board.take_out(start, min(start + octets, sent.end))
            self._undo.sent_again(octets, now)
            self._is_forced = False
            self.is_wary = True
            self._wary_until = max(self._wary_until, start + octets)
        elif self.timeout_test.is_running:
            self.timeout_test.sent(octets)
        segments = max(
            1, -(-(octets - 1) // self.congestion.smss)
        )  # a FIN may go with the last, and takes a number
        if self._rates is not None:
            record = sent.add(start, start + octets, now, segments)
            self._rates.stamp(record, board.pipe, now)
        elif is_again or self.tail_probe.is_next or not sent.extend(octets, segments, now):
            sent.add(start, start + octets, now, segments)  # RFC8985-6.1, RFC8985-4b
        self.flight, self._pipe = board.flight, board.pipe
        if self._reduction is not None:
            self._reduction.sent(octets)
        if self.tail_probe.is_next:
            self.tail_probe.sent(sent.end, is_again=is_again)
        if self._tells_sends:
            self.congestion.sent(octets, board.pipe, now)

    # ACKs

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
        if acked and not segment.sack and not self.is_wary and self._is_quiet:
            self._take_in_order(una, acked, now)
            return
        self._echo = echo
        self._begin_sample(acked)
        if acked:
            self._take_acked(una, acked, now)
        if segment.sack:
            self._take_blocks(segment, now)
        if self.timeout_test.is_running:
            self._test_timeout(acked, is_duplicate=is_duplicate, has_more=has_more)
        is_repaired = self.tail_probe.is_out and self._has_repaired(
            is_bare_duplicate=is_duplicate and not segment.sack
        )
        if self._undo.is_open and ((acked and self._undo.is_disproved_by_echo(echo)) or self._is_disproved):
            self._take_back(acked)
        self._find_lost(now)
        self._end_sample(now)
        self._tell(acked, now, is_repaired=is_repaired)

    def _tell(self, acked: int, now: int, *, is_repaired: bool) -> None:
        """Congestion control, of an ACK or of what became lost by waiting; ``is_repaired``: a tail probe
        repaired a loss.
        """
        limit, self._undo_limit = self._undo_limit, _NONE
        self._observe(now, is_undone=limit != _NONE)
        if limit != _NONE:
            self.congestion.undo(limit, now)
        if is_repaired:
            self._reduce_again(min(self.flight, self.congestion.window), now)
            self._tell_recovered(max(self.board.pipe, self.congestion.threshold), now)
        self._steer(acked, now)
        self._tell_acknowledged(acked, now)

    @property
    def _is_quiet(self) -> bool:
        """Nothing is SACKed, lost, probed, tested or about to be undone: as nearly always."""
        if self.is_active or self._is_timed_out or self.timeout_test.is_running or self._undo.is_open:
            return False
        return not self.board.sacked.lefts and self.board.lost == 0 and not self.tail_probe.is_out

    def _take_in_order(self, una: int, acked: int, now: int) -> None:
        """The short way, equal to the long one: nothing was sent again, and what was sent first arrived
        first.
        """
        board, sample = self.board, self.sample
        board.una = una
        board.position += acked
        sample.acked = sample.delivered = acked
        sample.lost = 0
        sample.flight_before = self._pipe
        newest = self._delivered = board.sent.pop_through(board.position)
        if newest is not None:
            self._round_trip = now - newest.at
            self._newest = newest
            self._forward = max(self._forward, newest.end)
        self.reorder_at = NEVER
        self._end_sample(now)
        self._observe(now)
        self._tell_acknowledged(acked, now)

    def _take_acked(self, una: int, acked: int, now: int) -> None:
        """RFC 8985, 6.2, steps 2 and 3, for what SEG.ACK covers."""
        board, sent = self.board, self.board.sent
        board.una = una
        board.position += acked
        position = board.position
        record = sent.first()
        while record is not None and record.end <= position:
            self._deliver(record, now)
            record.state = GONE
            sent.drop_first()
            record = sent.first()
        front = None if record is None else sent.cut_first(position)
        if front is not None:
            self._deliver(front, now)
            board.queue(position)
        board.sacked.drop_below(position)
        self._is_forced = False
        if position >= self._wary_until and not self._undo.is_open:
            self.is_wary = False

    def _deliver(self, record: Sent, now: int) -> None:
        """It was acknowledged or SACKed."""
        octets = record.end - record.start
        if record.state == SACKED:
            self.board.segments_sacked -= record.segments
            return
        if record.state == LOST:
            self.board.lost -= octets
        self.sample.delivered += octets
        if (self._delivered is None or record.is_after(self._delivered)) and self._reordering.is_credible(
            record, self._echo, now
        ):
            self._round_trip = now - record.at  # of the newest: an older one may have waited for a timeout
            self._delivered = record
        if record.end > self._forward:
            self._forward = record.end
        elif not record.is_again:  # RFC8985-6.2-3
            self._reordering.count += 1

    def _take_blocks(self, segment: Segment, now: int) -> None:
        board, blocks = self.board, segment.sack
        if is_duplicate_block(blocks, segment.ack):
            self._take_duplicate(blocks[0])
            blocks = blocks[1:]
        for start, end in sorted(
            [(board.at(left), board.at(right)) for left, right in blocks]
        ):  # ascending, as RFC8985-6.2-3 asks
            if board.may_take(start, end):
                for record in board.take_block(start, end):
                    self._deliver(record, now)
                    record.state = SACKED

    def _take_duplicate(self, block: tuple[int, int]) -> None:
        """A D-SACK: something arrived twice."""
        self._duplicates += 1
        left, right = block
        octets = seq.distance(left, right)
        if octets > self.board.sent.end:  # more than was ever sent
            return
        self._duplicate_end = self.board.at(right)
        self._reordering.duplicated(self.board.position, self.board.sent.end)
        if self._duplicate_end <= self._wary_until:  # else it names what was sent only once
            self._is_disproved = self._undo.is_disproved_by_duplicate(octets)

    # Loss

    def _find_lost(self, now: int) -> None:
        """RFC8985-6.2-5: what was sent before the newest that arrived, and has had its time. In the order of
        sending.
        """
        if self._delivered is not None and (self._newest is None or self._delivered.is_after(self._newest)):
            self._newest = self._delivered
        newest = self._newest
        wait = self._round_trip + self._reorder_window()
        self.reorder_at = NEVER
        for _ in range(JUDGED):
            record = self.board.sent.oldest_flying()
            if record is None or newest is None or not newest.is_after(record):
                return
            if record.at + wait > now:
                self.reorder_at = (
                    newest.at + wait
                )  # RFC8985-6.2-6: by then none of those before the newest can wait longer
                return
            self._lose(record)
        self.reorder_at = now + GRANULARITY  # the rest with the next ACK, or a little later

    def _lose(self, record: Sent) -> None:
        octets = record.end - record.start
        self.board.lose(record)
        self.sample.lost += octets
        self.sample.total_lost += octets
        if not self._is_of_probe(record):
            self._is_blamed = True
        if record.is_again and record.at >= self._reduced_at:
            self._lost_again = True

    def _is_of_probe(self, record: Sent) -> bool:
        probe = self.mtu_probe
        return (
            probe is not None
            and self.board.at(probe.start) <= record.start
            and record.end <= self.board.at(probe.end)
        )

    def _reorder_window(self) -> int:
        is_recovering = self.is_active or self._is_timed_out
        return self._reordering.window(
            self.board.segments_sacked, self.rtt.smoothed, is_recovering=is_recovering
        )

    def on_reorder_timeout(self, now: int) -> None:
        self._begin_sample(0)
        self.sample.marked = 0
        self.sample.is_window_limited = False
        self._find_lost(now)
        self._end_sample(now)
        self._tell(0, now, is_repaired=False)

    def on_bare_mark(self, now: int) -> None:
        self._begin_sample(0)
        self._end_sample(now)
        self._observe(now)

    def on_marked(self, flight: int) -> None:
        self._marked_flight = flight
        self._answered = self.board.sent.end
        self._undo.end()  # RFC4015-3.1-9: a mark stands, whatever becomes of a loss before it

    def on_refused(self) -> None:
        self.board.lose_all()
        self.tail_probe.forget()
        self.reorder_at = NEVER
        self._reduction = None  # nothing flies that it could lead down
        self.timeout_test.end()
        self._undo.end()
        self.turn = BACK

    # Episodes

    def _steer(self, acked: int, now: int) -> None:
        """Into recovery, onward, and out of it."""
        if self.board.position >= self._point:
            if self.is_active or self._is_timed_out:  # RFC6675-5d
                self._leave(now)
            if self.sample.lost:
                self._enter(now)
            elif self.board.position > self._undo_until:  # a D-SACK comes too late
                self._undo.end()
        elif self.is_excused and self._is_blamed:
            self.is_excused = False
            self.mtu_probe = None
            self._reduce(min(self.flight, self.congestion.window), now)
            self._lead_down(now)
        elif self._lost_again and self.is_active:  # RFC5681-4.3a: a second sign of congestion
            self._reduce_again(min(self.flight, self.congestion.window), now)
            self._lead_down(now)
        if self._reduction is not None and self.sample.delivered:
            is_safe = acked > 0 and self.sample.lost == 0
            self._reduction.on_ack(
                self.sample.delivered, self.board.pipe, self.congestion.smss, is_safe=is_safe
            )

    def _enter(self, now: int) -> None:
        self.is_active = True
        self._point = self.board.sent.end
        self._is_forced = True
        self.tail_probe.forget()  # RFC8985-7.1
        if self.mtu_probe is not None and not self._is_blamed:
            self.mtu_probe.is_lost = self.is_excused = True
            return
        if self.board.position >= self._answered:
            self._reduce(
                min(self.flight, self.congestion.window), now
            )  # RFC5681-3.2d: without what limited transmit added
        self._lead_down(now)

    def _lead_down(self, now: int) -> None:
        self._reduced_at = now
        self._lost_again = False
        if self.board.is_repairing:
            self._undo.ignore_echo()
        if not self.congestion.is_model:
            recover_fs = self.board.flight - self.board.sacked.total + self.sample.delivered  # RFC9937-6.1
            self._reduction = Reduction(self.congestion.threshold, recover_fs)

    def _leave(self, now: int) -> None:
        if self.is_active and not self.is_excused:
            self._tell_recovered(max(self.board.pipe, self.congestion.threshold), now)  # RFC9937-6.4
        self._reordering.recovered()
        self.is_active = self._is_timed_out = self._lost_again = self.is_excused = False
        self._reduction = None
        self._undo_until = self.board.sent.end

    # Timeouts

    def on_timeout(self, *, again: bool, has_more: bool, now: int) -> None:
        board = self.board
        has_reneged = (
            board.sacked.around(board.position)[1] > 0
        )  # SND.UNA was SACKed and still isn't acknowledged
        if has_reneged:
            for record in board.forget_sacks():
                self._lose(record)
        may_test = (
            has_more and not has_reneged and not self.is_active and (again or not self._is_timed_out)
        )  # RFC5682-3.1
        self._time_out(board.flight, now, again=again)
        self.is_active = self.is_excused = False
        self._reduction = None
        self._is_timed_out = True
        self._point = board.sent.end
        self._reduced_at = now
        self.tail_probe.forget()
        self.reorder_at = NEVER
        self._mark_by_timeout(now)
        self._is_forced = True  # RFC2018-5c
        if may_test:
            self.timeout_test.begin()
        else:
            self.timeout_test.end()
        self.turn = ON  # what was lost is known one by one, and what the test sends was never sent before

    def _mark_by_timeout(self, now: int) -> None:
        """RFC8985-6.3: the first, and what has had its time; not what was sent just now."""
        for record in self.board.first_flying(self.congestion.smss):
            self._lose(record)
        wait = self._round_trip + self._reorder_window()
        oldest = self.board.sent.oldest_flying()
        while oldest is not None and oldest.at + wait <= now:
            self._lose(oldest)
            oldest = self.board.sent.oldest_flying()

    def _test_timeout(self, acked: int, *, is_duplicate: bool, has_more: bool) -> None:
        """F-RTO with SACK (RFC 5682, 3.1): what is SACKed shows arrival too, and a first duplicate ACK
        decides nothing.
        """
        delivered = self.sample.delivered
        verdict = self.timeout_test.judge(
            self.congestion.smss,
            is_progress=acked > 0,
            may_go_on=self._wary_until <= self.board.position < self._point and has_more,
            shows_arrival=delivered > 0 and self._forward <= self._point,
            says_something=acked > 0 or delivered > 0 or is_duplicate,
        )
        if verdict == SPURIOUS:
            self._take_back(acked)
        elif verdict == GOES_ON:
            self._point = self.board.sent.end
        elif verdict == GENUINE:
            self.timeout_test.end()

    def _take_back(self, acked: int) -> None:
        """Nothing was lost: go on as before (RFC 4015)."""
        self.board.unlose()
        limit = NO_LIMIT
        if self._is_timed_out:
            limit = self.board.pipe + min(acked, self.congestion.initial_window)  # RFC4015-3.1-9
            self.rtt.revive()  # RFC4015-3.1-11
        else:  # RFC8985-6.2-3
            # Late: RACK sees that only of what hadn't gone again, and would go on to mistake it for lost.
            self._reordering.count += 1
        self.timeout_test.end()
        if self._undo.is_open and not self.sample.marked:  # RFC4015-3.1-9: else a mark stands
            self._undo_limit = limit
        self._undo.end()
        self.is_active = self._is_timed_out = self._lost_again = self._is_forced = False
        self._reduction = None
        self._point = self.board.position
        self.turn = ON

    # The tail of a flight

    def watches_tail(self) -> bool:
        return not (self.is_active or self._is_timed_out or self.board.sacked.lefts)  # RFC8985-7.2

    def tail(self) -> tuple[int, int]:
        return self.board.tail(self.congestion.smss)

    def _has_repaired(self, *, is_bare_duplicate: bool) -> bool:
        """Whether the tail probe repaired a loss that neither recovery nor a mark has answered."""
        is_repaired = self.tail_probe.repaired(
            self.board.position, self._duplicate_end, is_bare_duplicate=is_bare_duplicate
        )
        if not is_repaired or self.is_active or self.board.position <= self._answered:
            return False
        self._undo.end()  # of an episode before: it would take this back too
        return True

    # What may be sent

    def next_lost(self, una: int) -> tuple[int, int]:
        if not self.board.lost or (self.timeout_test.is_running and not self._is_forced):
            return NOTHING
        record = self.board.first_lost()
        if record is None:
            return NOTHING
        octets = record.end - record.start
        if not self._is_forced and self._window - self.board.pipe < min(
            octets, self.congestion.smss
        ):  # RFC8985-9.3
            return NOTHING
        return self.board.number(record.start), octets

    def room(self, una: int, nxt: int) -> int:
        if self.timeout_test.is_running:
            return self.timeout_test.room
        room, board = self._window - self.board.pipe, self.board
        # What was refused goes again, and not what arrived nevertheless
        return room if nxt == board.number(board.sent.end) else min(room, board.until_sacked(nxt))

    def beyond_sacked(self, number: int) -> int:
        return self.board.beyond_sacked(number)

    def ran_dry(self) -> None:
        if self._rates is not None and self.board.pipe < self.congestion.window and not self.board.lost:
            self._rates.limit(self.board.pipe)

    @property
    def _window(self) -> int:
        return self.congestion.window if self._reduction is None else self._reduction.window

    # What it knows

    def figures(self) -> Figures:
        board, told = self.board, Figures()
        told.sacked, told.lost, told.retransmitted = board.sacked.total, board.lost, board.retransmitted
        told.delivered = self.sample.total_delivered
        told.duplicates = self._duplicates
        told.reorderings = self._reordering.count
        told.min_rtt = self._reordering.shortest
        told.delivery_rate = self.sample.rate
        return told

    def _begin_sample(self, acked: int) -> None:
        sample = self.sample
        sample.acked = acked
        sample.delivered = sample.lost = 0
        sample.flight_before = self._pipe
        self._delivered = None
        self._duplicate_end = _NONE
        self._is_disproved = self._is_blamed = False

    def _end_sample(self, now: int) -> None:
        sample, board, newest = self.sample, self.board, self._delivered
        sample.flight = board.pipe
        sample.una = board.position
        sample.max = board.sent.end
        sample.total_delivered += sample.delivered
        sample.round_trip = 0
        if newest is not None:
            self.tail_probe.has_measured = True
            sample.round_trip = max(1, now - newest.at)
            self._reordering.measured(sample.round_trip, now)
        if self._rates is not None:
            self._rates.fill(sample, newest, self._reordering.shortest, now)
