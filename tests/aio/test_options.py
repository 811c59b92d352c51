"""Socket options: as the kernel takes, refuses and tells them."""

import asyncio
import errno
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from struct import Struct
from typing import Any

import pytest

from postel.sockets.table import NUMBERED
from postel.tcp.config import USER_TIMEOUT, Config
from postel.times import MILLISECOND, SECOND

Networks = Callable[..., Any]
TCP, SOCKET = socket.IPPROTO_TCP, socket.SOL_SOCKET
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the options are Linux's")
LINGER = Struct("ii")
# The kernel brings the size of a buffer between its limits and doubles it, and takes any number as a
# low-water mark. SO_LINGER has a test.
UNLIKE = ("SO_RCVBUF", "SO_SNDBUF", "TCP_NOTSENT_LOWAT", "SO_LINGER")
TOLD_OTHERWISE = ("TCP_CORK", "TCP_NODELAY", "TCP_QUICKACK")


async def connected(
    both: Any,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, asyncio.StreamReader, asyncio.StreamWriter]:
    accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    server = await both.far.start_server(lambda reader, writer: accepted.put_nowait((reader, writer)), port=0)
    reader, writer = await both.near.open_connection("10.7.0.2", server.sockets[0].getsockname()[1])
    return (reader, writer, *await accepted.get())


def told(call: Callable[[], Any]) -> Any:
    """What it gives, or the number of the OSError."""
    try:
        return call()
    except OSError as error:
        return ("refused", error.errno)


def config(writer: asyncio.StreamWriter) -> Config:
    chosen: Config = writer.get_extra_info("connection").config
    return chosen


@LINUX
@pytest.mark.parametrize(
    "values",
    [
        (0, 1, 5, -1),
        (1, 2, 3, 127, 128),
        (1, 30, 32767, 32768),
        (0, -(2**31), 2**31 - 1),
        (b"", b"\1\0\0", b"\2\0\0\0", b"\2\0\0\0more"),
    ],
    ids=str,
)
async def test_each_option_is_taken_or_refused_as_the_kernel_does(networks: Networks, values: Any) -> None:
    async with networks() as both:
        _, writer, _, far = await connected(both)
        shown = writer.get_extra_info("socket")
        with socket.socket() as kernel:
            for (level, option), row in NUMBERED.items():
                if not row.is_changeable or row.name in UNLIKE:
                    continue
                for value in values:
                    ours = told(lambda: shown.setsockopt(level, option, value))  # noqa: B023
                    theirs = told(lambda: kernel.setsockopt(level, option, value))  # noqa: B023
                    assert ours == theirs, (row.name, value)
                    if row.name not in TOLD_OTHERWISE and ours is None:
                        number = (
                            int.from_bytes(value[:4], sys.byteorder) if isinstance(value, bytes) else value
                        )
                        expected = {
                            ("TCP_KEEPCNT", 1): 2,
                            ("TCP_USER_TIMEOUT", 0): USER_TIMEOUT // MILLISECOND,
                        }.get((row.name, number), kernel.getsockopt(level, option))
                        assert shown.getsockopt(level, option) == expected, (row.name, value)
        writer.close()
        far.close()


@LINUX
@pytest.mark.parametrize(
    ("level", "option", "value", "field", "expected"),
    [
        (SOCKET, "SO_KEEPALIVE", 1, "keep_alive", True),
        (TCP, "TCP_NODELAY", 0, "nagle", True),
        (TCP, "TCP_NODELAY", 1, "nagle", False),
        (TCP, "TCP_CORK", 1, "cork", True),
        (TCP, "TCP_CORK", 0, "cork", False),
        (TCP, "TCP_QUICKACK", 1, "delayed_ack", 0),
        (TCP, "TCP_QUICKACK", 0, "delayed_ack", 40 * MILLISECOND),
        (TCP, "TCP_KEEPIDLE", 30, "keep_alive_idle", 30 * SECOND),
        (TCP, "TCP_KEEPINTVL", 5, "keep_alive_interval", 5 * SECOND),
        (TCP, "TCP_KEEPCNT", 3, "keep_alive_probes", 3),
        (TCP, "TCP_USER_TIMEOUT", 1500, "user_timeout", 1500 * MILLISECOND),
        (TCP, "TCP_USER_TIMEOUT", 0, "user_timeout", USER_TIMEOUT),
    ],
)
async def test_option_sets_its_field_in_its_unit(
    networks: Networks, level: int, option: str, value: int, field: str, expected: object
) -> None:
    async with networks() as both:
        _, writer, _, far = await connected(both)
        shown = writer.get_extra_info("socket")
        shown.setsockopt(level, getattr(socket, option), value)
        assert getattr(config(writer), field) == expected

        writer.close()
        far.close()


