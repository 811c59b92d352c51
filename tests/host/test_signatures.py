"""Hosts that sign: TCP-AO and TCP MD5 from connect to TIME-WAIT, and what becomes of peers without keys."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from postel.errors import ArgumentError
from postel.host.host import Host
from postel.tcp.authentication.ao import Ao
from postel.tcp.authentication.keychain import Keychain
from postel.tcp.authentication.keys import Algorithm, Key
from postel.tcp.config import DEFAULT
from postel.tcp.connection import Connection
from postel.tcp.state import CLOSED, ESTABLISHED, SYN_RECEIVED, SYN_SENT, TIME_WAIT
from postel.tcp.status import SACK, TIMESTAMPS
from postel.times import MINUTE, SECOND
from postel.wire import icmp, ip, options
from postel.wire.options import ALIGNED, PACKED, OptionLayout
from postel.wire.segment import ACK, FIN, RST, SYN, Segment, with_checksum
from postel.wire.segment import parse as parse_segment
from tests.host.conftest import Pair, Peer

LEFT = Keychain(Key(b"first", send_id=1, receive_id=2), Key(b"second", send_id=3, receive_id=4))
RIGHT = Keychain(Key(b"first", send_id=2, receive_id=1), Key(b"second", send_id=4, receive_id=3))
TO_10 = "10.0.0.2"
TO_FD = "fd00::2"


def same(algorithm: Algorithm) -> Keychain:
    return Keychain(Key(b"secret", algorithm=algorithm))


def opened(
    pair: Pair, left: Keychain | None, right: Keychain | None, address: str = TO_10, **options: Any
) -> tuple[Connection, Any]:
    """The client, and the server if there came one of it."""
    listener = pair.right.listen(80, pair.now, keys=right, **options)
    client = pair.left.connect(address, 80, pair.now, keys=left, **options)
    pair.advance(0)
    return client, listener.accept()


def carry(pair: Pair, source: Connection, target: Connection, data: bytes) -> bytes:
    position = 0
    received = b""
    while len(received) < len(data):
        position += source.send(data[position:], pair.now)
        pair.advance(10_000)
        received += target.receive(1 << 20, pair.now)
    return received


def segments(pair: Pair) -> list[Segment]:
    packets = [ip.parse(octets) for _, octets in pair.carried]
    return [parse_segment(packet.octets, packet.start, packet.end) for packet in packets]


def close_both(pair: Pair, client: Connection, server: Connection) -> None:
    client.release(pair.now)
    pair.advance(0)
    server.release(pair.now)
    pair.advance(SECOND)


def drops(host: Host) -> dict[str, int]:
    return {name: count for name, count in host.statistics().items() if name.startswith("dropped_signature")}


def altered(octets: bytes, change: Callable[[bytearray], None]) -> bytes:
    """The IPv4 packet with another segment, and a right checksum."""
    packet = ip.parse(octets)
    payload = bytearray(packet.payload)
    change(payload)
    payload[16:18] = b"\0\0"
    return ip.encode(
        packet.source,
        packet.destination,
        packet.protocol,
        with_checksum(bytes(payload), packet.source, packet.destination),
    )


# From open to close


@pytest.mark.parametrize("layout", [ALIGNED, PACKED])
@pytest.mark.parametrize("address", [TO_10, TO_FD])
@pytest.mark.parametrize("algorithm", ["SHA1", "AES128", "MD5"])
def test_every_segment_of_a_connection_is_signed(
    pair: Pair, algorithm: Algorithm, address: str, layout: OptionLayout
) -> None:
    keys = same(algorithm)
    client, server = opened(pair, keys, keys, address, config=replace(DEFAULT, option_layout=layout))
    data = bytes(range(256)) * (80 if algorithm == "AES128" else 400)
    assert carry(pair, client, server, data) == data
    assert carry(pair, server, client, data[:5000]) == data[:5000]
    close_both(pair, client, server)
    kind = options.MD5 if algorithm == "MD5" else options.AO
    assert all([other for other, _ in segment.other] == [kind] for segment in segments(pair))
    assert drops(pair.left) == drops(pair.right) == {}
    pair.settle()
    assert pair.left.statistics()["connections"] == pair.right.statistics()["connections"] == 0


@pytest.mark.label("RFC2385-2")
def test_rfc2385_2_md5_leaves_no_room_for_timestamps_beside_sack(pair: Pair) -> None:
    client, server = opened(pair, same("MD5"), same("MD5"))
    for connection in (client, server):
        assert connection.status().options & (TIMESTAMPS | SACK) == SACK


def test_without_sack_md5_leaves_timestamps_alone(pair: Pair) -> None:
    client, server = opened(pair, same("MD5"), same("MD5"), config=replace(DEFAULT, sack=False))
    for connection in (client, server):
        assert connection.status().options & (TIMESTAMPS | SACK) == TIMESTAMPS
    assert carry(pair, client, server, bytes(5000)) == bytes(5000)


@pytest.mark.parametrize(("algorithm", "room"), [("SHA1", 1460 - 12 - 16), ("MD5", 1460 - 20)])
def test_a_signature_is_room_that_text_has_not(pair: Pair, algorithm: Algorithm, room: int) -> None:
    keys = same(algorithm)
    client, server = opened(pair, keys, keys)
    carry(pair, client, server, bytes(20_000))
    assert max(len(segment.data) for segment in segments(pair)) == room
    assert {len(octets) for _, octets in pair.carried if len(octets) > 1000} & {1500} == {1500}
    assert max(len(octets) for _, octets in pair.carried) == 1500
    assert segments(pair)[0].mss == 1460  # RFC 5925, 2.2: what is announced stays


@pytest.mark.parametrize(("algorithm", "blocks"), [("SHA1", 1), ("MD5", 2)])
def test_fewer_sack_blocks_fit_beside_a_signature(pair: Pair, algorithm: Algorithm, blocks: int) -> None:
    keys = same(algorithm)
    client, server = opened(pair, keys, keys)
    lost = {3, 5, 7}

    def lose(sender: Host, octets: bytes) -> bool:
        return sender is pair.left and len(octets) > 1000 and next(count) in lost

    count = iter(range(1000))
    pair.lose = lose
    assert carry(pair, client, server, bytes(14_000)) == bytes(14_000)
    assert max(len(segment.sack) for segment in segments(pair)) == blocks
    assert all(segment.other for segment in segments(pair))


def test_two_who_call_each_other_at_once(pair: Pair) -> None:
    pair.lose = lambda _sender, _octets: True
    left = pair.left.connect(TO_10, 80, pair.now, local_port=80, keys=LEFT)
    pair.advance(0)
    right = pair.right.connect("10.0.0.1", 80, pair.now, local_port=80, keys=RIGHT)
    pair.advance(0)
    pair.lose = lambda _sender, _octets: False
    pair.advance(10 * SECOND)
    assert (left.state, right.state) == (ESTABLISHED, ESTABLISHED)
    assert carry(pair, left, right, b"text") == b"text"


# Peers without the right key


@pytest.mark.label("RFC5925-7.3", "RFC2385-2")
@pytest.mark.parametrize(
    ("left", "right", "reason"),
    [
        (None, same("SHA1"), "signature_missing"),
        (same("MD5"), same("SHA1"), "signature_missing"),
        (same("SHA1"), same("AES128"), "signature_wrong"),
        (same("SHA1"), Keychain(Key(b"other")), "signature_wrong"),
        (LEFT, Keychain(Key(b"first", send_id=9, receive_id=9)), "signature_key"),
        (None, same("MD5"), "signature_missing"),
        (same("MD5"), Keychain(Key(b"other", algorithm="MD5")), "signature_wrong"),
    ],
)
def test_rfc5925_7_3_a_syn_without_the_right_signature_is_dropped_silently(
    pair: Pair, left: Keychain | None, right: Keychain, reason: str
) -> None:
    client, server = opened(pair, left, right)
    assert (client.state, server) == (SYN_SENT, None)
    assert {sender for sender, _ in pair.carried} == {pair.left}
    assert drops(pair.right) == {f"dropped_{reason}": 1}
    assert pair.right.statistics()["half_open"] == 0


@pytest.mark.parametrize("keys", [same("SHA1"), same("MD5")])
def test_an_answer_without_a_signature_is_dropped(pair: Pair, keys: Keychain) -> None:
    client, server = opened(pair, keys, None)
    assert (client.state, server) == (SYN_SENT, None)
    assert drops(pair.left) == {"dropped_signature_missing": 1}
    pair.advance(10 * MINUTE)
    assert client.state is CLOSED


@pytest.mark.parametrize("keys", [same("SHA1"), same("MD5")])
def test_nobody_listens_and_the_refusal_is_not_believed(pair: Pair, keys: Keychain) -> None:
    """RFC 5925, 7.7; RFC 2385, 4.1."""
    client = pair.left.connect(TO_10, 80, pair.now, keys=keys)
    pair.advance(0)
    assert client.state is SYN_SENT
    assert drops(pair.left) == {"dropped_signature_missing": 1}


@pytest.mark.label("RFC5925-7.3")
@pytest.mark.parametrize("accepts", [True, False])
@pytest.mark.parametrize("algorithm", ["SHA1", "MD5"])
def test_rfc5925_7_3_signatures_of_peers_without_a_key(
    pair: Pair, algorithm: Algorithm, accepts: bool
) -> None:
    elsewhere = Keychain(Key(b"secret", "10.9.9.9"), accepts_unmatched=accepts)
    listener = pair.right.listen(80, pair.now, keys=elsewhere)
    pair.left.connect(TO_10, 80, pair.now, keys=same(algorithm))
    pair.advance(0)
    assert drops(pair.right) == ({} if accepts else {"dropped_signature_unmatched": 1})
    assert len(segments(pair)) == (2 if accepts else 1)
    pair.left.connect(TO_10, 80, pair.now)  # a peer that doesn't sign is welcome
    pair.advance(0)
    server = listener.accept()
    assert server.state is ESTABLISHED
    assert server.send(b"text", pair.now) == 4
    pair.advance(0)
    assert segments(pair)[-1].data == b"text"


# What a forger tries: BAD-AO-1


@pytest.mark.label("BAD-AO-1", "RFC5925-7.3")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda payload: payload.__setitem__(-1, payload[-1] ^ 1), "signature_wrong"),
        (lambda payload: payload.__setitem__(34, 77), "signature_key"),
        (lambda payload: payload.__setitem__(slice(32, 34), b"\xfd\x10"), "signature_missing"),
        (lambda payload: payload.__setitem__(13, payload[13] | RST), "signature_wrong"),
        (lambda payload: payload.__setitem__(13, RST), "signature_wrong"),
        (lambda payload: payload.__setitem__(13, SYN), "signature_wrong"),
    ],
)
def test_bad_ao_1_forgeries(pair: Pair, change: Callable[[bytearray], None], reason: str) -> None:
    client, server = opened(pair, LEFT, RIGHT)
    client.send(b"first", pair.now)
    octets = pair.left.next_packet(pair.now)
    assert octets is not None
    pair.carried.clear()
    pair.right.packet_arrives(altered(octets, change), pair.now)
    pair.advance(0)
    assert pair.carried == []  # no answer at all
    assert drops(pair.right) == {f"dropped_{reason}": 1}
    assert server.authentication.refused == 1
    assert server.state is ESTABLISHED
    pair.right.packet_arrives(octets, pair.now)
    assert server.receive(100, pair.now) == b"first"


@pytest.mark.label("BAD-AO-1")
def test_bad_ao_1_what_an_earlier_connection_said(pair: Pair) -> None:
    client, server = opened(pair, LEFT, RIGHT, config=replace(DEFAULT, msl=0))
    port = client.local.port
    carry(pair, client, server, b"of the past")
    old = [octets for sender, octets in pair.carried if sender is pair.left]
    client.abort(pair.now)
    pair.advance(SECOND)
    assert server.state is CLOSED  # the RST was signed
    client = pair.left.connect(TO_10, 80, pair.now, local_port=port, keys=LEFT)
    pair.advance(0)
    pair.carried.clear()
    for octets in old[1:]:  # all but the SYN, which is authentic for ever: a challenge answers it
        pair.right.packet_arrives(octets, pair.now)
    pair.advance(0)
    assert pair.carried == []
    assert drops(pair.right) == {"dropped_signature_wrong": len(old) - 1}
    pair.right.packet_arrives(old[0], pair.now)
    pair.advance(0)
    assert client.state is ESTABLISHED


@pytest.mark.label("BAD-AO-1")
def test_bad_ao_1_keys_rotate_under_load(pair: Pair) -> None:
    client, server = opened(pair, LEFT, RIGHT)
    data = bytes(range(256)) * 1000
    position = 0
    received = b""
    round_ = 0
    while len(received) < len(data):
        position += client.send(data[position : position + 20_000], pair.now)
        server.rekey(receive_id=(1, 3)[round_ % 2])  # ask the client for its other key
        server.send(b"x", pair.now)  # nothing is forced: the wish travels with what is sent
        round_ += 1
        pair.advance(10_000)
        received += server.receive(1 << 20, pair.now)
    assert received == data
    assert drops(pair.left) == drops(pair.right) == {}
    signed_by = {
        dict(segment.other)[options.AO][0] for segment in segments(pair) if segment.destination == 80
    }
    assert signed_by == {1, 3}


def test_a_new_key_comes_and_the_old_one_goes(pair: Pair) -> None:
    client, server = opened(pair, LEFT, RIGHT)
    third = [Key(b"third", send_id=mine, receive_id=yours) for mine, yours in ((5, 6), (6, 5))]
    client.rekey(Keychain(*LEFT.keys, third[0]))
    server.rekey(Keychain(*RIGHT.keys, third[1]), send_id=6, receive_id=5)
    assert carry(pair, server, client, b"asks for the third") == b"asks for the third"
    client.rekey(Keychain(third[0]))
    server.rekey(Keychain(third[1]))
    assert carry(pair, client, server, b"is signed by it") == b"is signed by it"
    authentication = server.authentication
    assert isinstance(authentication, Ao)
    assert (authentication.keys, authentication.heard) == ((third[1],), (5, 6))


def test_md5_changes_its_key_on_both_sides(pair: Pair) -> None:
    """RFC 2385, 4.5."""
    client, server = opened(pair, same("MD5"), same("MD5"))
    new = Keychain(Key(b"new", algorithm="MD5"))
    client.rekey(new)
    client.send(b"text", pair.now)
    pair.advance(0)
    assert drops(pair.right) == {"dropped_signature_wrong": 1}
    server.rekey(new)
    pair.advance(2 * SECOND)
    assert server.receive(10, pair.now) == b"text"
    with pytest.raises(ArgumentError, match="MD5"):
        server.rekey(same("SHA1"))


def test_what_cannot_be_rekeyed(pair: Pair) -> None:
    client, _ = opened(pair, None, None)
    with pytest.raises(ArgumentError, match="without keys"):
        client.rekey(LEFT)
    pair.right.listen(81, pair.now, keys=Keychain(accepts_unmatched=False))
    unsigned = pair.left.connect(TO_10, 81, pair.now, keys=Keychain(accepts_unmatched=False))
    with pytest.raises(ArgumentError, match="without"):
        unsigned.rekey(LEFT)
    signed = pair.left.connect(TO_10, 80, pair.now, keys=LEFT)
    with pytest.raises(ArgumentError, match="a key for"):
        signed.rekey(Keychain(Key(b"first", "10.9.9.9")))


# TIME-WAIT, listeners, ICMP


def in_time_wait(pair: Pair, left: Keychain = LEFT, right: Keychain = RIGHT) -> tuple[int, Any]:
    """The server closed first and is a record; the client's port, and the listener."""
    listener = pair.right.listen(80, pair.now, keys=right)
    client = pair.left.connect(TO_10, 80, pair.now, keys=left)
    pair.advance(0)
    server = listener.accept()
    close_both(pair, server, client)
    assert [state for _, _, state in pair.right.connections()] == [TIME_WAIT]
    return client.local.port, listener


