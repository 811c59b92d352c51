"""`postel nc` between two hosts on a link in memory, with pipes and files as its standard input."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from postel.aio import Network
from postel.cli import nc
from postel.errors import ConnectionRefused, ConnectionReset, ConnectionTimedOut, TcpError
from tests.cli.web import SERVER, Attached, with_server


@contextmanager
def standard_input(descriptor: int) -> Iterator[None]:
    kept = os.dup(0)
    os.dup2(descriptor, 0)
    try:
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)


@contextmanager
def piped(octets: bytes, *, ends: bool = True) -> Iterator[None]:
    """A pipe with these octets in it; without an end, as from a user that doesn't type on."""
    reading, writing = os.pipe()
    os.write(writing, octets)
    if ends:
        os.close(writing)
    with standard_input(reading):
        yield
    os.close(reading)
    if not ends:
        os.close(writing)


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Waits for the end, then answers: only a half-close gets that."""
    writer.write((await reader.read()).upper())
    writer.close()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.transport.abort()


async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    await reader.read()


def call(number: int = 80, patience: float | None = None) -> Callable[[Network], Awaitable[None]]:
    return lambda network: nc.talk(
        Attached(network), SERVER, number, patience=patience, over_udp=False, listening=None
    )


def test_the_end_of_input_is_a_half_close(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with piped(b"hello\n"):
        with_server(shout, call())
    assert capfdbinary.readouterr().out == b"HELLO\n"


def test_input_may_be_a_file(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    (tmp_path / "input").write_bytes(b"abc" * 100_000)
    with (tmp_path / "input").open("rb") as file, standard_input(file.fileno()):
        with_server(shout, call())
    assert capfdbinary.readouterr().out == b"ABC" * 100_000


def test_a_closed_port_refuses() -> None:
    with piped(b""), pytest.raises(ConnectionRefused):
        with_server(shout, call(number=81))


def test_a_reset_is_told() -> None:
    with piped(b"x", ends=False), pytest.raises(ConnectionReset):
        with_server(hang_up, call())


def test_patience_ends() -> None:
    with piped(b"x", ends=False):
        with_server(keep_silent, call(patience=0.05))


def test_patience_bounds_connecting_too() -> None:
    async def scene(network: Network) -> None:
        await nc.talk(Attached(network), "10.7.0.9", 9, patience=0.05, over_udp=False, listening=None)

    with piped(b""), pytest.raises(ConnectionTimedOut, match=r"didn't answer within 0\.05 seconds"):
        with_server(shout, scene)


def test_the_first_caller_is_the_only_one(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    async def scene(network: Network) -> bytes:
        listening = asyncio.Event()
        serving = asyncio.create_task(
            nc.talk(Attached(network), "", 9, patience=None, over_udp=False, listening=listening.set),
        )
        await listening.wait()
        reader, writer = await network.open_connection("10.7.0.1", 9)
        writer.write(b"question")
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        await serving
        with pytest.raises(TcpError):
            await network.open_connection("10.7.0.1", 9)
        return answer

    with piped(b"answer"):
        assert with_server(shout, scene) == b"answer"
    assert capfdbinary.readouterr().out == b"question"


def test_datagrams_both_ways(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    async def scene(network: Network) -> None:
        listening = asyncio.Event()
        serving = asyncio.create_task(
            nc.talk(Attached(network), "", 9, patience=0.2, over_udp=True, listening=listening.set)
        )
        await listening.wait()
        await nc.talk(Attached(network), "10.7.0.1", 9, patience=0.2, over_udp=True, listening=None)
        await serving

    with piped(b"once"):  # the caller's turn comes first: the other waits for a peer
        with_server(shout, scene)
    assert capfdbinary.readouterr().out == b"once"


def test_an_unreachable_port_is_told() -> None:
    async def scene(network: Network) -> None:
        await nc.talk(Attached(network), SERVER, 9, patience=5, over_udp=True, listening=None)

    with piped(b"x"), pytest.raises(ConnectionRefused):
        with_server(shout, scene)
