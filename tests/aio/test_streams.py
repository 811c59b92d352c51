"""asyncio's own streams, unmodified, over Postel."""

import asyncio
import errno
import hashlib
import random
from collections.abc import Callable
from typing import Any

import pytest

OCTETS = random.Random(7).randbytes(3_000_000)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def test_what_is_sent_comes_back_until_both_ends_close(
    networks: Callable[..., Any], far_address: str
) -> None:
    async with networks() as both:
        server = await both.far.start_server(echo, port=7)
        reader, writer = await both.near.open_connection(far_address, 7)

        async def send() -> None:
            for start in range(0, len(OCTETS), 100_000):
                writer.write(OCTETS[start : start + 100_000])
                await writer.drain()
            writer.write_eof()

        sending = asyncio.ensure_future(send())
        received = await reader.read()
        await sending
        assert hashlib.sha256(received).digest() == hashlib.sha256(OCTETS).digest()
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()


async def test_half_close_lets_the_other_direction_go_on(networks: Callable[..., Any]) -> None:
    async def answer_after_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = await reader.read()
        writer.write(b"you asked: " + question)
        writer.close()

    async with networks() as both:
        await both.far.start_server(answer_after_the_end, port=80)
        reader, writer = await both.near.open_connection("10.7.0.2", 80)
        assert writer.can_write_eof()
        writer.write(b"who?")
        writer.write_eof()
        assert await reader.read() == b"you asked: who?"
        writer.close()


async def test_lines_and_exact_counts(networks: Callable[..., Any]) -> None:
    async def lines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"first\n"
        assert await reader.readuntil(b";") == b"second;"
        assert await reader.readexactly(5) == b"third"
        writer.writelines([b"all ", b"three"])
        writer.close()

    async with networks() as both:
        await both.far.start_server(lines, port=80)
        reader, writer = await both.near.open_connection("10.7.0.2", 80)
        writer.write(b"first\nsecond;third")
        assert await reader.read() == b"all three"
        writer.close()


async def test_both_ends_know_their_names(networks: Callable[..., Any]) -> None:
    names: dict[str, Any] = {}
    told = asyncio.Event()

    async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for key in ("sockname", "peername"):
            names[key] = writer.get_extra_info(key)
        told.set()
        writer.close()

    async with networks() as both:
        server = await both.far.start_server(note, "fd07::2", 0)
        port = server.sockets[0].getsockname()[1]
        _, writer = await both.near.open_connection("fd07::2", port, local_addr=("fd07::1", 4321))
        await told.wait()
        assert names == {"sockname": ("fd07::2", port, 0, 0), "peername": ("fd07::1", 4321, 0, 0)}
        assert writer.get_extra_info("sockname") == names["peername"]
        assert writer.get_extra_info("peername") == names["sockname"]
        assert writer.get_extra_info("cipher", "none") == "none"
        writer.close()


async def test_closed_port_refuses(networks: Callable[..., Any], far_address: str) -> None:
    async with networks() as both:
        with pytest.raises(ConnectionRefusedError) as caught:
            await both.near.open_connection(far_address, 81)
        assert caught.value.errno == errno.ECONNREFUSED
        assert both.states() == []


async def test_reset_reaches_who_reads(networks: Callable[..., Any]) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    async with networks() as both:
        await both.far.start_server(reset, port=80)
        reader, writer = await both.near.open_connection("10.7.0.2", 80)
        writer.write(b"x")
        with pytest.raises(ConnectionResetError) as caught:
            await reader.read()
        assert caught.value.errno == errno.ECONNRESET
        with pytest.raises(ConnectionResetError):
            await writer.wait_closed()


async def test_many_at_once(networks: Callable[..., Any]) -> None:
    async def talk(net: Any, number: int) -> bytes:
        reader, writer = await net.open_connection("10.7.0.2", 7)
        writer.write(str(number).encode() * 1000)
        writer.write_eof()
        try:
            return bytes(await reader.read())
        finally:
            writer.close()
            await writer.wait_closed()

    async with networks() as both:
        await both.far.start_server(echo, port=7, backlog=200)
        answers = await asyncio.gather(*(talk(both.near, number) for number in range(200)))
        assert answers == [str(number).encode() * 1000 for number in range(200)]


async def test_reader_that_does_not_read_stops_the_writer(networks: Callable[..., Any]) -> None:
    """The streams' limit, the window and the send buffer fill up; then drain() waits. Reading sets all of it
    going again.
    """
    accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # From Python 3.13 on, a writer that nothing holds closes its connection
        accepted.put_nowait((reader, writer))

    async with networks() as both:
        await both.far.start_server(keep, port=80)
        _, writer = await both.near.open_connection("10.7.0.2", 80)
        reader, far_writer = await accepted.get()
        for _ in range(64):
            writer.write(bytes(65536))
        draining = asyncio.ensure_future(writer.drain())
        writer.write_eof()
        assert len(await reader.read(1)) == 1
        assert not draining.done()
        assert len(await reader.read()) == 64 * 65536 - 1
        await draining
        writer.close()
        far_writer.close()


async def test_drain_ends_when_others_give_memory_back(
    networks: Callable[..., Any], far_address: str
) -> None:
    """A writer that met the host's limit with nothing of its own in flight hears of room, whoever made it."""
    async with networks() as both:
        memory = both.near.host.memory

        async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async with await both.far.start_server(swallow, port=9):
            writers = [(await both.near.open_connection(far_address, 9))[1] for _ in range(4)]
            held = memory.free
            assert memory.claim(held)
            for writer in writers:
                writer.write(bytes(300_000))
            drains = [asyncio.ensure_future(writer.drain()) for writer in writers]
            await asyncio.sleep(0.05)
            assert not any(drain.done() for drain in drains)
            memory.give(held)
            (await both.near.open_connection(far_address, 9))[1].close()
            await asyncio.gather(*drains)
            for writer in writers:
                writer.close()
                await writer.wait_closed()
