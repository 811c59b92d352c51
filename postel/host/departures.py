"""Outgoing packets of a host: ICMP and datagrams first, then segments of its connections in turn.

``_outbound`` holds packets that no connection sends, such as ICMP and datagrams; they go first. Then the host
takes the segments of one connection after another, at most 64 packets of each in a row.
"""

from typing import Final

from postel.host import encapsulation
from postel.host.packet_record import PacketRecord
from postel.host.pairs import key_of
from postel.host.settings import Settings
from postel.tcp.config import Config
from postel.tcp.connection import Connection
from postel.tcp.observer import Observer
from postel.wire import ip
from postel.wire.address import Address
from postel.wire.parcel import Parcel, finished
from postel.wire.segment import Segment, plain_header

_TURN: Final = 64  # most packets of one connection before the next connection sends


class Departures(Settings):
    """The half of `Host` that makes packets for the link."""

    def __init__(
        self,
        addresses: tuple[Address, ...],
        *,
        secret: bytes | None,
        mtu: int | None,
        config: Config,
        observer: Observer | None,
        any_address: bool,
        gateway: Address | tuple[Address, ...],
        memory_limit: int,
        orphan_limit: int,
    ) -> None:
        """Make the parts of the host, with the arguments of `Host`."""
        super().__init__(
            addresses,
            secret=secret,
            mtu=mtu,
            config=config,
            observer=observer,
            any_address=any_address,
            gateway=gateway,
            memory_limit=memory_limit,
            orphan_limit=orphan_limit,
        )
        self._draining: Connection | None = None  # connection that sends now
        self._drained = 0  # packets that this connection has sent in a row
        self._addressed: Connection | None = None  # connection to which ``_envelope`` belongs
        self._config = self.config  # options of that connection when the envelope was made
        self._envelope: ip.Envelope | None = None
        self._keyed: Connection | None = None  # connection to which ``_key`` belongs
        self._key = b""
        self._packets_sent = 0
        self._segments_sent = 0

    def next_packet(self, now: int) -> bytes | None:
        """Return the next packet for the link, from its IP header on; None where there is none.

        ``now`` is the time in microseconds.
        """
        queue = self._outbound.queue
        while not queue:
            connection = self._next_sender(now)
            if connection is None:
                return None
            segment = self._next_segment(connection, now)
            if segment is None:
                continue
            if segment.stride:
                queue.extend(finished(self._pack(connection, segment, now)))
            else:
                self._packets_sent += 1
                return self._encode(connection, segment, now)
        self._packets_sent += 1
        return queue.popleft()

    def next_parcel(self, now: int) -> Parcel | None:
        """Return the next packet for a link that cuts segments and computes checksums, or None.

        A parcel may stand for many packets (`use_offload`). A signed segment is a packet of its own, with its
        checksum.
        """
        while not self._outbound.queue:
            connection = self._next_sender(now)
            if connection is None:
                return None
            segment = self._next_segment(connection, now)
            if segment is not None:
                self._packets_sent += segment.packets
                return self._pack(connection, segment, now)
        packet = self.next_packet(now)
        return None if packet is None else Parcel(packet)

    def next_record(self, now: int) -> PacketRecord | bytes | None:
        """Return the next packet for another host of this process, if possible without writing it out.

        A segment with no options other than timestamps, and without a signature, comes as a `PacketRecord`
        for `Host.record_arrives` of the other host. All other packets (ICMP, datagrams, resets, other
        segments) come as octets. Returns None where there is none.
        """
        while not self._outbound.queue:
            connection = self._next_sender(now)
            if connection is None:
                return None
            segment = self._next_segment(connection, now)
            if segment is None:
                continue
            if segment.stride:
                self._outbound.queue.extend(finished(self._pack(connection, segment, now)))
            else:
                self._packets_sent += 1
                return self._record(connection, segment, now) or self._encode(connection, segment, now)
        self._packets_sent += 1
        return self._outbound.queue.popleft()

    def _record(self, connection: Connection, segment: Segment, now: int) -> PacketRecord | None:
        """Record of a segment's packet; None where the packet has to be written out."""
        header = plain_header(segment)
        if not header or connection.authentication is not None:
            return None
        if not encapsulation.stays_whole(connection, header + len(segment.data), self._outbound, now):
            return None
        self._segments_sent += 1
        if self._keyed is not connection:
            # The key of the pair at the other host, for which the two ends are exchanged
            self._keyed, self._key = connection, key_of(connection.remote, connection.local)
        around = self._envelope_of(connection)
        return PacketRecord(
            segment, header, connection.remote.address, self._key, around, self._config.option_layout
        )

    def _next_sender(self, now: int) -> Connection | None:
        """Connection that sends now: the one that was sending, else the next in the queue of connections.

        If that queue is empty, the host's packets to itself become due, and the queue is read once more.
        Returns None if it is still empty.
        """
        if self._draining is None:
            self._draining = self._connections.pop_next()
            self._drained = 0
            if self._draining is None:
                self.loop_back(now)
                self._draining = self._connections.pop_next()
        return self._draining

    def loop_back(self, now: int) -> None:
        """Let packets to the host itself arrive in the next `handle_timeout`, which is due ``now``.

        `next_packet` does the same before it returns None. A driver calls this where its link has no room.
        """
        while (connection := self._connections.pop_looped()) is not None:
            while (segment := connection.next_segment(now)) is not None:
                self._outbound.looped.append(self._encode(connection, segment, now))
            self._connections.settle(connection, now)
        self._outbound.let_looped_arrive(now)

    def _next_segment(self, connection: Connection, now: int) -> Segment | None:
        """Next segment of the connection that sends; None if it has no more.

        After 64 packets of this connection the next one sends.
        """
        segment = connection.next_segment(now)
        if segment is None:
            self._draining = None
            self._connections.settle(connection, now)
            return None
        self._drained += segment.packets
        if self._drained >= _TURN:
            self._draining = None
            self._connections.put_off(connection, now)
        return segment

    def _encode(self, connection: Connection, segment: Segment, now: int) -> bytes:
        self._segments_sent += 1
        around = self._envelope_of(connection)
        return encapsulation.packet(connection, self._config, segment, around, self._outbound, now)

    def _pack(self, connection: Connection, segment: Segment, now: int) -> Parcel:
        self._segments_sent += segment.packets
        around = self._envelope_of(connection)
        return encapsulation.parcel(connection, self._config, segment, around, self._outbound, now)

    def _envelope_of(self, connection: Connection) -> ip.Envelope:
        """Constant header fields of this connection's packets.

        Sets ``_config`` to the connection's options.
        """
        config = connection._tcb.config
        if self._addressed is not connection or self._envelope is None or self._config is not config:
            self._addressed, self._config = connection, config
            self._envelope = encapsulation.envelope(connection, config)
        return self._envelope
