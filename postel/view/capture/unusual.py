"""What is unusual in a connection, and the rule behind it: each thing once, with the packets that show it. The texts are in `words`.

A bystander sees neither the ends' memories nor their timers, so a finding says what the segments show: "sent again" where the same numbers
went by twice, "after a timeout" where fewer than three duplicate ACKs had asked for it.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from postel.errors import WireError
from postel.tcp import seq as sequence
from postel.times import MINUTE
from postel.view.capture.connection import UNKNOWN, WIDEST, Closing, Connection, End, Sight
from postel.view.capture.table import Seen
from postel.wire import options
from postel.wire.segment import ABSENT, ACK, AE, CWR, ECE, FIN, RST, SYN, URG

MOST_PACKETS: Final = 12  # that a finding names; it counts the others
_DUPLICATES: Final = 3  # RFC 5681, 3.2
_CE: Final = 3
_PATIENCE: Final = 8  # ACKs after a CE mark that may still be older than it
_LEAST_MSS: Final = {4: 536, 16: 1220}


@dataclass(slots=True)
class Finding:
    """``by`` is the end that did it; ``values`` fill the text."""

    kind: str
    by: End
    count: int = 0
    packets: list[int] = field(default_factory=list)
    values: dict[str, object] = field(default_factory=dict)


class _Eye:
    """What must be remembered of an end beyond what `End` does."""

    __slots__ = ("ack", "ce", "duplicates", "kind", "length", "sacked", "since_ce", "tsval", "widest", "window")

    def __init__(self) -> None:
        self.ack = UNKNOWN
        self.window = UNKNOWN  # as on the wire
        self.widest = 0
        self.duplicates = 0
        self.sacked: tuple[tuple[int, int], ...] = ()  # by its last ACK
        self.tsval = ABSENT
        self.ce = 0  # the packet with a mark that waits for an answer
        self.since_ce = 0
        self.length = 0  # of its last segment
        self.kind = 0  # its flags


class _Case:
    """One connection under watch."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.first = 0  # the number of its first packet
        self.fin = 0  # of the last with a FIN
        self.speaker: End | None = None  # the end that sent the last segment
        self.eyes = (_Eye(), _Eye())
        self.findings: dict[tuple[str, int], Finding] = {}

    def find(self, kind: str, end: End, number: int, **values: object) -> None:
        finding = self.findings.get((kind, end.side))
        if finding is None:
            finding = self.findings[kind, end.side] = Finding(kind, end, values=values)
        finding.count += 1
        if len(finding.packets) < MOST_PACKETS:
            finding.packets.append(number)


class Unusual:
    """The closer look of a `Table`: give it ``Table(over, closer=unusual.look)``, and ask ``unusual.of(connection)`` when it is over."""

    def __init__(self) -> None:
        self._cases: dict[int, _Case] = {}

    def look(self, seen: Seen) -> None:
        connection = seen.end.connection
        if connection.is_told:
            return
        case = self._cases.get(connection.number)
        if case is None:
            case = self._cases[connection.number] = _Case(connection)
            case.first = seen.number
            _look_at_beginning(case, seen)
        bearer = _options(seen)
        _look_at_flags(case, seen)
        if seen.located.bits & SYN:
            _look_at_opening(case, seen, bearer)
        if seen.located.bits & RST:
            _look_at_reset(case, seen)
        else:
            _look_at_order(case, seen)
            _look_at_window(case, seen)
            _look_at_acknowledgement(case, seen, bearer)
            _look_at_timestamps(case, seen, bearer)
            _look_at_marks(case, seen)
        _remember(case, seen)

    def of(self, connection: Connection) -> list[Finding]:
        """All that was found, in the order of the packets; the case is closed."""
        case = self._cases.pop(connection.number, None)
        if case is None:
            return []
        _look_at_end(case)
        return sorted(case.findings.values(), key=lambda finding: finding.packets[:1])


def _options(seen: Seen) -> options.Bearer:
    bearer = options.Bearer()
    located = seen.located
    end = min(located.at + (located.bits >> 10 & 0x3C), seen.captured)
    with suppress(WireError):
        options.read(seen.octets, located.at + 20, end, bearer, syn=located.bits & SYN != 0)
    return bearer


def _length(seen: Seen) -> int:
    located = seen.located
    return located.end - located.at - (located.bits >> 10 & 0x3C)


def _look_at_beginning(case: _Case, seen: Seen) -> None:
    before = case.connection.before
    if before is not None and seen.when - before.when < 4 * MINUTE and before.closing is not Closing.UNANSWERED:
        case.find("ports again", seen.end, seen.number, seconds=f"{(seen.when - before.when) / 1e6:.3f}")
    if not seen.located.bits & SYN:
        case.find("begins in the middle", seen.end, seen.number)