@pytest.mark.parametrize(
    "keys", [(LEFT, RIGHT), (same("MD5"), same("MD5")), (None, Keychain(accepts_unmatched=False))]
)
def test_time_wait_answers_what_is_signed_and_nothing_else(pair: Pair, keys: Any) -> None:
    in_time_wait(pair, *keys)
    (fin,) = [
        octets
        for sender, octets in pair.carried
        if sender is pair.left and octets[33 if octets[0] == 0x45 else 53] & FIN
    ]
    pair.carried.clear()
    forged = altered(fin, lambda payload: payload.__setitem__(slice(14, 16), b"\x00\x07"))
    pair.right.packet_arrives(forged, pair.now)
    pair.pump()
    if keys[0] is not None:
        assert pair.carried == []
        assert drops(pair.right) == {"dropped_signature_wrong": 1}
    pair.right.packet_arrives(fin, pair.now)
    pair.pump()
    answer = segments(pair)[0]
    assert (answer.flags, bool(answer.other)) == (ACK, keys[0] is not None)


@pytest.mark.parametrize(
    "keys", [(LEFT, RIGHT), (same("MD5"), same("MD5")), (None, Keychain(accepts_unmatched=False))]
)
def test_a_signed_syn_reopens_a_pair_in_time_wait(pair: Pair, keys: Any) -> None:
    port, listener = in_time_wait(pair, *keys)
    client = pair.left.connect(TO_10, 80, pair.now, local_port=port, keys=keys[0])
    pair.advance(0)
    server = listener.accept()
    assert carry(pair, client, server, b"again") == b"again"
    assert drops(pair.left) == drops(pair.right) == {}


