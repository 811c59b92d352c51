"""A connection that met exhausted memory is told when some is free: each that waits, the longest first."""

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postel.errors import InsufficientResources, TcpError
from postel.host.host import Host
from postel.sim import Subject, World
from postel.tcp.config import Config
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, Closed, Event, Writable
from postel.tcp.state import CLOSED, ESTABLISHED
from postel.times import MINUTE, SECOND
from tests.host.conftest import Pair

MakePair = Callable[..., Pair]
LIMIT = 60_000


def writers(pair: Pair, count: int) -> list[Connection]:
    """Connections from left to right; nothing that left sends arrives until the test says so."""
    made = [pair.connect(port)[0] for port in range(80, 80 + count)]
    pair.events.clear()
    pair.lose = lambda sender, _octets: sender is pair.left
    return made


def told(pair: Pair, connections: list[Connection]) -> list[int]:
    """Numbers of the connections with a WRITABLE event since the last call, in order."""
    found = [connections.index(subject) for subject, event in pair.events if isinstance(event, Writable)]
    pair.events.clear()
    return found


def exhausted(new_pair: MakePair, count: int) -> tuple[Pair, list[Connection]]:
    """The first connection holds all of left's memory; the others have tried in vain, one after the other."""
    pair = new_pair(memory_limit=LIMIT)
    connections = writers(pair, count)
    assert connections[0].send(bytes(LIMIT), pair.now) == LIMIT
    for connection in connections[1:]:
        assert connection.send(b"x", pair.now) == 0
    pair.pump()
    assert told(pair, connections) == []
    return pair, connections


@pytest.mark.label("EP-SEND-4", "BAD-RES-1")
@pytest.mark.parametrize("way", ["abort", "release", "acknowledged", "timeout"])
def test_those_who_wait_are_told_in_turn(new_pair: MakePair, way: str) -> None:
    pair, connections = exhausted(new_pair, 5)
    if way == "abort":
        connections[0].abort(pair.now)
    elif way == "release":
        connections[0].release(pair.now)
        pair.advance(6 * MINUTE)
    elif way == "timeout":
        pair.advance(6 * MINUTE)
    else:
        pair.lose = lambda _sender, _octets: False
        pair.advance(2 * SECOND)
    pair.pump()
    assert told(pair, connections) == [1, 2, 3, 4]
    assert all(connection.writable for connection in connections[1:])
    pair.pump()
    assert told(pair, connections) == []


def test_one_that_takes_all_leaves_the_others_their_turn(new_pair: MakePair) -> None:
    pair, connections = exhausted(new_pair, 4)
    connections[0].abort(pair.now)
    assert pair.left.next_packet(pair.now) is not None
    turns = []
    while (event := pair.left.next_event()) is not None:
        if isinstance(event[1], Writable):
            turns.append(connections.index(event[0]))
            assert connections[turns[-1]].writable > 0
            connections[turns[-1]].send(bytes(2 * LIMIT), pair.now)
    assert turns == [1]
    connections[1].abort(pair.now)
    pair.pump()
    assert told(pair, connections) == [2, 3]


def test_while_others_wait_nobody_gets_in_before_them(new_pair: MakePair) -> None:
    """Neither a connection that is busy, nor one that comes later, nor one that is new."""
    pair, connections = exhausted(new_pair, 4)
    late = connections.pop()
    connections[0].abort(pair.now)
    assert late.writable == late.send(b"x", pair.now) == 0
    with pytest.raises(InsufficientResources):
        pair.left.connect("10.0.0.2", 99, pair.now, data=b"x")
    pair.pump()
    assert told(pair, [*connections, late]) == [1, 2, 3]
    assert pair.left.connect("10.0.0.2", 99, pair.now, data=b"x").unacknowledged == 1


@pytest.mark.parametrize("way", ["abort", "release", "close"])
def test_one_that_goes_holds_nobody_up(new_pair: MakePair, way: str) -> None:
    pair, connections = exhausted(new_pair, 4)
    getattr(connections[1], way)(pair.now)
    connections[0].abort(pair.now)
    pair.pump()
    assert told(pair, connections) == [1, 2, 3] if way == "close" else [2, 3]


def test_a_busy_connection_does_not_starve_the_others(new_pair: MakePair) -> None:
    """What the peer acknowledges would always be taken again by the one that it is acknowledged to."""
    pair = new_pair(memory_limit=LIMIT)
    made = [pair.connect(port)[:2] for port in range(80, 83)]
    connections = [client for client, _ in made]
    for connection in connections:
        connection.send(bytes(2 * LIMIT), pair.now)
    turns: list[int] = []
    for _ in range(200):
        while (octets := pair.left.next_packet(pair.now)) is not None:
            pair.right.packet_arrives(octets, pair.now)
        while (octets := pair.right.next_packet(pair.now)) is not None:
            pair.left.packet_arrives(octets, pair.now)
            while (event := pair.left.next_event()) is not None:
                if isinstance(event[1], Writable):
                    turns.append(connections.index(event[0]))
                    connections[turns[-1]].send(bytes(LIMIT), pair.now)
        for _, server in made:
            server.receive(LIMIT, pair.now)
        pair.now += SECOND // 20
        for host in (pair.left, pair.right):
            host.handle_timeout(pair.now)
    assert min(turns.count(number) for number in range(3)) > 5, turns


# Windows


