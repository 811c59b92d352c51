"""RACK-TLP: loss recovery with SACK (RFC 8985), with Proportional Rate Reduction (RFC 9937).

Theory of operation. RACK finds losses by time, not by a count of duplicate ACKs. The time of each
transmission is recorded. Of the transmissions that have arrived, the one that was sent last is RACK.segment
(``_newest``). Whatever was sent before that and is neither acknowledged nor SACKed has been overtaken. It may
be late or lost; it is called lost once a round trip and the reordering window (``reo_wnd``) have passed since
it was sent::

    sent     A   B   C   D
    time  ───●───●───●───●──────────────●───────────────●─────────────────────────────►
                                        │               │
                                 SACK of C arrives:     C was sent RTT + reo_wnd ago: A and B,
                                 A and B are suspect,   if still missing, are lost
                                 D isn't; RTT is        (the reordering timer, ``reorder_at``)
                                 now - time of C

While no reordering was ever seen on the path, and three segments are SACKed or recovery is under way,
``reo_wnd`` is 0: then A and B are lost as soon as the SACK of C arrives. Otherwise it is a quarter of the
minimum round trip, and more after D-SACKs (`postel.tcp.recovery.reordering`).

A retransmission is a transmission with a time of its own, so a lost retransmission is found in the same way.
The end of a flight has nothing behind it that could overtake it: there a tail loss probe
(`postel.tcp.recovery.tailprobe`) is sent and draws an ACK or SACK.

An ACK goes through these steps in `Rack.on_ack`:

1. `_take_acked` and `_take_blocks` mark what SEG.ACK and the SACK blocks say has arrived.
2. `_test_timeout` runs F-RTO, if the retransmission timer expired before.
3. `_has_repaired` asks whether a tail probe repaired a loss.
4. `_take_back` undoes the episode, if a timestamp or a D-SACK proves that nothing was lost.
5. `_find_lost` marks what is lost by now.
6. `_tell` tells the congestion controller, and begins, continues or ends an episode.

An episode of recovery begins with the first loss and ends when SND.UNA reaches SND.MAX as of its beginning
(``_point``, the RecoveryPoint). During an episode Proportional Rate Reduction sets the window
(`postel.tcp.recovery.reduction`), unless the controller is model-based and paces by itself.

Positions count octets and never wrap, see `postel.tcp.recovery.scoreboard`.
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

_NONE: Final = -1  # stands for a position or a limit that there isn't


class Rack(Recovery):
    """Loss recovery of a connection with SACK."""

    __slots__ = (
        "_answered", "_delivered", "_duplicate_end", "_duplicates", "_echo", "_forward",
        "_is_blamed", "_is_disproved", "_is_forced", "_is_timed_out", "_lost_again", "_newest",
        "_pipe", "_point", "_rates", "_reduced_at", "_reduction", "_reordering", "_round_trip",
        "_undo_limit", "_undo_until", "_wary_until", "board",
    )  # fmt: skip

    flight: int  # as in `Recovery`: type checkers want a declaration in each class that writes an attribute
    is_active: bool
    is_excused: bool
    is_wary: bool
    mtu_probe: MtuProbe | None
    reorder_at: int
    turn: int

    def __init__(self, una: int, congestion: Congestion, rtt: Rtt) -> None:
        """Create the recovery; ``una`` is SND.UNA after the handshake, the first number of data."""
        super().__init__(congestion, rtt)
        self.board: Scoreboard = Scoreboard(una)
        self._pipe = 0  # octets in the network when something was last sent
        self._reordering = Reordering(rtt.smoothed)
        self._rates = Rates() if congestion.is_model else None
        self._reduction: Reduction | None = None

        # Variables of RFC 8985, 5.3
        self._newest: Sent | None = None  # RACK.segment
        self._round_trip = rtt.smoothed  # RACK.rtt, microseconds
        self._duplicates = 0  # D-SACKs received
        self._forward = 0  # RACK.fack: position, one past the highest octet that arrived

        # Episodes; positions in octets
        self._point = 0  # RecoveryPoint
        self._is_timed_out = False  # the episode began with a timeout
        self._is_forced = False  # the next retransmission goes even if the window has no room
        # SND.MAX when cwnd was last reduced for an ECN mark: a loss before it doesn't reduce cwnd once more
        self._answered = 0
        self._undo_until = 0  # SND.MAX when recovery ended: D-SACKs can undo it until SND.UNA is beyond
        self._wary_until = 0  # one past the highest octet that was ever sent again
        self._reduced_at = 0  # time of the last reduction
        self._lost_again = False  # a retransmission sent since the last reduction is lost

        # What the ACK at hand shows
        self._echo = NO_ECHO  # timestamp tick that the ACK echoes
        self._delivered: Sent | None = None  # of the transmissions that the ACK delivered, the one sent last
        self._duplicate_end = _NONE  # position where the ACK's D-SACK ends
        self._is_disproved = False  # the ACK's D-SACK completes the proof that nothing was lost
        self._is_blamed = False  # something other than the MTU probe was found lost
        # Most octets to which `undo` may restore the window, if the ACK proves that nothing was lost; else
        # _NONE
        self._undo_limit = _NONE

    # What is sent

    def on_sent(self, number: int, octets: int, now: int) -> None:
        """Record a transmission, and count it for PRR, the tail probe, the undo test and the controller."""
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
        # A FIN on the last segment takes a sequence number, but isn't counted as one more segment.
        segments = max(1, -(-(octets - 1) // self.congestion.smss))
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
        """Process one acceptable ACK; see `Recovery.on_ack`, and the steps at the head of this file."""
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
        """Tell the controller what an ACK, or the reordering timer, has shown.

        ``is_repaired`` says that a tail probe repaired a loss.
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
        """Whether nothing is SACKed, lost, probed, tested or can be undone, which is the usual case."""
        if self.is_active or self._is_timed_out or self.timeout_test.is_running or self._undo.is_open:
            return False
        return not self.board.sacked.lefts and self.board.lost == 0 and not self.tail_probe.is_out

    def _take_in_order(self, una: int, acked: int, now: int) -> None:
        """Process an ACK of data that was sent once and arrived in order, the usual case.

        The result is that of all steps of `on_ack`, with less work.
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
        """Mark what SEG.ACK covers as arrived (RFC 8985, 6.2, steps 2 and 3)."""
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
        """Account for a record that was acknowledged or SACKed just now."""
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
            # RACK.rtt is measured on the record sent last: an earlier one may have waited for a timeout.
            self._round_trip = now - record.at
            self._delivered = record
        if record.end > self._forward:
            self._forward = record.end
        elif not record.is_again:  # RFC8985-6.2-3
            self._reordering.count += 1

    def _take_blocks(self, segment: Segment, now: int) -> None:
        """Mark what the SACK blocks report as arrived; the first block may be a D-SACK."""
        board, blocks = self.board, segment.sack
        if is_duplicate_block(blocks, segment.ack):
            self._take_duplicate(blocks[0])
            blocks = blocks[1:]
        # In ascending order, as RFC8985-6.2-3 asks
        for start, end in sorted([(board.at(left), board.at(right)) for left, right in blocks]):
            if board.may_take(start, end):
                for record in board.take_block(start, end):
                    self._deliver(record, now)
                    record.state = SACKED

    def _take_duplicate(self, block: tuple[int, int]) -> None:
        """Process a D-SACK: the peer received the octets of ``block`` twice."""
        self._duplicates += 1
        left, right = block
        octets = seq.distance(left, right)
        if octets > self.board.sent.end:  # more than was ever sent: the peer is wrong
            return
        self._duplicate_end = self.board.at(right)
        self._reordering.duplicated(self.board.position, self.board.sent.end)
        if self._duplicate_end <= self._wary_until:  # else the D-SACK reports octets that we sent only once
            self._is_disproved = self._undo.is_disproved_by_duplicate(octets)

    # Losses

    def _find_lost(self, now: int) -> None:
        """Mark lost each record that was sent before the newest arrival, if its wait is over (RFC8985-6.2-5).

        The wait of a record is RACK.rtt and the reordering window from its sending on. Records are judged in
        the order of sending. If the wait of some isn't over yet, `on_reorder_timeout` judges them later.
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
                # RFC8985-6.2-6: at that time the wait is over for all records sent before the newest.
                self.reorder_at = newest.at + wait
                return
            self._lose(record)
        self.reorder_at = now + GRANULARITY  # judge the rest with the next ACK, or a little later

    def _lose(self, record: Sent) -> None:
        """Mark a record lost, and note whether congestion control must be told of the loss."""
        octets = record.end - record.start
        self.board.lose(record)
        self.sample.lost += octets
        self.sample.total_lost += octets
        if not self._is_of_probe(record):
            self._is_blamed = True
        if record.is_again and record.at >= self._reduced_at:
            self._lost_again = True

    def _is_of_probe(self, record: Sent) -> bool:
        """Say whether a record is part of the MTU probe in flight."""
        probe = self.mtu_probe
        return (
            probe is not None
            and self.board.at(probe.start) <= record.start
            and record.end <= self.board.at(probe.end)
        )

    def _reorder_window(self) -> int:
        """Return RACK.reo_wnd in microseconds."""
        is_recovering = self.is_active or self._is_timed_out
        return self._reordering.window(
            self.board.segments_sacked, self.rtt.smoothed, is_recovering=is_recovering
        )

    def on_reorder_timeout(self, now: int) -> None:
        """Judge the records in flight again, as for an ACK that delivers nothing."""
        self._begin_sample(0)
        self.sample.marked = 0
        self.sample.is_window_limited = False
        self._find_lost(now)
        self._end_sample(now)
        self._tell(0, now, is_repaired=False)

    def on_bare_mark(self, now: int) -> None:
        """Tell the controller of an ACK that tells nothing new except ECN marks."""
        self._begin_sample(0)
        self._end_sample(now)
        self._observe(now)

    def on_marked(self, flight: int) -> None:
        """Let the controller answer an ECN mark as soon as it has got the sample of this ACK."""
        self._marked_flight = flight
        self._answered = self.board.sent.end
        self._undo.end()  # RFC4015-3.1-9: the reduction for a mark isn't undone with a loss before it

    def on_refused(self) -> None:
        """Send everything in flight again, in order, without telling congestion control."""
        self.board.lose_all()
        self.tail_probe.forget()
        self.reorder_at = NEVER
        self._reduction = None  # nothing is in flight any more, so there is nothing to reduce
        self.timeout_test.end()
        self._undo.end()
        self.turn = BACK

    # Episodes

    def _steer(self, acked: int, now: int) -> None:
        """Begin, continue or end an episode after the controller was told of the sample."""
        if self.board.position >= self._point:
            if self.is_active or self._is_timed_out:  # RFC6675-5d
                self._leave(now)
            if self.sample.lost:
                self._enter(now)
            elif self.board.position > self._undo_until:  # a D-SACK from now on would come too late
                self._undo.end()
        elif self.is_excused and self._is_blamed:
            self.is_excused = False
            self.mtu_probe = None
            self._reduce(min(self.flight, self.congestion.window), now)
            self._lead_down(now)
        elif self._lost_again and self.is_active:  # RFC5681-4.3a: a lost retransmission is congestion again
            self._reduce_again(min(self.flight, self.congestion.window), now)
            self._lead_down(now)
        if self._reduction is not None and self.sample.delivered:
            is_safe = acked > 0 and self.sample.lost == 0
            self._reduction.on_ack(
                self.sample.delivered, self.board.pipe, self.congestion.smss, is_safe=is_safe
            )

    def _enter(self, now: int) -> None:
        """Begin an episode: something was found lost."""
        self.is_active = True
        self._point = self.board.sent.end
        self._is_forced = True
        self.tail_probe.forget()  # RFC8985-7.1
        if self.mtu_probe is not None and not self._is_blamed:
            self.mtu_probe.is_lost = self.is_excused = True
            return
        if self.board.position >= self._answered:
            # RFC5681-3.2d: cwnd bounds the flight, because limited transmit may have sent more than cwnd
            self._reduce(min(self.flight, self.congestion.window), now)
        self._lead_down(now)

    def _lead_down(self, now: int) -> None:
        """Start PRR towards the controller's new threshold, unless the controller paces by itself."""
        self._reduced_at = now
        self._lost_again = False
        if self.board.is_repairing:
            self._undo.ignore_echo()
        if not self.congestion.is_model:
            recover_fs = self.board.flight - self.board.sacked.total + self.sample.delivered  # RFC9937-6.1
            self._reduction = Reduction(self.congestion.threshold, recover_fs)

    def _leave(self, now: int) -> None:
        """End the episode, because SND.UNA has reached the RecoveryPoint."""
        if self.is_active and not self.is_excused:
            self._tell_recovered(max(self.board.pipe, self.congestion.threshold), now)  # RFC9937-6.4
        self._reordering.recovered()
        self.is_active = self._is_timed_out = self._lost_again = self.is_excused = False
        self._reduction = None
        self._undo_until = self.board.sent.end

    # Timeouts

    def on_timeout(self, *, again: bool, has_more: bool, now: int) -> None:
        """Reduce to the loss window, mark what is surely lost, and perhaps begin the F-RTO test."""
        board = self.board
        # The receiver dropped octets that it had SACKed, if the octet at SND.UNA is SACKed but not
        # acknowledged.
        has_reneged = board.sacked.around(board.position)[1] > 0
        if has_reneged:
            for record in board.forget_sacks():
                self._lose(record)
        # RFC5682-3.1: only where new data can be sent, and not in recovery.
        may_test = has_more and not has_reneged and not self.is_active and (again or not self._is_timed_out)
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
        self.turn = ON  # `next_lost` names what is lost, and the test sends new data

    def _mark_by_timeout(self, now: int) -> None:
        """Mark the segment at SND.UNA lost, and each segment that was sent long enough ago (RFC8985-6.3).

        Long enough is RACK.rtt and the reordering window. Segments sent just before the timeout stay in
        flight.
        """
        for record in self.board.first_flying(self.congestion.smss):
            self._lose(record)
        wait = self._round_trip + self._reorder_window()
        oldest = self.board.sent.oldest_flying()
        while oldest is not None and oldest.at + wait <= now:
            self._lose(oldest)
            oldest = self.board.sent.oldest_flying()

    def _test_timeout(self, acked: int, *, is_duplicate: bool, has_more: bool) -> None:
        """Judge an ACK by F-RTO with SACK (RFC 5682, 3.1).

        With SACK, a SACKed octet shows an arrival too, and a first duplicate ACK decides nothing.
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
        """Undo the latest reduction of cwnd, because nothing was lost, and go on with new data (RFC 4015)."""
        self.board.unlose()
        limit = NO_LIMIT
        if self._is_timed_out:
            limit = self.board.pipe + min(acked, self.congestion.initial_window)  # RFC4015-3.1-9
            self.rtt.revive()  # RFC4015-3.1-11
        else:  # RFC8985-6.2-3
            # The segments were reordered. `_deliver` can't see this for segments that were sent again, and
            # with a reordering window of 0 RACK would mark further late segments lost.
            self._reordering.count += 1
        self.timeout_test.end()
        if self._undo.is_open and not self.sample.marked:  # RFC4015-3.1-9: a mark isn't undone
            self._undo_limit = limit
        self._undo.end()
        self.is_active = self._is_timed_out = self._lost_again = self._is_forced = False
        self._reduction = None
        self._point = self.board.position
        self.turn = ON

    # The tail loss probe

    def watches_tail(self) -> bool:
        """Say whether a probe timeout comes before the retransmission timeout (RFC8985-7.2).

        In an episode, and while anything is SACKed, no probe is used.
        """
        return not (self.is_active or self._is_timed_out or self.board.sacked.lefts)

    def tail(self) -> tuple[int, int]:
        """Return number and octets of the last segment that was sent, or NOTHING."""
        return self.board.tail(self.congestion.smss)

    def _has_repaired(self, *, is_bare_duplicate: bool) -> bool:
        """Say whether the tail probe repaired a loss that neither an episode nor a mark has answered."""
        is_repaired = self.tail_probe.repaired(
            self.board.position, self._duplicate_end, is_bare_duplicate=is_bare_duplicate
        )
        if not is_repaired or self.is_active or self.board.position <= self._answered:
            return False
        self._undo.end()  # to undo the episode before would also undo the reduction that follows now
        return True

    # What may be sent

    def next_lost(self, una: int) -> tuple[int, int]:
        """Return the lost record with the lowest position, where the window has room for it, or NOTHING."""
        if not self.board.lost or (self.timeout_test.is_running and not self._is_forced):
            return NOTHING
        record = self.board.first_lost()
        if record is None:
            return NOTHING
        octets = record.end - record.start
        # RFC8985-9.3: retransmissions, too, need room in the window.
        if not self._is_forced and self._window - self.board.pipe < min(octets, self.congestion.smss):
            return NOTHING
        return self.board.number(record.start), octets

    def room(self, una: int, nxt: int) -> int:
        """Return how many octets may go out from SND.NXT on: the window less the pipe."""
        if self.timeout_test.is_running:
            return self.timeout_test.room
        room, board = self._window - self.board.pipe, self.board
        # While octets are sent again in order after `on_refused`, stop before those that the peer has SACKed
        return room if nxt == board.number(board.sent.end) else min(room, board.until_sacked(nxt))

    def beyond_sacked(self, number: int) -> int:
        """Return the first number from ``number`` on that isn't SACKed."""
        return self.board.beyond_sacked(number)

    def ran_dry(self) -> None:
        """Note that the send buffer is empty: rate samples are marked as app-limited."""
        if self._rates is not None and self.board.pipe < self.congestion.window and not self.board.lost:
            self._rates.limit(self.board.pipe)

    @property
    def _window(self) -> int:
        """Octets that may be in the network: PRR's window in an episode, else the controller's."""
        return self.congestion.window if self._reduction is None else self._reduction.window

    # Figures and samples

    def figures(self) -> Figures:
        """Return the figures that `Connection.status` shows; `Figures` has their meanings and units."""
        board, told = self.board, Figures()
        told.sacked, told.lost, told.retransmitted = board.sacked.total, board.lost, board.retransmitted
        told.delivered = self.sample.total_delivered
        told.duplicates = self._duplicates
        told.reorderings = self._reordering.count
        told.min_rtt = self._reordering.shortest
        told.delivery_rate = self.sample.rate
        return told

    def _begin_sample(self, acked: int) -> None:
        """Clear the sample and what is known of the ACK at hand, which advanced SND.UNA by ``acked``."""
        sample = self.sample
        sample.acked = acked
        sample.delivered = sample.lost = 0
        sample.flight_before = self._pipe
        self._delivered = None
        self._duplicate_end = _NONE
        self._is_disproved = self._is_blamed = False

    def _end_sample(self, now: int) -> None:
        """Fill in the rest of the sample: what was delivered and lost is known now."""
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
