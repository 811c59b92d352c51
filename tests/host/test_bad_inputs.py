"""What attackers, broken peers and hostile networks send, as far as a host can tell: a test for each id."""

import tracemalloc
from collections.abc import Callable
from itertools import product

import pytest

from postel.errors import InsufficientResources
from postel.host.host import Host
from postel.tcp import seq
from postel.tcp.events import Readable
from postel.tcp.invariants import check
from postel.tcp.state import ESTABLISHED, SYN_RECEIVED, SYN_SENT
from postel.times import MILLISECOND, MINUTE, NEVER, SECOND
from postel.wire import checksum, icmp, ip
from postel.wire.address import Endpoint, parse
from postel.wire.icmp import IcmpMessage
from postel.wire.segment import ACK, FIN, PROTOCOL, PSH, RST, SYN, URG, Segment, encode_for
from tests.host.conftest import Peer


def label(*ids: str) -> pytest.MarkDecorator:
    return pytest.mark.label(*ids)


def raw(peer: Peer, segment_octets: bytes):
    """A packet with these octets for a segment, and the right checksum where there is room for one."""
    octets = bytearray(segment_octets)
    if len(octets) >= 18:
        octets[16:18] = b"\0\0"
        octets[16:18] = checksum.of_payload(bytes(octets), peer.address, peer.target, PROTOCOL).to_bytes(
            2, "big"
        )
    return ip.encode(peer.address, peer.target, PROTOCOL, bytes(octets))


def established(peer: Peer, *, port: int = 5000, to: int = 80, **options: object):
    """A connection to the host's listener; the peer stands at SEQ 1001 and must acknowledge ``ack``."""
    host = peer.host
    listener = host._connections.passive.find(peer.target, to) or host.listen(to, peer.now)
    answer = peer.segment(peer.give(peer.tcp(SYN, port=port, to=to, **options)))
    peer.give(peer.tcp(ACK, seq=1001, ack=answer.seq + 1, port=port, to=to, **options))
    connection = listener.accept()
    assert connection.state is ESTABLISHED
    return connection, answer.seq + 1


def snapshot(host: Host) -> list:
    """All that a silent drop must leave as it was."""
    return [list(host.connections()), host.next_timeout()]


# Headers


@label("BAD-HDR-1", "EP-PRE-1")
def test_bad_hdr_1_segments_cut_anywhere(host: Host, peer: Peer):
    established(peer)
    before = snapshot(host)
    whole = encode_for(
        Segment(5000, 80, 1001, 0, ACK, 0, b"text", tsval=1, tsecr=2), peer.address, peer.target
    )
    for data_offset, length in product(range(16), range(61)):
        if data_offset >= 5 and data_offset * 4 <= length:
            continue
        octets = bytearray(whole + bytes(60))[:length]
        if length > 12:
            octets[12] = data_offset << 4
        for packet in (raw(peer, octets), ip.encode(peer.address, peer.target, PROTOCOL, bytes(octets))):
            assert peer.give(packet) == []
    assert snapshot(host) == before
    assert peer.dropped("truncated") + peer.dropped("bad_data_offset") + peer.dropped("bad_checksum") > 1400


@label("BAD-HDR-3")
def test_bad_hdr_3_lengths_that_lie(peer: Peer):
    connection, ack = established(peer)
    packet = peer.tcp(ACK, seq=1001, ack=ack, data=b"text")

    def with_length(length: int) -> bytes:
        header = bytearray(packet[:20])
        header[2:4] = length.to_bytes(2, "big")
        header[10:12] = b"\0\0"
        header[10:12] = checksum.ones_complement(bytes(header)).to_bytes(2, "big")
        return bytes(header) + packet[20:]

    for length in (0, 19, 20, 30, 39, len(packet) + 1, 65535):
        assert peer.give(with_length(length)) == []
    assert connection.readable == 0
    peer.give(packet + b"padding of Ethernet")
    assert connection.receive(99, peer.now) == b"text"


