"""UDP sockets."""

from collections.abc import Callable

import pytest

from postel.errors import (
    AddressInUse,
    AddressNotAvailable,
    ArgumentError,
    ConnectionDoesNotExist,
    InsufficientResources,
    MessageTooLong,
    NetworkUnreachable,
    RemoteUnspecified,
)
from postel.host.datagrams import LARGEST_4, LARGEST_6, QUEUE_OCTETS
from postel.host.host import Host
from postel.wire import ip, udp
from postel.wire.address import Endpoint, parse
from tests.host.conftest import Pair, Peer


@pytest.mark.parametrize("address", ["10.0.0.2", "fd00::2"])
def test_a_datagram_and_its_answer(pair: Pair, address: str):
    server = pair.right.datagrams(53)
    client = pair.left.datagrams(remote=Endpoint(parse(address), 53))
    client.send(b"question", pair.now)
    pair.pump()
    question, sender = server.receive()
    assert (question, sender) == (b"question", client.local)
    server.send(bytearray(b"answer"), pair.now, remote=sender)
    pair.pump()
    assert client.receive() == (b"answer", Endpoint(parse(address), 53))
    assert client.receive() is None
    assert [(subject, type(event).__name__) for subject, event in pair.events] == [
        (server, "Readable"),
        (client, "Readable"),
    ]


@pytest.mark.parametrize(("address", "largest"), [("10.0.0.2", LARGEST_4), ("fd00::2", LARGEST_6)])
def test_the_largest_datagram_goes_in_fragments(pair: Pair, address: str, largest: int):
    server, client = pair.right.datagrams(53), pair.left.datagrams()
    client.send(bytes(largest), pair.now, remote=Endpoint(parse(address), 53))
    pair.pump()
    assert (
        len(pair.carried) == (largest + 8) // 1448 + 1
        if len(parse(address)) == 16
        else (largest + 8) // 1480 + 1
    )
    assert server.receive()[0] == bytes(largest)
    with pytest.raises(MessageTooLong):
        client.send(bytes(largest + 1), pair.now, remote=Endpoint(parse(address), 53))


def test_whom_a_datagram_concerns(new_host: Callable[..., Host], new_peer: type[Peer]):
    host = new_host("10.0.0.1/24", "10.0.0.7/24")
    peer = new_peer(host)
    family = host.datagrams(53, address="0.0.0.0")
    everything = host.datagrams(53)
    bound = host.datagrams(53, address="10.0.0.1")
    exact = host.datagrams(53, address="10.0.0.1", remote=peer.endpoint())
    for socket in (exact, bound, family, everything):
        peer.give(peer.datagram(b"x"))
        assert socket.receive() == (b"x", peer.endpoint())
        socket.close()
    assert peer.give(peer.datagram(b"x")) != []


def test_a_socket_with_a_remote_hears_of_nobody_else(host: Host, peer: Peer):
    socket = host.datagrams(53, remote=Endpoint(peer.address, 1))
    assert peer.give(peer.datagram(b"x", port=2)) != []
    assert socket.receive() is None


def test_a_broadcast_reaches_the_wildcard(host: Host, peer: Peer):
    socket = host.datagrams(53)
    peer.give(peer.datagram(b"all", destination=parse("10.0.0.255")))
    assert socket.receive() == (b"all", peer.endpoint())


def test_the_queue_is_bounded(host: Host, peer: Peer):
    socket = host.datagrams(53)
    for _ in range(300):
        peer.give(peer.datagram(bytes(1000)))
    assert peer.dropped("datagram_queue_full") == 300 - QUEUE_OCTETS // 1256
    assert [type(event).__name__ for _, event in peer.events] == ["Readable"]
    while socket.receive() is not None:
        pass
    peer.give(peer.datagram(b"again"))
    assert socket.receive() == (b"again", peer.endpoint())
    assert len(peer.events) == 2


def test_what_send_refuses(host: Host):
    socket = host.datagrams()
    with pytest.raises(RemoteUnspecified):
        socket.send(b"", 0)
    with pytest.raises(ArgumentError, match="port"):
        socket.send(b"", 0, remote=Endpoint(parse("10.0.0.2"), 0))
    with pytest.raises(ArgumentError, match="remote"):
        host.datagrams(address="10.0.0.1").send(b"", 0, remote=Endpoint(parse("fd00::2"), 53))
    for _ in range(1024):
        socket.send(b"", 0, remote=Endpoint(parse("10.0.0.2"), 53))
    with pytest.raises(InsufficientResources):
        socket.send(b"", 0, remote=Endpoint(parse("10.0.0.2"), 53))
    socket.close()
    socket.close()
    with pytest.raises(ConnectionDoesNotExist):
        socket.send(b"", 0, remote=Endpoint(parse("10.0.0.2"), 53))


def test_what_open_refuses(host: Host, new_host: Callable[..., Host]):
    host.datagrams(53)
    with pytest.raises(AddressInUse):
        host.datagrams(53)
    remote = Endpoint(parse("10.0.0.2"), 9)
    host.datagrams(53, remote=remote)
    with pytest.raises(AddressInUse):
        host.datagrams(53, remote=remote)
    with pytest.raises(AddressNotAvailable):
        host.datagrams(address="192.0.2.1")
    with pytest.raises(ArgumentError):
        host.datagrams(-1)
    with pytest.raises(NetworkUnreachable):
        new_host("10.0.0.1").datagrams(remote=Endpoint(parse("fd00::2"), 9))


def test_ephemeral_ports_differ_and_end(new_host: Callable[..., Host]):
    host = new_host()
    ports = {host.datagrams().local.port for _ in range(100)}
    assert len(ports) == 100
    assert min(ports) >= 1024
    other = Endpoint(parse("10.0.0.2"), 9)
    taken = host.datagrams(remote=other).local.port
    assert host.datagrams(remote=other).local.port != taken


def test_when_every_port_is_taken_there_is_an_error(host: Host):
    for port in range(1024, 65536):
        host._datagrams.open(b"", port, None, bytes(4))
    with pytest.raises(AddressInUse, match="no UDP port"):
        host.datagrams()


def test_a_datagram_without_checksum_and_one_with_a_wrong_one(host: Host, peer: Peer):
    socket = host.datagrams(53)
    octets = bytearray(peer.datagram(b"abc"))
    octets[26:28] = b"\0\0"
    peer.give(bytes(octets))
    assert socket.receive() == (b"abc", peer.endpoint())
    octets[26:28] = b"\1\1"
    peer.give(bytes(octets))
    assert socket.receive() is None
    assert peer.dropped("bad_checksum") == 1


def test_to_oneself(host: Host, peer: Peer):
    server, client = host.datagrams(53), host.datagrams()
    client.send(b"me", peer.now, remote=Endpoint(peer.target, 53))
    assert peer.drain() == []
    assert host.next_timeout() == peer.now
    host.handle_timeout(peer.now)
    assert server.receive() == (b"me", Endpoint(peer.target, client.local.port))


def test_what_is_sent_looks_as_it_should(host: Host, peer: Peer):
    host.datagrams(77).send(memoryview(b"abc"), peer.now, remote=peer.endpoint(53))
    packet = ip.parse(peer.drain()[0])
    assert packet.dont_fragment
    assert udp.parse(packet) == udp.Datagram(77, 53, b"abc")
