"""However a connection or its link ends: first what was received, then the reason, and everything that waits
hears of it.
"""

import asyncio
import errno
import gc
import os
import socket
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from postel import aio
from postel.errors import LinkClosed, LinkDown, LinkError
from postel.host.host import Host
from postel.host.routes import Routes
from postel.links import Link, MemoryLink, Tun, pair
from postel.links.exchange import MOST_FALSE_ALARMS
from postel.links.memory import EventBell, SocketBell
from postel.sim import DROP, World
from postel.sim.loop import run
from postel.tcp.config import Config
from postel.times import NEVER, SECOND
from postel.wire import icmp, ip

Networks = Callable[..., Any]
OCTETS = bytes(range(256)) * 537 + b"the last"  # more than a stream's reader takes at once
WORLD_CONFIG = Config(
    user_timeout=20 * SECOND,
    keep_alive=True,
    keep_alive_idle=5 * SECOND,
    keep_alive_interval=SECOND,
    keep_alive_probes=3,
)


# From Python 3.13 on, a writer that nothing holds closes its connection
kept: list[asyncio.StreamWriter] = []


async def keep(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    kept.append(writer)


async def keep_unread(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    kept.append(writer)
    writer.transport.pause_reading()  # type: ignore[attr-defined]


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0)


async def settled() -> None:
    """Nothing moves any more but by a timer."""
    for _ in range(200):
        await asyncio.sleep(0)


# What was received is delivered first


class Paused(asyncio.Protocol):
    def __init__(self) -> None:
        self.told: list[str] = []
        self.received = bytearray()
        self.error: Exception | None = None
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self.told.append("data")
        self.received += data

    def eof_received(self) -> bool:
        self.told.append("eof")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append("lost")
        self.error = exc


class PausedInBuffers(Paused, asyncio.BufferedProtocol):
    def get_buffer(self, sizehint: int) -> bytearray:
        self.buffer = bytearray(1000)
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(self.buffer[:nbytes])


class Ending:
    """Two hosts of a world; ``end`` lets their connection end in one of these ways once everything has
    arrived.
    """

    WAYS = {  # noqa: RUF012
        "reset": ConnectionResetError,
        "reset for unread octets": ConnectionResetError,
        "close": type(None),
        "close and silence": TimeoutError,
        "silence": TimeoutError,
        "the link": LinkError,
    }

    def __init__(self) -> None:
        self.world = World(1)
        self.near = self.world.host("near", "10.0.0.1/24", config=WORLD_CONFIG)
        self.far = self.world.host("far", "10.0.0.2/24", config=WORLD_CONFIG)
        self.world.path(self.near, self.far)

    def silence(self) -> None:
        self.world.rules.append(lambda *_: DROP)

    async def end(self, way: str, near: Any, near_transport: Any, far_writer: Any) -> None:
        if way == "reset":
            far_writer.transport.abort()
        elif way == "reset for unread octets":
            near_transport.write(b"never read")
            await asyncio.sleep(1)
            far_writer.close()
        elif way == "close":
            near_transport.write_eof()
            await asyncio.sleep(1)
            far_writer.close()
        elif way == "close and silence":
            far_writer.write_eof()
            await asyncio.sleep(1)
            self.silence()
        elif way == "silence":
            self.silence()
        else:
            near.link.fail = True
            near._running.wake()
        await asyncio.sleep(60)


class Failing(Link):
    """Another link, until its methods shall fail."""

    def __init__(self, inner: Link, error: Exception | None = None) -> None:
        self.inner = inner
        self.mtu = inner.mtu
        self.error = error or LinkError(errno.EIO, "the cable is cut")
        self.fail = False
        self.is_down = False
        self.calls = 0

    def fileno(self) -> int | None:
        return self.inner.fileno()

    def attached(self, routes: Routes) -> None:
        self.inner.attached(routes)

    def receive(self, now: int) -> bytes | None:
        self._may_fail()
        return self.inner.receive(now)

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        self._may_fail()
        if self.is_down:
            raise self.error
        return self.inner.send(packet, next_hop, now)

    def close(self) -> None:
        self.inner.close()

    def _may_fail(self) -> None:
        if self.fail:
            self.calls += 1
            raise self.error


@pytest.mark.parametrize("way", Ending.WAYS)
@pytest.mark.parametrize("kind", [Paused, PausedInBuffers])
def test_paused_protocol_gets_all_that_was_received_and_then_the_reason(way: str, kind: type[Paused]) -> None:
    ending = Ending()

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        async with (
            aio.attach(ending.near, Failing(loop.wire(ending.near))) as near,
            loop.attach(ending.far) as far,
        ):
            writers: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

            async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.transport.pause_reading()  # type: ignore[attr-defined]
                writer.write(b"answer")
                writers.put_nowait(writer)

            await far.start_server(serve, port=80)
            transport, protocol = await near.create_connection(kind, "10.0.0.2", 80)
            writer = await writers.get()
            await asyncio.sleep(1)
            if way == "silence":
                transport.write(b"into it")
            await ending.end(way, near, transport, writer)
            assert protocol.told == []
            transport.resume_reading()
            await asyncio.sleep(1)
            if way == "close":  # TIME-WAIT, until the program closes too
                assert protocol.told[:2] == ["data", "eof"]
                transport.close()
                await asyncio.sleep(0)
            assert protocol.received == b"answer"
            assert protocol.told[-1] == "lost"
            assert ("eof" in protocol.told) == way.startswith("close")
            assert isinstance(protocol.error, Ending.WAYS[way])
            writer.close()

    run(main(), ending.world)


@pytest.mark.parametrize("way", Ending.WAYS)
@pytest.mark.parametrize("how", ["read", "readexactly", "readuntil"])
def test_slow_reader_of_a_stream_gets_all_that_was_received_and_then_the_reason(way: str, how: str) -> None:
    ending = Ending()

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        async with (
            aio.attach(ending.near, Failing(loop.wire(ending.near))) as near,
            loop.attach(ending.far) as far,
        ):
            writers: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

            async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.transport.pause_reading()  # type: ignore[attr-defined]
                writer.write(OCTETS)
                writers.put_nowait(writer)

            await far.start_server(serve, port=80)
            reader, writer = await near.open_connection("10.0.0.2", 80, limit=16 * 1024)
            far_writer = await writers.get()
            await asyncio.sleep(2)
            received = bytearray(await reader.readexactly(1000))
            if way == "silence":
                writer.write(b"into it")
            await ending.end(way, near, writer.transport, far_writer)
            reason: BaseException | None = None
            calls: dict[str, Callable[[], Awaitable[bytes]]] = {
                "read": partial(reader.read, 1000),
                "readexactly": partial(reader.readexactly, 256),
                "readuntil": partial(reader.readuntil, b"\xff"),
            }
            try:
                while data := await calls[how]():
                    received += data
            except asyncio.IncompleteReadError as error:
                received += error.partial
            except Exception as error:  # noqa: BLE001
                reason = error
                with suppress(OSError):
                    received += await reader.read(100)
            if way == "close and silence":  # the end of the stream came before that of the connection
                reason = TimeoutError(*reader.exception().args)
            assert (len(received), bytes(received) == OCTETS) == (len(OCTETS), True)
            assert isinstance(reason, Ending.WAYS[way])
            if reason is not None:
                for call in (partial(reader.read, 1), reader.read, reader.readline, writer.drain):
                    with pytest.raises(type(reason)) as caught:
                        await call()
                    assert str(caught.value) == str(reason)
            writer.close()
            far_writer.close()

    run(main(), ending.world)


async def test_program_that_writes_hears_of_the_end_though_it_does_not_read(networks: Networks) -> None:
    """Else `loop.sendfile`, which pauses reading, would wait for ever."""
    async with networks() as both:
        accepted: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(b"unread")
            accepted.put_nowait(writer)

        await both.far.start_server(serve, port=80)
        for written in (bytes(10_000_000), b""):
            transport, protocol = await both.near.create_connection(Paused, "10.7.0.2", 80)
            writer = await accepted.get()
            connection = transport.get_extra_info("connection")
            await until(lambda: connection.readable == 6)  # noqa: B023
            transport.write(written)
            writer.transport.abort()
            await until(lambda: str(connection.state) == "CLOSED")  # noqa: B023
            transport.write(b"x")
            await asyncio.sleep(0)
            assert protocol.told == ["lost"]
            assert isinstance(protocol.error, ConnectionResetError)


# An unreachable network is the reason of the timeout


class Router:
    """Answers each packet with an ICMP error, the first ``most`` of them."""

    def __init__(self, code: int, most: int = 1 << 30) -> None:
        self.code = code
        self.most = most
        self.answers: list[bytes] = []

    def packet_arrives(self, octets: bytes, now: int) -> None:
        packet = ip.parse(octets)
        if self.most:
            self.most -= 1
            message = icmp.encode(icmp.unreachable(self.code, packet), packet.destination, packet.source)
            protocol = icmp.PROTOCOL_4 if packet.version == 4 else icmp.PROTOCOL_6
            self.answers.append(ip.encode(packet.destination, packet.source, protocol, message))

    def next_packet(self, now: int) -> bytes | None:
        return self.answers.pop() if self.answers else None

    @property
    def has_output(self) -> bool:
        return bool(self.answers)

    def next_event(self) -> None:
        return None

    def next_timeout(self) -> int:
        return NEVER

    def handle_timeout(self, now: int) -> None:
        pass


@pytest.mark.label("MUST-47", "MUST-56")
@pytest.mark.parametrize("code", [icmp.NO_HOST, icmp.NO_NETWORK, icmp.PROHIBITED])
@pytest.mark.parametrize(
    ("near_address", "far_address"), [("10.0.0.1/24", "10.0.0.2/24"), ("fd00::1/64", "fd00::2/64")]
)
@pytest.mark.parametrize("gives_up", ["never", "with asyncio.timeout", "with wait_for"])
def test_soft_error_is_the_reason_of_a_timeout(
    code: int, near_address: str, far_address: str, gives_up: str
) -> None:
    world = World(1)
    near, far = world.host("near", near_address), world.host("far", far_address)
    world.path(near, far)
    world.front(far, Router(code))
    expected = {
        icmp.NO_HOST: "host unreachable",
        icmp.NO_NETWORK: "network unreachable",
        icmp.PROHIBITED: "communication is prohibited",
    }[code]

    async def main() -> BaseException:
        loop: Any = asyncio.get_running_loop()
        async with loop.attach(near) as net:
            opening = net.open_connection(far_address.partition("/")[0], 80)
            try:
                if gives_up == "with asyncio.timeout":
                    async with asyncio.timeout(5):
                        await opening
                elif gives_up == "with wait_for":
                    await asyncio.wait_for(opening, 5)
                else:
                    await opening
            except TimeoutError as error:
                return error
        raise AssertionError("it was opened")

    error = run(main(), world)
    reasons = []
    step: BaseException | None = error
    while step is not None:
        reasons.append(str(step))
        step = step.__cause__ or step.__context__
    assert any(expected in reason for reason in reasons)
    if gives_up == "never":
        assert isinstance(error, OSError)
        assert error.errno == errno.ETIMEDOUT
        assert expected in str(error)
        assert isinstance(error.__cause__, OSError)


@pytest.mark.label("MUST-56")
def test_soft_error_that_the_connection_has_survived_is_no_reason() -> None:
    ending = Ending()
    router = Router(icmp.NO_HOST, most=1)

    async def main() -> BaseException | None:
        loop: Any = asyncio.get_running_loop()
        async with loop.attach(ending.near) as near, loop.attach(ending.far) as far:
            await far.start_server(keep, port=80)
            reader, writer = await near.open_connection("10.0.0.2", 80)
            wire = far.link
            ending.world.front(ending.far, router)
            writer.write(b"lost once")
            await asyncio.sleep(0.5)
            ending.world.front(ending.far, wire)
            await asyncio.sleep(10)
            assert writer.get_extra_info("connection").unacknowledged == 0
            assert writer.get_extra_info("connection").error is None
            await asyncio.sleep(100)
            ending.silence()
            writer.write(b"lost for good")
            await asyncio.sleep(100)
            with pytest.raises(TimeoutError) as caught:
                await reader.read()
            writer.close()
            return caught.value

    error = run(main(), ending.world)
    assert error is not None
    assert (str(error), error.__cause__) == (
        "[Errno 110] 10.0.0.2:80: connection aborted due to user timeout",
        None,
    )


# A link that ends


def cut() -> Exception:
    return LinkError(errno.EIO, "the cable is cut")


ERRORS: dict[str, Callable[[], Exception]] = {
    "LinkError": cut,
    "OSError": lambda: OSError(errno.ENODEV, "no such device"),
    "ConnectionResetError": lambda: ConnectionResetError(errno.ECONNRESET, "reset by peer"),
    "OSError without a number": lambda: OSError("gone"),
    "a mistake": lambda: RuntimeError("a mistake in a link"),
}


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        await reader.read()
    writer.close()


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("method", ["receive", "send"])
async def test_everything_that_waits_hears_of_the_links_end(
    error: Callable[[], Exception], method: str
) -> None:
    blamed: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: blamed.append(context))
    left, right = pair()
    link = Failing(left, error())
    async with (
        aio.attach(Host("10.7.0.2/24", secret=b"far"), right) as far,
        aio.attach(Host("10.7.0.1/24", secret=b"near"), link) as near,
    ):
        await far.start_server(keep_unread, port=80)
        server = await near.start_server(hold, port=81)
        reader, writer = await near.open_connection("10.7.0.2", 80)
        back_reader, back_writer = await far.open_connection("10.7.0.1", 81)
        _, drained = await near.open_connection("10.7.0.2", 80)
        drained.write(bytes(20_000_000))
        lost: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        class Datagrams(asyncio.DatagramProtocol):
            def connection_lost(self, exc: Exception | None) -> None:
                lost.set_result(exc)

        datagrams, _ = await near.create_datagram_endpoint(Datagrams, local_addr=("10.7.0.1", 53))

        async def in_a_group() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(server.serve_forever())

        waiting: list[Awaitable[Any]] = [
            asyncio.ensure_future(waits)
            for waits in (reader.read(), drained.drain(), near.open_connection("10.7.0.99", 80), in_a_group())
        ]
        await until(lambda: near.host.statistics()["connections"] == 4)
        await settled()
        link.fail = True
        if method == "receive":
            far.link.send(b"anything", b"", 0)
        else:
            datagrams.sendto(b"anything", ("10.7.0.2", 53))
        results = await asyncio.gather(*waiting, return_exceptions=True)
        for result in results[:3]:
            assert isinstance(result, LinkError)
            assert result.errno
        assert isinstance(results[3], BaseExceptionGroup)
        assert isinstance(results[3].exceptions[0], LinkError)
        assert isinstance(await lost, LinkError)
        assert link.calls == 1
        await server.wait_closed()
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: near.open_connection("10.7.0.2", 80),
            lambda: near.start_server(hold, port=82),
            lambda: near.create_datagram_endpoint(asyncio.DatagramProtocol),
            server.serve_forever,
            reader.read,
            writer.drain,
            writer.wait_closed,
        ]
        for call in calls:
            with pytest.raises(LinkError):
                await call()
        assert near.host.statistics()["memory_used"] == 0
        assert list(near.host.connections()) == []
        assert left.fileno() == -1
        back_writer.transport.abort()
        with suppress(OSError):
            await back_reader.read()
    assert blamed == []


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("method", ["receive", "send"])
async def test_link_that_dies_while_its_network_closes_ends_the_waiting(
    error: Callable[[], Exception], method: str
) -> None:
    left, right = pair()
    link = Failing(left, error())
    async with aio.attach(Host("10.7.0.2/24", secret=b"far"), right) as far:
        near = aio.attach(Host("10.7.0.1/24", secret=b"near"), link, linger=1000)
        async with near:
            await far.start_server(keep_unread, port=80)
            _, writer = await near.open_connection("10.7.0.2", 80)
            writer.write(bytes(10_000_000))
            writer.close()
            closing = asyncio.ensure_future(near.close())
            await settled()
            assert not closing.done()
            link.fail = True
            if method == "receive":
                far.link.send(b"anything", b"", 0)
            else:
                near._running.wake()  # type: ignore[union-attr]
                near.host.forget_cookies()
                writer.get_extra_info("connection").abort(near._running.now())  # type: ignore[union-attr]
            await closing
    assert link.calls == 1
    assert left.fileno() == -1


