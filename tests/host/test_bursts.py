"""Very many clients at once, and again from the same ports: every one is served, whatever the backlog."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from postel.host.host import Host
from postel.host.listener import Listener
from postel.tcp.config import DEFAULT, Config
from postel.tcp.connection import Connection
from postel.tcp.events import Closed, EndOfStream, Readable
from postel.times import MILLISECOND, NEVER, SECOND

CLIENTS = 300
FIRST_PORT = 20_000
BATCH = 64  # packets from the link, before the program sees what they led to
PATIENCE = 60 * SECOND
ADDRESSES = {4: "10.0.0.1", 6: "fd00::1"}


class Burst:
    """A server of one short answer each, which closes first, and a host with clients that all begin at
    once.
    """

    def __init__(self, backlog: int, server: Config, client: Config) -> None:
        self.now = 1000 * SECOND
        self.server = Host("10.0.0.1/24", "fd00::1/64", secret=b"server")
        self.clients = Host("10.0.0.2/24", "fd00::2/64", secret=b"clients", config=client)
        self.listener = self.server.listen(80, self.now, backlog=backlog, config=server)
        self.served = 0
        self.failed = 0

    def round(self, family: int) -> int:
        """How many clients were served."""
        self.served = self.failed = 0
        for number in range(CLIENTS):
            self.clients.connect(ADDRESSES[family], 80, self.now, local_port=FIRST_PORT + number, data=b"GET")
        end = self.now + PATIENCE
        while self.served + self.failed < CLIENTS and self.now < end:
            self.exchange()
            self.now = max(self.now, min(end, self.clients.next_timeout(), self.server.next_timeout()))
            self.clients.handle_timeout(self.now)
            self.server.handle_timeout(self.now)
        self.exchange()
        return self.served

    def exchange(self) -> None:
        moved = 1
        while moved:
            moved = 0
            for sender, receiver in ((self.clients, self.server), (self.server, self.clients)):
                for octets in list(drained(sender, self.now)):
                    receiver.packet_arrives(octets, self.now)
                    moved += 1
                    if moved % BATCH == 0 or self.server.crowded:
                        self.server.crowded.clear()
                        self.serve()
                self.serve()
                self.look()

    def serve(self) -> None:
        while (told := self.server.next_event()) is not None:
            subject, event = told
            if isinstance(subject, Listener):
                while (accepted := subject.accept()) is not None:
                    self.answer(accepted)
            elif isinstance(subject, Connection) and isinstance(event, Readable):
                self.answer(subject)

    def answer(self, connection: Connection) -> None:
        if connection.readable:
            assert connection.receive(10, self.now) == b"GET"
            connection.send(b"answer", self.now)
            connection.release(self.now)

    def look(self) -> None:
        while (told := self.clients.next_event()) is not None:
            connection, event = told
            assert isinstance(connection, Connection)
            if isinstance(event, EndOfStream):
                self.served += connection.receive(10, self.now) == b"answer"
                connection.release(self.now)
            elif isinstance(event, Closed) and event.error is not None:
                self.failed += 1


def drained(host: Host, now: int) -> Iterator[bytes]:
    while (octets := host.next_packet(now)) is not None:
        yield octets


STAMPED, PLAIN = DEFAULT, replace(DEFAULT, timestamps=False)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("backlog", [1, 5, 100])
@pytest.mark.parametrize("client", [STAMPED, PLAIN], ids=["timestamps", "no-timestamps"])
@pytest.mark.soak
def test_three_rounds_from_the_same_ports_are_all_served(family: int, backlog: int, client: Config) -> None:
    burst = Burst(backlog, DEFAULT, client)
    for _ in range(3):
        assert burst.round(family) == CLIENTS
        assert burst.failed == 0
        assert burst.server.statistics()["time_wait"] == CLIENTS
        burst.now += 50 * MILLISECOND
    while (deadline := min(burst.server.next_timeout(), burst.clients.next_timeout())) < NEVER:
        burst.now = max(burst.now, deadline)
        burst.server.handle_timeout(burst.now)
        burst.clients.handle_timeout(burst.now)
        burst.exchange()
    assert list(burst.server.connections()) == []
