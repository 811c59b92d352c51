"""Flow control, closing, and what a program may do wrong."""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

import pytest

from postel.aio import loop_factory
from postel.aio.network import Network
from postel.host.host import Host
from postel.links import pair
from postel.tcp.config import FIRST_SEND_BUFFER, Config

Networks = Callable[..., Any]
KIBIBYTE = 1024
SMALL = Config(send_buffer=64 * KIBIBYTE, receive_buffer=64 * KIBIBYTE)


class Recorder(asyncio.Protocol):
    """Notes what it is told; ``happened`` waits for it."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.received = bytearray()
        self.told: list[str] = []
        self.error: Exception | None = None
        self.keep_open_after_eof = False
        self._something = asyncio.Event()

    def note(self, what: str) -> None:
        self.told.append(what)
        self._something.set()

    async def happened(self, what: str) -> None:
        while what not in self.told:
            self._something.clear()
            await self._something.wait()

    async def has_received(self, octets: int) -> None:
        while len(self.received) < octets:
            self._something.clear()
            await self._something.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.note("made")

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._something.set()

    def eof_received(self) -> bool:
        self.note("eof")
        return self.keep_open_after_eof

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self.note("lost")

    def pause_writing(self) -> None:
        self.note("pause")

    def resume_writing(self) -> None:
        self.note("resume")


class Late(Recorder):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.pause_reading()


async def connected(
    both: Any, server: Callable[[], Recorder] = Recorder, client: Callable[[], Recorder] = Recorder
) -> tuple[Any, Any]:
    """The client's and the server's protocol, both made."""
    made: asyncio.Queue[Recorder] = asyncio.Queue()

    def factory() -> Recorder:
        protocol = server()
        made.put_nowait(protocol)
        return protocol

    listening = await both.far.create_server(factory, port=0)
    _, near = await both.near.create_connection(client, "10.7.0.2", listening.sockets[0].getsockname()[1])
    far = await made.get()
    await far.happened("made")
    return near, far


# Flow control


async def test_paused_reader_closes_the_window_and_stops_the_writer(networks: Networks) -> None:
    async with networks(config=SMALL) as both:
        near, far = await connected(both, Late)
        sent = 0
        while "pause" not in near.told or near.transport.get_write_buffer_size() == 0:
            near.transport.write(bytes(8 * KIBIBYTE))
            sent += 8 * KIBIBYTE
            await asyncio.sleep(0)
            assert sent < 1024 * KIBIBYTE, "nothing pushes back"
        assert not far.received
        assert near.transport.get_write_buffer_size() > near.transport.get_write_buffer_limits()[1]
        far.transport.resume_reading()
        await near.happened("resume")
        await far.has_received(sent)
        assert len(far.received) == sent
        assert near.told.count("pause") == near.told.count("resume")


async def test_reading_is_paused_and_resumed_any_number_of_times(networks: Networks) -> None:
    async with networks() as both:
        near, far = await connected(both, Late)
        assert not far.transport.is_reading()
        near.transport.write(b"some")
        for _ in range(3):
            far.transport.pause_reading()
            far.transport.resume_reading()
            far.transport.resume_reading()
        assert far.transport.is_reading()
        await far.has_received(4)
        assert far.received == b"some"


async def test_pausing_inside_data_received_holds_the_rest_back(networks: Networks) -> None:
    class OneByOne(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()
            self.note("data")

    async with networks() as both:
        near, far = await connected(both, OneByOne)
        near.transport.write(b"x")
        await far.happened("data")
        near.transport.write(b"y")
        near.transport.write_eof()
        await far.has_received(1)
        assert far.received == b"x"
        far.transport.resume_reading()
        await far.has_received(2)
        assert "eof" not in far.told
        far.transport.resume_reading()
        await far.happened("eof")


async def test_limits_of_the_write_buffer(networks: Networks) -> None:
    async with networks() as both:
        near, _ = await connected(both)
        transport = near.transport
        transport.set_write_buffer_limits(high=1000)
        assert transport.get_write_buffer_limits() == (250, 1000)
        transport.set_write_buffer_limits(low=100)
        assert transport.get_write_buffer_limits() == (100, 400)
        transport.set_write_buffer_limits()
        assert transport.get_write_buffer_limits() == (16 * KIBIBYTE, 64 * KIBIBYTE)
        with pytest.raises(ValueError, match="low is 2; allowed: 0 … high"):
            transport.set_write_buffer_limits(high=1, low=2)


async def test_limits_may_be_lowered_below_what_waits(networks: Networks) -> None:
    async with networks(config=SMALL) as both:
        near, far = await connected(both, Late)
        near.transport.write(bytes(80 * KIBIBYTE))
        assert "pause" not in near.told
        near.transport.set_write_buffer_limits(high=0)
        assert "pause" in near.told
        far.transport.resume_reading()
        await near.happened("resume")


# What is written: BAD-API-3


@pytest.mark.label("BAD-API-3")
async def test_what_is_sent_are_the_octets_at_the_time_of_the_call(networks: Networks) -> None:
    async with networks(config=SMALL) as both:
        near, far = await connected(both, Late)
        mutable = bytearray(b"a" * 100 * KIBIBYTE)
        near.transport.write(mutable)
        mutable[:] = b"b" * len(mutable)
        view = memoryview(mutable)
        near.transport.write(view)
        view.release()
        mutable[:] = b"c" * len(mutable)
        near.transport.write(b"")
        far.transport.resume_reading()
        await far.has_received(200 * KIBIBYTE)
        assert far.received == b"a" * 100 * KIBIBYTE + b"b" * 100 * KIBIBYTE


@pytest.mark.label("BAD-API-3")
async def test_gibibyte_waits_without_being_copied(networks: Networks) -> None:
    async with networks() as both:
        near, _ = await connected(both, Late)
        gibibyte = bytes(1 << 30)
        near.transport.write(gibibyte)
        backlog = near.transport._backlog
        assert [chunk.obj is gibibyte for chunk in backlog._chunks] == [True]
        assert near.transport.get_write_buffer_size() == (1 << 30) - FIRST_SEND_BUFFER
        assert "pause" in near.told
        near.transport.abort()


async def test_only_octets_are_written(networks: Networks) -> None:
    async with networks() as both:
        near, _ = await connected(both)
        with pytest.raises(TypeError, match="data is of type str; allowed: bytes, bytearray, memoryview"):
            near.transport.write("text")


async def test_many_small_writes_share_segments(networks: Networks) -> None:
    async with networks() as both:
        near, far = await connected(both)
        before = both.near.host.statistics()["segments_sent"]
        for _ in range(1000):
            near.transport.write(b"x")
        await far.has_received(1000)
        assert both.near.host.statistics()["segments_sent"] - before <= 2


# Ends


@pytest.mark.label("BAD-API-2")
async def test_close_delivers_everything_first(networks: Networks) -> None:
    async with networks(config=SMALL) as both:
        near, far = await connected(both, Late)
        near.transport.write(bytes(300 * KIBIBYTE))
        near.transport.close()
        assert near.transport.is_closing()
        near.transport.close()
        far.transport.resume_reading()
        await far.happened("lost")
        await near.happened("lost")
        assert (len(far.received), far.error, near.error) == (300 * KIBIBYTE, None, None)
        assert near.told.count("lost") == 1


async def test_eof_is_sent_behind_what_waits(networks: Networks) -> None:
    async with networks(config=SMALL) as both:
        near, far = await connected(both, Late)
        near.transport.write(bytes(300 * KIBIBYTE))
        near.transport.write_eof()
        near.transport.write_eof()
        with pytest.raises(RuntimeError, match="after write_eof"):
            near.transport.write(b"x")
        far.transport.resume_reading()
        await far.happened("eof")
        assert len(far.received) == 300 * KIBIBYTE


async def test_protocol_may_keep_its_half_open(networks: Networks) -> None:
    async with networks() as both:
        near, far = await connected(both)
        far.keep_open_after_eof = True
        near.keep_open_after_eof = True
        near.transport.write_eof()
        await far.happened("eof")
        far.transport.write(b"still here")
        await near.has_received(10)
        far.transport.close()
        await near.happened("eof")
        near.transport.close()


@pytest.mark.label("BAD-API-2")
async def test_abort_resets_the_peer(networks: Networks) -> None:
    async with networks() as both:
        near, far = await connected(both)
        near.transport.abort()
        near.transport.abort()
        near.transport.close()
        await far.happened("lost")
        await near.happened("lost")
        assert isinstance(far.error, ConnectionResetError)
        assert far.error.errno == errno.ECONNRESET
        assert near.error is None
        assert both.states() == []


async def test_close_with_unread_octets_resets_the_peer(networks: Networks, until: Any) -> None:
    async with networks() as both:
        near, far = await connected(both, Late)
        near.transport.write(b"nobody reads this")
        connection = far.transport.get_extra_info("connection")
        await until(lambda: connection.readable > 0)
        far.transport.close()
        await near.happened("lost")
        assert isinstance(near.error, ConnectionResetError)


async def test_octets_before_a_reset_are_delivered(networks: Networks) -> None:
    async with networks() as both:
        near, far = await connected(both)
        near.transport.write(b"last words")
        near.transport._pump.turn()
        near.transport.abort()
        await far.happened("lost")
        assert far.received == b"last words"


async def test_writing_to_a_connection_that_was_reset_is_harmless(networks: Networks) -> None:
    async with networks() as both:
        near, far = await connected(both)
        far.transport.abort()
        await near.happened("lost")
        near.transport.write(b"x")
        near.transport.write_eof()
        near.transport.resume_reading()
        assert not near.transport.is_reading()


async def test_paused_reader_gets_all_that_came_before_the_end(networks: Networks) -> None:
    async with networks() as both:
        near, far = await connected(both, Late)
        near.transport.write(b"everything")
        near.transport.close()
        far.transport.write_eof()
        await near.happened("lost")
        far.transport.resume_reading()
        await far.happened("lost")
        assert (far.received, far.error, far.told[-2:]) == (b"everything", None, ["eof", "lost"])


@pytest.mark.label("BAD-API-2")
async def test_closing_inside_callbacks(networks: Networks) -> None:
    class Closing(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.close()
            self.transport.abort()

    async with networks() as both:
        near, far = await connected(both, Closing)
        near.transport.write(b"x" * 10_000)
        await far.happened("lost")
        await near.happened("lost")
        assert far.told == ["made", "lost"]


@pytest.mark.label("BAD-API-2")
async def test_closing_in_connection_made(networks: Networks) -> None:
    class Unwilling(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.transport.close()

    async with networks() as both:
        near, far = await connected(both, Unwilling)
        await near.happened("lost")
        assert (far.told, near.told) == (["made", "lost"], ["made", "eof", "lost"])


# Protocols that fill their own buffers


class Buffered(asyncio.BufferedProtocol):
    def __init__(self, size: int) -> None:
        self.buffer = bytearray(size)
        self.received = bytearray()
        self.done = asyncio.Event()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.received += self.buffer[:nbytes]

    def eof_received(self) -> None:
        self.done.set()


async def test_buffered_protocol_fills_its_buffer(networks: Networks) -> None:
    async with networks() as both:
        far = Buffered(100)
        server = await both.far.create_server(lambda: far, port=0)
        _, near = await both.near.create_connection(Recorder, "10.7.0.2", server.sockets[0].getsockname()[1])
        near.transport.write(bytes(range(256)) * 20)
        near.transport.write_eof()
        await far.done.wait()
        assert far.received == bytes(range(256)) * 20


async def test_buffered_protocol_without_a_buffer_is_blamed(networks: Networks) -> None:
    async with networks(expect_blame=True) as both:
        server = await both.far.create_server(lambda: Buffered(0), port=0)
        _, near = await both.near.create_connection(Recorder, "10.7.0.2", server.sockets[0].getsockname()[1])
        near.transport.write(b"x")
        await near.happened("lost")
        assert "empty buffer" in str(both.blamed[0]["exception"])


# What a program may do wrong: BAD-API-5


class MistakeError(Exception):
    pass


def failing_at(method: str) -> type[Recorder]:
    def fail(*_: object) -> None:
        raise MistakeError(method)

    return type("Failing", (Recorder,), {method: fail})


@pytest.mark.label("BAD-API-5")
@pytest.mark.parametrize("method", ["data_received", "eof_received", "pause_writing", "connection_lost"])
async def test_failing_callback_ends_its_connection_and_no_other(networks: Networks, method: str) -> None:
    async with networks(config=SMALL, expect_blame=True) as both:
        other, other_far = await connected(both)
        near, far = await connected(both, failing_at(method))
        if method == "pause_writing":
            near.transport.pause_reading()
            far.transport.write(bytes(1000 * KIBIBYTE))
        near.transport.write(b"x")
        near.transport.write_eof()
        near.transport.resume_reading()
        await near.happened("lost")
        assert [type(context["exception"]) for context in both.blamed] == [MistakeError]
        other.transport.write(b"alive")
        await other_far.has_received(5)


@pytest.mark.label("BAD-API-5")
async def test_failing_connection_made_ends_its_connection(networks: Networks) -> None:
    async with networks(expect_blame=True) as both:
        server = await both.far.create_server(failing_at("connection_made"), port=0)
        _, near = await both.near.create_connection(Recorder, "10.7.0.2", server.sockets[0].getsockname()[1])
        await near.happened("lost")
        assert isinstance(near.error, ConnectionResetError)
        assert both.blamed[0]["exception"].args == ("connection_made",)


@pytest.mark.label("BAD-API-5")
async def test_failing_factory_of_a_server_ends_the_connection_and_the_server_goes_on(
    networks: Networks,
) -> None:
    answers = iter([MistakeError("factory"), None])

    def factory() -> Recorder:
        if error := next(answers):
            raise error
        return Recorder()

    async with networks(expect_blame=True) as both:
        server = await both.far.create_server(factory, port=0)
        port = server.sockets[0].getsockname()[1]
        _, first = await both.near.create_connection(Recorder, "10.7.0.2", port)
        await first.happened("lost")
        _, second = await both.near.create_connection(Recorder, "10.7.0.2", port)
        second.transport.write_eof()
        await second.happened("lost")
        assert (second.error, len(both.blamed)) == (None, 1)


@pytest.mark.label("BAD-API-5")
async def test_failing_factory_of_a_client_is_the_callers_error(networks: Networks) -> None:
    def factory() -> Recorder:
        raise MistakeError

    async with networks() as both:
        server = await both.far.create_server(Recorder, port=0)
        with pytest.raises(MistakeError):
            await both.near.create_connection(factory, "10.7.0.2", server.sockets[0].getsockname()[1])


# The socket


async def test_socket_shows_itself(networks: Networks) -> None:
    async with networks() as both:
        near, far = await connected(both)
        shown = near.transport.get_extra_info("socket")
        assert (shown.family, shown.type, shown.proto) == (
            socket.AF_INET,
            socket.SOCK_STREAM,
            socket.IPPROTO_TCP,
        )
        assert shown.fileno() > 0
        assert shown.gettimeout() == 0.0
        assert shown.getpeername() == far.transport.get_extra_info("socket").getsockname()
        assert shown.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM
        assert "10.7.0.1" in repr(shown)
        assert "ESTABLISHED" in repr(near.transport)


async def test_socket_sets_what_tcp_does(networks: Networks) -> None:
    async with networks() as both:
        near, _ = await connected(both)
        shown = near.transport.get_extra_info("socket")
        for level, option, at_first in (
            (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0),
        ):
            assert shown.getsockopt(level, option) == at_first
            shown.setsockopt(level, option, 1 - at_first)
            assert shown.getsockopt(level, option) == 1 - at_first
        shown.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, (0).to_bytes(4, "little"))
        assert not near.transport.get_extra_info("connection")._tcb.config.keep_alive


async def test_socket_tells_what_ended_the_connection(networks: Networks) -> None:
    async with networks() as both:
        near, far = await connected(both)
        shown = near.transport.get_extra_info("socket")
        assert shown.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        far.transport.abort()
        await near.happened("lost")
        assert shown.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET


async def test_protocol_can_be_exchanged(networks: Networks) -> None:
    async with networks() as both:
        near, far = await connected(both)
        successor = Recorder()
        far.transport.set_protocol(successor)
        assert far.transport.get_protocol() is successor
        near.transport.write(b"to whom?")
        await successor.has_received(8)
        assert isinstance(both.near, Network)


async def test_what_is_written_while_a_closed_transport_still_delivers_goes_with_it(
    networks: Networks,
) -> None:
    """As on asyncio's own transports: TLS, told to write on after close(), writes its close_notify."""

    class Farewell(Recorder):
        def resume_writing(self) -> None:
            super().resume_writing()
            self.transport.write(b"farewell")

    async with networks(config=SMALL) as both:
        reader, caller = Recorder(), Farewell()
        server = await both.far.create_server(lambda: reader)
        port = server.sockets[0].getsockname()[1]
        await both.near.create_connection(lambda: caller, "10.7.0.2", port)
        await reader.happened("made")
        reader.transport.pause_reading()
        caller.transport.write(bytes(512 * KIBIBYTE))
        caller.transport.close()
        reader.transport.resume_reading()
        await reader.happened("lost")
        assert reader.received == bytes(512 * KIBIBYTE) + b"farewell"
        caller.transport.write(b"too late")
        server.close()


async def test_a_loop_that_was_stopped_closes(networks: Networks) -> None:
    del networks
    made = await asyncio.to_thread(_stopped_and_closed)
    assert made.is_closed()


def _stopped_and_closed() -> asyncio.AbstractEventLoop:
    made = loop_factory(Host("10.7.0.1/24"), pair()[0])()
    made.run_until_complete(asyncio.sleep(0))
    made.stop()
    made.close()
    return made
