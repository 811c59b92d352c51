"""Opening, closing and refusing, with the kernel and with the programs that people use."""

import asyncio
import errno
import hashlib
import random
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from postel.tcp.status import SACK, TIMESTAMPS, WINDOW_SCALE
from postel.view import pcapng
from postel.view.trace import Trace

POSTEL = {4: "10.7.0.2", 6: "fd07::2"}
KERNEL = {4: "10.7.0.1", 6: "fd07::1"}
OCTETS = random.Random(7).randbytes(1_000_000)
DIGEST = hashlib.sha256(OCTETS).hexdigest()


def in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address


async def digest_after_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(hashlib.sha256(await reader.read()).hexdigest().encode())
    writer.close()


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        await reader.read()
    writer.close()


async def kernel_calls(
    namespace: Any, family: int, port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """asyncio's own streams on a kernel's socket."""
    made = namespace.stream(family)
    made.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(made, (POSTEL[family], port))
    except OSError:
        made.close()
        raise
    return await asyncio.open_connection(sock=made)


# Half-close


async def test_nc_half_closes_and_hears_the_answer(
    namespace: Any, attached: Any, family: int, needs: Any
) -> None:
    needs("nc")
    async with attached() as net:
        await net.start_server(digest_after_the_end, port=80)
        assert await namespace.output("nc", "-N", POSTEL[family], "80", given=OCTETS) == DIGEST.encode()


async def test_nc_listens_half_closes_and_hears_the_answer(
    namespace: Any, attached: Any, family: int, needs: Any
) -> None:
    needs("nc")
    async with attached() as net:
        listening = asyncio.ensure_future(
            namespace.output("nc", "-N", "-l", KERNEL[family], "8080", given=OCTETS)
        )
        reader, writer = await call_until_answered(net, KERNEL[family], 8080)
        await digest_after_the_end(reader, writer)
        assert await listening == DIGEST.encode()


async def call_until_answered(
    net: Any, address: str, port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A program that was just started isn't listening at once, and nothing tells when it is."""
    while True:
        try:
            return await net.open_connection(address, port)  # type: ignore[no-any-return]
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)


# Refusing


async def test_postel_refuses_at_a_closed_port(namespace: Any, attached: Any, family: int) -> None:
    async with attached():
        started = time.monotonic()
        with pytest.raises(ConnectionRefusedError):
            await kernel_calls(namespace, family, 81)
        assert time.monotonic() - started < 0.5


async def test_postel_is_refused_at_a_closed_port(attached: Any, family: int) -> None:
    async with attached() as net:
        started = time.monotonic()
        with pytest.raises(ConnectionRefusedError) as caught:
            await net.open_connection(KERNEL[family], 81)
        assert caught.value.errno == errno.ECONNREFUSED
        assert time.monotonic() - started < 0.5


async def pair(net: Any, namespace: Any, family: int, *, postel_calls: bool) -> tuple[socket.socket, Any]:
    """The kernel's socket, and Postel's reader and writer."""
    if postel_calls:
        with namespace.listening(family) as listener:
            streams = await net.open_connection(KERNEL[family], listener.getsockname()[1])
            kernel, _ = await asyncio.to_thread(listener.accept)
        return kernel, streams
    accepted: asyncio.Queue[Any] = asyncio.Queue()
    server = await net.start_server(lambda *streams: accepted.put_nowait(streams), POSTEL[family])
    kernel = namespace.stream(family)
    await asyncio.to_thread(kernel.connect, (POSTEL[family], server.sockets[0].getsockname()[1]))
    return kernel, await accepted.get()


async def test_kernel_hears_postels_reset(namespace: Any, attached: Any, family: int) -> None:
    async with attached() as net:
        kernel, (_, writer) = await pair(net, namespace, family, postel_calls=False)
        writer.transport.abort()
        with pytest.raises(ConnectionResetError), kernel:
            await asyncio.to_thread(kernel.recv, 1)


async def test_postel_hears_the_kernels_reset(namespace: Any, attached: Any, family: int) -> None:
    async with attached() as net:
        kernel, (reader, _) = await pair(net, namespace, family, postel_calls=True)
        kernel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        kernel.close()
        with pytest.raises(ConnectionResetError) as caught:
            await reader.read()
        assert caught.value.errno == errno.ECONNRESET


# Closing: the end that closes first waits, and the other is rid of the connection


async def states(net: Any, namespace: Any) -> tuple[list[str], list[str]]:
    """The kernel's and Postel's connections, once neither changes any more."""
    while True:
        kernel = [line.split()[0] for line in (await namespace.output("ss", "-Htan")).decode().splitlines()]
        postel = [str(state) for _, _, state in net.host.connections()]
        if set(kernel + postel) <= {"TIME-WAIT", "LISTEN"}:
            return kernel, postel


@pytest.mark.parametrize("postel_calls", [False, True], ids=["kernel_calls", "postel_calls"])
@pytest.mark.parametrize("first", ["kernel", "postel"])
async def test_who_closes_first_waits(
    namespace: Any, attached: Any, needs: Any, family: int, *, first: str, postel_calls: bool
) -> None:
    needs("ss")
    async with attached() as net:
        kernel, (reader, writer) = await pair(net, namespace, family, postel_calls=postel_calls)
        if first == "kernel":
            kernel.shutdown(socket.SHUT_WR)
            assert await reader.read() == b""
            writer.close()
            assert await asyncio.to_thread(kernel.recv, 1) == b""
        else:
            writer.write_eof()
            assert await asyncio.to_thread(kernel.recv, 1) == b""
            kernel.close()
            assert await reader.read() == b""
            writer.close()
        kernel.close()
        assert await states(net, namespace) == (
            (["TIME-WAIT"], []) if first == "kernel" else ([], ["TIME-WAIT"])
        )


# Many at once


async def talk(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], number: int) -> bytes:
    reader, writer = streams
    writer.write(number.to_bytes(2, "big") * 5000)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


