"""What lasts: keep-alive through a network that swallows probes, many idle connections, a clock that stood
still (families keepalive, resources and clock of bad_inputs.toml)."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from postel.errors import ConnectionTimedOut, InsufficientResources
from postel.host.host import Host
from postel.tcp.config import DEFAULT
from postel.tcp.connection import Connection
from postel.tcp.state import CLOSED, ESTABLISHED
from postel.times import HOUR, MINUTE, NEVER, SECOND
from postel.wire.segment import ACK, RST, SYN
from tests.host.conftest import Pair, Peer

KEEPS = replace(DEFAULT, keep_alive=True)


def label(*ids: str) -> pytest.MarkDecorator:
    return pytest.mark.label(*ids)


# Keep-alive


@label("BAD-KA-2", "MUST-25", "MUST-28", "MUST-29")
@pytest.mark.parametrize("lost", [0, 1, 8])
def test_bad_ka_2_as_long_as_one_probe_in_a_row_is_answered_it_lives(pair: Pair, lost: int):
    """However often ``lost`` of them vanish; the first that is answered begins the count anew."""
    client, server, _ = pair.connect(config=KEEPS)
    seen: list[int] = []

    def lose(sender: Host, octets: bytes) -> bool:
        if sender is pair.left:
            seen.append(pair.now)
        return sender is pair.left and len(seen) % (lost + 1) != 0

    pair.lose = lose
    start = pair.now
    pair.advance(50 * HOUR)
    assert (client.state, server.state) == (ESTABLISHED, ESTABLISHED)
    assert seen[0] - start >= 2 * HOUR
    assert [later - earlier for earlier, later in pairwise(seen[: lost + 1])] == [75 * SECOND] * lost
    assert len(seen) >= 20 * (lost + 1)


@label("BAD-KA-2", "MUST-29")
def test_bad_ka_2_when_all_are_lost_it_is_over_after_as_many_as_were_chosen(pair: Pair):
    client, server, _ = pair.connect(config=KEEPS)
    lost: list[int] = []
    pair.lose = lambda sender, _octets: sender is pair.left and lost.append(pair.now) is None
    start = pair.now
    pair.advance(3 * HOUR)
    assert client.state is CLOSED
    assert isinstance(client.error, ConnectionTimedOut)
    assert [when - start for when in lost] == [2 * HOUR + 75 * SECOND * number for number in range(9)]
    assert pair.names(client)[-1] == "Closed"
    assert server.state is ESTABLISHED  # it asked for no probes, and hears of nothing (MUST-25)
    assert (pair.left.next_timeout(), pair.right.next_timeout()) == (NEVER, NEVER)


# Resources


def connected(peer: Peer, port: int, answer: Callable[[], Connection | None]) -> Connection:
    syn_ack = peer.segment(
        peer.give(peer.tcp(SYN, port=port, mss=1460, window_scale=7, sack_permitted=True, tsval=1, tsecr=0))
    )
    peer.give(peer.tcp(ACK, seq=1001, ack=syn_ack.seq + 1, port=port, tsval=1, tsecr=syn_ack.tsval))
    connection = answer()
    assert connection is not None
    return connection


@label("BAD-RES-1")
@pytest.mark.soak
def test_bad_res_1_an_idle_connection_holds_nothing_but_its_numbers(
    new_host: Callable[..., Host], new_peer: type[Peer]
):
    host = new_host(config=KEEPS)
    peer = new_peer(host)
    listener = host.listen(80, peer.now)
    held = [connected(peer, port, listener.accept) for port in range(2000, 2200)]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        held += [connected(peer, port, listener.accept) for port in range(3000, 4000)]
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 6000 * 1000
    assert host.statistics()["connections"] == len(held) == 1200
    assert host.statistics()["memory_used"] == 0
    for connection in held:
        tcb = connection._tcb
        assert (tcb.rcv.pace, tcb.snd.stopwatch, tcb.rcv.reassembly, tcb.rcv.pieces, tcb.snd.buffer.size) == (
            None,
            None,
            None,
            [],
            0,
        )


@label("BAD-RES-1")
def test_bad_res_1_full_buffers_are_refused_room_and_give_it_back(
    new_host: Callable[..., Host], new_peer: type[Peer]
):
    host = new_host(memory_limit=1_000_000)
    peer = new_peer(host)
    listener = host.listen(80, peer.now)
    held = []
    for port in range(2000, 2100):
        syn_ack = peer.segment(peer.give(peer.tcp(SYN, port=port)))
        peer.give(peer.tcp(ACK, seq=1001, ack=syn_ack.seq + 1, port=port))
        held.append((port, listener.accept(), syn_ack.seq + 1))
    taken = sum(connection.send(bytes(20_000), peer.now) for _, connection, _ in held)
    assert taken == 1_000_000 == host.statistics()["memory_used"]
    peer.drain()
    assert peer.give(peer.tcp(SYN, port=9999)) == []  # as if lost
    with pytest.raises(InsufficientResources):
        host.connect("10.0.0.9", 80, peer.now)
    for port, connection, _ in held[:50]:
        peer.give(peer.tcp(RST, seq=1001, port=port))
        assert connection.state is CLOSED
    assert host.statistics()["memory_used"] == 0  # the first fifty had taken it all
    assert len(peer.give(peer.tcp(SYN, port=9999))) == 1
    _, survivor, _ = held[-1]
    assert survivor.send(b"room again", peer.now) == 10


# The clock


@label("BAD-CLK-1")
def test_bad_clk_1_a_host_that_slept_an_hour_wakes_once(pair: Pair):
    """Text unacknowledged, an ACK delayed, a FIN answered, a SYN unanswered, a probe due: all in one late
    call.
    """
    busy, reader, _ = pair.connect(80, config=replace(KEEPS, keep_alive_idle=10 * MINUTE))
    closing, _, _ = pair.connect(81)
    closing.close(pair.now)
    pair.pump()
    reader.send(b"half of two", pair.now)
    pair.pump()
    pair.lose = lambda _sender, _octets: True
    busy.send(bytes(5000), pair.now)
    opening = pair.left.connect("10.0.0.2", 82, pair.now)
    pair.pump()
    sent = len(pair.carried)
    pair.now += HOUR
    for host in (pair.left, pair.right):
        host.handle_timeout(pair.now)
    pair.pump()
    assert pair.left.next_timeout() > pair.now
    assert pair.right.next_timeout() > pair.now
    assert len(pair.carried) - sent <= 4  # a segment for each connection at most
    for connection in (busy, opening):
        assert connection.state is CLOSED
        assert isinstance(connection.error, ConnectionTimedOut)
        assert pair.names(connection).count("Closed") == 1


@label("BAD-CLK-1")
def test_bad_clk_1_nothing_happens_to_what_is_gone(pair: Pair):
    client, server, listener = pair.connect(config=KEEPS)
    client.send(b"text", pair.now)
    client.abort(pair.now)
    pair.pump()
    listener.close(pair.now)
    told = len(pair.events)
    sent = len(pair.carried)
    for _ in range(3):
        pair.now += HOUR
        for host in (pair.left, pair.right):
            host.handle_timeout(pair.now)
            client.handle_timeout(pair.now)
            server.handle_timeout(pair.now)
        pair.pump()
    assert (len(pair.events), len(pair.carried)) == (told, sent)
    assert (pair.left.next_timeout(), pair.right.next_timeout()) == (NEVER, NEVER)
    assert (client.next_timeout(), server.next_timeout()) == (NEVER, NEVER)
