"""A loop that owns a network: when it opens and closes it, and the tools that take a factory of loops."""

import asyncio
import functools
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from postel import aio
from postel.errors import ArgumentError, CallError
from postel.host.host import Host
from postel.links import Link, pair

NEAR, FAR = "10.7.0.1", "10.7.0.2"


@pytest.fixture
def links() -> tuple[Link, Link]:
    return pair()


def test_the_network_opens_when_the_loop_runs_and_closes_with_it(links: tuple[Link, Link]) -> None:
    loop = aio.loop_factory(Host(f"{NEAR}/24"), links[0])()
    network = loop.own_network
    assert network is not None
    assert network.loop is None
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(asyncio.sleep(0))
    assert network.loop is loop
    assert links[0].ready is not None
    loop.close()
    assert links[0].fileno() == -1
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.run_forever()


def test_a_loop_that_never_ran_closes_its_link(links: tuple[Link, Link]) -> None:
    loop = aio.loop_factory(Host(f"{NEAR}/24"), links[0])()
    loop.close()
    assert links[0].fileno() == -1


def test_what_was_written_is_delivered_before_the_loop_has_closed(links: tuple[Link, Link]) -> None:
    received: list[int] = []

    class Counting(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            received.append(len(data))

    async def main() -> None:
        far = aio.attach(Host(f"{FAR}/24"), links[1])
        far.enter(asyncio.get_running_loop())  # left open: only the loop's own is closed with it
        async with far.as_default():
            await asyncio.get_running_loop().create_server(Counting, FAR, 80)
        _, writer = await asyncio.open_connection(FAR, 80)
        writer.write(bytes(1_000_000))
        writer.close()

    with asyncio.Runner(loop_factory=aio.loop_factory(Host(f"{NEAR}/24"), links[0], linger=30)) as runner:
        runner.run(main())
    assert sum(received) == 1_000_000


def test_a_host_and_a_link_serve_one_loop(links: tuple[Link, Link]) -> None:
    host = Host(f"{NEAR}/24")
    factory = aio.loop_factory(host, links[0])
    first = factory()
    first.run_until_complete(asyncio.sleep(0))
    with pytest.raises(ArgumentError, match="on no other link"):
        factory()
    first.close()
    with pytest.raises(CallError, match="functions that make a host"):
        factory()


def test_functions_make_a_host_and_a_link_for_each_loop() -> None:
    factory = aio.loop_factory(
        lambda: Host(f"{NEAR}/24"), lambda: pair()[0], resolver=lambda network: aio.Resolver(network, [FAR])
    )
    for _ in range(2):
        with asyncio.Runner(loop_factory=factory) as runner:
            network = runner.get_loop().own_network  # type: ignore[attr-defined]
            assert isinstance(network.resolver, aio.Resolver)
            runner.run(asyncio.sleep(0))


def test_a_link_that_fails_is_told_to_the_loops_calls(links: tuple[Link, Link]) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        told: list[Any] = []
        loop.set_exception_handler(lambda _, context: told.append(context["message"]))
        server = await asyncio.start_server(lambda *_: None, NEAR, 80)
        forever = asyncio.ensure_future(server.serve_forever())
        await asyncio.sleep(0)
        links[0].close()
        with pytest.raises(asyncio.CancelledError):
            await forever
        assert told == ["a server's link has ended, and the server with it"]
        with pytest.raises(OSError, match="closed"):
            await asyncio.open_connection(FAR, 80)

    with asyncio.Runner(loop_factory=aio.loop_factory(Host(f"{NEAR}/24"), links[0])) as runner:
        runner.run(main())


FACTORY = """
    from postel import aio
    from postel.host.host import Host
    from postel.links import pair

    loops = []
    factory = aio.loop_factory(lambda: Host("10.7.0.1/24"), lambda: pair()[0])

    def make():
        loops.append(factory())
        return loops[-1]
"""
BY_UVICORN = """
    import asyncio, urllib.request, uvicorn, made

    answered = []

    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"over Postel"})

    class Server(uvicorn.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets)
            self.asking = asyncio.ensure_future(self.ask())

        async def ask(self):
            reader, writer = await asyncio.open_connection("127.0.0.1", 80)
            writer.write(b"GET / HTTP/1.1\\r\\nhost: here\\r\\nconnection: close\\r\\n\\r\\n")
            answered.append(await reader.read())
            writer.close()
            self.should_exit = True

    Server(uvicorn.Config(app, "127.0.0.1", 80, loop="made:make", lifespan="off", log_level="error")).run()
    assert b"over Postel" in answered[0], answered
    assert len(made.loops) == 1
"""
BY_ANYIO = """
    import anyio, made

    async def main():
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=80)
        async with listener, anyio.create_task_group() as group:
            async def answer(stream):
                async with stream:
                    await stream.send(b"over Postel")
            group.start_soon(listener.serve, answer)
            async with await anyio.connect_tcp("127.0.0.1", 80) as stream:
                assert await stream.receive() == b"over Postel"
            group.cancel_scope.cancel()

    anyio.run(main, backend="asyncio", backend_options={"loop_factory": made.make})
    assert len(made.loops) == 1
"""
BY_PYTEST_ASYNCIO = """
    import asyncio, pytest, made

    class Policy(asyncio.DefaultEventLoopPolicy):
        def new_event_loop(self):
            return made.make()

    @pytest.fixture(scope="session")
    def event_loop_policy():
        return Policy()

    @pytest.mark.asyncio
    @pytest.mark.parametrize("turn", [1, 2])
    async def test_loop(turn):
        async def answer(reader, writer):
            writer.write(b"over Postel")
            writer.close()
        server = await asyncio.start_server(answer, "127.0.0.1", 80)
        reader, writer = await asyncio.open_connection("127.0.0.1", 80)
        assert await reader.read() == b"over Postel"
        writer.close()
        server.close()
        assert asyncio.get_running_loop() in made.loops
"""


@pytest.mark.parametrize(
    ("package", "program", "command"),
    [
        ("uvicorn", BY_UVICORN, [sys.executable, "-X", "dev", "program.py"]),
        ("anyio", BY_ANYIO, [sys.executable, "-X", "dev", "program.py"]),
        (
            "pytest_asyncio",
            BY_PYTEST_ASYNCIO,
            [sys.executable, "-m", "pytest", "-q", "-c", "empty.ini", "program.py"],
        ),
    ],
    ids=["uvicorn", "anyio", "pytest-asyncio"],
)
def test_tools_take_the_factory(tmp_path: Path, package: str, program: str, command: list[str]) -> None:
    pytest.importorskip(package)
    (tmp_path / "made.py").write_text(textwrap.dedent(FACTORY))
    (tmp_path / "program.py").write_text(textwrap.dedent(program))
    (tmp_path / "empty.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    run: Callable[..., Any] = functools.partial(
        subprocess.run, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    done = run(command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ResourceWarning" not in done.stderr


def test_a_loop_may_run_in_another_thread_later(links: tuple[Link, Link]) -> None:
    """Its peer's packets come from the thread in which it ran first."""
    near = aio.loop_factory(Host(f"{NEAR}/24"), links[0])()
    near.set_debug(True)  # finds calls from other threads

    async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read(100)).upper())
        writer.close()

    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection(NEAR, 80)
        writer.write(b"who")
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        return answer

    near.run_until_complete(asyncio.wait_for(asyncio.start_server(upper, NEAR, 80), 20))
    thread = threading.Thread(target=near.run_forever)
    thread.start()
    with asyncio.Runner(loop_factory=aio.loop_factory(Host(f"{FAR}/24"), links[1])) as runner:
        assert runner.run(ask()) == b"WHO"
    near.call_soon_threadsafe(near.stop)
    thread.join()
    near.close()
