"""Hosts of a world that send each other datagrams, with a record of what became of these.

The module is for tests of faults.
"""

from postel.host.datagrams import DatagramSocket
from postel.sim import Subject, Witness, World
from postel.tcp.events import Event, Readable
from postel.times import MILLISECOND
from postel.wire.address import Endpoint, parse

PORT = 2000


class Diary(Witness):
    """Observer that notes why packets don't arrive as they should."""

    def __init__(self) -> None:
        """Begin with empty lists."""
        self.lost_because: list[str] = []
        self.intercepted_because: list[str] = []
        self.moved: list[int] = []

    def lost(self, sender: str, receiver: str, octets: bytes, sent_at: int, why: str) -> None:
        """Note why a packet was lost."""
        self.lost_because.append(why)

    def intercepted(self, sender: str, receiver: str, delivered: bytes, sent_at: int, why: str) -> None:
        """Note why a packet was stopped under way."""
        self.intercepted_because.append(why)

    def rescheduled(
        self, sender: str, receiver: str, delivered: bytes, sent_at: int, arrives_at: int
    ) -> None:
        """Note the new time at which a packet will arrive."""
        self.moved.append(arrives_at)


class Post:
    """Hosts "a", "b" and so on, with paths of 10 ms between any two.

    `send` sends a datagram, and ``arrived`` lists receiver, text and time (in microseconds) of those that
    arrived.
    """

    def __init__(self, names: str = "ab", **settings: float) -> None:
        """Make a host for each letter in ``names``; ``settings`` are those of all paths."""
        self.diary: Diary = Diary()
        self.world: World = World(observer=self.diary)
        self.arrived: list[tuple[str, str, int]] = []  # receiver, text, and time in microseconds
        self._sockets: dict[str, DatagramSocket] = {}
        for name in names:
            self.world.host(name)
            self.open(name)
        self.world.paths(**{"delay": 10 * MILLISECOND, **settings})  # type: ignore[arg-type]  # settings by name

    def open(self, name: str) -> None:
        """Open the socket of a host. It is called for a new host, and after each restart."""
        host = self.world.hosts()[name]
        self._sockets[name] = host.datagrams(PORT)
        self.world.application(host, lambda subject, event, now: self._arrives(name, subject, event, now))

    def _arrives(self, name: str, subject: Subject, event: Event, now: int) -> None:
        if isinstance(event, Readable) and isinstance(subject, DatagramSocket):
            while (got := subject.receive()) is not None:
                self.arrived.append((name, got[0].decode(), now))

    def send(self, sender: str, receiver: str, text: str) -> None:
        """Send a datagram. It travels in the next `run` of the world."""
        number = ord(receiver) - ord("a") + 1
        self._sockets[sender].send(
            text.encode(), self.world.now, remote=Endpoint(parse(f"10.0.0.{number}"), PORT)
        )
        self.world.pump()

    def texts(self) -> list[str]:
        """Texts of the datagrams that arrived, in their order."""
        return [text for _, text, _ in self.arrived]
