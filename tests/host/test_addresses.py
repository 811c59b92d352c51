"""Addresses that no packet on a link carries (RFC 1122, 3.2.1.3; RFC 4291, 2.5.3): neither ours nor those of
others.
"""

from collections.abc import Callable

import pytest

from postel.errors import AddressFamilyMismatch, AddressNotAvailable, ArgumentError, NetworkUnreachable
from postel.host.host import Host
from postel.tcp.state import ESTABLISHED
from postel.times import SECOND
from postel.wire import icmp, ip
from postel.wire.address import Endpoint, parse
from postel.wire.icmp import IcmpMessage
from postel.wire.segment import ACK, FIN, RST, SYN
from tests.host.conftest import Peer
from tests.host.test_routes import NEVER_ON_A_LINK, OF_MANY, OF_NO_HOST

pytestmark = pytest.mark.label("RFC1122-3.2.1.3")
NETWORK = "10.0.0.0"


@pytest.mark.parametrize("any_address", [False, True])
@pytest.mark.parametrize("address", [*OF_NO_HOST, NETWORK])
def test_nothing_is_sent_there(new_host: Callable[..., Host], address: str, any_address: bool):
    host = new_host(any_address=any_address)
    remote = Endpoint(parse(address), 53)
    with pytest.raises(NetworkUnreachable, match="nothing is sent"):
        host.connect(address, 80, 0)
    with pytest.raises(NetworkUnreachable, match="nothing is sent"):
        host.datagrams().send(b"x", 0, remote=remote)
    with pytest.raises(NetworkUnreachable, match="nothing is sent"):
        host.datagrams(remote=remote)
    assert host.next_packet(0) is None
    assert list(host.connections()) == []


@pytest.mark.parametrize("any_address", [False, True])
@pytest.mark.parametrize("address", [*OF_NO_HOST, NETWORK, *OF_MANY])
def test_nothing_is_sent_from_there(new_host: Callable[..., Host], address: str, any_address: bool):
    host = new_host(any_address=any_address)
    octets = parse(address)
    remote = "10.0.0.2" if len(octets) == 4 else "fd00::2"
    refusals = (AddressNotAvailable,)
    with pytest.raises(refusals):
        host.connect(remote, 80, 0, local_address=address)
    if any(octets):  # else it is a way to say all of them
        with pytest.raises(refusals):
            host.listen(80, 0, address=address)
        with pytest.raises(refusals):
            host.datagrams(address=address)
        with pytest.raises(refusals):
            host.datagrams(address=address, remote=Endpoint(remote, 9))


@pytest.mark.parametrize("address", OF_MANY)
def test_datagrams_for_many_leave_and_connections_do_not(host: Host, peer: Peer, address: str):
    host.datagrams(9).send(b"x", peer.now, remote=Endpoint(parse(address), 53))
    (packet,) = peer.drain()
    assert ip.parse(packet).destination == parse(address)
    with pytest.raises(NetworkUnreachable, match="single host"):
        host.connect(address, 80, peer.now)


def packets(peer: Peer, source: bytes, destination: bytes) -> list[bytes]:
    """One of each kind that a host would answer."""
    peer = Peer(peer.host)
    peer.address, peer.target = source, destination
    return [
        peer.tcp(SYN),
        peer.tcp(SYN, to=81),
        peer.tcp(ACK, ack=5),
        peer.tcp(FIN | ACK, ack=5),
        peer.datagram(b"x", to=9),
        peer.datagram(b"x", to=53),
        peer.control(IcmpMessage(icmp.ECHO_REQUEST, 0, 1, b"x")),
        ip.encode(source, destination, 132, bytes(20)),
        *ip.fragments(source, destination, 17, bytes(64), 88, identification=1)[:1],
    ]


@pytest.mark.parametrize("any_address", [False, True])
@pytest.mark.parametrize("address", [*NEVER_ON_A_LINK, NETWORK])
def test_packets_from_the_link_to_or_from_there_are_not_answered(
    new_host: Callable[..., Host], new_peer: type[Peer], address: str, any_address: bool
):
    host = new_host(any_address=any_address)
    peer = new_peer(host)
    host.listen(80, peer.now)
    socket = host.datagrams(53)
    octets = parse(address)
    other, own = (
        (parse("10.0.0.9"), parse("10.0.0.1")) if len(octets) == 4 else (parse("fd00::9"), parse("fd00::1"))
    )
    assert (
        peer.give(*packets(peer, other, octets), *packets(peer, octets, own), *packets(peer, octets, octets))
        == []
    )
    assert peer.advance(120 * SECOND) == []
    assert host.statistics()["dropped"] == 3 * 9
    assert socket.receive() is None
    assert list(host.connections()) == []
    assert peer.give(*packets(peer, other, own)) != []


@pytest.mark.parametrize("own", ["127.0.0.1", "::1", "127.3.2.1"])
@pytest.mark.parametrize("is_given", [False, True])
def test_a_loopback_address_of_our_own_is_looped_back_and_closed_to_the_link(
    new_host: Callable[..., Host], new_peer: type[Peer], own: str, is_given: bool
):
    host = new_host(*([own] if is_given else []), "10.0.0.1/24", "fd00::1/64")
    peer = new_peer(host)
    listener = host.listen(80, peer.now)
    connection = host.connect(own, 80, peer.now)
    assert peer.advance(SECOND) == []
    assert connection.state is ESTABLISHED
    server = listener.accept()
    connection.send(b"here", peer.now)
    assert peer.advance(SECOND) == []
    assert server.receive(9, peer.now) == b"here"
    server, client = host.datagrams(53), host.datagrams()
    client.send(b"me", peer.now, remote=Endpoint(parse(own), 53))
    assert peer.advance(SECOND) == []
    source = own if is_given or own == "::1" else "127.0.0.1"
    assert server.receive() == (b"me", Endpoint(parse(source), client.local.port))
    peer.address = parse("10.0.0.9" if len(parse(own)) == 4 else "fd00::9")
    assert peer.give(*packets(peer, peer.address, parse(own))) == []


