"""Many connections behind one link: packets, calls and time in; packets and events out.

The contract is that of `postel.tcp.connection`. The pump, after any call: `next_packet` until None,
`next_event` until None, again from the start if events led to calls, then arm for `next_timeout`.

A segment's way in is one look-up: the addresses and ports stand side by side in a plain packet, octets 12 to
24 of IPv4 and 8 to 44 of IPv6, and that slice is the key of its connection. Everything that isn't found so
takes the long way, `_any_packet`.
"""

from collections.abc import Iterator
from typing import Final

from postel.errors import ArgumentError, InsufficientResources, WireError, require_number
from postel.host import icmp, orphans
from postel.host.arguments import require_choices, require_flag, require_now, require_octets, require_port
from postel.host.datagrams import DatagramSocket
from postel.host.departures import Departures
from postel.host.fragments import Fragments
from postel.host.listener import EVERY_PORT, AnyPort, Listener
from postel.host.packet_record import PacketRecord
from postel.host.requests import ANSWER_WITHIN, LONGEST_WAIT
from postel.tcp.authentication.keychain import Keychain
from postel.tcp.config import DEFAULT, MEBIBYTE, Config, first_send_limit
from postel.tcp.connection import Connection
from postel.tcp.events import Event
from postel.tcp.observer import Observer
from postel.tcp.state import State
from postel.times import NEVER
from postel.wire import checksum, ip, udp
from postel.wire.address import Address, Endpoint, octets_of
from postel.wire.ip import Packet
from postel.wire.parcel import Parcel
from postel.wire.segment import PROTOCOL, SYN, Segment, checksum_is_right, parse_leniently
from postel.wire.segment import parse as parse_segment

_PLAIN_4: Final = 0x45  # version 4, header of 20 octets
_NOT_PLAIN: Final = 0xBF  # of octet 6: all but "don't fragment"
_LEAST_SEGMENT: Final = 20
_ECN: Final = 3  # of the traffic class (RFC 3168, 5)
_LEAST_HEAD: Final = 40  # octets of IPv4's and TCP's headers, of which the short way in looks at each

HostEvent = tuple[Connection, Event] | tuple[Listener, Event] | tuple[DatagramSocket, Event]


