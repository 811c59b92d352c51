"""One connection (or exchange of datagrams) in a trace: where each end's numbers start, what was sent before,
and the states.
"""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field

from postel.tcp import seq as sequence
from postel.tcp.state import State
from postel.view.packet import UNKNOWN, Kind, Packet
from postel.wire.address import Endpoint
from postel.wire.segment import ABSENT, ACK, FIN, RST, SYN, Segment

_REMEMBERED = 64  # packets of one direction that the other has not answered: more say nothing more


@dataclass(slots=True)
class Change:
    """A connection entered a state; ``cause`` is the packet or the timer that did it, None where its user
    did.
    """

    at: Endpoint
    before: State
    after: State
    when: int
    order: int
    cause: "Packet | Expiry | Remark | None"


@dataclass(slots=True)
class Expiry:
    """A timer ran out."""

    at: Endpoint
    timer: str
    when: int
    order: int
    state: State | None


@dataclass(slots=True)
class Remark:
    """What the program says of one end beyond what packets and timers tell: a text in each of
    `notes.LANGUAGES`, or one for all.
    """

    at: Endpoint
    texts: tuple[str, ...]
    when: int
    order: int
    state: State | None


@dataclass(slots=True)
class _Range:
    end: int
    number: int
    packet: Packet


@dataclass(slots=True)
class _Direction:
    """What one end has sent, in relative numbers that don't wrap."""

    first: int = UNKNOWN  # the number on the wire that counts as 0
    high: int = 0  # the highest sent, and one more
    starts: list[int] = field(default_factory=list)
    ranges: list[_Range] = field(default_factory=list)
    shift: int = ABSENT
    fin_end: int = UNKNOWN
    ack: int = UNKNOWN
    window: int = UNKNOWN
    repeated: int = 0
    unanswered: deque[Packet] = field(
        default_factory=lambda: deque(maxlen=_REMEMBERED)
    )  # with text, SYN or FIN

    def relative(self, number: int) -> int:
        return self.high + sequence.offset(number, sequence.add(self.first, self.high))

    def sent_before(self, start: int) -> Packet | None:
        index = bisect_right(self.starts, start) - 1
        if index >= 0 and self.ranges[index].end > start:
            return self.ranges[index].packet
        return None

    def have_arrived(self) -> bool:
        """Whether any of the unanswered has, as far as the trace can tell. Those under way stay
        unanswered.
        """
        arrived = any(not packet.lost and not packet.is_under_way for packet in self.unanswered)
        under_way = [packet for packet in self.unanswered if packet.is_under_way]
        self.unanswered.clear()
        self.unanswered.extend(under_way)
        return arrived

    def note(self, start: int, end: int, packet: Packet) -> None:
        index = bisect_right(self.starts, start)
        self.starts.insert(index, start)
        self.ranges.insert(index, _Range(end, packet.number, packet))


