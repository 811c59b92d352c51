"""Released connections of a host: counted, limited, and the first to go when others need their memory
(BAD-WIN-7, CVE-2008-4609).
"""

import sys
from collections.abc import Callable
from types import FrameType

import pytest

from postel.errors import ArgumentError
from postel.host.host import Host
from postel.host.listener import Listener
from postel.tcp.connection import Connection
from postel.tcp.state import CLOSED, FIN_WAIT_1
from postel.times import DAY, MILLISECOND, MINUTE, NEVER, SECOND
from postel.wire.segment import ACK, FIN, RST, SYN, Segment
from tests.host.conftest import Pair, Peer

MakeHost = Callable[..., Host]


def accepted(peer: Peer, listener: Listener, port: int, window: int = 0) -> tuple[Connection, int]:
    """An established connection, and what its peer acknowledges next."""
    answers = peer.segments(peer.give(peer.tcp(SYN, port=port, mss=1460)))
    (answer,) = [segment for segment in answers if segment.flags & SYN]  # others may be ended for it
    peer.give(peer.tcp(ACK, seq=1001, ack=answer.seq + 1, port=port, window=window))
    connection = listener.accept()
    assert connection is not None
    return connection, answer.seq + 1


class Crowd:
    """Peers that take part of an answer, close their window, and answer each probe; the program has released
    their connections.
    """

    def __init__(self, host: Host, new_peer: type[Peer], window: int = 0) -> None:
        self.host = host
        self.peer = new_peer(host)
        self.listener = host.listen(80, self.peer.now, backlog=10_000)
        self.connections: dict[int, Connection] = {}
        self.window = window

    def joins(self, *ports: int, octets: int = 100_000) -> None:
        for port in ports:
            self.connections[port], _ = accepted(self.peer, self.listener, port, self.window)
        for port in ports:
            connection = self.connections[port]
            connection.send(bytes(octets), self.peer.now)
            connection.release(self.peer.now)
            self.peer.drain()

    def passes(self, duration: int, *, answers: bool = True) -> None:
        peer = self.peer
        end = peer.now + duration
        while (deadline := self.host.next_timeout()) <= end:
            peer.now = max(peer.now, deadline)
            self.host.handle_timeout(peer.now)
            for segment in peer.segments(peer.drain()):
                if answers and not segment.flags & RST:
                    self.answers(segment)
        peer.now = end

    def answers(self, segment: Segment) -> None:
        una = self.connections[segment.destination]._tcb.snd.una
        self.peer.give(self.peer.tcp(ACK, seq=1001, ack=una, port=segment.destination, window=self.window))

    def is_served(self, port: int) -> bool:
        """Whether an honest peer that comes now gets an answer."""
        return SYN | ACK in [
            segment.flags for segment in self.peer.segments(self.peer.give(self.peer.tcp(SYN, port=port)))
        ]


@pytest.mark.label("BAD-WIN-7", "BAD-RES-1")
@pytest.mark.parametrize("count", [11, 40])
def test_bad_win_7_they_make_room_for_others_at_once(
    new_host: MakeHost, new_peer: type[Peer], count: int
) -> None:
    crowd = Crowd(new_host(memory_limit=1_000_000), new_peer)
    for port in range(2000, 2000 + count):
        crowd.joins(port)
        assert crowd.host.statistics()["memory_used"] <= 1_000_000
    assert crowd.is_served(9000)
    assert crowd.host.connect("10.0.0.7", 80, crowd.peer.now) is not None
    assert crowd.peer.dropped("no_memory") == 0
    states = [connection.state for connection in crowd.connections.values()]
    assert states == sorted(states, key=lambda state: state is FIN_WAIT_1)  # the oldest have gone
    assert states[-1] is FIN_WAIT_1
    figures = crowd.host.statistics()
    assert figures["orphans"] == states.count(FIN_WAIT_1)
    assert figures["orphans_ended"] == states.count(CLOSED)