class Silent(MemoryLink):
    """Says that a packet waits, and gives none: at its end, as some descriptors are."""

    calls = 0

    def receive(self, now: int) -> bytes | None:
        self.calls += 1
        return None


async def test_link_that_is_readable_for_ever_is_at_its_end() -> None:
    left, right = pair()
    link = Silent(1500, 10, EventBell if hasattr(os, "eventfd") else SocketBell)
    right.peer = link
    link.peer = right
    async with aio.attach(Host("10.7.0.1/24", secret=b"near"), link) as net:
        waiting = asyncio.ensure_future(net.open_connection("10.7.0.2", 80))
        right.send(b"anything", b"", 0)
        with pytest.raises(LinkError, match="at its end"):
            await waiting
        assert MOST_FALSE_ALARMS < link.calls < MOST_FALSE_ALARMS + 10
    left.close()
    right.close()


@pytest.mark.parametrize("how", ["closed", "left"])
async def test_network_ends_where_the_other_end_of_its_memory_link_is_closed(how: str) -> None:
    left, right = pair()
    async with aio.attach(Host("10.7.0.1/24", secret=b"near"), left) as net:
        server = await net.start_server(hold, port=80)
        serving = asyncio.ensure_future(server.serve_forever())
        waiting = asyncio.ensure_future(net.wait_closed())
        await asyncio.sleep(0)
        if how == "closed":
            right.close()
        else:
            async with aio.attach(Host("10.7.0.2/24", secret=b"far"), right):
                pass
        for task in (serving, waiting):
            with pytest.raises(LinkClosed, match="the other end of the memory link is closed"):
                await task


