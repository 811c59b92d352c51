"""All TCP connections of a host: their tables, the queue of those with work to do, and their ends.

Theory of operation. Every pair of a local and a remote endpoint has one key (`postel.host.pairs`): the octets
at a fixed place of its packets. The state of a pair's connection decides in which of four tables it is::

    listener                                       connect()
       │ SYN                                          │
       ▼                                              ▼
    half-open ◄──► SYN cache    handshake done     table ─────► time_wait ─────► forgotten
    SYN-RECEIVED   records      ─────────────────► all other    records          after 2MSL
                                                   states

A segment is looked up in this order (`Connections.segment_arrives`): in the table, in TIME-WAIT, among the
half-open connections, in the SYN cache. Where no table has its pair, it may be for a listener
(`postel.host.unclaimed`). Records (the SYN cache, TIME-WAIT) are a few hundred octets instead of a
`Connection`. A segment for a record makes a `Connection` of it again, so that the rules of RFC 9293 are
written once; afterwards the connection becomes a record again.

The host doesn't scan its connections to see which have something to send. A connection that was called, or
that got a segment, puts itself on a queue, the *agenda*. The host takes the connection that has waited
longest (`pop_next`), takes all its segments, and then *settles* the connection (`settle`): the host moves the
connection to the table of its state, arms its next deadline (`postel.host.deadlines`), and takes its events.
Connections to the host's own addresses have an agenda of their own, because their packets don't go to the
link.
"""

from collections.abc import Iterator
from typing import Final

from postel.errors import AddressNotAvailable
from postel.host.outbound import Outbound
from postel.host.pairs import ends_of, is_at, key_of
from postel.host.passive_opens import PassiveOpens, beyond
from postel.host.ports import Ports
from postel.host.timewait import record_of
from postel.host.unused_endpoints import Unused
from postel.tcp import hosted, time_wait_state
from postel.tcp.authentication.keychain import Keychain
from postel.tcp.config import Config, is_fast_client
from postel.tcp.connection import Connection
from postel.tcp.ecn.negotiation import is_accurate
from postel.tcp.fastopen import Known
from postel.tcp.memory import Memory
from postel.tcp.state import CLOSED, ESTABLISHED, LISTEN, SYN_RECEIVED, TIME_WAIT, State
from postel.tcp.timewait import is_bare_syn
from postel.wire.address import Endpoint, to_text
from postel.wire.ip import Packet
from postel.wire.segment import ACK, RST, SYN, Segment

_CONTROL_BITS: Final = SYN | ACK | RST


