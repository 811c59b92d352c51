"""Nothing that a program let go counts as the host's memory, however the connection ended and whatever the
program did or forgot to do.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postel.errors import TcpError
from postel.host.host import Host
from postel.tcp.config import DEFAULT
from postel.tcp.connection import Connection
from postel.tcp.state import CLOSED
from postel.times import HOUR, MINUTE, SECOND
from postel.wire.segment import ACK, FIN, RST, SYN
from tests.host.conftest import Pair, Peer

MakeHost = Callable[..., Host]
KEEPS = replace(DEFAULT, keep_alive=True, keep_alive_idle=MINUTE, keep_alive_interval=SECOND)


def used(pair: Pair) -> tuple[int, int]:
    return pair.left.statistics()["memory_used"], pair.right.statistics()["memory_used"]


def reset(pair: Pair, client: Connection, _server: Connection) -> None:
    client.abort(pair.now)


def aborted(pair: Pair, _client: Connection, server: Connection) -> None:
    server.abort(pair.now)


def closed_by_both(pair: Pair, client: Connection, server: Connection) -> None:
    client.close(pair.now)
    pair.pump()
    server.close(pair.now)


def closed_by_both_the_other_first(pair: Pair, client: Connection, server: Connection) -> None:
    closed_by_both(pair, server, client)


def closed_at_once(pair: Pair, client: Connection, server: Connection) -> None:
    client.close(pair.now)
    server.close(pair.now)


def path_dies(pair: Pair, client: Connection, server: Connection) -> None:
    for connection in (client, server):
        connection.send(b"unheard", pair.now)
    pair.lose = lambda _sender, _octets: True
    pair.advance(HOUR)


def keep_alive_is_unanswered(pair: Pair, client: Connection, server: Connection) -> None:
    for connection in (client, server):
        connection.configure(KEEPS, pair.now)
    pair.lose = lambda _sender, _octets: True
    pair.advance(HOUR)


def released_by_one(pair: Pair, client: Connection, _server: Connection) -> None:
    """Where it left text unread, the other is reset."""
    client.release(pair.now)


ENDS = [
    reset,
    aborted,
    closed_by_both,
    closed_by_both_the_other_first,
    closed_at_once,
    path_dies,
    keep_alive_is_unanswered,
    released_by_one,
]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("read", [0, 1, 9_999])
def test_whatever_ended_it_nothing_counts(
    pair: Pair, end: Callable[[Pair, Connection, Connection], None], read: int
) -> None:
    client, server, _ = pair.connect()
    for connection in (client, server):
        connection.send(bytes(range(250)) * 40, pair.now)
    pair.advance(SECOND)
    assert used(pair) == (10_000, 10_000)
    for connection in (client, server):
        if read:
            connection.receive(read, pair.now)
    end(pair, client, server)
    pair.advance(10 * MINUTE)
    assert used(pair) == (0, 0)
    # What had arrived is there for a program that still holds the connection (D-14), and counts no more.
    for connection in (client, server):
        rest = b"".join(
            iter(lambda held=connection: held.receive(999, pair.now) if held.readable else b"", b"")
        )
        assert rest in (b"", (bytes(range(250)) * 40)[read:])
        connection.release(pair.now)
    pair.pump()
    assert used(pair) == (0, 0)


@pytest.mark.label("BAD-RES-1")
def test_what_waits_in_accept_counts_until_a_program_has_it(new_host: MakeHost, new_peer: type[Peer]) -> None:
    """For then the host holds it, as many as its backlog allows."""
    host = new_host()
    peer = new_peer(host)
    listener = host.listen(80, peer.now)
    for port in (2000, 2001, 2002):
        answer = peer.segment(peer.give(peer.tcp(SYN, port=port)))
        peer.give(peer.tcp(ACK, seq=1001, ack=answer.seq + 1, port=port, data=bytes(100)))
        peer.give(peer.tcp(RST, seq=1101, port=port))
    assert host.statistics()["memory_used"] == 300
    first, second = listener.accept(), listener.accept()
    assert first is not None
    assert second is not None
    assert host.statistics()["memory_used"] == 100
    assert (first.state, len(first.receive(1000, peer.now))) == (CLOSED, 100)
    second.release(peer.now)
    assert host.statistics()["memory_used"] == 100
    listener.close(peer.now)
    peer.drain()
    assert host.statistics()["memory_used"] == 0


STEP = st.tuples(
    st.sampled_from(
        [
            "send",
            "send",
            "read",
            "read",
            "close",
            "abort",
            "release",
            "forget",
            "time",
            "lose",
            "connect",
            "accept",
            "unlisten",
        ]
    ),
    st.integers(0, 7),
    st.integers(1, 30_000),
)


class Program:
    """Calls in any order, on either host, of a program that forgets what it likes."""

    def __init__(self) -> None:
        self.pair = Pair(Host("10.0.0.1/24", secret=b"left"), Host("10.0.0.2/24", secret=b"right"))
        self.listener: Any = self.pair.right.listen(80, self.pair.now)
        self.held: list[Connection] = []
        self.losses = 0

    def step(self, name: str, number: int, octets: int) -> None:
        pair = self.pair
        connection = self.held[number % len(self.held)] if self.held else None
        if name == "connect":
            self.held.append(pair.left.connect("10.0.0.2", 80, pair.now))
        elif name == "accept" and (accepted := self.listener.accept()) is not None:
            self.held.append(accepted)
        elif name == "unlisten":
            self.listener.close(pair.now)
        elif name == "lose":
            self.losses = octets % 50 + 2
            pair.lose = lambda _sender, octets: sum(octets) % self.losses == 0
        elif name == "time":
            pair.advance(octets * 3000)
        elif connection is not None:
            self.call(name, connection, octets)
        pair.pump()
        pair.events.clear()

    def call(self, name: str, connection: Connection, octets: int) -> None:
        try:
            if name == "send":
                connection.send(bytes(octets), self.pair.now)
            elif name == "read":
                connection.receive(octets, self.pair.now)
            elif name == "forget" and connection.state is CLOSED:
                self.held.remove(connection)
            elif name in ("close", "abort", "release"):
                getattr(connection, name)(self.pair.now)
        except TcpError:
            pass

    def ends(self) -> None:
        """The program dies: it forgets the connections that have ended, and aborts those that haven't."""
        pair = self.pair
        self.listener.close(pair.now)
        for connection in self.held:
            if connection.state is not CLOSED:
                connection.abort(pair.now)
        self.held.clear()
        pair.lose = lambda _sender, _octets: False
        pair.advance(HOUR)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=60))