@label("BAD-HDR-3")
def test_bad_hdr_3_over_ipv6(host: Host, new_peer: type[Peer]):
    peer = new_peer(host, "fd00::9", "fd00::1")
    connection, ack = established(peer)
    packet = bytearray(peer.tcp(ACK, seq=1001, ack=ack, data=b"text"))
    for length in (0, 19, len(packet) - 39, 65535):
        lying = bytearray(packet)
        lying[4:6] = length.to_bytes(2, "big")
        assert peer.give(bytes(lying)) == []
    assert connection.readable == 0
    peer.give(bytes(packet) + b"padding of Ethernet")
    assert connection.receive(99, peer.now) == b"text"


@label("BAD-HDR-4")
@pytest.mark.parametrize("bits", range(16))
def test_bad_hdr_4_reserved_bits(host: Host, peer: Peer, bits: int):
    def reserved(packet: bytes) -> bytes:
        octets = bytearray(packet[20:])
        octets[12] |= bits
        return raw(peer, octets)

    listener = host.listen(80, peer.now)
    answer = peer.segment(peer.give(reserved(peer.tcp(SYN))))
    peer.give(reserved(peer.tcp(ACK, seq=1001, ack=answer.seq + 1)))
    connection = listener.accept()
    peer.give(reserved(peer.tcp(ACK | FIN, seq=1001, ack=answer.seq + 1, data=b"text")))
    assert connection.receive(99, peer.now) == b"text"
    assert connection.at_end


SCANS = [0, FIN, FIN | PSH | URG]


@label("BAD-HDR-6", "EP-LIS-6", "EP-CLO-2", "EP-ACK-1")
@pytest.mark.parametrize("flags", SCANS)
def test_bad_hdr_6_scans(host: Host, peer: Peer, flags: int):
    reset = peer.segment(peer.give(peer.tcp(flags, data=b"abc")))  # CLOSED
    assert (reset.flags, reset.seq, reset.ack) == (RST | ACK, 0, 1003 + (flags & FIN))
    connection, _ = established(peer, port=5001)
    before = snapshot(host)
    assert peer.give(peer.tcp(flags)) == []  # LISTEN
    assert peer.give(peer.tcp(flags, seq=1001, port=5001, data=b"abc")) == []  # ESTABLISHED
    assert snapshot(host) == before
    assert connection.readable == 0


@label("BAD-HDR-7", "EP-LIS-4")
@pytest.mark.parametrize("data", [b"", b"early"])
def test_bad_hdr_7_syn_with_fin_and_text(host: Host, peer: Peer, data: bytes):
    listener = host.listen(80, peer.now)
    answer = peer.segment(peer.give(peer.tcp(SYN | FIN, data=data)))
    assert answer.ack == 1001  # D-3: neither is acknowledged
    peer.give(peer.tcp(ACK, seq=1001, ack=answer.seq + 1))
    connection = listener.accept()
    assert (connection.readable, connection.at_end) == (0, False)
    peer.give(peer.tcp(ACK | FIN, seq=1001, ack=answer.seq + 1, data=data))
    if data:
        assert connection.receive(99, peer.now) == data
    assert connection.at_end


@label("BAD-HDR-9", "EP-PRE-4")
def test_bad_hdr_9_port_0(host: Host, peer: Peer):
    host.listen(80, peer.now)
    before = snapshot(host)
    for ports in ({"port": 0}, {"to": 0}, {"port": 0, "to": 0}):
        for flags in (SYN, ACK, FIN, 0):
            assert peer.give(peer.tcp(flags, **ports)) == []
    assert snapshot(host) == before
    assert peer.dropped("port_zero") == 12


@label("EP-PRE-3", "MUST-57", "MUST-63")
@pytest.mark.parametrize("flags", [SYN, ACK, RST])
def test_ep_pre_3_addresses_of_many_and_of_nobody(host: Host, peer: Peer, flags: int):
    host.listen(80, peer.now)
    for destination in ("10.0.0.255", "255.255.255.255", "224.0.0.1", "0.0.0.0", "10.0.0.77"):
        assert peer.give(peer.tcp(flags, destination=parse(destination))) == []
    for source in ("10.0.0.255", "255.255.255.255", "224.0.0.1", "0.0.0.0", "127.0.0.1", "0.1.2.3"):
        assert peer.give(peer.tcp(flags, source=parse(source))) == []
    assert [peer.dropped(reason) for reason in ("broadcast", "multicast", "not_ours", "invalid_source")] == [
        2,
        1,
        2,
        6,
    ]