@pytest.mark.parametrize(("own", "remote"), [("127.0.0.1", "10.0.0.2"), ("::1", "fd00::2")])
@pytest.mark.parametrize("is_given", [False, True])
def test_nothing_from_a_loopback_address_leaves(
    new_host: Callable[..., Host], new_peer: type[Peer], own: str, remote: str, is_given: bool
):
    host = new_host(*([own] if is_given else []), "10.0.0.1/24", "fd00::1/64")
    peer = new_peer(host)
    with pytest.raises(NetworkUnreachable, match="leaves this host from"):
        host.connect(remote, 80, peer.now, local_address=own)
    with pytest.raises(NetworkUnreachable, match="leaves this host from"):
        host.datagrams(address=own).send(b"x", peer.now, remote=Endpoint(parse(remote), 53))
    with pytest.raises(NetworkUnreachable, match="leaves this host from"):
        host.datagrams(address=own, remote=Endpoint(parse(remote), 53))
    assert peer.drain() == []
    host.connect(remote, 80, peer.now)
    host.datagrams().send(b"x", peer.now, remote=Endpoint(parse(remote), 53))
    assert {ip.parse(octets).source for octets in peer.drain()} <= {parse("10.0.0.1"), parse("fd00::1")}


@pytest.mark.parametrize("address", ["192.0.2.5", "2001:db8::5"])
def test_nothing_leaves_for_the_address_that_it_comes_from(new_host: Callable[..., Host], address: str):
    """With any address for its own, a host could send LAND packets."""
    host = new_host(any_address=True)
    remote = Endpoint(parse(address), 53)
    with pytest.raises(NetworkUnreachable, match="leaves this host from"):
        host.connect(address, 80, 0, local_address=address)
    with pytest.raises(NetworkUnreachable, match="leaves this host from"):
        host.datagrams(address=address).send(b"x", 0, remote=remote)
    host.connect(address, 80, 0)


def test_a_reset_from_such_a_source_ends_nothing(host: Host, peer: Peer):
    connection = host.connect("10.0.0.9", 80, peer.now)
    syn = peer.segment(peer.drain())
    for source in ("0.0.0.9", "127.0.0.1", "10.0.0.0", "10.0.0.1"):
        peer.give(peer.tcp(RST | ACK, ack=syn.seq + 1, port=80, to=syn.source, source=parse(source)))
    assert connection.error is None


FAMILIES = [("10.0.0.9", "fd00::9"), ("fd00::9", "10.0.0.9")]


@pytest.mark.parametrize(("same", "other"), FAMILIES)
@pytest.mark.parametrize("bound", ["wildcard", "address"])
def test_a_datagram_socket_sends_only_where_it_hears_the_answer(
    host: Host, new_peer: type[Peer], same: str, other: str, bound: str
):
    is_ipv4 = len(parse(same)) == 4
    own = "10.0.0.1" if is_ipv4 else "fd00::1"
    address = own if bound == "address" else "0.0.0.0" if is_ipv4 else "::"
    peer = new_peer(host, same, own)
    socket = host.datagrams(53, address=address)
    socket.send(b"ask", peer.now, remote=Endpoint(parse(same), 7))
    assert len(peer.drain()) == 1
    peer.give(peer.datagram(b"answer", port=7))
    assert socket.receive() == (b"answer", Endpoint(parse(same), 7))
    for error in (AddressFamilyMismatch, ArgumentError, NetworkUnreachable, OSError):
        with pytest.raises(error, match="family"):
            socket.send(b"ask", peer.now, remote=Endpoint(parse(other), 7))
    with pytest.raises(ArgumentError, match="remote is"):
        host.datagrams(address=address, remote=Endpoint(parse(other), 7))
    assert peer.drain() == []


@pytest.mark.parametrize(("address", "own"), [("10.0.0.9", "10.0.0.1"), ("fd00::9", "fd00::1")])
def test_a_datagram_socket_without_an_address_sends_and_hears_in_both_families(
    host: Host, new_peer: type[Peer], address: str, own: str
):
    peer = new_peer(host, address, own)
    socket = host.datagrams(53)
    socket.send(b"ask", peer.now, remote=Endpoint(parse(address), 7))
    assert len(peer.drain()) == 1
    peer.give(peer.datagram(b"answer", port=7))
    assert socket.receive() == (b"answer", Endpoint(parse(address), 7))


@pytest.mark.parametrize(
    "remote", [Endpoint(b"abc", 7), Endpoint(parse("10.0.0.9"), 0), Endpoint(parse("10.0.0.9"), 65536)]
)
def test_a_remote_that_is_none(host: Host, remote: Endpoint):
    with pytest.raises(ArgumentError):
        host.datagrams().send(b"x", 0, remote=remote)
    with pytest.raises(ArgumentError):
        host.datagrams(remote=remote)
