"""Segments signed for the Linux kernel, and by it: TCP MD5 everywhere, TCP-AO where the kernel was built with
it (6.7 and later).
"""

import asyncio
import errno
import random
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest

from postel import Key, Keychain
from postel.tcp.authentication.keys import Algorithm
from tests.kernel.conftest import KERNEL, POSTEL, unless

TCP_MD5SIG = 14
TCP_AO_ADD_KEY = 38
OCTETS = random.Random(5).randbytes(300_000)
SECRET = b"a secret of both"
OURS, KERNELS = 61, 84  # KeyIDs
NAMES = {"SHA1": b"hmac(sha1)", "AES128": b"cmac(aes128)"}

Sign = Callable[[socket.socket, int, bytes], None]  # a kernel's socket, for that family, with that secret


def storage(family: int) -> bytes:
    """Postel's address as a `sockaddr_storage`."""
    if family == 4:
        name = struct.pack("=HH4s", socket.AF_INET, 0, socket.inet_pton(socket.AF_INET, POSTEL[4]))
    else:
        name = struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, socket.inet_pton(socket.AF_INET6, POSTEL[6]), 0)
    return name.ljust(128, b"\0")


def sign_with_md5(sock: socket.socket, family: int, secret: bytes) -> None:
    value = storage(family) + struct.pack("=BBHi80s", 0, 0, len(secret), 0, secret)
    require(lambda: sock.setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG, value), "CONFIG_TCP_MD5SIG")


def sign_with_ao(algorithm: Algorithm) -> Sign:
    def sign(sock: socket.socket, family: int, secret: bytes) -> None:
        prefix = 32 if family == 4 else 128
        numbers = struct.pack("=iIHBBBBBB", 0, 0, 0, prefix, KERNELS, OURS, 12, 0, len(secret))
        value = storage(family) + NAMES[algorithm].ljust(64, b"\0") + numbers + secret.ljust(80, b"\0")
        require(lambda: sock.setsockopt(socket.IPPROTO_TCP, TCP_AO_ADD_KEY, value), "CONFIG_TCP_AO")

    return sign


def require(call: Callable[[], None], option: str) -> None:
    try:
        call()
    except OSError as error:
        if error.errno != errno.ENOPROTOOPT:
            raise
        if option == "CONFIG_TCP_AO":  # many kernels have none, CI's too
            pytest.skip(f"this kernel is built without {option}")
        unless(False, f"this kernel is built without {option}")


def keys(algorithm: Algorithm, secret: bytes = SECRET) -> Keychain:
    ids = {} if algorithm == "MD5" else {"send_id": OURS, "receive_id": KERNELS}
    return Keychain(Key(secret, algorithm=algorithm, **ids))


@pytest.fixture(
    params=[("MD5", sign_with_md5), ("SHA1", sign_with_ao("SHA1")), ("AES128", sign_with_ao("AES128"))],
    ids=["MD5", "SHA1", "AES128"],
)
def signed(request: pytest.FixtureRequest) -> Any:
    return request.param


def octets_for(algorithm: Algorithm) -> bytes:
    """AES in Python takes its time."""
    return OCTETS[:20_000] if algorithm == "AES128" else OCTETS


def echo(listener: socket.socket) -> None:
    accepted, _ = listener.accept()
    with accepted:
        while data := accepted.recv(65536):
            accepted.sendall(data)


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> bytes:
    async def give() -> None:
        writer.write(data)
        await writer.drain()
        writer.write_eof()

    giving = asyncio.ensure_future(give())
    received = await reader.read()
    await giving
    writer.close()
    return received


async def test_postel_calls_the_kernel(namespace: Any, attached: Any, family: int, signed: Any) -> None:
    algorithm, sign = signed
    async with attached() as net:
        with namespace.listening(family) as listener:
            sign(listener, family, SECRET)
            echoing = asyncio.ensure_future(asyncio.to_thread(echo, listener))
            streams = await net.open_connection(
                KERNEL[family], listener.getsockname()[1], keys=keys(algorithm)
            )
            data = octets_for(algorithm)
            assert await exchange(*streams, data) == data
            await echoing
        assert not [name for name in net.host.statistics() if name.startswith("dropped_signature")]


async def test_the_kernel_calls_postel(namespace: Any, attached: Any, family: int, signed: Any) -> None:
    algorithm, sign = signed
    data = octets_for(algorithm)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(len(data)))
        writer.close()

    async with attached() as net:
        server = await net.start_server(answer, POSTEL[family], keys=keys(algorithm))
        with namespace.stream(family) as caller:
            sign(caller, family, SECRET)
            received = await asyncio.to_thread(
                call, caller, (POSTEL[family], server.sockets[0].getsockname()[1]), data
            )
        assert received == data
        assert not [name for name in net.host.statistics() if name.startswith("dropped_signature")]


def call(caller: socket.socket, address: tuple[str, int], data: bytes) -> bytes:
    caller.connect(address)
    caller.sendall(data)
    received = b""
    while more := caller.recv(65536):
        received += more
    return received


@pytest.mark.parametrize("secret", [b"", b"another secret"], ids=["none", "another"])
async def test_the_kernel_without_the_secret_is_not_answered(
    namespace: Any, attached: Any, family: int, signed: Any, secret: bytes
) -> None:
    algorithm, sign = signed
    async with attached() as net:
        server = await net.start_server(lambda *_: None, POSTEL[family], keys=keys(algorithm))
        with namespace.stream(family) as caller:
            if secret:
                sign(caller, family, secret)
            caller.settimeout(0.3)
            with pytest.raises(TimeoutError):
                await asyncio.to_thread(caller.connect, (POSTEL[family], server.sockets[0].getsockname()[1]))
        figures = net.host.statistics()
        assert figures["dropped_signature_wrong" if secret else "dropped_signature_missing"] >= 1
        assert figures["segments_sent"] == 0


async def test_losses_and_reordering_under_md5(namespace: Any, attached: Any, family: int) -> None:
    async with attached(rough={"seed": 3, "loss": 0.02, "reorder": 0.02}) as net:
        with namespace.listening(family) as listener:
            sign_with_md5(listener, family, SECRET)
            echoing = asyncio.ensure_future(asyncio.to_thread(echo, listener))
            streams = await net.open_connection(KERNEL[family], listener.getsockname()[1], keys=keys("MD5"))
            assert await exchange(*streams, OCTETS) == OCTETS
            await echoing
