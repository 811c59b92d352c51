"""Many connections behind one link: packets, calls and time in; packets and events out.

The contract is that of `postel.tcp.connection`. The pump, after any call: `next_packet` until None, `next_event` until None, again from
the start if events led to calls, then arm for `next_timeout`.

A segment's way in is one look-up: the addresses and ports stand side by side in a plain packet, octets 12 to 24 of IPv4 and 8 to 44 of
IPv6, and that slice is the key of its connection. Everything that isn't found so takes the long way, `_any_packet`.
"""

from collections.abc import Iterator
from typing import Final

from postel.errors import AddressInUse, ArgumentError, InsufficientResources, NetworkUnreachable, WireError
from postel.host import control
from postel.host.connections import Connections
from postel.host.control import Control
from postel.host.counters import Counters
from postel.host.datagrams import Datagrams, DatagramSocket
from postel.host.fragments import Fragments
from postel.host.listener import Listener
from postel.host.outbound import Outbound
from postel.host.ports import Ports
from postel.host.routes import Routes
from postel.host.strangers import Strangers
from postel.tcp import pathmtu
from postel.tcp.authentication import UNKNOWN, Authentication
from postel.tcp.authentication.keychain import Keychain
from postel.tcp.config import DEFAULT, MEBIBYTE, Config, first_send_limit
from postel.tcp.connection import Connection
from postel.tcp.events import Event
from postel.tcp.memory import Memory
from postel.tcp.observer import Observer
from postel.tcp.pathmtu import FLOOR_4
from postel.tcp.state import State
from postel.times import NEVER
from postel.wire import checksum, ip, udp
from postel.wire.address import UNSPECIFIED_4, UNSPECIFIED_6, Endpoint, is_unspecified, parse, parse_interface, to_text
from postel.wire.ip import Packet
from postel.wire.segment import ACK, PROTOCOL, RST, SYN, Segment, checksum_is_right, encode_for, encode_summed
from postel.wire.segment import parse as parse_segment

_PLAIN_4: Final = 0x45  # version 4, header of 20 octets
_NOT_PLAIN: Final = 0xBF  # of octet 6: all but "don't fragment"
_LEAST_SEGMENT: Final = 20
_ECN: Final = 3  # of the traffic class (RFC 3168, 5)
_LEAST_MTU: Final = 68
_TURN: Final = 64  # segments of one connection until the next has its turn

HostEvent = tuple[Connection, Event] | tuple[Listener, Event] | tuple[DatagramSocket, Event]


