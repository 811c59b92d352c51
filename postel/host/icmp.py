"""ICMP of a host: what it does with a message that arrives, and which packets it answers with one."""

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
# Codes that end a connection: RFC 9293, 3.9.2.2 names "fragmentation needed" as a third, but here that is the
# kind PACKET_TOO_BIG
_HARD: Final = (icmp.NO_PROTOCOL, icmp.NO_PORT)
_UNBELIEVED: Final = (icmp.NO_PROTOCOL, icmp.NO_PORT, icmp.PROHIBITED)  # codes that RFC 5925, 7.8 ignores
# Types of IPv4's ICMP that aren't errors (RFC 1122, 3.2.2)
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
)
_FIRST_QUERY_6: Final = 128  # ICMPv6 types below this number are errors (RFC 4443, 2.1)
_REDIRECT_6: Final = 137
_TELL_ALWAYS: Final = 2  # the two highest bits of an IPv6 option's type: answer even a multicast packet


def protocol_for(address: bytes) -> int:
    """Protocol number of ICMP in the IP version of this address."""
    return icmp.PROTOCOL_4 if len(address) == 4 else icmp.PROTOCOL_6


def error_of(message: IcmpMessage) -> TcpError:
    """Error that the program gets for an UNREACHABLE, TIME_EXCEEDED or PARAMETER_PROBLEM."""
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
    """Whether a message says that the other host itself refuses (SHLD-26 against MUST-56).

    Such a message ends a connection that is being opened. Any other error is only reported to the program.
    """
    return message.kind == icmp.UNREACHABLE and message.code in _HARD


class Icmp:
    """Processes ICMP messages, and sends errors and echo replies.

    Errors and replies each have a limit per second. The limit is random and changes each second, so that an
    attacker can't use it as a counter of packets.
    """

    __slots__ = ("_connections", "_datagrams", "_echoes", "_errors", "_outbound", "_routes")

    def __init__(
        self, outbound: Outbound, connections: Connections, datagrams: Datagrams, secret: bytes
    ) -> None:
        """Use these parts of the host. The limits derive from ``secret``."""
        self._outbound = outbound
        self._routes = outbound.routes
        self._connections = connections
        self._datagrams = datagrams
        self._errors = Budget(_ANSWERS_A_SECOND, secret + b"icmp")  # RFC 4443, 2.4 (f)
        # Pings have a limit of their own, so that they don't use up that of errors
        self._echoes = Budget(_ANSWERS_A_SECOND, secret + b"echo")

    def arrives(self, packet: Packet, now: int, *, verify: bool) -> str:
        """Process a message. Returns the reason why it is dropped, or "" if it had an effect."""
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

    # Errors about packets of this host

    def _error_arrives(self, message: IcmpMessage, now: int) -> bool:
        """Report an error to the connection or socket that sent the quoted packet (MUST-54).

        Returns whether there is such a connection or socket.
        """
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
        """Report a smaller path MTU to a connection. `Connections.settle` then stores it for others."""
        mtu = self._routes.usable(quoted.destination, message.mtu, quoted.length, now)
        if mtu:
            connection.packet_too_big(mtu, quoted.seq, now)

    def _datagram_failed(
        self, local: Endpoint, remote: Endpoint, message: IcmpMessage, length: int, now: int
    ) -> bool:
        """Report an ICMP error to the UDP socket that sent the datagram. Returns whether there is one."""
        if message.kind != icmp.PACKET_TOO_BIG:
            return self._datagrams.trouble(local, remote, error_of(message))
        if self._datagrams.find(local, remote) is None:
            return False
        mtu = self._routes.usable(remote.address, message.mtu, length, now)
        if 0 < mtu < self._routes.mtu_to(remote.address, now):  # an ICMP message never raises the path MTU
            self._routes.learn(remote.address, mtu, now)  # from now on larger datagrams go in fragments
            self._datagrams.trouble(
                local, remote, MessageTooLong(f"a datagram was lost: the path carries {mtu} octets")
            )
        return True

    # Errors and replies of this host

    def refuse_port(self, packet: Packet, now: int) -> bool:
        """Answer a datagram that no socket takes with "port unreachable" (RFC 1122, 4.1.3.1)."""
        return self._answer(icmp.unreachable(icmp.NO_PORT, packet), packet, now)

    def refuse_connection(self, code: int, packet: Packet, now: int) -> bool:
        """Answer a SYN with "destination unreachable", as the program says (RFC 1122, 3.2.2.1)."""
        return self._answer(icmp.unreachable(code, packet), packet, now)

    def refuse_protocol(self, packet: Packet, now: int) -> bool:
        """Answer a packet of an unknown protocol.

        The answer is "protocol unreachable" in IPv4 (RFC 1122, 3.2.2.1), "unrecognized next header" in IPv6
        (RFC 4443, 3.4).
        """
        if packet.version == 4:
            return self._answer(icmp.unreachable(icmp.NO_PROTOCOL, packet), packet, now)
        pointer = ip.place_received(packet, packet.named_at)
        return self._answer(icmp.parameter_problem(ip.UNRECOGNIZED_NEXT_HEADER, pointer, packet), packet, now)

    def refuse_header(self, octets: bytes, first: Packet | None, error: WireError, now: int) -> bool:
        """Answer a packet that `ip.parse` refused with a parameter problem.

        RFC 1122, 3.2.2.5; RFC 4443, 3.4. A failed source route has a message of its own (RFC 1122, 3.3.5).
        ``first`` is the first fragment of a packet that arrived in fragments. A packet with an own source
        address isn't answered: this host makes no such packets, so the source address is forged.
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
        """Send ICMP "time exceeded" about a first fragment, because the others didn't arrive in time."""
        return self._answer(icmp.time_exceeded(icmp.IN_REASSEMBLY, first), first, now)

    def _answer_echo(self, request: IcmpMessage, packet: Packet, now: int) -> bool:
        """Answer an echo request, from the address to which it was sent (RFC 1122, 3.2.2.6; RFC 4443, 4.2).

        A request to a broadcast address isn't answered ("smurf" attack).
        """
        if not self._routes.owns(packet.destination) or not self._echoes.claim(now):
            return False
        source = packet.destination
        return self._send(icmp.echo_reply(request), packet, source, now, _options_back(packet, now))

    def _answer(self, message: IcmpMessage, packet: Packet, now: int) -> bool:
        """Send an error about a packet, where that is allowed, from the address to which the packet was sent.

        No error may be sent (RFC 1122, 3.2.2; RFC 4443, 2.4 (e)) about a packet to a broadcast or multicast
        address, from an address that isn't a single host's, about another ICMP error, and in IPv4 about
        fragments other than the first.
        """
        if not self._routes.owns(packet.destination) or self._may_not_be_told(packet):
            return False
        return self._errors.claim(now) and self._send(message, packet, packet.destination, now)

    def _answer_multicast(self, message: IcmpMessage, packet: Packet, now: int) -> bool:
        """Send an error about a packet that went to a multicast address; its source is an own address.

        RFC 4443, 2.2.
        """
        if self._may_not_be_told(packet):
            return False
        try:
            source = self._routes.source_for(packet.source)
        except NetworkUnreachable:
            return False
        return self._errors.claim(now) and self._send(message, packet, source, now)

    def _may_not_be_told(self, packet: Packet) -> bool:
        """Whether no ICMP error about this packet may be sent to its source (RFC 1122, 3.2.2)."""
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
    """Options of an echo reply: the request's Record Route and Timestamp, with an own entry.

    RFC 1122, 3.2.2.6.
    """
    came = request.first or request
    if came.version == 6 or came.start == ip.HEADER_4:
        return b""
    return record_route.updated(came.octets[ip.HEADER_4 : came.start], request.destination, now)