def _look_at_flags(case: _Case, seen: Seen) -> None:
    flags = seen.located.bits
    if flags & SYN and flags & (FIN | RST):
        case.find("contradictory flags", seen.end, seen.number)
    elif not flags & (SYN | RST | ACK):
        case.find("no ACK bit", seen.end, seen.number)
    if flags & URG:
        case.find("urgent", seen.end, seen.number)


# The opening


def _look_at_opening(case: _Case, seen: Seen, bearer: options.Bearer) -> None:
    end, flags, number = seen.end, seen.located.bits, seen.number
    crosses = not flags & ACK and end.other.syns and end.other.ack == UNKNOWN
    if crosses and end.side:
        case.find("simultaneous open", end, number)
    if seen.sight is Sight.RETRANSMISSION:
        _look_at_second_opening(case, seen, bearer)
        return
    least = _LEAST_MSS[len(end.endpoint.address)]
    if bearer.mss == ABSENT:
        case.find("no MSS", end, number, default=least)
    elif bearer.mss < least:
        case.find("small MSS", end, number, mss=bearer.mss, least=least)
    if _length(seen) and bearer.fast_open is None:
        case.find("data in SYN", end, number)
    offer = end.other.offer
    if flags & ACK and offer is not None:
        _compare_offers(case, seen, offer, bearer)
        _look_at_ecn_answer(case, seen)


def _look_at_second_opening(case: _Case, seen: Seen, bearer: options.Bearer) -> None:
    end, first = seen.end, seen.end.offer
    if seen.located.bits & ACK and not case.eyes[seen.end.side].kind & ACK:
        return  # its SYN again, but as the answer to the other's: the opening is simultaneous
    case.find("SYN,ACK again" if seen.located.bits & ACK else "SYN again", end, seen.number)
    lost = _offered(first) - _offered(bearer) if first is not None else set()
    if lost:
        case.find("SYN with less", end, seen.number, options=", ".join(sorted(lost)))


def _offered(bearer: options.Bearer) -> set[str]:
    has = {"window scale": bearer.window_scale != ABSENT, "SACK": bearer.sack_permitted, "timestamps": bearer.tsval != ABSENT}
    return {name for name, is_there in has.items() if is_there}


def _compare_offers(case: _Case, seen: Seen, offer: options.Bearer, answer: options.Bearer) -> None:
    offered, answered = _offered(offer), _offered(answer)
    if answered - offered:
        case.find("not offered", seen.end, seen.number, options=", ".join(sorted(answered - offered)))
    if len(offered) > 1 and not answered:
        case.find("all options gone", seen.end, seen.number, options=", ".join(sorted(offered)))


def _look_at_ecn_answer(case: _Case, seen: Seen) -> None:
    asked, answered = (end.syn_flags & (AE | CWR | ECE) for end in (seen.end.other, seen.end))
    if asked == CWR | ECE and answered == CWR | ECE:
        case.find("ECN reflected", seen.end, seen.number)
    elif not asked and answered & ECE:
        case.find("ECN unasked", seen.end, seen.number)


# The stream


def _look_at_order(case: _Case, seen: Seen) -> None:
    end, sight = seen.end, seen.sight
    length = _length(seen)
    if sight is Sight.RETRANSMISSION and not seen.located.bits & SYN:
        _look_at_retransmission(case, seen)
    elif sight is Sight.OVERTAKEN:
        case.find("overtaken", end, seen.number)
    elif sight is Sight.KEEP_ALIVE and case.connection.opened != UNKNOWN:
        case.find("keep-alive" if case.eyes[end.other.side].window else "window probe", end, seen.number)
    elif sight is Sight.OUTSIDE:
        case.find("outside the window", end, seen.number)
    elif length and _is_beyond_window(seen, case.eyes[end.other.side].window):
        case.find("outside the window" if case.eyes[end.other.side].window else "window probe", end, seen.number)
    if length and end.other.offer is not None and 0 < end.other.offer.mss < length and not seen.located.bits & SYN:
        case.find("over the MSS", end, seen.number, mss=end.other.offer.mss, length=length)
    if length and end.other.fin != UNKNOWN and end.has_acknowledged(end.other.fin) and sight is Sight.NEW:
        case.find("half-closed", end, seen.number)


def _look_at_retransmission(case: _Case, seen: Seen) -> None:
    end, located, listener = seen.end, seen.located, case.eyes[seen.end.other.side]
    last = sequence.add(located.seq, _length(seen) + (located.bits & FIN != 0))
    if end.other.has_acknowledged(last):
        case.find("spurious", end, seen.number)
    elif listener.duplicates >= _DUPLICATES and located.seq == end.other.ack:
        case.find("fast retransmit", end, seen.number)
    elif listener.sacked and sequence.lt(located.seq, listener.sacked[0][1]):
        case.find("SACK recovery", end, seen.number)
    elif listener.window == 0:
        case.find("window probe", end, seen.number)
    else:
        case.find("retransmission", end, seen.number)


