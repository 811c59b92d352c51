"""Libraries as they come from PyPI, between two computers with Postel's sockets.

In real time they are joined by a link in memory; in virtual time they are in a world, 10 ms apart. A test is
written once, as two functions: one serves, until the other has asked. Afterwards both hosts must have
received packets, and the machine's own network must have seen none: an audit hook tells each connection and
each datagram that leaves by a real socket.
"""

import asyncio
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

import pytest
import trustme

from postel import aio
from postel.host.host import Host
from postel.links import pair
from postel.sim import Simulation, Witness

T = TypeVar("T")
Serving = Callable[[], AbstractAsyncContextManager[Any]]

SERVER, SERVER_6 = "10.0.0.1", "fd00::1"
CLIENT, CLIENT_6 = "10.0.0.2", "fd00::2"
OPENSSL = "keys are drawn by OpenSSL, inside the machine"
# Seconds until a test that hangs fails, in virtual time and in real time
PATIENCE = {False: 60.0, True: 3000.0}

_leaving: list[str] = []
_LEAVES = {
    "socket.connect",
    "socket.sendto",
    "socket.sendmsg",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.getnameinfo",
}


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _LEAVES and getattr(arguments[0], "family", socket.AF_INET) != socket.AF_UNIX:
        _leaving.append(f"{event}{arguments[1:]}")


sys.addaudithook(_audit)  # for good: the interpreter has no way to take it off


class Names:
    """What the two are called."""

    async def addresses(self, name: str) -> list[str]:
        return {"server": [SERVER, SERVER_6], "client": [CLIENT, CLIENT_6]}.get(name, [])


class Computer:
    """In real time: a host, its network, and tasks with sockets on it."""

    def __init__(self, network: aio.Network) -> None:
        self.network = network
        self.host = network.host

    def run(self, function: Callable[..., Awaitable[T]], *arguments: object) -> "asyncio.Task[T]":
        async def work() -> T:
            async with self.network.as_default():
                return await function(*arguments)

        return asyncio.ensure_future(work())


@asynccontextmanager
async def in_real_time() -> AsyncIterator[tuple[Computer, Computer]]:
    async with AsyncExitStack() as stack:
        computers = []
        for addresses, link in zip(((SERVER, SERVER_6), (CLIENT, CLIENT_6)), pair(queue=10_000), strict=True):
            host = Host(f"{addresses[0]}/24", f"{addresses[1]}/64", secret=addresses[0].encode())
            network = await stack.enter_async_context(aio.attach(host, link))
            network.resolver = Names()
            computers.append(Computer(network))
        yield computers[0], computers[1]


async def _converse(
    server: Any, client: Any, serving: Serving, ask: Callable[[], Awaitable[T]], patience: float
) -> T:
    """What ``ask`` returns on the client, while the server is inside ``serving``."""
    ready, done = asyncio.Event(), asyncio.Event()

    async def serve() -> None:
        async with serving():
            ready.set()
            await done.wait()

    task = asyncio.ensure_future(server.run(serve))
    waiting = asyncio.ensure_future(ready.wait())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        if not ready.is_set():
            await task  # raises what went wrong
        async with asyncio.timeout(patience):
            return await client.run(ask)
    finally:
        done.set()
        async with asyncio.timeout(patience):
            await task


class Packets(Witness):
    """When each packet was sent, by which computer, and what it was."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, str, bytes]] = []

    def carried(
        self, sender: str, receiver: str, octets: bytes, sent_at: int, arrives_at: int, delivered: bytes
    ) -> None:
        self.seen.append((sent_at, sender, octets))


class Stage:
    """Calls one function on the client while another serves. ``is_virtual`` tells which clock runs."""

    server, server_6 = SERVER, SERVER_6

    def __init__(self, *, is_virtual: bool) -> None:
        self.is_virtual = is_virtual
        self.arrived: dict[str, int] = {}
        self.packets: list[tuple[int, str, bytes]] = []

    def play(self, serving: Serving, ask: Callable[[], Awaitable[T]], *, varies: str = "") -> T:
        """What ``ask`` returns. In virtual time it is played twice: each packet must be sent at the same time
        and have the same length, and the same octets unless ``varies`` says where a library gets its chance
        from that a world can't know.
        """
        _leaving.clear()
        run = self._in_virtual_time if self.is_virtual else self._in_real_time
        answer = run(serving, ask)
        assert not _leaving, "octets went over the machine's own network"
        assert all(count >= 2 for count in self.arrived.values()), self.arrived
        if self.is_virtual:
            first = self.packets
            assert run(serving, ask) == answer
            assert [(when, who, len(octets)) for when, who, octets in self.packets] == [
                (when, who, len(octets)) for when, who, octets in first
            ]
            assert varies or self.packets == first
        return answer

    def _in_real_time(self, serving: Serving, ask: Callable[[], Awaitable[T]]) -> T:
        async def main() -> T:
            async with in_real_time() as (server, client):
                try:
                    return await _converse(server, client, serving, ask, PATIENCE[self.is_virtual])
                finally:
                    self._count(server, client)

        with asyncio.Runner(loop_factory=aio.Loop) as runner:
            return runner.run(main())

    def _in_virtual_time(self, serving: Serving, ask: Callable[[], Awaitable[T]]) -> T:
        packets = Packets()
        with Simulation(seed=1, sealed=True, observer=packets) as world:
            server, client = (
                world.host("server", f"{SERVER}/24", f"{SERVER_6}/64"),
                world.host("client", f"{CLIENT}/24", f"{CLIENT_6}/64"),
            )
            world.path(server, client, delay="10ms")
            try:
                return world.run(_converse(server, client, serving, ask, PATIENCE[True]))
            finally:
                self._count(server, client)
                self.packets = packets.seen

    def _count(self, server: Any, client: Any) -> None:
        self.arrived = {
            name: one.host.statistics()["packets_arrived"]
            for name, one in (("server", server), ("client", client))
        }


@pytest.fixture(params=["real", "virtual"])
def stage(request: pytest.FixtureRequest) -> Stage:
    return Stage(is_virtual=request.param == "virtual")


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.RSA)


@pytest.fixture(scope="session")
def certificate(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("server", SERVER, key_type=trustme.KeyType.RSA)


@pytest.fixture(scope="session")
def server_tls(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@pytest.fixture(scope="session")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="session")
def key_files(certificate: trustme.LeafCert, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The server's certificate and key, for libraries that want names of files."""
    place = tmp_path_factory.mktemp("keys")
    certificate.cert_chain_pems[0].write_to_path(place / "certificate")
    certificate.private_key_pem.write_to_path(place / "key")
    return str(place / "certificate"), str(place / "key")
