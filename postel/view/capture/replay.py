"""Connections of a capture as a `Trace`, for the ladder, with the states that both ends must have been in.

A capture shows which segments passed one place, not which segments arrived. Later segments show that. Data
arrived if an ACK covers it before it is sent again. An ACK arrived unless the SYN or FIN that it covers is
sent again. A RST arrived if the other end is silent after it. From this the module works out the states of
both ends (RFC 9293, 3.3.2); a state that can't be known stays blank.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from postel.errors import WireError
from postel.tcp import seq as sequence
from postel.tcp.state import (
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    LISTEN,
    SYN_RECEIVED,
    SYN_SENT,
    TIME_WAIT,
    State,
)
from postel.view.capture.connection import Connection, End
from postel.view.capture.table import Notice, Seen
from postel.view.packet import Packet
from postel.view.trace import Trace
from postel.wire import ip
from postel.wire.segment import ACK, FIN, PROTOCOL, RST, SYN, parse_leniently

MOST: Final = 100_000  # largest number of packets that are kept, the same as for a Trace
_MOST_WAITING: Final = 4096  # segments of one end that may wait for an ACK; older ones count as lost
_LARGEST: Final = 65_000  # largest segment, in octets, that is put into an IP packet


@dataclass(slots=True)
class _Passed:
    """Segment that passed the place of the capture.

    ``end`` is the sequence number after the segment. ``after`` is the number of a packet from the other end
    that this segment crossed on its way, so that it arrived only after that packet left; 0 without any.
    """

    number: int
    when: int
    octets: bytes
    one: End
    seq: int
    ack: int
    flags: int
    end: int
    arrives: bool = True  # whether the segment's data, SYN and FIN arrived
    after: int = 0
    is_heard: bool = True  # whether the segment's ACK arrived


class Replay:
    """Recorder of segments for a ladder: ``Table(over, closer=replay.look)``; `finish` returns the trace.

    At most ``most`` packets are kept, and of each connection only the first ``most_of_each`` packets.
    """

    def __init__(self, *, most: int = MOST, most_of_each: int = MOST) -> None:
        """Begin without packets."""
        self.forgotten: int = 0
        self.numbers: list[int] = []
        self._most = most
        self._most_of_each = most_of_each
        self._counts: Counter[int] = Counter()
        self._passed: list[_Passed] = []
        self._notices: list[Notice] = []

    def notice(self, notice: Notice) -> None:
        """Keep an ICMP error about a segment. Give this method to ``Table(over, notices=replay.notice)``."""
        if len(self._notices) < self._most:
            self._notices.append(notice)

    def look(self, seen: Seen) -> None:
        """Store a segment, or only count it in ``forgotten`` if as many as allowed are stored."""
        number = seen.end.connection.number
        self._counts[number] += 1
        if len(self._passed) >= self._most or self._counts[number] > self._most_of_each:
            self.forgotten += 1
            return
        located, flags = seen.located, seen.located.bits & 0x1FF
        size = (
            located.end - located.at - (located.bits >> 10 & 0x3C) + (flags & SYN != 0) + (flags & FIN != 0)
        )
        end = sequence.add(located.seq, size)
        self._passed.append(
            _Passed(seen.number, seen.when, _packet(seen), seen.end, located.seq, located.ack, flags, end)
        )

    def finish(self) -> Trace:
        """Return the trace of all that was kept.

        After this call, ``numbers`` has the numbers of the connections, in the order of the trace's flows.
        """
        trace = Trace(limit=self._most)
        machines: dict[Connection, _Machines] = {}
        for connection, passed in _by_connection(self._passed).items():
            _judge_text(passed)
            _judge_acknowledgements(passed)
            _judge_resets(passed)
            machines[connection] = _Machines(passed)
        everything: list[_Passed | Notice] = [*self._passed, *self._notices]
        for one in sorted(everything, key=_number):
            if isinstance(one, Notice):
                trace.number_next(one.number)
                trace.packet_sent(one.octets, one.when)
                continue
            machine = machines[one.one.connection]
            if machine.is_new:
                self.numbers.append(one.one.connection.number)
            machine.take(one, trace)
        trace.forgotten = self.forgotten
        return trace


def _number(one: _Passed | Notice) -> int:
    """Key to sort by: the packet's number."""
    return one.number


def _packet(seen: Seen) -> bytes:
    """Return an IP packet around the segment, with zeros in place of what wasn't captured.

    After the packet come eight octets with its number, so that no two packets are equal.
    """
    located = seen.located
    octets = seen.octets[located.at : min(located.end, seen.captured)]
    octets = (octets + bytes(located.end - located.at - len(octets)))[:_LARGEST]
    try:
        parse_leniently(octets, 0, len(octets))
    except WireError:  # its options contradict each other, so the ladder leaves them out
        octets = (
            octets[:12]
            + bytes((0x50 | octets[12] & 1,))
            + octets[13:20]
            + octets[located.bits >> 10 & 0x3C :]
        )
    source, destination = seen.end.endpoint.address, seen.end.other.endpoint.address
    packet = ip.encode(source, destination, PROTOCOL, octets, traffic_class=seen.traffic)
    return packet + seen.number.to_bytes(8, "big")


