"""A living host's addresses and its link's MTU change."""

from collections.abc import Callable

import pytest

from postel.errors import ArgumentError
from postel.host.host import Host
from postel.host.listener import Listener
from postel.tcp import seq
from postel.tcp.connection import Connection
from postel.tcp.events import Closed
from postel.tcp.observer import Observer
from postel.tcp.state import CLOSED, ESTABLISHED, SYN_SENT
from postel.times import MILLISECOND, MINUTE, SECOND
from postel.wire import ip
from postel.wire.address import parse, to_text
from postel.wire.segment import ACK, FIN, SYN
from tests.host.conftest import Pair, Peer


@pytest.mark.parametrize("address", ["10.0.0.7/24", "fd00::7/64"])
def test_an_added_address_is_heard_at_and_spoken_from(host: Host, address: str) -> None:
    plain = address.split("/", maxsplit=1)[0]
    peer = Peer(host, "10.0.0.9" if "." in plain else "fd00::9", plain)
    listener = host.listen(80, peer.now)
    assert peer.give(peer.tcp(SYN)) == []
    host.add_address(address)
    host.add_address(address)
    answer = peer.segment(peer.give(peer.tcp(SYN)))
    peer.give(peer.tcp(ACK, seq=1001, ack=seq.add(answer.seq, 1)))
    assert listener.accept().local.address == parse(plain)
    assert (
        host.connect("10.0.0.9" if "." in plain else "fd00::9", 7, peer.now, local_address=plain).state
        is SYN_SENT
    )


def handshake(peer: Peer, port: int) -> None:
    answer = peer.segment(peer.give(peer.tcp(SYN, port=port)))
    peer.give(peer.tcp(ACK, port=port, seq=1001, ack=seq.add(answer.seq, 1), data=b"text"))


def everything(peer: Peer, listener: Listener) -> list[Connection]:
    """One connection in each of SYN-SENT and ESTABLISHED, which are returned, and of TIME-WAIT; three
    half-open ones and a request.
    """
    active = peer.host.connect(to_text(peer.address), 9, peer.now, local_address=to_text(peer.target))
    peer.drain()
    handshake(peer, 1)
    passive = listener.accept()
    handshake(peer, 2)
    over = listener.accept()
    over.receive(9, peer.now)
    over.release(peer.now)
    fin = peer.segments(peer.drain())[-1]
    peer.give(peer.tcp(FIN | ACK, port=2, seq=1005, ack=seq.add(fin.seq, 1)))
    for port in (4, 5, 6):
        peer.give(peer.tcp(SYN, port=port))
    peer.give(peer.tcp(SYN, to=81))
    return [active, passive]


@pytest.mark.parametrize("observer", [None, Observer()])
@pytest.mark.parametrize("family", [4, 6])
def test_what_an_address_had_ends_with_it(
    new_host: Callable[..., Host], observer: Observer | None, family: int
) -> None:
    host = new_host("10.0.0.1/24", "fd00::1/64", "10.0.0.5/24", "fd00::5/64", observer=observer)
    gone, kept = ("10.0.0.1", "10.0.0.5") if family == 4 else ("fd00::1", "fd00::5")
    peers = [Peer(host, "10.0.0.9" if family == 4 else "fd00::9", target) for target in (gone, kept)]
    host._connections.most_half_open = 2
    listener = host.listen(80, peers[0].now)
    asking = host.listen(81, peers[0].now, ask=True)
    opened = [connection for peer in peers for connection in everything(peer, listener)]
    for peer in peers:  # these wait in `accept`
        handshake(peer, 3)
    before = host.statistics()
    assert (before["time_wait"], before["half_open"], before["requests"]) == (2, 6, 2)
    for connection in opened:
        if connection.state is ESTABLISHED:
            connection.send(b"never", peers[0].now)
    host.remove_address(gone, peers[0].now)
    packets = peers[0].drain()
    assert all(ip.parse(octets).source == parse(kept) for octets in packets)
    for connection in opened:
        lost = connection.local.address == parse(gone)
        assert (connection.state is CLOSED) == lost
        assert type(connection.error).__name__ == ("AddressNotAvailable" if lost else "NoneType")
        told = [
            event.error
            for subject, event in peers[0].events
            if subject is connection and isinstance(event, Closed)
        ]
        assert len(told) == lost
    assert {local.address for local, _, _ in host.connections()} == {parse(kept)}
    after = host.statistics()
    assert (after["time_wait"], after["half_open"], after["requests"]) == (1, 3, 1)
    assert listener.cached + len(listener.half_open) == 3
    assert peers[0].give(peers[0].tcp(SYN, port=9), peers[0].tcp(ACK, port=1, seq=1005, ack=5)) == []
    assert peers[0].dropped("not_ours") == 2
    for peer in peers:
        peer.advance(30 * MINUTE)
    ready = [listener.accept(), listener.accept()]
    assert sorted(connection.state is CLOSED for connection in ready) == [False, True]
    assert asking.next_request() is None


