"""ICMP in and out."""

import pytest

from postel.errors import ConnectionRefused, HostUnreachable, MessageTooLong, NetworkUnreachable
from postel.host import icmp as host_icmp
from postel.host.host import Host
from postel.tcp.events import Trouble
from postel.tcp.state import CLOSED, ESTABLISHED, SYN_SENT
from postel.times import MINUTE, SECOND
from postel.wire import icmp, ip
from postel.wire.address import Endpoint, parse, to_text
from postel.wire.icmp import IcmpMessage
from postel.wire.segment import ACK, SYN
from tests.host.conftest import Peer

FAMILIES = pytest.mark.parametrize(("source", "target"), [("10.0.0.9", "10.0.0.1"), ("fd00::9", "fd00::1")])


def connected(peer: Peer, host: Host, port: int = 7000):
    """A connection of the host to the peer, with ten full segments in flight; the packets."""
    connection = host.connect(to_text(peer.address), port, peer.now, local_address=to_text(peer.target))
    syn = peer.segment(peer.drain())
    reply = {"port": port, "to": connection.local.port, "ack": syn.seq + 1, "seq": 1000}
    peer.give(peer.tcp(SYN | ACK, mss=1440, **reply))
    connection.send(bytes(100_000), peer.now)
    peer.events.clear()
    return connection, peer.drain()


@FAMILIES
def test_an_echo_is_answered_from_the_address_that_was_asked(
    host: Host, new_peer: type[Peer], source: str, target: str
):
    peer = new_peer(host, source, target)
    (octets,) = peer.give(peer.control(IcmpMessage(icmp.ECHO_REQUEST, 0, 0x12340001, b"hello")))
    packet = ip.parse(octets)
    assert (packet.source, packet.destination) == (peer.target, peer.address)
    assert icmp.parse(packet) == IcmpMessage(icmp.ECHO_REPLY, 0, 0x12340001, b"hello")


def test_an_echo_to_all_is_not_answered(peer: Peer):
    assert (
        peer.give(
            peer.control(IcmpMessage(icmp.ECHO_REQUEST, 0, 1, b"smurf"), destination=parse("10.0.0.255"))
        )
        == []
    )
    assert peer.dropped("echo") == 1


def test_what_is_not_for_a_host_is_dropped(peer: Peer):
    peer.give(
        peer.control(IcmpMessage(icmp.ECHO_REPLY)),
        peer.control(IcmpMessage(icmp.UNREACHABLE, 0, 0, b"short")),
    )
    damaged = bytearray(peer.control(IcmpMessage(icmp.ECHO_REQUEST)))
    damaged[-1] ^= 1
    peer.give(bytes(damaged))
    assert (peer.dropped("icmp_other"), peer.dropped("icmp_unrelated"), peer.dropped("bad_checksum")) == (
        1,
        1,
        1,
    )


@pytest.mark.label("MUST-54")
@FAMILIES
def test_must_54_an_error_finds_its_connection(host: Host, new_peer: type[Peer], source: str, target: str):
    peer = new_peer(host, source, target)
    connection = host.connect(to_text(peer.address), 7000, peer.now)
    (syn,) = peer.drain()
    peer.give(peer.control(icmp.unreachable(icmp.NO_HOST, ip.parse(syn))))
    assert connection.state is SYN_SENT  # MUST-56
    assert [type(event.error) for _, event in peer.events] == [HostUnreachable]
    peer.give(peer.control(icmp.unreachable(icmp.NO_PORT, ip.parse(syn))))
    assert connection.state is CLOSED  # SHLD-26
    assert isinstance(peer.events[-1][1].error, ConnectionRefused)


@pytest.mark.label("RFC5927-5.2")
@FAMILIES
def test_rfc5927_5_2_hard_is_soft_once_synchronized(
    host: Host, new_peer: type[Peer], source: str, target: str
):
    peer = new_peer(host, source, target)
    connection, packets = connected(peer, host)
    peer.give(peer.control(icmp.unreachable(icmp.NO_PORT, ip.parse(packets[0]))))
    assert connection.state is ESTABLISHED
    assert [type(event).__name__ for _, event in peer.events] == ["Trouble"]


