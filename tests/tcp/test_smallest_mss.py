"""The least MSS of a peer that counts: an attacker's word must not make each octet of ours cost a packet
(`Config.smallest_mss`).
"""

from dataclasses import replace

import pytest

from postel.errors import ArgumentError
from postel.host.host import Host
from postel.tcp.authentication.keychain import Keychain
from postel.tcp.authentication.keys import Algorithm, Key
from postel.tcp.config import DEFAULT
from postel.tcp.connection import Connection
from postel.testing.states import LOCAL, PLAIN, REMOTE, Peer, Scene, established, established_active
from postel.times import SECOND
from postel.wire import icmp
from postel.wire.segment import ACK, SYN, Segment
from tests.host.conftest import Peer as Stranger

TEXT = bytes(4000)


def texts(scene: Scene) -> list[int]:
    """Octets of text in each segment, until all are sent."""
    scene.connection.send(TEXT, scene.now)
    found: list[int] = []
    for _ in range(1000):
        scene.drain()
        found += [len(segment.data) for segment in scene.sent if segment.data]
        if sum(found) >= len(TEXT):
            return found
        scene.hears(ACK)
        found += [len(segment.data) for segment in scene.sent if segment.data]
    raise AssertionError("it never ends")


@pytest.mark.label("MUST-14")
@pytest.mark.parametrize("make", [established, established_active])
@pytest.mark.parametrize(
    ("told", "counts"), [(0, 48), (1, 48), (13, 48), (47, 48), (48, 48), (49, 49), (536, 536)]
)
def test_a_peer_that_takes_next_to_nothing(make: object, told: int, counts: int) -> None:
    scene: Scene = make(PLAIN, Peer(mss=told))  # type: ignore[operator]
    assert set(texts(scene)[:-3]) == {counts}


@pytest.mark.parametrize("told", [1, 12, 13, 20])
def test_timestamps_leave_most_of_it(told: int) -> None:
    scene = established(replace(PLAIN, timestamps=True), Peer(mss=told, tsval=5))
    assert set(texts(scene)[:-3]) == {36}


@pytest.mark.parametrize("smallest", [1, 100, 536])
def test_it_is_a_choice(smallest: int) -> None:
    scene = established(replace(PLAIN, smallest_mss=smallest), Peer(mss=1))
    assert scene.tcb.data_mss == smallest


@pytest.mark.parametrize("smallest", [0, 537, -1])
def test_it_is_no_more_than_every_peer_takes(smallest: int) -> None:
    with pytest.raises(ArgumentError, match="smallest_mss"):
        replace(DEFAULT, smallest_mss=smallest)


def test_what_we_may_send_bounds_it_still() -> None:
    """Neither the user's largest MSS nor a link's MTU is a peer's word."""
    scene = established(replace(PLAIN, largest_mss=30), Peer(mss=1))
    assert scene.tcb.data_mss == 30
    scene = established(PLAIN, Peer(mss=1), mtu=68)
    assert scene.tcb.data_mss == 28


@pytest.mark.parametrize("mtu", [-1, 0, 40, 68, 87])
@pytest.mark.parametrize("is_retransmitted", [False, True])
def test_no_claim_of_a_router_makes_packets_tiny(mtu: int, is_retransmitted: bool) -> None:
    scene = established(PLAIN, Peer(mss=1460))
    scene.sends(TEXT)
    if is_retransmitted:
        scene.expires()
    assert scene.connection.packet_too_big(mtu, scene.tcb.snd.una, scene.now)
    assert scene.tcb.data_mss == 48
    scene = established(PLAIN)
    scene.connection.path_mtu(mtu, scene.now)
    assert scene.tcb.data_mss == 48


# Signed, and through a host: the SYN cache makes the same of it


@pytest.mark.parametrize("algorithm", ["SHA1", "AES128", "MD5"])
def test_a_signature_leaves_something_too(algorithm: Algorithm) -> None:
    keychain = Keychain(Key(b"secret", algorithm=algorithm))
    authentication = keychain.authentication(LOCAL, REMOTE)
    connection = Connection(LOCAL, REMOTE, DEFAULT, authentication=authentication)
    connection.open_passive(0)
    syn = Segment(REMOTE.port, LOCAL.port, 1, 0, SYN, 65_535, tsval=1, tsecr=0)
    syn.mss = 1
    connection.segment_arrives(syn, 0)
    assert connection._tcb.data_mss >= 8


@pytest.mark.parametrize("half_open", [0, 40])
def test_however_the_handshake_is_kept(half_open: int) -> None:
    """As a connection, or in the SYN cache. (A SYN cookie has room for 216 octets and more only.)"""
    host = Host("10.0.0.1/24", secret=b"secret")
    listener = host.listen(80, 0)
    stranger = Stranger(host)
    stranger.now = 1000 * SECOND
    for number in range(half_open):
        stranger.give(stranger.tcp(SYN, port=10_000 + number, mss=1))
    answer = stranger.segment(stranger.give(stranger.tcp(SYN, port=5000, mss=1)))
    stranger.give(stranger.tcp(ACK, port=5000, seq=1001, ack=answer.seq + 1))
    connection = listener.accept()
    assert connection is not None
    connection.send(TEXT, stranger.now)
    segments = stranger.segments(stranger.drain())
    assert segments
    assert min(len(segment.data) for segment in segments) >= 48


@pytest.mark.parametrize("claimed", [0, 68, 100, 551])
def test_a_host_heeds_no_claim_below_what_nearly_every_path_carries(claimed: int) -> None:
    host = Host("10.0.0.1/24", secret=b"secret")
    listener = host.listen(80, 0)
    stranger = Stranger(host)
    answer = stranger.segment(stranger.give(stranger.tcp(SYN, mss=1460)))
    stranger.give(stranger.tcp(ACK, seq=1001, ack=answer.seq + 1))
    connection = listener.accept()
    assert connection is not None
    connection.send(TEXT, stranger.now)
    packet = stranger.drain()[0]
    stranger.give(stranger.control(icmp.IcmpMessage(icmp.PACKET_TOO_BIG, 0, claimed, packet[:28])))
    assert connection._tcb.path.mtu >= 552
