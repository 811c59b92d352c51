"""TCP Fast Open between hosts: cookies, limits, and when a program sees a connection (RFC 7413)."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from postel.errors import ArgumentError, InsufficientResources
from postel.host.fastopen import PERIOD, SIZE, Gate
from postel.host.host import Host
from postel.host.listener import Listener
from postel.tcp.config import DEFAULT, Config
from postel.tcp.events import ACCEPTABLE, READABLE
from postel.tcp.fastopen import REFUSAL, RESET_COUNTS, Pending
from postel.tcp.state import CLOSED, ESTABLISHED, SYN_RECEIVED
from postel.times import MILLISECOND, SECOND
from postel.wire import icmp
from postel.wire.options import FAST_OPEN
from postel.wire.segment import ACK, FIN, RST, SYN, Segment
from tests.host.conftest import START, Pair, Peer, make_pair

CLIENT = replace(DEFAULT, fast_open="client")
SERVER = replace(DEFAULT, fast_open="server")


def syn(peer: Peer, cookie: bytes | None, data: bytes = b"hello", **fields: object) -> bytes:
    return peer.tcp(
        SYN, data=data, mss=1460, other=() if cookie is None else ((FAST_OPEN, cookie),), **fields
    )


def cookie_of(peer: Peer, port: int = 4999) -> bytes:
    """Asked for, and the connection given up."""
    answer = peer.segment(peer.give(syn(peer, b"", b"", port=port)))
    peer.give(peer.tcp(RST, seq=1001, port=port))
    assert answer.fast_open is not None
    return answer.fast_open


# Server


@pytest.mark.label("RFC7413-4.1.2")
def test_a_cookie_is_a_hash_of_the_clients_address() -> None:
    gate = Gate(b"secret")
    cookie = gate.cookie(b"\x0a\0\0\1", 0)
    assert len(cookie) == SIZE
    assert cookie == gate.cookie(b"\x0a\0\0\1", PERIOD - 1)
    others = [
        gate.cookie(b"\x0a\0\0\2", 0),
        gate.cookie(b"\x0a\0\0\1", PERIOD),
        Gate(b"other").cookie(b"\x0a\0\0\1", 0),
    ]
    assert len({cookie, *others, gate.cookie(bytes(16), 0), gate.cookie(bytes(4), 0)}) == 6


@pytest.mark.label("RFC7413-4.1.2")
@pytest.mark.parametrize("start", [0, 5 * PERIOD])
def test_a_cookie_lives_for_one_to_two_periods(start: int) -> None:
    gate, client, pending = Gate(b"secret"), b"\x0a\0\0\1", Pending()
    request = Segment(1, 2, 0, 0, SYN, 1000)
    request.other = ((FAST_OPEN, gate.cookie(client, start)),)
    seen = [
        gate.admission(request, client, SERVER, pending, now)
        for now in (start, start + PERIOD, start + 2 * PERIOD)
    ]
    fresh = [None, gate.cookie(client, start + PERIOD), gate.cookie(client, start + 2 * PERIOD)]
    assert [(found.opened, found.option) for found in seen] == [
        (True, fresh[0]),
        (True, fresh[1]),
        (False, fresh[2]),
    ]
    assert pending.count == 2


@pytest.mark.label("RFC7413-4.2.2", "RFC7413-4.1.2")
@pytest.mark.parametrize(("source", "target"), [("10.0.0.9", "10.0.0.1"), ("fd00::9", "fd00::1")])
def test_a_valid_cookie_opens_at_once(host: Host, new_peer: type[Peer], source: str, target: str) -> None:
    peer = new_peer(host, source, target)
    listener = host.listen(80, peer.now, config=SERVER)
    cookie = cookie_of(peer)
    answer = peer.segment(peer.give(syn(peer, cookie)))
    assert (answer.flags, answer.ack, answer.fast_open) == (SYN | ACK, 1006, None)
    assert peer.events == [(listener, ACCEPTABLE)]
    connection = listener.accept()
    assert connection.state is SYN_RECEIVED
    assert connection.receive(99, peer.now) == b"hello"
    connection.send(b"world", peer.now)
    early = peer.segment(peer.drain())
    assert (early.data, early.seq, early.ack) == (b"world", answer.seq + 1, 1006)
    assert peer.events[1:] == [(connection, READABLE)]
    peer.give(peer.tcp(ACK, seq=1006, ack=answer.seq + 6))
    assert connection.state is ESTABLISHED
    assert [type(event).__name__ for _, event in peer.events[2:]] == []
    peer.give(peer.tcp(ACK | FIN, seq=1006, ack=answer.seq + 6, data=b"bye"))
    assert connection.receive(99, peer.now) == b"bye"
    assert connection.at_end


@pytest.mark.label("RFC7413-2", "RFC7413-4.2a", "RFC7413-6.1")
def test_a_listener_that_did_not_ask_for_it_ignores_the_option(host: Host, peer: Peer) -> None:
    host.listen(80, peer.now, config=SERVER)
    cookie = cookie_of(peer)
    listener = host.listen(81, peer.now)
    for option in (b"", cookie):
        answer = peer.segment(peer.give(syn(peer, option, to=81, port=6000 + len(option))))
        assert (answer.ack, answer.fast_open) == (1001, None)
    assert listener.accept() is None


@pytest.mark.label("RFC7413-4.2.2", "BAD-TFO-1")
@pytest.mark.parametrize("how", ["absent", "asks", "wrong", "short", "long", "of another's"])
def test_bad_tfo_1_no_valid_cookie_no_text(host: Host, new_peer: type[Peer], how: str) -> None:
    """The wrong lengths that can't be a cookie's at all are `tests/wire`'s."""
    peer, other = new_peer(host), new_peer(host, "10.0.0.8")
    listener = host.listen(80, peer.now, config=SERVER)
    right = cookie_of(peer)
    wrong = {
        "absent": None,
        "asks": b"",
        "wrong": right[:-1] + b"!",
        "short": right[:4],
        "long": right + b"12",
        "of another's": right,
    }
    sender = other if how == "of another's" else peer
    answer = sender.segment(sender.give(syn(sender, wrong[how])))
    assert answer.ack == 1001
    assert (answer.fast_open is None) == (how == "absent")
    assert listener.accept() is None
    sender.give(sender.tcp(ACK, seq=1001, ack=answer.seq + 1, data=b"hello"))
    assert listener.accept().receive(99, sender.now) == b"hello"


