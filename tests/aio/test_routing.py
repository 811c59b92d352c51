"""Loops that send their network calls over Postel: programs that know asyncio alone run on them."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from postel import aio
from postel.errors import CallError
from postel.host.host import Host
from postel.links import pair
from postel.sim import World
from postel.sim.loop import run

FAR = "10.7.0.2"


async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write((await reader.read(100)).upper())
    writer.close()


async def ask(address: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(address, port)
    writer.write(b"who")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def on_a_loop(main: Callable[[Any], Coroutine[Any, Any, Any]], *, debug: bool = True) -> Any:
    """Run ``main`` on a loop of the near host; the far host is a network on the same loop, which ``main``
    gets.
    """
    left, right = pair()
    near, far = Host("10.7.0.1/24", "fd07::1/64"), Host("10.7.0.2/24", "fd07::2/64")

    async def both() -> Any:
        async with aio.attach(far, right) as network:
            return await main(network)

    with asyncio.Runner(loop_factory=aio.loop_factory(near, left), debug=debug) as runner:
        return runner.run(asyncio.wait_for(both(), 30))


@pytest.mark.parametrize("debug", [False, True])
def test_a_program_that_knows_asyncio_alone_runs_between_two_hosts(debug: bool) -> None:
    async def main(far: aio.Network) -> bytes:
        async with far.as_default():
            server = await asyncio.start_server(upper, FAR, 80)
        assert server.sockets[0].getsockname() == (FAR, 80)
        return await ask(FAR, 80)

    assert on_a_loop(main, debug=debug) == b"WHO"


def test_the_tasks_of_a_server_belong_to_its_host() -> None:
    async def main(far: aio.Network) -> bool:
        seen: list[aio.Network | None] = []

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(aio.current.get())
            await upper(reader, writer)

        async with far.as_default():
            await asyncio.start_server(handler, FAR, 80)
        await ask(FAR, 80)
        return seen == [far]

    assert on_a_loop(main)


def test_the_default_of_a_task_ends_with_its_block() -> None:
    async def main(far: aio.Network) -> None:
        loop: Any = asyncio.get_running_loop()
        async with far.as_default():
            assert loop.network_here() is far
        assert loop.network_here() is loop.own_network

    on_a_loop(main)


async def test_a_loop_that_does_not_route_says_what_to_do(networks: Callable[..., Any]) -> None:
    async with networks() as both:
        with pytest.raises(CallError, match="loop_factory"):
            async with both.near.as_default():
                pass


@pytest.mark.parametrize(
    "call",
    [
        lambda: asyncio.open_connection("127.0.0.1", 1),
        lambda: asyncio.start_server(upper, "127.0.0.1", 0),
        lambda: asyncio.get_running_loop().getaddrinfo("127.0.0.1", 1),
        lambda: asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, ("127.0.0.1", 0)
        ),
    ],
    ids=["open_connection", "start_server", "getaddrinfo", "datagrams"],
)
def test_a_call_without_a_host_is_refused_in_a_world_and_says_what_to_do(
    call: Callable[[], Coroutine[Any, Any, Any]],
) -> None:
    async def main(advice: str) -> None:
        with pytest.raises(CallError, match=advice):
            await call()

    run(main("computer of the simulation"), World(seed=1))
    with asyncio.Runner(loop_factory=aio.Loop) as runner:
        runner.run(main("loop_factory"))


def test_programs_run_in_virtual_time() -> None:
    world = World(seed=1)
    client, server = world.host("client", "10.0.0.1/24"), world.host("server", "10.0.0.2/24")
    world.path(client, server)

    async def main() -> bytes:
        loop: Any = asyncio.get_running_loop()
        async with loop.attach(server) as far, loop.attach(client) as near:
            async with far.as_default():
                await asyncio.start_server(upper, "10.0.0.2", 80)
            async with near.as_default():
                return await ask("10.0.0.2", 80)

    assert run(main(), world) == b"WHO"


def test_sockets_of_the_machine_are_refused_in_a_world() -> None:
    ours, theirs = socket.socketpair()
    calls: list[Callable[[Any], Any]] = [
        lambda loop: loop.sock_recv(ours, 1),
        lambda loop: loop.sock_sendall(ours, b"x"),
        lambda loop: loop.create_connection(asyncio.Protocol, sock=ours),
        lambda loop: loop.connect_accepted_socket(asyncio.Protocol, ours),
    ]

    async def main() -> None:
        for call in calls:
            with pytest.raises(CallError, match="virtual time"):
                await call(asyncio.get_running_loop())

    run(main(), World(seed=1))
    ours.close()
    theirs.close()