def _by_connection(passed: list[_Passed]) -> dict[Connection, list[_Passed]]:
    """Return the segments of each connection."""
    found: dict[Connection, list[_Passed]] = {}
    for one in passed:
        found.setdefault(one.one.connection, []).append(one)
    return found


# Which data, ACKs and RSTs arrived


def _judge_text(passed: list[_Passed]) -> None:
    """Judge which data, SYNs and FINs arrived: those that were acknowledged before they were sent again."""
    unacknowledged: dict[End, list[_Passed]] = {}
    for one in passed:
        theirs = unacknowledged.setdefault(one.one.other, [])
        if one.flags & (SYN | FIN):
            _cross(one, theirs)
        if one.flags & ACK and theirs and sequence.le(theirs[0].end, one.ack):
            theirs[:] = [other for other in theirs if sequence.gt(other.end, one.ack)]
        if one.end != one.seq:
            _wait(one, unacknowledged.setdefault(one.one, []))
    for waiting in unacknowledged.values():
        for one in waiting:
            one.arrives = one.flags & SYN != 0 and _is_refused(one, passed)


def _cross(one: _Passed, theirs: list[_Passed]) -> None:
    """Note which SYNs and FINs of the other end were still on their way when ``one`` was sent.

    They were if ``one``, itself a SYN or FIN, doesn't acknowledge them. Of two SYN,ACKs, the earlier one was
    still on its way when the later one was sent.
    """
    for other in theirs:
        both_answer = one.flags & other.flags & (SYN | ACK) == SYN | ACK
        if other.flags & (SYN | FIN) and (
            both_answer or not one.flags & ACK or sequence.gt(other.end, one.ack)
        ):
            other.after = one.number


def _wait(one: _Passed, mine: list[_Passed]) -> None:
    """Add a segment to those that wait for an ACK, and mark earlier ones that it repeats as not arrived."""
    if mine and sequence.lt(one.seq, mine[-1].end):
        for other in mine:
            # In a simultaneous open a SYN,ACK has the number of its end's SYN, but doesn't retransmit it.
            is_answer = one.flags & (SYN | ACK) == SYN | ACK != other.flags & (SYN | ACK)
            if sequence.le(one.seq, other.seq) and sequence.ge(one.end, other.end) and not is_answer:
                other.arrives = False
        mine[:] = [other for other in mine if other.arrives]
    mine.append(one)
    if len(mine) > _MOST_WAITING:
        mine.pop(0).arrives = False


def _is_refused(syn: _Passed, passed: list[_Passed]) -> bool:
    """Return whether a RST answers the SYN, which shows that the SYN arrived."""
    return any(one.flags & RST and one.one is syn.one.other and one.ack == syn.end for one in passed)


def _judge_acknowledgements(passed: list[_Passed]) -> None:
    """Judge which ACKs arrived: all but those of a SYN or FIN that is sent again before the next ACK."""
    again: dict[End, int] = {}
    repeated = _repeated(passed)
    for one in reversed(passed):
        if one.flags & ACK:
            end = again.pop(one.one, None)
            one.is_heard = end is None or sequence.lt(one.ack, end)
        if one.number in repeated:
            again[one.one.other] = one.end


def _repeated(passed: list[_Passed]) -> set[int]:
    """Return the numbers of SYNs, SYN,ACKs and FINs that aren't an end's first."""
    found: set[int] = set()
    known: set[tuple[End, int]] = set()
    for one in passed:
        kind = (one.one, one.flags & (SYN | ACK) if one.flags & SYN else one.flags & FIN)
        if kind[1] and kind in known:
            found.add(one.number)
        known.add(kind)
    return found


def _judge_resets(passed: list[_Passed]) -> None:
    """Judge which RSTs arrived: those after which the other end was silent."""
    spoke: set[End] = set()
    for one in reversed(passed):
        if one.flags & RST:
            one.arrives = one.one.other not in spoke
        else:
            spoke.add(one.one)


# States of both ends

_AFTER_FIN_SENT: Final = {ESTABLISHED: FIN_WAIT_1, SYN_RECEIVED: FIN_WAIT_1, CLOSE_WAIT: LAST_ACK}
_AFTER_FIN_ARRIVED: Final = {
    ESTABLISHED: CLOSE_WAIT,
    SYN_RECEIVED: CLOSE_WAIT,
    FIN_WAIT_1: CLOSING,
    FIN_WAIT_2: TIME_WAIT,
}
_AFTER_ACK_OF_FIN: Final = {FIN_WAIT_1: FIN_WAIT_2, CLOSING: TIME_WAIT, LAST_ACK: CLOSED}