class Connections(PassiveOpens):
    """Every TCP connection of a host, in all states but LISTEN."""

    def __init__(
        self, outbound: Outbound, ports: Ports, memory: Memory, orphan_limit: int, secret: bytes
    ) -> None:
        """Make empty tables. Initial sequence numbers and cookies derive from ``secret``."""
        super().__init__(outbound, ports, memory, orphan_limit, secret)
        self.unused: Unused = Unused(self.table, self.passive, self.time_wait, ports)
        self.servers: Known = Known()
        self._thawed: set[Connection] = set()  # connections made from records of TIME-WAIT for a moment
        self._ports = ports

    def __iter__(self) -> Iterator[tuple[Endpoint, Endpoint, State]]:
        """Iterate over local endpoint, remote endpoint and state of all connections, records included."""
        for connection in self.table.values():
            yield connection.local, connection.remote, connection.state
        for entry in self.passive.half_open.values():
            yield entry.child.local, entry.child.remote, entry.child.state
        for key in self.passive.cache:
            yield *ends_of(key), SYN_RECEIVED
        for record in self.time_wait:
            yield *ends_of(record.key), TIME_WAIT

    def figures(self) -> dict[str, int]:
        """Gauges and counters of connections for `Host.statistics`."""
        return {
            "connections": len(self.table),
            "orphans": len(self.orphans),
            "orphans_ended": self.orphans.ended,
            "half_open": self.passive.count(),
            "requests": sum([len(waiting) for waiting in self.passive.asking.values()]),
            "time_wait": len(self.time_wait),
            "memory_used": self._memory.used,
            "memory_refused": self._memory.refused,
        }

    def open(
        self, address: bytes, port: int, remote: Endpoint, config: Config, keys: Keychain | None, now: int
    ) -> Connection:
        """Open a connection from ``address`` (active OPEN); port 0 takes an ephemeral one.

        The pair may be in TIME-WAIT, if it may be reused. The old connection then ends, and the new ISS is
        above the old connection's sequence numbers.
        """
        local = self.unused.endpoint(address, port, remote, config, now)
        authentication = None if keys is None else keys.authentication(local, remote)
        iss = self._numbers.iss(local, remote, now)
        key = key_of(local, remote)
        predecessor = self._thaw(key)
        if predecessor is not None:
            iss = beyond(iss, hosted.snd_max(predecessor))
            self._end_time_wait(predecessor, now)
        connection = self._make(local, remote, config, iss, authentication, now)
        self.table[key] = connection
        # RFC7413-2; a signature leaves no room for a cookie
        if is_fast_client(config) and authentication is None:
            hosted.open_fast(
                connection, self.servers.attempt(local, remote, hosted.peer_mss(connection), now)
            )
        connection.open_active(now)
        return connection

    def by_key(self, key: bytes) -> Connection | None:
        """Connection to which an ICMP error about this pair is given, None where there is none.

        A pair in TIME-WAIT has nothing in flight, so no error can be about it.
        """
        entry = self._half_open(key)
        return self.table.get(key) if entry is None else entry.child

    # Segments, and the connections to which they belong

    def segment_arrives(self, key: bytes, segment: Segment, packet: Packet, now: int) -> bool:
        """EP-DMX-1: give a segment to the connection with its pair: TIME-WAIT included, then half-open ones.

        Returns False where no connection has the pair.
        """
        octets, start, end = packet.octets, packet.start, packet.end
        connection = self.table.get(key) or self._thaw(key)
        if connection is not None:
            if self.is_authentic(connection, segment, octets, start, end, now):
                self.give(connection, segment, octets, now)
            return True
        entry = self._half_open(key)
        if entry is not None and self.is_authentic(entry.child, segment, octets, start, end, now):
            self._give_to_child(entry, segment, octets, now)
        return entry is not None

    def is_authentic(
        self, connection: Connection, segment: Segment, octets: bytes, start: int, end: int, now: int
    ) -> bool:
        """RFC5925-7.4: whether the segment has the signature that its connection asks for.

        The signature is checked before any other part of the segment. If it is missing or wrong, the segment
        is counted as dropped.
        """
        if connection.authentication is None:
            return True
        reason = hosted.objection(connection, octets, start, end, segment)
        if reason:  # RFC5925-7.3: dropped without an answer
            self._counters.drop(reason, octets, now)
        return not reason

    def give(self, connection: Connection, segment: Segment, octets: bytes, now: int) -> None:
        """Give a segment to a connection, unless it is in TIME-WAIT and the segment opens the pair anew."""
        if connection.state is TIME_WAIT:
            if segment.flags & SYN:
                if self._syn_in_time_wait(connection, segment, octets, now):
                    return
            elif self._cookie_in_time_wait(connection, segment, octets, now):
                return
        connection.segment_arrives(segment, now)

    def _syn_in_time_wait(self, connection: Connection, segment: Segment, octets: bytes, now: int) -> bool:
        """RFC 6191: let a SYN for a pair in TIME-WAIT open a new connection, where a listener takes it.

        Returns False if the old connection must answer the SYN, by a challenge ACK (EP-SYN-3).
        """
        local, remote = connection.local, connection.remote
        listener = self.passive.find(local.address, local.port)
        if listener is None or not connection.config.time_wait_reuse or not is_bare_syn(segment):
            return False
        authentication = connection.authentication
        # The SYN's signature was checked with the old connection's keys, not with the listener's
        if listener.keys_of(remote) != (() if authentication is None else authentication.keys):
            return False
        if not hosted.reopens(connection, segment):
            if connection.config.time_wait_challenge and not hosted.is_old_duplicate(connection, segment):
                return False
            self._counters.drop("time_wait_syn", octets, now)  # EP-TW-4, EP-TW-7
        elif not self._has_room(listener, octets, now) or not self._may_pass(
            listener, local, remote, octets, now
        ):
            return True
        elif listener.half_open_is_full:
            if key_of(local, remote) in self.time_wait:  # then the ACK with the cookie comes to `give`
                self._answer_with_cookie(
                    listener, local, remote, segment, authentication, octets, now, predecessor=connection
                )
            else:
                self._counters.drop("half_open_full", octets, now)
        else:
            key = key_of(local, remote)
            predecessor = record_of(key, connection)
            self._end_time_wait(connection, now)
            following = None if authentication is None else authentication.successor()
            self._admit(listener, local, remote, segment, following, predecessor, now)
        return True

    def _cookie_in_time_wait(self, connection: Connection, segment: Segment, octets: bytes, now: int) -> bool:
        """Open a pair in TIME-WAIT anew, if this ACK returns the SYN cookie that a SYN for it was given.

        Returns True also for a valid cookie without room for a connection: the ACK is then dropped.
        """
        local, remote = connection.local, connection.remote
        listener = self.passive.find(local.address, local.port)
        if listener is None or now >= listener.cookies_until or segment.flags & _CONTROL_BITS != ACK:
            return False
        accurate = is_accurate(listener.config)
        syn = self._cookies.syn_beyond(
            local, remote, segment, hosted.snd_max(connection), now, accurate=accurate
        )
        if syn is None or not hosted.reopens(connection, syn):
            return False
        if self._has_room(listener, octets, now):
            self._end_time_wait(connection, now)
            self._open_by_cookie(listener, local, remote, syn, segment, octets, now)
        return True

    def _end_time_wait(self, connection: Connection, now: int) -> None:
        """Forget a connection in TIME-WAIT, because its pair begins anew."""
        hosted.discard(connection, None, now)
        self._forget(connection, now)
        self._tell(connection)

    # The agenda, and timers

    @property
    def has_output(self) -> bool:
        """Whether a connection may have something to send, or an event waits."""
        return bool(self._agenda.queue or self._looped.queue or self.events or self.acceptable)

    def pop_next(self) -> Connection | None:
        """Connection that has waited longest on the agenda; None if the agenda is empty.

        The caller takes all its segments, and then calls `settle`.
        """
        return self._agenda.pop()

    def pop_looped(self) -> Connection | None:
        """Connection that has waited longest of those to the host itself; None where there is none."""
        return self._looped.pop()

    def put_off(self, connection: Connection, now: int) -> None:
        """Settle a connection that may have more to send, and put it at the end of the agenda."""
        self.settle(connection, now)
        if not connection.on_agenda:
            self._agenda.append(connection)

    def settle(self, connection: Connection, now: int) -> None:
        """Move a connection that has no more segments to its table, arm its deadline, and take its events."""
        if connection._tcb.state is ESTABLISHED or self._stays(connection, now):
            self._timers.arm(connection, connection.next_timeout())
            if connection._tcb.path.search is not None:
                self._share_path(connection, now)
        self._tell(connection)
        if self._memory.is_wanted:
            self.relief.attend(now)

    def _stays(self, connection: Connection, now: int) -> bool:
        """Move a connection to the table of its state. Returns whether it stays a connection with a deadline.

        A released connection that stays is added to `orphans`. One that doesn't stay was forgotten, or has
        become a record of TIME-WAIT or of the SYN cache.
        """
        state = connection.state
        if state is CLOSED or state is LISTEN:
            self._forget(connection, now)
            return False
        if state is TIME_WAIT:
            self._freeze(connection, now)
            return False
        if state is SYN_RECEIVED and self._goes_to_cache(connection):
            return False
        if hosted.is_released(connection):
            self.orphans.note(connection, now)
        return True

    def next_timeout(self) -> int:
        """Earliest deadline of connections, records and requests in microseconds, or NEVER."""
        first = min(self._timers.next_timeout(), self.time_wait.next_timeout())
        if self.passive.asking:
            first = min(first, self.passive.next_request_expires())
        return min(first, self.passive.cache.next_timeout())

    def handle_timeout(self, now: int) -> None:
        """Process the timers of connections, records and requests that have expired by ``now``."""
        for connection in self._timers.pop_due(now):
            connection.handle_timeout(now)
        while (key := self.passive.cache.due(now)) is not None:
            self._revive(key).child.handle_timeout(now)
        if self.passive.asking:
            for request in self.passive.expire_requests(now):
                self._counters.drop("request_unanswered", request.octets, now)
        for record in self.time_wait.pop_due(now):
            if self._observer is not None:  # EP-TMO-3: the program got Closed when TIME-WAIT began
                time_wait_state.tell_expired(self._observer, *record.ends, now)

    def _tell(self, connection: Connection) -> None:
        """Move the events of a connection to the host's queue, unless it waits for `Listener.accept`."""
        if self.passive.is_silent(connection):
            return
        event = connection.next_event()
        while event is not None:
            self.events.put(connection, event)
            event = connection.next_event()

    def _share_path(self, connection: Connection, now: int) -> None:
        """Store a path MTU that ``connection`` has found, for other connections to the address (RFC 4821, 4).

        A smaller MTU is stored at once, a larger MTU only after packets of that size have arrived.
        """
        mtu = hosted.path_news(connection)
        remote = connection.remote.address
        if mtu and (mtu < self._routes.mtu_to(remote, now) or hosted.is_path_proven(connection)):
            self._routes.learn(remote, mtu, now)

    def resize(self, mtu: int, now: int) -> None:
        """Report the link's new MTU, in octets, to all connections."""
        for connection in self.table.values():
            connection.link_mtu(mtu, now)
        for entry in self.passive.half_open.values():
            entry.child.link_mtu(mtu, now)

    # Ends

    def leave(self, address: bytes, now: int) -> None:
        """End all connections from an address that the host has lost, without sending anything.

        Packets from the address that wait to be sent are dropped, and pairs in TIME-WAIT are forgotten.
        """
        self._outbound.forget(address)
        for connection in list(self.table.values()):
            if connection.local.address == address:
                is_over = connection.state is TIME_WAIT
                reason = (
                    None if is_over else AddressNotAvailable(f"{to_text(address)} was taken from this host")
                )
                hosted.discard(connection, reason, now)
                self._forget(connection, now)
                self._tell(connection)
        for child in self.passive.leave(address, now):
            self._timers.forget(child)
        for key in list(self.time_wait.keys()):
            old = self._thaw(key) if is_at(key, address) else None
            if old is not None:
                self._end_time_wait(old, now)

    def _forget(self, connection: Connection, now: int) -> None:
        """Take a connection in CLOSED, or a half-open one back in LISTEN, out of all tables.

        If the SYN of a half-open connection had ended a TIME-WAIT, the record of TIME-WAIT comes back.
        """
        self._timers.forget(connection)
        self.orphans.forget(connection)
        key = key_of(connection.local, connection.remote)
        entry = self.passive.half_open.get(key)
        if entry is not None and entry.child is connection:
            self.passive.drop(entry)
            if entry.predecessor is not None and entry.predecessor.expires > now:  # EP-TW-8
                self.time_wait.put(entry.predecessor)
        elif self.table.get(key) is connection:
            del self.table[key]
            self.time_wait.discard(key)
            self._drop_thawed(connection)
            # Until a program accepts the connection, its data counts against the host's memory
            if self.passive.is_silent(connection):
                hosted.count_text(connection, self._memory)
        if self._ports.is_crowded:
            self._ports.free(key[:-2], connection.local.port)

    def _freeze(self, connection: Connection, now: int) -> None:
        """Replace a connection that enters TIME-WAIT by a record.

        The record answers for the pair until 2MSL have passed. A program that still holds the connection can
        go on reading it.
        """
        key = key_of(connection.local, connection.remote)
        del self.table[key]
        self._timers.forget(connection)
        self.orphans.forget(connection)
        self.time_wait.put(record_of(key, connection))
        if not hosted.is_released(connection):
            connection.leave_time_wait_to(self.time_wait)
            return
        hosted.freeze(connection, now)
        self._drop_thawed(connection)

    def _drop_thawed(self, connection: Connection) -> None:
        """Drop the events of a connection that was made from a record: no program has it."""
        if connection in self._thawed:
            self._thawed.discard(connection)
            hosted.forget_events(connection)

    def _thaw(self, key: bytes) -> Connection | None:
        """Make a connection from the record of a pair in TIME-WAIT; None where there is no record.

        The connection answers one segment. Then `settle` makes it a record again.
        """
        record = self.time_wait.thaw(key)
        if record is None:
            return None
        local, remote = record.ends
        is_looped = self._routes.loops(remote.address)
        agenda = self._looped if is_looped else self._agenda
        connection = time_wait_state.thawed(
            record.state,
            local,
            remote,
            record.config,
            record.expires,
            observer=self._observer,
            memory=self._memory,
            agenda=agenda,
            authentication=record.authentication,
        )
        connection.is_looped = is_looped
        # Connections on the agenda are settled: this one becomes a record again, even if no segment follows
        agenda.append(connection)
        self._thawed.add(connection)
        self.table[key] = connection
        return connection
