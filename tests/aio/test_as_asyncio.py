"""Programs that know asyncio alone do the same, and fail in the same words, on asyncio's loop and on
Postel's.
"""

import asyncio
import gc
import re
import socket
import ssl
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from postel import aio
from postel.host.host import Host
from postel.links import pair

HERE = "127.0.0.1"
Program = Callable[[Any], Coroutine[Any, Any, Any]]
PROGRAMS: dict[str, Program] = {}


def program(function: Program) -> Program:
    PROGRAMS[function.__name__] = function
    return function


# Where Postel says more than the system, or calls it otherwise
OURS = {
    r"<.*>": "<it>",
    r"192\.0\.2\.1 is not an address of this host": "Cannot assign requested address",
    r": 'no such name.invalid' \(the network has no resolver\)": "",
    r"\d{4,5}|0x[0-9a-f]+": "N",
}


def told(call: Any) -> Any:
    """What an exception is to a program that catches it."""
    if isinstance(call, ExceptionGroup):
        return "ExceptionGroup", call.message, [told(each) for each in call.exceptions]
    kind = next(
        each for each in type(call).__mro__ if each.__module__ in ("builtins", "socket", "asyncio.exceptions")
    )
    text = str(call)
    for ours, theirs in OURS.items():
        text = re.sub(ours, theirs, text)
    return kind.__name__, getattr(call, "errno", None), text


async def outcome(coroutine: Any) -> Any:
    """Its result, or what it raises."""
    try:
        return await asyncio.wait_for(coroutine, 10)
    except Exception as error:  # noqa: BLE001
        return told(error)


async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write((await reader.read(100)).upper())
    with suppress(OSError):
        await writer.drain()
    writer.close()


async def ask(*address: Any, **options: Any) -> bytes:
    reader, writer = await asyncio.open_connection(*address, **options)
    writer.write(b"who")
    answer = await reader.read()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return answer


class Served:
    """A server of `upper`, and its port."""

    def __init__(self, *address: Any, **options: Any) -> None:
        self._made = asyncio.start_server(upper, *(address or (HERE, 0)), **options)

    async def __aenter__(self) -> Any:
        self.server = await self._made
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        await self.server.wait_closed()


def closed_port() -> int:
    return 9


# Connections


@program
async def plain(loop: Any) -> Any:
    async with Served() as there:
        return await ask(HERE, there.port)


@program
async def refused(loop: Any) -> Any:
    return await outcome(ask(HERE, closed_port()))


@program
async def port_as_text(loop: Any) -> Any:
    async with Served() as there:
        return await ask(HERE, str(there.port))


@program
async def host_as_bytes(loop: Any) -> Any:
    async with Served() as there:
        return await ask(HERE.encode(), there.port)


@program
async def localhost(loop: Any) -> Any:
    async with Served() as there:
        return await ask("localhost", there.port)


@program
async def no_host(loop: Any) -> Any:
    async with Served() as there:
        return await ask(None, there.port)


@program
async def of_a_family(loop: Any) -> Any:
    async with Served() as there:
        return await ask(HERE, there.port, family=socket.AF_INET), await outcome(
            ask(HERE, there.port, family=socket.AF_INET6)
        )


@program
async def of_a_protocol(loop: Any) -> Any:
    async with Served() as there:
        return (
            await ask(HERE, there.port, proto=socket.IPPROTO_TCP),
            await outcome(ask(HERE, there.port, proto=socket.IPPROTO_UDP)),
            await ask(HERE, there.port, flags=socket.AI_NUMERICHOST),
            await outcome(ask("localhost", there.port, flags=socket.AI_NUMERICHOST)),
        )


@program
async def from_an_address(loop: Any) -> Any:
    seen: list[Any] = []

    async def note(reader: Any, writer: Any) -> None:
        seen.append(writer.get_extra_info("peername")[0])
        await upper(reader, writer)

    server = await asyncio.start_server(note, HERE, 0)
    port = server.sockets[0].getsockname()[1]
    answer = await ask(HERE, port, local_addr=(HERE, 0))
    taken = await outcome(ask(HERE, port, local_addr=("192.0.2.1", 0)))
    mixed = await outcome(ask(HERE, port, local_addr=("::1", 0)))
    named = await ask(HERE, port, local_addr=("localhost", 0))
    server.close()
    await server.wait_closed()
    return answer, seen, taken, mixed, named


