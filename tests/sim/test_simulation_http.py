"""Programs as people have them, on computers of a world: uvicorn and starlette, httpx, over a partition, a
crash and a restart.
"""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from postel.sim import Simulation

httpx = pytest.importorskip("httpx")
uvicorn = pytest.importorskip("uvicorn")
applications = pytest.importorskip("starlette.applications")
responses = pytest.importorskip("starlette.responses")
routing = pytest.importorskip("starlette.routing")


def home(request: Any) -> Any:
    """A plain function: starlette calls it in a thread of anyio's."""
    return responses.PlainTextResponse("hello")


async def serve() -> None:
    app = applications.Starlette(routes=[routing.Route("/", home)])
    await uvicorn.Server(uvicorn.Config(app, host="0.0.0.0", port=80, log_level="error")).serve()


async def fetch(url: str) -> str:
    async with httpx.AsyncClient(trust_env=False) as client:
        while True:
            with suppress(httpx.TransportError):
                answer = await client.get(url, timeout=5)
                if answer.status_code == 200:
                    return str(answer.text)
            await asyncio.sleep(1)


async def survive(world: Simulation) -> str:
    server, client = world.host("server"), world.host("client")
    world.path(server, client, delay="10ms", jitter="2ms", loss=0.01, bandwidth="10Mbit", queue=64)
    server.run(serve)
    answer = client.run(fetch, "http://server/")
    with world.partition(server, client):
        await asyncio.sleep(60)
    server.crash()
    server.restart()
    return await answer


@pytest.mark.postel(seed=1, runs=3)
async def test_a_client_survives_a_partition_and_a_crash(world: Simulation) -> None:
    assert await survive(world) == "hello"


def test_two_runs_of_one_seed_take_the_same_time_and_packets() -> None:
    ends = []
    for _ in range(2):
        with Simulation(5).seal() as world:
            world.run(survive(world))
            ends.append((world.now, world.world.packets))
    assert ends[0] == ends[1]
