"""The order in which a controller is called, over a path that loses and marks: what `Congestion` says of it holds."""

from dataclasses import replace
from typing import ClassVar

import pytest

from postel.errors import TcpError
from postel.sim import World
from postel.tcp.config import DEFAULT
from postel.tcp.congestion.reno import Reno
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, Event, Readable
from postel.times import SECOND


class Diary(Reno):
    calls: ClassVar[list[str]] = []

    def remember(self, flight: int) -> None:
        self.calls.append("remember")
        super().remember(flight)

    def lost(self, flight: int, now: int) -> None:
        self.calls.append("lost")
        super().lost(flight, now)

    def timed_out(self, flight: int, now: int, *, again: bool) -> None:
        self.calls.append("timed out again" if again else "timed out")
        super().timed_out(flight, now, again=again)

    def recovered(self, flight: int, now: int) -> None:
        self.calls.append("recovered")
        super().recovered(flight, now)

    def undo(self, limit: int, now: int) -> None:
        self.calls.append("undo")
        super().undo(limit, now)


def sink(connection: Connection, event: Event, now: int) -> None:
    if isinstance(event, Acceptable):
        connection.accept()
    elif isinstance(event, Readable):
        connection.receive(1 << 20, now)


def calls_over(seed: int, *, sack: bool, loss: float) -> list[str]:
    Diary.calls.clear()
    world = World(seed)
    one = world.host("one", "10.0.0.1/24", config=replace(DEFAULT, congestion=Diary, sack=sack))
    other = world.host("other", "10.0.0.2/24", application=sink)
    world.path(one, other, loss=loss, bandwidth=5_000_000)
    other.listen(9, 0)
    connection = one.connect("10.0.0.2", 9, 0)
    world.run(until=SECOND)
    for _ in range(10):
        try:
            connection.send(bytes(60_000), world.now)
        except TcpError:
            break
        world.run(until=world.now + SECOND)
    return list(Diary.calls)


@pytest.mark.parametrize("sack", [True, False], ids=["SACK", "no SACK"])
@pytest.mark.parametrize("seed", range(6))
def test_an_undo_takes_back_the_episode_that_was_remembered_last(seed: int, sack: bool) -> None:
    calls = calls_over(seed, sack=sack, loss=0.05)
    assert "lost" in calls
    may_undo = is_active = False
    for before, call, after in zip(["", *calls], calls, [*calls[1:], ""], strict=False):
        if call == "remember":
            assert after in ("lost", "timed out")
            may_undo = is_active = True
        elif call == "lost" and before != "remember":
            is_probes = not is_active
            assert after == "recovered" if is_probes else is_active
            may_undo = may_undo and not is_probes
        elif call == "timed out":
            assert before == "remember"
        elif call == "recovered":
            is_active = False
        elif call == "undo":
            assert may_undo
            may_undo = is_active = False
