"""Servers and clients of HTTP: aiohttp, httpx, uvicorn with starlette, hypercorn."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import hypercorn.asyncio
import pytest
import uvicorn
from aiohttp import web
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tests.libraries.conftest import CLIENT, CLIENT_6, OPENSSL, Stage

CLIENTS = (CLIENT, CLIENT_6)
LARGE = bytes(range(256)) * 4000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "large").write_bytes(LARGE)
    return tmp_path


async def greet(request: web.Request) -> web.StreamResponse:
    return web.Response(text=f"{request.remote in CLIENTS}, {await request.text()}")


@asynccontextmanager
async def serving_aiohttp(*routes: web.RouteDef, tls: ssl.SSLContext | None = None) -> AsyncIterator[None]:
    application = web.Application()
    application.add_routes(routes or [web.post("/", greet)])
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, port=443 if tls else 80, ssl_context=tls).start()
    try:
        yield
    finally:
        await runner.cleanup()


def test_aiohttp(stage: Stage) -> None:
    async def ask() -> list[str]:
        async with aiohttp.ClientSession() as session:
            answers = []
            for _ in range(3):  # on one connection
                async with session.post("http://server/", data="once more") as response:
                    answers.append(await response.text())
            return answers

    assert stage.play(serving_aiohttp, ask) == ["True, once more"] * 3


def test_aiohttp_sends_files(stage: Stage, folder: Path) -> None:
    """`FileResponse` calls `loop.sendfile`, on a connection that is kept."""

    async def send(request: web.Request) -> web.FileResponse:
        return web.FileResponse(folder / "large")

    async def ask() -> list[bytes]:
        async with aiohttp.ClientSession() as session:
            found = []
            for headers in ({}, {"Range": "bytes=1000-1999"}):
                async with session.get("http://server/large", headers=headers) as response:
                    found.append(await response.read())
            return found

    assert stage.play(lambda: serving_aiohttp(web.get("/large", send)), ask) == [LARGE, LARGE[1000:2000]]


def test_aiohttp_websockets(stage: Stage) -> None:
    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=30)
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data.upper())
        return socket

    async def ask() -> str:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect("http://server/", heartbeat=30) as socket,
        ):
            await socket.send_str("hello")
            return await socket.receive_str()

    assert (
        stage.play(
            lambda: serving_aiohttp(web.get("/", echo)),
            ask,
            varies="masks come from a random.Random of the library's own",
        )
        == "HELLO"
    )


def test_httpx(stage: Stage) -> None:
    async def ask() -> tuple[list[str], bool]:
        async with httpx.AsyncClient() as client:
            answers = [(await client.post("http://server/", content="again")).text for _ in range(3)]
            async with client.stream("POST", "http://server/", content="stream") as response:
                stream: Any = response.extensions["network_stream"]
                assert stream.get_extra_info("client_addr")[0] in CLIENTS
                await response.aread()
            return answers, stream.get_extra_info("is_readable")

    assert stage.play(serving_aiohttp, ask) == (["True, again"] * 3, False)


def test_httpx_sees_that_an_idle_connection_was_closed(stage: Stage) -> None:
    """It polls the connection's descriptor before it uses it again."""

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        # Without a header that says that this is the last answer
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nonce")
        writer.close()
        await writer.wait_closed()

    @asynccontextmanager
    async def serving() -> AsyncIterator[None]:
        async with await asyncio.start_server(answer_once, None, 80):
            yield

    async def ask() -> list[str]:
        async with httpx.AsyncClient() as client:
            answers = []
            for _ in range(3):
                response = await client.get("http://server/")
                answers.append(response.text)
                stream: Any = response.extensions["network_stream"]
                while not stream.get_extra_info("is_readable"):  # noqa: ASYNC110 - a poll is what it asks
                    await asyncio.sleep(0.001)
            return answers

    assert stage.play(serving, ask) == ["once"] * 3