def test_an_error_reaches_a_half_open_child_and_ends_it_silently(host: Host, peer: Peer):
    host.listen(80, peer.now)
    (answer,) = peer.give(peer.tcp(SYN))
    peer.give(peer.control(icmp.unreachable(icmp.NO_PORT, ip.parse(answer))))
    assert list(host.connections()) == []
    assert peer.events == []


def test_kinds_and_codes():
    def error(kind: int, code: int = 0) -> type:
        return type(host_icmp.error_of(IcmpMessage(kind, code)))

    assert error(icmp.TIME_EXCEEDED) is HostUnreachable
    assert error(icmp.PARAMETER_PROBLEM) is HostUnreachable
    assert error(icmp.UNREACHABLE, icmp.NO_NETWORK) is NetworkUnreachable
    assert error(icmp.UNREACHABLE, icmp.NO_HOST) is HostUnreachable
    assert error(icmp.UNREACHABLE, icmp.PROHIBITED) is HostUnreachable
    assert error(icmp.UNREACHABLE, icmp.NO_PORT) is ConnectionRefused
    assert error(icmp.UNREACHABLE, icmp.NO_PROTOCOL) is ConnectionRefused
    assert [code for code in range(16) if host_icmp.is_hard(IcmpMessage(icmp.UNREACHABLE, code))] == [2, 3]
    assert not host_icmp.is_hard(IcmpMessage(icmp.TIME_EXCEEDED, 3))


@FAMILIES
def test_too_big_shrinks_the_segments_and_teaches_the_route(
    host: Host, new_peer: type[Peer], source: str, target: str
):
    peer = new_peer(host, source, target)
    connection, packets = connected(peer, host)
    assert max(map(len, packets)) > 1400
    again = peer.give(peer.control(icmp.packet_too_big(1300, ip.parse(packets[0]))))
    assert again
    assert max(map(len, again)) <= 1300
    assert connection._tcb.path.mtu == 1300
    assert host.connect(to_text(peer.address), 9, peer.now)._tcb.path.mtu == 1300
    peer.now += 11 * MINUTE
    assert host.connect(to_text(peer.address), 10, peer.now)._tcb.path.mtu == 1500


def test_a_path_below_our_floor_is_used_without_dont_fragment(host: Host, peer: Peer):
    connection, packets = connected(peer, host)
    again = [
        ip.parse(octets) for octets in peer.give(peer.control(icmp.packet_too_big(100, ip.parse(packets[0]))))
    ]
    assert again
    assert {packet.dont_fragment for packet in again} == {False}
    assert len({packet.identification for packet in again}) == len(again)
    assert connection._tcb.path.mtu == 552


def udp_socket(host: Host, peer: Peer):
    socket = host.datagrams(1234)
    socket.send(b"x" * 1400, peer.now, remote=peer.endpoint(53))
    (octets,) = peer.drain()
    return socket, ip.parse(octets)


@FAMILIES
def test_rfc1122_4_1_3_3_an_error_finds_its_datagram_socket(
    host: Host, new_peer: type[Peer], source: str, target: str
):
    peer = new_peer(host, source, target)
    socket, packet = udp_socket(host, peer)
    peer.give(peer.control(icmp.unreachable(icmp.NO_PORT, packet)))
    ((subject, event),) = peer.events
    assert subject is socket
    assert isinstance(event, Trouble)
    assert isinstance(event.error, ConnectionRefused)