def test_after_any_end_and_the_loss_of_the_last_reference_nothing_counts(
    steps: list[tuple[str, int, int]],
) -> None:
    program = Program()
    for name, number, octets in (("connect", 0, 1), ("accept", 0, 1), *steps):
        program.step(name, number, octets)
    program.ends()
    assert used(program.pair) == (0, 0)
    for host in (program.pair.left, program.pair.right):
        assert not host.memory.writers
        assert not host.memory.gaps
        assert host.statistics()["orphans"] == 0


def test_text_behind_a_gap_counts_until_the_gap_closes_or_the_connection(
    new_host: MakeHost, new_peer: type[Peer]
) -> None:
    host = new_host()
    peer = new_peer(host)
    listener = host.listen(80, peer.now)
    answer = peer.segment(peer.give(peer.tcp(SYN)))
    peer.give(peer.tcp(ACK, seq=1001, ack=answer.seq + 1))
    assert listener.accept() is not None
    peer.give(peer.tcp(ACK, seq=1011, ack=answer.seq + 1, data=b"ahead"))
    assert len(host.memory.gaps) == 1
    peer.give(peer.tcp(ACK, seq=1001, ack=answer.seq + 1, data=b"closes it."))
    assert not host.memory.gaps
    peer.give(peer.tcp(ACK, seq=1026, ack=answer.seq + 1, data=b"again"))
    peer.give(peer.tcp(ACK | FIN, seq=1016, ack=answer.seq + 1), peer.tcp(RST, seq=1016))
    assert (len(host.memory.gaps), host.statistics()["memory_used"]) == (0, 0)
