"""What is unusual in a connection, and the rule behind it. `translations` has the texts.

A capture shows neither the ends' memories nor their timers, so a finding says what the segments show: "sent
again" where the same numbers went by twice, "after a timeout" where fewer than three duplicate ACKs had
asked for it. If the capture doesn't show enough (a window of unknown scale, for example), nothing is found.

For each segment, `Unusual.look` asks one function for each subject: its options and flags, its place in the
stream, the window, the ACK, timestamps, and the marks of ECN. Each compares the segment with the `Eye` of
both ends; `_remember` then updates the sender's `Eye`. `_look_at_end` finds what is known only after the last
segment.
"""

from contextlib import suppress
from functools import partial
from typing import Final

from postel.errors import WireError
from postel.tcp import seq as sequence
from postel.times import MINUTE
from postel.view.capture.case import MOST_PACKETS, Case, Story
from postel.view.capture.connection import Closing, Connection
from postel.view.capture.measures import scale
from postel.view.capture.opening import LEAST_MSS, look_at_opening
from postel.view.capture.plain_look import (
    BARE,
    CE,
    DUPLICATES,
    STAMPED,
    THREE_WORDS,
    TIMESTAMPS,
    look_at_plain,
)
from postel.view.capture.quality import look_at_quality, look_at_snap_length
from postel.view.capture.resets import look_at_reset
from postel.view.capture.sent import UNKNOWN, WIDEST, Sight
from postel.view.capture.table import Brief, Notice, Seen
from postel.wire import icmp, options
from postel.wire.segment import ABSENT, ACK, AE, ECE, FIN, RST, SYN, URG

_ICMP_FINDINGS: Final = {
    icmp.PACKET_TOO_BIG: "ICMP: too big",
    icmp.UNREACHABLE: "ICMP: unreachable",
    icmp.TIME_EXCEEDED: "ICMP: time exceeded",
}
# Number of ACKs without ECE after which a CE mark counts as unanswered. Fewer ACKs may have crossed the mark.
_PATIENCE: Final = 8


class Unusual:
    """Search for what is unusual in the connections of a `Table`.

    Give it ``Table(over, closer=unusual.look)``, and call ``unusual.of(connection)`` in ``over``. A finding
    names up to ``most_packets`` packets, and counts the others.
    """

    def __init__(self, most_packets: int = MOST_PACKETS) -> None:
        """Begin without connections."""
        self._most_packets = most_packets
        self._cases: dict[int, Case] = {}
        # Optional argument ``brief`` of `Table`, with which the search is much faster:
        # ``Table(over, closer=unusual.look, brief=unusual.look_briefly)``
        self.look_briefly: Brief = partial(look_at_plain, self._cases)

    def look(self, seen: Seen) -> None:
        """Add the findings about a segment. Called after its connection has counted the segment."""
        connection = seen.end.connection
        if connection.is_told:
            return
        case = self._cases.get(connection.number)
        if case is None:
            case = self._cases[connection.number] = Case(connection, self._most_packets)
            case.first = seen.number
            _look_at_beginning(case, seen)
        case.pace.look(seen)
        if seen.sight is Sight.COPY:
            return
        look_at_snap_length(case, seen)
        bearer = _options(seen)
        _look_at_flags(case, seen)
        if seen.located.bits & SYN:
            look_at_opening(case, seen, bearer)
        if seen.located.bits & RST:
            look_at_reset(case, seen)
        else:
            _look_at_order(case, seen)
            _look_at_window(case, seen)
            _look_at_acknowledgement(case, seen, bearer)
            _look_at_timestamps(case, seen, bearer)
            _look_at_marks(case, seen)
        _remember(case, seen)
        if seen.located.bits & SYN:
            case.compare_offers()

    def notice(self, notice: Notice) -> None:
        """Add the finding for an ICMP error. Give this method to ``Table(over, notices=unusual.notice)``."""
        case = self._cases.get(notice.end.connection.number)
        if case is not None and notice.message.kind in _ICMP_FINDINGS:
            case.find(
                _ICMP_FINDINGS[notice.message.kind],
                notice.end,
                notice.number,
                mtu=notice.message.mtu,
                code=notice.message.code,
            )

    def of(self, connection: Connection) -> Story:
        """Return the findings about a connection, in the order of the packets, and its times.

        After this call, nothing about the connection is kept.
        """
        case = self._cases.pop(connection.number, None)
        if case is None:
            return Story([], None)
        _look_at_end(case)
        return Story(sorted(case.findings.values(), key=lambda finding: finding.packets[:1]), case.pace)


def _options(seen: Seen) -> options.Bearer:
    """Return the options of a segment, as far as they were captured and can be read."""
    located = seen.located
    end = min(located.at + (located.bits >> 10 & 0x3C), seen.captured)
    if end == located.at + STAMPED:
        kind, tsval, tsecr = THREE_WORDS(seen.octets, located.at + BARE)
        if kind == TIMESTAMPS:
            return options.Bearer(tsval, tsecr)
    bearer = options.Bearer()
    with suppress(WireError):
        options.read(seen.octets, located.at + 20, end, bearer, syn=located.bits & SYN != 0)
    return bearer


