"""The strategy for schedules of faults: what it draws, what a failure shrinks to, and a simulation for each
example.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import find, given, settings
from hypothesis.errors import NoSuchExample

from postel.errors import ArgumentError
from postel.sim import Fault
from postel.sim.faults import KINDS
from postel.sim.schedules import BETWEEN
from postel.sim.simulation import Simulation
from postel.testing.faults import faults
from postel.times import MILLISECOND, SECOND

NAMES = ["client", "server", "spare"]
QUIET = settings(database=None, derandomize=True, max_examples=2000)


@given(faults(NAMES, count=4, within="3s", longest="2s", kinds=KINDS))
def test_what_is_drawn_keeps_to_what_was_asked_for(schedule: list[Fault]) -> None:
    assert len(schedule) <= 4
    for fault in schedule:
        assert 0 <= fault.at <= 3 * SECOND
        assert MILLISECOND <= fault.length <= 2 * SECOND
        assert fault.hosts != fault.others
        assert {*fault.hosts, *fault.others} <= set(NAMES)
        assert Fault.parse(str(fault)) == fault


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_shrinks_to_one_fault_that_is_short_and_early(kind: Any) -> None:
    def fails(schedule: list[Fault]) -> bool:
        return any(
            fault.kind == kind
            and "server" in fault.hosts
            and fault.length >= 1_234_000
            and fault.at >= 70_000
            for fault in schedule
        )

    (fault,) = find(faults(NAMES, kinds=[kind, "crash"]), fails, settings=QUIET)
    assert (fault.kind, fault.hosts, fault.at, fault.length) == (kind, ("server",), 70_000, 1_234_000)
    assert not fault.both or kind not in BETWEEN


def test_two_faults_where_it_takes_two() -> None:
    def fails(schedule: list[Fault]) -> bool:
        return {"crash", "pause"} <= {fault.kind for fault in schedule}

    found = find(faults(NAMES, kinds=KINDS), fails, settings=QUIET)
    assert {str(fault) for fault in found} == {"crash client at 0s for 1ms", "pause client at 0s for 1ms"}


@pytest.mark.parametrize("options", [{"count": 0}, {"longest": 0}, {"kinds": []}, {"within": "often"}])
def test_what_can_t_be_drawn(options: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        faults(NAMES, **options)


def test_one_host_has_no_partition() -> None:
    with pytest.raises(ArgumentError, match="hosts"):
        faults(["alone"])


# A simulation for each example


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write((await reader.readuntil()).upper())
    writer.close()


async def serve() -> None:
    async with await asyncio.start_server(shout, port=7) as server:
        await server.serve_forever()


async def ask() -> bytes:
    reader, writer = await asyncio.open_connection("server", 7)
    writer.write(b"hello\n")
    answer = await reader.read()
    writer.close()
    return answer


def asked(schedule: list[Fault], patience: float) -> bytes:
    with Simulation(seed=1) as world:
        server, client = world.host("server"), world.host("client")
        world.path(server, client)
        server.run(serve)
        world.apply(schedule)

        async def main() -> bytes:
            return await asyncio.wait_for(client.run(ask), patience)

        return world.run(main())


@given(faults(["client", "server"], kinds=["partition", "hold"], longest="5s"))
@settings(max_examples=30)
def test_an_answer_comes_through_any_short_partition(schedule: list[Fault]) -> None:
    assert asked(schedule, 120) == b"HELLO\n"


def is_late(patience: float) -> Callable[[list[Fault]], bool]:
    def fails(schedule: list[Fault]) -> bool:
        try:
            asked(schedule, patience)
        except TimeoutError:
            return True
        return False

    return fails


def test_the_shortest_partition_that_costs_a_second() -> None:
    """The SYN is lost, and sent again after a second (RFC 6298, 2.1)."""
    found = find(
        faults(["client", "server"], kinds=["partition"], longest="3s"), is_late(0.9), settings=QUIET
    )
    assert list(map(str, found)) == ["partition client -> server at 0s for 1ms"]


def test_no_schedule_is_too_much_for_a_patient_client() -> None:
    with pytest.raises(NoSuchExample):
        find(
            faults(["client", "server"], kinds=["partition"], longest="1s"),
            is_late(60),
            settings=settings(QUIET, max_examples=30),
        )
