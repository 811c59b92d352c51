"""What all pumps do between two waits: packets, events and timers, moved when a test says so."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from postel.errors import LinkClosed, LinkError
from postel.host.host import Host
from postel.links import MemoryLink, pair
from postel.links.exchange import BATCH, MOST_FALSE_ALARMS, Exchange
from postel.tcp.config import Config
from postel.tcp.connection import Connection
from postel.tcp.events import Closed, Event, Opened
from postel.times import SECOND


@dataclass
class Program:
    """Handler of a connection's events. ``answer`` is sent when the connection opens."""

    connection: Connection
    answer: bytes = b""
    events: list[Event] = field(default_factory=list)

    def happened(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Opened) and self.answer:
            self.connection.send(self.answer, 0)


class End:
    """A host on one end of a memory link, with a clock that a test moves."""

    def __init__(self, link: MemoryLink, address: str) -> None:
        self.link = link
        self.host = Host(f"{address}/24", secret=b"secret", config=Config(nagle=False))
        self.time = 0
        self.calls = 0
        self.host.join(link.mtu, b"", 0)
        self.exchange = Exchange(self.host, link, lambda: self.time, self._ready, lambda _error: None)

    def _ready(self) -> None:
        self.calls += 1

    def connect(self, address: str, answer: bytes = b"") -> Program:
        connection = self.host.connect(address, 80, self.time)
        connection.context = program = Program(connection, answer)
        return program


@pytest.fixture
def ends() -> Iterator[tuple[End, End]]:
    left, right = pair()
    yield End(left, "10.7.0.1"), End(right, "10.7.0.2")
    left.close()
    right.close()


def test_a_closed_link_is_refused() -> None:
    left, right = pair()
    left.close()
    with pytest.raises(LinkClosed):
        End(left, "10.7.0.1")
    right.close()


def test_what_an_event_makes_the_program_send_leaves_in_the_same_turn(ends: tuple[End, End]) -> None:
    near, far = ends
    far.host.listen(80, 0)
    program = near.connect("10.7.0.2", b"hello")
    near.exchange.run()
    far.exchange.read_link()
    far.exchange.run()
    assert near.exchange.read_link() == 1
    near.exchange.run()
    assert isinstance(program.events[0], Opened)
    assert far.exchange.read_link() == 2  # the ACK, which leaves before the event is told; and the data
    assert far.host.statistics()["segments_arrived"] == 3


def test_packets_come_in_by_batches_and_the_rest_is_told(ends: tuple[End, End]) -> None:
    near, far = ends
    for _ in range(BATCH + 1):
        far.link.send(b"anything", b"", 0)
    assert near.exchange.take_in() == BATCH
    assert near.exchange.take_in() == 1
    assert near.exchange.take_in() == 0


def test_a_descriptor_that_is_readable_without_a_packet_ends_the_link(ends: tuple[End, End]) -> None:
    near, far = ends
    far.link.send(b"anything", b"", 0)
    near.link._parcels.clear()
    near.link._pop = lambda: None  # type: ignore[method-assign] # the descriptor stays readable
    for _ in range(MOST_FALSE_ALARMS):
        assert near.exchange.read_link() == 0
    with pytest.raises(LinkError, match="at its end"):
        near.exchange.read_link()


def test_packets_that_have_arrived_are_read_before_the_timers_expire(ends: tuple[End, End]) -> None:
    near, far = ends
    far.host.listen(80, 0)
    near.connect("10.7.0.2")
    near.exchange.run()
    far.exchange.take_in()
    far.exchange.run()
    near.time = 10 * SECOND  # the SYN's retransmission was due long ago, and its answer is in the link
    near.exchange.handle_timeouts(near.exchange.run)
    near.exchange.run()
    assert far.link.receive(0) is not None  # the ACK
    assert far.link.receive(0) is None  # and no second SYN


@pytest.mark.parametrize("backlog", [1, BATCH])
def test_a_late_turn_lets_the_program_accept_where_the_queue_is_full(
    ends: tuple[End, End], backlog: int
) -> None:
    near, far = ends
    count = 2 * BATCH
    listener = near.host.listen(80, 0, backlog=backlog)
    for _ in range(count):
        far.connect("10.7.0.1")
        far.exchange.run()
    while near.exchange.take_in():
        near.exchange.run()
    while far.exchange.take_in():
        far.exchange.run()  # the ACKs, which end the handshakes, wait in the link now
    accepted: list[Connection] = []
    turns: list[int] = []

    def turn() -> None:
        turns.append(len(accepted))
        near.exchange.run()
        while (connection := listener.accept()) is not None:
            accepted.append(connection)

    near.time = SECOND // 2
    near.exchange.handle_timeouts(turn)
    turn()
    assert len(accepted) == count
    assert len(turns) == 1 + count // backlog


def test_a_host_without_a_link_forgets_its_connections(ends: tuple[End, End]) -> None:
    near, _ = ends
    program = near.connect("10.7.0.2")
    near.exchange.run()
    program.connection.abort(0)
    near.exchange.link_ended()
    assert isinstance(program.events[-1], Closed)
    near.exchange.discard()
    assert near.host.statistics()["connections"] == 0
    near.exchange.release()
    assert not near.host.is_attached
