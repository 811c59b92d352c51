"""anyio as it comes from PyPI, on either backend: trio over `postel.trio`, and asyncio on a loop of
`postel.aio`.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import httpx
import pytest
import trio
import trustme
from anyio.streams.tls import TLSStream
from trio.testing import MockClock

import postel.trio
from postel import Host, aio
from postel.links import pair

SERVER, CLIENT = "10.0.0.1", "10.0.0.2"


class Names:
    async def addresses(self, name: str) -> list[str]:
        return [SERVER] if name == "server" else []


Body = Callable[[Any, Any], Awaitable[None]]


@asynccontextmanager
async def two_networks(attach: Any) -> AsyncIterator[tuple[Any, Any]]:
    left, right = pair()
    async with (
        attach(Host(f"{SERVER}/24", secret=b"server"), left, resolver=Names()) as server,
        attach(Host(f"{CLIENT}/24", secret=b"client"), right, resolver=Names()) as client,
    ):
        yield server, client
    assert server.host.statistics()["packets_arrived"] > 0


def on_trio(body: Body) -> None:
    async def main() -> None:
        async with two_networks(postel.trio.attach) as (server, client):
            with anyio.fail_after(60):
                await body(server, client)

    trio.run(main, clock=MockClock(autojump_threshold=0))


def on_asyncio(body: Body) -> None:
    async def main() -> None:
        async with two_networks(aio.attach) as (server, client):
            with anyio.fail_after(60):
                await body(server, client)

    anyio.run(main, backend_options={"loop_factory": aio.Loop})


BACKENDS = pytest.mark.parametrize("run", [on_trio, on_asyncio])
TLS = trustme.CA()


async def shout(stream: anyio.abc.ByteStream) -> None:
    async with stream:
        async for chunk in stream:
            await stream.send(chunk.upper())


Handler = Callable[[anyio.abc.ByteStream], Awaitable[None]]


async def serve(
    network: Any, port: int, handler: Handler, *, task_status: Any = anyio.TASK_STATUS_IGNORED
) -> None:
    """A server by the backend's own functions: `anyio.create_tcp_listener` makes a socket of the machine."""

    async def handle_trio(stream: trio.SocketStream) -> None:
        await handler(OfTrio(stream))

    async def handle_asyncio(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await handler(OfAsyncio(reader, writer))

    async with network.as_default():
        if isinstance(network, postel.trio.TrioNetwork):
            await trio.serve_tcp(handle_trio, port, host=SERVER, task_status=task_status)
        server = await asyncio.start_server(handle_asyncio, SERVER, port)
        task_status.started()
        async with server:
            await server.serve_forever()


class OfTrio(anyio.abc.ByteStream):
    """A stream of trio's as anyio has them."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream

    async def receive(self, max_bytes: int = 65536) -> bytes:
        data = bytes(await self._stream.receive_some(max_bytes))
        if not data:
            raise anyio.EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        await self._stream.send_all(item)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


class OfAsyncio(anyio.abc.ByteStream):
    """Streams of asyncio's as anyio has them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def receive(self, max_bytes: int = 65536) -> bytes:
        data = await self._reader.read(max_bytes)
        if not data:
            raise anyio.EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        self._writer.write(item)
        await self._writer.drain()

    async def send_eof(self) -> None:
        self._writer.write_eof()

    async def aclose(self) -> None:
        self._writer.close()


@BACKENDS
def test_streams(run: Callable[[Body], None]) -> None:
    async def body(server: Any, client: Any) -> None:
        async with anyio.create_task_group() as tasks:
            await tasks.start(serve, server, 7, shout)
            async with client.as_default(), await anyio.connect_tcp("server", 7) as stream:
                await stream.send(b"hello")
                assert await stream.receive() == b"HELLO"
                assert stream.extra(anyio.abc.SocketAttribute.remote_address) == (SERVER, 7)
                assert stream.extra(anyio.abc.SocketAttribute.local_address)[0] == CLIENT
                await stream.send_eof()
                with pytest.raises(anyio.EndOfStream):
                    await stream.receive()
            tasks.cancel_scope.cancel()

    run(body)


@BACKENDS
def test_tls(run: Callable[[Body], None]) -> None:
    secure, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    TLS.issue_cert("server").configure_cert(secure)
    TLS.configure_trust(trusting)

    async def shout_secretly(stream: anyio.abc.ByteStream) -> None:
        await shout(await TLSStream.wrap(stream, ssl_context=secure, standard_compatible=False))

    async def body(server: Any, client: Any) -> None:
        async with anyio.create_task_group() as tasks:
            await tasks.start(serve, server, 7, shout_secretly)
            async with (
                client.as_default(),
                await anyio.connect_tcp(
                    "server", 7, ssl_context=trusting, tls_standard_compatible=False
                ) as stream,
            ):
                await stream.send(b"secret")
                assert await stream.receive() == b"SECRET"
            tasks.cancel_scope.cancel()

    run(body)


@BACKENDS
def test_a_connection_that_is_refused(run: Callable[[Body], None]) -> None:
    async def body(server: Any, client: Any) -> None:
        async with client.as_default():
            with pytest.raises(OSError, match="connection"):
                await anyio.connect_tcp("server", 9)

    run(body)


@BACKENDS
def test_datagrams(run: Callable[[Body], None]) -> None:
    async def body(server: Any, client: Any) -> None:
        async with server.as_default():
            asked = await anyio.create_udp_socket(local_host=SERVER, local_port=53)
        async with client.as_default():
            asks = await anyio.create_connected_udp_socket("server", 53)
        async with asked, asks:
            await asks.send(b"question")
            data, name = await asked.receive()
            await asked.sendto(b"answer", *name)
            assert (data, await asks.receive()) == (b"question", b"answer")

    run(body)


@BACKENDS
def test_httpx(run: Callable[[Body], None]) -> None:
    async def answer(stream: anyio.abc.ByteStream) -> None:
        await stream.receive()
        await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")
        await stream.aclose()

    async def body(server: Any, client: Any) -> None:
        async with anyio.create_task_group() as tasks:
            await tasks.start(serve, server, 80, answer)
            async with client.as_default(), httpx.AsyncClient(trust_env=False) as browser:
                assert (await browser.get("http://server/")).text == "hello"
            tasks.cancel_scope.cancel()

    run(body)


def test_a_listener_of_anyio_s_own_on_asyncio() -> None:
    """It makes a socket of the machine, listens, and hands it to the loop, which puts Postel's in its
    place.
    """

    async def body(server: Any, client: Any) -> None:
        async with server.as_default():
            listener = await anyio.create_tcp_listener(local_host="0.0.0.0")
            port = listener.extra(anyio.abc.SocketAttribute.local_port)
            async with listener, anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, shout)
                async with client.as_default(), await anyio.connect_tcp("server", port) as stream:
                    await stream.send(b"hello")
                    assert await stream.receive() == b"HELLO"
                tasks.cancel_scope.cancel()

    on_asyncio(body)