@program
async def several_addresses_in_turn(loop: Any) -> Any:
    """The first is refused, the second answers."""
    async with Served() as there:
        found = await Several(loop, [(HERE, closed_port()), (HERE, there.port)]).ask()
        none = await outcome(Several(loop, [(HERE, closed_port()), (HERE, closed_port())]).ask())
        other = await outcome(Several(loop, [(HERE, closed_port()), ("127.0.0.2", closed_port())]).ask())
        return found, none, other


@program
async def several_addresses_at_once(loop: Any) -> Any:
    async with Served() as there:
        eyeballs = {"happy_eyeballs_delay": 0.01}
        return (
            await Several(loop, [(HERE, closed_port()), (HERE, there.port)]).ask(**eyeballs),
            await Several(loop, [(HERE, there.port)]).ask(**eyeballs, interleave=2),
            await outcome(
                Several(loop, [(HERE, closed_port()), ("127.0.0.2", closed_port())]).ask(**eyeballs)
            ),
        )


@program
async def all_errors(loop: Any) -> Any:
    return await outcome(
        Several(loop, [(HERE, closed_port()), ("127.0.0.2", closed_port())]).ask(all_errors=True)
    )


class Several:
    """A program's loop on which a name has several addresses: a subclass of whatever loop it is on would do
    the same.
    """

    def __init__(self, loop: Any, addresses: list[tuple[str, int]]) -> None:
        self._loop = loop
        self._addresses = addresses

    async def ask(self, **options: Any) -> bytes:
        original = self._loop.getaddrinfo

        async def found(*_: Any, **__: Any) -> Any:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in self._addresses]

        self._loop.getaddrinfo = found
        try:
            return await ask("several.example", 1, **options)
        finally:
            self._loop.getaddrinfo = original


@program
async def wrong_arguments(loop: Any) -> Any:
    sock = socket.socket()
    datagrams = socket.socket(type=socket.SOCK_DGRAM)
    context = ssl.create_default_context()
    make: Any = asyncio.Protocol
    calls: list[Any] = [
        loop.create_connection(make),
        loop.create_connection(make, HERE, 80, sock=sock),
        loop.create_connection(make, sock=datagrams),
        loop.create_connection(make, HERE, 80, server_hostname="x"),
        loop.create_connection(make, HERE, 80, ssl_handshake_timeout=1),
        loop.create_connection(make, HERE, 80, ssl_shutdown_timeout=1),
        loop.create_connection(make, sock=sock, ssl=context),
        loop.create_connection(make, "no such name.invalid", 80),
        loop.create_connection(make, HERE, "no such service"),
        loop.create_server(make),
        loop.create_server(make, HERE, 80, sock=sock),
        loop.create_server(make, sock=datagrams),
        loop.create_server(make, HERE, 0, ssl=True),
        loop.create_server(make, HERE, 0, ssl_handshake_timeout=1),
        loop.create_server(make, HERE, 0, ssl_shutdown_timeout=1),
        loop.create_server(make, "192.0.2.1", 0),
        loop.create_datagram_endpoint(make),
        loop.create_datagram_endpoint(make, HERE),
        loop.create_datagram_endpoint(make, (HERE, 0), sock=datagrams),
        loop.create_datagram_endpoint(make, sock=sock),
        loop.create_datagram_endpoint(make, (HERE, 0), ("::1", 1)),
        loop.create_datagram_endpoint(make, ("192.0.2.1", 0)),
        loop.connect_accepted_socket(make, datagrams),
    ]
    told = [await outcome(call) for call in calls]
    sock.close()
    datagrams.close()
    return told


# Servers


@program
async def servers_addresses(loop: Any) -> Any:
    shown = []
    for host, family in (
        (HERE, 0),
        (None, socket.AF_INET),
        ("", socket.AF_INET),
        ([HERE, "127.0.0.2"], 0),
        ([HERE, HERE], 0),
    ):
        server = await asyncio.start_server(upper, host, 0, family=family)
        shown.append(sorted((sock.getsockname()[0], sock.family, sock.type) for sock in server.sockets))
        server.close()
        await server.wait_closed()
    return shown


@program
async def server_of_both_families(loop: Any) -> Any:
    server = await asyncio.start_server(upper, None, 0)
    families = sorted(sock.family for sock in server.sockets)
    port = next(sock.getsockname()[1] for sock in server.sockets if sock.family == socket.AF_INET)
    answer = await ask(HERE, port)
    server.close()
    await server.wait_closed()
    return families, answer