@LINUX
async def test_redis_client_s_options_are_taken(networks: Networks) -> None:
    async with networks() as both:
        _, writer, _, far = await connected(both)
        shown = writer.get_extra_info("socket")
        shown.setsockopt(TCP, socket.TCP_NODELAY, 1)
        shown.setsockopt(SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3)):
            shown.setsockopt(socket.SOL_TCP, option, value)
            assert shown.getsockopt(socket.SOL_TCP, option) == value
        writer.close()
        far.close()


@pytest.mark.parametrize("place", [(TCP, 999), (999, 1), (socket.IPPROTO_IP, 999), (-1, -1)])
async def test_unknown_option_is_an_error_of_the_system(networks: Networks, place: tuple[int, int]) -> None:
    async with networks() as both:
        _, writer, _, far = await connected(both)
        datagrams, _ = await both.near.create_datagram_endpoint(asyncio.DatagramProtocol)
        server = await both.near.start_server(lambda _reader, _writer: None, port=0)
        for shown in (writer.get_extra_info("socket"), datagrams.get_extra_info("socket"), server.sockets[0]):
            for use in (lambda: shown.setsockopt(*place, 1), lambda: shown.getsockopt(*place)):  # noqa: B023
                with pytest.raises(OSError) as caught:
                    use()
                assert caught.value.errno == errno.ENOPROTOOPT
        writer.close()
        far.close()


@LINUX
async def test_what_can_only_be_told_or_chosen_before(networks: Networks) -> None:
    async with networks() as both:
        _, writer, _, far = await connected(both)
        shown = writer.get_extra_info("socket")
        for place in ((SOCKET, socket.SO_TYPE), (SOCKET, socket.SO_ERROR), (TCP, socket.TCP_INFO)):
            with pytest.raises(OSError) as caught:
                shown.setsockopt(*place, 1)
            assert caught.value.errno == errno.ENOPROTOOPT
        assert shown.getsockopt(TCP, socket.TCP_MAXSEG) == 1448  # timestamps take 12
        with pytest.raises(OSError, match="largest_mss") as caught:
            shown.setsockopt(TCP, socket.TCP_MAXSEG, 500)
        assert caught.value.errno == errno.EISCONN
        for value in (2**31, "1", None, 1.5):
            with pytest.raises((OSError, TypeError)):
                shown.setsockopt(TCP, socket.TCP_NODELAY, value)
        for length in (-1, 1025):
            with pytest.raises(OSError):
                shown.getsockopt(TCP, socket.TCP_NODELAY, length)
        assert shown.getsockopt(TCP, socket.TCP_NODELAY, 4) == (1).to_bytes(4, sys.byteorder)
        assert shown.getsockopt(SOCKET, socket.SO_DOMAIN) == socket.AF_INET
        assert shown.getsockopt(SOCKET, socket.SO_PROTOCOL) == socket.IPPROTO_TCP
        writer.close()
        far.close()


async def test_linger_of_0_seconds_resets_on_close(networks: Networks) -> None:
    async with networks() as both:
        for value, is_reset in (
            (LINGER.pack(1, 0), True),
            (LINGER.pack(1, 5), False),
            (LINGER.pack(0, 0), False),
        ):
            _, writer, far_reader, far = await connected(both)
            shown = writer.get_extra_info("socket")
            assert shown.getsockopt(SOCKET, socket.SO_LINGER, 8) == LINGER.pack(0, 0)
            shown.setsockopt(SOCKET, socket.SO_LINGER, value)
            assert writer.get_extra_info("socket").getsockopt(SOCKET, socket.SO_LINGER, 8) == value
            writer.write(b"perhaps lost")
            writer.close()
            if is_reset:
                with pytest.raises(ConnectionResetError):
                    await far_reader.read()
            else:
                assert await far_reader.read() == b"perhaps lost"
            far.close()
            with suppress(OSError):
                await far.wait_closed()
        with pytest.raises(OSError):
            shown.setsockopt(SOCKET, socket.SO_LINGER, b"\1\0\0\0")