class Flow:
    """``opener`` is the end that sent the first packet; ``ends`` has both ends, the opener first."""

    def __init__(self, number: int, opener: Endpoint, other: Endpoint, protocol: int) -> None:
        self.number = number
        self.ends: tuple[Endpoint, Endpoint] = (opener, other)
        self.protocol = protocol
        self.packets: list[Packet] = []
        self.changes: list[Change] = []
        self.expiries: list[Expiry] = []
        self.remarks: list[Remark] = []
        self.states: dict[Endpoint, State] = {}
        self.names: dict[Endpoint, str] = {}
        self._directions = {opener: _Direction(), other: _Direction()}
        self.is_captured: bool = False  # by a bystander: what the programs called isn't known
        self._handshake_is_over = False

    @property
    def opener(self) -> Endpoint:
        return self.ends[0]

    def forget(self, *, recent: int, remembered: int) -> None:
        """Keep the last ``recent`` packets and changes, no timers, and of each direction ``remembered`` to
        twice as many data segments.
        """
        del self.packets[:-recent]
        del self.changes[:-recent]
        self.expiries.clear()
        for direction in self._directions.values():
            if len(direction.starts) > 2 * remembered:
                del direction.starts[:-remembered]
                del direction.ranges[:-remembered]

    def is_new(self, source: Endpoint, segment: Segment) -> bool:
        """Whether a SYN begins another connection between the same ends."""
        if segment.flags & (SYN | ACK) != SYN:
            return False
        first = self._directions[source].first
        return first not in (UNKNOWN, segment.seq)

    def initial_state(self, end: Endpoint) -> State | None:
        """Where an end stood before the first packet: LISTEN for the end that opened passively."""
        changes = [change for change in self.changes if change.at == end]
        if not changes:
            return self.states.get(end)
        if len(changes) > 1 and changes[0].after is State.LISTEN:
            return State.LISTEN
        return changes[0].before

    def examine(self, packet: Packet, segment: Segment) -> None:
        """Fills in what a bystander can tell, in the order of departure."""
        if not self.packets and not segment.flags & SYN:
            self._handshake_is_over = True  # it begins in the middle
        mine, others = self._directions[packet.source], self._directions[packet.destination]
        if mine.first == UNKNOWN:
            mine.first = segment.seq if segment.flags & SYN else sequence.add(segment.seq, -1)
            mine.high = 0 if segment.flags & SYN else 1
        packet.seq = mine.relative(segment.seq)
        self._set_acknowledgement(packet, segment, others)
        self._set_window(packet, segment, mine, others)
        self._set_kind(packet, segment, mine, others)
        if segment.len:
            self._set_history(packet, segment, mine)
            mine.unanswered.append(packet)
        if packet.kind is not Kind.WINDOW_PROBE:  # whose octet counts when there was room for it
            mine.high = max(mine.high, packet.seq + segment.len)
        if segment.flags & ACK:
            mine.ack = packet.ack
            mine.window = packet.window

    def _set_acknowledgement(self, packet: Packet, segment: Segment, others: _Direction) -> None:
        if not segment.flags & ACK:
            return
        if others.first == UNKNOWN:
            others.first = sequence.add(segment.ack, -1)
            others.high = 1
        packet.ack = others.relative(segment.ack)
        packet.sack = tuple((others.relative(left), others.relative(right)) for left, right in segment.sack)

    def _set_window(self, packet: Packet, segment: Segment, mine: _Direction, others: _Direction) -> None:
        packet.window = segment.window
        if segment.flags & SYN:
            mine.shift = segment.window_scale  # its own window is never scaled: RFC 7323, 2.2
        elif ABSENT not in (mine.shift, others.shift):
            packet.window = segment.window << min(mine.shift, 14)

    def _set_kind(self, packet: Packet, segment: Segment, mine: _Direction, others: _Direction) -> None:
        flags = segment.flags
        is_answer = bool(flags & ACK) and others.have_arrived()
        if flags & RST:
            packet.kind = Kind.RST
        elif flags & SYN:
            packet.kind = Kind.SYN_ACK if flags & ACK else Kind.SYN
        elif flags & FIN:
            packet.kind = Kind.FIN if others.fin_end == UNKNOWN else Kind.SECOND_FIN
            mine.fin_end = packet.seq + segment.len
        elif (
            len(segment.data) <= 1
            and packet.seq == mine.high - 1 == others.ack - 1
            and self._handshake_is_over
        ):
            packet.kind = Kind.KEEP_ALIVE
        elif others.window == 0 and len(segment.data) == 1:
            packet.kind = Kind.WINDOW_PROBE
        elif not segment.data:
            packet.kind = self._kind_of_acknowledgement(packet, mine, others, is_answer=is_answer)
        if packet.kind is not Kind.DUPLICATE_ACK:
            mine.repeated = 0
        if (
            flags & ACK and not flags & SYN and packet.ack > 0
        ):  # else it is about an earlier connection of the same ends
            self._handshake_is_over = True

    def _kind_of_acknowledgement(
        self, packet: Packet, mine: _Direction, others: _Direction, *, is_answer: bool
    ) -> Kind:
        """``is_answer``: something that takes sequence numbers has arrived since this end last sent an ACK.
        Then a larger window alone does not make it a window update: the first window after the SYN is larger
        by its scale, and a FIN out of order is answered, too.
        """
        if not self._handshake_is_over:
            return Kind.HANDSHAKE_ACK if packet.ack > 0 else Kind.PLAIN
        if others.fin_end != UNKNOWN and mine.ack < others.fin_end <= packet.ack:
            return Kind.FIN_ACK
        if packet.window == 0:
            return Kind.ZERO_WINDOW
        if packet.ack == mine.ack and packet.window > mine.window and not packet.sack and not is_answer:
            return Kind.WINDOW_UPDATE
        if (
            packet.ack == mine.ack
            and packet.ack < others.high
            and (is_answer or packet.sack or packet.window == mine.window)
        ):
            mine.repeated += 1
            packet.repeated = mine.repeated
            return Kind.DUPLICATE_ACK
        return Kind.PLAIN

    def _set_history(self, packet: Packet, segment: Segment, mine: _Direction) -> None:
        before = mine.sent_before(packet.seq)
        if packet.kind is Kind.WINDOW_PROBE:
            return
        if before is None:
            mine.note(packet.seq, packet.seq + segment.len, packet)
            return
        answers_now = (
            packet.kind is Kind.SYN_ACK and before.kind is Kind.SYN
        )  # simultaneous open: the SYN again, but as an answer
        if not answers_now and packet.kind is not Kind.KEEP_ALIVE:
            packet.original = before.number
            before.again = before.again or packet.number