@pytest.mark.label("BAD-TFO-1")
@pytest.mark.parametrize("octets", ["220300", "220500aabb", "2213" + "00" * 17, "2207" + "00" * 5])
def test_bad_tfo_1_a_wrong_length_is_no_request(host: Host, peer: Peer, octets: str) -> None:
    host.listen(80, peer.now, config=SERVER)
    kind, *value = bytes.fromhex(octets)
    answer = peer.segment(peer.give(peer.tcp(SYN, data=b"hello", other=((kind, bytes(value[1:])),))))
    assert (answer.ack, answer.fast_open) == (1001, None)


@pytest.mark.label("BAD-TFO-1")
def test_bad_tfo_1_a_replayed_syn_delivers_once_while_the_connection_is_known(host: Host, peer: Peer) -> None:
    """After it is forgotten the text may come again: RFC 7413, 2.1, whence the switch (6.1)."""
    listener = host.listen(80, peer.now, config=SERVER)
    first = syn(peer, cookie_of(peer))
    answer = peer.segment(peer.give(first))
    assert peer.segment(peer.give(first)).ack == 1006
    connection = listener.accept()
    assert connection.receive(99, peer.now) == b"hello"
    peer.give(peer.tcp(ACK, seq=1006, ack=answer.seq + 1))
    peer.give(first)
    connection.close(peer.now)
    fin = peer.segment(peer.drain())
    peer.give(peer.tcp(FIN | ACK, seq=1006, ack=fin.seq + 1), first)
    assert (connection.readable, listener.accept()) == (0, None)


@pytest.mark.label("RFC7413-4.2a", "BAD-TFO-1")
def test_bad_tfo_1_beyond_the_limit_a_fast_open_is_an_ordinary_one(host: Host, peer: Peer) -> None:
    listener = host.listen(80, peer.now, config=replace(SERVER, fast_open_limit=2))
    cookie = cookie_of(peer)
    first, _, third = [peer.segment(peer.give(syn(peer, cookie, port=port))) for port in (1, 2, 3)]
    assert (third.ack, third.fast_open) == (1001, None)
    assert [listener.accept().remote.port, listener.accept().remote.port, listener.accept()] == [1, 2, None]
    peer.give(peer.tcp(ACK, seq=1006, ack=first.seq + 1, port=1))
    assert peer.segment(peer.give(syn(peer, cookie, port=4))).ack == 1006


@pytest.mark.label("RFC7413-4.2a")
def test_resets_make_no_room_for_more_at_once(host: Host, peer: Peer) -> None:
    """RFC 7413, 5.1: the victims send them, because an attacker uses their addresses."""
    listener = host.listen(80, peer.now, config=replace(SERVER, fast_open_limit=1))
    cookie = cookie_of(peer)
    peer.give(syn(peer, cookie, port=1), peer.tcp(RST, seq=1006, port=1))
    connection = listener.accept()
    assert connection.state is CLOSED
    assert connection.receive(99, peer.now) == b"hello"
    assert peer.segment(peer.give(syn(peer, cookie, port=2))).ack == 1001
    peer.now += RESET_COUNTS
    assert peer.segment(peer.give(syn(peer, cookie, port=3))).ack == 1006


