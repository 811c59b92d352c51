"""A host answers itself: what it sends to 127.0.0.0/8, ::1 and its own addresses arrives, takes no time, and
never sees the link.
"""

from collections.abc import Callable

import pytest

from postel.errors import ConnectionRefused
from postel.host.host import Host
from postel.host.listener import Listener
from postel.links import Link
from postel.links.junction import Junction
from postel.tcp import hosted
from postel.tcp.connection import Connection
from postel.tcp.events import Trouble
from postel.tcp.state import CLOSED, ESTABLISHED, SYN_SENT
from postel.times import MINUTE, NEVER
from postel.wire import checksum, ip
from postel.wire.address import Endpoint, parse, to_text
from postel.wire.parcel import Parcel
from postel.wire.segment import ACK, RST, SYN
from tests.host.conftest import Peer

OURS = ("127.0.0.1", "127.9.8.7", "::1", "10.0.0.1", "fd00::1")


def settle(host: Host, now: int) -> list[bytes]:
    """Pump until nothing is due ``now``: what left by the link."""
    left: list[bytes] = []
    while True:
        while (octets := host.next_packet(now)) is not None:
            left.append(octets)
        while host.next_event() is not None:
            pass
        if host.next_timeout() > now:
            return left
        host.handle_timeout(now)


def connected(host: Host, address: str, now: int) -> tuple[Connection, Connection, Listener]:
    listener = host.listen(80, now)
    client = host.connect(address, 80, now)
    assert settle(host, now) == []
    server = listener.accept()
    assert server is not None
    return client, server, listener


@pytest.mark.parametrize("address", OURS)
def test_a_connection_to_itself_takes_no_time(host: Host, address: str):
    client, server, _ = connected(host, address, 5)
    assert (client.state, server.state) == (ESTABLISHED, ESTABLISHED)
    assert client.remote == server.local == Endpoint(parse(address), 80)
    client.send(b"there", 5)
    server.send(b"and back", 5)
    assert settle(host, 5) == []
    assert (server.receive(99, 5), client.receive(99, 5)) == (b"there", b"and back")


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.9.8.7", "127.0.0.1"),
        ("::1", "::1"),
        ("10.0.0.1", "10.0.0.1"),
        ("fd00::1", "fd00::1"),
    ],
)
def test_the_source_that_is_chosen(host: Host, address: str, source: str):
    assert host.connect(address, 80, 0).local.host == source


def test_a_source_that_the_program_chose(host: Host):
    listener = host.listen(80, 0)
    for address, source in (("127.0.0.1", "127.4.4.4"), ("127.0.0.1", "10.0.0.1"), ("10.0.0.1", "127.0.0.1")):
        client = host.connect(address, 80, 0, local_address=source)
        assert settle(host, 0) == []
        server = listener.accept()
        assert server is not None
        assert (client.state, server.remote.host) == (ESTABLISHED, source)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_host_needs_no_address_for_it(address: str):
    host = Host(secret=b"alone")
    client, server, _ = connected(host, address, 0)
    assert (client.state, server.state) == (ESTABLISHED, ESTABLISHED)


def test_it_never_arrives_inside_the_call_of_the_sender(host: Host):
    listener = host.listen(80, 0)
    client = host.connect("127.0.0.1", 80, 0)
    assert host.next_packet(0) is None
    assert (client.state, listener.accept()) == (SYN_SENT, None)
    assert host.next_timeout() == 0
    host.handle_timeout(0)
    assert client.state is SYN_SENT  # the answer is on its way


def test_a_host_tells_that_it_has_something_for_itself(host: Host):
    """`next_timeout` is true once the packets are drained; until then `has_output` says that there is
    something to drain.
    """
    socket = host.datagrams(53)
    assert not host.has_output
    socket.send(b"x", 0, remote=Endpoint(parse("127.0.0.1"), 53))
    assert host.has_output
    assert host.next_packet(0) is None
    assert not host.has_output
    assert host.next_timeout() == 0
    host.handle_timeout(0)
    assert host.next_timeout() == NEVER
    assert socket.receive() is not None


@pytest.mark.parametrize(
    ("bound", "hears"),
    [("127.0.0.1", ["127.0.0.1"]), ("10.0.0.1", ["10.0.0.1"]), ("::1", ["::1"]), (None, [*OURS])],
)
def test_a_listener_hears_at_its_address_alone(host: Host, bound: str | None, hears: list[str]):
    listener = host.listen(80, 0, address=bound)
    heard = []
    for address in OURS:
        client = host.connect(address, 80, 0)
        settle(host, 0)
        if listener.accept() is not None:
            heard.append(address)
        else:
            assert isinstance(client.error, ConnectionRefused)
    assert heard == hears


@pytest.mark.parametrize("address", OURS)
def test_a_closed_port_refuses(host: Host, address: str):
    client = host.connect(address, 81, 0)
    assert settle(host, 0) == []
    assert (client.state, type(client.error)) == (CLOSED, ConnectionRefused)


