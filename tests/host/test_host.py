"""The host's calls, its two ways in, its way out."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from postel.errors import (
    AddressInUse,
    AddressNotAvailable,
    ArgumentError,
    InsufficientResources,
    NetworkUnreachable,
)
from postel.host.host import Host
from postel.tcp.config import DEFAULT
from postel.tcp.observer import Observer
from postel.tcp.state import CLOSED, ESTABLISHED, SYN_SENT, TIME_WAIT
from postel.times import MILLISECOND, MINUTE, NEVER, SECOND
from postel.wire import ip
from postel.wire.address import Endpoint, parse
from postel.wire.segment import ACK, RST, SYN
from tests.host.conftest import Pair, Peer


class Watcher(Observer):
    def __init__(self) -> None:
        self.told = []

    def state_changed(self, local: Endpoint, remote: Endpoint, before: object, after: object, now: int):
        self.told.append((str(before), str(after)))

    def packet_dropped(self, reason: str, octets: bytes, now: int):
        self.told.append(reason)


@pytest.mark.parametrize("address", ["10.0.0.2", "fd00::2"])
def test_a_connection_carries_octets_both_ways(pair: Pair, address: str):
    client, server, _ = pair.connect(address=address)
    assert client.state is server.state is ESTABLISHED
    assert client.remote == server.local == Endpoint(parse(address), 80)
    client.send(b"question" * 1000, pair.now)
    server.send(b"answer" * 1000, pair.now)
    pair.advance(SECOND)
    assert server.receive(9999, pair.now) == b"question" * 1000
    assert client.receive(9999, pair.now) == b"answer" * 1000
    assert pair.names(client)[0] == "Opened"
    assert "Readable" in pair.names(client)
    assert "Opened" not in pair.names(server)


def test_an_orderly_close_leaves_nothing(pair: Pair):
    client, server, listener = pair.connect()
    client.release(pair.now)
    pair.pump()
    server.release(pair.now)
    pair.pump()
    assert pair.take_names(client)[-1] == "Closed"
    assert pair.take_names(server) == ["EndOfStream", "Closed"]
    assert [state for _, _, state in pair.left.connections()] == [TIME_WAIT]
    assert pair.left.statistics()["time_wait"] == 1
    pair.settle()
    listener.close(pair.now)
    for host in (pair.left, pair.right):
        assert list(host.connections()) == []
        assert host.next_timeout() == NEVER
        assert host.statistics()["memory_used"] == 0


def test_two_millions_of_octets_arrive(pair: Pair):
    client, server, _ = pair.connect()
    text = bytes(range(256)) * 8192
    sent, received = 0, bytearray()
    while len(received) < len(text):
        sent += client.send(text[sent : sent + 100_000], pair.now)
        pair.advance(50 * MILLISECOND)
        received += server.receive(1 << 20, pair.now)
    assert received == text


def test_calls_check_their_arguments(host: Host):
    with pytest.raises(ArgumentError, match="port"):
        host.connect("10.0.0.2", 0, 0)
    with pytest.raises(ArgumentError, match="port"):
        host.listen(65536, 0)
    with pytest.raises(ArgumentError, match="local_address"):
        host.connect("10.0.0.2", 80, 0, local_address="fd00::1")
    with pytest.raises(ArgumentError, match="address"):
        host.connect(b"123", 80, 0)
    with pytest.raises(ArgumentError, match="address"):
        host.connect("nonsense", 80, 0)
    with pytest.raises(ArgumentError, match="backlog"):
        host.listen(80, 0, backlog=0)
    with pytest.raises(ArgumentError, match="mtu"):
        Host("10.0.0.1", secret=b"secret", mtu=67)


@pytest.mark.label("MUST-46")
@pytest.mark.parametrize(
    "address", ["224.0.0.1", "255.255.255.255", "10.0.0.255", "0.0.0.0", "ff02::1", "::"]
)
def test_must_46_no_connection_to_an_address_of_many(host: Host, address: str):
    with pytest.raises(NetworkUnreachable):
        host.connect(address, 80, 0)


@pytest.mark.label("MUST-43")
def test_must_43_the_local_address_may_be_chosen(new_host: Callable[..., Host]):
    host = new_host("10.0.0.1/24", "10.0.0.7/24")
    connection = host.connect("10.0.0.2", 80, 0, local_address="10.0.0.7", local_port=7777)
    assert connection.local == Endpoint(parse("10.0.0.7"), 7777)
    with pytest.raises(AddressNotAvailable):
        host.connect("10.0.0.2", 80, 0, local_address="10.0.0.8")
    with pytest.raises(AddressNotAvailable):
        host.listen(80, 0, address="10.0.0.8")


@pytest.mark.label("BAD-PORT-2")
def test_bad_port_2_a_pair_is_unique(host: Host):
    first = host.connect("10.0.0.2", 80, 0, local_port=7777)
    other = host.connect("10.0.0.3", 80, 0, local_port=7777)
    assert first.local == other.local
    with pytest.raises(AddressInUse):
        host.connect("10.0.0.2", 80, 0, local_port=7777)


def test_a_host_without_a_family_cannot_reach_it(new_host: Callable[..., Host]):
    with pytest.raises(NetworkUnreachable):
        new_host("10.0.0.1/24").connect("fd00::2", 80, 0)


@pytest.mark.label("MUST-42")
def test_must_42_listening_beside_a_connection_of_that_port(host: Host):
    host.connect("10.0.0.2", 80, 0, local_port=7777)
    assert host.listen(7777, 0).local.port == 7777


def test_the_first_packet_of_a_connection(host: Host, new_peer: type[Peer]):
    peer = new_peer(host)
    connection = host.connect(
        "10.0.0.9", 80, peer.now, config=replace(DEFAULT, hop_limit=7, traffic_class=0x28)
    )
    (octets,) = peer.drain()
    packet = ip.parse(octets)
    assert (packet.hop_limit, packet.traffic_class) == (7, 0x28)  # MUST-48, MUST-49
    assert (packet.identification, packet.dont_fragment) == (0, True)  # RFC 6864
    assert connection.state is SYN_SENT
    assert peer.segment([octets]).flags == SYN
    assert host.next_timeout() == peer.now + SECOND


def test_no_connection_without_memory(new_host: Callable[..., Host]):
    host = new_host(memory_limit=0)
    with pytest.raises(InsufficientResources):
        host.connect("10.0.0.2", 80, 0)


@pytest.mark.label("MUST-50")
def test_must_50_ip_options_are_no_obstacle(pair: Pair):
    """A packet with options takes the long way to the same connection."""
    client, server, _ = pair.connect()
    client.send(b"plain", pair.now)
    octets = pair.left.next_packet(pair.now)
    header = bytearray(b"\x46" + octets[1:20] + b"\x01\x01\x01\x00")
    header[2:4] = (len(octets) + 4).to_bytes(2, "big")
    header[10:12] = b"\0\0"
    header[10:12] = (-int.from_bytes(header, "big") % 0xFFFF).to_bytes(2, "big")
    pair.right.packet_arrives(bytes(header) + octets[20:], pair.now)
    assert server.receive(99, pair.now) == b"plain"


def test_any_address_takes_what_comes(new_host: Callable[..., Host], new_peer: type[Peer]):
    host = new_host("10.0.0.1/24", any_address=True)
    host.listen(80, 0)
    peer = new_peer(host, "192.0.2.5", "198.51.100.77")
    answer = peer.give(peer.tcp(SYN))
    assert ip.parse(answer[0]).source == peer.target
    assert peer.segment(answer).flags == SYN | ACK
    peer.give(peer.tcp(SYN, destination=parse("224.0.0.1")))
    assert peer.dropped("multicast") == 1
    connection = host.connect("192.0.2.5", 80, 0, local_address="203.0.113.1")
    assert connection.local.address == parse("203.0.113.1")


def test_a_wrong_tcp_checksum_counts_unless_the_link_answers_for_it(
    new_host: Callable[..., Host], new_peer: type[Peer]
):
    for verify, expected in ((True, 0), (False, 1)):
        host = new_host(verify_checksums=verify)
        peer = new_peer(host)
        host.listen(80, 0)
        octets = bytearray(peer.tcp(SYN))
        octets[36] ^= 1
        assert len(peer.give(bytes(octets))) == expected
        assert peer.dropped("bad_checksum") == 1 - expected


def test_a_damaged_ip_header_is_noticed_on_the_short_way(pair: Pair):
    client, server, _ = pair.connect()
    client.send(b"text", pair.now)
    octets = bytearray(pair.left.next_packet(pair.now))
    octets[8] ^= 1  # the hop limit: no checksum but the header's covers it
    pair.right.packet_arrives(bytes(octets), pair.now)
    assert pair.right.statistics()["dropped_bad_checksum"] == 1
    assert server.readable == 0


def test_the_observer_sees_drops(new_host: Callable[..., Host], new_peer: type[Peer]):
    watcher = Watcher()
    host = new_host(observer=watcher)
    peer = new_peer(host)
    peer.give(peer.tcp(SYN))
    assert watcher.told == ["no_connection"]


def test_the_observer_sees_time_wait_end(new_pair: Callable[..., Pair]):
    watcher = Watcher()
    pair = new_pair(observer=watcher)
    client, server, _ = pair.connect()
    client.release(pair.now)
    pair.pump()
    server.release(pair.now)
    pair.pump()
    assert ("TIME-WAIT", "CLOSED") not in watcher.told
    pair.advance(4 * MINUTE)
    assert watcher.told.count(("TIME-WAIT", "CLOSED")) == 1


def test_events_come_until_none(pair: Pair):
    client, _, _ = pair.connect()
    client.abort(pair.now)
    pair.pump()
    assert pair.names(client) == ["Opened", "Closed"]
    assert pair.left.next_event() is None
    assert client.state is CLOSED


def test_an_aborted_connection_sends_its_reset_before_it_goes(pair: Pair):
    client, server, _ = pair.connect()
    client.abort(pair.now)
    pair.pump()
    assert pair.left.statistics()["connections"] == 0
    assert server.state is CLOSED
    assert pair.names(server) == ["Closed"]


def test_a_refused_connection(pair: Pair):
    client = pair.left.connect("10.0.0.2", 81, pair.now)
    pair.pump()
    assert [str(event.error) for subject, event in pair.events if subject is client] == [
        "[Errno 111] connect to 10.0.0.2:81: connection refused"
    ]
    assert list(pair.left.connections()) == []


def test_a_new_connection_knows_the_path(host: Host):
    host.routes.learn(parse("10.0.0.2"), 600, 0)
    assert host.connect("10.0.0.2", 80, 0)._tcb.path.mtu == 600
    assert host.connect("10.0.0.3", 80, 0)._tcb.path.mtu == 1500


def test_statistics_name_what_was_dropped(host: Host, peer: Peer):
    peer.give(b"", b"\x45", peer.tcp(RST))
    figures = host.statistics()
    assert figures["dropped"] == 3
    assert figures["dropped_truncated"] == 2
    assert figures["dropped_no_connection"] == 1
    assert figures["packets_arrived"] == 3
    assert figures["segments_arrived"] == 1


def test_what_is_half_open_is_displayed(host: Host, peer: Peer):
    host.listen(80, 0)
    peer.give(peer.tcp(SYN))
    ((local, remote, state),) = host.connections()
    assert (str(local), str(remote), str(state)) == ("10.0.0.1:80", "10.0.0.9:5000", "SYN-RECEIVED")


def test_a_timeout_that_comes_too_early_or_late_is_harmless(host: Host, peer: Peer):
    host.connect("10.0.0.9", 80, peer.now)
    peer.drain()
    host.handle_timeout(peer.now)
    assert peer.drain() == []
    peer.now += 10 * SECOND
    host.handle_timeout(peer.now)
    assert len(peer.drain()) == 1


def test_an_unknown_protocol_is_refused(peer: Peer):
    def packet(protocol: int) -> bytes:
        return ip.encode(peer.address, peer.target, protocol, b"what?")

    (message,) = peer.messages(peer.give(packet(132)))
    assert (message.kind, message.code) == (3, 2)
    assert peer.give(packet(ip.NO_NEXT_HEADER)) == []
    assert peer.dropped("no_protocol") == 2


def test_a_host_and_what_it_makes_show_where_they_are():
    host = Host("10.0.0.1/24", "fd00::1/64", secret=b"secret")
    listener, bound = host.listen(80, 0), host.datagrams(53)
    peered = host.datagrams(54, remote=Endpoint.parse("10.0.0.2:9"))
    assert repr(host) == "<host 10.0.0.1/24, fd00::1/64>"
    assert repr(Host(secret=b"secret", any_address=True)) == "<host without an address>"
    assert (repr(listener), repr(bound)) == ("<listener [::]:80>", "<datagram socket [::]:53>")
    assert repr(peered) == "<datagram socket 10.0.0.1:54 to 10.0.0.2:9>"
    listener.close(0)
    bound.close()
    assert (repr(listener), repr(bound)) == (
        "<listener [::]:80, closed>",
        "<datagram socket [::]:53, closed>",
    )
