"""Connections of listeners, from a SYN or the ACK of a SYN cookie to `Listener.accept`.

`postel.host.listener` describes the two queues on the way.
"""

from abc import ABC, abstractmethod
from typing import Final

from postel.host import cookies
from postel.host.cookies import Cookies
from postel.host.deadlines import Deadlines
from postel.host.eventqueue import EventQueue
from postel.host.fastopen import Gate
from postel.host.listener import HalfOpen, Listener, Passive
from postel.host.memory_relief import Relief
from postel.host.orphans import Orphans
from postel.host.outbound import Outbound
from postel.host.pairs import ends_of, key_of
from postel.host.ports import Ports
from postel.host.requests import Request
from postel.host.timewait import TimeWait, TimeWaitRecord
from postel.tcp import half_open, hosted, seq
from postel.tcp.authentication import Authentication
from postel.tcp.config import Config
from postel.tcp.connection import Connection, Turns
from postel.tcp.ecn.negotiation import is_accurate
from postel.tcp.events import ACCEPTABLE, ASKED
from postel.tcp.isn import Generator
from postel.tcp.memory import Memory
from postel.tcp.state import CLOSED, LISTEN, SYN_RECEIVED
from postel.wire.address import Endpoint
from postel.wire.segment import ACK, FIN, PROTOCOL, RST, SYN, Segment, encode_for

# Most half-open connections that aren't records of the SYN cache. Most clients answer before that
MOST_HALF_OPEN: Final = 32

_CONTROL_BITS: Final = SYN | ACK | RST
_HEADERS_4: Final = 20 + 60  # octets of IP and TCP header with the most options
_HEADERS_6: Final = 40 + 60
# Distance of a new ISS from the old SND.MAX, if the ISS generator gives no ISS above that
_STEP_BEYOND: Final = 1 << 16


