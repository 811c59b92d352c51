"""Goodput over a simulated path, in virtual time: ``python -m bench.goodput``. Needs no root and no quiet
machine.

The same seed gives the same figures everywhere. A transfer begins when the connection is open, and ends when
its last octet has arrived; faults meet packets with text alone.
"""

import argparse
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from postel.congestion import Congestion, registered
from postel.sim import DROP, Rule, Subject, Verdict, World
from postel.sim.units import QueueLimit
from postel.tcp.config import DEFAULT, MEBIBYTE
from postel.tcp.congestion.registry import controller_of
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, Event, Opened, Readable, Writable
from postel.times import MILLISECOND, SECOND

CONTROLLERS: Final = ("reno", "cubic", "bbr")
LOSSES: Final = (0.0, 0.001, 0.01, 0.03, 0.1)
ROUND_TRIPS: Final = (MILLISECOND, 20 * MILLISECOND, 100 * MILLISECOND)
BANDWIDTH: Final = 20_000_000  # bits a second
QUEUE: Final = "128KiB"
LONGEST: Final = 3600 * SECOND
SMALL: Final = 200  # octets: packets without text
BLOCK: Final = bytes(64 * 1024)

Drops = Callable[[int], bool]  # of the number of a packet with text, from 0


@dataclass(frozen=True)
class Conditions:
    """Of a path, there and back. ``tail`` loses the last two segments once; ``burst`` loses 20 of every 500
    packets in a row.
    """

    round_trip: int = 20 * MILLISECOND
    loss: float = 0.0
    reorder: float = 0.0
    tail: bool = False
    burst: bool = False
    every: int = 0  # each so many-th is lost
    acknowledge_every: int = 2
    bandwidth: int = BANDWIDTH
    queue: QueueLimit = QUEUE


class Flow:
    """One transfer of ``octets`` from ``begins`` on. ``arrived`` counts; ``began`` and ``ended`` are
    times.
    """

    def __init__(self, transfer: "Transfer", octets: int, begins: int) -> None:
        self.transfer = transfer
        self.left = octets
        self.octets = octets
        self.arrived = 0
        self.began = self.ended = 0
        self.connection: Connection | None = None
        transfer.world.at(begins, self.connect)

    def connect(self) -> None:
        transfer = self.transfer
        self.connection = transfer.near.connect("10.0.0.2", 9, transfer.world.now)
        transfer.flows[self.connection.local.port] = self

    def write(self, now: int) -> None:
        assert self.connection is not None
        while self.left:
            sent = self.connection.send(BLOCK[: self.left], now)
            self.left -= sent
            if not sent:
                return

    @property
    def goodput(self) -> float:
        """Mbit/s."""
        return self.arrived * 8 / max(1, self.ended - self.began)


