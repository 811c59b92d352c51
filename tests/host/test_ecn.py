"""The ECN field on its way between the IP header and a connection; SYN cookies."""

from dataclasses import replace

import pytest

from postel.host.cookies import representable
from postel.host.host import Host
from postel.tcp.config import DEFAULT, EcnMode
from postel.tcp.connection import Connection
from postel.tcp.ecn import CE, ECT_0, NOT_ECT, ace, flags_of
from postel.tcp.ecn.accurate import Accurate
from postel.tcp.ecn.classic import Classic
from postel.tcp.state import ESTABLISHED
from postel.times import MILLISECOND, SECOND
from postel.wire import ip
from postel.wire.segment import ABSENT, ACK, AE, CWR, ECE, PSH, RST, SYN, Segment
from tests.host.conftest import Pair, Peer, make_pair

ASKS = AE | CWR | ECE
FAMILIES = {4: ("10.0.0.9", "10.0.0.1"), 6: ("fd00::9", "fd00::1")}


def marked(octets: bytes, mark: int, dscp: int = 0x28) -> bytes:
    """The packet, as a router leaves it."""
    packet = ip.parse(octets)
    return ip.encode(
        packet.source, packet.destination, packet.protocol, packet.payload, traffic_class=dscp | mark
    )


def mark_of(octets: bytes) -> int:
    return ip.parse(octets).traffic_class


def opened(host: Host, peer: Peer, syn: int = ASKS) -> tuple[Connection, int]:
    """Accepted, and the number of our SYN,ACK."""
    listener = host.listen(80, peer.now)
    answer = peer.segment(peer.give(peer.tcp(SYN | syn)))
    peer.give(peer.tcp(ACK | (flags_of(0b010) if syn == ASKS else 0), seq=1001, ack=answer.seq + 1))
    connection = listener.accept()
    assert connection is not None
    return connection, answer.seq


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [10, 10_000])
def test_marks_come_in_and_go_out(host: Host, family: int, size: int) -> None:
    """By the short way in, and with a padded header by the long one too."""
    peer = Peer(host, *FAMILIES[family])
    connection, iss = opened(host, peer)
    peer.give(marked(peer.tcp(ACK | flags_of(5), seq=1001, ack=iss + 1, data=bytes(10)), CE))
    assert isinstance(connection._tcb.ecn, Accurate)
    assert connection._tcb.ecn.r_ceb == 10
    connection.send(bytes(size), peer.now)
    assert {mark_of(octets) for octets in peer.drain()} == {ECT_0}


def test_marks_come_in_by_the_long_way(host: Host, peer: Peer) -> None:
    connection, iss = opened(host, peer)
    packet = peer.tcp(ACK | flags_of(5), seq=1001, ack=iss + 1, data=bytes(1200))
    payload = ip.parse(packet).payload
    for fragment in ip.fragments(
        peer.address, peer.target, 6, payload, 576, identification=3, traffic_class=CE
    ):
        peer.give(fragment)
    assert isinstance(connection._tcb.ecn, Accurate)
    assert connection._tcb.ecn.r_ceb == 1200


@pytest.mark.label("RFC9768-3.1.1")
@pytest.mark.parametrize("family", FAMILIES)
def test_the_mark_of_a_syn(host: Host, family: int) -> None:
    """The way in of a SYN is the long one."""
    peer = Peer(host, *FAMILIES[family])
    host.listen(80, peer.now)
    assert ace(peer.segment(peer.give(marked(peer.tcp(SYN | ASKS), CE))).flags) == 0b110


@pytest.mark.label("RFC9768-3.1.5")
def test_the_user_sets_dscp_alone(host: Host, peer: Peer) -> None:
    """No ECT where ECN wasn't agreed on, nor on a RST."""
    listener = host.listen(80, peer.now, config=replace(DEFAULT, traffic_class=0x2B))
    (answer,) = peer.give(peer.tcp(SYN))
    assert mark_of(answer) == 0x28
    (reset,) = peer.give(peer.tcp(ACK, seq=5, ack=9, port=77))
    assert (peer.segment([reset]).flags, mark_of(reset)) == (RST, 0x28)
    assert listener.accept() is None


@pytest.mark.label("RFC9768-3.1.5")
def test_a_handshake_that_mixes_both_ways_is_reset(host: Host, peer: Peer) -> None:
    """For a listener's child too."""
    host.listen(80, peer.now)
    peer.give(peer.tcp(SYN | ASKS))
    answer = peer.segment(peer.give(peer.tcp(SYN | ECE | CWR)))
    assert (answer.flags, answer.ack) == (RST | ACK, 1001)
    assert host.statistics()["half_open"] == 0


