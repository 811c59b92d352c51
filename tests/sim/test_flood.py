"""A flood of forged SYNs at one listener: whoever means it gets in, at once and always, and nothing grows."""

import tracemalloc

import pytest

from postel.sim import Subject, World
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, Event, Opened, Readable
from postel.tcp.status import SACK, TIMESTAMPS, WINDOW_SCALE
from postel.times import MILLISECOND, MINUTE, SECOND
from postel.wire import ip
from postel.wire.address import parse
from postel.wire.segment import PROTOCOL, SYN, Segment, encode_for

RATE = 100_000  # SYNs a second
LASTS = 300 * MILLISECOND
TRACED = 50 * MILLISECOND  # at its end, when no client connects: what grows then grows with the flood
AT_ONCE = RATE * MILLISECOND // SECOND  # they come once a millisecond
BACKLOG = 128
ROUND_TRIP = 20 * MILLISECOND
SERVER = parse("10.0.0.2")
EVERY = 25 * MILLISECOND  # a client connects
TEXT = b"is anybody there?"
KIBIBYTE = 1024


def forged(number: int) -> bytes:
    """A SYN with the options of any other, from an address that never asked for anything."""
    segment = Segment(1024 + number % 60_000, 80, number, 0, SYN, 65535, tsval=number, tsecr=0)
    segment.mss, segment.window_scale, segment.sack_permitted = 1460, 7, True
    source = (0x0B000000 + number).to_bytes(4, "big")
    return ip.encode(source, SERVER, PROTOCOL, encode_for(segment, source, SERVER))


class Flood:
    """A server that echoes, clients that connect and ask, and the flood from 1 ms on."""

    def __init__(self) -> None:
        self.world = World(seed=1)
        self.client = self.world.host("client", "10.0.0.1/24", application=self.asks)
        self.server = self.world.host("server", "10.0.0.2/24", application=self.echoes)
        self.world.path(self.client, self.server, delay=ROUND_TRIP // 2)
        self.server.listen(80, 0, backlog=BACKLOG)
        self.began: dict[Connection, int] = {}
        self.opened: dict[Connection, int] = {}
        self.answered: dict[Connection, int] = {}
        self.half_open: list[int] = []
        self.held: list[int] = []  # octets, while they are traced
        self._forged = 0
        for when in range(0, LASTS - TRACED, EVERY):
            self.world.at(when, self.connect)
        for when in range(MILLISECOND, LASTS + MILLISECOND, MILLISECOND):
            self.world.at(when, self.flood)

    def connect(self) -> None:
        self.began[self.client.connect("10.0.0.2", 80, self.world.now)] = self.world.now

    def flood(self) -> None:
        for _ in range(AT_ONCE):
            self._forged += 1
            self.server.packet_arrives(forged(self._forged), self.world.now)
        self.half_open.append(self.server.statistics()["half_open"])

    def measure(self) -> None:
        self.held.append(tracemalloc.get_traced_memory()[0])

    def asks(self, subject: Subject, event: Event, now: int) -> None:
        assert isinstance(subject, Connection)
        if isinstance(event, Opened):
            self.opened[subject] = now
            subject.send(TEXT, now)
        elif isinstance(event, Readable) and subject.receive(100, now) == TEXT:
            self.answered[subject] = now

    def echoes(self, subject: Subject, event: Event, now: int) -> None:
        if isinstance(event, Acceptable):
            subject.accept()  # type: ignore[union-attr]
        elif isinstance(event, Readable):
            assert isinstance(subject, Connection)
            subject.send(subject.receive(100, now), now)


@pytest.mark.label("BAD-FLOOD-1", "RFC4987-3.x", "RFC4987-3.6", "RFC4987-3.7")
def test_a_hundred_thousand_forged_syns_a_second() -> None:
    flood = Flood()
    world, server = flood.world, flood.server
    world.run(LASTS - TRACED)
    tracemalloc.start()
    try:
        for when in range(world.now, LASTS, 10 * MILLISECOND):
            world.at(when, flood.measure)
        world.run(LASTS + 4 * ROUND_TRIP)
    finally:
        tracemalloc.stop()
    # No real client waited: one round trip to open, one more for the answer, and nothing was sent twice.
    assert len(flood.began) == (LASTS - TRACED) // EVERY
    for connection, began in flood.began.items():
        assert flood.opened.get(connection) == began + ROUND_TRIP
        assert flood.answered.get(connection) == began + 2 * ROUND_TRIP
        assert connection.status().total_retrans == 0
        assert (
            connection.status().options & (TIMESTAMPS | SACK | WINDOW_SCALE)
            == TIMESTAMPS | SACK | WINDOW_SCALE
        )
    # Nothing grows with what is forged. Three thousand SYNs, if they left anything: 11 octets each.
    assert max(flood.half_open) == BACKLOG
    assert max(flood.held[1:]) - flood.held[1] < 32 * KIBIBYTE, flood.held
    told = server.statistics()
    assert (told["connections"], told["half_open"]) == (len(flood.began), BACKLOG)
    assert told["memory_used"] == 0
    assert told["dropped_half_open_full"] >= RATE * LASTS // SECOND - BACKLOG
    world.run(10 * MINUTE)
    assert server.statistics()["half_open"] == 0
    assert server.statistics()["connections"] == len(flood.began)