async def test_reset_in_front_of_the_end_of_a_link_is_what_a_connection_hears() -> None:
    left, right = pair()
    far = Host("10.7.0.2/24", secret=b"far")
    listener = far.listen(80, 0)

    def pump() -> None:
        while (packet := right.receive(0)) is not None:
            far.packet_arrives(packet, 0)
        while (packet := far.next_packet(0)) is not None:
            right.send(packet, b"", 0)

    async with aio.attach(Host("10.7.0.1/24", secret=b"near"), left) as near:
        opening = asyncio.ensure_future(near.open_connection("10.7.0.2", 80))
        while not opening.done():
            pump()
            await asyncio.sleep(0)
        reader, _writer = await opening
        pump()
        connection = listener.accept()
        assert connection is not None
        connection.abort(0)
        pump()
        right.close()
        with pytest.raises(ConnectionResetError, match="reset"):
            await reader.read()
        with pytest.raises(LinkClosed):
            await near.wait_closed()


@pytest.mark.parametrize("kind", [socket.SOCK_SEQPACKET, socket.SOCK_STREAM])
async def test_descriptor_whose_other_side_has_closed_ends_the_network(kind: socket.SocketKind) -> None:
    inner, outer = socket.socketpair(socket.AF_UNIX, kind)
    async with aio.attach(Host("10.7.0.1/24", secret=b"near"), Tun("relay", fd=inner.detach())) as net:
        server = await net.start_server(hold, port=80)
        serving = asyncio.ensure_future(server.serve_forever())
        await asyncio.sleep(0)
        outer.close()
        with pytest.raises(LinkError, match="relay is at its end"):
            await serving