@pytest.mark.label("RFC9768-3.1.2", "RFC3168-6.1.1a")
@pytest.mark.parametrize(
    ("left", "right", "agreed"),
    [
        ("ask", "accept", Accurate),
        ("ask", "ask-classic", Classic),
        ("ask", "accept-classic", Classic),
        ("ask", "off", type(None)),
        ("ask-classic", "accept", Classic),
        ("ask-classic", "off", type(None)),
        ("accept", "accept", type(None)),
        ("off", "ask", type(None)),
    ],
)
@pytest.mark.parametrize("address", ["10.0.0.2", "fd00::2"])
def test_two_hosts_agree(left: int, right: int, agreed: type, address: str) -> None:
    """Then octets go both ways, with marks or without."""
    pair: Pair = make_pair()
    pair.left.config = replace(DEFAULT, ecn=left)
    pair.right.config = replace(DEFAULT, ecn=right)
    client, server, _ = pair.connect(address=address)
    assert type(client._tcb.ecn) is type(server._tcb.ecn) is agreed
    pair.carried.clear()
    client.send(bytes(50_000), pair.now)
    server.send(bytes(50_000), pair.now)
    pair.advance(SECOND)
    assert len(server.receive(1 << 20, pair.now)) == len(client.receive(1 << 20, pair.now)) == 50_000
    assert client._tcb.ensure_controller().window >= 14_480
    marks = {mark_of(octets) for _, octets in pair.carried}
    assert marks == ({NOT_ECT} if agreed is type(None) else {NOT_ECT, ECT_0})


# Cookies: a listener with a full half-open queue


def cookie(peer: Peer, config: object, syn: int, mark: int = NOT_ECT) -> tuple[object, Segment]:
    listener = peer.host.listen(80, peer.now, backlog=1, config=config)
    peer.give(peer.tcp(SYN, port=1))
    return listener, peer.segment(peer.give(marked(peer.tcp(SYN | syn), mark)))


@pytest.mark.label("RFC9768-3.1.1")
@pytest.mark.parametrize(("mark", "reflection"), [(NOT_ECT, 0b010), (CE, 0b110)])
@pytest.mark.parametrize(
    ("told", "agreed"), [(0b010, Accurate), (0b110, Accurate), (0b000, type(None)), (0b001, type(None))]
)
def test_a_cookie_keeps_the_accurate_way(
    peer: Peer, mark: int, reflection: int, told: int, agreed: type
) -> None:
    """RFC 9768, 5.1: the ACK shows by itself what was agreed on."""
    listener, answer = cookie(peer, DEFAULT, ASKS, mark)
    assert ace(answer.flags) == reflection
    assert answer.other != ()
    peer.give(peer.tcp(ACK | flags_of(told), seq=1001, ack=answer.seq + 1))
    connection = listener.accept()
    assert (connection.state, type(connection._tcb.ecn)) == (ESTABLISHED, agreed)


@pytest.mark.label("RFC3168-6.1.1b")
@pytest.mark.parametrize(
    ("ecn", "syn"),
    [("accept", ECE | CWR), ("accept-classic", ASKS), ("accept-classic", ECE | CWR), ("off", ASKS)],
)
def test_a_cookie_declines_the_classic_way(peer: Peer, ecn: EcnMode, syn: int) -> None:
    """Nothing would remember it."""
    listener, answer = cookie(peer, replace(DEFAULT, ecn=ecn), syn)
    assert ace(answer.flags) == 0
    peer.give(peer.tcp(ACK | PSH, seq=1001, ack=answer.seq + 1, data=bytes(10)))
    connection = listener.accept()
    assert (connection._tcb.ecn, connection.receive(99, peer.now)) == (None, bytes(10))


@pytest.mark.label("RFC3168-6.1.1b")
def test_flags_on_the_ack_of_a_cookie_mean_nothing_where_we_know_the_classic_way_alone(peer: Peer) -> None:
    listener, answer = cookie(peer, replace(DEFAULT, ecn="accept-classic"), 0)
    peer.give(peer.tcp(ACK | ASKS, seq=1001, ack=answer.seq + 1))
    assert listener.accept()._tcb.ecn is None


def test_what_a_cookie_keeps_of_a_syn() -> None:
    syn = Segment(5000, 80, 1000, 0, SYN | ASKS, 65535)
    syn.ecn = CE
    kept = representable(syn, ipv4=True, timestamps=True, accurate=True)
    assert kept is not None
    assert (kept.flags, kept.ecn, kept.tsval) == (SYN | ASKS, CE, ABSENT)


@pytest.mark.label("RFC9768-3.2.2")
def test_a_lost_ack_makes_the_handshake_say_it_again(pair: Pair) -> None:
    """The client's ACK is lost, the SYN,ACK comes again, and its answer has the handshake's encoding."""
    pair.left.config = replace(DEFAULT, ecn="ask")
    pair.right.listen(80, pair.now)
    pair.lose = lambda sender, octets: sender is pair.left and octets[33] & (SYN | ACK) == ACK
    pair.left.connect("10.0.0.2", 80, pair.now)
    pair.advance(100 * MILLISECOND)
    pair.carried.clear()
    pair.lose = lambda sender, octets: False
    pair.advance(2 * SECOND)
    flags = [(octets[32] << 8 | octets[33]) & 0x1FF for _, octets in pair.carried[:2]]
    assert flags == [SYN | ACK | flags_of(0b010), ACK | flags_of(0b010)]
