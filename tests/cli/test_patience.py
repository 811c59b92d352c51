"""`postel serve` and its peers' pace, in virtual time: how long it waits, whom it turns away, and how it ends."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from postel.aio import Network
from postel.cli.http.files import Site
from postel.cli.http.limits import Limits
from postel.cli.http.server import Server
from postel.errors import ConnectionReset
from postel.sim import World
from postel.sim.loop import Loop, run
from postel.tcp.config import DEFAULT, Config
from postel.times import MILLISECOND

T = TypeVar("T")
SERVER = "10.0.0.80"
CONTENT = bytes(range(256)) * 2000  # 512,000 octets: longer than what is read at once
SHORT = CONTENT[:100_000]
SMALL = replace(DEFAULT, nagle=False, receive_buffer=4096)
GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n%s\r\n"
CLOSE = b"Connection: close\r\n"


class Scene:
    """A server of a directory, and a client's network, 20 ms apart."""

    def __init__(self, root: Path, limits: Limits) -> None:
        (root / "long").write_bytes(CONTENT)
        (root / "short").write_bytes(SHORT)
        self.lines: list[str] = []
        self.server = Server(Site(root), log=self.lines.append, limits=limits, waits=False)
        self.client: Network
        self._loop: Loop

    def run(self, use: Callable[["Scene"], Awaitable[T]]) -> T:
        world = World(1)
        near, far = world.host("client", "10.0.0.1/24"), world.host("server", f"{SERVER}/24")
        world.path(near, far, delay=10 * MILLISECOND)

        async def main() -> T:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, Loop)
            self._loop = loop
            async with loop.attach(far) as web, loop.attach(near) as self.client:
                await web.start_server(self.server.converse, port=80, limit=Server.LONGEST_HEAD)
                return await use(self)

        return run(main(), world)

    def time(self) -> float:
        return self._loop.time()

    async def connect(self, config: Config | None = None, limit: int = 1 << 16) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await self.client.open_connection(SERVER, 80, config=config, limit=limit)

    async def ask(self, octets: bytes, config: Config | None = None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await self.connect(config, limit=1000)
        writer.write(octets)
        return reader, writer


@pytest.fixture
def stage(tmp_path: Path) -> Callable[..., Scene]:
    return lambda **limits: Scene(tmp_path, Limits(**limits))


async def read_slowly(reader: asyncio.StreamReader, rate: int, most: int) -> bytes:
    """As many octets a second, until the end or so many."""
    got = b""
    while len(got) < most and (octets := await reader.read(rate)):
        got += octets
        await asyncio.sleep(1)
    return got


async def read_all(reader: asyncio.StreamReader) -> None:
    while await reader.read(1 << 20):
        pass


@pytest.mark.parametrize("file", ["short", "long"])
@pytest.mark.parametrize("more", [b"", CLOSE])
@pytest.mark.parametrize("rate", [700, 1448, 5000])
def test_a_slow_reader_gets_all_of_it_however_long_it_takes(stage: Callable[..., Scene], file: str, more: bytes, rate: int) -> None:
    async def use(scene: Scene) -> bytes:
        reader, writer = await scene.ask(GET % (file.encode(), more), SMALL)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 OK" in head
        wanted = SHORT if file == "short" else CONTENT
        body = await read_slowly(reader, rate, len(wanted))
        assert body == wanted
        end = await reader.read()  # FIN, at once or after the idle time; a reset would raise
        writer.close()
        return end

    scene = stage(idle=10, send=10)
    assert scene.run(use) == b""
    assert scene.server.counters.aborted == 0


@pytest.mark.parametrize("file", ["short", "long"])
@pytest.mark.parametrize("more", [b"", CLOSE])
def test_a_reader_that_reads_nothing_is_given_up(stage: Callable[..., Scene], file: str, more: bytes) -> None:
    async def use(scene: Scene) -> None:
        reader, writer = await scene.ask(GET % (file.encode(), more), SMALL)
        await asyncio.sleep(8)
        assert scene.server.counters.open == 1
        await asyncio.sleep(8)
        assert scene.server.counters.open == 0
        with pytest.raises(ConnectionReset):
            await read_all(reader)
        writer.close()

    scene = stage(send=10)
    scene.run(use)
    assert (scene.server.counters.stalled, scene.server.counters.aborted) == (1, 1)


def test_a_reader_that_pauses_for_less_than_the_limit_is_not_given_up(stage: Callable[..., Scene]) -> None:
    async def use(scene: Scene) -> None:
        reader, writer = await scene.ask(GET % (b"short", CLOSE), SMALL)
        got = b""
        while octets := await reader.read(20_000):
            got += octets
            await asyncio.sleep(8)
        assert got.endswith(SHORT)
        writer.close()

    stage(send=10, idle=1).run(use)


def test_the_idle_clock_starts_when_the_last_octet_is_acknowledged_and_ends_with_fin(stage: Callable[..., Scene]) -> None:
    async def use(scene: Scene) -> tuple[float, float]:
        reader, writer = await scene.ask(GET % (b"short", b""), SMALL)
        await reader.readuntil(b"\r\n\r\n")
        assert await read_slowly(reader, 5000, len(SHORT)) == SHORT
        begun = scene.time()
        assert await reader.read() == b""
        first = scene.time() - begun
        writer.close()
        reader, writer = await scene.connect()
        begun = scene.time()
        assert await reader.read() == b""
        writer.close()
        return first, scene.time() - begun

    scene = stage(idle=7)
    first, unasked = scene.run(use)
    assert 5 <= first <= 9
    assert 7 <= unasked <= 7.1
    assert (scene.server.counters.idle, scene.server.counters.aborted, scene.lines) == (2, 0, scene.lines[:1])


@pytest.mark.parametrize(
    "octets",
    [b"GET / HTTP/1.1\r\nHost: x\r\n", b"GET / HT", b"G", b"\r\n", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\nabc"],
)
def test_a_request_that_trickles_in_is_answered_with_408(stage: Callable[..., Scene], octets: bytes) -> None:
    async def use(scene: Scene) -> bytes:
        reader, writer = await scene.connect()
        writer.write(octets)
        begun = scene.time()
        answering = asyncio.ensure_future(reader.read())
        while not answering.done():
            writer.write(b"X-a: b\r\n" if octets[-1:] == b"\n" and octets != b"\r\n" else b"\r\n" if octets == b"\r\n" else b"x")
            await asyncio.sleep(1)
        assert 9 <= scene.time() - begun <= 14
        writer.close()
        return await answering

    scene = stage(request=10)
    answer = scene.run(use)
    assert answer.startswith(b"HTTP/1.1 408 ") or octets == b"\r\n"
    assert scene.server.counters.aborted == 0


def test_beyond_the_limit_an_idle_connection_makes_room_else_503(stage: Callable[..., Scene]) -> None:
    async def use(scene: Scene) -> None:
        idle = [await scene.connect() for _ in range(3)]
        await asyncio.sleep(1)
        busy = [await scene.ask(GET % (b"long", b""), SMALL) for _ in range(3)]
        await asyncio.sleep(1)
        assert [await reader.read() for reader, _ in idle] == [b"", b"", b""]
        reader, writer = await scene.connect()
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: " in answer
        for _, other in (*idle, *busy, (reader, writer)):
            other.close()

    scene = stage(connections=3)
    scene.run(use)
    assert scene.server.counters.refused == 1
    assert any("all 3 connections are in use" in line for line in scene.lines)


def test_draining_ends_what_is_idle_and_finishes_what_is_not(stage: Callable[..., Scene]) -> None:
    async def use(scene: Scene) -> None:
        silent, other = await scene.connect()
        kept, writer = await scene.connect()
        writer.write(GET % (b"short", b""))
        await kept.readuntil(b"\r\n\r\n")
        assert await kept.readexactly(len(SHORT)) == SHORT
        slow, last = await scene.ask(GET % (b"long", b""), SMALL)
        await asyncio.sleep(1)
        draining = asyncio.ensure_future(scene.server.drain(1000))
        begun = scene.time()
        assert (await silent.read(), await kept.read()) == (b"", b"")
        assert scene.time() - begun < 1
        head = await slow.readuntil(b"\r\n\r\n")
        assert b"Connection: close" not in head  # it was told before
        assert await read_slowly(slow, 5000, len(CONTENT)) == CONTENT
        begun = scene.time()
        assert await slow.read() == b""
        assert scene.time() - begun < 5
        assert await draining
        for each in (other, writer, last):
            each.close()

    stage().run(use)


def test_draining_has_an_end(stage: Callable[..., Scene]) -> None:
    async def use(scene: Scene) -> None:
        reader, writer = await scene.ask(GET % (b"long", b""), SMALL)
        await asyncio.sleep(1)
        assert not await scene.server.drain(5)
        scene.server.abort()
        with pytest.raises(ConnectionReset):
            await read_all(reader)
        writer.close()

    stage().run(use)
