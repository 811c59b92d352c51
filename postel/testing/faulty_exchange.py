"""Exchange between hosts of a world under faults, for tests of what must be the same in every run.

Run as a program, the module prints the digest of one such exchange, which is the same for every process and
every version of Python.
"""

import sys
from hashlib import sha256
from typing import Final

from postel.errors import TcpError
from postel.host.listener import Listener
from postel.sim import Fault, Subject, Witness, World
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, Closed, EndOfStream, Event, Opened, Readable, Writable
from postel.tcp.state import State
from postel.wire.address import Endpoint

PORT: Final = 7
FAULTS: Final = (
    "partition client <-> server at 30ms for 1.5s",
    (
        "path client -> server at 0s for 10s corrupt=0.05 delay=20ms duplicate=0.05 jitter=5ms loss=0.05 "
        "reorder=0.1"
    ),
    "flap client -> server at 2s for 4s down=200ms up=700ms",
    "hold server -> client at 3s for 400ms",
    "pause server at 4s for 700ms",
    "slow client at 5s for 2s each=1ms",
    "crash bystander at 1s for 2s",
)


class Chronicle(Witness):
    """Observer that counts all calls of a world, and computes a digest of them."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.count: int = 0
        self._hash = sha256()

    def _note(self, *what: object) -> None:
        self.count += 1
        self._hash.update(repr(what).encode())

    def digest(self) -> str:
        """SHA-256 of all calls so far."""
        return self._hash.hexdigest()

    def state_changed(self, local: Endpoint, remote: Endpoint, before: State, after: State, now: int) -> None:
        """Note a change of state."""
        self._note(str(local), str(remote), before.name, after.name, now)

    def carried(
        self, sender: str, receiver: str, octets: bytes, sent_at: int, arrives_at: int, delivered: bytes
    ) -> None:
        """Note a packet that is on its way."""
        self._note("carried", sender, receiver, octets, sent_at, arrives_at, delivered)

    def lost(self, sender: str, receiver: str, octets: bytes, sent_at: int, why: str) -> None:
        """Note a packet that was lost."""
        self._note("lost", sender, receiver, octets, sent_at, why)

    def rescheduled(
        self, sender: str, receiver: str, delivered: bytes, sent_at: int, arrives_at: int
    ) -> None:
        """Note a packet that arrives at another time than first decided."""
        self._note("rescheduled", sender, receiver, delivered, sent_at, arrives_at)

    def intercepted(self, sender: str, receiver: str, delivered: bytes, sent_at: int, why: str) -> None:
        """Note a packet that was stopped under way."""
        self._note("intercepted", sender, receiver, delivered, sent_at, why)


class Side:
    """One end of the exchange: it sends its message, reads to the end, and closes."""

    def __init__(self, message: bytes) -> None:
        """Make an end that sends ``message``."""
        self.message = message
        self.sent: int = 0
        self.read: bytearray = bytearray()
        self.connection: Connection | None = None
        self.ended: bool = False
        self.error: TcpError | None = None

    def __call__(self, subject: Subject, event: Event, now: int) -> None:
        """Handle an event, as the application of its host."""
        if isinstance(event, Acceptable) and isinstance(subject, Listener):
            accepted = subject.accept()
            if accepted is not None:
                self._begin(accepted, now)
        elif isinstance(subject, Connection) and isinstance(event, Opened):
            self._begin(subject, now)
        elif isinstance(subject, Connection):
            self._go_on(subject, event, now)

    def _begin(self, connection: Connection, now: int) -> None:
        self.connection = connection
        self._send(connection, now)

    def _go_on(self, connection: Connection, event: Event, now: int) -> None:
        match event:
            case Readable():
                self.read += connection.receive(1 << 20, now)
            case Writable():
                self._send(connection, now)
            case EndOfStream():
                self.ended = True
            case Closed(error):
                self.error = error

    def _send(self, connection: Connection, now: int) -> None:
        if self.sent < len(self.message):
            self.sent += connection.send(self.message[self.sent :], now)
        if self.sent == len(self.message):
            self.sent += 1
            connection.close(now)

    def acknowledged(self) -> int:
        """Number of octets of the message that the other end has acknowledged."""
        if self.connection is None:
            return 0
        status = self.connection.status()
        return max(min(self.sent, len(self.message)) - status.awaiting_ack - status.unsent, 0)


class FaultyExchange:
    """Client and server that send each other ``length`` octets and close, while ``faults`` come and go."""

    def __init__(self, faults: list[Fault], *, seed: int = 1, length: int = 100_000) -> None:
        """Make hosts and connection, and schedule the faults."""
        self.chronicle: Chronicle = Chronicle()
        self.world: World = World(
            seed, observer=self.chronicle, default_path={"delay": "10ms", "bandwidth": "2Mbit"}
        )
        self.client: Side = Side(bytes(range(256)) * (length // 256))
        self.server: Side = Side(bytes(range(255, -1, -1)) * (length // 256))
        client, server = (
            self.world.host("client", application=self.client),
            self.world.host("server", application=self.server),
        )
        self.world.host("bystander")
        self.world.schedule(faults)
        server.listen(PORT, self.world.now)
        client.connect("10.0.0.2", PORT, self.world.now)

    def run(self) -> str:
        """Run to the end, and return the digest of everything that happened."""
        self.world.run()
        return self.chronicle.digest()


if __name__ == "__main__":
    sys.stdout.write(FaultyExchange([Fault.parse(text) for text in FAULTS], length=500_000).run() + "\n")
