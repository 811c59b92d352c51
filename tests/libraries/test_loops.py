"""Tools that take a loop of the user's choice get one of `postel.aio.loop_factory`. Its host answers itself,
so one host is enough.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from postel import aio
from postel.host.host import Host
from postel.links import pair

ROOT = Path(__file__).parents[2]
ADDRESS = "10.0.0.1"
CONFTEST = """
import pytest
from postel import aio
from postel.host.host import Host
from postel.links import pair

make_loop = aio.loop_factory(lambda: Host("10.0.0.1/24"), lambda: pair()[0])
"""
TEST = """
async def test_an_echo_over_postel():
    async def echo(reader, writer):
        writer.write(await reader.read())
        writer.close()

    assert type(asyncio.get_running_loop()).__module__ == "postel.aio.routing"
    async with await asyncio.start_server(echo, "10.0.0.1", 7):
        reader, writer = await asyncio.open_connection("10.0.0.1", 7)
        writer.write(b"hello")
        writer.write_eof()
        assert await reader.read() == b"hello"
        assert writer.get_extra_info("sockname")[0] == "10.0.0.1"
        writer.close()
        await writer.wait_closed()
"""


def passes(folder: Path, conftest: str, test: str, *options: str) -> None:
    """A pytest of its own, in which two tests share one hook: each has a loop, a host and a link of its
    own.
    """
    (folder / "conftest.py").write_text(CONFTEST + conftest)
    twice = TEST.replace("test_an", "test_first") + TEST.replace("test_an", "test_second")
    (folder / "test_echo.py").write_text("import asyncio\nimport pytest\n" + test + twice)
    command = (sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", *options)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_pytest_asyncio(tmp_path: Path) -> None:
    hook = """
def pytest_asyncio_loop_factories(config, item):
    return {"postel": make_loop}
"""
    options = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
    passes(tmp_path, hook, "", *options)


def test_anyios_plugin(tmp_path: Path) -> None:
    fixture = """
@pytest.fixture
def anyio_backend():
    return "asyncio", {"loop_factory": make_loop}
"""
    passes(tmp_path, fixture, "pytestmark = pytest.mark.anyio\n", "-p", "no:asyncio")


make_loop = aio.loop_factory(lambda: Host(f"{ADDRESS}/24"), lambda: pair()[0])


def test_uvicorns_option() -> None:
    """As ``uvicorn --loop module:make_loop``."""
    answers: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"hello"})

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            self.asking = asyncio.ensure_future(self.ask())

        async def ask(self) -> None:
            async with httpx.AsyncClient() as client:
                answers.append((await client.get(f"http://{ADDRESS}:8000/")).text)
            self.should_exit = True

    config = uvicorn.Config(
        application, host=ADDRESS, loop=f"{__name__}:make_loop", lifespan="off", log_level="error"
    )
    Server(config).run()
    assert answers == ["hello"]
