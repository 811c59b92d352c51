"""The example links keep the contract, and the toy Ethernet resolves addresses in real and in virtual
time.
"""

import asyncio
import importlib.util
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from postel import Endpoint, Host
from postel.sim import World
from postel.sim.loop import run
from postel.testing import check_link
from postel.times import SECOND
from postel.wire.address import parse

EXAMPLES = Path(__file__).parents[2] / "examples"


def loaded(name: str) -> Any:
    found = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


link, ethernet = loaded("link"), loaded("ethernet")
IS_ARP = ethernet.ARP


def tunnel() -> tuple[Any, Any]:
    near, far = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
    near.bind(("127.0.0.1", 0))
    far.connect(near.getsockname())
    near.connect(far.getsockname())
    return link.UdpTunnel(near), link.UdpTunnel(far)


def ports() -> tuple[Any, Any]:
    wire = ethernet.Wire()
    return ethernet.Ethernet(wire, bytes([2, 0, 0, 0, 0, 1])), ethernet.Ethernet(
        wire, bytes([2, 0, 0, 0, 0, 2])
    )


def test_the_tunnel_keeps_the_contract() -> None:
    check_link(tunnel, counts_losses=False)  # a socket's buffer loses them uncounted


def test_the_ethernet_keeps_the_contract() -> None:
    check_link(ports)


def losing(*numbers: int) -> Callable[[bytes], bool]:
    """Loses the ARP frames with these numbers, from 1."""
    seen: list[bytes] = []

    def loses(frame: bytes) -> bool:
        if frame[12:14] != IS_ARP:
            return False
        seen.append(frame)
        return len(seen) in numbers

    return loses


@pytest.mark.parametrize("lost", [(), (1,), (1, 2), (2,)], ids=str)
def test_hosts_talk_through_a_router_though_requests_and_replies_are_lost(lost: tuple[int, ...]) -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await ethernet.ask(losing(*lost)) == "hello from behind the router"
        return loop.time() - began

    took = run(main(), World())
    assert took >= len(lost)  # seconds, one for each request more


def test_hosts_talk_in_real_time() -> None:
    assert asyncio.run(ethernet.ask()) == "hello from behind the router"


def attached(loses: Callable[[bytes], bool]) -> tuple[World, Any, Host, Any, Host]:
    world = World(seed=1)
    (near, left), (far, right), wire = ethernet.network(loses)
    world.attach(near, left)
    world.attach(far, right)
    return world, left, near, wire, far


def test_in_a_world_requests_go_again_by_the_links_timer() -> None:
    world, _, near, wire, far = attached(losing(1, 2))
    far.listen(80, world.now)
    connection = near.connect("10.0.2.2", 80, world.now)
    connection.send(b"hello", world.now)
    world.run(until=10 * SECOND)
    assert str(connection.state) == "ESTABLISHED"
    assert connection.unacknowledged == 0
    requests = [frame for frame in wire.frames if frame[12:14] == IS_ARP and frame[20:22] == b"\0\1"]
    assert len(requests) == 3
    # The router's address, not the destination's
    assert {frame[38:42] for frame in requests} == {parse("10.0.1.1")}


def test_a_neighbour_that_is_silent_is_given_up_and_its_packets_are_counted() -> None:
    world, left, near, wire, _ = attached(lambda _frame: True)
    socket_ = near.datagrams(9)
    for number in range(5):
        socket_.send(bytes([number]), world.now, remote=Endpoint(parse("10.0.1.77"), 9))
    world.run(until=60 * SECOND)
    assert len([frame for frame in wire.frames if frame[12:14] == IS_ARP]) == ethernet.MOST_REQUESTS
    assert left.statistics() == {"lost": 5}


def test_only_a_few_packets_wait_for_a_neighbour() -> None:
    near, far = ports()
    near.attached(Host("10.0.0.1/24").routes)
    far.attached(Host("10.0.0.2/24").routes)
    hop = parse("10.0.0.2")
    for number in range(10):
        near.send(bytes([number]) * 40, hop, 0)
    assert near.statistics() == {"lost": 7}
    assert far.receive(0) is None  # answers the request
    assert near.receive(0) is None  # and so the packets leave
    assert [(far.receive(0) or b"?")[0] for _ in range(4)] == [7, 8, 9, ord("?")]
    assert near.next_timeout() == ethernet.LIFETIME
