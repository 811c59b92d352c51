"""A test to search: two computers that greet each other, and a crash that lasts too long."""

from pathlib import Path

TOY = '''
import asyncio
import os

import pytest

NAMES = ["alice", "bob"]


async def greet(reader, writer):
    writer.write(await reader.readline())
    writer.close()


async def serve():
    async with await asyncio.start_server(greet, port=7) as server:
        await server.serve_forever()


async def ask():
    reader, writer = await asyncio.open_connection("bob", 7)
    writer.write(b"hello\\n")
    assert await reader.readline() == b"hello\\n"
    writer.close()


@pytest.fixture
def ends():
    yield 1
    assert True


async def test_greeting(world, ends):
    """Fails where bob is down for 200 ms or more in the first second."""
    print("said by the test")
    alice, bob = world.host("alice"), world.host("bob")
    world.path(alice, bob)
    bob.run(serve)
    await alice.run(ask)
    faults = world.random_faults(NAMES, within="3s", longest="2s")
    crashes = [fault for fault in faults if fault.kind == "crash" and fault.hosts == ("bob",)]
    await asyncio.sleep(6)
    assert not [fault for fault in crashes if fault.length >= 200_000], "bob was down"


async def test_quiet(world):
    world.host("alice")


async def test_ends_its_process(world):
    if world.seed == 3:
        os._exit(4)


async def test_skips(world):
    pytest.skip("not on Mondays")


@pytest.mark.xfail
async def test_known_to_fail(world):
    assert world.seed != 2


def test_without_a_world():
    pass


@pytest.mark.parametrize("number", [1, 2])
async def test_several(world, number):
    pass


@pytest.mark.postel(runs=5)
async def test_with_runs(world):
    assert world.seed != 2


def test_that_is_no_coroutine(world):
    assert world.seed != 2


class TestInside:
    async def test_method(self, world):
        assert world.seed != 2
'''


def toy(folder: Path) -> str:
    """The path of the file, written in ``folder``."""
    path = folder / "test_toy.py"
    path.write_text(TOY)
    return str(path)
