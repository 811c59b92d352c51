"""Passive opens and their two queues."""

from collections.abc import Callable

import pytest

from postel.errors import AddressInUse
from postel.host.host import Host
from postel.tcp.state import CLOSED, ESTABLISHED, SYN_RECEIVED
from postel.times import MINUTE, SECOND
from postel.wire import icmp, ip
from postel.wire.address import Endpoint, parse
from postel.wire.segment import ACK, FIN, RST, SYN
from tests.host.conftest import Peer


def handshake(peer: Peer, **options: object):
    """The peer's half of it; the packets that answered its last ACK."""
    answer = peer.segment(peer.give(peer.tcp(SYN, **options)))
    return peer.give(peer.tcp(ACK, seq=1001, ack=answer.seq + 1, **options))


def test_a_listener_shows_where_it_listens(new_host: Callable[..., Host]):
    assert str(new_host().listen(80, 0).local) == "[::]:80"
    assert str(new_host("10.0.0.1").listen(80, 0).local) == "0.0.0.0:80"
    assert str(new_host().listen(80, 0, address="10.0.0.1").local) == "10.0.0.1:80"


def test_port_0_takes_a_free_one(host: Host):
    ports = {host.listen(0, 0).local.port for _ in range(5)}
    assert len(ports) == 5
    assert min(ports) >= 1024


def test_an_address_and_port_are_listened_to_once(host: Host):
    host.listen(80, 0)
    host.listen(80, 0, address="10.0.0.1")
    host.listen(80, 0, address="0.0.0.0")
    for address in (None, "10.0.0.1"):
        with pytest.raises(AddressInUse):
            host.listen(80, 0, address=address)


@pytest.mark.label("EP-DMX-1")
def test_ep_dmx_1_the_exact_address_before_the_wildcards(host: Host, peer: Peer):
    everything = host.listen(80, 0)
    family = host.listen(80, 0, address="0.0.0.0")
    exact = host.listen(80, 0, address="10.0.0.1")
    for number, listener in enumerate((exact, family, everything)):
        handshake(peer, port=6000 + number)
        connection = listener.accept()
        assert connection.remote.port == 6000 + number
        listener.close(peer.now)


def test_accept_gives_the_oldest_first_and_acceptable_comes_for_each(host: Host, peer: Peer):
    listener = host.listen(80, 0)
    handshake(peer, port=1)
    handshake(peer, port=2)
    assert [(subject, type(event).__name__) for subject, event in peer.events] == [
        (listener, "Acceptable")
    ] * 2
    assert [listener.accept().remote.port, listener.accept().remote.port] == [1, 2]
    assert listener.accept() is None


def test_events_before_accept_are_kept_for_it(host: Host, peer: Peer):
    listener = host.listen(80, 0)
    answer = peer.segment(peer.give(peer.tcp(SYN)))
    peer.give(peer.tcp(ACK | FIN, seq=1001, ack=answer.seq + 1, data=b"early"))
    assert [type(event).__name__ for _, event in peer.events] == ["Acceptable"]
    peer.events.clear()
    connection = listener.accept()
    peer.drain()
    assert [(subject, type(event).__name__) for subject, event in peer.events] == [
        (connection, "Readable"),
        (connection, "EndOfStream"),
    ]
    assert connection.receive(99, peer.now) == b"early"


def test_a_connection_that_died_in_the_queue_says_so_after_accept(host: Host, peer: Peer):
    listener = host.listen(80, 0)
    handshake(peer)
    peer.give(peer.tcp(RST, seq=1001))
    assert list(host.connections()) == []
    connection = listener.accept()
    peer.events.clear()
    peer.drain()
    assert [type(event).__name__ for _, event in peer.events] == ["Closed"]
    assert connection.state.name == "CLOSED"


@pytest.mark.label("EP-RST-3")
def test_ep_rst_3_a_reset_deletes_the_child_and_nobody_hears(host: Host, peer: Peer):
    listener = host.listen(80, 0)
    peer.give(peer.tcp(SYN))
    assert host.statistics()["half_open"] == 1
    peer.give(peer.tcp(RST, seq=1001))
    assert host.statistics()["half_open"] == 0
    assert peer.events == []
    handshake(peer)
    assert listener.accept().state is ESTABLISHED


@pytest.mark.label("EP-TMO-10")
def test_ep_tmo_10_a_child_without_an_answer_goes_silently(host: Host, peer: Peer):
    host.listen(80, 0)
    peer.give(peer.tcp(SYN))
    repeated = peer.segments(peer.advance(4 * MINUTE))
    assert {segment.flags for segment in repeated} == {SYN | ACK}
    assert len(repeated) >= 3
    assert host.statistics()["half_open"] == 0
    assert peer.events == []


