"""Whatever octets come, nothing is raised and the invariants stand (BAD-HDR-12)."""

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postel.host.host import Host
from postel.tcp.invariants import check
from postel.times import MILLISECOND, SECOND
from postel.wire import checksum, ip
from postel.wire.segment import ACK, FIN, RST, SYN, URG
from tests.host.conftest import Peer


def check_all(host: Host):
    for connection in host._connections.table.values():
        check(connection._tcb)
    for entry in host._connections.passive.half_open.values():
        check(entry.child._tcb)
    host.statistics()


def build(new_peer: type[Peer]):
    """A host with a connection in most states, and what it sent."""
    host = Host("10.0.0.1/24", "fd00::1/64", secret=b"secret")
    peer = new_peer(host)
    listener = host.listen(80, peer.now, backlog=8)
    host.datagrams(53)
    for port in (1, 2, 3, 4):
        answer = peer.segment(peer.give(peer.tcp(SYN, port=port, tsval=1, tsecr=0)))
        if port > 1:
            peer.give(peer.tcp(ACK, seq=1001, ack=answer.seq + 1, port=port, tsval=2, tsecr=0))
    connections = [listener.accept() for _ in range(3)]
    connections[1].close(peer.now)
    connections[2].send(bytes(5000), peer.now)
    host.connect("10.0.0.9", 9, peer.now, local_port=99)
    return host, peer, peer.drain()


# The fixture is a class, without state
QUIET = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@given(packets=st.lists(st.binary(max_size=120), max_size=20))
@QUIET
def test_any_octets(new_peer: type[Peer], packets: list[bytes]):
    host, peer, _ = build(new_peer)
    for octets in packets:
        peer.give(octets)
        peer.give(b"\x45" + octets[1:], b"\x60" + octets[1:])
    check_all(host)


def mutated(source: random.Random, packet: bytes):
    """Some octets changed, the checksums mended as often as not."""
    octets = bytearray(packet)
    for _ in range(source.randrange(1, 4)):
        move = source.randrange(4)
        at = source.randrange(len(octets)) if octets else 0
        if move == 0 and octets:
            octets[at] = source.randrange(256)
        elif move == 1:
            octets[at:at] = source.randbytes(source.randrange(1, 9))
        elif move == 2:
            del octets[at : at + source.randrange(1, 9)]
        elif len(octets) > 33:
            octets[32 + source.randrange(2)] = source.randrange(256)
    if source.random() < 0.7 and len(octets) >= 40 and octets[0] == 0x45:
        octets[2:4] = len(octets).to_bytes(2, "big")
        octets[10:12] = octets[36:38] = b"\0\0"
        octets[10:12] = checksum.ones_complement(bytes(octets[:20])).to_bytes(2, "big")
        value = checksum.of_payload(bytes(octets[20:]), bytes(octets[12:16]), bytes(octets[16:20]), 6)
        octets[36:38] = value.to_bytes(2, "big")
    return bytes(octets)


@given(seed=st.integers(0, 2**32))
@settings(QUIET, max_examples=40)
def test_mutations_of_good_packets(new_peer: type[Peer], seed: int):
    source = random.Random(seed)
    host, peer, seeds = build(new_peer)
    seeds = [
        *seeds,
        peer.datagram(b"x"),
        peer.tcp(SYN),
        peer.tcp(ACK | FIN, seq=1001, ack=1, port=2, tsval=3, tsecr=0, data=b"abc"),
    ]
    seeds += ip.fragments(peer.address, peer.target, 17, bytes(900), 576)
    for _ in range(60):
        packet = source.choice(seeds)
        if packet[12:16] == peer.target and source.random() < 0.8:  # what the host sent, sent back to it
            packet = packet[:12] + packet[16:20] + packet[12:16] + packet[22:24] + packet[20:22] + packet[24:]
        peer.give(mutated(source, packet))
        check_all(host)
        if source.random() < 0.1:
            peer.advance(source.randrange(500) * MILLISECOND)
    peer.advance(1000 * SECOND)
    check_all(host)


@given(
    moves=st.lists(
        st.tuples(
            st.sampled_from([SYN, ACK, FIN | ACK, RST, RST | ACK, SYN | ACK, URG | ACK, 0]),
            st.integers(-3, 3) | st.sampled_from([60_000, 70_000, 2**31]),
            st.integers(-3, 3) | st.sampled_from([-60_000, 2**31]),
            st.binary(max_size=9),
            st.integers(1, 5),
        ),
        max_size=40,
    )
)
@settings(QUIET, max_examples=60)
def test_segments_near_the_right_numbers(new_peer: type[Peer], moves: list):
    host, peer, _ = build(new_peer)
    for flags, ahead, acked, data, port in moves:
        connection = host._connections.by_key(
            peer.address + peer.target + port.to_bytes(2, "big") + b"\0\x50"
        )
        rcv, una = (connection._tcb.rcv.nxt, connection._tcb.snd.una) if connection else (1000, 0)
        number, ack = (rcv + ahead) % 2**32, (una + acked) % 2**32
        peer.give(peer.tcp(flags, seq=number, ack=ack, port=port, data=data, tsval=3, tsecr=0))
        check_all(host)
        peer.now += 10 * MILLISECOND
    peer.advance(2000 * SECOND)
    assert [
        state.name for _, _, state in host.connections() if state.name in ("SYN-SENT", "SYN-RECEIVED")
    ] == []
