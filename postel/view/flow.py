"""One connection, or one exchange of datagrams, in a trace (`Flow`), and what its packets show about it.

Theory of operation
-------------------

A flow sees packets in the order in which they left, like a capture, and knows nothing of the TCBs at the
ends. It works out three things from the segments alone.

*Relative numbers.* Each direction counts from its first sequence number, so that the SYN has number 0 and the
first octet of data number 1. Without a SYN the first octet seen has number 1. The numbers don't wrap: a
number from the wire is taken as the one nearest to the highest number sent so far (``_Direction.high``)::

    wire:      first    first+1             first+1+n
    relative:  0        1                   1+n            high
               │  SYN   │  n octets of data │  FIN          │
               ├────────┼───────────────────┼───────────────┤

*What was sent before.* Each direction keeps the ranges of numbers that it has sent, sorted by their start. A
segment that begins inside such a range is a retransmission, and the two packets name each other
(``original``, ``again``). Probes of a zero window and keep-alive probes aren't retransmissions.

*What a segment is for* (`Kind`). SYN, FIN and RST are known by their flags. Other kinds depend on what the
other direction has sent:

- a segment of at most one octet with the number before SND.NXT, when everything sent is acknowledged:
  keep-alive probe;
- one octet into a window of 0: window probe;
- an ACK that repeats the last number with a greater window, and answers nothing: window update;
- an ACK that repeats the last number while data is in flight: duplicate ACK (RFC 5681, 2).

The states, timers and remarks of the two ends come from hosts, not from the packets (see `Trace`).
"""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field

from postel.tcp import seq as sequence
from postel.tcp.state import State
from postel.view.packet import UNKNOWN, Kind, Packet
from postel.wire.address import Endpoint
from postel.wire.segment import ABSENT, ACK, FIN, RST, SYN, Segment

# Number of unanswered packets kept for each direction. To recognise an answer, one that arrived is enough.
_REMEMBERED = 64


@dataclass(slots=True)
class Change:
    """One change of state of one end.

    ``cause`` is the packet, timer or remark that led to the change, or None for a call of the end's user.
    """

    at: Endpoint
    before: State
    after: State
    when: int
    order: int
    cause: "Packet | Expiry | Remark | None"


@dataclass(slots=True)
class Expiry:
    """A timer that expired at one end, and the state of that end when the timer expired."""

    at: Endpoint
    timer: str
    when: int
    order: int
    state: State | None


@dataclass(slots=True)
class Remark:
    """Text that the program adds to the trace about one end, besides packets and timers.

    ``texts`` has one text for each of `notes.LANGUAGES`, or one text for all languages.
    """

    at: Endpoint
    texts: tuple[str, ...]
    when: int
    order: int
    state: State | None


@dataclass(slots=True)
class _Range:
    """Range of relative sequence numbers that one packet sent; ``end`` is one more than the last.

    The first number of the range is in ``_Direction.starts``, at the same index.
    """

    end: int
    number: int
    packet: Packet


@dataclass(slots=True)
class _Direction:
    """What one end has sent, in relative numbers that don't wrap."""

    first: int = UNKNOWN  # the sequence number on the wire that counts as 0
    high: int = 0  # one more than the highest number sent
    starts: list[int] = field(default_factory=list)
    ranges: list[_Range] = field(default_factory=list)
    shift: int = ABSENT
    fin_end: int = UNKNOWN
    ack: int = UNKNOWN
    window: int = UNKNOWN
    repeated: int = 0
    # Packets with data, SYN or FIN that this end has sent since the other end last sent an ACK
    unanswered: deque[Packet] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def relative(self, number: int) -> int:
        """Turn a sequence number on the wire into the relative number nearest to ``high``."""
        return self.high + sequence.offset(number, sequence.add(self.first, self.high))

    def sent_before(self, start: int) -> Packet | None:
        """Return the packet that first sent the number ``start``, or None."""
        index = bisect_right(self.starts, start) - 1
        if index >= 0 and self.ranges[index].end > start:
            return self.ranges[index].packet
        return None

    def have_arrived(self) -> bool:
        """Return whether an unanswered packet has arrived; ``unanswered`` keeps only packets under way."""
        arrived = any(not packet.lost and not packet.is_under_way for packet in self.unanswered)
        under_way = [packet for packet in self.unanswered if packet.is_under_way]
        self.unanswered.clear()
        self.unanswered.extend(under_way)
        return arrived

    def note(self, start: int, end: int, packet: Packet) -> None:
        """Remember that ``packet`` sent the numbers from ``start`` up to ``end``."""
        index = bisect_right(self.starts, start)
        self.starts.insert(index, start)
        self.ranges.insert(index, _Range(end, packet.number, packet))