class _Machines:
    """State machines of a connection's two ends, as far as they can be known (RFC 9293, 3.3.2)."""

    def __init__(self, passed: list[_Passed]) -> None:
        """Begin with all segments of a connection."""
        self.states: dict[End, State] = {}
        self.is_new = True
        self.under_way: list[_Passed] = []
        self.was_open = _was_open(passed)
        self.fins: dict[End, int] = {}  # sequence number after the FIN of each end
        self.syns: dict[End, int] = {}

    def take(self, one: _Passed, trace: Trace) -> None:
        """Process the next segment: change its sender's state, record the packet, and let it arrive."""
        if self.is_new:
            one_end = one.one.connection.ends[0]
            trace.begin_connection(one_end.endpoint, one_end.other.endpoint)
        self.sends(one, trace)
        trace.number_next(one.number)
        trace.packet_sent(one.octets, one.when)
        packet = trace.packets[-1]
        if one.flags & RST:
            packet.sender_state = CLOSED
        if self.is_new:
            self.begin(packet, trace)
        if one.after and one.arrives:
            self.under_way.append(one)
        else:
            self.arrives(one, one.when, trace)
        for other in [other for other in self.under_way if other.after == one.number]:
            self.under_way.remove(other)
            self.arrives(other, one.when, trace)

    def begin(self, packet: Packet, trace: Trace) -> None:
        """Begin with the first packet: both ends are ESTABLISHED where neither had closed before."""
        self.is_new = False
        if self.was_open:
            packet.sender_state = ESTABLISHED
            flow = next(flow for flow in reversed(trace.flows) if packet in flow.packets)
            for end in self.was_open:
                flow.states[end.endpoint] = self.states[end] = ESTABLISHED

    def sends(self, one: _Passed, trace: Trace) -> None:
        """Move the state of the end that sends a segment."""
        end, flags, state = one.one, one.flags, self.states.get(one.one)
        if flags & RST:
            self.enter(end, CLOSED, one.when, trace)
        elif flags & SYN:
            self.syns[end] = one.end
            if not flags & ACK and state is None:
                self.states[end] = CLOSED
                self.enter(end, SYN_SENT, one.when, trace)
            elif flags & ACK and state in (None, SYN_SENT):
                self.states[end] = state or LISTEN
                self.enter(end, SYN_RECEIVED, one.when, trace)
        elif flags & FIN and state in _AFTER_FIN_SENT:
            self.fins[end] = one.end
            self.enter(end, _AFTER_FIN_SENT[state], one.when, trace)

    def arrives(self, one: _Passed, when: int, trace: Trace) -> None:
        """Move the state of the end at which a segment arrives."""
        end = one.one.other
        if one.arrives:
            trace.packet_arrived(one.octets, when)
        if one.flags & RST:
            if one.arrives and end in self.states:
                self.enter(end, CLOSED, when, trace)
            return
        if one.flags & SYN and one.arrives:
            self.syn_arrives(end, one, when, trace)
        if one.flags & ACK and one.is_heard:
            self.ack_arrives(end, one, when, trace)
        state = self.states.get(end)
        if one.flags & FIN and one.arrives and state in _AFTER_FIN_ARRIVED:
            self.enter(end, _AFTER_FIN_ARRIVED[state], when, trace)

    def syn_arrives(self, end: End, one: _Passed, when: int, trace: Trace) -> None:
        """Move the state of the end at which a SYN arrives."""
        state = self.states.get(end)
        if one.flags & ACK:
            if state is SYN_SENT:
                self.enter(end, ESTABLISHED, when, trace)
        elif state in (None, SYN_SENT) and end.syns:
            self.states[end] = state or LISTEN
            self.enter(end, SYN_RECEIVED, when, trace)

    def ack_arrives(self, end: End, one: _Passed, when: int, trace: Trace) -> None:
        """Move the state of the end at which an ACK arrives."""
        state = self.states.get(end)
        if state is SYN_RECEIVED and end in self.syns and sequence.ge(one.ack, self.syns[end]):
            self.enter(end, ESTABLISHED, when, trace)
        elif state in _AFTER_ACK_OF_FIN and end in self.fins and sequence.ge(one.ack, self.fins[end]):
            self.enter(end, _AFTER_ACK_OF_FIN[state], when, trace)

    def enter(self, end: End, after: State, when: int, trace: Trace) -> None:
        """Set the state of an end, and record the change."""
        before = self.states.get(end, CLOSED)
        self.states[end] = after
        if before is not after:
            trace.state_changed(end.endpoint, end.other.endpoint, before, after, when)


def _was_open(passed: list[_Passed]) -> list[End]:
    """Return both ends if they were open before the capture began, else none.

    They were if the capture has no SYN and both ends send data or a FIN, because then neither had closed.
    """
    if any(one.flags & SYN for one in passed):
        return []
    senders = {one.one for one in passed if one.end != one.seq and not one.flags & RST}
    return sorted(senders, key=lambda end: end.side) if len(senders) == 2 else []
