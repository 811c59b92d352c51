"""The host: many connections and sockets behind one link.

Packets, calls and time go in; packets and events come out.

The contract is that of `postel.tcp.connection`. After any call the driver (asyncio, trio, threads, or your
own code) runs the *pump*: it takes `next_packet` until None, then `next_event` until None, begins again where
the events led to new calls, and then arms a timer for `next_timeout`.

Theory of operation (demultiplexing). A segment belongs to the connection with the same addresses and ports.
In a plain packet, one without IPv4 options or IPv6 extension headers, these four fields stand side by side::

    octet     0             12           16           20     22     24
    IPv4      │ ...         │ source     │ destination│ port │ port │ sequence number ...
                            └──────────── key ─────────────────────┘
    octet     0             8            24           40     42     44
    IPv6      │ ...         │ source     │ destination│ port │ port │ sequence number ...
                            └──────────── key ─────────────────────┘

So `packet_arrives` finds the connection by one slice and one look-up in a dictionary, however many
connections there are. This is the short way. All other packets take the long way, `_any_packet`::

    packet_arrives ──► connection in the table ──► checksum ──► Connection.segment_arrives
         │ otherwise
         └──► IP header ──► source and destination allowed? ──► fragments: reassemble
                ├── TCP     checksum ──► exact pair ──► record of TIME-WAIT ──► half-open, or SYN cache
                │                        ──► listener: SYN, or SYN cookie ──► RST
                ├── UDP     checksum ──► socket ──► else ICMP "port unreachable"
                ├── ICMP    checksum ──► echo reply, or an error to the connection or socket that it quotes
                └── other   ICMP "protocol unreachable"

A packet that isn't used is counted with the reason (`Host.statistics`); the ``octets`` of a packet never
raise an exception.
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

_PLAIN_4: Final = 0x45  # the first octet of IPv4 without options: version 4, header of 20 octets
_NOT_PLAIN: Final = 0xBF  # bits of octet 6 that are zero in a whole packet: all but "don't fragment"
_LEAST_SEGMENT: Final = 20
_ECN: Final = 3  # the two bits of the traffic class that are the ECN field (RFC 3168, 5)
_LEAST_HEAD: Final = 40  # octets of the smallest IP and TCP headers, which the short way reads

# What `Host.next_event` returns: an event, and the connection, listener or UDP socket that it concerns
HostEvent = tuple[Connection, Event] | tuple[Listener, Event] | tuple[DatagramSocket, Event]


class Host(Departures):
    """Many connections and UDP sockets behind one link. A host belongs to one thread.

    A host does no I/O: `postel.aio.attach` and other drivers run it, or your own code, as here::

        the link's packets ──► packet_arrives      next_packet ──► the link
        the clock          ──► handle_timeout      next_timeout ──► the next call of handle_timeout
        the program        ──► connect, listen,    next_event ──► the program
                               datagrams

    >>> client = Host("10.0.0.1/24", secret=b"the client's secret")
    >>> server = Host("10.0.0.2/24", secret=b"the server's secret")
    >>> listener = server.listen(80, now=0)
    >>> connection = client.connect("10.0.0.2", 80, now=0)
    >>> for sender, receiver in ((client, server), (server, client), (client, server)):  # SYN, SYN,ACK, ACK
    ...     while (packet := sender.next_packet(0)) is not None:
    ...         receiver.packet_arrives(packet, 0)
    >>> client.next_event()[1], server.next_event()[1], connection.state.value
    (Opened(), Acceptable(), 'ESTABLISHED')

    It takes these arguments, and raises ArgumentError for values that aren't allowed:
        addresses: the host's addresses with their networks, such as "10.7.0.2/24" and "fd00::2/64".
        secret: the octets from which initial sequence numbers, ports and cookies follow. Nothing else makes
            them unpredictable. A host without a secret can't be used until a driver, such as
            `postel.aio.attach`, has made one for it.
        mtu: the size of the largest packet, 68 to 65535 octets. By default it is the MTU of the link to which
            a driver attaches the host, and 1500 before that.
        config: the options of connections that aren't given their own; None for `DEFAULT`.
        observer: an `Observer` that is called for every segment and state change.
        any_address: whether the host accepts packets to every unicast address, as the end of a tunnel or a
            test may want.
        gateway: the address of the default router, or a tuple with one for each IP version. ``routes.add``
            makes further routes.
        memory_limit: how many octets all connections may buffer together.
        orphan_limit: how many released connections may go on at once; one more ends the oldest.
        verify_checksums: False to accept TCP segments, UDP datagrams and ICMP messages without a check,
            because the link has checked them.

    Packets to the host's own addresses, to 127.0.0.0/8 and to ::1 stay in the host, and the host needs no
    address for that. `next_packet` never returns them, so that no link and no `PacketObserver` sees them. The
    ``observer`` is called for their segments as for all others. These packets arrive at the time at which
    they are sent, in the next `handle_timeout`. A packet from the link with such a source address is dropped.

    It has these attributes:
        config: the default options of connections; replace it at any time.
        routes: the host's addresses and routes (`Routes.add`, `Routes.add_default`, `Routes.remove`).
        memory: how much of ``memory_limit`` is used.
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
        """Make a host with these addresses and limits, as the class describes."""
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
        self._verify = verify_checksums  # whether to check the packet that is being processed
        self._stride = 0  # ``stride`` of the parcel that is being processed
        self._table = self._connections.table
        # Listeners with a full accept queue. While there are any, a driver that passes packets in batches
        # stops and takes events, so that the program can accept connections
        self.crowded: set[Listener] = self._connections.passive.crowded
        self._fragments = Fragments(self._counters)
        self._packets_arrived = 0
        self._segments_arrived = 0

    def join(self, mtu: int, secret: bytes, now: int) -> None:
        """Set the MTU and the secret that the constructor wasn't given. Drivers call this for their link.

        Raises ArgumentError.
        """
        super().join(mtu, secret, now)
        self._table = self._connections.table
        self.crowded = self._connections.passive.crowded

    # User calls

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
        """Open a connection to ``address`` and ``port`` (active OPEN: RFC 9293, 3.10.1).

        The event Opened follows, or Closed with the error that prevented the connection.

        It takes these arguments:
            address: the peer's address, as text or as an object of `ipaddress`.
            port: the peer's port, 1 to 65535.
            now: the time in microseconds.
            local_address: the own address to connect from; by default the one nearest to the peer.
            local_port: the own port; 0 takes a free ephemeral port.
            config: the options of the connection; by default those of the host.
            data: octets to send first, at most the initial size of the send buffer. With
                `Config.fast_open` "client" or "both" they go with the SYN as far as they fit, if the server
                gave a cookie before (RFC 7413). They may then arrive twice (RFC 7413, 6.1).
            keys: the keys for signed segments. If they have a key for the address, every segment is signed,
                and segments without a right signature are dropped.

        Raises CallError where the host has no secret; ArgumentError; NetworkUnreachable where no packet can
        be sent to the address, or it isn't the address of a single host; AddressNotAvailable where
        ``local_address`` isn't the host's; AddressInUse where the pair of endpoints is in use, or no port is
        free; InsufficientResources where ``memory_limit`` is reached.
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
        """Listen to a port for connections from any peer (passive OPEN: RFC 9293, 3.10.1).

        The event Acceptable follows for each connection that `Listener.accept` can take.

        It takes these arguments:
            port: 1 to 65535; 0 takes a free port, which is then in ``Listener.local``. ANY_PORT listens to
                every port at which no other listener is.
            now: the time in microseconds.
            address: the own address to listen at; by default all addresses of both IP versions, "0.0.0.0" for
                all of IPv4, "::" for all of IPv6.
            backlog: how many half-open connections there may be, and how many connections may wait in
                `accept`.
            config: the options of the connections; by default those of the host.
            keys: the keys for signed segments. A peer for which they have a key must sign.
            ask: whether the program decides about each SYN before it is answered. The event Asked then
                reports a request, `Listener.next_request` returns the request, and `Listener.answer`
                answers it.
            answer_within: how long a request waits for its answer, in microseconds; at most ``backlog``
                requests wait.

        Raises CallError where the host has no secret; ArgumentError; AddressNotAvailable where the address
        isn't the host's; AddressInUse where another listener has the address and port, or no port is free.
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
        """Open a UDP socket (RFC 768).

        The event Readable follows when datagrams arrive, and Trouble after ICMP errors about sent ones.

        It takes these arguments:
            port: 1 to 65535; 0 takes a free ephemeral port, which is then in ``DatagramSocket.local``.
            address: the own address for sending and receiving; by default all addresses of both IP versions,
                "0.0.0.0" for all of IPv4, "::" for all of IPv6.
            remote: the only endpoint to which the socket sends, and from which it receives.

        Raises CallError where the host has no secret; ArgumentError, also for a ``remote`` of another IP
        version than ``address``; AddressNotAvailable where the address isn't the host's; AddressInUse where
        the port is in use or none is free; NetworkUnreachable where no packet can be sent to ``remote``.
        """
        self.require_secret()
        octets = self._own_or_unspecified(address)
        if remote is not None:
            octets = self._datagrams.source_to(remote, octets)
        return self._datagrams.open(octets, require_port(port, 0), remote, self.routes.wildcard)

    # Packets and events

    def packet_arrives(self, octets: bytes, now: int, *, text: bytes = b"") -> None:
        """Process a whole packet from the link, from its IP header on.

        Nothing in the packet raises an exception: a packet that can't be used is counted (`statistics`) and
        dropped. Events and answers follow in `next_event` and `next_packet`. ``text`` is the TCP payload
        behind ``octets``, where the link has delivered it apart and has checked the whole (`parcel_arrives`).
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
        """Process a packet from a link that checks checksums and joins packets itself.

        A parcel with fields that contradict each other raises no exception, as a wrong packet doesn't.
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
        """Process a packet that another host of this process made with `next_record`.

        The packet isn't checked for damage. Pass each record only once, to one host.
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
        """Return the oldest event and its connection, listener or UDP socket; None where no event waits."""
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
        """Whether `next_packet` or `next_event` may return something, so that the driver should call them."""
        is_busy = self._draining is not None or self._connections.has_output
        return is_busy or self._outbound.has_output or bool(self._datagrams.events)

    # Timers

    def next_timeout(self) -> int:
        """Return when to call `handle_timeout`, in microseconds; NEVER where no timer runs.

        Packets that wait in `next_packet` don't count.
        """
        first = min(self._connections.next_timeout(), self._fragments.next_timeout())
        return min(first, self._outbound.looped_at)

    def handle_timeout(self, now: int) -> None:
        """Process all timers that have expired by ``now``; harmless when none has.

        Raises ArgumentError for a ``now`` that isn't an int or is negative.
        """
        require_now(now)
        self._connections.handle_timeout(now)
        for first in self._fragments.expire(now):
            self._icmp.tell_time_exceeded(first, now)
        for octets in self._outbound.pop_looped():  # answers to these arrive in the next call
            self._any_packet(octets, now, is_looped=True)

    # State

    def statistics(self) -> dict[str, int]:
        """Return counters and gauges by name.

        Counters count from the start of the host: ``packets_arrived``, ``segments_sent`` and others. Gauges
        such as ``connections``, ``half_open``, ``time_wait`` and ``memory_used`` (octets) are the present
        numbers. ``dropped_REASON`` counts the packets that weren't used, by reason, such as
        ``dropped_bad_checksum``; ``dropped`` is their sum.
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
        """Iterate over local endpoint, remote endpoint and state of each connection.

        Those in TIME-WAIT are included. The iterator is for display: the host must not be called meanwhile.
        """
        return iter(self._connections)

    # The long way: packets that the short way of `packet_arrives` doesn't take

    def _any_packet(self, octets: bytes, now: int, *, is_looped: bool) -> None:
        """Process a packet that the short way doesn't take. ``is_looped``: the host itself sent it."""
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
        """Parse the IP header; None where it is wrong.

        A wrong packet is counted as dropped, and an ICMP error goes to its sender.
        """
        try:
            return ip.parse(octets)
        except WireError as error:
            self._counters.drop(error.reason, octets, now)
            if error.code >= 0:
                self._icmp.refuse_header(octets, first, error, now)
            return None

    def _fragment_arrives(self, fragment: Packet, now: int) -> None:
        """Add a fragment, and process the whole packet if it was the last one missing."""
        whole = self._fragments.add(fragment, now)
        packet = None if whole is None else self._parse_packet(whole.octets, now, whole.first)
        if whole is None or packet is None:
            return
        octets, packet.first = whole
        self._verify = self._verifies  # the link has checked the last fragment only
        if packet.is_fragment:  # a fragment of a fragment, which only an attacker makes
            self._counters.drop("fragment_nested", octets, now)
        else:
            self._whole_packet(packet, now)

    def _whole_packet(self, packet: Packet, now: int) -> None:
        """Process a packet that isn't a fragment, by its protocol."""
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
        """Give a datagram to its socket. Returns why it is dropped, "" where a socket took it."""
        try:
            datagram = udp.parse(packet, verify=self._verify)
        except WireError as error:
            return error.reason
        reason = self._datagrams.arrives(datagram, packet.source, packet.destination)
        if reason == "no_port":
            self._icmp.refuse_port(packet, now)
        return reason

    def _segment_arrives(self, packet: Packet, now: int) -> None:
        """Check a TCP segment, and give it to its connection or listener, or answer it with RST."""
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
        """Parse a TCP segment. A wrong segment gives None, and is counted as dropped."""
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
        """MUST-7: ignore options that can't be followed, and count the segment."""
        try:
            if error.reason == "bad_option":
                segment = parse_leniently(octets, start, end)
                self._counters.malformed_options += 1
                return segment
        except WireError:
            pass
        self._counters.drop(error.reason, octets, now)
        return None
