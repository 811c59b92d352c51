"""A world with all that chance decides, as a program: it prints what a witness is told, octet for octet, as
one digest.

``python traced_world.py SEED`` on any Python, with the compiled core or without: the same seed prints the
same line.
"""

import hashlib
import sys
from typing import Any

from postel.sim import Witness, World
from postel.tcp.config import Config
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, EndOfStream, Event, Opened, Readable, Writable
from postel.tcp.observer import Decision, TimerName
from postel.tcp.state import State
from postel.times import MILLISECOND, SECOND
from postel.wire.address import Endpoint, parse
from postel.wire.segment import Segment

SETTINGS: dict[str, Any] = {
    "delay": "10ms",
    "jitter": "2ms",
    "bandwidth": "10Mbit",
    "queue": "32KiB",
    "loss": 0.03,
    "duplicate": 0.01,
    "corrupt": 0.01,
    "reorder": 0.03,
    "congestion": 0.01,
}


class Digest(Witness):
    """All that a witness is told, in its order."""

    def __init__(self) -> None:
        self.sum = hashlib.sha256()
        self.count = 0

    def note(self, *told: object) -> None:
        self.count += 1
        self.sum.update(repr(told).encode())

    def state_changed(self, local: Endpoint, remote: Endpoint, before: State, after: State, now: int) -> None:
        self.note(str(local), str(remote), str(before), str(after), now)

    def segment_sent(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        self.note("sent", repr(segment), segment.data, now)

    def segment_arrived(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        self.note("arrived", repr(segment), segment.data, now)

    def timer_expired(self, local: Endpoint, remote: Endpoint, timer: TimerName, now: int) -> None:
        self.note(str(local), timer, now)

    def decided(self, local: Endpoint, remote: Endpoint, decision: Decision, now: int) -> None:
        self.note(str(local), type(decision).__name__, now)

    def packet_dropped(self, reason: str, octets: bytes, now: int) -> None:
        self.note(reason, octets, now)

    def packet_sent(self, octets: bytes, now: int) -> None:
        self.note("out", octets, now)

    def packet_arrived(self, octets: bytes, now: int) -> None:
        self.note("in", octets, now)

    def carried(
        self, sender: str, receiver: str, octets: bytes, sent_at: int, arrives_at: int, delivered: bytes
    ) -> None:
        self.note(sender, receiver, sent_at, arrives_at, delivered)

    def lost(self, sender: str, receiver: str, octets: bytes, sent_at: int, why: str) -> None:
        self.note(sender, receiver, sent_at, why)


def talk(subject: Any, event: Event, now: int) -> None:
    """An application of both ends: says 15,360 octets, closes when the peer has."""
    connection = subject.accept() if isinstance(event, Acceptable) else subject
    if not isinstance(connection, Connection):
        return
    if isinstance(event, (Opened, Writable, Acceptable)):
        if connection.context is None:
            connection.context = bytearray(bytes(range(256)) * 60)
        left = connection.context
        assert isinstance(left, bytearray)
        if left:
            del left[: connection.send(left, now)]
        if not left:
            connection.close(now)
    elif isinstance(event, (Readable, EndOfStream)):
        connection.receive(1 << 20, now)


def trace(seed: int, digest: Digest | None = None) -> list[object]:
    """What came of it: how much, and the digest where one is given."""
    world = World(seed, observer=digest, default_path=SETTINGS)
    configs = [Config(congestion=name, ecn="ask") for name in ("reno", "cubic", "bbr")]
    hosts = [
        world.host(f"host {number}", application=talk, config=configs[number % 3]) for number in range(5)
    ]
    for number, host in enumerate(hosts):
        host.listen(80, 0)
        for other in range(number):
            address = ("10.0.0.", "fd00::")[other % 2] + str(other + 1)
            world.at(
                other * 7 * MILLISECOND,
                lambda host=host, address=address: host.connect(address, 80, world.now),
            )
        host.datagrams(53).send(b"to itself", 0, remote=Endpoint(parse("127.0.0.1"), 53))
    world.at(200 * MILLISECOND, lambda: world.partition("host 0", "host 1", both=False))
    world.at(2 * SECOND, world.repair)
    world.at(500 * MILLISECOND, lambda: world.restart(world.hosts()["host 2"]))
    world.run(120 * SECOND)
    figures = [sorted(host.statistics().items()) for host in world.hosts().values()]
    told = [] if digest is None else [digest.count, digest.sum.hexdigest()]
    return [world.packets, hashlib.sha256(repr(figures).encode()).hexdigest(), *told]


if __name__ == "__main__":
    sys.stdout.write(f"{trace(int(sys.argv[1]), Digest())} {trace(int(sys.argv[1]))}\n")
