"""Recorder of connections and packets (`Trace`), from which every view is made.

Theory of operation
-------------------

Three sources call a trace. Each source is optional; what no source reports stays blank in the views.

- A host, as its `Observer`: changes of state, expired timers, dropped packets.
- The host's link, as its `PacketObserver`: a packet leaves (`packet_sent`) or arrives (`packet_arrived`).
- A world or a relay: what the network does with a packet (`carried`, `lost`), and later changes of that
  (`rescheduled`, `intercepted`).

``World(observer=trace)`` connects all three for every host. For a single host, write
``Host(…, observer=trace)`` and ``Observed(link, trace)``. A relay calls only `carried` and `lost`; such a
trace has packets but no states.

Each packet gets one `Packet` record when it leaves. The record is filled in as the packet goes on::

    sender          network            receiver
    packet_sent ──► carried or lost ─► packet_arrived ──► state_changed
    make record     due_at or lost     arrived_at         receiver_state; the packet is the cause

A later call finds the record by the packet's octets: ``_flying`` maps octets to the records of packets that
left and didn't arrive, oldest first, because equal packets may be under way at once.

Times can be equal, so every recorded thing also gets an order number, which grows by 1 each time
(``_next_order``). The views sort by order number.

``_causes`` holds, for each end of a connection, what happened there last: a packet that arrived, a timer that
expired, or a remark. A change of state at the same time has that as its cause. A change without a cause comes
from a call of the end's user.

Packets are grouped into connections (`Flow`) by their endpoints and protocol. A SYN with another initial
sequence number begins a new flow between the same endpoints. An ICMP error belongs to the flow of the packet
that it quotes.
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

# Only a user's call leads to these states, so a packet that arrived just before isn't the cause.
_BY_CALL = (State.FIN_WAIT_1, State.LAST_ACK, State.SYN_SENT)


NOT_CARRIED = "not carried"  # value of `Packet.lost` for a packet that left a host without a path


class Trace(Witness):
    """Recorder of packets, states and timers; an observer of hosts, of links and of worlds.

    ``names`` maps addresses, as text, to names that the views show; a `World` gives the names of its hosts.
    Of all packets the first ``limit`` are kept, 1 or more; later ones are only counted.

    A trace has these attributes, which the program may read at any time:

    - ``packets``: the records of packets, in the order in which they left.
    - ``flows``: the connections and exchanges of datagrams, in the order in which they began.
    - ``forgotten``: how many packets weren't kept because ``limit`` was reached.
    - ``names`` and ``limit``, as given.

    Times are in microseconds. In a notebook a trace draws its ladder.

    >>> from postel import Host
    >>> from postel.view import Trace
    >>> trace = Trace(names={"10.0.0.1": "client"})
    >>> host = Host("10.0.0.1/24", secret=b"secret", observer=trace)
    >>> connection = host.connect("10.0.0.2", 80, 0, local_port=4000)
    >>> for change in trace.flows[0].changes:
    ...     print(change.at, change.before, "to", change.after)
    10.0.0.1:4000 CLOSED to SYN-SENT
    """

    def __init__(self, *, names: dict[str, str] | None = None, limit: int = 100_000) -> None:
        """Begin an empty trace. Raises ArgumentError for a ``limit`` below 1."""
        require_number("limit", limit, 1, NEVER, "1 packet or more")
        self.names: dict[str, str] = dict(names or {})
        self.limit = limit
        self.packets: list[Packet] = []
        self.flows: list[Flow] = []
        self.forgotten: int = 0
        # Octets of the latest packet that wasn't kept, so that the network's report of it isn't counted again
        self._forgotten = b""
        self._order = 0
        self._number = 0
        self._fresh: Packet | None = None  # latest packet that left, until the next one leaves
        self._flying: dict[bytes, deque[Packet]] = {}
        self._current: dict[tuple[Endpoint, Endpoint, int], Flow] = {}
        # Packet, timer or remark that came last at each end, by (local, remote)
        self._causes: dict[tuple[Endpoint, Endpoint], Packet | Expiry | Remark] = {}
        self._arriving: Packet | None = None
        self._sees_both_ends = False

    @property
    def order(self) -> int:
        """Order number of what was recorded last.

        Packets, changes, timers and remarks have such numbers; a greater one happened later.
        """
        return self._order

    @property
    def is_full(self) -> bool:
        """Whether ``limit`` packets are kept, so that further ones are only counted in ``forgotten``."""
        return len(self.packets) >= self.limit

    def number_next(self, number: int) -> None:
        """Give the next packet the number ``number``; later ones count on from it.

        A reader of a capture calls this, because the file may have other packets in between.
        """
        self._number = number - 1

    def begin_connection(self, opener: Endpoint, other: Endpoint) -> None:
        """Begin a flow for packets that a capture shows to be one connection between these two ends.

        All later packets between the ends belong to the flow, even a SYN with another initial sequence
        number. The views mark changes of state without a cause as inferred from later segments.
        """
        self._begin(opener, other, segment.PROTOCOL).is_captured = True

    # Methods that a host and its link call

    def packet_sent(self, octets: bytes, now: int) -> None:
        """Record a packet that a host sends.

        If a network reports, too, the packet counts as lost until the network calls `carried`.
        """
        self._fresh = packet = self._depart(octets, now)
        if packet is not None:
            if self._sees_both_ends:
                # The network calls `carried` or `lost` at once, and either call replaces this reason.
                packet.lost = NOT_CARRIED
            self._flying.setdefault(octets, deque()).append(packet)

    def packet_arrived(self, octets: bytes, now: int) -> None:
        """Record that a packet arrived; a packet without a record of its departure gets a record now."""
        waiting = self._flying.get(octets)
        if waiting:
            packet: Packet | None = waiting.popleft()
            if not waiting:
                del self._flying[octets]
        elif self._sees_both_ends and self.is_full:
            packet = None  # the packet wasn't kept when it left
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
        """Record why the host dropped the packet that arrived last, if that packet arrived at this time."""
        if self._arriving is not None and self._arriving.arrived_at == now:
            self._arriving.dropped = reason

    def state_changed(self, local: Endpoint, remote: Endpoint, before: State, after: State, now: int) -> None:
        """Record a change of state with its cause: a packet, a timer, a remark, or None for a user's call."""
        if after is State.LISTEN and before is State.CLOSED:
            return  # a listener has no peer yet, so the change belongs to no flow
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
        """Record a timer that expired; changes of state at the same time have it as their cause."""
        flow = self._flow(local, remote, segment.PROTOCOL)
        expiry = Expiry(local, timer, now, self._next_order(), flow.states.get(local))
        flow.expiries.append(expiry)
        self._causes[local, remote] = expiry
        last = flow.changes[-1] if flow.changes else None
        if last is not None and last.at == local and last.when == now and last.cause is None:
            # The host reported the change of state before it reported the timer that caused it
            last.cause = expiry

    # Method that the program calls

    def remark(self, local: Endpoint, remote: Endpoint, texts: tuple[str, ...], now: int) -> None:
        """Add a row about the end ``local`` of its connection with ``remote``, such as a call or a restart.

        ``texts`` has one text for each of `postel.view.notes.LANGUAGES`, or one text for all. ``now`` is in
        microseconds. A change of state of this end at the same time has the remark as its cause.
        """
        flow = self._flow(local, remote, segment.PROTOCOL)
        remark = Remark(local, texts, now, self._next_order(), flow.states.get(local))
        flow.remarks.append(remark)
        self._causes[local, remote] = remark

    # Methods that a world or a relay calls

    def carried(
        self, sender: str, receiver: str, octets: bytes, sent_at: int, arrives_at: int, delivered: bytes
    ) -> None:
        """Record that the network carries a packet, or one more copy of a packet that it carries already."""
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
        """Record that the network loses a packet, with the reason ``why``."""
        packet = self._told(sender, receiver, octets, sent_at)
        if packet is not None:
            packet.lost = why
            self._land(octets, packet)

    def rescheduled(
        self, sender: str, receiver: str, delivered: bytes, sent_at: int, arrives_at: int
    ) -> None:
        """Record a new time of arrival for a packet that was carried and hasn't arrived."""
        packet = self._under_way(sender, delivered, sent_at)
        if packet is not None:
            packet.due_at = arrives_at

    def intercepted(self, sender: str, receiver: str, delivered: bytes, sent_at: int, why: str) -> None:
        """Record that a packet which was carried is lost after all, with the reason ``why``."""
        packet = self._under_way(sender, delivered, sent_at)
        if packet is not None:
            packet.lost = why
            packet.is_under_way = False
            self._land(delivered, packet)

    def _under_way(self, sender: str, delivered: bytes, sent_at: int) -> Packet | None:
        """Return the record of a packet that was carried and hasn't arrived; None if there is none."""
        waiting = self._flying.get(delivered, ())
        return next(
            (packet for packet in waiting if packet.sent_at == sent_at and packet.sender == sender), None
        )

    def _told(self, sender: str, receiver: str, octets: bytes, sent_at: int) -> Packet | None:
        """Find or make the record of a packet that the network reports, and set its sender and receiver.

        The packet is the one that left just now, a further copy of it, or one that only the network saw.
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
        """Begin a flow between the same ends, and move the change to SYN-SENT from ``old`` into it."""
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
        """Draw the ladder as SVG, which a notebook shows."""
        return ladder.render(self.flows)

    def to_json(self, *, indent: int | None = None) -> str:
        """Give the trace as JSON: each connection with its packets, changes of state, timers and remarks.

        ``indent`` is as for `json.dumps`. Times are in microseconds; sequence numbers are relative to each
        end's first. What isn't known is null.
        """
        return json.dumps(
            {"forgotten": self.forgotten, "connections": trace_json.of_flows(self.flows)}, indent=indent
        )


def _when(cause: Packet | Expiry | Remark) -> int:
    return cause.arrived_at if isinstance(cause, Packet) else cause.when


def _is_answer(first: Segment) -> bool:
    return first.flags & (SYN | ACK) == SYN | ACK


def _as_in(flow: Flow, receiver: Endpoint) -> tuple[Endpoint, Endpoint]:
    """Sender and receiver of an ICMP error, as the ends of the flow that it is about.

    A router may have sent the error; the views show the error as sent by the receiver's peer.
    """
    one, other = flow.ends
    return (other, one) if one.address == receiver.address else (one, other)
