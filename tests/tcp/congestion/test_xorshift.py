"""Random numbers of the core's own, and the seeds that connections give their controllers."""

from collections import Counter
from dataclasses import replace

import pytest

from postel.congestion import BBR, Xorshift
from postel.host.host import Host
from postel.sim import World
from postel.tcp.config import DEFAULT
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, Event, Readable
from postel.times import MILLISECOND, SECOND


def rolls(seed: int, limit: int = 1000, count: int = 20) -> list[int]:
    generator = Xorshift(seed)
    return [generator.below(limit) for _ in range(count)]


@pytest.mark.parametrize("seed", [0, 1, -1, 1 << 31, 1 << 32, (1 << 64) - 1, 1 << 100])
def test_a_seed_decides_the_sequence(seed: int) -> None:
    assert rolls(seed) == rolls(seed)
    assert len(set(rolls(seed))) > 10


def test_like_seeds_have_unlike_sequences() -> None:
    assert len({tuple(rolls(seed)) for seed in range(1000)}) == 1000
    assert len({rolls(seed, 1 << 32)[0] for seed in range(1000)}) == 1000


@pytest.mark.parametrize("limit", [1, 2, 6, 1000, 1 << 32])
def test_bounds(limit: int) -> None:
    assert all(0 <= number < limit for number in rolls(7, limit, 1000))


def test_numbers_are_evenly_spread() -> None:
    counts = Counter(rolls(1, 10, 10_000))
    assert all(900 < counts[number] < 1100 for number in range(10))


def test_seeds_of_a_host_differ_and_come_again() -> None:
    def seeds(secret: bytes) -> list[int]:
        host = Host("10.0.0.1/24", secret=secret)
        found = []
        for port in range(1, 20):
            connection = host.connect("10.0.0.2", port, 0)
            found.append(connection._tcb.ensure_controller().seed)
        return found

    assert len(set(seeds(b"a secret"))) == 19
    assert seeds(b"a secret") == seeds(b"a secret")
    assert not set(seeds(b"a secret")) & set(seeds(b"another"))


@pytest.mark.soak
def test_bbr_flows_of_one_host_probe_at_different_times() -> None:
    def waits(seed: int) -> list[int]:
        def sink(connection: Connection, event: Event, now: int) -> None:
            if isinstance(event, Acceptable):
                connection.accept()
            elif isinstance(event, Readable):
                connection.receive(1 << 20, now)

        world = World(seed)
        near = world.host("near", "10.0.0.1/24", config=replace(DEFAULT, congestion=BBR))
        far = world.host("far", "10.0.0.2/24", application=sink)
        world.path(near, far, delay=5 * MILLISECOND, bandwidth=10_000_000)
        far.listen(9, 0)
        flows = [near.connect("10.0.0.2", 9, 0) for _ in range(4)]
        for _ in range(30):
            world.run(until=world.now + 100 * MILLISECOND)
            for flow in flows:
                flow.send(bytes(flow.writable), world.now)
        controllers = [flow._tcb.ensure_controller() for flow in flows]
        assert world.now == 3 * SECOND
        return [controller.probe.wait for controller in controllers if isinstance(controller, BBR)]

    assert len(set(waits(1))) == 4
    assert 0 not in waits(1)
    assert waits(1) == waits(1)
    assert waits(1) != waits(2)