def test_a_full_accept_queue_or_half_open_queue_comes_first(host: Host, peer: Peer) -> None:
    listener = host.listen(80, peer.now, backlog=1, config=SERVER)
    cookie = cookie_of(peer)
    peer.give(syn(peer, None, port=1))
    assert peer.segment(peer.give(syn(peer, cookie, port=2))).ack == 1001  # a SYN cookie
    peer.give(peer.tcp(RST, seq=1001, port=1))
    peer.give(syn(peer, cookie, port=3))
    assert peer.give(syn(peer, cookie, port=4)) == []
    assert peer.dropped("accept_queue_full") == 1
    assert listener.accept().remote.port == 3


def test_a_listener_that_closes_resets_what_is_open_already(host: Host, peer: Peer) -> None:
    listener = host.listen(80, peer.now, config=SERVER)
    answer = peer.segment(peer.give(syn(peer, cookie_of(peer))))
    listener.close(peer.now)
    reset = peer.segment(peer.drain())
    assert (reset.flags, reset.seq) == (RST, answer.seq + 1)
    assert list(host.connections()) == []
    assert host.statistics()["memory_used"] == 0


def test_a_listener_that_closes_drops_whom_it_gave_a_cookie(host: Host, peer: Peer) -> None:
    listener = host.listen(80, peer.now, config=SERVER)
    peer.give(syn(peer, b""))
    listener.close(peer.now)
    assert (peer.drain(), list(host.connections())) == ([], [])


def test_a_pair_that_reopens_out_of_time_wait_opens_slowly(host: Host, peer: Peer) -> None:
    """An attempt that fails gives the pair back to TIME-WAIT (EP-TW-8): no program may have had it."""
    listener = host.listen(80, peer.now, config=SERVER)
    cookie = cookie_of(peer)
    answer = peer.segment(peer.give(syn(peer, cookie, port=7)))
    peer.give(peer.tcp(ACK, seq=1006, ack=answer.seq + 1, port=7))
    connection = listener.accept()
    connection.receive(99, peer.now)
    connection.release(peer.now)
    fin = peer.segment(peer.drain())
    peer.give(peer.tcp(FIN | ACK, seq=1006, ack=fin.seq + 1, port=7))
    again = peer.segment(peer.give(syn(peer, cookie, seq=90_000, port=7)))
    assert (again.flags, again.ack, again.fast_open) == (SYN | ACK, 90_001, None)


# Both


@pytest.fixture
def fast() -> Pair:
    return make_pair(config=replace(DEFAULT, fast_open="both"))


def exchange(
    pair: Pair, listener: Listener, data: bytes = b"question", config: Config | None = None
) -> list[Segment]:
    """One connection from left to right, over and forgotten; its segments."""
    pair.carried.clear()
    client = pair.left.connect("10.0.0.2", listener.local.port, pair.now, config=config, data=data)
    pair.advance(30 * SECOND)
    server = listener.accept()
    assert server.receive(1 << 20, pair.now) == data
    server.send(b"answer", pair.now)
    server.close(pair.now)
    pair.advance(SECOND)
    assert client.receive(99, pair.now) == b"answer"
    client.close(pair.now)
    pair.advance(SECOND)
    server.release(pair.now)
    client.release(pair.now)
    return Peer(pair.left).segments([octets for _, octets in pair.carried])


@pytest.mark.label("RFC7413-4.2.2", "RFC7413-4.1.3")
def test_the_second_connection_is_fast(fast: Pair) -> None:
    listener = fast.right.listen(80, fast.now)
    first, second, third = [exchange(fast, listener) for _ in range(3)]
    assert [(segment.fast_open is not None, len(segment.data)) for segment in first[:3]] == [
        (True, 0),
        (True, 0),
        (False, 8),
    ]
    assert [(segment.fast_open is not None, len(segment.data)) for segment in second[:3]] == [
        (True, 8),
        (False, 0),
        (False, 0),
    ]
    assert second[1].ack == second[0].seq + 9
    assert len(second) == len(third) < len(first)


def test_a_connection_tells_whether_it_is_fast(fast: Pair) -> None:
    listener = fast.right.listen(80, fast.now)
    asking = fast.left.connect("10.0.0.2", 80, fast.now)
    assert not asking.is_fast
    fast.advance(30 * SECOND)
    assert listener.accept() is not None
    knowing = fast.left.connect("10.0.0.2", 80, fast.now, data=b"text")
    assert knowing.is_fast
    accepted = None
    while accepted is None:
        fast.advance(MILLISECOND)
        accepted = listener.accept()
    assert accepted.is_fast == (accepted.state is SYN_RECEIVED)
    fast.advance(SECOND)
    assert not knowing.is_fast
    assert not accepted.is_fast


