"""RFC 6056."""

from dataclasses import replace
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.errors import AddressInUse, ConnectionRefused
from postel.host.host import Host
from postel.host.pairs import destination_of
from postel.host.ports import HIGHEST, LOWEST, Ports, Search
from postel.tcp.config import DEFAULT
from postel.tcp.state import CLOSED, ESTABLISHED
from postel.times import MINUTE, SECOND
from postel.wire.address import Endpoint, parse
from tests.host.conftest import Pair, Peer

LOCAL, REMOTE = b"\x0a\0\0\1", b"\x0a\0\0\2"


def first(ports: Ports, remote: bytes = REMOTE, port: int = 80):
    return next(ports.candidates(LOCAL, remote, port))


@pytest.mark.label("RFC6056-3.2")
def test_rfc6056_3_2_every_port_of_the_range_once():
    candidates = list(Ports(b"secret").candidates(LOCAL, REMOTE, 80))
    assert sorted(candidates) == list(range(LOWEST, HIGHEST + 1))


@pytest.mark.label("RFC6056-3.3")
def test_rfc6056_3_3_one_destination_gets_one_port_after_another():
    ports = Ports(b"secret")
    numbers = [first(ports) for _ in range(100)]
    assert [(b - a) % (HIGHEST - LOWEST + 1) for a, b in pairwise(numbers)] == [1] * 99


@pytest.mark.label("RFC6056-3.3")
def test_rfc6056_3_3_destinations_and_secrets_start_anywhere():
    starts = {first(Ports(b"secret"), port=port) for port in range(200)} | {
        first(Ports(bytes([n]))) for n in range(200)
    }
    assert len(starts) > 380


def test_the_same_secret_gives_the_same_ports():
    assert list(islice(Ports(b"x").candidates(LOCAL, REMOTE, 1), 9)) == list(
        islice(Ports(b"x").candidates(LOCAL, REMOTE, 1), 9)
    )


def test_destinations_rarely_share_a_counter():
    ports = Ports(b"secret")
    before = [first(ports, port=port) for port in range(1, 50)]
    for _ in range(1000):
        first(ports, port=9999)
    after = [first(ports, port=port) for port in range(1, 50)]
    assert sum((b - a) % (HIGHEST - LOWEST + 1) == 1 for a, b in zip(before, after, strict=True)) > 40


class Taken(Search):
    """A search among ``ports`` that are taken; ``asked`` counts what it is asked."""

    def __init__(self, ports: set[int], destination: bytes = b"there") -> None:
        super().__init__(destination, LOCAL, REMOTE, 80)
        self.ports = ports
        self.asked = 0

    def is_free(self, port: int) -> bool:
        self.asked += 1
        return port not in self.ports

    def taken(self) -> set[int]:
        self.asked += len(self.ports)
        return self.ports


EVERY = range(LOWEST, HIGHEST + 1)


@pytest.mark.label("RFC6056-3.3c")
@given(
    st.lists(
        st.tuples(st.integers(LOWEST, HIGHEST), st.sampled_from([1, 3, 15, 16, 17, 500, 40_000])), max_size=4
    ),
    st.sets(st.integers(LOWEST, HIGHEST), max_size=3),
    st.binary(max_size=2),
)
def test_rfc6056_3_3c_a_search_finds_what_trying_one_by_one_would(
    runs: list[tuple[int, int]], holes: set[int], secret: bytes
):
    """Any runs of taken ports, also over the range's end."""
    taken = {
        LOWEST + (first - LOWEST + n) % len(EVERY) for first, length in runs for n in range(length)
    } - holes
    ports, naive = Ports(secret), Ports(secret)
    for _ in range(3):
        expected = next((port for port in naive.candidates(LOCAL, REMOTE, 80) if port not in taken), 0)
        assert ports.find(Taken(taken)) == expected
        if expected:
            taken.add(expected)