@label("BAD-HDR-10")
def test_bad_hdr_10_land(host: Host, peer: Peer):
    host.listen(80, peer.now)
    land = peer.tcp(SYN, port=80, to=80, source=peer.target)
    for _ in range(100):
        assert peer.give(land) == []
    assert peer.dropped("invalid_source") == 100
    assert peer.advance(MINUTE) == []
    assert list(host.connections()) == []


@label("BAD-HDR-10")
def test_bad_hdr_10_land_where_every_address_is_ours(new_host: Callable[..., Host], new_peer: type[Peer]):
    host = new_host(any_address=True)
    peer = new_peer(host, target="192.0.2.1")
    host.listen(80, peer.now)
    answers = peer.give(*[peer.tcp(SYN, port=80, to=80, source=peer.target)] * 100)
    assert len(answers) <= 2
    assert len(peer.advance(10 * MINUTE)) < 20
    assert list(host.connections()) == []


# Checksums


@label("BAD-CSUM-1", "EP-PRE-2", "MUST-3")
def test_bad_csum_1_every_bit(host: Host, peer: Peer):
    connection, ack = established(peer)
    packet = peer.tcp(ACK, seq=1001, ack=ack, data=b"odd")
    before = snapshot(host)
    for position in range(8 * len(packet)):
        octets = bytearray(packet)
        octets[position // 8] ^= 1 << position % 8
        assert peer.give(bytes(octets)) == []
    assert snapshot(host) == before
    assert connection.readable == 0
    swapped = packet[:40] + b"cd" + b"ab" + b"ef"
    good = peer.tcp(ACK, seq=1001, ack=ack, data=b"abcdef")
    peer.give(good[:40] + swapped[40:])
    assert connection.receive(99, peer.now) == b"cdabef"  # the limit of any sum


# Sequence numbers


@label("BAD-SEQ-6")
def test_bad_seq_6_many_connections_with_held_octets(new_host: Callable[..., Host], new_peer: type[Peer]):
    host = new_host(memory_limit=1_000_000)
    peer = new_peer(host)
    held = [(port, *established(peer, port=port)) for port in range(6000, 6200)]
    for port, connection, ack in held:
        peer.give(peer.tcp(ACK, seq=1001 + 50_000, ack=ack, port=port, data=bytes(10_000)))
        assert host.statistics()["memory_used"] <= 1_000_000
        check(connection._tcb)
        peer.now += 5 * MILLISECOND
    assert host.statistics()["memory_refused"] > 0
    connection, ack = established(peer)
    peer.give(peer.tcp(ACK, seq=1001, ack=ack, data=b"fresh"))
    peer.give(peer.tcp(ACK, seq=1001, ack=ack, data=b"fresh"))
    assert connection.receive(99, peer.now) == b"fresh"
    for _, remote, _ in list(host.connections()):
        peer.give(peer.tcp(RST, seq=1001 + 5 * (remote.port == 5000), port=remote.port))
    assert host.statistics()["memory_used"] == 0


# Injection


@label("BAD-RST-5", "EP-PRE-9")
def test_bad_rst_5_never_a_reset_for_a_reset(host: Host, peer: Peer):
    host.listen(80, peer.now)
    for flags in (RST, RST | ACK, RST | SYN, RST | FIN | ACK, RST | SYN | ACK):
        assert peer.give(peer.tcp(flags), peer.tcp(flags, to=81)) == []


@label("BAD-SYN-1", "EP-SYN-2")
@pytest.mark.parametrize("number", [0, 1000, 1001, 1002, 60_000, 70_000, 2**31])
def test_bad_syn_1_a_syn_is_challenged(peer: Peer, number: int):
    connection, ack = established(peer)
    answer = peer.segment(peer.give(peer.tcp(SYN, seq=number)))
    assert (answer.flags, answer.seq, answer.ack) == (ACK, ack, 1001)
    assert connection.state is ESTABLISHED


@label("BAD-CHL-1", "EP-CHL-1")
@pytest.mark.soak
def test_bad_chl_1_challenges_cannot_be_counted(peer: Peer):
    """An attacker holds many connections and counts what one second gives, while it may have forged segments
    of others, or not: it gets as many, for there is nothing that all of them draw on."""
    held = [established(peer, port=port)[0] for port in range(6000, 7500)]
    established(peer, port=5000)
    for _ in range(20):
        assert len(peer.give(peer.tcp(RST, seq=1500, port=5000))) <= 1  # EP-CHL-1: its own limit
    for forged in (0, 1, 20, 100):
        peer.now += SECOND
        for _ in range(forged):
            peer.give(peer.tcp(RST, seq=1500, port=5000))
        packets = [peer.tcp(RST, seq=1500, port=connection.remote.port) for connection in held]
        assert len(peer.give(*packets)) == len(held)


@label("BAD-CHL-1", "RFC5961-7b")
@pytest.mark.soak
def test_strangers_cannot_use_up_what_honest_peers_need(peer: Peer):
    """Two thousand connections get a RST in their window each second; meanwhile an honest peer sends
    keep-alives on one connection, and on another begins anew after a crash, and needs to be challenged
    (figure 9 of RFC 9293).
    """
    attacked = [established(peer, port=port)[0] for port in range(6000, 8000)]
    honest = established(peer, port=5000)[0]
    reborn = established(peer, port=5001)[0]
    keep_alives = challenges = 0
    for _ in range(10):
        for _ in range(2):
            peer.now += SECOND
            peer.give(*[peer.tcp(RST, seq=1500, port=connection.remote.port) for connection in attacked])
            number = seq.add(honest._tcb.rcv.nxt, -1)
            keep_alives += len(peer.give(peer.tcp(ACK, seq=number, ack=honest._tcb.snd.nxt, port=5000)))
        challenges += len(peer.give(peer.tcp(SYN, seq=777, port=reborn.remote.port)))
    assert (keep_alives, challenges) == (20, 10)


# Ports


@label("BAD-PORT-2", "RFC6056-3.3c")
def test_bad_port_2_one_port_to_several_remotes(host: Host, peer: Peer):
    for remote in ("10.0.0.9", "10.0.0.8"):
        host.connect(remote, 80, peer.now, local_port=7777)
    syns = peer.segments(peer.drain())
    assert [segment.source for segment in syns] == [7777, 7777]
    assert syns[0].seq != syns[1].seq


# ICMP


def in_flight(peer: Peer):
    connection, ack = established(peer, mss=1460)
    connection.send(bytes(20_000), peer.now)
    return connection, peer.drain(), ack


@label("BAD-ICMP-1", "RFC1191-3a", "RFC1191-3c")
@pytest.mark.parametrize(
    ("claimed", "used"), [(0, 1492), (1, 1500), (67, 1500), (68, 552), (575, 575), (1500, 1500), (9000, 1500)]
)
def test_bad_icmp_1_claims_over_ipv4(host: Host, peer: Peer, claimed: int, used: int):
    connection, packets, _ = in_flight(peer)
    quoted = bytearray(packets[0])
    if claimed == 0:
        quoted[2:4] = (1500).to_bytes(2, "big")
    peer.give(peer.control(IcmpMessage(icmp.PACKET_TOO_BIG, 0, claimed, bytes(quoted[:28]))))
    assert connection._tcb.path.mtu == used
    assert host.routes.mtu_to(peer.address, peer.now) == used


@label("BAD-ICMP-1", "RFC8201-4a")
@pytest.mark.parametrize(
    ("claimed", "used"),
    [(0, 1500), (68, 1500), (1279, 1500), (1280, 1280), (1400, 1400), (1500, 1500), (9000, 1500)],
)
def test_bad_icmp_1_claims_over_ipv6(host: Host, new_peer: type[Peer], claimed: int, used: int):
    peer = new_peer(host, "fd00::9", "fd00::1")
    connection, packets, _ = in_flight(peer)
    peer.give(peer.control(IcmpMessage(icmp.PACKET_TOO_BIG, 0, claimed, packets[0][:48])))
    assert connection._tcb.path.mtu == used


@label("BAD-ICMP-2", "RFC5927-4.1")
def test_bad_icmp_2_claims_about_nothing_that_we_sent(host: Host, peer: Peer):
    connection, packets, _ = in_flight(peer)
    before = snapshot(host)

    def claim(body: bytes) -> bytes:
        return peer.control(IcmpMessage(icmp.PACKET_TOO_BIG, 0, 600, bytes(body)))

    for length in range(28):  # quoted too shortly
        peer.give(claim(packets[0][:length]))
    for number in (connection._tcb.snd.una - 1, connection._tcb.snd.max, connection._tcb.snd.max + 2**31):
        body = bytearray(packets[0])
        body[24:28] = seq.add(number, 0).to_bytes(4, "big")
        peer.give(claim(body))
    for position in (12, 16, 20, 22):  # another pair's
        body = bytearray(packets[0])
        body[position] ^= 1
        peer.give(claim(body))
    peer.give(claim(claim(packets[0])))  # about an ICMP error
    damaged = bytearray(claim(packets[0]))
    damaged[-1] ^= 1
    peer.give(bytes(damaged))
    assert connection._tcb.path.mtu == 1500
    assert host.routes.mtu_to(peer.address, peer.now) == 1500
    assert snapshot(host) == before
    assert peer.dropped("icmp_unrelated") == 36
    peer.give(claim(packets[0][:28]))
    assert connection._tcb.path.mtu == 600


@label("BAD-ICMP-4", "MUST-55", "RFC6633-3", "RFC5927-6")
def test_bad_icmp_4_source_quench(peer: Peer):
    connection, packets, _ = in_flight(peer)
    window = connection.status().congestion_window
    body = packets[0][:28]
    quench = (
        b"\x04\x00"
        + checksum.ones_complement(b"\x04\x00" + bytes(6) + body).to_bytes(2, "big")
        + bytes(4)
        + body
    )
    assert peer.give(ip.encode(peer.address, peer.target, 1, quench)) == []
    assert peer.dropped("source_quench") == 1
    assert connection.status().congestion_window == window
    assert not isinstance(peer.events[-1][1], Readable)


# IP


@label("BAD-FRAG-2")
def test_bad_frag_2_extension_headers(host: Host, new_peer: type[Peer]):
    peer = new_peer(host, "fd00::9", "fd00::1")
    host.listen(80, peer.now)
    segment = peer.tcp(SYN)[40:]

    def chain(*headers: tuple[int, bytes]) -> bytes:
        kinds = [kind for kind, _ in headers] + [PROTOCOL]
        octets = b"".join(bytes([kinds[index + 1]]) + body for index, (_, body) in enumerate(headers))
        return ip.encode(peer.address, peer.target, kinds[0], octets + segment)

    pad = b"\x00\x01\x04\x00\x00\x00\x00"
    for bad in (
        chain(*[(60, pad)] * 100),
        chain((60, pad), (0, pad)),
        chain((0, b"\xff" + pad[1:])),
        chain((43, b"\x00\x00\x01\x00\x00\x00\x00")),
        chain((60, b"\x00\xc2\x04\x00\x00\x00\x00")),
        ip.encode(peer.address, peer.target, 0, b"\x00"),
        ip.encode(peer.address, peer.target, 0, b"\x00\x00" + bytes(6)),
    ):
        assert peer.segments(peer.give(bad)) == []  # but a parameter problem for some: test_headers
    assert peer.segment(peer.give(chain((0, pad), (60, pad)))).flags == SYN | ACK


@label("BAD-FRAG-2")
@pytest.mark.parametrize(
    ("options", "is_taken"),
    [
        (b"\x01" * 40, True),
        (b"\x07\x27\x04" + bytes(36) + b"\x00", True),
        (b"\x83\x07\x04\x0a\x00\x00\x02\x00", False),
        (b"\x89\x07\x04\x0a\x00\x00\x02\x00", False),
        (b"\x44\x00\x00\x00", False),
        (b"\x44\x28\x00\x00", False),
        (b"\x01\x01\x01\x44", False),
    ],
)
def test_bad_frag_2_ipv4_options(host: Host, peer: Peer, options: bytes, is_taken: bool):
    host.listen(80, peer.now)
    plain = peer.tcp(SYN)
    header = bytearray(plain[:20] + options)
    header[0] = 0x40 | len(header) // 4
    header[2:4] = (len(plain) + len(options)).to_bytes(2, "big")
    header[10:12] = b"\0\0"
    header[10:12] = checksum.ones_complement(bytes(header)).to_bytes(2, "big")
    assert len(peer.segments(peer.give(bytes(header) + plain[20:]))) == is_taken


# Resources


@label("BAD-RES-1", "EP-OPEN-3")
def test_bad_res_1_many_connections_with_full_buffers(new_host: Callable[..., Host], new_peer: type[Peer]):
    host = new_host(memory_limit=2_000_000)
    peer = new_peer(host)
    port = 6000
    while host.memory.free:
        connection, ack = established(peer, port=port)
        for number in range(0, 40_000, 1000):
            peer.give(peer.tcp(ACK, seq=1001 + number, ack=ack, port=port, data=bytes(1000)))
        if host.memory.free:
            connection.send(bytes(100_000), peer.now)
            peer.drain()
        port += 1
    assert 6010 < port < 6050
    assert host.statistics()["memory_used"] == 2_000_000
    assert peer.give(peer.tcp(SYN, port=9999)) == []  # refused cleanly: as if lost
    assert peer.dropped("no_memory") == 1
    with pytest.raises(InsufficientResources):
        host.connect("10.0.0.9", 80, peer.now)


@label("BAD-RES-1")
@pytest.mark.soak
def test_bad_res_1_a_thousand_idle_connections_cost_little_and_wake_nobody(host: Host, peer: Peer):
    host.listen(80, peer.now, backlog=1000)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for port in range(1000, 2000):
        established(peer, port=port)
    peer.advance(SECOND)
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert host.statistics()["connections"] == 1000
    assert host.statistics()["memory_used"] == 0
    assert used < 1000 * 12_000
    assert host.next_timeout() == NEVER


# SYN floods


@label("BAD-FLOOD-1", "RFC4987-3.x")
@pytest.mark.soak
def test_bad_flood_1_a_flood_is_bounded_and_a_client_gets_in(host: Host, peer: Peer):
    """Forged SYNs come 10 µs apart; the client's round trip is a hundred times as long."""
    listener = host.listen(80, peer.now, backlog=128)
    for number in range(5000):
        forged = (0x0B000000 + number).to_bytes(4, "big")
        peer.give(peer.tcp(SYN, source=forged))
        peer.now += 10
        if number == 2000:
            answer = peer.segment(peer.give(peer.tcp(SYN)))
        if number == 4500:
            peer.give(peer.tcp(ACK, seq=1001, ack=answer.seq + 1))
    assert host.statistics()["half_open"] == 128
    assert listener.accept().remote == peer.endpoint()
    assert host.statistics()["memory_used"] == 0
    assert len(host._connections._timers) <= 130
    peer.advance(10 * MINUTE)
    assert host.statistics()["half_open"] == 0
    assert host.next_timeout() == NEVER


@label("BAD-FLOOD-1")
def test_bad_flood_1_a_flood_of_one_listener_leaves_others_alone(host: Host, peer: Peer):
    other = host.listen(81, peer.now)
    host.listen(80, peer.now, backlog=4)
    answer = peer.segment(peer.give(peer.tcp(SYN, to=81)))
    for number in range(500):
        peer.give(peer.tcp(SYN, source=(0x0B000000 + number).to_bytes(4, "big")))
    peer.give(peer.tcp(ACK, seq=1001, ack=answer.seq + 1, to=81))
    assert other.accept().state is ESTABLISHED


@label("BAD-FLOOD-3", "RFC4987-3.6")
def test_bad_flood_3_the_ack_of_a_cookie_is_lost_and_text_comes(host: Host, peer: Peer):
    listener = host.listen(80, peer.now, backlog=1)
    peer.give(peer.tcp(SYN, port=1))
    answer = peer.segment(peer.give(peer.tcp(SYN, port=2)))
    assert host.statistics()["half_open"] == 1
    peer.now += 3 * SECOND
    peer.give(peer.tcp(ACK | PSH, seq=1001, ack=answer.seq + 1, port=2, data=b"request"))
    assert listener.accept().receive(99, peer.now) == b"request"


@label("BAD-FLOOD-4", "EP-LIS-5")
def test_bad_flood_4_a_full_accept_queue_when_the_third_segment_comes(host: Host, peer: Peer):
    listener = host.listen(80, peer.now, backlog=1)
    answers = {port: peer.segment(peer.give(peer.tcp(SYN, port=port))) for port in (1,)}
    # A second child must be half-open before the queue is full.
    listener.backlog = 2
    answers[2] = peer.segment(peer.give(peer.tcp(SYN, port=2)))
    listener.backlog = 1
    for port in (1, 2):
        assert peer.give(peer.tcp(ACK, seq=1001, ack=answers[port].seq + 1, port=port)) == []
    assert sorted((remote.port, str(state)) for _, remote, state in host.connections()) == [
        (1, "ESTABLISHED"),
        (2, "SYN-RECEIVED"),
    ]
    assert peer.give(peer.tcp(ACK, seq=1001, ack=answers[2].seq + 1, port=2, data=b"dropped too")) == []
    again = peer.segments(peer.advance(2 * SECOND))
    assert {(segment.flags, segment.destination) for segment in again} == {(SYN | ACK, 2)}
    listener.accept()
    peer.give(peer.tcp(ACK, seq=1001, ack=answers[2].seq + 1, port=2, data=b"now"))
    second = listener.accept()
    assert second.receive(99, peer.now) == b"now"


@label("BAD-FLOOD-4")
def test_bad_flood_4_a_reset_still_ends_the_child_that_waits(host: Host, peer: Peer):
    listener = host.listen(80, peer.now, backlog=2)
    for port in (1, 2):
        peer.give(peer.tcp(SYN, port=port))
    listener.backlog = 0
    peer.give(peer.tcp(RST, seq=1001, port=2))
    assert [(remote.port, state) for _, remote, state in host.connections()] == [(1, SYN_RECEIVED)]


# Opening


@label("BAD-OPEN-2")
@pytest.mark.parametrize("address", ["10.0.0.1", "fd00::1"])
def test_bad_open_2_a_connection_with_itself(host: Host, peer: Peer, address: str):
    connection = host.connect(address, 7777, peer.now, local_port=7777)
    assert connection.local == connection.remote == Endpoint(parse(address), 7777)
    assert connection.state is SYN_SENT
    assert peer.advance(SECOND) == []
    assert connection.state is ESTABLISHED  # a simultaneous open with itself
    connection.send(b"echo", peer.now)
    peer.advance(SECOND)
    assert connection.receive(99, peer.now) == b"echo"
    sent = host.statistics()["segments_sent"]
    peer.advance(MINUTE)
    assert host.statistics()["segments_sent"] == sent  # no loop
    connection.close(peer.now)
    peer.advance(5 * MINUTE)
    assert list(host.connections()) == []
    assert host.next_timeout() == NEVER
    assert host.statistics()["segments_sent"] < sent + 20


@label("BAD-OPEN-4")
def test_bad_open_4_an_old_duplicate_syn(host: Host, peer: Peer):
    """RFC 9293, figure 8."""
    listener = host.listen(80, peer.now)
    old = peer.segment(peer.give(peer.tcp(SYN, seq=90)))
    assert old.ack == 91
    peer.give(peer.tcp(RST, seq=91))
    answer = peer.segment(peer.give(peer.tcp(SYN, seq=100)))
    peer.now += MILLISECOND
    peer.give(peer.tcp(ACK, seq=101, ack=answer.seq + 1))
    assert listener.accept().state is ESTABLISHED


@label("BAD-OPT-8")
@pytest.mark.parametrize("number", [1, 1 << 20])
def test_bad_opt_8_a_malformed_option_resets_nobody(host: Host, peer: Peer, number: int):
    """URGENT/11, CVE-2019-12258: it counts as no timestamps, in the window or out of it."""
    connection, ack = established(peer)
    header = bytearray(
        encode_for(
            Segment(5000, 80, 1000 + number, ack, ACK, 100, tsval=1, tsecr=1), peer.address, peer.target
        )
    )
    header[23] = 1  # the length of the timestamps option
    assert all(answer.flags == ACK for answer in peer.segments(peer.give(raw(peer, bytes(header)))))
    assert host.statistics()["malformed_options"] == 1
    assert connection.state is ESTABLISHED