def test_time_wait_is_not_reopened_where_the_listener_has_other_keys_now(pair: Pair) -> None:
    port, listener = in_time_wait(pair)
    listener.keys = same("SHA1")
    pair.left.connect(TO_10, 80, pair.now, local_port=port, keys=LEFT)
    pair.advance(0)
    assert listener.accept() is None
    assert pair.right.statistics()["time_wait"] == 1


def test_a_listener_finds_the_key_by_the_peer_and_may_get_others(pair: Pair) -> None:
    listener = pair.right.listen(
        80, pair.now, keys=Keychain(Key(b"net", "10.0.0.0/24"), Key(b"one", "10.0.0.1"))
    )
    for secret, expected in ((b"net", SYN_SENT), (b"one", ESTABLISHED)):
        client = pair.left.connect(TO_10, 80, pair.now, keys=Keychain(Key(secret)))
        pair.advance(0)
        assert client.state is expected
    listener.keys = Keychain(Key(b"new"))
    client = pair.left.connect(TO_10, 80, pair.now, keys=Keychain(Key(b"new")))
    pair.advance(0)
    assert client.state is ESTABLISHED


def test_to_a_listener_only_a_syn_can_be_authentic(pair: Pair) -> None:
    client, _ = opened(pair, LEFT, RIGHT)
    client.send(b"text", pair.now)
    octets = pair.left.next_packet(pair.now)
    assert octets is not None
    other = Pair(pair.left, Host("10.0.0.2/24", secret=b"restarted"))
    other.right.listen(80, pair.now, keys=RIGHT)
    # The server has restarted, and sends no reset: without the keys' state it would not be believed
    other.right.packet_arrives(octets, pair.now)
    other.pump()
    assert other.carried == []
    assert drops(other.right) == {"dropped_signature_early": 1}