@program
async def address_in_use(loop: Any) -> Any:
    async with Served() as there:
        return (
            await outcome(asyncio.start_server(upper, HERE, there.port)),
            await outcome(asyncio.start_server(upper, HERE, there.port, reuse_address=False)),
        )


@program
async def options_of_a_server(loop: Any) -> Any:
    keep = {"keep_alive": True} if sys.version_info >= (3, 13) else {}
    async with Served(HERE, 0, reuse_port=True, reuse_address=True, backlog=1, **keep) as there:
        sock = there.server.sockets[0]
        shown = [
            sock.getsockopt(socket.SOL_SOCKET, option)
            for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT, socket.SO_KEEPALIVE)
        ]
        return shown, await ask(HERE, there.port)


@program
async def serving_later(loop: Any) -> Any:
    server = await asyncio.start_server(upper, HERE, 0, start_serving=False)
    port = server.sockets[0].getsockname()[1]
    before = server.is_serving(), await outcome(ask(HERE, port))
    await server.start_serving()
    after = server.is_serving(), await ask(HERE, port)
    server.close()
    await server.wait_closed()
    return before[0], before[1][0], after, server.is_serving(), server.sockets


@program
async def serving_for_ever(loop: Any) -> Any:
    server = await asyncio.start_server(upper, HERE, 0)
    async with server:
        forever = asyncio.ensure_future(server.serve_forever())
        await asyncio.sleep(0)
        twice = await outcome(server.serve_forever())
        forever.cancel()
        with suppress(asyncio.CancelledError):
            await forever
    return twice[0], server.is_serving()


@program
async def closing_a_server_leaves_its_connections(loop: Any) -> Any:
    server = await asyncio.start_server(upper, HERE, 0)
    reader, writer = await asyncio.open_connection(HERE, server.sockets[0].getsockname()[1])
    writer.write(b"")
    await asyncio.sleep(0.01)
    server.close()
    writer.write(b"still")
    answer = await reader.read()
    writer.close()
    await server.wait_closed()
    return answer