def test_httpx_over_tls(stage: Stage, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async def ask() -> str:
        async with httpx.AsyncClient(verify=client_tls) as client:
            return (await client.post("https://server/", content="safe")).text

    assert stage.play(lambda: serving_aiohttp(tls=server_tls), ask, varies=OPENSSL) == "True, safe"


def test_httpx_gives_up_in_time(stage: Stage) -> None:
    async def never(request: web.Request) -> web.Response:
        await asyncio.sleep(1e6)
        return web.Response()

    async def ask() -> str:
        seconds = 600 if stage.is_virtual else 0.2
        async with httpx.AsyncClient(timeout=seconds) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.get("http://server/")
            with pytest.raises(httpx.ConnectError, match=r"refused|failed"):
                await client.get("http://server:81/")
            with pytest.raises(httpx.ConnectError, match="not known"):
                await client.get("http://nowhere/")
        return "gave up"

    assert stage.play(lambda: serving_aiohttp(web.get("/", never)), ask) == "gave up"


async def about(request: Request) -> Response:
    assert request.client is not None
    assert request.client.host in CLIENTS
    return PlainTextResponse(f"HTTP/{request.scope['http_version']}")


async def pieces(request: Request) -> Response:
    async def each() -> AsyncIterator[bytes]:
        for begin in range(0, len(LARGE), 100_000):
            yield LARGE[begin : begin + 100_000]

    return StreamingResponse(each())


def application(folder: Path) -> Starlette:
    return Starlette(
        routes=[
            Route("/", about),
            Route("/pieces", pieces),
            Mount("/files", app=StaticFiles(directory=folder)),
        ]
    )


def test_uvicorn_and_starlette(stage: Stage, folder: Path) -> None:
    @asynccontextmanager
    async def serving() -> AsyncIterator[None]:
        server = uvicorn.Server(
            uvicorn.Config(application(folder), host="0.0.0.0", port=8000, log_level="error")
        )
        task = asyncio.ensure_future(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        yield
        server.should_exit = True
        await task

    async def ask() -> tuple[str, bytes, bytes, int, str]:
        async with httpx.AsyncClient(base_url="http://server:8000") as client:
            text = (await client.get("/")).text
            whole, streamed = (await client.get("/files/large")), (await client.get("/pieces")).content
            part = await client.get(
                "/files/large", headers={"Range": "bytes=-5", "If-Range": whole.headers["etag"]}
            )
            known = await client.get("/files/large", headers={"If-None-Match": whole.headers["etag"]})
            assert (part.status_code, part.content) == (206, LARGE[-5:])
            return text, whole.content, streamed, known.status_code, whole.headers["server"]

    assert stage.play(serving, ask) == ("HTTP/1.1", LARGE, LARGE, 304, "uvicorn")


@pytest.mark.parametrize("is_second", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_hypercorn(
    stage: Stage, folder: Path, key_files: tuple[str, str], client_tls: ssl.SSLContext, is_second: bool
) -> None:
    @asynccontextmanager
    async def serving() -> AsyncIterator[None]:
        config, ended = hypercorn.Config(), asyncio.Event()
        config.bind = ["0.0.0.0:8443"]
        config.certfile, config.keyfile = key_files
        config.errorlog = None
        task = asyncio.ensure_future(
            hypercorn.asyncio.serve(application(folder), config, shutdown_trigger=ended.wait)
        )  # type: ignore[arg-type]
        await asyncio.sleep(0.1)
        yield
        ended.set()
        await task

    async def ask() -> tuple[str, bytes]:
        async with httpx.AsyncClient(
            verify=client_tls, http2=is_second, base_url="https://server:8443"
        ) as client:
            texts, large = asyncio.gather(*(client.get("/") for _ in range(5))), client.get("/pieces")
            found, whole = await asyncio.gather(texts, large)
            assert len({each.text for each in found}) == 1
            return found[0].text, whole.content

    assert stage.play(serving, ask, varies=OPENSSL) == (f"HTTP/{'2' if is_second else '1.1'}", LARGE)
