"""What a trace says of packets that a fault stopped on their way: what is drawn happened."""

import pytest

from postel.sim import World
from postel.times import MILLISECOND, SECOND
from postel.view import Observers, Trace, ladder
from postel.view.packet import Packet


def opening(world: World) -> None:
    """A client's SYN is under way to a server."""
    client, server = world.host("client"), world.host("server")
    world.path(client, server, delay="10ms")
    server.listen(7, world.now)
    client.connect("10.0.0.2", 7, world.now)
    world.run(until=MILLISECOND)


@pytest.fixture(params=["alone", "among several"])
def world_and_trace(request: pytest.FixtureRequest) -> tuple[World, Trace]:
    trace = Trace()
    world = World(observer=trace if request.param == "alone" else Observers(trace))
    opening(world)
    return world, trace


def first(trace: Trace) -> Packet:
    return trace.packets[0]


def test_what_a_partition_loses_under_way_is_drawn_as_lost(world_and_trace: tuple[World, Trace]) -> None:
    world, trace = world_and_trace
    with world.partition("client", "server"):
        world.run(until=500 * MILLISECOND)
    world.run(until=5 * SECOND)
    assert [(packet.lost, packet.is_under_way) for packet in trace.packets] == [("partition", False)] + [
        ("", False)
    ] * 3
    assert "partition" in ladder.render(trace)


def test_what_reaches_a_host_that_is_down_is_drawn_as_lost(world_and_trace: tuple[World, Trace]) -> None:
    world, trace = world_and_trace
    world.crash("server")
    world.run(until=500 * MILLISECOND)
    assert [packet.lost for packet in trace.packets] == ["host is down"]
    assert "host is down" in ladder.render(trace)


def test_what_is_held_arrives_when_it_does(world_and_trace: tuple[World, Trace]) -> None:
    world, trace = world_and_trace
    with world.hold("client"):
        world.run(until=500 * MILLISECOND)
        assert first(trace).is_under_way
        assert "under way" in ladder.render(trace)
    assert first(trace).due_at == 500 * MILLISECOND
    world.run(until=SECOND)
    assert first(trace).arrived_at == 500 * MILLISECOND
    assert not first(trace).is_under_way


def test_what_was_dropped_by_hand_says_so(world_and_trace: tuple[World, Trace]) -> None:
    world, trace = world_and_trace
    world.in_flight()[0].drop()
    assert "dropped by hand" in ladder.render(trace)