def test_no_cookie_is_signed(pair: Pair) -> None:
    pair.right.listen(80, pair.now, backlog=1, keys=RIGHT)
    pair.lose = lambda sender, _octets: sender is pair.right
    for _ in range(2):
        pair.left.connect(TO_10, 80, pair.now, keys=LEFT)
        pair.advance(0)
    assert [state for _, _, state in pair.right.connections()] == [SYN_RECEIVED]
    assert pair.right.statistics()["dropped_half_open_full"] == 1
    assert len([sender for sender, _ in pair.carried if sender is pair.right]) == 1


UNREACHABLE = [(icmp.UNREACHABLE, code, 0) for code in (icmp.NO_PORT, icmp.NO_PROTOCOL, icmp.PROHIBITED)]


@pytest.mark.label("RFC5925-7.8")
@pytest.mark.parametrize("heeds", [False, True])
@pytest.mark.parametrize(("kind", "code", "mtu"), [*UNREACHABLE, (icmp.PACKET_TOO_BIG, 0, 1200)])
def test_rfc5925_7_8_icmp_is_not_believed_of_a_synchronized_connection(
    pair: Pair, kind: int, code: int, mtu: int, heeds: bool
) -> None:
    client, _ = opened(pair, Keychain(*LEFT.keys, heeds_icmp=heeds), RIGHT)
    client.send(bytes(1400), pair.now)
    octets = pair.left.next_packet(pair.now)
    assert octets is not None
    router = Peer(pair.left, "10.0.0.254")
    router.now = pair.now
    router.give(router.control(icmp.IcmpMessage(kind, code, mtu, octets[:40])))
    troubled = (
        "Trouble" in [type(event).__name__ for _, event in router.events] or client._tcb.path.mtu == 1200
    )
    assert troubled is heeds
    assert router.dropped("icmp_unrelated") == (not heeds)