@LINUX
async def test_tcp_info_is_laid_out_as_the_kernel_s(networks: Networks) -> None:
    def words(octets: bytes) -> dict[str, int]:
        names = (
            "rto ato snd_mss rcv_mss unacked sacked lost retrans fackets last_data_sent last_ack_sent "
            "last_data_recv last_ack_recv pmtu"
        )
        more = (
            "rcv_ssthresh rtt rttvar snd_ssthresh snd_cwnd advmss reordering rcv_rtt rcv_space total_retrans"
        )
        found = dict(zip([*names.split(), *more.split()], Struct("24I").unpack_from(octets, 8), strict=True))
        found["state"], found["options"] = octets[0], octets[5]
        found["bytes_acked"], found["bytes_received"] = Struct("2Q").unpack_from(octets, 120)
        found["data_segs_in"], found["data_segs_out"] = Struct("2I").unpack_from(octets, 152)
        found["bytes_sent"] = Struct("Q").unpack_from(octets, 200)[0]
        return found

    async with networks() as both:
        reader, writer, far_reader, far = await connected(both)
        writer.write(bytes(3000))
        await far_reader.readexactly(3000)
        far.write(bytes(500))
        await reader.readexactly(500)
        shown = writer.get_extra_info("socket")
        ours = words(shown.getsockopt(TCP, socket.TCP_INFO, 232))
        with (
            socket.create_server(("127.0.0.1", 0)) as listening,
            socket.create_connection(listening.getsockname()) as kernel,
        ):
            served, _ = listening.accept()
            kernel.sendall(bytes(3000))
            assert len(served.recv(3000, socket.MSG_WAITALL)) == 3000
            served.sendall(bytes(500))
            assert len(kernel.recv(500, socket.MSG_WAITALL)) == 500
            theirs = words(kernel.getsockopt(TCP, socket.TCP_INFO, 232))
            served.close()
        for name in (
            "state",
            "bytes_received",
            "lost",
            "retrans",
            "total_retrans",
            "data_segs_in",
            "bytes_sent",
        ):
            assert ours[name] == theirs[name], name
        assert (ours["snd_mss"], ours["snd_cwnd"], ours["pmtu"]) == (1448, 10, 1500)
        assert shown.getsockopt(TCP, socket.TCP_INFO, 1) == b"\1"
        assert len(shown.getsockopt(TCP, socket.TCP_INFO, 1024)) == 232
        writer.transport.abort()
        assert shown.getsockopt(TCP, socket.TCP_INFO, 232) == b"\7" + bytes(231)
        far.close()


async def test_what_is_set_on_a_server_holds_for_its_connections_to_come(networks: Networks) -> None:
    async with networks() as both:
        accepted: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        server = await both.far.start_server(lambda _reader, writer: accepted.put_nowait(writer), port=0)
        shown = server.sockets[0]
        shown.setsockopt(TCP, socket.TCP_KEEPIDLE, 30)
        shown.setsockopt(SOCKET, socket.SO_REUSEADDR, 1)
        assert server.sockets[0].getsockopt(TCP, socket.TCP_KEEPIDLE) == 30
        assert server.sockets[0].getsockopt(SOCKET, socket.SO_REUSEADDR) == 1
        assert server.sockets[0].getsockopt(SOCKET, socket.SO_ACCEPTCONN) == 1
        _, writer = await both.near.open_connection("10.7.0.2", shown.getsockname()[1])
        far = await accepted.get()
        assert far.get_extra_info("socket").getsockopt(TCP, socket.TCP_KEEPIDLE) == 30
        assert writer.get_extra_info("socket").getsockopt(TCP, socket.TCP_KEEPIDLE) == 7200
        writer.close()
        far.close()


async def test_an_error_is_told_once(networks: Networks) -> None:
    async with networks() as both:
        reader, writer, _, far = await connected(both)
        far.transport.abort()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        shown = writer.get_extra_info("socket")
        assert [shown.getsockopt(SOCKET, socket.SO_ERROR) for _ in range(2)] == [errno.ECONNRESET, 0]
