"""TCP Fast Open over paths that take time, lose and reorder (RFC 7413): the round trip that it saves, and
never a wrong octet.
"""

from dataclasses import replace

import pytest

from postel.host.host import Host
from postel.host.listener import Listener
from postel.sim import Subject, World
from postel.tcp.config import DEFAULT
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, EndOfStream, Event, Readable
from postel.times import MILLISECOND, SECOND

FAST = replace(DEFAULT, fast_open="both")
QUESTION = b"question " * 20
ANSWER = bytes(range(256)) * 100


class Server:
    """Answers, when it has the whole question, and closes."""

    def __call__(self, subject: Subject, event: Event, now: int) -> None:
        if isinstance(event, Acceptable) and isinstance(subject, Listener):
            subject.accept()
        elif (
            isinstance(event, Readable)
            and isinstance(subject, Connection)
            and subject.readable == len(QUESTION)
        ):
            assert subject.receive(1 << 20, now) == QUESTION
            subject.send(ANSWER, now)
            subject.close(now)


class Client:
    def __init__(self) -> None:
        self.received = b""
        self.first_at = 0

    def __call__(self, subject: Subject, event: Event, now: int) -> None:
        if isinstance(event, Readable) and isinstance(subject, Connection):
            self.first_at = self.first_at or now
            self.received += subject.receive(1 << 20, now)
        elif isinstance(event, EndOfStream) and isinstance(subject, Connection):
            subject.close(now)


def hosts(world: World, **path: float) -> tuple[Host, Host]:
    one, other = world.host("a", "10.0.0.1/24", config=FAST), world.host("b", "10.0.0.2/24", config=FAST)
    world.path(one, other, **path)  # type: ignore[arg-type]
    world.application(other, Server())
    other.listen(80, world.now)
    return one, other


def asked(world: World, one: Host) -> tuple[int, bytes]:
    """Time until the first octet of the answer; the answer."""
    client = Client()
    world.application(one, client)
    start = world.now
    one.connect("10.0.0.2", 80, world.now, data=QUESTION)
    world.run(start + 120 * SECOND)
    return client.first_at - start, client.received


@pytest.mark.label("RFC7413-4.2.2")
def test_the_second_answer_comes_a_round_trip_earlier() -> None:
    world = World(0)
    one, _ = hosts(world, delay=50 * MILLISECOND)
    assert asked(world, one) == (200 * MILLISECOND, ANSWER)
    assert asked(world, one) == (100 * MILLISECOND, ANSWER)


@pytest.mark.label("RFC7413-4.2.2")
@pytest.mark.parametrize("seed", range(20))
def test_over_a_bad_path_every_answer_is_whole(seed: int) -> None:
    world = World(seed)
    one, other = hosts(world, delay=20 * MILLISECOND, loss=0.1, duplicate=0.1, reorder=0.2)
    for _ in range(5):
        assert asked(world, one)[1] == ANSWER
    assert one.statistics()["memory_used"] == other.statistics()["memory_used"] == 0
