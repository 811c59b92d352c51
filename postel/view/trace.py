"""The one recorder, of which every view is made: an observer of connections and of packets.

Give it to a `World` (``World(observer=trace)``) and it sees both ends and the way between. Of a single host
it sees states and timers (``Host(…, observer=trace)``), and packets where it watches the host's link too
(``Observed(link, trace)``). A relay tells it `carried` and `lost`: then it knows the wire alone, and the
states stay blank.
"""

import json
from collections import deque

from postel.errors import require_number
from postel.sim.witness import Witness
from postel.tcp.observer import TimerName
from postel.tcp.state import State
from postel.times import NEVER
from postel.view import trace_json
from postel.view.flow import Change, Expiry, Flow, Remark
from postel.view.packet import NOWHERE, Packet
from postel.view.packet import read as packet_of
from postel.view.svg import ladder
from postel.wire import segment
from postel.wire.address import Endpoint, to_text
from postel.wire.segment import ACK, SYN, Segment

# Only a user's call leads there, so no packet that came just before is to blame.
_BY_CALL = (State.FIN_WAIT_1, State.LAST_ACK, State.SYN_SENT)


NOT_CARRIED = "not carried"  # why a packet is lost that left a host while no path was there for it


class Trace(Witness):
    """``packets`` in the order in which they left, ``flows`` in the order in which they began.

    ``names`` gives addresses (as text) names; a `World` tells its own. At most ``limit`` packets are kept,
    the first; ``forgotten`` counts the others.
    """

    def __init__(self, *, names: dict[str, str] | None = None, limit: int = 100_000) -> None:
        require_number("limit", limit, 1, NEVER, "1 packet or more")
        self.names: dict[str, str] = dict(names or {})
        self.limit = limit
        self.packets: list[Packet] = []
        self.flows: list[Flow] = []
        self.forgotten: int = 0
        self._forgotten = b""  # the last of them
        self._order = 0
        self._number = 0
        self._fresh: Packet | None = None  # left a host; the network hasn't said yet what becomes of it
        self._flying: dict[bytes, deque[Packet]] = {}
        self._current: dict[tuple[Endpoint, Endpoint, int], Flow] = {}
        self._causes: dict[
            tuple[Endpoint, Endpoint], Packet | Expiry | Remark
        ] = {}  # by (local, remote): what came last
        self._arriving: Packet | None = None
        self._sees_both_ends = False

    @property
    def order(self) -> int:
        """The place of what happened last among all that did, as packets, changes and the rest bear it."""
        return self._order

    @property
    def is_full(self) -> bool:
        """Whether as many packets are kept as ``limit`` allows: further ones are counted in ``forgotten``."""
        return len(self.packets) >= self.limit

    def number_next(self, number: int) -> None:
        """The next packet has this number: in a capture others may come between."""
        self._number = number - 1

    def begin_connection(self, opener: Endpoint, other: Endpoint) -> None:
        """What follows between these ends is a connection of its own, as a capture has it: no SYN begins
        another, and no call is known.
        """
        self._begin(opener, other, segment.PROTOCOL).is_captured = True

    # What a host and its link tell

    def packet_sent(self, octets: bytes, now: int) -> None:
        self._fresh = packet = self._depart(octets, now)
        if packet is not None:
            if (
                self._sees_both_ends
            ):  # until `carried` or `lost` says what becomes of it, which the network does at once
                packet.lost = NOT_CARRIED
            self._flying.setdefault(octets, deque()).append(packet)

    def packet_arrived(self, octets: bytes, now: int) -> None:
        waiting = self._flying.get(octets)
        if waiting:
            packet: Packet | None = waiting.popleft()
            if not waiting:
                del self._flying[octets]
        elif self._sees_both_ends and self.is_full:
            packet = None  # was forgotten when it left
        else:
            packet = self._depart(octets, now)
        self._arriving = packet
        if packet is None:
            return
        packet.arrived_at = now
        packet.is_under_way = False
        packet.arrival_order = self._next_order()
        flow = self._current.get((packet.destination, packet.source, packet.protocol))
        if flow is not None:
            packet.receiver_state = flow.states.get(packet.destination)
        self._causes[packet.destination, packet.source] = packet

    def packet_dropped(self, reason: str, octets: bytes, now: int) -> None:
        if self._arriving is not None and self._arriving.arrived_at == now:
            self._arriving.dropped = reason

    def state_changed(self, local: Endpoint, remote: Endpoint, before: State, after: State, now: int) -> None:
        if after is State.LISTEN and before is State.CLOSED:
            return  # its peer isn't known yet
        flow = self._flow(local, remote, segment.PROTOCOL)
        cause = self._causes.get((local, remote))
        if after in _BY_CALL or (cause is not None and _when(cause) != now):
            self._causes.pop((local, remote), None)
            cause = None
        if isinstance(cause, Packet):
            cause.receiver_state = after
            cause.receiver_changed = True
        elif cause is not None:
            cause.state = after
        flow.states[local] = after
        flow.changes.append(Change(local, before, after, now, self._next_order(), cause))

    def timer_expired(self, local: Endpoint, remote: Endpoint, timer: TimerName, now: int) -> None:
        flow = self._flow(local, remote, segment.PROTOCOL)
        expiry = Expiry(local, timer, now, self._next_order(), flow.states.get(local))
        flow.expiries.append(expiry)
        self._causes[local, remote] = expiry
        last = flow.changes[-1] if flow.changes else None
        if last is not None and last.at == local and last.when == now and last.cause is None:
            last.cause = expiry  # told of in the other order

    # What the program that makes the trace may add

    def remark(self, local: Endpoint, remote: Endpoint, texts: tuple[str, ...], now: int) -> None:
        """A row of its own about one end: a call, a restart. If the state changes at once, this is why."""
        flow = self._flow(local, remote, segment.PROTOCOL)
        remark = Remark(local, texts, now, self._next_order(), flow.states.get(local))
        flow.remarks.append(remark)
        self._causes[local, remote] = remark

    # What a world or a relay tells

    def carried(
        self, sender: str, receiver: str, octets: bytes, sent_at: int, arrives_at: int, delivered: bytes
    ) -> None:
        hears_hosts = self._fresh is not None and self._fresh.octets is octets
        packet = self._told(sender, receiver, octets, sent_at)
        if packet is None:
            return
        packet.due_at = arrives_at
        packet.is_under_way = hears_hosts
        if delivered is not octets and delivered != octets:
            packet.damaged = True
            self._land(octets, packet)
            self._flying.setdefault(delivered, deque()).append(packet)
        elif packet.copy:
            self._flying.setdefault(octets, deque()).append(packet)

    def lost(self, sender: str, receiver: str, octets: bytes, sent_at: int, why: str) -> None:
        packet = self._told(sender, receiver, octets, sent_at)
        if packet is not None:
            packet.lost = why
            self._land(octets, packet)

    def rescheduled(
        self, sender: str, receiver: str, delivered: bytes, sent_at: int, arrives_at: int
    ) -> None:
        packet = self._under_way(sender, delivered, sent_at)
        if packet is not None:
            packet.due_at = arrives_at

    def intercepted(self, sender: str, receiver: str, delivered: bytes, sent_at: int, why: str) -> None:
        packet = self._under_way(sender, delivered, sent_at)
        if packet is not None:
            packet.lost = why
            packet.is_under_way = False
            self._land(delivered, packet)

    def _under_way(self, sender: str, delivered: bytes, sent_at: int) -> Packet | None:
        """The record of a packet that was carried and has not arrived."""
        waiting = self._flying.get(delivered, ())
        return next(
            (packet for packet in waiting if packet.sent_at == sent_at and packet.sender == sender), None
        )

    def _told(self, sender: str, receiver: str, octets: bytes, sent_at: int) -> Packet | None:
        """The record of a packet that left just now; a further copy of it; or one that only the network
        saw.
        """
        packet = self._fresh
        self._sees_both_ends = True
        if packet is None and octets is self._forgotten:
            return None
        if packet is None or packet.octets is not octets:
            packet = self._depart(octets, sent_at)
        elif packet.sender:
            packet = self._depart(octets, sent_at, copy_of=packet)
        if packet is not None:
            packet.lost = ""
            packet.sender, packet.receiver = sender, receiver
            self._name(packet)
            if not packet.copy:
                self._fresh = packet
        return packet

    def _name(self, packet: Packet) -> None:
        for end, name in ((packet.source, packet.sender), (packet.destination, packet.receiver)):
            if name:
                flow = self._current.get((packet.source, packet.destination, packet.protocol))
                if flow is not None:
                    flow.names[end] = name

    def _land(self, octets: bytes, packet: Packet) -> None:
        waiting = self._flying.get(octets)
        if waiting and packet in waiting:
            waiting.remove(packet)
            if not waiting:
                del self._flying[octets]

    # Records

    def _depart(self, octets: bytes, now: int, copy_of: Packet | None = None) -> Packet | None:
        if copy_of is None:
            self._number += 1
        if self.is_full:
            self.forgotten += 1
            self._forgotten = octets
            return None
        packet = packet_of(octets, self._number, now)
        packet.order = self._next_order()
        self.packets.append(packet)
        if packet.source == NOWHERE:
            return packet
        flow = self._flow_of(packet)
        packet.sender_state = flow.states.get(packet.source)
        self._causes.pop((packet.source, packet.destination), None)
        if copy_of is not None:
            packet.copy = sum(1 for other in flow.packets if other.number == packet.number)
            packet.seq, packet.ack, packet.window, packet.sack = (
                copy_of.seq,
                copy_of.ack,
                copy_of.window,
                copy_of.sack,
            )
            packet.kind = copy_of.kind
        elif packet.segment is not None:
            flow.examine(packet, packet.segment)
        flow.packets.append(packet)
        return packet

    def _flow_of(self, packet: Packet) -> Flow:
        about = self._current.get(packet.about) if packet.about is not None else None
        if about is not None:
            packet.source, packet.destination = _as_in(about, packet.destination)
            packet.protocol = about.protocol
            return about
        source, destination, protocol = packet.source, packet.destination, packet.protocol
        flow = self._flow(source, destination, protocol)
        if packet.segment is not None and not flow.is_captured and flow.is_new(source, packet.segment):
            flow = self._succeed(flow, source, destination)
        if not flow.packets:
            flow.ends = (
                (destination, source)
                if packet.segment is not None and _is_answer(packet.segment)
                else (source, destination)
            )
        return flow

    def _flow(self, one: Endpoint, other: Endpoint, protocol: int) -> Flow:
        flow = self._current.get((one, other, protocol))
        return self._begin(one, other, protocol) if flow is None else flow

    def _begin(self, one: Endpoint, other: Endpoint, protocol: int) -> Flow:
        flow = Flow(len(self.flows) + 1, one, other, protocol)
        for end in flow.ends:
            name = self.names.get(to_text(end.address))
            if name:
                flow.names[end] = name
        self.flows.append(flow)
        self._current[one, other, protocol] = self._current[other, one, protocol] = flow
        return flow

    def _succeed(self, old: Flow, source: Endpoint, destination: Endpoint) -> Flow:
        """A new connection between the same ends takes what was already recorded of its opening."""
        flow = self._begin(source, destination, old.protocol)
        flow.names.update(old.names)
        flow.states.update(old.states)
        while old.changes and old.changes[-1].at == source and old.changes[-1].after is State.SYN_SENT:
            flow.changes.insert(0, old.changes.pop())
        return flow

    def _next_order(self) -> int:
        self._order += 1
        return self._order

    # Pictures and data

    def _repr_svg_(self) -> str:
        """In a notebook a trace shows its ladder."""
        return ladder.render(self.flows)

    def to_json(self, *, indent: int | None = None) -> str:
        """All of it: connections with their packets, states and timers. Times in microseconds, numbers
        relative.
        """
        return json.dumps(
            {"forgotten": self.forgotten, "connections": trace_json.of_flows(self.flows)}, indent=indent
        )


def _when(cause: Packet | Expiry | Remark) -> int:
    return cause.arrived_at if isinstance(cause, Packet) else cause.when


def _is_answer(first: Segment) -> bool:
    return first.flags & (SYN | ACK) == SYN | ACK


def _as_in(flow: Flow, receiver: Endpoint) -> tuple[Endpoint, Endpoint]:
    """Sender and receiver as the flow's ends: an error that a router sends comes from the other end's
    side.
    """
    one, other = flow.ends
    return (other, one) if one.address == receiver.address else (one, other)
