"""Hosts that restart, a stand-in in front of one, and old duplicates."""

import pytest

from postel.errors import ArgumentError
from postel.host.host import Host
from postel.sim import StandIn, World, deciding, dropping, echo
from postel.tcp.state import ESTABLISHED
from postel.times import MILLISECOND, SECOND
from postel.view import Trace


def pair(trace: Trace | None = None) -> tuple[World, Host, Host]:
    world = World(observer=trace)
    near, far = world.host("near", "10.0.0.1/24"), world.host("far", "10.0.0.2/24")
    world.path(near, far)
    far.listen(9, world.now)
    return world, near, far


class Deaf(StandIn):
    """Passes on everything but what arrives."""

    heard = 0

    def packet_arrives(self, octets: bytes, now: int) -> None:
        self.heard += 1


def test_a_stand_in_is_called_in_the_place_of_its_host() -> None:
    world, near, far = pair()
    deaf = Deaf(far)
    world.front(far, deaf)
    connection = near.connect("10.0.0.2", 9, world.now)
    world.run(3 * SECOND + 20 * MILLISECOND)
    assert connection.state is not ESTABLISHED
    assert (deaf.heard, far.statistics()["packets_arrived"]) == (3, 0)


def test_a_host_that_restarts_knows_of_nothing_and_is_found_in_its_place() -> None:
    world, near, far = pair()
    connection = near.connect("10.0.0.2", 9, world.now)
    world.run(SECOND)
    again = world.restart(far)
    assert world.name(again) == "far"
    assert list(again.connections()) == []
    connection.send(b"are you there?", world.now)
    world.run(2 * SECOND)
    assert connection.error is not None
    assert again.statistics()["dropped_no_connection"] == 1
    with pytest.raises(ArgumentError):
        world.name(far)


def test_what_a_restarted_host_left_to_be_done_is_not_done() -> None:
    world, near, far = pair()
    world.rules.append(dropping(2, 3, 4))
    near.connect("10.0.0.2", 9, world.now)
    world.run(500 * MILLISECOND)  # the SYN,ACK is lost, and timers run at both ends
    world.restart(far)
    world.restart(near)
    world.run(10 * SECOND)
    assert world.packets == 2


def test_an_echo_comes_as_the_path_has_it_and_once_more() -> None:
    trace = Trace()
    world, near, _ = pair(trace)
    world.rules.append(deciding({1: echo(300 * MILLISECOND)}))
    near.connect("10.0.0.2", 9, world.now)
    world.run(SECOND)
    syns = [packet.arrived_at for packet in trace.packets if packet.number == 1]
    assert syns == [10 * MILLISECOND, 300 * MILLISECOND]


def test_an_echo_comes_even_where_the_packet_itself_is_lost() -> None:
    trace = Trace()
    world, near, far = pair(trace)
    world.path(near, far, loss=1.0)
    world.rules.append(deciding({1: echo(300 * MILLISECOND)}))
    near.connect("10.0.0.2", 9, world.now)
    world.run(500 * MILLISECOND)
    assert far.statistics()["packets_arrived"] == 1


def test_an_echo_before_the_packet_left() -> None:
    with pytest.raises(ArgumentError, match="0 microseconds or more"):
        echo(-1)