def _look_at_beginning(case: Case, seen: Seen) -> None:
    """Add findings about the first segment: ports used again, or a connection older than the capture."""
    before = case.connection.before
    if (
        before is not None
        and seen.when - before.when < 4 * MINUTE
        and before.closing is not Closing.UNANSWERED
    ):
        case.find("ports again", seen.end, seen.number, seconds=f"{(seen.when - before.when) / 1e6:.3f}")
    if not seen.located.bits & (SYN | RST):
        case.find("begins in the middle", seen.end, seen.number)


def _look_at_flags(case: Case, seen: Seen) -> None:
    """Add findings about flags that contradict each other, and about urgent data."""
    flags = seen.located.bits
    if flags & SYN and flags & (FIN | RST):
        case.find("contradictory flags", seen.end, seen.number)
    elif not flags & (SYN | RST | ACK):
        case.find("no ACK bit", seen.end, seen.number)
    if flags & URG:
        case.find("urgent", seen.end, seen.number)


# The stream


def _look_at_order(case: Case, seen: Seen) -> None:
    """Add findings about the segment's position in the stream, and about its size."""
    end, sight = seen.end, seen.sight
    length = seen.length
    _withdraw_beyond(case, seen)
    if sight is Sight.RETRANSMISSION and not seen.located.bits & SYN:
        _look_at_retransmission(case, seen)
    elif sight is Sight.OVERTAKEN:
        case.find("overtaken", end, seen.number)
    elif sight is Sight.PROBE or (sight is Sight.KEEP_ALIVE and case.eyes[end.other.side].window == 0):
        case.find("window probe", end, seen.number)
    elif sight is Sight.KEEP_ALIVE and case.connection.opened != UNKNOWN:
        case.find("keep-alive", end, seen.number)
    elif length and (sight is Sight.OUTSIDE or _is_beyond_window(seen, case.eyes[end.other.side].window)):
        case.wait_beyond(end, sequence.add(seen.located.seq, length), seen.number)
    if (
        length
        and end.other.offer is not None
        and 0 < end.other.offer.mss < length
        and not seen.located.bits & SYN
    ):
        case.find("over the MSS", end, seen.number, mss=end.other.offer.mss, length=length)
    if length and end.other.fin != UNKNOWN and end.has_acknowledged(end.other.fin) and sight is Sight.NEW:
        case.find("half-closed", end, seen.number)


def _withdraw_beyond(case: Case, seen: Seen) -> None:
    """Forget segments that seemed to be beyond the window, where this segment acknowledges them.

    Such a segment was inside the window: the one that opened the window passed the capture a moment later.
    """
    waiting = case.eyes[seen.end.other.side].beyond
    if waiting and seen.located.bits & ACK:
        waiting[:] = [each for each in waiting if sequence.gt(each[0], seen.located.ack)]


def _look_at_retransmission(case: Case, seen: Seen) -> None:
    """Add the finding that says why the segment was sent again, such as a timeout or duplicate ACKs."""
    end, located, listener = seen.end, seen.located, case.eyes[seen.end.other.side]
    last = sequence.add(located.seq, seen.length + (located.bits & FIN != 0))
    if end.other.has_acknowledged(last):
        case.find("spurious", end, seen.number)
    elif listener.duplicates >= DUPLICATES and located.seq == end.other.ack:
        case.find("fast retransmit", end, seen.number)
    elif listener.sacked and sequence.lt(located.seq, listener.sacked[0][1]):
        case.find("SACK recovery", end, seen.number)
    else:
        case.find("retransmission", end, seen.number)


def _is_beyond_window(seen: Seen, window: int) -> bool:
    """Return whether the segment ends beyond the other end's window; False if the window isn't known."""
    other = seen.end.other
    shift = scale(other)
    if UNKNOWN in (other.ack, window, shift):
        return False
    over = sequence.offset(
        sequence.add(seen.located.seq, seen.length), sequence.add(other.ack, window << shift)
    )
    return 0 < over < WIDEST