def test_an_address_that_comes_again_is_heard_at_by_the_listeners_that_stayed(host: Host, peer: Peer) -> None:
    host.listen(80, peer.now, address="10.0.0.1")
    host.remove_address("10.0.0.1", peer.now)
    assert peer.give(peer.tcp(SYN)) == []
    host.add_address("10.0.0.1/24")
    assert peer.segment(peer.give(peer.tcp(SYN))).flags == SYN | ACK


def test_sockets_of_an_address_that_is_gone(host: Host, peer: Peer) -> None:
    socket = host.datagrams(53, address="10.0.0.1")
    socket.send(b"waits", peer.now, remote=peer.endpoint())
    host.remove_address("10.0.0.1", peer.now)
    assert peer.drain() == []
    with pytest.raises(OSError, match="not an address of this host"):
        socket.send(b"no", peer.now, remote=peer.endpoint())
    assert peer.give(peer.datagram(b"x")) == []


@pytest.mark.parametrize("address", ["10.0.0.2", "10.0.1.1", "::1"])
def test_only_what_it_has_can_be_taken_from_a_host(host: Host, address: str) -> None:
    with pytest.raises(OSError, match="not an address of this host"):
        host.remove_address(address, 0)


@pytest.mark.parametrize("address", ["10.0.0.5", "10.0.0.0/33", "x/24", "224.0.0.1/24"])
def test_only_addresses_can_be_added(host: Host, address: str) -> None:
    if address == "10.0.0.5":
        host.add_address(address)  # a network of its own
        return
    with pytest.raises(ArgumentError):
        host.add_address(address)


def test_with_any_address_nothing_ends(peer: Peer) -> None:
    host = Host("10.0.0.1/24", secret=b"s", any_address=True)
    peer = Peer(host)
    listener = host.listen(80, peer.now)
    answer = peer.segment(peer.give(peer.tcp(SYN)))
    peer.give(peer.tcp(ACK, seq=1001, ack=seq.add(answer.seq, 1)))
    host.remove_address("10.0.0.1", peer.now)
    assert listener.accept().state is ESTABLISHED


# A link with an MTU that changes