def _is_beyond_window(seen: Seen, window: int) -> bool:
    """Its end lies to the right of what the other end has room for, as far as this can be told."""
    other = seen.end.other
    if UNKNOWN in (other.ack, window, other.shift):
        return False
    scales = seen.end.offer is not None and seen.end.offer.window_scale != ABSENT
    room = window << (min(other.shift, 14) if scales else 0)
    over = sequence.offset(sequence.add(seen.located.seq, _length(seen)), sequence.add(other.ack, room))
    return 0 < over < WIDEST


def _look_at_window(case: _Case, seen: Seen) -> None:
    end, eye, window = seen.end, case.eyes[seen.end.side], seen.located.window
    if seen.located.bits & SYN:
        eye.widest = window
        return
    if end.other.fin != UNKNOWN:
        return
    if not window:
        case.find("zero window", end, seen.number)
        return
    if end.other.offer is None or end.offer is None:
        return
    scales = ABSENT not in (end.other.offer.window_scale, end.offer.window_scale)
    room = window << (min(end.shift, 14) if scales else 0)
    eye.widest = max(eye.widest, room)
    if eye.window == 0 and room < min(max(end.other.offer.mss, _LEAST_MSS[4]), eye.widest // 2):
        case.find("silly window", end, seen.number, room=room)


def _look_at_acknowledgement(case: _Case, seen: Seen, bearer: options.Bearer) -> None:
    end, located, eye = seen.end, seen.located, case.eyes[seen.end.side]
    if not located.bits & ACK or located.bits & (SYN | FIN) or _length(seen):
        return
    outstanding = end.other.next != UNKNOWN and sequence.lt(located.ack, end.other.next)
    if located.ack != eye.ack:
        eye.duplicates = 0
    elif outstanding and (bearer.sack or located.window == eye.window) and seen.sight is Sight.EMPTY:
        eye.duplicates += 1
        if eye.duplicates == _DUPLICATES:
            case.find("duplicate ACKs", end, seen.number)
    eye.sacked = bearer.sack
    if bearer.sack and sequence.le(bearer.sack[0][1], located.ack):
        case.find("duplicate SACK", end, seen.number)


def _look_at_timestamps(case: _Case, seen: Seen, bearer: options.Bearer) -> None:
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


def _look_at_marks(case: _Case, seen: Seen) -> None:
    end, other, bits = seen.end, seen.end.other, seen.located.bits
    mark = seen.traffic & 3
    if not mark and not case.eyes[end.side].ce:
        return
    agreed = "ecn" in case.connection.agreed()
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
    if mark == _CE:
        case.find("CE", end, seen.number)
        case.eyes[other.side].ce = case.eyes[other.side].ce or seen.number
    _await_echo(case, seen)


def _await_echo(case: _Case, seen: Seen) -> None:
    eye = case.eyes[seen.end.side]
    if not eye.ce or not seen.located.bits & ACK:
        return
    eye.since_ce += 1
    if seen.located.bits & ECE:
        eye.ce = eye.since_ce = 0
    elif eye.since_ce == _PATIENCE:
        case.find("CE unanswered", seen.end, eye.ce)


# The end


def _look_at_reset(case: _Case, seen: Seen) -> None:
    end, located = seen.end, seen.located
    case.find(_reason(case, seen), end, seen.number)
    other = end.other
    if seen.sight is Sight.OUTSIDE or (other.ack != UNKNOWN and sequence.offset(located.seq, other.ack) > WIDEST):
        case.find("blind reset", end, seen.number)


def _reason(case: _Case, seen: Seen) -> str:
    """By which rule it was sent, as far as the segments before it tell."""
    connection, end, located = case.connection, seen.end, seen.located
    last = case.eyes[end.other.side]
    answers = case.speaker is end.other and not located.bits & ACK and located.seq == last.ack
    if not end.syns and end.other.syns and located.bits & ACK and end.next == located.seq:
        return "reset: refused"
    if connection.is_closed_by_fins:
        return "reset: after the close"
    if connection.opened == UNKNOWN and answers:
        return "reset: unacceptable ACK"
    if end.fin != UNKNOWN and last.length:
        return "reset: text after CLOSE"
    if answers:
        return "reset: no such connection"
    return "reset: abort"


def _look_at_end(case: _Case) -> None:
    connection = case.connection
    closing = connection.closing
    if closing is Closing.SIMULTANEOUS:
        case.find("simultaneous close", connection.ends[0], case.fin)
    elif closing is Closing.HALF_OPEN:
        case.find("half-open", connection.ends[1], case.first)
    elif closing is Closing.UNANSWERED:
        case.find("unanswered", connection.ends[0], case.first)


def _remember(case: _Case, seen: Seen) -> None:
    located, eye = seen.located, case.eyes[seen.end.side]
    case.speaker = seen.end
    eye.length = _length(seen)
    eye.kind = located.bits
    eye.window = located.window
    if located.bits & FIN:
        case.fin = seen.number
    if located.bits & ACK:
        eye.ack = located.ack
