"""Segments of no connection: for a listener, or answered with RST (RFC 9293, 3.10.7.1 and 3.10.7.2)."""

from typing import Final

from postel.host.connections import Connections
from postel.host.outbound import Outbound
from postel.host.resets import Resets
from postel.tcp.authentication import UNKNOWN, Authentication
from postel.tcp.config import Config
from postel.tcp.output import reset_for
from postel.wire.address import Endpoint
from postel.wire.ip import Packet
from postel.wire.segment import ACK, PROTOCOL, RST, Segment, encode_for

_ECN: Final = 3  # the two bits of the traffic class that are the ECN field (RFC 3168, 5)


class Unclaimed:
    """Handler of segments without a connection: it gives them to a listener, or answers with RST."""

    __slots__ = ("_connections", "_counters", "_outbound", "_resets")

    def __init__(self, connections: Connections, outbound: Outbound, secret: bytes) -> None:
        """Use these parts of the host. The limit of RSTs derives from ``secret``."""
        self._connections = connections
        self._counters = outbound.counters
        self._outbound = outbound
        self._resets = Resets(secret)

    def arrives(self, packet: Packet, segment: Segment, config: Config, now: int) -> None:
        """EP-CLO-1 to 3, EP-LIS-2: give a segment to its listener, or answer it with RST.

        ``config`` is the host's, for a RST if there is no listener.
        """
        local = Endpoint(packet.destination, segment.destination)
        remote = Endpoint(packet.source, segment.source)
        listener = self._connections.passive.find(local.address, local.port)
        if listener is not None:
            config = listener.config
            authentication = None if listener.keys is None else listener.keys.authentication(local, remote)
            if authentication is not None and not self._is_authentic(authentication, segment, packet, now):
                return
            if segment.flags & (RST | ACK) != ACK:
                self._connections.give_to_listener(
                    listener, local, remote, segment, authentication, packet.octets, now
                )
                return
            if authentication is None and self._connections.give_cookie(
                listener, local, remote, segment, packet.octets, now
            ):
                return
        self._counters.drop("no_connection", packet.octets, now)
        reset = self._resets.answer(segment, now)
        if reset is not None:
            self._send(reset, local, remote, config, now)

    def refuse(self, syn: Segment, local: Endpoint, remote: Endpoint, config: Config, now: int) -> None:
        """Answer a SYN with RST because the program says so. The limit of RSTs per second doesn't apply."""
        self._send(reset_for(syn), local, remote, config, now)

    def _send(self, reset: Segment, local: Endpoint, remote: Endpoint, config: Config, now: int) -> None:
        self._outbound.send(
            local.address,
            remote.address,
            PROTOCOL,
            encode_for(reset, local.address, remote.address),
            now,
            hop_limit=config.hop_limit,  # MUST-49
            traffic_class=config.traffic_class & ~_ECN,  # MUST-48
        )

    def _is_authentic(
        self, authentication: Authentication, segment: Segment, packet: Packet, now: int
    ) -> bool:
        """Whether a SYN to a listener with keys has a right signature.

        Other segments can't have a right signature: the initial sequence numbers that it covers aren't known
        yet (RFC 5925, 5.2).
        """
        reason = authentication.objection(packet.octets, packet.start, packet.end, segment, 0, UNKNOWN)
        if reason:  # RFC5925-7.3
            self._counters.drop(reason, packet.octets, now)
        return not reason
