"""All TCP connections of a host: the tables in which their segments find them, which of them to ask next, and
what becomes of each.

::

    SYN ──► half-open ──► table ──► time_wait ──► nothing
    connect ────────────────┘ └─────────────────────┘
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
    def __init__(
        self, outbound: Outbound, ports: Ports, memory: Memory, orphan_limit: int, secret: bytes
    ) -> None:
        super().__init__(outbound, ports, memory, orphan_limit, secret)
        self.unused: Unused = Unused(self.table, self.passive, self.time_wait, ports)
        self.servers: Known = Known()
        self._thawed: set[Connection] = set()  # made from records of TIME-WAIT, until they are settled
        self._ports = ports

    def __iter__(self) -> Iterator[tuple[Endpoint, Endpoint, State]]:
        """Local, remote and state of each."""
        for connection in self.table.values():
            yield connection.local, connection.remote, connection.state
        for entry in self.passive.half_open.values():
            yield entry.child.local, entry.child.remote, entry.child.state
        for key in self.passive.cache:
            yield *ends_of(key), SYN_RECEIVED
        for record in self.time_wait:
            yield *ends_of(record.key), TIME_WAIT

    def figures(self) -> dict[str, int]:
        """What `Host.statistics` tells of them."""
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
        """An active OPEN from ``address``; port 0 takes an ephemeral one."""
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
        if (
            is_fast_client(config) and authentication is None
        ):  # RFC7413-2; a signature leaves no room for a cookie
            hosted.open_fast(
                connection, self.servers.attempt(local, remote, hosted.peer_mss(connection), now)
            )
        connection.open_active(now)
        return connection

    def by_key(self, key: bytes) -> Connection | None:
        """Whoever sent segments of this pair and may still hear of them; TIME-WAIT has nothing in flight."""
        entry = self._half_open(key)
        return self.table.get(key) if entry is None else entry.child

    # Segments and the connections they are for

    def segment_arrives(self, key: bytes, segment: Segment, packet: Packet, now: int) -> bool:
        """EP-DMX-1: an exact pair, TIME-WAIT included, then the half-open. False: it is none of ours."""
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
        """RFC5925-7.4: asked before anything else looks at the segment at ``octets[start:end]``."""
        if connection.authentication is None:
            return True
        reason = hosted.objection(connection, octets, start, end, segment)
        if reason:  # RFC5925-7.3: silently
            self._counters.drop(reason, octets, now)
        return not reason

    def give(self, connection: Connection, segment: Segment, octets: bytes, now: int) -> None:
        if connection.state is TIME_WAIT:
            if segment.flags & SYN:
                if self._syn_in_time_wait(connection, segment, octets, now):
                    return
            elif self._cookie_in_time_wait(connection, segment, octets, now):
                return
        connection.segment_arrives(segment, now)

    def _syn_in_time_wait(self, connection: Connection, segment: Segment, octets: bytes, now: int) -> bool:
        """RFC 6191. False: it is for the connection after all, which will challenge it (EP-SYN-3)."""
        local, remote = connection.local, connection.remote
        listener = self.passive.find(local.address, local.port)
        if listener is None or not connection.config.time_wait_reuse or not is_bare_syn(segment):
            return False
        authentication = connection.authentication
        if listener.keys_of(remote) != (
            () if authentication is None else authentication.keys
        ):  # it was checked with other keys
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
            if key_of(local, remote) in self.time_wait:  # so that `give` sees the cookie come back
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
        """Whether an ACK for a pair in TIME-WAIT brings back the cookie that a SYN was given, and opens the
        pair again.
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
        """Its pair begins anew."""
        hosted.discard(connection, None, now)
        self._forget(connection, now)
        self._tell(connection)

    # Which to ask

    @property
    def has_output(self) -> bool:
        """Whether a connection may have something to send, or an event waits."""
        return bool(self._agenda.queue or self._looped.queue or self.events or self.acceptable)

    def pop_next(self) -> Connection | None:
        """The connection that has waited longest and may have something for the link: drain it, then `settle`
        it.
        """
        return self._agenda.pop()

    def pop_looped(self) -> Connection | None:
        """As `pop_next`, of those whose packets stay in the host."""
        return self._looped.pop()

    def put_off(self, connection: Connection, now: int) -> None:
        """It may have more to send, but others have waited while it did."""
        self.settle(connection, now)
        if not connection.on_agenda:
            self._agenda.append(connection)

    def settle(self, connection: Connection, now: int) -> None:
        """Nothing more to send: see what has become of the connection, and when to ask it again."""
        if connection._tcb.state is ESTABLISHED or self._stays(connection, now):
            self._timers.arm(connection, connection.next_timeout())
            if connection._tcb.path.search is not None:
                self._share_path(connection, now)
        self._tell(connection)
        if self._memory.is_wanted:
            self.relief.attend(now)

    def _stays(self, connection: Connection, now: int) -> bool:
        """Whether a connection in another state than ESTABLISHED is still one to ask."""
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
        first = min(self._timers.next_timeout(), self.time_wait.next_timeout())
        if self.passive.asking:
            first = min(first, self.passive.next_request_expires())
        return min(first, self.passive.cache.next_timeout())

    def handle_timeout(self, now: int) -> None:
        for connection in self._timers.pop_due(now):
            connection.handle_timeout(now)
        while (key := self.passive.cache.due(now)) is not None:
            self._revive(key).child.handle_timeout(now)
        if self.passive.asking:
            for request in self.passive.expire_requests(now):
                self._counters.drop("request_unanswered", request.octets, now)
        for record in self.time_wait.pop_due(now):
            if self._observer is not None:  # EP-TMO-3: the program was told before
                time_wait_state.tell_expired(self._observer, *record.ends, now)

    def _tell(self, connection: Connection) -> None:
        if self.passive.is_silent(connection):
            return
        event = connection.next_event()
        while event is not None:
            self.events.put(connection, event)
            event = connection.next_event()

    def _share_path(self, connection: Connection, now: int) -> None:
        """What one connection found out of a path concerns all that begin there (RFC 4821, 4). It is raised
        by proof alone.
        """
        mtu = hosted.path_news(connection)
        remote = connection.remote.address
        if mtu and (mtu < self._routes.mtu_to(remote, now) or hosted.is_path_proven(connection)):
            self._routes.learn(remote, mtu, now)

    def resize(self, mtu: int, now: int) -> None:
        """The link's MTU is another."""
        for connection in self.table.values():
            connection.link_mtu(mtu, now)
        for entry in self.passive.half_open.values():
            entry.child.link_mtu(mtu, now)

    # Ends

    def leave(self, address: bytes, now: int) -> None:
        """The host has lost this address: everything between it and others ends, and nothing is sent about
        that.
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
        """CLOSED, or of a child: back to LISTEN, which is to say gone."""
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
            if self.passive.is_silent(connection):  # it waits in `accept`: until then its text is the host's
                hosted.count_text(connection, self._memory)
        if self._ports.is_crowded:
            self._ports.free(key[:-2], connection.local.port)

    def _freeze(self, connection: Connection, now: int) -> None:
        """For its user the connection is over now; for its pair a record answers until 2MSL have passed."""
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
        """No program has a connection that was made from a record: nothing is told of it."""
        if connection in self._thawed:
            self._thawed.discard(connection)
            hosted.forget_events(connection)

    def _thaw(self, key: bytes) -> Connection | None:
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
        agenda.append(
            connection
        )  # so that it is settled, and frozen again, even if the segment is not given to it
        self._thawed.add(connection)
        self.table[key] = connection
        return connection