async def test_empty_datagram_of_a_relay_is_no_end() -> None:
    inner, outer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with outer:
        async with aio.attach(Host("10.7.0.1/24", secret=b"near"), Tun("relay", fd=inner.detach())) as net:
            before = net.host.statistics()["packets_arrived"]
            for packet in (b"", b"", b"anything"):
                outer.send(packet)
            await until(lambda: net.host.statistics()["packets_arrived"] > before)
            assert net._error is None


async def test_closed_link_is_refused_when_the_network_is_entered_and_told_at_its_next_use() -> None:
    left, right = pair()
    left.close()
    with pytest.raises(LinkError, match="closed"):
        async with aio.attach(Host("10.7.0.1/24", secret=b"near"), left):
            raise AssertionError("entered")
    left, other = pair()
    async with aio.attach(Host("10.7.0.1/24", secret=b"near"), left) as net:
        left.close()
        with pytest.raises(LinkError, match="closed"):
            await net.open_connection("10.7.0.2", 80)
    right.close()
    other.close()


@pytest.mark.parametrize("in_thread", [False, True])
async def test_link_that_the_program_closes_is_told_to_everything_that_waits(*, in_thread: bool) -> None:
    left, right = pair()
    async with (
        aio.attach(Host("10.7.0.2/24", secret=b"far"), right) as far,
        aio.attach(Host("10.7.0.1/24", secret=b"near"), left) as near,
    ):
        await far.start_server(keep_unread, port=80)
        server = await near.start_server(hold, port=81)
        reader, _ = await near.open_connection("10.7.0.2", 80)
        waiting = [
            asyncio.ensure_future(waits)
            for waits in (reader.read(), server.serve_forever(), near.open_connection("10.7.0.99", 80))
        ]
        await settled()
        await (asyncio.to_thread(left.close) if in_thread else settled())
        left.close()
        for result in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(result, LinkError)
            assert "closed" in str(result)