def _look_at_window(case: Case, seen: Seen) -> None:
    """Add findings about zero windows, and about windows that open too little."""
    end, eye, window = seen.end, case.eyes[seen.end.side], seen.located.window
    if seen.located.bits & SYN:
        eye.widest = window
        return
    if end.other.fin != UNKNOWN:
        return
    if not window:
        case.find("zero window", end, seen.number)
        return
    shift = scale(end)
    if shift == UNKNOWN or end.other.offer is None:
        return
    room = window << shift
    eye.widest = max(eye.widest, room)
    if eye.window == 0 and room < min(max(end.other.offer.mss, LEAST_MSS[4]), eye.widest // 2):
        case.find("silly window", end, seen.number, room=room)


def _look_at_acknowledgement(case: Case, seen: Seen, bearer: options.Bearer) -> None:
    """Count duplicate ACKs, and add findings about them and about SACKs of data that came twice."""
    end, located, eye = seen.end, seen.located, case.eyes[seen.end.side]
    if not located.bits & ACK or located.bits & (SYN | FIN) or seen.length:
        return
    outstanding = end.other.next != UNKNOWN and sequence.lt(located.ack, end.other.next)
    if located.ack != eye.ack:
        eye.duplicates = 0
    elif outstanding and (bearer.sack or located.window == eye.window) and seen.sight is Sight.EMPTY:
        eye.duplicates += 1
        if eye.duplicates == DUPLICATES:
            case.find("duplicate ACKs", end, seen.number)
    eye.sacked = bearer.sack
    if bearer.sack and sequence.le(bearer.sack[0][1], located.ack):
        case.find("duplicate SACK", end, seen.number)


def _look_at_timestamps(case: Case, seen: Seen, bearer: options.Bearer) -> None:
    """Add findings about timestamps that are missing or go back; otherwise store the timestamp."""
    end, eye = seen.end, case.eyes[seen.end.side]
    one, two = (each.offer for each in case.connection.ends)
    if one is None or two is None or ABSENT in (one.tsval, two.tsval):
        return
    if bearer.tsval == ABSENT:
        case.find("timestamp missing", end, seen.number)
    elif eye.tsval != ABSENT and sequence.lt(bearer.tsval, eye.tsval):
        if seen.sight is not Sight.OVERTAKEN:
            case.find("timestamp goes back", end, seen.number)
    else:
        eye.tsval = bearer.tsval


def _look_at_marks(case: Case, seen: Seen) -> None:
    """Add findings about the ECN marks in the IP header, and about their echo (RFC 3168)."""
    end, other, bits = seen.end, seen.end.other, seen.located.bits
    mark = seen.traffic & 3
    if not mark and not case.eyes[end.side].ce:
        return
    agreed = case.connection.has_agreed_on_ecn
    accurate = case.connection.ends[0].syn_flags & AE
    if mark and not accurate:
        if bits & SYN:
            case.find("ECT on SYN", end, seen.number)
        elif not agreed and case.connection.opened != UNKNOWN and end.other.offer is not None:
            case.find("ECT unagreed", end, seen.number)
        elif seen.sight is Sight.RETRANSMISSION:
            case.find("ECT again", end, seen.number)
    if not agreed:
        return
    if mark == CE:
        case.find("CE", end, seen.number)
        case.eyes[other.side].ce = case.eyes[other.side].ce or seen.number
    _await_echo(case, seen)


def _await_echo(case: Case, seen: Seen) -> None:
    """Count an ACK after a CE mark; add a finding if `_PATIENCE` ACKs came without an echo of the mark."""
    eye = case.eyes[seen.end.side]
    if not eye.ce or not seen.located.bits & ACK:
        return
    eye.since_ce += 1
    if seen.located.bits & ECE:
        eye.ce = eye.since_ce = 0
    elif eye.since_ce == _PATIENCE:
        case.find("CE unanswered", seen.end, eye.ce)


# After the last segment


def _look_at_end(case: Case) -> None:
    """Add the findings that are known only after the connection's last segment."""
    connection = case.connection
    closing = connection.closing
    one, two = connection.ends
    if closing is Closing.SIMULTANEOUS:
        for end in connection.ends:
            case.find("simultaneous close", end, case.eyes[end.side].fin)
    elif closing is Closing.HALF_OPEN:
        case.find("half-open", two, case.eyes[two.side].opening or case.first)
    elif closing is Closing.UNANSWERED and one.syns:
        case.find("unanswered", one, case.first)
    for end in connection.ends:
        for _, number in case.eyes[end.side].beyond:
            case.find("outside the window", end, number)
    for silence in case.pace.stalls:
        case.find_longest(f"stall: {silence.kind}", silence.by, silence.number, silence.length)
    look_at_quality(case)


def _remember(case: Case, seen: Seen) -> None:
    """Store the segment's fields in the `Eye` of its sender, to compare later segments with them."""
    located, eye = seen.located, case.eyes[seen.end.side]
    case.speaker = seen.end
    if case.connection.reset_by is None:
        for each in case.eyes:
            each.stands = False
    eye.number = seen.number
    eye.length = seen.length
    eye.kind = located.bits
    if not located.bits & RST:
        eye.window = located.window
        eye.room = located.window << eye.shift if eye.shift != UNKNOWN else UNKNOWN
    if located.bits & FIN:
        eye.fin = eye.fin or seen.number
    if located.bits & SYN:
        eye.opening = seen.number
    if located.bits & ACK:
        eye.ack = located.ack