@pytest.mark.label("BAD-WIN-7", "EP-SEND-4")
def test_bad_win_7_a_program_that_wants_to_send_gets_their_memory(
    new_host: MakeHost, new_peer: type[Peer]
) -> None:
    crowd = Crowd(new_host(memory_limit=1_000_000), new_peer)
    living, _ = accepted(crowd.peer, crowd.listener, 1999, window=65535)
    crowd.joins(*range(2000, 2020))
    assert crowd.host.memory.claim(crowd.host.memory.free)
    assert living.send(b"an answer", crowd.peer.now) == 0
    crowd.peer.drain()
    assert [type(event).__name__ for subject, event in crowd.peer.events if subject is living] == ["Writable"]
    assert living.send(b"an answer", crowd.peer.now) == 9


@pytest.mark.label("BAD-WIN-7")
@pytest.mark.parametrize("answers", [True, False])
def test_bad_win_7_nothing_of_them_is_left_after_minutes(
    new_host: MakeHost, new_peer: type[Peer], answers: bool
) -> None:
    """With memory to spare, too."""
    crowd = Crowd(new_host(), new_peer)
    for port in range(2000, 2020):
        crowd.joins(port)
    assert crowd.host.statistics()["orphans"] == 20
    crowd.passes(7 * MINUTE, answers=answers)
    figures = crowd.host.statistics()
    assert (figures["orphans"], figures["connections"], figures["memory_used"], figures["orphans_ended"]) == (
        0,
        0,
        0,
        0,
    )
    crowd.passes(DAY)
    assert crowd.host.next_timeout() == NEVER


@pytest.mark.label("BAD-WIN-7")
def test_an_open_window_and_silence_buy_some_seconds(new_host: MakeHost, new_peer: type[Peer]) -> None:
    crowd = Crowd(new_host(memory_limit=1_000_000), new_peer, window=65535)
    crowd.joins(*range(2000, 2020))
    assert not crowd.is_served(9001)
    crowd.passes(2 * SECOND, answers=False)
    assert crowd.is_served(9000)


def test_who_makes_progress_is_spared(new_host: MakeHost, new_peer: type[Peer]) -> None:
    host = new_host(memory_limit=1_000_000)
    crowd = Crowd(host, new_peer, window=65535)
    peer = crowd.peer
    crowd.joins(*range(2000, 2016))
    assert host.statistics()["memory_used"] == 1_000_000
    assert not crowd.is_served(9000)  # its peer asks again, and there will be room
    assert host.statistics()["orphans_ended"] == 0
    for _ in range(10):
        peer.now += 100 * MILLISECOND
        for port, connection in crowd.connections.items():
            peer.give(peer.tcp(ACK, seq=1001, ack=connection._tcb.snd.max, port=port))
    assert host.statistics()["orphans_ended"] == 0
    assert crowd.is_served(9000)


def test_one_minute_after_its_release_it_is_spared_no_more(new_host: MakeHost, new_peer: type[Peer]) -> None:
    """Else one octet now and then would hold the memory for as long as its peer likes."""
    host = new_host(memory_limit=1_000_000)
    crowd = Crowd(host, new_peer, window=65535)
    peer = crowd.peer
    crowd.joins(*range(2000, 2020))
    for _ in range(130):
        peer.now += SECOND // 2
        for port, connection in crowd.connections.items():
            peer.give(peer.tcp(ACK, seq=1001, ack=connection._tcb.snd.una + 1, port=port))
    assert crowd.is_served(9000)
    crowd.joins(9001)
    assert crowd.is_served(9002)
    assert host.statistics()["orphans_ended"] > 0


# How many