@pytest.mark.label("RFC5925-7.8")
def test_rfc5925_7_8_before_that_it_is_and_so_is_packet_too_big_over_ipv6(pair: Pair) -> None:
    opening = pair.left.connect(TO_10, 81, pair.now, keys=LEFT)
    octets = pair.left.next_packet(pair.now)
    assert octets is not None
    router = Peer(pair.left, "10.0.0.254")
    router.now = pair.now
    router.give(router.control(icmp.IcmpMessage(icmp.UNREACHABLE, icmp.NO_PORT, 0, octets[:40])))
    assert opening.state is CLOSED
    client, _ = opened(pair, LEFT, RIGHT, TO_FD)
    client.send(bytes(1400), pair.now)
    octets = pair.left.next_packet(pair.now)
    assert octets is not None
    router = Peer(pair.left, "fd00::fe", "fd00::1")
    router.now = pair.now
    router.give(router.control(icmp.IcmpMessage(icmp.PACKET_TOO_BIG, 0, 1300, octets[:60])))
    assert client._tcb.path.mtu == 1300


# Whatever stands where a signature should


@pytest.mark.label("BAD-AO-1")
@pytest.mark.parametrize(
    "keys", [(LEFT, RIGHT), (same("MD5"), same("MD5")), (None, Keychain(accepts_unmatched=False))]
)
@pytest.mark.parametrize("kind", [options.MD5, options.AO])
@pytest.mark.parametrize("flags", [SYN, SYN | ACK, ACK, RST, FIN | ACK])
def test_bad_ao_1_signatures_of_any_length(pair: Pair, keys: Any, kind: int, flags: int) -> None:
    client, server = opened(pair, *keys)
    peer = Peer(pair.right, "10.0.0.1", TO_10)
    peer.now = pair.now
    ports = {"port": client.local.port, "to": 80}
    numbers = {"seq": server._tcb.rcv.nxt, "ack": server._tcb.snd.nxt}
    for size in range(2, 39):
        signed = {"other": ((kind, bytes((1,)) * size),)}
        answers = peer.give(
            peer.tcp(flags, **ports, **numbers, **signed), peer.tcp(flags, to=80, **numbers, **signed)
        )
        assert answers == []
    assert server.state is ESTABLISHED
    assert sum(drops(pair.right).values()) == 2 * 37
