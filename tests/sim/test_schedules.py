"""Schedules of faults: drawn from a seed, replayed, and what they do to computers with software."""

import asyncio
from random import Random
from typing import Any

import pytest

from postel.errors import ArgumentError
from postel.sim import Fault
from postel.sim.faults import KINDS
from postel.sim.schedules import BETWEEN, draw
from postel.sim.simulation import Simulation
from postel.times import MILLISECOND, MINUTE, SECOND

NAMES = ["a", "b", "c"]


def drawn(seed: int, **options: Any) -> list[Fault]:
    return draw(Random(seed), NAMES, **options)


@pytest.mark.parametrize("seed", range(50))
def test_what_is_drawn_keeps_to_what_was_asked_for(seed: int) -> None:
    found = drawn(seed, count=4, within="3s", longest="2s", kinds=KINDS)
    assert 1 <= len(found) <= 4
    assert [fault.at for fault in found] == sorted(fault.at for fault in found)
    for fault in found:
        assert 0 <= fault.at <= 3 * SECOND
        assert MILLISECOND <= fault.length <= 2 * SECOND
        assert bool(set(fault.hosts) & set(fault.others)) is False
        assert fault.both or fault.kind in BETWEEN
        assert Fault.parse(str(fault)) == fault


def test_every_kind_is_drawn_and_every_host() -> None:
    found = [fault for seed in range(200) for fault in drawn(seed, kinds=KINDS)]
    assert {fault.kind for fault in found} == set(KINDS)
    assert {name for fault in found for name in fault.hosts} == set(NAMES)
    assert {fault.both for fault in found if fault.kind == "partition"} == {True, False}


def test_the_same_seed_draws_the_same() -> None:
    assert drawn(5) == drawn(5)
    assert len({tuple(drawn(seed)) for seed in range(50)}) > 45


@pytest.mark.parametrize(
    "options",
    [
        {"count": 0},
        {"within": -1},
        {"longest": 0},
        {"longest": "often"},
        {"kinds": []},
        {"kinds": ["earthquake"]},
    ],
)
def test_what_can_t_be_drawn(options: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        drawn(1, **options)


@pytest.mark.parametrize("hosts", [[], ["a"], ["a", "a"]])
def test_a_partition_needs_two_hosts(hosts: list[str]) -> None:
    with pytest.raises(ArgumentError, match="hosts"):
        draw(Random(1), hosts, kinds=["partition"])


# In a simulation


def test_a_crash_strikes_the_software_and_a_restart_starts_it_again() -> None:
    moments: list[float] = []

    async def tick() -> None:
        while True:
            moments.append(asyncio.get_running_loop().time())
            await asyncio.sleep(1)

    with Simulation() as world:
        world.host("a").run(tick)
        world.apply([Fault("crash", "a", at="2.5s", length="5s")])
        world.run(asyncio.sleep(10))
        assert [round(moment, 1) for moment in moments] == [0.0, 1.0, 2.0, 7.5, 8.5, 9.5]
        assert world.scheduled == [Fault("crash", "a", at="2.5s", length="5s")]


def test_a_pause_holds_the_software_and_what_arrives() -> None:
    times: list[float] = []

    async def serve() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(1))
            writer.close()

        async with await asyncio.start_server(answer, port=7) as server:
            await server.serve_forever()

    async def ask() -> None:
        await asyncio.sleep(3)
        reader, writer = await asyncio.open_connection("a", 7)
        writer.write(b"x")
        await reader.readexactly(1)
        times.append(asyncio.get_running_loop().time())
        writer.close()

    with Simulation() as world:
        a, b = world.host("a"), world.host("b")
        world.path(a, b)
        a.run(serve)
        world.apply([Fault("pause", "a", at="2s", length="5s")])
        world.run(_result(b.run(ask)))
    assert 7 < times[0] < 8


async def _result(program: Any) -> Any:
    return await program


def test_a_clock_jumps() -> None:
    with Simulation() as world:
        computer = world.host("a")
        world.apply([Fault("clock", "a", at="2s", settings={"by": "1m"})])
        world.run(asyncio.sleep(3))
        assert computer.clock.offset == MINUTE


def test_random_faults_are_the_seed_s_and_a_replay_takes_their_place() -> None:
    def scheduled(seed: int, replay: list[Fault] | None = None) -> list[Fault]:
        with Simulation(seed) as world:
            for name in NAMES:
                world.host(name)
            world.replay = replay
            found = world.random_faults(longest="1s")
            world.run(asyncio.sleep(20))
            assert found == world.scheduled
            return found

    assert scheduled(3) == scheduled(3)
    assert scheduled(3) != scheduled(4)
    chosen = [Fault("crash", "b", at="1s", length="1s")]
    assert scheduled(3, chosen) == chosen
    assert scheduled(3, []) == []


def test_faults_of_hosts_that_are_not_there_are_refused() -> None:
    with Simulation() as world:
        world.host("a")
        with pytest.raises(ArgumentError, match="nobody"):
            world.apply([Fault("crash", "nobody")])
        with pytest.raises(ArgumentError, match="hosts"):
            world.random_faults()