def test_when_no_port_is_free_a_search_costs_little_and_the_next_freed_one_is_found():
    ports, search = Ports(b"secret"), Taken(set(EVERY))
    assert ports.find(search) == 0
    search.asked = 0
    for _ in range(100):
        assert ports.find(search) == 0
    assert search.asked <= 100 * 16
    for port in (LOWEST, 40_000, HIGHEST):
        search.ports.discard(port)
        ports.free(search.destination, port)
        assert ports.find(search) == port
        search.ports.add(port)
        assert ports.find(search) == 0
        search.ports.discard(port)
        ports.free_everywhere(port)
        assert ports.find(search) == port
        search.ports.add(port)
    search.asked = 0
    assert ports.find(search) == 0
    assert search.asked <= 17


def test_a_port_that_is_told_free_and_is_not_is_passed_over():
    ports, search = Ports(b"secret"), Taken(set(EVERY))
    assert ports.find(search) == 0
    for port in (80, 5000, 5001):
        ports.free(search.destination, port)
        ports.free(b"elsewhere", port)
    assert ports.find(search) == 0


def test_the_set_of_free_ports_is_forgotten_when_few_are_taken():
    ports, search = Ports(b"secret"), Taken(set(EVERY))
    assert ports.find(search) == 0
    assert len(ports._crowded) == 1
    while search.ports:
        ports.free(search.destination, search.ports.pop())
    assert not ports._crowded
    assert ports.find(search) != 0


def crowd(host: Host, remote: str, *, but: set[int]) -> None:
    """Take every port to port 80 of ``remote``, but some, at the cost of one connection."""
    connection = host.connect(remote, 80, 0)
    destination = destination_of(connection.local.address, connection.remote)
    host._connections.table.update(
        {destination + port.to_bytes(2, "big"): connection for port in EVERY if port not in but}
    )
    for port in but:
        host._connections.table.pop(destination + port.to_bytes(2, "big"), None)


@pytest.mark.label("RFC6056-3.3c", "RFC6056-3.2")
@pytest.mark.parametrize("remote", ["10.0.0.2", "fd00::2"])
def test_rfc6056_3_3c_of_a_host_whose_ports_are_taken(host: Host, remote: str):
    crowd(host, remote, but={2000, 3000})
    listener = host.listen(2000, 0)
    assert host.connect(remote, 80, 0).local.port == 3000
    for _ in range(3):
        with pytest.raises(AddressInUse):
            host.connect(remote, 80, 0)
    assert host.connect(remote, 81, 0).local.port != 0  # elsewhere there is room
    listener.close(0)
    connection = host.connect(remote, 80, 0)
    assert connection.local.port == 2000
    connection.abort(0)
    assert host.next_packet(0) is not None  # settled
    while host.next_packet(0) is not None:
        pass
    assert host.connect(remote, 80, 0).local.port == 2000


def in_time_wait_among_taken_ones(pair: Pair, **options: object) -> int:
    """The port of the one connection of the left host that is in TIME-WAIT; all other ports are taken."""
    client, server, _ = pair.connect(**options)
    port = client.local.port
    crowd(pair.left, "10.0.0.2", but={port})
    pair.left._connections.table[
        destination_of(client.local.address, client.remote) + port.to_bytes(2, "big")
    ] = client
    client.release(pair.now)
    pair.advance(0)
    server.close(pair.now)
    pair.advance(0)
    with pytest.raises(AddressInUse):
        pair.left.connect("10.0.0.2", 80, pair.now)
    assert pair.left.statistics()["time_wait"] == 1
    return port


def test_a_port_is_free_again_when_its_time_wait_is_over(pair: Pair):
    plain = replace(DEFAULT, timestamps=False)
    port = in_time_wait_among_taken_ones(pair, config=plain)
    pair.now += 10 * SECOND
    for _ in range(3):
        with pytest.raises(AddressInUse):
            pair.left.connect("10.0.0.2", 80, pair.now, config=plain)
    pair.advance(5 * MINUTE)
    assert pair.left.connect("10.0.0.2", 80, pair.now, config=plain).local.port == port