@pytest.mark.parametrize("limit", [0, 1, 10])
def test_there_are_no_more_than_the_limit_and_the_oldest_go(
    new_host: MakeHost, new_peer: type[Peer], limit: int
) -> None:
    crowd = Crowd(new_host(orphan_limit=limit), new_peer)
    for port in range(2000, 2025):
        crowd.joins(port, octets=10)
        assert crowd.host.statistics()["orphans"] <= limit
    states = [connection.state for connection in crowd.connections.values()]
    assert states == [CLOSED] * (25 - limit) + [FIN_WAIT_1] * limit
    assert crowd.host.statistics()["orphans_ended"] == 25 - limit


@pytest.mark.parametrize("limit", [-1, -100])
def test_a_limit_is_no_less_than_none(new_host: MakeHost, limit: int) -> None:
    with pytest.raises(ArgumentError, match="orphan_limit"):
        new_host(orphan_limit=limit)


def test_the_peer_of_one_too_many_hears_a_reset(new_host: MakeHost, new_peer: type[Peer]) -> None:
    host = new_host(orphan_limit=1)
    peer = new_peer(host)
    listener = host.listen(80, peer.now)
    first, _ = accepted(peer, listener, 2000)
    second, _ = accepted(peer, listener, 2001)
    for connection in (first, second):
        connection.send(b"not delivered", peer.now)
        connection.release(peer.now)
    assert [(segment.destination, segment.flags & RST) for segment in peer.segments(peer.drain())] == [
        (2000, RST)
    ]


def test_only_what_is_released_and_lives_is_counted(pair: Pair) -> None:
    client, server, _ = pair.connect()
    assert pair.left.statistics()["orphans"] == 0
    client.close(pair.now)
    pair.pump()
    assert pair.left.statistics()["orphans"] == 0  # its program can still read
    client.release(pair.now)
    pair.pump()
    assert pair.left.statistics()["orphans"] == 1  # FIN-WAIT-2
    server.release(pair.now)
    pair.pump()
    # Left is in TIME-WAIT, right is CLOSED
    assert (pair.left.statistics()["orphans"], pair.right.statistics()["orphans"]) == (0, 0)
    assert pair.left.statistics()["time_wait"] == 1


def test_a_thawed_pair_is_no_orphan(pair: Pair, new_peer: type[Peer], new_host: MakeHost) -> None:
    host = new_host()
    peer = new_peer(host)
    listener = host.listen(80, peer.now)
    connection, ack = accepted(peer, listener, 2000, window=65535)
    connection.release(peer.now)
    peer.drain()
    for _ in range(3):
        peer.give(peer.tcp(FIN | ACK, seq=1001, ack=ack + 1, port=2000))
        assert (host.statistics()["orphans"], host.statistics()["time_wait"]) == (0, 1)


# What it costs


def calls(work: Callable[[], object]) -> int:
    """How many functions were called, Python's and C's; of the compiled core, few."""
    count = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.label("BAD-RES-1", "BAD-SEQ-6")
@pytest.mark.parametrize("held", ["text", "gaps", "orphans"])
def test_what_is_done_about_exhausted_memory_is_bounded(
    new_host: MakeHost, new_peer: type[Peer], held: str
) -> None:
    """However many connections there are, and whatever they hold."""
    host = new_host(memory_limit=1000 * (600 if held == "text" else 1100))
    peer = new_peer(host)
    listener = host.listen(80, peer.now, backlog=10_000)
    made = [(port, *accepted(peer, listener, port, window=65535)) for port in range(2000, 3200)]
    for port, connection, ack in made:
        if held == "orphans":
            connection.send(bytes(1000), peer.now)
            connection.release(peer.now)
            peer.drain()
        else:
            peer.give(peer.tcp(ACK, seq=1001 + (held == "gaps"), ack=ack, port=port, data=bytes(1000)))
    port, _, ack = made[-1]
    packet = peer.tcp(ACK, seq=1001, ack=ack, port=port, data=bytes(1000))
    for _ in range(20):
        assert calls(lambda: peer.give(packet, peer.tcp(SYN, port=9999))) < 6000