class Transfer:
    """Two hosts and a path between them; a `Flow` goes from one to the other."""

    def __init__(
        self, controller: str | type[Congestion], conditions: Conditions, *, sack: bool = True, seed: int = 1
    ) -> None:
        self.world = World(seed)
        config = replace(
            DEFAULT,
            congestion=controller,
            sack=sack,
            acknowledge_every=conditions.acknowledge_every,
            send_buffer=4 * MEBIBYTE,
            receive_buffer=4 * MEBIBYTE,
        )
        self.near = self.world.host("near", "10.0.0.1/24", config=config, application=self.sends)
        self.far = self.world.host("far", "10.0.0.2/24", config=config, application=self.receives)
        self.conditions = conditions
        self.there, self.back = self.world.path(
            self.near,
            self.far,
            delay=conditions.round_trip // 2,
            bandwidth=conditions.bandwidth,
            queue=conditions.queue,
        )
        self.far.listen(9, 0)
        self.flows: dict[int, Flow] = {}

    def sends(self, subject: Subject, event: Event, now: int) -> None:
        assert isinstance(subject, Connection)
        flow = self.flows[subject.local.port]
        if isinstance(event, Opened):
            flow.began = now
            self.there.loss = self.conditions.loss
            self.there.reorder, self.there.hold = self.conditions.reorder, self.conditions.round_trip // 4
            self.world.rules = [rule(drops) for drops in self.drops(flow.octets // subject.mss)]
        if isinstance(event, (Opened, Writable)):
            flow.write(now)

    def receives(self, subject: Subject, event: Event, now: int) -> None:
        if isinstance(event, Acceptable):
            subject.accept()  # type: ignore[union-attr]
        elif isinstance(event, Readable):
            assert isinstance(subject, Connection)
            flow = self.flows[subject.remote.port]
            flow.arrived += len(subject.receive(MEBIBYTE, now))
            flow.ended = now

    def drops(self, segments: int) -> list[Drops]:
        conditions, found = self.conditions, []
        if conditions.tail:
            found.append(lambda number: segments - 2 <= number < segments)
        if conditions.burst:
            found.append(lambda number: number % 500 in range(100, 120))
        if conditions.every:
            found.append(lambda number: number % conditions.every == conditions.every - 1)
        return found

    def run(self, octets: int) -> Flow:
        """Until all has arrived."""
        flow = Flow(self, octets, 0)
        self.world.run(LONGEST, stop=lambda: flow.arrived == octets)
        return flow


def rule(drops: Drops) -> Rule:
    count = -1

    def judge(_number: int, octets: bytes, sender: str, _now: int) -> Verdict | None:
        nonlocal count
        if sender != "near" or len(octets) <= SMALL:
            return None
        count += 1
        return DROP if drops(count) else None

    return judge


def goodput(
    controller: str | type[Congestion], conditions: Conditions, octets: int, *, sack: bool, seeds: int = 1
) -> float:
    """Mbit/s, the mean of as many transfers; 0 for one that doesn't end."""
    flows = [
        Transfer(controller, conditions, sack=sack, seed=seed).run(octets) for seed in range(1, seeds + 1)
    ]
    return statistics.mean(flow.goodput if flow.arrived == octets else 0.0 for flow in flows)


def rows(octets: int) -> list[tuple[str, Conditions, int]]:
    """What, where, and how many octets. One that tests the tail is short: 30 segments."""
    grid = [
        (f"{loss:>4.1%} lost   {round_trip // MILLISECOND:>3} ms", Conditions(round_trip, loss), octets)
        for loss in LOSSES
        for round_trip in ROUND_TRIPS
    ]
    return [
        *grid,
        ("2 % overtaken  20 ms", Conditions(reorder=0.02), octets),
        ("tail lost      20 ms", Conditions(tail=True), 30 * 1448),
        ("bursts lost    20 ms", Conditions(burst=True), octets),
    ]


def table(octets: int, seeds: int = 1, controllers: Sequence[str] = CONTROLLERS) -> str:
    """One row for each path, a column for each controller, with SACK and without."""
    names = "".join(f"{controller_of(controller).__name__:>8}" for controller in controllers)
    lines = [
        (
            f"Goodput in Mbit/s: {octets:,} octets over {BANDWIDTH // 1_000_000} Mbit/s, a queue of "
            f"{QUEUE.replace('K', ' K')}, seeds 1 to {seeds}"
        ),
        "",
        f"{'':20}  {'SACK':>{len(names)}}  {'no SACK':>{len(names)}}",
        f"{'':20}  {names}  {names}",
    ]
    for title, conditions, length in rows(octets):
        cells = [
            "".join(
                f"{goodput(controller, conditions, length, sack=sack, seeds=seeds):8.2f}"
                for controller in controllers
            )
            for sack in (True, False)
        ]
        lines.append(f"{title:20}  {'  '.join(cells)}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.goodput", description=__doc__.split("\n")[0] if __doc__ else None
    )
    parser.add_argument(
        "--octets", type=int, default=10_000_000, help="of each transfer (default: 10,000,000)"
    )
    parser.add_argument(
        "--seeds", type=int, default=3, help="transfers of each kind, of which the mean is told (default: 3)"
    )
    parser.add_argument(
        "--congestion",
        metavar="NAME",
        nargs="+",
        choices=registered(),
        default=CONTROLLERS,
        help="default: all three",
    )
    chosen = parser.parse_args()
    print(table(chosen.octets, chosen.seeds, chosen.congestion), end="")


if __name__ == "__main__":
    main()