class Host(Departures):
    """Many connections and sockets behind one link, for one thread, as each of its connections is.

    ``addresses`` are as "10.7.0.2/24" or "fd00::2/64". ``secret`` is the only source of what no other may
    guess: initial sequence numbers, ports and cookies follow from it. Without one the host can't be used
    before a driver, such as `postel.aio.attach`, has drawn one for it. ``mtu`` is the largest packet, 68 …
    65535 octets; without one it is that of the link on which a driver puts the host, and 1500 until then.

    Packets to 127.0.0.0/8, ::1 and the host's own addresses stay in the host, which needs no address for
    that: `next_packet` never gives them, so no link and no `PacketObserver` sees them; an ``observer`` is
    told of their segments as of all others. They arrive at the moment at which they are sent, in the next
    `handle_timeout`. Packets from the link with such a source are dropped.

    ``gateway`` is the default router's address, or a tuple with one of each family (`Routes.add` of
    ``routes`` for others). ``config`` is what connections choose that are given none of their own, None for
    `DEFAULT`. ``any_address`` accepts packets to every unicast address, as a tunnel's end or a test wants it.
    ``memory_limit`` is what all connections may buffer together, in octets. ``orphan_limit`` is how many
    released connections may go on at once: one more ends the oldest. ``verify_checksums=False`` trusts the
    link with the segments' checksums.
    """

    def __init__(
        self,
        *addresses: Address,
        secret: bytes | None = None,
        mtu: int | None = None,
        config: Config | None = None,
        observer: Observer | None = None,
        any_address: bool = False,
        gateway: Address | tuple[Address, ...] = (),
        memory_limit: int = 256 * MEBIBYTE,
        orphan_limit: int = orphans.MOST,
        verify_checksums: bool = True,
    ) -> None:
        super().__init__(
            addresses,
            secret=secret,
            mtu=mtu,
            config=DEFAULT if config is None else config,
            observer=observer,
            any_address=any_address,
            gateway=gateway,
            memory_limit=memory_limit,
            orphan_limit=orphan_limit,
        )
        require_flag("verify_checksums", verify_checksums)
        self._verifies = verify_checksums
        self._verify = verify_checksums  # the packet at hand
        self._stride = 0  # of the parcel at hand
        self._table = self._connections.table
        # A driver that gives packets in batches drains events where this has a listener
        self.crowded: set[Listener] = self._connections.passive.crowded
        self._fragments = Fragments(self._counters)
        self._packets_arrived = 0
        self._segments_arrived = 0

    def join(self, mtu: int, secret: bytes, now: int) -> None:
        """Settle what the constructor left open: the MTU and the secret. For a driver that puts the host on a
        link.

        Raises ArgumentError.
        """
        super().join(mtu, secret, now)
        self._table = self._connections.table
        self.crowded = self._connections.passive.crowded

    # Calls

    def connect(
        self,
        address: Address,
        port: int,
        now: int,
        *,
        local_address: Address | None = None,
        local_port: int = 0,
        config: Config | None = None,
        data: bytes = b"",
        keys: Keychain | None = None,
    ) -> Connection:
        """An active OPEN. Events follow: Opened, or Closed with what prevented it.

        ``data`` is sent first; as much as the send buffer takes at first is allowed. Where `Config.fast_open`
        is "client" or "both" it goes with the SYN where the server gave a cookie before, as far as it fits
        (RFC 7413): for data that may arrive twice (6.1). With ``keys`` for this address every segment is
        signed, and without a right signature none is heard.

        Raises ArgumentError, NetworkUnreachable, AddressNotAvailable, AddressInUse, InsufficientResources.
        """
        self.require_secret()
        require_now(now)
        require_choices(config, keys)
        require_octets("data", data)
        config = config or self.config
        limit = first_send_limit(config)
        if len(data) > limit:
            raise ArgumentError(
                "data", len(data), f"{limit} octets or less, which is what the send buffer takes at first"
            )
        remote = Endpoint(octets_of(address), require_port(port, 1))
        self.routes.require_one_host(remote.address)  # MUST-46
        source = self.routes.choose_source(
            remote.address, None if local_address is None else octets_of(local_address, "local_address")
        )
        if not self._connections.relief.has_memory(now) or (
            data and len(data) > self.memory.room_for(None)
        ):  # EP-OPEN-3
            raise InsufficientResources
        connection = self._connections.open(
            source, require_port(local_port, 0, "local_port"), remote, config, keys, now
        )
        if data:
            connection.send(data, now)
        return connection

    def listen(
        self,
        port: int | AnyPort,
        now: int,
        *,
        address: Address | None = None,
        backlog: int = 128,
        config: Config | None = None,
        keys: Keychain | None = None,
        ask: bool = False,
        answer_within: int = ANSWER_WITHIN,
    ) -> Listener:
        """A passive OPEN for any remote. Without an ``address``, to all of the host's, of both families; port
        0 takes a free one, and ANY_PORT all at which no other listener is, of every address there may be
        where the host has ``any_address``.

        ``backlog`` bounds the half-open connections, and again those that wait in `accept`. Peers that have
        ``keys`` must sign. With ``ask`` nothing answers a SYN before the program does: Asked tells of a
        request, `Listener.next_request` gives it, and `Listener.answer` says what becomes of it. As many as
        ``backlog`` wait at once, each for ``answer_within`` microseconds. Raises ArgumentError,
        AddressNotAvailable, AddressInUse.
        """
        self.require_secret()
        require_now(now)
        require_number("backlog", backlog, 1, NEVER, "1 or more")
        require_number("answer_within", answer_within, 1, LONGEST_WAIT, f"1 to {LONGEST_WAIT} microseconds")
        require_choices(config, keys)
        require_flag("ask", ask)
        octets = self._own_or_unspecified(address)
        number = EVERY_PORT
        if not isinstance(port, AnyPort):
            number = require_port(port, 0) or self._connections.unused.port_to_listen(octets)
        local = Endpoint(octets or self.routes.wildcard, number)
        listener = self._connections.passive.open(octets, local, backlog, config or self.config, keys)
        if ask:
            listener.ask_first(self._answering, answer_within)
        return listener

    def datagrams(
        self, port: int = 0, *, address: Address | None = None, remote: Endpoint | None = None
    ) -> DatagramSocket:
        """A UDP socket; with a ``remote``, for that one alone.

        Without an ``address`` it sends and hears by all of the host's, of both families; with "0.0.0.0" by
        those of IPv4 alone, with "::" by those of IPv6. A ``remote`` of the other family is an ArgumentError.

        Raises ArgumentError, AddressNotAvailable, AddressInUse, NetworkUnreachable.
        """
        self.require_secret()
        octets = self._own_or_unspecified(address)
        if remote is not None:
            octets = self._datagrams.source_to(remote, octets)
        return self._datagrams.open(octets, require_port(port, 0), remote, self.routes.wildcard)

    # The network

    def packet_arrives(self, octets: bytes, now: int, *, text: bytes = b"") -> None:
        """A packet from the link, whole, from the IP header on. Whatever it holds, nothing is raised: what
        can't be used is counted.

        ``text`` follows ``octets``, where a link has vouched for them and taken them apart behind TCP's
        header (`parcel_arrives`).
        """
        self._packets_arrived += 1
        size = len(octets) + len(text)
        connection: Connection | None = None
        start = end = mark = 0
        if (
            size >= 40
            and octets[0] == _PLAIN_4
            and octets[9] == PROTOCOL
            and not (octets[6] & _NOT_PLAIN or octets[7])
        ):
            connection = self._table.get(octets[12:24])
            start, end = 20, octets[2] << 8 | octets[3]
            mark = octets[1] & _ECN
        elif size >= 60 and octets[0] >> 4 == 6 and octets[6] == PROTOCOL:
            connection = self._table.get(octets[8:44])
            start, end = 40, 40 + (octets[4] << 8 | octets[5])
            mark = octets[1] >> 4 & _ECN
        if connection is None or connection.is_looped or not start + _LEAST_SEGMENT <= end <= size:
            self._any_packet(octets + text, now, is_looped=False)
            return
        end -= len(text)
        if self._verify:
            is_right = start == 40 or checksum.is_right(octets[:20])
            if not is_right or not checksum.plain_payload_is_right(octets, start, end, PROTOCOL):  # EP-PRE-2
                self._counters.drop("bad_checksum", octets, now)
                return
        segment = self._parse(octets, start, end, now, text)
        if segment is None:
            return
        segment.ecn = mark
        keys, end = connection.authentication, end + len(text)
        if keys is None or self._connections.is_authentic(
            connection, segment, octets + text, start, end, now
        ):
            if segment.flags & SYN:
                self._connections.give(connection, segment, octets, now)
            else:
                connection.segment_arrives(segment, now)

    def parcel_arrives(self, parcel: Parcel, now: int) -> None:
        """As `packet_arrives`, from a link that checks and joins packets itself.

        What a link says that makes no sense is as harmless as what a packet holds.
        """
        self._verify = self._verifies and not parcel.is_vouched
        self._stride = parcel.stride
        if parcel.is_vouched and len(parcel.head) >= _LEAST_HEAD:
            self.packet_arrives(parcel.head, now, text=parcel.text)
        else:
            self.packet_arrives(parcel.head + parcel.text, now)
        self._verify = self._verifies
        self._stride = 0

    def record_arrives(self, record: PacketRecord, now: int) -> None:
        """As `packet_arrives`, of a packet that another host of this process made by `next_record`, and that
        arrives undamaged.

        The same record may arrive at one host alone, and once.
        """
        connection = self._table.get(record.key)
        segment = record.segment
        if (
            connection is None
            or connection.is_looped
            or connection.authentication is not None
            or segment.flags & SYN
        ):
            self.packet_arrives(record.octets(), now)
            return
        self._packets_arrived += 1
        self._segments_arrived += 1
        connection.segment_arrives(segment, now)

    def next_event(self) -> HostEvent | None:
        """The object that it concerns, and the event, oldest first; None where nothing is left to tell."""
        connections = self._connections
        if connections.events.queue:
            return connections.events.pop()
        if connections.acceptable.queue:
            return connections.acceptable.pop()
        if self._datagrams.events.queue:
            return self._datagrams.events.pop()
        return connections.relief.next_writer() if self.memory.writers else None

    @property
    def has_output(self) -> bool:
        """Whether `next_packet` or `next_event` may have something, so that it is time to drain them."""
        is_busy = self._draining is not None or self._connections.has_output
        return is_busy or self._outbound.has_output or bool(self._datagrams.events)

    # Time

    def next_timeout(self) -> int:
        """When to call `handle_timeout`; NEVER if nothing is pending. What waits in `next_packet` is not a
        matter of time.
        """
        first = min(self._connections.next_timeout(), self._fragments.next_timeout())
        return min(first, self._outbound.looped_at)

    def handle_timeout(self, now: int) -> None:
        """Do what has become due by ``now``. Raises ArgumentError for a ``now`` that is negative or no int;
        packets may bring any.
        """
        require_now(now)
        self._connections.handle_timeout(now)
        for first in self._fragments.expire(now):
            self._icmp.tell_time_exceeded(first, now)
        for octets in self._outbound.pop_looped():  # not what these lead to: that comes with the next pump
            self._any_packet(octets, now, is_looped=True)

    # What there is

    def statistics(self) -> dict[str, int]:
        """Totals since the start, gauges, and under ``dropped_…`` what became of every packet that was not
        used.
        """
        figures = {
            "packets_arrived": self._packets_arrived,
            "packets_sent": self._packets_sent,
            "segments_arrived": self._segments_arrived,
            "segments_sent": self._segments_sent,
        }
        figures.update(self._connections.figures())
        figures["datagram_sockets"] = len(self._datagrams)
        figures["fragments_held"] = self._fragments.held
        figures.update(self._counters.figures())
        return figures

    def connections(self) -> Iterator[tuple[Endpoint, Endpoint, State]]:
        """Local, remote and state of each connection, those in TIME-WAIT included: for display."""
        return iter(self._connections)

    # The long way in

    def _any_packet(self, octets: bytes, now: int, *, is_looped: bool) -> None:
        self.bell.ring()
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

    def _parse_packet(self, octets: bytes, now: int, first: Packet | None = None) -> Packet | None:
        try:
            return ip.parse(octets)
        except WireError as error:
            self._counters.drop(error.reason, octets, now)
            if error.code >= 0:
                self._icmp.refuse_header(octets, first, error, now)
            return None

    def _fragment_arrives(self, fragment: Packet, now: int) -> None:
        whole = self._fragments.add(fragment, now)
        packet = None if whole is None else self._parse_packet(whole.octets, now, whole.first)
        if whole is None or packet is None:
            return
        octets, packet.first = whole
        self._verify = self._verifies  # a link that vouches for a fragment doesn't for the others
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
        elif packet.protocol == icmp.protocol_for(packet.source):
            reason = self._icmp.arrives(packet, now, verify=self._verify)
        else:
            reason = "no_protocol"
            if packet.protocol != ip.NO_NEXT_HEADER:
                self._icmp.refuse_protocol(packet, now)
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
            self._icmp.refuse_port(packet, now)
        return reason

    def _segment_arrives(self, packet: Packet, now: int) -> None:
        octets, start = packet.octets, packet.start
        if not self.routes.owns(packet.destination):  # EP-PRE-3, MUST-57
            self._counters.drop("broadcast", octets, now)
            return
        if self._verify and not checksum_is_right(
            octets, start, packet.end, packet.source, packet.destination
        ):  # EP-PRE-2
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
            self._unclaimed.arrives(packet, segment, self.config, now)

    def _parse(self, octets: bytes, start: int, end: int, now: int, text: bytes = b"") -> Segment | None:
        try:
            segment = parse_segment(octets, start, end)
        except WireError as error:  # EP-PRE-1, EP-PRE-5
            lenient = self._parse_leniently(octets, start, end, error, now)
            if lenient is None:
                return None
            segment = lenient
        if text:
            segment.append(text)
        if self._stride:
            segment.divide(self._stride)
        self._segments_arrived += segment.packets
        return segment

    def _parse_leniently(
        self, octets: bytes, start: int, end: int, error: WireError, now: int
    ) -> Segment | None:
        """MUST-7: options that can't be followed are ignored, and counted."""
        try:
            if error.reason == "bad_option":
                segment = parse_leniently(octets, start, end)
                self._counters.malformed_options += 1
                return segment
        except WireError:
            pass
        self._counters.drop(error.reason, octets, now)
        return None