ANSWERS = [number.to_bytes(2, "big") * 5000 for number in range(200)]


async def test_two_hundred_calls_from_the_kernel(namespace: Any, attached: Any, family: int) -> None:
    async with attached() as net:
        await net.start_server(echo, port=7, backlog=200)

        async def call(number: int) -> bytes:
            return await talk(await kernel_calls(namespace, family, 7), number)

        assert await asyncio.gather(*map(call, range(200))) == ANSWERS


async def test_two_hundred_calls_to_the_kernel(namespace: Any, attached: Any, family: int) -> None:
    async with (
        attached() as net,
        await asyncio.start_server(echo, sock=namespace.listening(family, 200)) as server,
    ):
        port = server.sockets[0].getsockname()[1]

        async def call(number: int) -> bytes:
            return await talk(await net.open_connection(KERNEL[family], port), number)

        assert await asyncio.gather(*map(call, range(200))) == ANSWERS


# What was agreed, and what others think of it


@pytest.mark.parametrize("postel_calls", [False, True], ids=["kernel_calls", "postel_calls"])
async def test_kernel_agreed_on_every_option(
    namespace: Any, attached: Any, needs: Any, family: int, *, postel_calls: bool
) -> None:
    needs("ss")
    async with attached() as net:
        kernel, (_, writer) = await pair(net, namespace, family, postel_calls=postel_calls)
        status = writer.get_extra_info("connection").status()
        told = (await namespace.output("ss", "-Htino", "state", "established")).decode()
        assert {"ts", "sack"} <= set(told.split())
        assert f"wscale:{status.rcv_wscale},{status.snd_wscale}" in told
        assert f"mss:{1460 - 12 if family == 4 else 1440 - 12}" in told
        assert status.options == TIMESTAMPS | SACK | WINDOW_SCALE
        kernel.close()
        writer.close()


async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As much HTTP as curl needs."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(OCTETS) + OCTETS)
    writer.close()


async def curl(namespace: Any, family: int) -> bytes:
    return await namespace.output("curl", "-sSg", "--max-time", "20", f"http://{in_url(POSTEL[family])}/")  # type: ignore[no-any-return]


async def test_curl_gets_a_page(namespace: Any, attached: Any, needs: Any, family: int) -> None:
    needs("curl")
    async with attached() as net:
        await net.start_server(page, port=80)
        assert await curl(namespace, family) == OCTETS


async def test_tshark_finds_nothing_wrong(
    namespace: Any, attached: Any, needs: Any, family: int, tmp_path: Path
) -> None:
    needs("curl")
    needs("tshark")
    trace = Trace()
    async with attached(observer=trace) as net:
        await net.start_server(page, port=80)
        assert await curl(namespace, family) == OCTETS
    capture = tmp_path / "clean.pcapng"
    with capture.open("wb") as file:
        pcapng.write(trace, file)
    told = (await namespace.output("tshark", "-r", str(capture), "-q", "-z", "expert,note")).decode()
    remarks = [
        line.split(maxsplit=3)[3]
        for line in told.splitlines()
        if line.split()[:1] and line.split()[0].isdigit()
    ]
    assert sorted(remarks) == [
        "This frame initiates the connection closing",
        "This frame undergoes the connection closing",
    ], told[:2000]
