"""ICMP: what to make of a message that arrived, and which packets may be answered with one."""

from typing import Final

from postel.errors import (
    ConnectionRefused,
    HostUnreachable,
    MessageTooLong,
    NetworkUnreachable,
    TcpError,
    WireError,
)
from postel.host.connections import Connections
from postel.host.datagrams import Datagrams
from postel.host.outbound import Outbound
from postel.host.pairs import key_of
from postel.tcp import hosted
from postel.tcp.budget import Budget
from postel.tcp.connection import Connection
from postel.wire import icmp, ip, record_route, udp
from postel.wire.address import Endpoint, is_loopback, is_multicast
from postel.wire.icmp import IcmpMessage, Quoted
from postel.wire.ip import Packet
from postel.wire.segment import PROTOCOL

_ANSWERS_A_SECOND: Final = 1000
_HARD: Final = (
    icmp.NO_PROTOCOL,
    icmp.NO_PORT,
)  # RFC 9293, 3.9.2.2; "fragmentation needed" is a PACKET_TOO_BIG
_UNBELIEVED: Final = (icmp.NO_PROTOCOL, icmp.NO_PORT, icmp.PROHIBITED)
_QUERIES_4: Final = (
    0,
    8,
    9,
    10,
    13,
    14,
    15,
    16,
    17,
    18,
)  # types of IPv4's ICMP that aren't errors (RFC 1122, 3.2.2)
_FIRST_QUERY_6: Final = 128  # RFC 4443, 2.1
_REDIRECT_6: Final = 137
_TELL_ALWAYS: Final = 2  # the action of an IPv6 option, its two highest bits


def protocol_for(address: bytes) -> int:
    return icmp.PROTOCOL_4 if len(address) == 4 else icmp.PROTOCOL_6


def error_of(message: IcmpMessage) -> TcpError:
    """What the user hears of an UNREACHABLE, TIME_EXCEEDED or PARAMETER_PROBLEM."""
    if message.kind == icmp.TIME_EXCEEDED:
        return HostUnreachable("time exceeded on the way")
    if message.kind == icmp.PARAMETER_PROBLEM:
        return HostUnreachable("a router found a problem in the packet's header")
    if message.code in _HARD:
        return ConnectionRefused("no such port" if message.code == icmp.NO_PORT else "no such protocol")
    if message.code == icmp.NO_NETWORK:
        return NetworkUnreachable()
    return HostUnreachable("communication is prohibited" if message.code == icmp.PROHIBITED else "")


def is_hard(message: IcmpMessage) -> bool:
    """SHLD-26 against MUST-56: only that the other end itself said no."""
    return message.kind == icmp.UNREACHABLE and message.code in _HARD