def test_a_peer_hears_of_the_window_that_free_memory_allows(new_pair: MakePair) -> None:
    """Not only when it probes, which may be a minute later."""
    pair = new_pair(memory_limit=100_000)
    reader, sender, _ = pair.connect()
    hog, _, _ = pair.connect(81, config=Config(send_buffer=200_000))
    for _ in range(20):
        sender.send(bytes(50_000), pair.now)
        pair.advance(SECOND)
    assert reader.readable > 99_000
    pair.lose = lambda host, octets: host is pair.left and octets[22:24] == b"\0\x51"  # what the hog sends
    while reader.readable:  # the program reads, and what becomes free the hog takes at once
        reader.receive(1000, pair.now)
        hog.send(bytes(pair.left.memory.free), pair.now)
    pair.pump()
    assert (reader._tcb.rcv.wnd < 1460, pair.left.memory.free) == (True, 0)
    pair.advance(20 * SECOND)
    assert sender._tcb.snd.wnd < 1460
    hog.abort(pair.now)
    pair.pump()
    assert sender._tcb.snd.wnd > 90_000
    assert not pair.left.memory.readers


@pytest.mark.parametrize("limit", [600, 2000, 5000, 17_000])
def test_a_window_opens_again_though_the_memory_holds_hardly_a_segment(
    new_pair: MakePair, limit: int
) -> None:
    """No step of the window is as large as the MSS that a link of 9000 octets has."""
    pair = new_pair(memory_limit=limit, mtu=9000)
    reader, sender, _ = pair.connect()
    size, taken = limit // 2, 0
    while taken < 140_000:
        assert sender.send(bytes(size), pair.now) == size
        pair.advance(SECOND)
        assert reader.readable == size
        taken += len(reader.receive(limit, pair.now))
        pair.advance(SECOND)


# Any order


class Program:
    """Sends what it wants to send, as WRITABLE says; notes which connections wait."""

    def __init__(self, host: Host, connections: list[Connection]) -> None:
        self.host = host
        self.connections = connections
        self.wanted = dict.fromkeys(connections, 0)
        self.waits: list[Connection] = []

    def wants(self, connection: Connection, octets: int, now: int) -> None:
        self.wanted[connection] += octets
        if connection not in self.waits:
            self.sends(connection, now)

    def sends(self, connection: Connection, now: int) -> None:
        try:
            taken = connection.send(bytes(self.wanted[connection]), now)
        except TcpError:
            self.wanted[connection] = 0
            return
        self.wanted[connection] -= taken
        if self.wanted[connection]:
            self.waits.append(connection)

    def hears(self, subject: object, event: Event, now: int) -> None:
        if isinstance(subject, Connection) and isinstance(event, Writable):
            assert subject in self.waits
            self.waits.remove(subject)
            self.sends(subject, now)
        elif isinstance(subject, Connection) and isinstance(event, Closed) and subject in self.waits:
            self.waits.remove(subject)


STEP = st.tuples(
    st.sampled_from(["send", "send", "send", "abort", "release", "read", "time"]),
    st.integers(0, 5),
    st.integers(1, 40_000),
)


@settings(max_examples=60)
@given(st.lists(STEP, max_size=40), st.integers(1, 60_000))
def test_whoever_waits_has_something_in_flight_or_nothing_is_free(
    steps: list[tuple[str, int, int]], limit: int
) -> None:
    """Whatever is sent, read and ended: after each pump a writer is only left waiting where an ACK or other
    memory will wake it.
    """
    pair = Pair(
        Host("10.0.0.1/24", secret=b"left", memory_limit=limit),
        Host("10.0.0.2/24", secret=b"right", memory_limit=100_000),
    )
    connections = writers(pair, 6)
    pair.lose = lambda _sender, _octets: False
    program = Program(pair.left, connections)
    for name, number, octets in steps:
        connection = connections[number]
        if connection.state is CLOSED or (connection._tcb.rcv.is_released and name != "time"):
            continue
        if name == "send":
            program.wants(connection, octets, pair.now)
        elif name == "abort":
            connection.abort(pair.now)
            program.waits = [waiting for waiting in program.waits if waiting is not connection]
        elif name == "release":
            connection.release(pair.now)
            program.waits = [waiting for waiting in program.waits if waiting is not connection]
        else:
            pair.advance(octets if name == "read" else octets * 1000)
        exchange(pair, program)
        for waiting in program.waits:
            assert waiting.unacknowledged or pair.left.memory.free == 0


def exchange(pair: Pair, program: Program) -> None:
    """Until nothing moves, with the program's answers to each event."""
    pair.pump()
    while pair.events:
        told_now, pair.events = pair.events, []
        for subject, event in told_now:
            program.hears(subject, event, pair.now)
        pair.pump()


# In virtual time


def test_a_world_in_which_the_hog_goes() -> None:
    names: list[str] = []
    world = World(1)
    kept: list[Connection] = []

    def near(subject: Subject, event: Event, _now: int) -> None:
        if subject is quiet:
            names.append(type(event).__name__)

    def far(subject: Subject, event: Event, _now: int) -> None:
        if isinstance(event, Acceptable):
            kept.append(subject.accept())

    quiet: Connection | None = None
    a, b = (
        world.host("a", "10.0.0.1/24", memory_limit=LIMIT, application=near),
        world.host("b", "10.0.0.2/24", application=far),
    )
    one, _ = world.path(a, b)
    b.listen(9, 0)
    hog, quiet = a.connect("10.0.0.2", 9, 0), a.connect("10.0.0.2", 9, 0)
    world.run(until=SECOND)
    one.loss = 1.0
    assert (hog.send(bytes(LIMIT), world.now), quiet.send(b"x", world.now)) == (LIMIT, 0)
    world.at(2 * SECOND, partial(hog.abort, 2 * SECOND))
    world.run(until=3 * SECOND)
    assert names == ["Opened", "Writable"]
    assert quiet.state is ESTABLISHED
