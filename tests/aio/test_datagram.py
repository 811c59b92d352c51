import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

import pytest

from postel.errors import OptionUnknown
from postel.sockets.table import NUMBERED
from postel.wire import ip, udp

Networks = Callable[..., Any]


class Recorder(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.transport: Any = None
        self.received: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue()
        self.errors: asyncio.Queue[Exception] = asyncio.Queue()
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.put_nowait((data, addr))

    def error_received(self, exc: Exception) -> None:
        self.errors.put_nowait(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


class Echo(Recorder):
    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)


@pytest.mark.parametrize(("near", "far"), [("10.7.0.1", "10.7.0.2"), ("fd07::1", "fd07::2")])
async def test_datagrams_come_back_to_who_sent_them(networks: Networks, near: str, far: str) -> None:
    async with networks() as both:
        await both.far.create_datagram_endpoint(Echo, local_addr=(far, 7))
        transport, protocol = await both.near.create_datagram_endpoint(Recorder, local_addr=(near, 0))
        transport.sendto(b"one", (far, 7))
        transport.sendto(bytearray(b"two"), (far, 7))
        assert [(await protocol.received.get())[0] for _ in range(2)] == [b"one", b"two"]
        assert transport.get_extra_info("sockname")[0] == near
        assert transport.get_extra_info("peername") is None


async def test_boundaries_hold_even_for_what_must_be_cut(networks: Networks) -> None:
    async with networks() as both:
        await both.far.create_datagram_endpoint(Echo, local_addr=("10.7.0.2", 7))
        transport, protocol = await both.near.create_datagram_endpoint(Recorder, remote_addr=("10.7.0.2", 7))
        for size in (0, 1, 1472, 1473, 20_000):
            transport.sendto(bytes(size))
            assert await protocol.received.get() == (bytes(size), ("10.7.0.2", 7))
        assert transport.get_extra_info("peername") == ("10.7.0.2", 7)


async def test_port_where_nobody_listens(networks: Networks) -> None:
    async with networks() as both:
        transport, protocol = await both.near.create_datagram_endpoint(Recorder, remote_addr=("10.7.0.2", 9))
        transport.sendto(b"anybody?")
        error = await protocol.errors.get()
        assert isinstance(error, ConnectionRefusedError)


async def test_datagram_that_no_packet_can_carry(networks: Networks) -> None:
    async with networks() as both:
        transport, protocol = await both.near.create_datagram_endpoint(Recorder, remote_addr=("10.7.0.2", 9))
        transport.sendto(bytes(65536))
        error = await protocol.errors.get()
        assert isinstance(error, OSError)
        assert error.errno == errno.EMSGSIZE


async def test_close_sends_what_was_written_and_tells_once(networks: Networks) -> None:
    async with networks() as both:
        _, far = await both.far.create_datagram_endpoint(Recorder, local_addr=("10.7.0.2", 7))
        transport, near = await both.near.create_datagram_endpoint(Recorder, remote_addr=("10.7.0.2", 7))
        transport.sendto(b"last")
        transport.close()
        transport.abort()
        transport.sendto(b"too late")
        assert transport.is_closing()
        assert await near.lost is None
        assert (await far.received.get())[0] == b"last"
        assert both.near.host.statistics()["datagram_sockets"] == 0


@pytest.mark.label("BAD-API-5")
@pytest.mark.parametrize("failing", ["datagram_received", "error_received", "connection_made"])
async def test_failing_callback_is_reported_and_its_socket_goes_on(networks: Networks, failing: str) -> None:
    """As asyncio's own: what one sender makes a callback do must not end the socket for all others."""
    calls: list[str] = []

    def fail_at_first(name: str) -> None:
        calls.append(name)
        if name == failing and calls.count(name) == 1:
            raise LookupError(name)

    class Server(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            fail_at_first("connection_made")

        def datagram_received(self, data: bytes, addr: Any) -> None:
            fail_at_first("datagram_received")
            self.transport.sendto(data, addr)

        def error_received(self, exc: Exception) -> None:
            fail_at_first("error_received")
            super().error_received(exc)

    async with networks(expect_blame=True) as both:
        serving, server = await both.far.create_datagram_endpoint(Server, local_addr=("10.7.0.2", 7))
        transport, near = await both.near.create_datagram_endpoint(Recorder, local_addr=("10.7.0.1", 0))
        serving.sendto(b"nobody is there", ("10.7.0.1", 9))
        # In one turn of the loop: datagrams behind the failure must not wait for another one
        for data in (b"one", b"two", b"three"):
            transport.sendto(data, ("10.7.0.2", 7))
        expected = [b"two", b"three"] if failing == "datagram_received" else [b"one", b"two", b"three"]
        assert [(await near.received.get())[0] for _ in expected] == expected
        serving.sendto(b"nobody is there", ("10.7.0.1", 9))
        assert isinstance(await server.errors.get(), ConnectionRefusedError)
        assert [(type(context["exception"]), context["transport"]) for context in both.blamed] == [
            (LookupError, serving)
        ]
        assert not serving.is_closing()
        assert not server.lost.done()


async def test_answering_a_datagram_from_port_0_is_an_error_that_is_told(networks: Networks) -> None:
    async with networks() as both:
        _, server = await both.far.create_datagram_endpoint(Echo, local_addr=("10.7.0.2", 7))
        transport, near = await both.near.create_datagram_endpoint(Recorder, local_addr=("10.7.0.1", 0))
        source, destination = bytes([10, 7, 0, 1]), bytes([10, 7, 0, 2])
        payload = udp.encode_for(udp.Datagram(0, 7, b"no answer, please"), source, destination)
        both.near.link.send(ip.encode(source, destination, udp.PROTOCOL, payload), b"", 0)
        error = await server.errors.get()
        assert isinstance(error, OSError)
        transport.sendto(b"still there?", ("10.7.0.2", 7))
        assert (await near.received.get())[0] == b"still there?"


async def test_wrong_arguments(networks: Networks) -> None:
    async with networks() as both:
        transport, _ = await both.near.create_datagram_endpoint(Recorder)
        with pytest.raises(ValueError, match="addr is None; allowed: a tuple of address and port"):
            transport.sendto(b"x")
        with pytest.raises(ValueError, match="addr is 'far'; allowed: a tuple"):
            transport.sendto(b"x", "far")
        with pytest.raises(TypeError, match="data is of type str"):
            transport.sendto("x", ("10.7.0.2", 7))
        settled, _ = await both.near.create_datagram_endpoint(Recorder, remote_addr=("10.7.0.2", 7))
        with pytest.raises(ValueError, match="allowed: None or remote_addr"):
            settled.sendto(b"x", ("10.7.0.2", 8))


async def test_socket_shows_itself(networks: Networks) -> None:
    async with networks() as both:
        transport, protocol = await both.near.create_datagram_endpoint(
            Recorder, local_addr=(None, 53), remote_addr=("10.7.0.2", 7)
        )
        shown = transport.get_extra_info("socket")
        assert (shown.type, shown.proto) == (socket.SOCK_DGRAM, socket.IPPROTO_UDP)
        assert (shown.getsockname(), shown.getpeername()) == (("10.7.0.1", 53), ("10.7.0.2", 7))
        assert shown.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        assert transport.get_protocol() is protocol
        assert (transport.get_write_buffer_size(), transport.get_write_buffer_limits()) == (0, (0, 0))
        assert transport.get_extra_info("nothing", 5) == 5
        unbound, _ = await both.near.create_datagram_endpoint(Recorder)
        with pytest.raises(OSError, match="does not exist") as caught:
            unbound.get_extra_info("socket").getpeername()
        assert caught.value.errno == errno.ENOTCONN


async def test_options_are_those_of_the_table_that_do_not_need_a_connection(networks: Networks) -> None:
    async with networks() as both:
        transport, _ = await both.near.create_datagram_endpoint(Recorder, local_addr=("10.7.0.1", 53))
        for (level, number), option in NUMBERED.items():
            shown = transport.get_extra_info("socket")
            if option.is_for_datagrams and option.level != "IPPROTO_IPV6":
                assert isinstance(shown.getsockopt(level, number, 8), bytes), option.name
            else:
                for use in (
                    lambda: shown.getsockopt(level, number),  # noqa: B023
                    lambda: shown.setsockopt(level, number, 1),  # noqa: B023
                ):
                    with pytest.raises(OptionUnknown) as caught:
                        use()
                    assert caught.value.errno == errno.ENOPROTOOPT
        told = ("SO_ERROR", "SO_TYPE", "SO_DOMAIN", "SO_PROTOCOL", "SO_ACCEPTCONN")
        assert [shown.getsockopt(socket.SOL_SOCKET, getattr(socket, name)) for name in told] == [
            0,
            socket.SOCK_DGRAM,
            socket.AF_INET,
            17,
            0,
        ]
        shown.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        assert transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST) == 1


@pytest.mark.parametrize(
    ("near", "other"),
    [("0.0.0.0", "fd07::2"), ("::", "10.7.0.2"), ("10.7.0.1", "fd07::2"), ("fd07::1", "10.7.0.2")],
)
async def test_what_the_socket_can_not_send_is_told_as_the_kernel_tells_it(
    networks: Networks, near: str, other: str
) -> None:
    async with networks() as both:
        transport, protocol = await both.near.create_datagram_endpoint(Recorder, local_addr=(near, 0))
        transport.sendto(b"x", (other, 7))
        assert (await protocol.errors.get()).errno == errno.EAFNOSUPPORT
        transport.sendto(b"x", ("127.0.0.1" if ":" in other else "::1", 7))
        # From the host itself, because nothing is at the port
        assert (await protocol.errors.get()).errno == errno.ECONNREFUSED
        assert not transport.is_closing()
        with pytest.raises(OSError, match="remote is"):
            await both.near.create_datagram_endpoint(Recorder, local_addr=(near, 0), remote_addr=(other, 7))


@pytest.mark.parametrize("host", ["0.0.0.0", "10.7.0.0", "::ffff:10.7.0.2"])
async def test_a_connection_that_must_not_leave_is_refused(networks: Networks, host: str) -> None:
    async with networks() as both:
        with pytest.raises(OSError) as caught:
            await both.near.open_connection(host, 80)
        assert caught.value.errno == errno.ENETUNREACH
