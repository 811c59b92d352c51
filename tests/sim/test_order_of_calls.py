"""What `Congestion` says of the order in which a controller is called holds on paths that lose, overtake,
mark and stand still.

A recorder writes a letter for each call, and all calls of a connection are held against a grammar of ACKs,
timers and sends.
"""

import re
from dataclasses import replace
from typing import Any

import pytest

from postel.congestion import BBR, Congestion, Cubic, Reno, Sample
from postel.errors import TcpError
from postel.sim import World
from postel.tcp.config import DEFAULT
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, Event, Readable
from postel.times import MILLISECOND, SECOND

# An ACK, or what became lost by waiting: the sample (x: something is newly lost); then the answer to marks,
# an undo, and what a tail probe repaired; then the end of an episode, and a loss or progress.
ACK = "xm?u?(?:lr)?r?b?l|[ox]u?a|[ox]m?u?(?:lr)?r?"
ORDER = re.compile(rf"m?(?:{ACK}|bt|T|i?s|n)*")  # the mark of a SYN has no sample


class Diary(Congestion):
    """Before a controller among the bases of a class: writes down what that is told."""

    wants_sends = True
    diaries: list[list[str]]

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.calls: list[str] = []
        self.diaries.append(self.calls)

    def observed(self, sample: Sample, now: int) -> None:
        assert min(sample.delivered, sample.lost, sample.marked) >= 0
        self.calls.append("x" if sample.lost else "o")
        super().observed(sample, now)

    def timed_out(self, flight: int, now: int, *, again: bool) -> None:
        self.calls.append("T" if again else "t")
        super().timed_out(flight, now, again=again)  # type: ignore[safe-super]

    def sent(self, octets: int, flight: int, now: int) -> None:
        assert 0 < octets <= flight
        self.calls.append("n")

    def marked(self, flight: int, now: int) -> None:
        self.calls.append("m")
        super().marked(flight, now)

    def undo(self, limit: int, now: int) -> None:
        self.calls.append("u")
        super().undo(limit, now)

    def remember(self, flight: int) -> None:
        self.calls.append("b")
        super().remember(flight)

    def lost(self, flight: int, now: int) -> None:
        self.calls.append("l")
        super().lost(flight, now)  # type: ignore[safe-super]

    def recovered(self, flight: int, now: int) -> None:
        self.calls.append("r")
        super().recovered(flight, now)  # type: ignore[safe-super]

    def acknowledged(self, octets: int, now: int) -> None:
        self.calls.append("a")
        super().acknowledged(octets, now)  # type: ignore[safe-super]

    def idled(self, now: int) -> None:
        self.calls.append("i")
        super().idled(now)  # type: ignore[safe-super]

    def started(self, now: int) -> None:
        self.calls.append("s")
        super().started(now)


def diary_of(controller: type[Congestion]) -> type[Congestion]:
    return type(f"Diary{controller.__name__}", (Diary, controller), {"diaries": []})


def sink(connection: Connection, event: Event, now: int) -> None:
    if isinstance(event, Acceptable):
        connection.accept()
    elif isinstance(event, Readable):
        connection.receive(1 << 20, now)


def calls_over(controller: type[Congestion], seed: int, *, sack: bool, **faults: float) -> str:
    """Ten bursts over a path with these faults, which stands still for two seconds once, so that a timeout is
    spurious.
    """
    kind = diary_of(controller)
    world = World(seed)
    one = world.host(
        "one",
        "10.0.0.1/24",
        config=replace(DEFAULT, congestion=kind, sack=sack, ecn="ask", timestamps=seed % 2 > 0),
    )
    other = world.host("other", "10.0.0.2/24", application=sink, config=replace(DEFAULT, sack=sack))
    there, _ = world.path(one, other, delay=20 * MILLISECOND, bandwidth=5_000_000, **faults)
    other.listen(9, 0)
    connection = one.connect("10.0.0.2", 9, 0)
    world.run(until=SECOND)
    for burst in range(10):
        try:
            connection.send(bytes(60_000), world.now)
        except TcpError:
            break
        if burst == 3:
            world.run(until=world.now + 50 * MILLISECOND)
            there.delay = 2 * SECOND
            world.run(until=world.now + 2 * SECOND)
            there.delay = 20 * MILLISECOND
        world.run(until=world.now + 2 * SECOND)
    return "".join(*kind.diaries)  # type: ignore[attr-defined]


FAULTS: dict[str, dict[str, float]] = {
    "nothing": {},
    "loss": {"loss": 0.05},
    "reordering": {"reorder": 0.05},
    "marks": {"congestion": 0.05},
    "all": {"loss": 0.02, "reorder": 0.02, "congestion": 0.02},
}
EVERY = [
    pytest.param(
        controller, sack, faults, id=f"{controller.__name__}-{'SACK' if sack else 'no SACK'}-{faults}"
    )
    for controller in (Reno, Cubic, BBR)
    for sack in (True, False)
    for faults in FAULTS
]


@pytest.mark.parametrize(("controller", "sack", "faults"), EVERY)
def test_order_of_calls(controller: type[Congestion], sack: bool, faults: str) -> None:
    for seed in range(3):
        calls = calls_over(controller, seed, sack=sack, **FAULTS[faults])
        assert calls
        held = ORDER.match(calls)
        assert held is not None
        assert held.end() == len(calls), f"{calls[: held.end()][-40:]} >>> {calls[held.end() :][:40]}"
        undoes_what_was_remembered_last(calls)


def undoes_what_was_remembered_last(calls: str) -> None:
    """No `undo` without `remember`, nor once a mark or the loss that a tail probe repaired came after it; and
    one at most.
    """
    may_undo = is_active = False
    for number, call in enumerate(calls):
        following = calls[number + 1 : number + 2]
        if call == "b":
            may_undo = True
        elif call == "m":
            may_undo = False
        elif call == "l":
            may_undo = may_undo and (is_active or following != "r" or calls[number - 1] == "b")
            is_active = True
        elif call in "rtT":
            is_active = False
        elif call == "u":
            assert may_undo, calls[: number + 1][-40:]
            may_undo = is_active = False


@pytest.mark.parametrize("sack", [True, False], ids=["SACK", "no SACK"])
def test_every_call_comes(sack: bool) -> None:
    """So the tests above see all of them."""
    seen = "".join(
        calls_over(Reno, seed, sack=sack, **faults) for seed in range(3) for faults in FAULTS.values()
    )
    assert set("xombulratsn") | set("T" if sack else "") <= set(seen)
    assert not sack or "lr" in seen