def _is_ignored(connection: Connection, message: IcmpMessage) -> bool:
    """RFC5925-7.8: whether a connection that signs its segments ignores this unsigned message.

    ICMPv6's "packet too big" isn't ignored, because in IPv6 routers don't fragment.
    """
    authentication = connection.authentication
    if authentication is None or authentication.heeds_icmp or not hosted.is_synchronized(connection):
        return False
    if message.kind == icmp.PACKET_TOO_BIG:
        return len(connection.local.address) == 4
    return message.kind == icmp.UNREACHABLE and message.code in _UNBELIEVED


def _is_told_of_multicast(packet: Packet, error: WireError) -> bool:
    """Whether an ICMP error about an unknown option answers a packet to a multicast address.

    It does if the option's type begins with the bits 10 (RFC 4443, 2.4 (e.3); RFC 8200, 4.2).
    """
    is_multicast_6 = packet.version == 6 and is_multicast(packet.destination)
    return (
        is_multicast_6
        and error.code == ip.UNRECOGNIZED_OPTION
        and packet.octets[error.pointer] >> 6 == _TELL_ALWAYS
    )


def _is_error(packet: Packet) -> bool:
    """Whether a packet is an ICMP error or a redirect, which must not be answered.

    A packet with an unknown type, or without its type, counts as an error. But a fragment of ICMPv6 other
    than the first may be answered: its type isn't known, and RFC 8200, 4.5 asks for answers to bad fragments.
    """
    if packet.protocol != protocol_for(packet.source) or packet.fragment_offset:
        return False
    kind = packet.octets[packet.start] if packet.start < packet.end else 0
    if packet.version == 4:
        return packet.start >= packet.end or kind not in _QUERIES_4
    return kind < _FIRST_QUERY_6 or kind == _REDIRECT_6
