"""trio's own checks of streams, over Postel; and what they leave open."""

import errno
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import check_half_closeable_stream, check_two_way_stream

from postel.tcp.config import Config

Maker = Callable[[], Awaitable[tuple[trio.SocketStream, trio.SocketStream]]]
SMALL = Config(send_buffer=16_384, receive_buffer=16_384)  # so that a stream is clogged soon


def makers(both: Any, address: str) -> tuple[Maker, Maker]:
    async def make() -> tuple[trio.SocketStream, trio.SocketStream]:
        found: tuple[trio.SocketStream, trio.SocketStream] = await both.connected(address)
        return found

    async def make_clogged() -> tuple[trio.SocketStream, trio.SocketStream]:
        streams = await make()
        for stream in streams:
            for _ in range(100):  # until nothing moves any more
                with trio.move_on_after(1):
                    await stream.send_all(b"x" * 100_000)
        return streams

    return make, make_clogged


async def test_two_way(networks: Any) -> None:
    async with networks(config=SMALL) as both:
        await check_two_way_stream(*makers(both, "10.7.0.2"))


@pytest.mark.parametrize("delay", [0, 5_000], ids=["at once", "delayed"])
async def test_half_closeable(networks: Any, far_address: str, delay: int) -> None:
    async with networks(config=SMALL, delay=delay) as both:
        await check_half_closeable_stream(*makers(both, far_address))


@pytest.mark.real_time
async def test_half_closeable_in_real_time(networks: Any) -> None:
    async with networks(config=SMALL) as both:
        make, _ = makers(both, "10.7.0.2")
        await check_half_closeable_stream(make, None)


async def test_a_reset_breaks_both_directions(networks: Any) -> None:
    async with networks() as both:
        client, server = await both.connected()
        server.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await server.aclose()
        with pytest.raises(trio.BrokenResourceError, match="reset"):
            await client.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await client.send_all(b"x")
        await client.aclose()


async def test_what_was_written_before_close_arrives_though_the_network_closes(networks: Any) -> None:
    received = bytearray()

    async def read(stream: trio.SocketStream) -> None:
        async with stream:
            async for chunk in stream:
                received.extend(chunk)

    async with trio.open_nursery() as nursery, networks(delay=50_000) as both:
        client, server = await both.connected()
        nursery.start_soon(read, server)
        await client.send_all(b"x" * 30_000)
        await client.aclose()
        await both.near.close()
    assert len(received) == 30_000


async def test_what_stands_when_a_network_closes_is_aborted(networks: Any) -> None:
    async with networks() as both:
        client, server = await both.connected()
        await both.near.close()
        with pytest.raises(trio.BrokenResourceError, match="closed"):
            await client.receive_some()
        with pytest.raises(trio.BrokenResourceError, match="reset"):
            await server.receive_some()
        await client.aclose()
        await server.aclose()
        with pytest.raises(OSError, match="closed") as refused:
            both.near.socket()
        assert refused.value.errno == errno.ENETUNREACH