class Icmp:
    """Sends what a host may say, at a rate that is drawn anew each second: its limit must not be a counter
    for others to read.
    """

    __slots__ = ("_connections", "_datagrams", "_echoes", "_errors", "_outbound", "_routes")

    def __init__(
        self, outbound: Outbound, connections: Connections, datagrams: Datagrams, secret: bytes
    ) -> None:
        self._outbound = outbound
        self._routes = outbound.routes
        self._connections = connections
        self._datagrams = datagrams
        self._errors = Budget(_ANSWERS_A_SECOND, secret + b"icmp")  # RFC 4443, 2.4 (f)
        self._echoes = Budget(_ANSWERS_A_SECOND, secret + b"echo")  # of their own: pings must not hide errors

    def arrives(self, packet: Packet, now: int, *, verify: bool) -> str:
        """Why the message is dropped; "" where something came of it."""
        try:
            message = icmp.parse(packet, verify=verify)
        except WireError as error:
            return error.reason
        if message.kind == icmp.ECHO_REQUEST:
            return "" if self._answer_echo(message, packet, now) else "echo"
        if message.kind == icmp.SOURCE_QUENCH:  # MUST-55, RFC6633-3
            return "source_quench"
        if not message.is_error:
            return "icmp_other"
        return "" if self._error_arrives(message, now) else "icmp_unrelated"

    # Errors about what we sent

    def _error_arrives(self, message: IcmpMessage, now: int) -> bool:
        """Whether there is a connection or a socket that sent the quoted packet (MUST-54)."""
        quoted = icmp.quote(message.body)
        if quoted is None:
            return False
        local = Endpoint(quoted.source, quoted.source_port)
        remote = Endpoint(quoted.destination, quoted.destination_port)
        if quoted.protocol == udp.PROTOCOL:
            return self._datagram_failed(local, remote, message, quoted.length, now)
        if quoted.protocol != PROTOCOL:
            return False
        connection = self._connections.by_key(key_of(local, remote))
        if connection is None or not hosted.is_in_flight(connection, quoted.seq):
            return False
        if _is_ignored(connection, message):
            return False
        if message.kind == icmp.PACKET_TOO_BIG:
            self._segment_too_big(connection, message, quoted, now)
        else:
            connection.network_error(error_of(message), now, hard=is_hard(message), number=quoted.seq)
        return True

    def _segment_too_big(
        self, connection: Connection, message: IcmpMessage, quoted: Quoted, now: int
    ) -> None:
        """Other connections learn of a smaller MTU when this one is settled."""
        mtu = self._routes.usable(quoted.destination, message.mtu, quoted.length, now)
        if mtu:
            connection.packet_too_big(mtu, quoted.seq, now)

    def _datagram_failed(
        self, local: Endpoint, remote: Endpoint, message: IcmpMessage, length: int, now: int
    ) -> bool:
        if message.kind != icmp.PACKET_TOO_BIG:
            return self._datagrams.trouble(local, remote, error_of(message))
        if self._datagrams.find(local, remote) is None:
            return False
        mtu = self._routes.usable(remote.address, message.mtu, length, now)
        if 0 < mtu < self._routes.mtu_to(remote.address, now):  # never raised by a claim
            self._routes.learn(remote.address, mtu, now)  # larger datagrams go as fragments from now on
            self._datagrams.trouble(
                local, remote, MessageTooLong(f"a datagram was lost: the path carries {mtu} octets")
            )
        return True

    # What we say

    def refuse_port(self, packet: Packet, now: int) -> bool:
        """RFC 1122, 4.1.3.1: no socket takes this datagram."""
        return self._answer(icmp.unreachable(icmp.NO_PORT, packet), packet, now)

    def refuse_connection(self, code: int, packet: Packet, now: int) -> bool:
        """RFC 1122, 3.2.2.1: what the program says of a SYN."""
        return self._answer(icmp.unreachable(code, packet), packet, now)

    def refuse_protocol(self, packet: Packet, now: int) -> bool:
        """RFC 1122, 3.2.2.1; over IPv6 it is an "unrecognized next header" (RFC 4443, 3.4)."""
        if packet.version == 4:
            return self._answer(icmp.unreachable(icmp.NO_PROTOCOL, packet), packet, now)
        pointer = ip.place_received(packet, packet.named_at)
        return self._answer(icmp.parameter_problem(ip.UNRECOGNIZED_NEXT_HEADER, pointer, packet), packet, now)

    def refuse_header(self, octets: bytes, first: Packet | None, error: WireError, now: int) -> bool:
        """RFC 1122, 3.2.2.5 and 3.3.5; RFC 4443, 3.4: what is wrong with a packet that came, ``first`` its
        first fragment.

        Nothing is told where the source is this host: it makes no such packets, so the packet is a forgery
        from the link.
        """
        try:
            packet = ip.outline(octets)
        except WireError:
            return False
        if self._routes.is_forged(packet.source):
            return False
        packet.first = first
        if packet.version == 4 and error.code == ip.SOURCE_ROUTE_FAILED:
            return self._answer(icmp.unreachable(icmp.SOURCE_ROUTE_FAILED, packet), packet, now)
        problem = icmp.parameter_problem(error.code, ip.place_received(packet, error.pointer), packet)
        if _is_told_of_multicast(packet, error):
            return self._answer_multicast(problem, packet, now)
        return self._answer(problem, packet, now)

    def tell_time_exceeded(self, first: Packet, now: int) -> bool:
        return self._answer(icmp.time_exceeded(icmp.IN_REASSEMBLY, first), first, now)

    def _answer_echo(self, request: IcmpMessage, packet: Packet, now: int) -> bool:
        """RFC 1122, 3.2.2.6 and RFC 4443, 4.2: from the address that was asked. Echoes to a broadcast aren't
        answered (Smurf).
        """
        if not self._routes.owns(packet.destination) or not self._echoes.claim(now):
            return False
        source = packet.destination
        return self._send(icmp.echo_reply(request), packet, source, now, _options_back(packet, now))

    def _answer(self, message: IcmpMessage, packet: Packet, now: int) -> bool:
        """RFC 1122, 3.2.2: never about a packet to a broadcast or multicast address, or from what is no
        single host.

        Nor about an ICMP error, or IPv4's fragments but the first (RFC 1122, 3.2.2; RFC 4443, 2.4 (e)).
        """
        if not self._routes.owns(packet.destination) or self._may_not_be_told(packet):
            return False
        return self._errors.claim(now) and self._send(message, packet, packet.destination, now)

    def _answer_multicast(self, message: IcmpMessage, packet: Packet, now: int) -> bool:
        """As `_answer`, from one of our addresses (RFC 4443, 2.2)."""
        if self._may_not_be_told(packet):
            return False
        try:
            source = self._routes.source_for(packet.source)
        except NetworkUnreachable:
            return False
        return self._errors.claim(now) and self._send(message, packet, source, now)

    def _may_not_be_told(self, packet: Packet) -> bool:
        if packet.version == 4 and packet.fragment_offset:
            return True
        is_of_one = self._routes.is_unicast(packet.source) or is_loopback(packet.source)
        return not is_of_one or _is_error(packet)

    def _send(
        self, message: IcmpMessage, packet: Packet, source: bytes, now: int, options: bytes = b""
    ) -> bool:
        octets = icmp.encode(message, source, packet.source)
        return self._outbound.send(source, packet.source, protocol_for(source), octets, now, options=options)