@pytest.mark.label("RFC7413-2", "RFC7413-6.1")
@pytest.mark.parametrize("config", [DEFAULT, SERVER])
def test_without_the_switch_no_syn_has_the_option_or_text(fast: Pair, config: Config) -> None:
    listener = fast.right.listen(80, fast.now)
    for _ in range(2):
        segments = exchange(fast, listener, config=config)
        assert [segment.fast_open for segment in segments[:2]] == [None, None]
        assert segments[0].data == b""


@pytest.mark.label("RFC7413-4.2.2")
def test_more_than_a_syn_holds_follows_it(fast: Pair) -> None:
    listener = fast.right.listen(80, fast.now)
    exchange(fast, listener)
    segments = exchange(fast, listener, bytes(range(256)) * 40)
    assert 1400 < len(segments[0].data) < 1460


@pytest.mark.label("RFC7413-4.1.2", "RFC7413-4.2.2")
def test_an_expired_cookie_costs_a_round_trip_and_brings_a_new_one(fast: Pair) -> None:
    listener = fast.right.listen(80, fast.now)
    exchange(fast, listener)
    fast.advance(2 * PERIOD)
    expired, again = exchange(fast, listener), exchange(fast, listener)
    assert [len(segment.data) for segment in expired[:3]] == [8, 0, 8]
    assert expired[1].fast_open not in (None, b"", expired[0].fast_open)
    assert again[0].fast_open == expired[1].fast_open
    assert again[1].ack == again[0].seq + 9


@pytest.mark.label("RFC7413-4.1.3")
def test_a_server_that_does_not_know_it_is_left_alone_for_a_while(pair: Pair) -> None:
    listener = pair.right.listen(80, pair.now)
    segments = [exchange(pair, listener, config=CLIENT) for _ in range(2)]
    pair.advance(REFUSAL)
    segments.append(exchange(pair, listener, config=CLIENT))
    assert [segment[0].fast_open for segment in segments] == [b"", None, b""]


@pytest.mark.label("RFC7413-4.1.3", "RFC7413-4.2.2")
def test_a_middlebox_that_drops_syns_with_text_is_noticed(fast: Pair) -> None:
    listener = fast.right.listen(80, fast.now)
    exchange(fast, listener)
    fast.lose = lambda _, octets: (
        octets[33] & SYN != 0 and octets[33] & ACK == 0 and octets.endswith(b"question")
    )
    slow = exchange(fast, listener)
    assert [(segment.flags, segment.fast_open is not None, len(segment.data)) for segment in slow[:3]] == [
        (SYN, True, 8),
        (SYN, False, 0),
        (SYN | ACK, False, 0),
    ]
    assert exchange(fast, listener)[0].fast_open is None


@pytest.mark.label("RFC7413-4.2.2")
@pytest.mark.parametrize("lost", range(1, 5))
def test_whatever_is_lost_once_text_arrives_once(fast: Pair, lost: int) -> None:
    listener = fast.right.listen(80, fast.now)
    exchange(fast, listener)
    seen = []

    def lose(_: Host, octets: bytes) -> bool:
        seen.append(octets)
        return len(seen) == lost

    fast.lose = lose
    exchange(fast, listener)


@pytest.mark.label("RFC7413-4.1.3")
def test_an_icmp_error_is_a_negative_response(fast: Pair) -> None:
    listener = fast.right.listen(80, fast.now)
    exchange(fast, listener)
    peer = Peer(fast.left, "10.0.0.2")
    client = fast.left.connect("10.0.0.2", 80, fast.now, data=b"question")
    fast.lose = lambda *_: True
    fast.carried.clear()
    fast.pump()
    message = icmp.IcmpMessage(icmp.UNREACHABLE, icmp.NO_PORT, 0, fast.carried[0][1][:28])
    fast.left.packet_arrives(peer.control(message), fast.now)
    fast.pump()
    assert client.state is CLOSED
    fast.lose = lambda *_: False
    assert exchange(fast, listener)[0].fast_open is None


def test_cookies_can_be_forgotten(fast: Pair) -> None:
    listener = fast.right.listen(80, fast.now)
    exchange(fast, listener)
    fast.left.forget_cookies()
    assert exchange(fast, listener)[0].fast_open == b""


def test_data_that_cannot_be_taken_whole_is_refused(new_host: Callable[..., Host]) -> None:
    host = new_host(memory_limit=100)
    small = replace(DEFAULT, send_buffer=10)
    with pytest.raises(ArgumentError, match="data is 11; allowed: 10 octets"):
        host.connect("10.0.0.2", 80, START, config=small, data=bytes(11))
    assert host.connect("10.0.0.2", 80, START, config=small, data=bytes(10)).unacknowledged == 10
    with pytest.raises(InsufficientResources):
        host.connect("10.0.0.2", 80, START, data=bytes(91))
    assert len(list(host.connections())) == 1