@program
async def context_variables(loop: Any) -> Any:
    """Those of the program that made the server, and of each connection, apart from those of others."""
    variable: Any = __import__("contextvars").ContextVar("variable", default="unset")
    seen: list[Any] = []

    class Noting(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            seen.append(variable.get())
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            seen.append(variable.get())
            variable.set(data.decode())
            self.transport.write(data)

    variable.set("server's")
    server = await loop.create_server(Noting, HERE, 0)
    variable.set("client's")
    port = server.sockets[0].getsockname()[1]
    for text in (b"one", b"two"):
        reader, writer = await asyncio.open_connection(HERE, port)
        for _ in range(2):
            writer.write(text)
            await reader.read(3)
        writer.close()
        await writer.wait_closed()
    server.close()
    return seen


# Datagrams


class Hearing(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.trouble: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if not self.heard.done():
            self.heard.set_result((data, addr[0]))

    def error_received(self, exc: Exception) -> None:
        if not self.trouble.done():
            self.trouble.set_result(
                type(exc).__mro__[1 if type(exc).__module__ != "builtins" else 0].__name__
            )


@program
async def datagrams(loop: Any) -> Any:
    there, server = await loop.create_datagram_endpoint(Hearing, (HERE, 0))
    port = there.get_extra_info("sockname")[1]
    here, client = await loop.create_datagram_endpoint(
        Hearing, remote_addr=("localhost", str(port)), family=socket.AF_INET
    )
    here.sendto(b"who")
    heard = await server.heard
    there.sendto(b"me", here.get_extra_info("sockname"))
    answer = await client.heard
    shown = (
        here.get_extra_info("peername")[0],
        there.get_extra_info("peername"),
        here.get_extra_info("socket").type,
    )
    wrong = []
    for address in ((HERE, 1), "nonsense"):
        try:
            here.sendto(b"x", address)
        except Exception as error:  # noqa: BLE001
            wrong.append(isinstance(error, ValueError))
    here.close()
    there.close()
    await asyncio.sleep(0)
    return heard, answer, shown, wrong


@program
async def datagrams_of_a_family(loop: Any) -> Any:
    transport, _ = await loop.create_datagram_endpoint(
        Hearing, family=socket.AF_INET, reuse_port=True, allow_broadcast=True
    )
    sock = transport.get_extra_info("socket")
    shown = [
        sock.getsockopt(socket.SOL_SOCKET, option) for option in (socket.SO_REUSEPORT, socket.SO_BROADCAST)
    ]
    transport.close()
    return shown, transport.is_closing()


# Names


@program
async def names(loop: Any) -> Any:
    calls: list[tuple[Any, dict[str, Any]]] = [
        ((HERE, 80), {}),
        ((HERE, 80), {"type": socket.SOCK_STREAM}),
        ((HERE, "80"), {"type": socket.SOCK_DGRAM}),
        ((HERE, b"http"), {"type": socket.SOCK_STREAM}),
        ((HERE, "http"), {}),
        ((HERE, "domain"), {"proto": socket.IPPROTO_UDP}),
        ((HERE, None), {"type": socket.SOCK_STREAM}),
        ((None, 80), {"type": socket.SOCK_STREAM}),
        ((None, 80), {"type": socket.SOCK_STREAM, "flags": socket.AI_PASSIVE}),
        ((None, 80), {"type": socket.SOCK_STREAM, "family": socket.AF_INET, "flags": socket.AI_PASSIVE}),
        (("::1", 80), {"type": socket.SOCK_STREAM}),
        (("::1%3", 80), {"type": socket.SOCK_STREAM}),
        (("127.1", 80), {"type": socket.SOCK_STREAM}),
        (("localhost", 80), {"type": socket.SOCK_STREAM, "family": socket.AF_INET}),
        ((HERE, 80), {"type": socket.SOCK_STREAM, "flags": socket.AI_CANONNAME}),
        ((HERE, 80), {"family": socket.AF_INET6}),
        ((HERE, 80), {"type": socket.SOCK_STREAM, "proto": socket.IPPROTO_UDP}),
        ((HERE, 80), {"type": 9}),
        ((HERE, "nonsense"), {}),
        ((HERE, "http"), {"flags": socket.AI_NUMERICSERV}),
        (("localhost", 80), {"flags": socket.AI_NUMERICHOST}),
        (("", 80), {}),
        ((None, None), {}),
        ((HERE, 70000), {"type": socket.SOCK_STREAM}),
        ((HERE, -1), {}),
    ]
    found = [await outcome(loop.getaddrinfo(*arguments, **options)) for arguments, options in calls]
    flags = socket.NI_NUMERICHOST
    back = [
        await outcome(loop.getnameinfo(address, number | flags))
        for address in ((HERE, 80), ("::1", 53, 0, 0))
        for number in (0, socket.NI_NUMERICSERV, socket.NI_DGRAM)
    ]
    return found, back


# TLS


@program
async def tls(loop: Any) -> Any:
    server_side, client_side = CONTEXTS
    async with Served(HERE, 0, ssl=server_side, ssl_handshake_timeout=5, ssl_shutdown_timeout=5) as there:
        first = await ask(
            HERE, there.port, ssl=client_side, server_hostname="far.example", ssl_handshake_timeout=5
        )
        by_address = await outcome(ask(HERE, there.port, ssl=client_side))
        stranger = await outcome(ask(HERE, there.port, ssl=client_side, server_hostname="other.example"))
        reader, writer = await asyncio.open_connection(HERE, there.port)
        await writer.start_tls(client_side, server_hostname="far.example")
        writer.write(b"late")
        late = await reader.read()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    return first, by_address[0], stranger[0], late


CONTEXTS: list[Any] = []


# Both


def on_asyncio(main: Program) -> Any:
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return run(runner, main)


def on_postel(main: Program) -> Any:
    left, _right = pair()
    with asyncio.Runner(loop_factory=aio.loop_factory(Host("10.7.0.1/24", "fd07::1/64"), left)) as runner:
        return run(runner, main)


def run(runner: asyncio.Runner, main: Program) -> Any:
    blamed: list[Any] = []

    async def whole() -> Any:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: blamed.append(context))
        return await main(loop)

    answer = runner.run(asyncio.wait_for(whole(), 30))
    gc.collect()
    return answer, [each["message"] for each in blamed if "SSL" not in each["message"]]


@pytest.mark.skipif(sys.platform != "linux", reason="the words are those of Linux")
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_does_the_same_as_on_asyncios_loop(name: str, certificates: Any) -> None:
    CONTEXTS[:] = [certificates.server, certificates.client]
    assert on_postel(PROGRAMS[name]) == on_asyncio(PROGRAMS[name])