class PassiveOpens(ABC):
    """Base class of `Connections`: passive opens, and the making of connections for all kinds of open."""

    def __init__(
        self, outbound: Outbound, ports: Ports, memory: Memory, orphan_limit: int, secret: bytes
    ) -> None:
        """Make empty tables. Initial sequence numbers and cookies derive from ``secret``."""
        self.table: dict[bytes, Connection] = {}
        self.time_wait: TimeWait = TimeWait(ports)
        self.events: EventQueue[Connection] = EventQueue()
        self.acceptable: EventQueue[Listener] = EventQueue()
        self.passive: Passive = Passive(self.events, ports)
        self.offload = 0  # octets of the largest packet that the link cuts itself
        self.most_half_open = MOST_HALF_OPEN
        self._outbound = outbound
        self._routes = outbound.routes
        self._counters = outbound.counters
        self._memory = memory
        self.orphans: Orphans = Orphans(orphan_limit)
        self.relief: Relief = Relief(memory, self.table, self.orphans)
        self._observer = outbound.counters.observer
        self._numbers = Generator(secret)
        self._cookies = Cookies(secret)
        self._gate = Gate(secret)
        self._timers = Deadlines()
        # Connections with work to do, the longest waiting first: ``_agenda`` has those to other hosts,
        # ``_looped`` those to this host itself
        self._agenda = Turns(outbound.bell)
        self._looped = Turns(outbound.bell)

    @abstractmethod
    def _forget(self, connection: Connection, now: int) -> None:
        """Take a connection that has ended out of all tables."""

    # A segment to a listener

    def give_to_listener(
        self,
        listener: Listener,
        local: Endpoint,
        remote: Endpoint,
        segment: Segment,
        authentication: Authentication | None,
        octets: bytes,
        now: int,
    ) -> None:
        """Process a segment to a listener. A SYN makes a half-open connection, other segments are dropped.

        The caller handles an ACK.
        """
        if segment.flags & _CONTROL_BITS != SYN:  # EP-LIS-1, EP-LIS-6
            self._counters.drop("not_a_syn", octets, now)
        elif segment.flags & FIN and listener.config.drop_syn_fin:
            self._counters.drop("syn_fin", octets, now)
        elif not self._has_room(listener, octets, now) or not self._may_pass(
            listener, local, remote, octets, now
        ):
            return
        elif listener.half_open_is_full:  # RFC4987-3.7, RFC4987-3.x
            self._answer_with_cookie(listener, local, remote, segment, authentication, octets, now)
        else:  # EP-LIS-3
            self._admit(listener, local, remote, segment, authentication, None, now)

    def give_cookie(
        self, listener: Listener, local: Endpoint, remote: Endpoint, segment: Segment, octets: bytes, now: int
    ) -> bool:
        """Process an ACK to a listener that has sent SYN cookies lately (EP-DMX-1, BAD-FLOOD-3).

        The ACK may return a cookie, and bring data. Returns False if it returns no cookie. But while the
        accept queue is full, True is returned for each ACK: the ACK with the cookie may have been dropped for
        lack of room, and a later segment must not be answered with RST.
        """
        if now >= listener.cookies_until or segment.flags & SYN:
            return False
        syn = self._cookies.syn_of(local, remote, segment, now, accurate=is_accurate(listener.config))
        if syn is not None:
            self._open_by_cookie(listener, local, remote, syn, segment, octets, now)
        elif listener.is_full:  # EP-LIS-5
            self._counters.drop("accept_queue_full", octets, now)
        else:
            return False
        return True

    def _has_room(self, listener: Listener, octets: bytes, now: int) -> bool:
        """EP-LIS-5: whether there is room for one more connection.

        If there is no room, the segment is counted as dropped, and not refused with RST.
        """
        if listener.is_full:
            self._counters.drop("accept_queue_full", octets, now)
        elif not self.relief.has_memory(now):
            self._counters.drop("no_memory", octets, now)
        else:
            return True
        return False

    def _may_pass(
        self, listener: Listener, local: Endpoint, remote: Endpoint, octets: bytes, now: int
    ) -> bool:
        """Whether a SYN, in the packet ``octets``, may go on at once.

        The SYN may go on if the listener doesn't ask first, or if the program has answered "accept".
        Otherwise the SYN becomes a request, with the event Asked; or it is counted as dropped.
        """
        waiting = listener.requests
        if waiting is None:
            return True
        key = key_of(local, remote)
        request = waiting.get(key)
        if request is not None:
            if not request.is_accepted:
                request.octets = octets
                self._counters.drop("request_waits", octets, now)
            return request.is_accepted
        if len(octets) <= self._routes.mtu and waiting.put(
            Request(key, local, remote, octets, now, now + waiting.within)
        ):
            self.acceptable.put(listener, ASKED, most=waiting.most)
        else:
            self._counters.drop("request_queue_full", octets, now)
        return False

    def _admit(
        self,
        listener: Listener,
        local: Endpoint,
        remote: Endpoint,
        syn: Segment,
        authentication: Authentication | None,
        predecessor: TimeWaitRecord | None,
        now: int,
    ) -> None:
        """Make a half-open connection of a SYN."""
        iss = self._numbers.iss(local, remote, now)
        if predecessor is not None:
            iss = beyond(iss, predecessor.snd_max)
        if listener.latest_local != local:
            listener.latest_local = local
        child = self._make(listener.latest_local, remote, listener.config, iss, authentication, now)
        child.open_passive(now)
        # If the handshake fails, the predecessor in TIME-WAIT comes back. So such a pair doesn't begin with
        # data, and stays out of the SYN cache. A signed SYN,ACK has no room for a Fast Open cookie
        is_plain = predecessor is None and authentication is None
        if is_plain:
            hosted.open_fast(
                child, self._gate.admission(syn, remote.address, listener.config, listener.fast_opens, now)
            )
        child.segment_arrives(syn, now)
        entry = HalfOpen(key_of(local, remote), child, listener, predecessor, syn if is_plain else None, now)
        if listener.requests is not None:
            listener.requests.discard(entry.key)  # from now on the half-open connection gets the segments
        self.passive.admit(entry)
        if hosted.is_fast(child):
            self._make_ready(entry)

    # SYN cookies

    def _answer_with_cookie(
        self,
        listener: Listener,
        local: Endpoint,
        remote: Endpoint,
        segment: Segment,
        authentication: Authentication | None,
        octets: bytes,
        now: int,
        *,
        predecessor: Connection | None = None,
    ) -> None:
        """RFC4987-3.6: answer a SYN with a SYN cookie.

        The connection that makes the SYN,ACK is then thrown away.

        If a signature is required, nothing is sent: a cookie has no room for the numbers that must be
        signed. ``predecessor`` is the connection of a pair in TIME-WAIT.
        """
        self._counters.drop("half_open_full", octets, now)
        config = listener.config
        syn = cookies.representable(
            segment, ipv4=len(local.address) == 4, timestamps=config.timestamps, accurate=is_accurate(config)
        )
        if syn is None or authentication is not None:
            return
        if predecessor is None:
            iss = self._cookies.iss(local, remote, syn, now)
        else:  # MAY-2, EP-TW-8
            iss = self._cookies.iss_beyond(local, remote, syn, hosted.snd_max(predecessor), now)
        listener.cookies_until = now + cookies.LIFETIME
        child = Connection(
            local,
            remote,
            config,
            iss=iss,
            mtu=self._routes.mtu,
            timestamp_offset=self._numbers.timestamp_offset(local, remote),
        )
        child.open_passive(now)
        child.segment_arrives(syn, now)
        answer = child.next_segment(now)
        if answer is not None:
            cookies.stamp(answer, syn)
            payload = encode_for(answer, local.address, remote.address)
            self._outbound.send(
                local.address, remote.address, PROTOCOL, payload, now, hop_limit=config.hop_limit
            )

    def _open_by_cookie(
        self,
        listener: Listener,
        local: Endpoint,
        remote: Endpoint,
        syn: Segment,
        segment: Segment,
        octets: bytes,
        now: int,
    ) -> None:
        """Open the connection for which ``segment`` returns a cookie. The cookie was made for ``syn``."""
        if not self._has_room(listener, octets, now):
            return
        child = self._make(local, remote, listener.config, seq.add(segment.ack, -1), None, now)
        child.open_passive(now)
        child.segment_arrives(syn, now)
        hosted.regard_syn_as_sent(child)
        entry = HalfOpen(key_of(local, remote), child, listener, None, None, now)
        if listener.requests is not None:
            listener.requests.discard(entry.key)
        self.passive.admit(entry)
        self._give_to_child(entry, segment, octets, now)

    def _brings_earlier_cookie(self, entry: HalfOpen, segment: Segment, octets: bytes, now: int) -> bool:
        """Whether an ACK for a half-open connection returns a cookie.

        If there is room, the cookie's connection then replaces the half-open one. The case is this: the first
        answer to the SYN was a cookie. Then the SYN came again while the queue had room, before the ACK of
        the first answer came. The client is in ESTABLISHED with the numbers of the cookie, and the half-open
        connection would reset it.
        """
        child, listener = entry.child, entry.listener
        if now >= listener.cookies_until:
            return False
        accurate = is_accurate(listener.config)
        syn = self._cookies.syn_of(child.local, child.remote, segment, now, accurate=accurate)
        if syn is None and entry.predecessor is not None:
            before = entry.predecessor.snd_max
            syn = self._cookies.syn_beyond(child.local, child.remote, segment, before, now, accurate=accurate)
        if syn is None:
            return False
        if self._has_room(listener, octets, now):
            entry.predecessor = None  # the pair has a new connection now: the old one won't come back
            hosted.discard(child, None, now)
            self._forget(child, now)
            self._open_by_cookie(listener, child.local, child.remote, syn, segment, octets, now)
        return True

    # Half-open connections

    def _give_to_child(self, entry: HalfOpen, segment: Segment, octets: bytes, now: int) -> None:
        """Give a segment to a half-open connection. Then make it ready, or forget it if it has ended."""
        if entry.must_wait(segment):  # BAD-FLOOD-4
            self._counters.drop("accept_queue_full", octets, now)
            return
        child = entry.child
        is_expected = segment.flags & _CONTROL_BITS != ACK or segment.ack == seq.add(hosted.iss(child), 1)
        if not is_expected and self._brings_earlier_cookie(entry, segment, octets, now):
            return
        child.segment_arrives(segment, now)
        if child.state is LISTEN or child.state is CLOSED:
            self._forget(child, now)
        elif child.state is not SYN_RECEIVED:
            self._make_ready(entry)

    def _half_open(self, key: bytes) -> HalfOpen | None:
        """Half-open connection of a pair, made from its record in the SYN cache if need be; None for none."""
        entry = self.passive.half_open.get(key)
        return self._revive(key) if entry is None and key in self.passive.cache else entry

    def _revive(self, key: bytes) -> HalfOpen:
        """Replace a record in the SYN cache by the half-open connection that is made from it."""
        listener, remains = self.passive.claim(key)
        local, remote = ends_of(key)
        iss = self._numbers.iss(local, remote, remains.arrived)
        child = self._make(local, remote, listener.config, iss, None, remains.arrived)
        syn = half_open.unpacked(remains.syn, local, remote)
        half_open.restore(child, remains, syn)
        entry = HalfOpen(key, child, listener, None, syn, remains.arrived)
        self.passive.admit(entry)
        return entry

    def _goes_to_cache(self, child: Connection) -> bool:
        """Move a half-open connection to the SYN cache once more than 32 exist. Returns whether it was moved.

        Only a connection that can be made again from a record is moved.
        """
        if len(self.passive.half_open) <= self.most_half_open:
            return False
        entry = self.passive.half_open.get(key_of(child.local, child.remote))
        if entry is None or not entry.may_be_cached:
            return False
        self._timers.forget(child)
        self.passive.keep(entry)
        return True

    def _make_ready(self, entry: HalfOpen) -> None:
        """Move a connection to its listener's accept queue, and queue the listener's event Acceptable."""
        self.passive.make_ready(entry)
        self.table[entry.key] = entry.child
        self.acceptable.put(entry.listener, ACCEPTABLE, len(entry.listener.ready))

    # New connections, passive or active

    def _make(
        self,
        local: Endpoint,
        remote: Endpoint,
        config: Config,
        iss: int,
        authentication: Authentication | None,
        now: int,
    ) -> Connection:
        """Make a connection with the known path MTU, and with larger segments where the link cuts them."""
        is_looped = self._routes.loops(remote.address)
        connection = Connection(
            local,
            remote,
            config,
            iss=iss,
            mtu=self._routes.mtu,
            timestamp_offset=self._numbers.timestamp_offset(local, remote),
            observer=self._observer,
            memory=self._memory,
            agenda=self._looped if is_looped else self._agenda,
            authentication=authentication,
        )
        connection.is_looped = is_looped
        if self.offload and not is_looped:
            hosted.allow_bursts(
                connection, self.offload - (_HEADERS_4 if len(remote.address) == 4 else _HEADERS_6)
            )
        known = self._routes.mtu_to(remote.address, now)
        if known < self._routes.mtu:
            connection.path_mtu(known, now)
        return connection


def beyond(iss: int, snd_max: int) -> int:
    """ISS above the sequence numbers of the pair's previous connection (EP-TW-8, MAY-2).

    The result is ``iss`` if ``iss`` is above these numbers already.
    """
    return iss if seq.gt(iss, snd_max) else seq.add(snd_max, _STEP_BEYOND)