def test_a_port_in_time_wait_is_taken_again_once_timestamps_allow_it(pair: Pair):
    port = in_time_wait_among_taken_ones(pair)
    pair.now += 10 * SECOND
    assert pair.left.connect("10.0.0.2", 80, pair.now).local.port == port
    for _ in range(3):
        with pytest.raises(AddressInUse):
            pair.left.connect("10.0.0.2", 80, pair.now)


@pytest.mark.soak
def test_a_host_at_whose_every_port_somebody_listens(host: Host):
    listeners = [host.listen(port, 0) for port in EVERY]
    for _ in range(3):
        with pytest.raises(AddressInUse):
            host.listen(0, 0)
        with pytest.raises(AddressInUse):
            host.connect("10.0.0.2", 80, 0)
    listeners[77].close(0)
    assert host.connect("10.0.0.2", 80, 0).local.port == LOWEST + 77
    assert host.listen(0, 0).local.port == LOWEST + 77


@pytest.mark.parametrize("own", ["10.0.0.1", "fd00::1"])
def test_a_dial_to_ones_own_closed_port_is_refused_and_never_connects_to_itself(
    host: Host, new_peer: type[Peer], own: str
):
    peer = new_peer(host)
    for port in (LOWEST, 5000, HIGHEST):
        crowd_of_one(host, own, port)
        with pytest.raises(AddressInUse):
            host.connect(own, port, peer.now)
    connection = host.connect(own, 80, peer.now)
    peer.advance(0)
    assert connection.state is CLOSED
    assert isinstance(connection.error, ConnectionRefused)


def crowd_of_one(host: Host, own: str, port: int) -> None:
    """All ports but ``port`` itself are taken to that port of the host's own."""
    address = parse(own)
    connection = host.connect(own, 7, 0, local_port=port)
    destination = destination_of(address, Endpoint(address, port))
    host._connections.table.update(
        {destination + other.to_bytes(2, "big"): connection for other in EVERY if other != port}
    )


@pytest.mark.parametrize("own", ["10.0.0.1", "fd00::1"])
def test_a_program_that_asks_for_it_connects_to_itself(host: Host, new_peer: type[Peer], own: str):
    """RFC 9293, 3.5, figure 7: a simultaneous open, here of one connection with itself."""
    peer = new_peer(host)
    connection = host.connect(own, 5000, peer.now, local_port=5000)
    peer.advance(SECOND)
    assert connection.state is ESTABLISHED
    connection.send(b"echo", peer.now)
    peer.advance(SECOND)
    assert connection.receive(100, peer.now) == b"echo"


@pytest.mark.soak
def test_datagram_ports_when_none_is_free(host: Host):
    sockets = {port: host.datagrams(port) for port in EVERY}
    remote = Endpoint(parse("10.0.0.2"), 9)
    for _ in range(3):
        with pytest.raises(AddressInUse):
            host.datagrams()
        with pytest.raises(AddressInUse):
            host.datagrams(remote=remote)
    sockets[4000].close()
    connected = host.datagrams(remote=remote)
    assert connected.local.port == 4000
    assert host.datagrams().local.port == 4000
    with pytest.raises(AddressInUse):
        host.datagrams(remote=remote)
    sockets[4001].close()
    sockets[4002].close()
    assert {host.datagrams(remote=remote).local.port for _ in range(2)} == {4001, 4002}


def test_a_datagram_socket_does_not_send_to_itself_by_chance(host: Host):
    own = parse("10.0.0.1")
    for port in EVERY:
        if port != 6000:
            host.datagrams(port)
    with pytest.raises(AddressInUse):
        host.datagrams(remote=Endpoint(own, 6000))
    assert host.datagrams(6000, remote=Endpoint(own, 6000)).local.port == 6000
