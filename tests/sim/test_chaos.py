"""BAD-NET-1: paths as bad as the dice make them. What arrives is what was sent, or the connection ends with
an error; in bounded time and memory; and the same seed gives the same run."""

from dataclasses import replace
from hashlib import sha256
from random import Random

import pytest

from postel.errors import TcpError
from postel.host.listener import Listener
from postel.sim import Subject, Witness, World
from postel.tcp.config import DEFAULT, Config
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, Closed, EndOfStream, Event, Opened, Readable, Writable
from postel.times import HOUR, MILLISECOND, NEVER, SECOND

ADDRESSES = {4: ("10.0.0.1/24", "10.0.0.2/24"), 6: ("fd00::1/64", "fd00::2/64")}
MTUS = {4: (68, 576, 1280, 1500, 9000, 65535), 6: (1280, 1500, 9000, 65535)}
FRAGMENTED = 552  # below it, routers make fragments
MEMORY = 4 << 20
KILOBYTE = 8000  # bits


class Digest(Witness):
    """All that happened, in 32 octets."""

    def __init__(self) -> None:
        self.hash = sha256()

    def carried(
        self, sender: str, receiver: str, octets: bytes, sent_at: int, arrives_at: int, delivered: bytes
    ) -> None:
        self.hash.update(b"%d %d " % (sent_at, arrives_at) + delivered)


class End:
    """Sends its message, reads to the end, closes."""

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.left = message
        self.read = bytearray()
        self.ended = False
        self.error: TcpError | None = None

    def __call__(self, subject: Subject, event: Event, now: int) -> None:
        if isinstance(event, Acceptable) and isinstance(subject, Listener):
            child = subject.accept()
            if child is not None:
                self.give(child, now)
        elif isinstance(subject, Connection):
            self.happens(subject, event, now)

    def happens(self, connection: Connection, event: Event, now: int) -> None:
        if isinstance(event, Closed):
            self.error = event.error
            return
        if isinstance(event, Readable):
            self.read += connection.receive(1 << 30, now)
        if isinstance(event, EndOfStream):
            self.ended = True
        if isinstance(event, (Writable, Opened)):
            self.give(connection, now)

    def give(self, connection: Connection, now: int) -> None:
        taken = connection.send(self.left, now)
        self.left = self.left[taken:]
        if not self.left and taken:
            connection.close(now)


class Chaos:
    """A world with a path that the seed has drawn from the matrix."""

    def __init__(self, seed: int) -> None:
        draw = Random(seed)
        self.family = draw.choice((4, 6))
        link = draw.choice(MTUS[self.family])
        self.digest = Digest()
        self.world = World(seed, observer=self.digest)
        settings = {
            "delay": draw.choice((0, 10, 200, 10_000)) * MILLISECOND,
            "jitter": draw.choice((0, 5, 500)) * MILLISECOND,
            "bandwidth": draw.choice((KILOBYTE, 100 * KILOBYTE, 10**7 * KILOBYTE)),
            "queue": draw.choice(("20kB", "1MiB")),
            "mtu": min(link, draw.choice(MTUS[self.family])),
            "is_black_hole": draw.random() < 0.5,
            "loss": draw.choice((0.0, 0.01, 0.2, 0.5)),
            "duplicate": draw.choice((0.0, 0.1, 0.5)),
            "corrupt": draw.choice((0.0, 0.0, 0.1)),
            "reorder": draw.choice((0.0, 0.2, 1.0)),  # 1.0 with a long hold: as deep as what is in flight
            "hold": draw.choice((1, 50, 5000)) * MILLISECOND,
        }
        # Two bits turned in the fragments of one packet may cancel in its checksum
        if settings["mtu"] < FRAGMENTED:
            settings["corrupt"] = 0.0
        self.ends = (
            End(draw.randbytes(draw.choice((1, 3000, 20_000)))),
            End(draw.randbytes(draw.choice((1, 3000, 20_000)))),
        )
        self.hosts = [
            self.world.host(
                name, text, mtu=link, config=self.config(draw), application=end, memory_limit=MEMORY
            )
            for name, text, end in zip("ab", ADDRESSES[self.family], self.ends, strict=True)
        ]
        self.world.path(*self.hosts, **settings)  # type: ignore[arg-type]
        self.hosts[1].listen(7, 0)
        self.connection = self.hosts[0].connect(ADDRESSES[self.family][1].partition("/")[0], 7, 0)

    def config(self, draw: Random) -> Config:
        return replace(
            DEFAULT,
            sack=draw.random() < 0.7,
            timestamps=draw.random() < 0.7,
            window_scaling=draw.random() < 0.7,
            nagle=draw.random() < 0.5,
            mtu_probing=draw.choice((DEFAULT.mtu_probing, "always")),
            receive_buffer=draw.choice((4000, 65535, 1 << 20)),
            user_timeout=HOUR,
            syn_received_timeout=HOUR,
            msl=SECOND,
        )


@pytest.mark.label("BAD-NET-1")
@pytest.mark.parametrize("seed", range(60))
def test_bad_net_1_the_matrix(seed: int) -> None:
    chaos = Chaos(seed)
    chaos.world.run(8 * HOUR)
    assert chaos.world.next_timeout() == NEVER  # all is over
    one, other = chaos.ends
    for reader, writer in ((one, other), (other, one)):
        assert writer.message.startswith(bytes(reader.read))
        is_whole = reader.ended and bytes(reader.read) == writer.message
        assert is_whole or one.error is not None or other.error is not None
    for host in chaos.hosts:
        assert host.memory.used == 0
        assert not list(host.connections())


def test_bad_net_1_most_of_them_arrive_whole() -> None:
    """Lest the test above be kept by errors alone."""
    whole = 0
    for seed in range(20):
        chaos = Chaos(seed)
        chaos.world.run(8 * HOUR)
        whole += all(
            bytes(reader.read) == writer.message for reader, writer in (chaos.ends, chaos.ends[::-1])
        )
    assert whole >= 18


@pytest.mark.label("BAD-NET-1")
@pytest.mark.parametrize("seed", [3, 11])
def test_bad_net_1_the_same_seed_is_the_same_run(seed: int) -> None:
    runs = []
    for _ in range(2):
        chaos = Chaos(seed)
        chaos.world.run(8 * HOUR)
        runs.append(chaos.digest.hash.digest())
    assert runs[0] == runs[1]