@pytest.mark.parametrize("address", OURS)
def test_datagrams(host: Host, address: str):
    server, client = host.datagrams(53), host.datagrams()
    large = bytes(range(256)) * 40  # in fragments
    for data in (b"", b"small", large):
        client.send(data, 0, remote=Endpoint(parse(address), 53))
        assert settle(host, 0) == []
        got = server.receive()
        assert got is not None
        assert got[0] == data
        server.send(data, 0, remote=got[1])
        assert settle(host, 0) == []
        source = "127.0.0.1" if address == "127.9.8.7" else address  # the server is bound to none
        assert client.receive() == (data, Endpoint(parse(source), 53))


@pytest.mark.parametrize("address", OURS)
def test_a_datagram_to_a_closed_port_is_refused(host: Host, address: str):
    socket = host.datagrams(remote=Endpoint(parse(address), 54))
    socket.send(b"x", 0)
    events = []
    while host.next_packet(0) is None and host.next_timeout() == 0:
        host.handle_timeout(0)
        while (told := host.next_event()) is not None:
            events.append(told)
    ((subject, event),) = events
    assert subject is socket
    assert isinstance(event, Trouble)
    assert isinstance(event.error, ConnectionRefused)


def test_more_at_once_than_half_open_connections_are_kept(host: Host):
    listener = host.listen(80, 0, backlog=200)
    clients = [host.connect("127.0.0.1", 80, 0) for _ in range(150)]
    assert settle(host, 0) == []
    assert {client.state for client in clients} == {ESTABLISHED}
    assert sum(listener.accept() is not None for _ in clients) == 150


def test_a_pair_in_time_wait_goes_on_to_answer(host: Host):
    client, server, _ = connected(host, "127.0.0.1", 0)
    server.close(0)
    settle(host, 0)
    client.close(0)
    assert settle(host, 0) == []
    assert host.statistics()["time_wait"] == 1
    again = host.connect("127.0.0.1", 80, MINUTE // 4, local_port=client.local.port)
    assert settle(host, MINUTE // 4) == []
    assert again.state is ESTABLISHED


# Forgeries: the same packets from the link


@pytest.mark.label("BAD-HDR-10", "RFC1122-3.2.1.3")
@pytest.mark.parametrize("address", OURS)
@pytest.mark.parametrize("flags", [RST, RST | ACK, ACK, SYN])
def test_no_packet_from_the_link_reaches_a_connection_of_the_host_with_itself(
    host: Host, new_peer: type[Peer], address: str, flags: int
):
    client, server, _ = connected(host, address, 0)
    client.send(b"four", 0)
    settle(host, 0)
    before = host.statistics()["dropped"]
    peer = new_peer(host, to_text(server.remote.address), address)
    peer.now = 0
    seq, ack = hosted.snd_max(client), hosted.snd_max(server)
    data = b"forged" if flags == ACK else b""
    forged = peer.tcp(flags, seq=seq, ack=ack, data=data, port=client.local.port, to=80)
    assert peer.give(forged) == []
    host.parcel_arrives(Parcel(forged), 0)
    host.parcel_arrives(Parcel(forged[:60], forged[60:], is_vouched=True), 0)
    assert settle(host, 0) == []
    assert host.statistics()["dropped"] == before + 3
    assert host.statistics()["dropped_invalid_source"] == 3
    assert (client.state, server.state) == (ESTABLISHED, ESTABLISHED)
    assert server.receive(99, 0) == b"four"


@pytest.mark.label("RFC1122-3.2.1.3")
@pytest.mark.parametrize("source", ["127.0.0.1", "10.0.0.1"])
def test_a_forged_packet_with_a_bad_header_makes_the_host_tell_itself_nothing(host: Host, source: str):
    """What a host tells itself it would believe: an ICMP error with a quoted segment that the attacker
    wrote.
    """
    whole = bytearray(ip.encode(parse(source), parse("10.0.0.1"), 6, bytes(40)))
    whole[0] = 0x46  # an option of length 1
    whole[20:24] = b"\x44\x01\0\0"
    whole[10:12] = bytes(2)
    whole[10:12] = checksum.ones_complement(bytes(whole[:24])).to_bytes(2, "big")
    host.packet_arrives(bytes(whole), 0)
    assert host.statistics()["dropped_bad_option"] == 1
    assert host.next_packet(0) is None
    assert host.next_timeout() == NEVER


# A link that is stuck


class Stuck(Link):
    """A link that takes no packet."""

    mtu = 1500
    has_room = False

    def receive(self, now: int) -> bytes | None:
        return None

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        raise AssertionError("there is no room")

    def close(self) -> None:
        pass


def test_a_link_without_room_does_not_hold_up_what_stays_in_the_host(new_host: Callable[..., Host]):
    host = new_host()
    junction = Junction(host, Stuck(), lambda: None)
    listener = host.listen(80, 0)
    outside = host.connect("10.0.0.9", 80, 0)
    inside = host.connect("127.0.0.1", 80, 0)
    for _ in range(8):
        junction.send_out(64, 0, lambda _error: None)
        if junction.next_timeout() == 0:
            host.handle_timeout(0)
    assert (outside.state, inside.state) == (SYN_SENT, ESTABLISHED)
    assert listener.accept() is not None
    junction.release()