@FAMILIES
def test_a_datagram_too_big_goes_in_fragments_the_next_time(
    host: Host, new_peer: type[Peer], source: str, target: str
):
    peer = new_peer(host, source, target)
    socket, packet = udp_socket(host, peer)
    peer.give(peer.control(icmp.packet_too_big(1280, packet)))
    assert isinstance(peer.events[0][1].error, MessageTooLong)
    peer.give(peer.control(icmp.packet_too_big(1280, packet)))  # no lower than known: no news
    assert len(peer.events) == 1
    socket.send(b"x" * 1400, peer.now, remote=peer.endpoint(53))
    assert [ip.parse(octets).is_fragment for octets in peer.drain()] == [True, True]


def test_errors_about_datagrams_that_nobody_sent(host: Host, peer: Peer):
    socket, packet = udp_socket(host, peer)
    socket.close()
    peer.give(
        peer.control(icmp.unreachable(icmp.NO_PORT, packet)), peer.control(icmp.packet_too_big(600, packet))
    )
    assert peer.dropped("icmp_unrelated") == 2
    assert host.routes.mtu_to(peer.address, peer.now) == 1500
    strange = ip.encode(peer.target, peer.address, 132, bytes(20))
    peer.give(peer.control(icmp.unreachable(icmp.NO_PORT, ip.parse(strange))))
    assert peer.dropped("icmp_unrelated") == 3


@FAMILIES
def test_rfc1122_4_1_3_1_a_datagram_for_nobody_is_refused(
    host: Host, new_peer: type[Peer], source: str, target: str
):
    peer = new_peer(host, source, target)
    octets = peer.datagram(b"anybody?")
    (message,) = peer.messages(peer.give(octets))
    assert (message.kind, message.code) == (icmp.UNREACHABLE, icmp.NO_PORT)
    quoted = icmp.quote(message.body)
    assert (quoted.source, quoted.source_port, quoted.destination_port) == (peer.address, 5000, 53)
    assert peer.dropped("no_port") == 1


def test_no_refusal_about_a_broadcast(peer: Peer):
    assert peer.give(peer.datagram(b"all?", destination=parse("255.255.255.255"))) == []
    assert peer.give(ip.encode(peer.address, parse("10.0.0.255"), 132, b"all?")) == []


def test_no_refusal_about_fragments_of_an_icmp_error(host: Host, peer: Peer):
    error = icmp.encode(IcmpMessage(icmp.UNREACHABLE, 1, 0, bytes(1000)), peer.address, peer.target)
    first = ip.fragments(peer.address, peer.target, 1, error, 576, identification=1)[0]
    assert peer.give(first) == []
    assert peer.advance(MINUTE) == []
    empty = ip.parse(ip.encode(peer.address, peer.target, 1, b""))
    assert host._icmp.tell_time_exceeded(empty, peer.now) is False


def test_an_unknown_next_header_is_a_parameter_problem(host: Host, new_peer: type[Peer]):
    peer = new_peer(host, "fd00::9", "fd00::1")
    (message,) = peer.messages(peer.give(ip.encode(peer.address, peer.target, 132, b"what?")))
    assert (message.kind, message.code, message.rest) == (icmp.PARAMETER_PROBLEM, 1, 6)
    # ICMP of the other family is no ICMP
    assert peer.give(ip.encode(peer.address, peer.target, icmp.PROTOCOL_4, bytes(8)))


def test_refusals_are_limited(peer: Peer):
    counts = []
    for _ in range(3):
        counts.append(sum(len(peer.give(peer.datagram(b"?"))) for _ in range(1500)))
        peer.now += SECOND
    assert all(500 <= count <= 1000 for count in counts)
    assert len(set(counts)) > 1


def test_a_quoted_pair_of_two_families_is_nobodys(host: Host, peer: Peer):
    body = bytes([0x60]) + bytes(39) + bytes(8)
    peer.give(peer.control(IcmpMessage(icmp.UNREACHABLE, 1, 0, body)))
    assert peer.dropped("icmp_unrelated") == 1
    assert host.datagrams(7, remote=Endpoint(peer.address, 9)).local == Endpoint(peer.target, 7)