class Host:
    """``addresses`` are as "10.7.0.2/24" or "fd00::2/64". ``secret`` is the only source of what nobody may guess.

    ``any_address`` accepts packets to every unicast address, as a tunnel's end or a test wants it. ``memory_limit`` is what all
    connections may buffer together, in octets. ``verify_checksums=False`` trusts the link with the segments' checksums.
    """

    def __init__(
        self,
        *addresses: str,
        secret: bytes,
        mtu: int = 1500,
        config: Config = DEFAULT,
        observer: Observer | None = None,
        any_address: bool = False,
        memory_limit: int = 256 * MEBIBYTE,
        verify_checksums: bool = True,
    ) -> None:
        if not _LEAST_MTU <= mtu <= ip.LARGEST:
            raise ArgumentError("mtu", mtu, f"{_LEAST_MTU} to {ip.LARGEST} octets")
        self.config = config
        self.observer = observer
        self.memory = Memory(memory_limit)
        self.routes = Routes(tuple([parse_interface(text) for text in addresses]), mtu, any_address=any_address)
        self._verify = verify_checksums
        self._counters = Counters(observer)
        self._ports = Ports(secret)
        self._outbound = Outbound(self.routes, self._counters, secret)
        self._connections = Connections(self.routes, self._ports, self._outbound, self._counters, self.memory, observer, secret)
        self._table = self._connections.table
        self._datagrams = Datagrams(self._outbound, self._ports)
        self._control = Control(self._outbound, self.routes, self._connections, self._datagrams, secret)
        self._fragments = Fragments(self._counters)
        self._strangers = Strangers(secret)
        self._draining: Connection | None = None
        self._drained = 0  # segments that it sent so far
        self._envelope: ip.Envelope | None = None  # of its packets, until it is drained
        self._looped_at = NEVER  # since when packets to ourselves wait
        self._packets_arrived = 0
        self._packets_sent = 0
        self._segments_arrived = 0
        self._segments_sent = 0

    # Calls

    def connect(
        self,
        address: str | bytes,
        port: int,
        now: int,
        *,
        local_address: str | bytes | None = None,
        local_port: int = 0,
        config: Config | None = None,
        data: bytes = b"",
        keys: Keychain | None = None,
    ) -> Connection:
        """An active OPEN. Events follow: OPENED, or "closed" with what prevented it.

        ``data`` is sent first; as much as the send buffer takes at first is allowed. With FAST_OPEN_CLIENT of `Config.fast_open` it goes
        with the SYN where the server gave a cookie before, as far as it fits (RFC 7413): for data that may arrive twice (6.1). With
        ``keys`` for this address every segment is signed, and without a right signature none is heard.

        Raises ArgumentError, NetworkUnreachable, AddressNotAvailable, AddressInUse, InsufficientResources.
        """
        config = config or self.config
        limit = first_send_limit(config)
        if len(data) > limit:
            raise ArgumentError("data", len(data), f"{limit} octets or less, which is what the send buffer takes at first")
        remote = Endpoint(_octets(address), _require_port(port, 1))
        if not self.routes.is_unicast(remote.address):  # MUST-46
            raise NetworkUnreachable(f"{to_text(remote.address)} is no address of a single host")
        source = self._source(remote.address, local_address)
        if not self._connections.has_memory(now) or len(data) > self.memory.free:  # EP-OPEN-3
            raise InsufficientResources
        connection = self._connections.open(source, _require_port(local_port, 0), remote, config, keys, now)
        if data:
            connection.send(data, now)
        return connection

    def listen(
        self,
        port: int,
        now: int,
        *,
        address: str | bytes | None = None,
        backlog: int = 128,
        config: Config | None = None,
        keys: Keychain | None = None,
    ) -> Listener:
        """A passive OPEN for any remote. Without an ``address``, to all of the host's, of both families; port 0 takes a free one.

        ``backlog`` bounds the half-open connections, and again those that wait in `accept`. Peers who have ``keys`` must sign.
        Raises ArgumentError, AddressNotAvailable, AddressInUse.
        """
        if backlog < 1:
            raise ArgumentError("backlog", backlog, "1 or more")
        octets = self._own_or_wildcard(address)
        if _require_port(port, 0) == 0:
            port = self._unheard_port(octets)
        local = Endpoint(octets or self._wildcard(), port)
        return self._connections.passive.open(octets, local, backlog, config or self.config, keys)

    def datagrams(self, port: int = 0, *, address: str | bytes | None = None, remote: Endpoint | None = None) -> DatagramSocket:
        """A UDP socket; with a ``remote``, for that one alone.

        Raises ArgumentError, AddressNotAvailable, AddressInUse, NetworkUnreachable.
        """
        octets = self._own_or_wildcard(address)
        if remote is not None and (not octets or is_unspecified(octets)):
            octets = self.routes.source_for(remote.address)
        return self._datagrams.open(octets, _require_port(port, 0), remote, self._wildcard())

    def forget_cookies(self) -> None:
        """Forget which servers do TCP Fast Open, and the cookies they gave, by which they could tell that a client is the same."""
        self._connections.servers.clear()

    # The network

    def packet_arrives(self, octets: bytes, now: int) -> None:
        """A packet from the link, whole, from the IP header on. Whatever it holds, nothing is raised: what can't be used is counted."""
        self._packets_arrived += 1
        if self.observer is not None:
            self.observer.packet_arrived(octets, now)
        size = len(octets)
        connection: Connection | None = None
        start = end = mark = 0
        if size >= 40 and octets[0] == _PLAIN_4 and octets[9] == PROTOCOL and not (octets[6] & _NOT_PLAIN or octets[7]):
            connection = self._table.get(octets[12:24])
            start, end = 20, octets[2] << 8 | octets[3]
            mark = octets[1] & _ECN
        elif size >= 60 and octets[0] >> 4 == 6 and octets[6] == PROTOCOL:
            connection = self._table.get(octets[8:44])
            start, end = 40, 40 + (octets[4] << 8 | octets[5])
            mark = octets[1] >> 4 & _ECN
        if connection is None or not start + _LEAST_SEGMENT <= end <= size:
            self._any_packet(octets, now, is_looped=False)
            return
        if self._verify:
            is_right = start == 40 or checksum.is_right(octets[:20])
            addresses = 12 if start == 20 else 8
            if not is_right or (checksum.total(octets[addresses:end]) + PROTOCOL + end - start) % checksum.MODULUS:  # EP-PRE-2
                self._counters.drop("bad_checksum", octets, now)
                return
        segment = self._parse(octets, start, end, now)
        if segment is None:
            return
        segment.ecn = mark
        if connection.authentication is None or self._connections.is_authentic(connection, segment, octets, start, end, now):
            if segment.flags & SYN:
                self._connections.give(connection, segment, octets, now)
            else:
                connection.segment_arrives(segment, now)

    def next_packet(self, now: int) -> bytes | None:
        """A packet for the link; None when there is nothing more to send now."""
        while True:
            if self._outbound.queue:
                return self._leaves(self._outbound.queue.popleft(), now)
            connection = self._draining
            if connection is None:
                connection = self._connections.take_next()
                if connection is None:
                    self._looped_at = now if self._outbound.looped else NEVER
                    return None
                self._draining = connection
                self._drained = 0
                self._envelope = None
            segment = connection.next_segment(now)
            if segment is None:
                self._draining = None
                self._connections.settle(connection, now)
                continue
            octets = self._encode(connection, segment, now)
            self._drained += 1
            if self._drained == _TURN:
                self._draining = None
                self._connections.put_off(connection, now)
            if connection.remote.address not in self.routes.own:
                return self._leaves(octets, now)
            self._outbound.looped.append(octets)

    def next_event(self) -> HostEvent | None:
        connections = self._connections
        if connections.events:
            return connections.events.popleft()
        if connections.acceptable:
            return connections.acceptable.popleft()
        if self._datagrams.events:
            return self._datagrams.events.popleft()
        return None

    # Time

    def next_timeout(self) -> int:
        """When to call `handle_timeout`; NEVER if nothing is pending. What waits in `next_packet` is not a matter of time."""
        return min(self._connections.next_timeout(), self._fragments.next_timeout(), self._looped_at)

    def handle_timeout(self, now: int) -> None:
        self._connections.handle_timeout(now)
        for first in self._fragments.expire(now):
            self._control.tell_time_exceeded(first, now)
        self._looped_at = NEVER
        looped = self._outbound.looped
        for _ in range(len(looped)):  # not what these lead to: that comes with the next pump
            self._any_packet(looped.popleft(), now, is_looped=True)

    # What there is

    def statistics(self) -> dict[str, int]:
        """Totals since the start, gauges, and under ``dropped_…`` what became of every packet that was not used."""
        figures = {
            "packets_arrived": self._packets_arrived,
            "packets_sent": self._packets_sent,
            "segments_arrived": self._segments_arrived,
            "segments_sent": self._segments_sent,
            "connections": len(self._table),
            "half_open": len(self._connections.passive.half_open),
            "time_wait": len(self._connections.time_wait),
            "datagram_sockets": len(self._datagrams),
            "fragments_held": self._fragments.held,
            "memory_used": self.memory.used,
            "memory_refused": self.memory.refused,
            "dropped": self._counters.dropped,
        }
        for reason, count in sorted(self._counters.drops.items()):
            figures[f"dropped_{reason}"] = count
        return figures

    def connections(self) -> Iterator[tuple[Endpoint, Endpoint, State]]:
        """Local, remote and state of each connection, those in TIME-WAIT included: for display."""
        return iter(self._connections)

    # The long way in

    def _any_packet(self, octets: bytes, now: int, *, is_looped: bool) -> None:
        packet = self._parse_packet(octets, now)
        if packet is None:
            return
        reason = "" if is_looped else self.routes.objection(packet.source, packet.destination)  # EP-PRE-3
        if reason:
            self._counters.drop(reason, octets, now)
        elif packet.is_fragment:
            self._fragment_arrives(packet, now)
        else:
            self._whole_packet(packet, now)

    def _parse_packet(self, octets: bytes, now: int) -> Packet | None:
        try:
            return ip.parse(octets)
        except WireError as error:
            self._counters.drop(error.reason, octets, now)
            return None

    def _fragment_arrives(self, fragment: Packet, now: int) -> None:
        octets = self._fragments.add(fragment, now)
        packet = self._parse_packet(octets, now) if octets else None
        if packet is None:
            return
        if packet.is_fragment:  # fragments of fragments: only an attacker makes them
            self._counters.drop("fragment_nested", octets, now)
        else:
            self._whole_packet(packet, now)

    def _whole_packet(self, packet: Packet, now: int) -> None:
        reason = ""
        if packet.protocol == PROTOCOL:
            self._segment_arrives(packet, now)
        elif packet.protocol == udp.PROTOCOL:
            reason = self._datagram_arrives(packet, now)
        elif packet.protocol == control.protocol_for(packet.source):
            reason = self._control.arrives(packet, now, verify=self._verify)
        else:
            reason = "no_protocol"
            if packet.protocol != ip.NO_NEXT_HEADER:
                self._control.refuse_protocol(packet, now)
        if reason:
            self._counters.drop(reason, packet.octets, now)

    def _datagram_arrives(self, packet: Packet, now: int) -> str:
        """Why it is dropped, "" where a socket took it."""
        try:
            datagram = udp.parse(packet, verify=self._verify)
        except WireError as error:
            return error.reason
        reason = self._datagrams.arrives(datagram, packet.source, packet.destination)
        if reason == "no_port":
            self._control.refuse_port(packet, now)
        return reason

    def _segment_arrives(self, packet: Packet, now: int) -> None:
        octets, start = packet.octets, packet.start
        if not self.routes.owns(packet.destination):  # EP-PRE-3, MUST-57
            self._counters.drop("broadcast", octets, now)
            return
        if self._verify and not checksum_is_right(octets, start, packet.end, packet.source, packet.destination):  # EP-PRE-2
            self._counters.drop("bad_checksum", octets, now)
            return
        segment = self._parse(octets, start, packet.end, now)
        if segment is None:
            return
        segment.ecn = packet.traffic_class & _ECN
        if segment.source == 0 or segment.destination == 0:  # EP-PRE-4
            self._counters.drop("port_zero", octets, now)
            return
        key = packet.source + packet.destination + octets[start : start + 4]
        if not self._connections.segment_arrives(key, segment, packet, now):
            self._begins(packet, segment, now)

    def _begins(self, packet: Packet, segment: Segment, now: int) -> None:
        """A segment of no connection: a listener's, or a stranger's (EP-CLO-1 to 3; EP-LIS-2 answers an ACK alike)."""
        local = Endpoint(packet.destination, segment.destination)
        remote = Endpoint(packet.source, segment.source)
        listener = self._connections.passive.find(local.address, local.port)
        if listener is not None:
            authentication = None if listener.keys is None else listener.keys.authentication(local, remote)
            if authentication is not None and not self._is_authentic(authentication, segment, packet, now):
                return
            if segment.flags & (RST | ACK) != ACK:
                self._connections.give_to_listener(listener, local, remote, segment, authentication, packet.octets, now)
                return
            if authentication is None and self._connections.give_cookie(listener, local, remote, segment, packet.octets, now):
                return
        self._counters.drop("no_connection", packet.octets, now)
        reset = self._strangers.answer(segment, now)
        if reset is not None:
            payload = encode_for(reset, local.address, remote.address)
            config = self.config if listener is None else listener.config  # MUST-48, MUST-49
            traffic_class = config.traffic_class & ~_ECN
            self._outbound.send(
                local.address, remote.address, PROTOCOL, payload, now, hop_limit=config.hop_limit, traffic_class=traffic_class
            )

    def _is_authentic(self, authentication: Authentication, segment: Segment, packet: Packet, now: int) -> bool:
        """To a listener only a SYN can be: nobody knows the other numbers yet (RFC 5925, 5.2)."""
        reason = authentication.objection(packet.octets, packet.start, packet.end, segment, 0, UNKNOWN)
        if reason:  # RFC5925-7.3
            self._counters.drop(reason, packet.octets, now)
        return not reason

    def _parse(self, octets: bytes, start: int, end: int, now: int) -> Segment | None:
        try:
            segment = parse_segment(octets, start, end)
        except WireError as error:  # EP-PRE-1, EP-PRE-5
            self._counters.drop(error.reason, octets, now)
            return None
        self._segments_arrived += 1
        return segment

    # The way out

    def _encode(self, connection: Connection, segment: Segment, now: int) -> bytes:
        self._segments_sent += 1
        config = connection.tcb.config
        envelope = self._envelope
        if envelope is None:
            source, destination = connection.local.address, connection.remote.address
            bits = config.traffic_class & ~_ECN  # MUST-48, MUST-49
            envelope = self._envelope = ip.Envelope(source, destination, PROTOCOL, hop_limit=config.hop_limit, traffic_class=bits)
        if connection.authentication is None:
            payload = encode_summed(segment, envelope.words, config.option_layout)
        else:
            tcb = connection.tcb
            payload = connection.authentication.seal(segment, config.option_layout, tcb.snd.iss, tcb.known_irs)
        if ip.HEADER_4 + len(payload) > FLOOR_4:  # a large one may be a probe, and must not arrive in fragments
            return envelope.around(payload, segment.ecn)
        return self._small_packet(connection, payload, segment.ecn, envelope, now)

    def _small_packet(self, connection: Connection, payload: bytes, ecn: int, envelope: ip.Envelope, now: int) -> bytes:
        source, destination = connection.local.address, connection.remote.address
        if not pathmtu.may_be_fragmented(connection.tcb) and not self.routes.may_fragment(destination, now):
            return envelope.around(payload, ecn)
        return envelope.around(payload, ecn, self._outbound.identification(source, destination), dont_fragment=False)  # RFC 6864, 4.1

    def _leaves(self, octets: bytes, now: int) -> bytes:
        self._packets_sent += 1
        if self.observer is not None:
            self.observer.packet_sent(octets, now)
        return octets

    # What a call must check

    def _source(self, remote: bytes, chosen: str | bytes | None) -> bytes:
        if chosen is None:
            return self.routes.source_for(remote)  # MUST-44
        octets = _octets(chosen)  # MUST-43
        if len(octets) != len(remote):
            raise ArgumentError("local_address", to_text(octets), f"an address of the family of {to_text(remote)}")
        self.routes.require_own(octets)
        return octets

    def _own_or_wildcard(self, address: str | bytes | None) -> bytes:
        if address is None:
            return b""
        octets = _octets(address)
        if not is_unspecified(octets):
            self.routes.require_own(octets)
        return octets

    def _wildcard(self) -> bytes:
        """How b"" shows itself: as IPv6's where the host speaks it, which stands for both families."""
        has_6 = any(len(interface.address) == 16 for interface in self.routes.interfaces)
        return UNSPECIFIED_6 if has_6 else UNSPECIFIED_4

    def _unheard_port(self, address: bytes) -> int:
        for port in self._ports.candidates(address, b"", 0):
            if not self._connections.passive.offers(port):
                return port
        raise AddressInUse("no port is free to listen to")


def _octets(address: str | bytes) -> bytes:
    if isinstance(address, str):
        return parse(address)
    if len(address) not in (4, 16):
        raise ArgumentError("address", address, "4 or 16 octets")
    return address


def _require_port(port: int, lowest: int) -> int:
    if not lowest <= port <= 65535:
        raise ArgumentError("port", port, f"{lowest} to 65535")
    return port