def transfer(pair: Pair, sender: object, receiver: object, count: int) -> list[int]:
    """The sizes of the packets that carried ``count`` octets."""
    del pair.carried[:]
    data = bytes(range(256)) * (count // 256)
    sent = received = 0
    for _ in range(10_000):
        if sent < len(data):
            sent += sender.send(data[sent:], pair.now)
        pair.advance(20 * MILLISECOND)
        while receiver.readable:
            part = receiver.receive(1 << 20, pair.now)
            assert part == data[received : received + len(part)]
            received += len(part)
        if received == len(data):
            return [len(octets) for host, octets in pair.carried if host is pair.left]
    raise AssertionError(f"{received} of {len(data)}")


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("mtu", [1280, 1400])
def test_a_smaller_mtu_counts_at_once(pair: Pair, family: int, mtu: int) -> None:
    client, server, _ = pair.connect(address="10.0.0.2" if family == 4 else "fd00::2")
    assert max(transfer(pair, client, server, 1 << 16)) == 1500
    client.send(bytes(20_000), pair.now)
    while pair.left.next_packet(pair.now) is not None:
        pass  # a link that has shrunk loses what is too large
    pair.left.set_mtu(mtu, pair.now)
    pair.advance(2 * SECOND)
    while server.readable:
        server.receive(1 << 20, pair.now)
    assert max(len(octets) for host, octets in pair.carried[-10:] if host is pair.left) <= mtu
    assert max(transfer(pair, client, server, 1 << 17)) == mtu


@pytest.mark.parametrize("family", [4, 6])
def test_a_larger_mtu_is_found_by_those_that_live(new_pair: Callable[..., Pair], family: int) -> None:
    pair = Pair(
        Host("10.0.0.1/24", "fd00::1/64", secret=b"left", mtu=1400),
        Host("10.0.0.2/24", "fd00::2/64", secret=b"right", mtu=9000),
    )
    address = "10.0.0.2" if family == 4 else "fd00::2"
    client, server, listener = pair.connect(address=address)
    assert max(transfer(pair, client, server, 1 << 16)) == 1400
    pair.left.set_mtu(9000, pair.now)
    transfer(pair, client, server, 1 << 20)
    assert max(transfer(pair, client, server, 1 << 20)) == 9000
    again = pair.left.connect(address, 80, pair.now)
    pair.advance(0)
    accepted = listener.accept()
    assert max(transfer(pair, again, accepted, 1 << 20)) == 9000


def test_what_is_in_flight_is_sent_again_at_once(pair: Pair) -> None:
    client, server, _ = pair.connect()
    transfer(pair, client, server, 1 << 16)
    client.send(bytes(20_000), pair.now)
    lost = []
    while (octets := pair.left.next_packet(pair.now)) is not None:
        lost.append(octets)
    pair.left.set_mtu(1280, pair.now)
    again = []
    while (octets := pair.left.next_packet(pair.now)) is not None:
        again.append(octets)
    assert max(map(len, lost)) == 1500
    assert again
    assert max(map(len, again)) <= 1280


def test_a_known_path_is_no_wider_than_the_link(pair: Pair) -> None:
    routes = pair.left.routes
    routes.learn(parse("10.0.0.2"), 1400, pair.now)
    pair.left.set_mtu(1300, pair.now)
    assert routes.mtu_to(parse("10.0.0.2"), pair.now) == 1300
    routes.learn(parse("10.0.0.2"), 1000, pair.now)
    pair.left.set_mtu(1200, pair.now)
    assert routes.mtu_to(parse("10.0.0.2"), pair.now) == 1000


def test_half_open_connections_tell_the_new_mtu(host: Host, peer: Peer) -> None:
    listener = host.listen(80, peer.now)
    assert peer.segment(peer.give(peer.tcp(SYN, mss=8000))).mss == 1460
    host.set_mtu(1300, peer.now)
    again = peer.segment(peer.advance(SECOND))
    assert again.mss == 1260
    peer.give(peer.tcp(ACK, seq=1001, ack=seq.add(again.seq, 1)))
    assert isinstance(listener, Listener)
    assert listener.accept().status(peer.now).snd_mss == 1260


@pytest.mark.parametrize("mtu", [0, 67, 65536])
def test_an_mtu_has_bounds(host: Host, mtu: int) -> None:
    with pytest.raises(ArgumentError, match="mtu"):
        host.set_mtu(mtu, 0)


def test_an_mtu_is_no_larger_than_what_the_link_cuts(host: Host) -> None:
    host.use_offload(9000)
    with pytest.raises(ArgumentError, match="use_offload"):
        host.set_mtu(9001, 0)
    host.set_mtu(9000, 0)
