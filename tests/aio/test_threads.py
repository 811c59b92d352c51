"""A network and its transports are for the loop's thread: a call from another one is an error, before it
changes anything.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.aio.test_transport import Networks, connected


def in_another_thread(call: Callable[[], object]) -> BaseException | None:
    """What the call raises there, while the loop waits here."""
    raised: list[BaseException | None] = [None]

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001
            raised[0] = error

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised[0]


CALLS: dict[str, Callable[[Any], object]] = {
    "write": lambda transport: transport.write(b"x"),
    "writelines": lambda transport: transport.writelines([b"x", b"y"]),
    "write_eof": lambda transport: transport.write_eof(),
    "close": lambda transport: transport.close(),
    "abort": lambda transport: transport.abort(),
}


@pytest.mark.parametrize("call", CALLS)
async def test_only_the_loops_thread_may_call_a_transport(networks: Networks, call: str) -> None:
    async with networks() as both:
        client, server = await connected(both)
        error = in_another_thread(lambda: CALLS[call](client.transport))
        assert isinstance(error, RuntimeError)
        assert "call_soon_threadsafe" in str(error)
        assert not client.transport.is_closing()
        client.transport.write(b"as before")
        await server.has_received(len(b"as before"))
        assert server.received == b"as before"


async def test_call_soon_threadsafe_is_the_way(networks: Networks) -> None:
    async with networks() as both:
        client, server = await connected(both)
        loop = asyncio.get_running_loop()
        assert in_another_thread(lambda: loop.call_soon_threadsafe(client.transport.write, b"x")) is None
        await server.has_received(1)
