"""The tables, the agenda, loops and limits."""

from collections.abc import Callable

import pytest

from postel.errors import AddressInUse
from postel.host.host import Host
from postel.tcp.config import FIRST_RECEIVE_BUFFER, FIRST_SEND_BUFFER, Config
from postel.tcp.events import READABLE
from postel.tcp.state import CLOSED, ESTABLISHED
from postel.times import MINUTE, NEVER, SECOND
from postel.wire.address import Endpoint, parse
from postel.wire.segment import ACK, SYN
from postel.wire.segment import parse as parse_segment
from tests.host.conftest import Pair, Peer


@pytest.mark.label("RFC6056-3.3c")
def test_rfc6056_3_3c_exhaustion_is_an_error(host: Host):
    connections = host._connections
    remote = Endpoint(parse("10.0.0.9"), 80)
    placeholder = host.connect("10.0.0.9", 81, 0)
    for port in range(1024, 65536):
        connections.table[remote.address + parse("10.0.0.1") + b"\0\x50" + port.to_bytes(2, "big")] = (
            placeholder
        )
    with pytest.raises(AddressInUse, match="no port is free"):
        host.connect("10.0.0.9", 80, 0)


@pytest.mark.soak
def test_no_port_left_to_listen_to(host: Host):
    listeners = [host.listen(port, 0) for port in range(1024, 65536)]
    with pytest.raises(AddressInUse, match="no port is free"):
        host.listen(0, 0)
    listeners[7].close(0)
    assert host.listen(0, 0).local.port == 1031


def test_an_idle_connection_has_no_timer(pair: Pair):
    pair.connect()
    pair.advance(MINUTE)
    assert pair.left.next_timeout() == NEVER
    assert pair.right.next_timeout() == NEVER


def test_both_ends_in_one_host(host: Host, peer: Peer):
    """Packets to ourselves never reach the link."""
    listener = host.listen(80, peer.now)
    client = host.connect("10.0.0.1", 80, peer.now)
    assert peer.advance(SECOND) == []
    server = listener.accept()
    assert client.state is server.state is ESTABLISHED
    client.send(b"inside", peer.now)
    assert peer.advance(SECOND) == []
    assert server.receive(99, peer.now) == b"inside"
    client.release(peer.now)
    server.release(peer.now)
    assert peer.advance(5 * MINUTE) == []
    assert list(host.connections()) == []
    assert host.next_timeout() == NEVER


def test_the_agenda_is_served_in_order(host: Host, peer: Peer):
    for port in (1, 2, 3):
        host.connect("10.0.0.9", port, peer.now)
    assert [segment.destination for segment in peer.segments(peer.drain())] == [1, 2, 3]


def test_a_connection_with_much_to_send_lets_others_have_their_turn(new_pair: Callable[..., Pair]):
    """Its acknowledgements may open its window again and again. Nor do its own events wait until it has
    nothing more to send.
    """
    pair = new_pair(config=Config(send_buffer=1 << 20, receive_buffer=1 << 20))
    busy, server, _ = pair.connect()
    other, _, _ = pair.connect(81)
    for _ in range(8):
        busy.send(bytes(200_000), pair.now)
        pair.advance(SECOND)
        server.receive(1 << 20, pair.now)
    server.send(b"to read", pair.now)
    pair.left.packet_arrives(pair.right.next_packet(pair.now), pair.now)
    busy.send(bytes(200_000), pair.now)
    other.send(b"me too", pair.now)
    ports = []
    while (packet := pair.left.next_packet(pair.now)) is not None:
        ports.append(parse_segment(packet, 20, len(packet)).destination)
        if len(ports) == 65:
            assert pair.left.next_event() == (busy, READABLE)
    assert ports[:66] == [80] * 64 + [81, 80]


def test_packets_between_two_drains(pair: Pair):
    """A driver may put packets in while a connection isn't drained to its end."""
    client, server, _ = pair.connect()
    client.send(bytes(5000), pair.now)
    server.send(bytes(5000), pair.now)
    first = pair.left.next_packet(pair.now)
    pair.left.packet_arrives(pair.right.next_packet(pair.now), pair.now)
    pair.right.packet_arrives(first, pair.now)
    pair.advance(SECOND)
    assert client.readable == server.readable == 5000


def test_retransmission_by_the_hosts_timer(pair: Pair):
    client, server, _ = pair.connect()
    lost = []
    pair.lose = lambda _sender, octets: not lost and not lost.append(octets)
    client.send(b"once more", pair.now)
    pair.advance(5 * SECOND)
    assert lost
    assert server.receive(99, pair.now) == b"once more"


def test_a_closed_listener_leaves_its_children_alone(pair: Pair):
    client, server, listener = pair.connect()
    listener.close(pair.now)
    client.send(b"still", pair.now)
    pair.advance(SECOND)
    assert server.receive(99, pair.now) == b"still"
    refused = pair.left.connect("10.0.0.2", 80, pair.now)
    pair.pump()
    assert refused.state is CLOSED


@pytest.mark.label("BAD-ISN-2")
def test_bad_isn_2_the_same_pair_again_at_once(host: Host, peer: Peer):
    first = host.connect("10.0.0.9", 80, peer.now, local_port=5555)
    before = peer.segment(peer.drain()).seq
    first.abort(peer.now)
    peer.drain()
    peer.now += 4
    host.connect("10.0.0.9", 80, peer.now, local_port=5555)
    assert peer.segment(peer.drain()).seq == (before + 1) % 2**32


def test_simultaneous_open_between_two_hosts(pair: Pair):
    left = pair.left.connect("10.0.0.2", 2000, pair.now, local_port=1000)
    right = pair.right.connect("10.0.0.1", 1000, pair.now, local_port=2000)
    packets = [pair.left.next_packet(pair.now), pair.right.next_packet(pair.now)]
    pair.left.packet_arrives(packets[1], pair.now)
    pair.right.packet_arrives(packets[0], pair.now)
    pair.advance(SECOND)
    assert left.state is right.state is ESTABLISHED
    assert pair.names(left) == pair.names(right) == ["Opened"]


def test_a_syn_again_makes_no_second_child(host: Host, peer: Peer):
    host.listen(80, peer.now)
    first = peer.segment(peer.give(peer.tcp(SYN)))
    peer.now += SECOND // 2
    again = peer.segment(peer.give(peer.tcp(SYN)))
    assert (first.seq, first.flags) == (again.seq, again.flags) == (again.seq, SYN | ACK)
    assert host.statistics()["half_open"] == 1


def test_buffers_that_grew_go_back_when_memory_runs_out(new_host: Callable[..., Host]):
    host = new_host(memory_limit=100_000)
    grown, fixed = (
        host.connect("10.0.0.9", 80, 0),
        host.connect("10.0.0.9", 81, 0, config=Config(receive_buffer=200_000, send_buffer=200_000)),
    )
    for connection in (grown, fixed):
        connection._tcb.snd.limit = connection._tcb.rcv.limit = 200_000
        assert host.next_packet(0)
    assert grown.send(bytes(100_000), 0) == 100_000
    assert not host.memory.claim(1)
    assert host.next_packet(0) is None
    assert (grown._tcb.snd.limit, grown._tcb.rcv.limit) == (FIRST_SEND_BUFFER, FIRST_RECEIVE_BUFFER)
    assert (fixed._tcb.snd.limit, fixed._tcb.rcv.limit) == (200_000, 200_000)
