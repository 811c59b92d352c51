"""BAD-API-2: cancelled at any await, it leaves nothing standing."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

Networks = Callable[..., Any]
pytestmark = pytest.mark.label("BAD-API-2")


# From Python 3.13 on, a writer that nothing holds closes its connection
ignored: list[asyncio.StreamWriter] = []


async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads nothing, so the streams' limit, the window and the peer's buffer fill up."""
    ignored.append(writer)
    reader._transport.pause_reading()  # type: ignore[attr-defined]


async def cancelled(task: asyncio.Future[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        await reader.read()
    writer.close()


async def test_connect_that_nobody_answers(networks: Networks, until: Any) -> None:
    async with networks() as both:
        connecting = asyncio.ensure_future(both.near.open_connection("10.7.0.99", 80))
        await until(lambda: both.states() == ["SYN-SENT"])
        await cancelled(connecting)
        assert both.states() == []


async def test_connect_before_its_first_step(networks: Networks) -> None:
    async with networks() as both:
        await cancelled(asyncio.ensure_future(both.near.open_connection("10.7.0.99", 80)))
        assert both.states() == []


async def test_connect_in_the_round_in_which_it_succeeds(networks: Networks, until: Any) -> None:
    async with networks() as both:
        await both.far.start_server(hold, port=80)
        connecting = asyncio.ensure_future(both.near.open_connection("10.7.0.2", 80))
        await until(lambda: "ESTABLISHED" in both.states())
        assert not connecting.done()
        await cancelled(connecting)
        await until(lambda: both.states() == [])


async def test_connect_with_a_timeout(networks: Networks, until: Any) -> None:
    async with networks() as both:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await both.near.open_connection("10.7.0.99", 80)
        await until(lambda: both.states() == [])


async def test_tls_handshake_that_the_peer_never_answers(networks: Networks, until: Any) -> None:
    async with networks() as both:
        server = await both.far.start_server(hold, port=443)
        context = ssl.create_default_context()
        connecting = asyncio.ensure_future(both.near.open_connection("10.7.0.2", 443, ssl=context))
        await until(lambda: both.states() == ["ESTABLISHED", "ESTABLISHED"])
        await cancelled(connecting)
        await until(lambda: both.states() == [])
        server.close()
        await server.wait_closed()


async def test_read_drain_and_wait_closed(networks: Networks, until: Any) -> None:
    async with networks(expect_blame=True) as both:
        await both.far.start_server(ignore, port=80)
        reader, writer = await both.near.open_connection("10.7.0.2", 80)
        reading = asyncio.ensure_future(reader.read())
        await asyncio.sleep(0)
        await cancelled(reading)
        writer.write(bytes(8_000_000))
        draining = asyncio.ensure_future(writer.drain())
        await asyncio.sleep(0)
        assert not draining.done()
        await cancelled(draining)
        writer.close()
        closing = asyncio.ensure_future(writer.wait_closed())
        await asyncio.sleep(0)
        assert not closing.done()
        await cancelled(closing)
        writer.transport.abort()
        await until(lambda: both.states() == [])


async def test_serve_forever_and_wait_closed_of_a_server(networks: Networks) -> None:
    async with networks() as both:
        server = await both.far.start_server(hold, port=80)
        _, writer = await both.near.open_connection("10.7.0.2", 80)
        forever = asyncio.ensure_future(server.serve_forever())
        waiting = asyncio.ensure_future(server.wait_closed())
        await asyncio.sleep(0)
        await cancelled(waiting)
        forever.cancel()
        await asyncio.sleep(0)
        assert not server.is_serving()
        writer.close()
        with pytest.raises(asyncio.CancelledError):
            await forever


async def test_the_network_itself_while_it_lingers(networks: Networks) -> None:
    """Cancelled or not, the link is closed and what stood is aborted."""
    async with networks() as both:
        await both.far.start_server(ignore, port=80)
        _, writer = await both.near.open_connection("10.7.0.2", 80)
        writer.write(bytes(8_000_000))
        writer.close()
        closing = asyncio.ensure_future(both.near.close())
        await asyncio.sleep(0)
        assert not closing.done()
        await cancelled(closing)
        assert both.near.link.fileno() == -1