async def test_device_that_is_down_is_told_to_whoever_connects_and_ends_nothing_else() -> None:
    left, right = pair()
    link = Failing(left, LinkDown("TUN device test is down: ip link set dev test up"))
    async with (
        aio.attach(Host("10.7.0.2/24", secret=b"far"), right) as far,
        aio.attach(Host("10.7.0.1/24", secret=b"near"), link) as near,
    ):
        await far.start_server(hold, port=80)
        reader, writer = await near.open_connection("10.7.0.2", 80)
        connecting = asyncio.ensure_future(near.open_connection("10.7.0.2", 80))
        connecting.cancel()
        link.is_down = True
        with pytest.raises(LinkError, match="is down: ip link set dev test up") as caught:
            await near.open_connection("10.7.0.2", 80)
        assert caught.value.errno == errno.ENETDOWN
        link.is_down = False
        _, other = await near.open_connection("10.7.0.2", 80)
        writer.write_eof()
        assert await reader.read() == b""
        other.close()
        writer.close()


# The loop comes late


class LateLoop(asyncio.SelectorEventLoop):
    late = 0.0

    def time(self) -> float:
        return super().time() + self.late


@pytest.mark.parametrize("offload", [False, True])
def test_timers_wait_for_what_the_link_holds(offload: bool) -> None:
    """ACKs of 200 connections lie in the link when the loop wakes up after their user timeout."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, LateLoop)
        left, right = pair(queue=10_000, offload=offload)
        config = Config(user_timeout=30 * SECOND)
        near, far = (
            Host("10.7.0.1/24", secret=b"near", config=config),
            Host("10.7.0.2/24", secret=b"far", config=config),
        )
        async with aio.attach(near, left) as client, aio.attach(far, right) as server:
            await server.start_server(hold, port=80, backlog=200)
            writers = [(await client.open_connection("10.7.0.2", 80))[1] for _ in range(200)]
            client._running.loop.remove_reader(left.fileno())  # type: ignore[union-attr]
            for writer in writers:
                writer.write(b"x")
            await until(lambda: server.host.statistics()["segments_arrived"] >= 200 * 3)
            await until(lambda: len(left._parcels) >= (1 if offload else 200))  # their acknowledgements
            loop.late = 60.0
            client._running.loop.add_reader(left.fileno(), client._running._link_is_readable)  # type: ignore[union-attr]
            await until(lambda: not left._parcels)
            await settled()
            assert sum(writer.transport.is_closing() for writer in writers) == 0
            assert near.statistics()["connections"] == 200
            for writer in writers:
                writer.close()

    with asyncio.Runner(loop_factory=LateLoop) as runner:
        runner.run(main())


# Errors are raised once


@pytest.mark.soak
def test_thousands_of_failing_calls_leave_memory_as_it_was(networks: Networks) -> None:
    asyncio.run(thousands_of_failing_calls(networks))  # without the loop's debug mode


async def thousands_of_failing_calls(networks: Networks) -> None:
    async with networks() as both:
        await both.far.start_server(lambda _reader, writer: writer.transport.abort(), port=80)
        reader, writer = await both.near.open_connection("10.7.0.2", 80)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        closed = aio.attach(Host("10.7.0.1/24", secret=b"x"), pair()[0])
        async with closed:
            pass
        dead = aio.attach(Host("10.7.0.1/24", secret=b"x"), Failing(pair()[0]))
        async with dead:
            dead.link.fail = True  # type: ignore[attr-defined]
            with suppress(LinkError):
                await dead.open_connection("10.7.0.2", 80)
        calls: dict[str, tuple[int, Callable[[], Awaitable[Any]]]] = {
            "read": (3_000, lambda: reader.read(1)),
            "readline": (3_000, reader.readline),
            "readexactly": (3_000, lambda: reader.readexactly(1)),
            "drain": (3_000, writer.drain),
            "wait_closed": (3_000, writer.wait_closed),
            "open on a closed network": (3_000, lambda: closed.open_connection("10.7.0.2", 80)),
            "serve on a closed network": (3_000, lambda: closed.start_server(hold, port=80)),
            "datagrams on a closed network": (
                3_000,
                lambda: closed.create_datagram_endpoint(asyncio.DatagramProtocol),
            ),
            "open on a dead link": (3_000, lambda: dead.open_connection("10.7.0.2", 80)),
            "refused": (1_000, lambda: both.near.open_connection("10.7.0.2", 81)),
            "no such name": (500, lambda: both.near.open_connection("nobody", 81)),
        }
        for name, (times, call) in calls.items():
            await fail(call, 50)
            gc.collect()
            tracemalloc.start()
            try:
                before = tracemalloc.get_traced_memory()[0]
                await fail(call, times)
                gc.collect()
                grown = tracemalloc.get_traced_memory()[0] - before
            finally:
                tracemalloc.stop()
            # Up to 64 stale timers stay in the heap, each with an ended connection of at most 2,500 octets
            swept_late = 64 * 2500 if name == "refused" else 0
            assert grown < 20_000 + swept_late, (name, grown)
        writer.close()


async def fail(call: Callable[[], Awaitable[Any]], times: int) -> None:
    for _ in range(times):
        try:
            await call()
        except (OSError, ValueError):
            continue
        raise AssertionError("the call succeeded")


# sendfile


@pytest.mark.parametrize("is_secure", [False, True])
async def test_sendfile_sends_a_file(
    networks: Networks, certificates: Any, tmp_path: Any, is_secure: bool
) -> None:
    content = os.urandom(700_000)
    file = tmp_path / "content"
    file.write_bytes(content)
    async with networks() as both:
        received: asyncio.Queue[bytes] = asyncio.Queue()

        async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            received.put_nowait(await reader.read())
            writer.close()

        await both.far.start_server(collect, port=80, ssl=certificates.server if is_secure else None)
        options = {"ssl": certificates.client, "server_hostname": "far.example"} if is_secure else {}
        for offset, count in ((0, None), (500, 5000), (699_000, None), (0, 700_000)):
            reader, writer = await both.near.open_connection("10.7.0.2", 80, **options)
            writer.write(b"head")
            with file.open("rb") as opened:
                sent = await asyncio.get_running_loop().sendfile(writer.transport, opened, offset, count)
            writer.write(b"tail")
            if is_secure:
                writer.close()
            else:
                writer.write_eof()
            expected = content[offset:] if count is None else content[offset : offset + count]
            assert sent == len(expected)
            assert await received.get() == b"head" + expected + b"tail"
            with suppress(OSError):
                await reader.read()
            writer.close()


async def test_sendfile_to_a_peer_that_resets_raises(networks: Networks, tmp_path: Any) -> None:
    file = tmp_path / "content"
    file.write_bytes(bytes(20_000_000))
    async with networks() as both:

        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"unread")
            await reader.read(100_000)
            writer.transport.abort()

        await both.far.start_server(refuse, port=80)
        _, writer = await both.near.open_connection("10.7.0.2", 80)
        with file.open("rb") as opened, pytest.raises(ConnectionError):
            await asyncio.get_running_loop().sendfile(writer.transport, opened)
        writer.close()


@pytest.mark.parametrize("first", ["near", "far"])
@pytest.mark.parametrize("way", ["write_eof", "close"])
async def test_the_end_that_closes_first_waits_for_2msl(networks: Networks, first: str, way: str) -> None:
    async with networks() as nets:
        held: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        await nets.far.start_server(lambda *streams: held.put_nowait(streams), port=7)
        near = await nets.near.open_connection("10.7.0.2", 7)
        far = await held.get()
        (reader, writer), (other_reader, other_writer) = (near, far) if first == "near" else (far, near)
        writer.write_eof() if way == "write_eof" else writer.close()
        assert await other_reader.read() == b""
        other_writer.close()
        if way == "write_eof":
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        await other_writer.wait_closed()
        for _ in range(100):  # until the last ACK has arrived
            await asyncio.sleep(0)
        waiting = [net.host.statistics()["time_wait"] for net in (nets.near, nets.far)]
        assert waiting == ([1, 0] if first == "near" else [0, 1])


@pytest.mark.parametrize("size", range(180_000, 320_000, 16 * 1024))
async def test_sendfile_to_a_slow_reader_leaves_its_protocol_as_it_was(
    networks: Networks, tmp_path: Any, size: int
) -> None:
    """The last octets of the file may fill the backlog: then it is sendfile's protocol that is told to wait,
    and not the program's.
    """
    file = tmp_path / "content"
    file.write_bytes(bytes(size))
    async with networks() as both:
        received: asyncio.Queue[bytes] = asyncio.Queue()
        may_read = asyncio.Event()

        async def read_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.pause_reading()
            await may_read.wait()
            writer.transport.resume_reading()
            received.put_nowait(await reader.read())
            writer.close()

        await both.far.start_server(read_late, port=80)
        reader, writer = await both.near.open_connection("10.7.0.2", 80)
        with file.open("rb") as opened:
            sending = asyncio.ensure_future(asyncio.get_running_loop().sendfile(writer.transport, opened))
            for _ in range(500):
                await asyncio.sleep(0)
            may_read.set()
            assert await sending == size
        writer.write(b"tail")
        await writer.drain()
        writer.write_eof()
        assert await received.get() == bytes(size) + b"tail"
        assert await reader.read() == b""
        writer.close()