def _options_back(request: Packet, now: int) -> bytes:
    """RFC 1122, 3.2.2.6: an echo's Record Route and Timestamp options come back with our entry."""
    came = request.first or request
    if came.version == 6 or came.start == ip.HEADER_4:
        return b""
    return record_route.updated(came.octets[ip.HEADER_4 : came.start], request.destination, now)


def _is_ignored(connection: Connection, message: IcmpMessage) -> bool:
    """RFC5925-7.8: a connection that signs its segments doesn't believe a message without a signature.

    ICMPv6's "packet too big" must be believed.
    """
    authentication = connection.authentication
    if authentication is None or authentication.heeds_icmp or not hosted.is_synchronized(connection):
        return False
    if message.kind == icmp.PACKET_TOO_BIG:
        return len(connection.local.address) == 4
    return message.kind == icmp.UNREACHABLE and message.code in _UNBELIEVED


def _is_told_of_multicast(packet: Packet, error: WireError) -> bool:
    """RFC 4443, 2.4 (e.3); RFC 8200, 4.2: of an option with the action 10 the source is told wherever the
    packet went.
    """
    is_multicast_6 = packet.version == 6 and is_multicast(packet.destination)
    return (
        is_multicast_6
        and error.code == ip.UNRECOGNIZED_OPTION
        and packet.octets[error.pointer] >> 6 == _TELL_ALWAYS
    )


def _is_error(packet: Packet) -> bool:
    """Whether the packet is an ICMP error or a redirect; of what is cut before the type, and of unknown
    types, it is assumed.

    A fragment of ICMPv6 that isn't the first says nothing of its type, and RFC 8200, 4.5 wants answers to bad
    ones.
    """
    if packet.protocol != protocol_for(packet.source) or packet.fragment_offset:
        return False
    kind = packet.octets[packet.start] if packet.start < packet.end else 0
    if packet.version == 4:
        return packet.start >= packet.end or kind not in _QUERIES_4
    return kind < _FIRST_QUERY_6 or kind == _REDIRECT_6