@pytest.mark.label("EP-LIS-5")
def test_ep_lis_5_beyond_the_half_open_queue_come_cookies(host: Host, peer: Peer):
    host.listen(80, 0, backlog=2)
    for port in (1, 2, 3):
        assert peer.segment(peer.give(peer.tcp(SYN, port=port))).flags == SYN | ACK
    assert sorted(remote.port for _, remote, _ in host.connections()) == [1, 2]
    assert peer.dropped("half_open_full") == 1
    # The third client's SYN,ACK isn't sent again: a cookie leaves no state behind
    assert len(peer.segments(peer.advance(SECOND))) == 2


@pytest.mark.label("EP-LIS-5")
def test_ep_lis_5_a_full_accept_queue_drops_a_syn_without_reset(host: Host, peer: Peer):
    listener = host.listen(80, 0, backlog=1)
    handshake(peer, port=1)
    assert peer.give(peer.tcp(SYN, port=2)) == []
    assert peer.dropped("accept_queue_full") == 1
    listener.accept()
    assert peer.segment(peer.give(peer.tcp(SYN, port=2))).flags == SYN | ACK


@pytest.mark.label("EP-LIS-1", "EP-LIS-2", "EP-LIS-6")
def test_ep_lis_1_2_6_what_is_no_syn(host: Host, peer: Peer):
    host.listen(80, 0)
    assert peer.give(peer.tcp(RST)) == []
    assert peer.give(peer.tcp(0)) == []
    assert peer.give(peer.tcp(FIN)) == []
    assert peer.dropped("not_a_syn") == 3
    reset = peer.segment(peer.give(peer.tcp(SYN | ACK, ack=77)))
    assert (reset.flags, reset.seq) == (RST, 77)
    assert list(host.connections()) == []


def test_close_takes_the_half_open_and_the_unaccepted_along(host: Host, peer: Peer):
    listener = host.listen(80, 0)
    handshake(peer, port=1)
    peer.give(peer.tcp(SYN, port=2))
    peer.events.clear()
    listener.close(peer.now)
    listener.close(peer.now)
    (reset,) = peer.segments(peer.advance(10 * MINUTE))
    assert (reset.flags & RST, reset.destination) == (RST, 1)
    assert list(host.connections()) == []
    assert peer.events == []
    assert listener.accept() is None
    assert host.listen(80, 0).local.port == 80


def test_close_after_the_unaccepted_died(host: Host, peer: Peer):
    listener = host.listen(80, 0)
    handshake(peer)
    peer.give(peer.tcp(RST, seq=1001))
    listener.close(peer.now)
    assert peer.drain() == []


def test_no_syn_is_taken_without_memory(new_host: Callable[..., Host], new_peer: type[Peer]):
    host = new_host(memory_limit=0)
    peer = new_peer(host)
    host.listen(80, 0)
    assert peer.give(peer.tcp(SYN)) == []
    assert peer.dropped("no_memory") == 1


@pytest.mark.label("RFC6056-3.2")
def test_rfc6056_3_2_a_listeners_port_is_no_ephemeral_one(host: Host):
    probe = host.connect("10.0.0.2", 80, 0)
    next_port = probe.local.port + 1
    host.listen(next_port, 0)
    assert host.connect("10.0.0.2", 80, 0).local.port == next_port + 1


def test_the_childs_local_address_is_the_packets_destination(
    new_host: Callable[..., Host], new_peer: type[Peer]
):
    host = new_host("10.0.0.1/24", "10.0.0.7/24")
    listener = host.listen(80, 0)
    peer = new_peer(host, target="10.0.0.7")
    handshake(peer)
    assert listener.accept().local == Endpoint(parse("10.0.0.7"), 80)


def test_a_child_with_a_wrong_ack_stays_half_open(host: Host, peer: Peer):
    host.listen(80, 0)
    peer.give(peer.tcp(SYN))
    assert peer.segment(peer.give(peer.tcp(ACK, seq=1001, ack=5))).flags == RST
    ((_, _, state),) = host.connections()
    assert state is SYN_RECEIVED


@pytest.mark.parametrize("end", ["close", "remove_address"])
def test_a_child_that_has_ended_may_be_ended_again_before_the_driver_drains(host: Host, peer: Peer, end: str):
    listener = host.listen(80, peer.now)
    (answer,) = peer.give(peer.tcp(SYN))
    # Nothing is drained from the host after this
    host.packet_arrives(peer.control(icmp.unreachable(icmp.NO_PORT, ip.parse(answer))), peer.now)
    assert [state for _, _, state in host.connections()] == [CLOSED]
    if end == "close":
        listener.close(peer.now)
    else:
        host.remove_address("10.0.0.1", peer.now)
    peer.drain()
    assert list(host.connections()) == []