class Flow:
    """Connection or exchange of datagrams between two ends.

    ``number`` counts the flows of a trace from 1. ``ends`` has both ends, first the opener, which sent the
    first packet. ``packets``, ``changes``, ``expiries`` and ``remarks`` are in the order in which they
    happened; ``states`` has the present state of each end, and ``names`` the names of the ends.
    """

    def __init__(self, number: int, opener: Endpoint, other: Endpoint, protocol: int) -> None:
        """Begin a flow that ``opener`` opened; ``protocol`` is the number in the IP header."""
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
        # Whether the packets come from a capture, so that the calls of the programs aren't known
        self.is_captured: bool = False
        self._handshake_is_over = False

    @property
    def opener(self) -> Endpoint:
        """End that sent the first packet."""
        return self.ends[0]

    def forget(self, *, recent: int, remembered: int) -> None:
        """Forget what is old, to bound the memory.

        The last ``recent`` packets and changes of state stay; all expired timers go. Each direction keeps at
        least the last ``remembered`` ranges of numbers that it sent, and at most twice as many.
        """
        del self.packets[:-recent]
        del self.changes[:-recent]
        self.expiries.clear()
        for direction in self._directions.values():
            if len(direction.starts) > 2 * remembered:
                del direction.starts[:-remembered]
                del direction.ranges[:-remembered]

    def is_new(self, source: Endpoint, segment: Segment) -> bool:
        """Whether a segment from ``source`` is a SYN that begins another connection between the same ends."""
        if segment.flags & (SYN | ACK) != SYN:
            return False
        first = self._directions[source].first
        return first not in (UNKNOWN, segment.seq)

    def initial_state(self, end: Endpoint) -> State | None:
        """State of an end before the first packet, which is LISTEN for one that opened passively."""
        changes = [change for change in self.changes if change.at == end]
        if not changes:
            return self.states.get(end)
        if len(changes) > 1 and changes[0].after is State.LISTEN:
            return State.LISTEN
        return changes[0].before

    def examine(self, packet: Packet, segment: Segment) -> None:
        """Set the fields of ``packet`` that depend on earlier packets; called in the order of departure."""
        if not self.packets and not segment.flags & SYN:
            self._handshake_is_over = True  # the recording begins in the middle of the connection
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
        # The octet of a window probe counts as sent only when a later segment carries it into an open window.
        if packet.kind is not Kind.WINDOW_PROBE:
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
            mine.shift = segment.window_scale  # the window of a SYN itself is never scaled (RFC 7323, 2.2)
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
        # An ACK of a number before the SYN answers an earlier connection of the same ends.
        if flags & ACK and not flags & SYN and packet.ack > 0:
            self._handshake_is_over = True

    def _kind_of_acknowledgement(
        self, packet: Packet, mine: _Direction, others: _Direction, *, is_answer: bool
    ) -> Kind:
        """Classify a segment without data that has no flag but ACK.

        ``is_answer`` says whether a segment with data, SYN or FIN has arrived since this end last sent an
        ACK. If so, an ACK with a greater window isn't classified as a window update: the first window after
        the SYN is greater because it is scaled, and a FIN out of order is answered with an ACK, too.
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
        # In a simultaneous open an end sends its SYN again, with an ACK: an answer, not a retransmission.
        answers_now = packet.kind is Kind.SYN_ACK and before.kind is Kind.SYN
        if not answers_now and packet.kind is not Kind.KEEP_ALIVE:
            packet.original = before.number
            before.again = before.again or packet.number
