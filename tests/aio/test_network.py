"""Arguments, servers, and the end of a network."""

import asyncio
import errno
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from postel import aio
from postel.errors import CallError, LinkError
from postel.host.host import Host
from postel.links import Link, pair
from postel.tcp.authentication.keychain import Keychain
from postel.tcp.authentication.keys import Key
from postel.tcp.config import Config
from postel.tcp.status import SACK

Networks = Callable[..., Any]


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        await reader.read()
    writer.close()


# Arguments


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        (
            "example.com",
            80,
            "host is 'example.com'; allowed: an IPv4 or IPv6 address: names are not resolved",
        ),
        (None, 80, "host is None; allowed: an IPv4 or IPv6 address, as text or as an object of ipaddress"),
        (b"\x0a\x07\x00\x02", 80, "allowed: an IPv4 or IPv6 address, as text or as an object of ipaddress"),
        ("10.7.0.2", 0, "port is 0; allowed: 1 to 65535"),
        ("10.7.0.2", 65536, "port is 65536; allowed: 1 to 65535"),
        ("10.7.0.2", "80", "port is '80'; allowed: 1 to 65535"),
    ],
)
async def test_wrong_destinations(networks: Networks, host: Any, port: Any, message: str) -> None:
    async with networks() as both:
        with pytest.raises(ValueError, match=message):
            await both.near.open_connection(host, port)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"port": -1}, "port is -1; allowed: 0 to 65535"),
        ({"port": 80, "host": "far"}, "host is 'far'"),
        ({"port": 80, "host": []}, "host is \\[\\]; allowed: an address, several, or None"),
        ({"port": 80, "backlog": 0}, "backlog is 0"),
    ],
)
async def test_wrong_places_to_serve(networks: Networks, options: dict[str, Any], message: str) -> None:
    async with networks() as both:
        with pytest.raises(ValueError, match=message):
            await both.far.start_server(hold, **options)


@pytest.mark.parametrize("local_addr", ["10.7.0.1", ("10.7.0.1",), ("far", 80)])
async def test_wrong_local_addresses(networks: Networks, local_addr: Any) -> None:
    async with networks() as both:
        with pytest.raises(ValueError, match="local_addr is"):
            await both.near.open_connection("10.7.0.2", 80, local_addr=local_addr)


async def test_address_that_is_not_the_hosts(networks: Networks) -> None:
    async with networks() as both:
        with pytest.raises(OSError) as caught:
            await both.near.open_connection("10.7.0.2", 80, local_addr=("10.7.0.77", 0))
        assert caught.value.errno == errno.EADDRNOTAVAIL
        with pytest.raises(OSError):
            await both.near.start_server(hold, ["10.7.0.1", "10.7.0.77"], 80)
        await both.near.start_server(hold, "10.7.0.1", 80)  # the first of the two was given back


async def test_host_whose_packets_the_link_cannot_carry() -> None:
    left, right = pair(1280)
    with pytest.raises(ValueError, match="an MTU of 1280 or less, the link's, not 1500"):
        aio.attach(Host("10.7.0.1/24", secret=b"x", mtu=1500), left)
    left.close()
    right.close()


async def test_host_gets_what_it_lacks_when_it_is_attached() -> None:
    left, right = pair(1280)
    one, other = Host("10.7.0.1/24"), Host("10.7.0.2/24")
    with pytest.raises(CallError, match="no secret"):
        one.connect("10.7.0.2", 7, 0)
    assert (one.mtu, one.has_secret) == (1500, False)
    async with aio.attach(one, left), aio.attach(other, right) as server:
        assert (one.mtu, other.mtu, one.has_secret) == (1280, 1280, True)
        assert one.connect("10.7.0.2", 7, 0).remote.host == "10.7.0.2"
        assert server.host is other


async def test_connection_of_a_config_of_its_own(networks: Networks, until: Any) -> None:
    async with networks() as both:
        server = await both.far.start_server(hold, port=80, config=Config(window_scaling=False))
        _, writer = await both.near.open_connection("10.7.0.2", 80, config=Config(timestamps=False))
        status = writer.get_extra_info("connection").status()
        assert (status.options, status.snd_wscale) == (SACK, 0)
        await until(lambda: both.states() == ["ESTABLISHED", "ESTABLISHED"])
        writer.close()
        server.close()
        await server.wait_closed()


# Servers


async def test_streams_are_signed_on_both_sides_or_not_at_all(networks: Networks, far_address: str) -> None:
    keys = Keychain(Key(b"a secret of both"))
    async with networks() as both:
        await both.far.start_server(hold, port=80, keys=keys)
        reader, writer = await both.near.open_connection(far_address, 80, keys=keys)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(both.near.open_connection(far_address, 80), 0.05)
        assert both.far.host.statistics()["dropped_signature_missing"] == 1


async def test_port_in_use(networks: Networks) -> None:
    async with networks() as both:
        server = await both.far.start_server(hold, port=80)
        with pytest.raises(OSError) as caught:
            await both.far.start_server(hold, port=80)
        assert caught.value.errno == errno.EADDRINUSE
        server.close()
        again = await both.far.start_server(hold, port=80)
        assert again.is_serving()


async def test_server_on_several_addresses_has_one_port(networks: Networks) -> None:
    async with networks() as both:
        server = await both.far.start_server(hold, ["10.7.0.2", "fd07::2"])
        first, second = (shown.getsockname() for shown in server.sockets)
        assert (first[0], second[0], first[1]) == ("10.7.0.2", "fd07::2", second[1])
        for address in ("10.7.0.2", "fd07::2"):
            _, writer = await both.near.open_connection(address, first[1])
            writer.close()


async def test_closed_server_refuses_and_keeps_its_connections(networks: Networks) -> None:
    async with networks() as both:
        served = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            served.set()
            writer.write(await reader.read())
            writer.close()

        async with await both.far.start_server(serve, port=80) as server:
            reader, writer = await both.near.open_connection("10.7.0.2", 80)
            await served.wait()
            server.close()
            server.close()
            assert (server.is_serving(), server.sockets) == (False, ())
            with pytest.raises(ConnectionRefusedError):
                await both.near.open_connection("10.7.0.2", 80)
            writer.write(b"still served")
            writer.write_eof()
            assert await reader.read() == b"still served"
            writer.close()
        with pytest.raises(RuntimeError, match="can't serve again"):
            await server.start_serving()


async def test_server_that_serves_later(networks: Networks) -> None:
    async with networks() as both:
        server = await both.far.start_server(hold, port=80, start_serving=False)
        _, writer = await both.near.open_connection("10.7.0.2", 80)
        assert not server.is_serving()
        forever = asyncio.ensure_future(server.serve_forever())
        await asyncio.sleep(0)
        assert server.is_serving()
        assert server.get_loop() is asyncio.get_running_loop()
        with pytest.raises(RuntimeError, match="forever already"):
            await server.serve_forever()
        writer.close()
        server.close()
        with pytest.raises(asyncio.CancelledError):
            await forever


@pytest.mark.parametrize("way", ["close_clients", "abort_clients"])
async def test_server_ends_its_connections(networks: Networks, until: Any, way: str) -> None:
    async with networks() as both:
        server = await both.far.start_server(hold, port=80)
        reader, writer = await both.near.open_connection("10.7.0.2", 80)
        await until(lambda: len(server._transports) == 1)
        getattr(server, way)()
        if way == "close_clients":
            assert await reader.read() == b""
        else:
            with pytest.raises(ConnectionResetError):
                await reader.read()
        writer.close()
        server.close()
        await server.wait_closed()


# The end


async def test_leaving_delivers_what_was_written_and_closed(networks: Networks) -> None:
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.set_result(await reader.read())
        writer.close()

    async with networks() as both:
        await both.far.start_server(collect, port=80)
        _, writer = await both.near.open_connection("10.7.0.2", 80)
        writer.write(bytes(3_000_000))
        writer.close()
        await both.near.close()
        assert len(await received) == 3_000_000


async def test_leaving_aborts_what_stands(networks: Networks) -> None:
    async with networks() as both:
        seen: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        await both.far.start_server(lambda reader, writer: seen.put_nowait((reader, writer)), port=80)
        reader, writer = await both.near.open_connection("10.7.0.2", 80)
        connecting = asyncio.ensure_future(both.near.open_connection("10.7.0.99", 80))
        datagrams, _ = await both.near.create_datagram_endpoint(asyncio.DatagramProtocol)
        far_reader, far_writer = await seen.get()
        await both.near.close()
        for ended in (reader.read(), connecting):
            with pytest.raises(ConnectionAbortedError, match="the network was closed"):
                await ended
        assert datagrams.is_closing()
        with pytest.raises(ConnectionResetError):
            await far_reader.read()
        far_writer.close()
        for use in (both.near.open_connection("10.7.0.2", 80), both.near.start_server(hold, port=81)):
            with pytest.raises(OSError, match="the network is closed"):
                await use
        await both.near.close()
        writer.close()


async def test_lingering_ends_when_the_peer_is_gone(networks: Networks) -> None:
    async with networks(linger=0.05) as both:
        await both.far.start_server(hold, port=80)
        _, writer = await both.near.open_connection("10.7.0.2", 80)
        await both.far.close()
        writer.write(b"to nobody")
        writer.close()
        await both.near.close()
        assert both.near.link.fileno() == -1


class BrokenLink(Link):
    """Gone at the first packet that it should carry."""

    def __init__(self, inner: Link) -> None:
        self.inner = inner
        self.mtu = inner.mtu

    def fileno(self) -> int | None:
        return self.inner.fileno()

    def receive(self, now: int) -> bytes | None:
        if packet := self.inner.receive(now):
            raise LinkError(errno.EIO, f"the cable is cut at {len(packet)} octets")
        return None

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        return True

    def close(self) -> None:
        self.inner.close()


async def test_broken_link_ends_everything_with_its_error() -> None:
    left, right = pair()
    async with aio.attach(Host("10.7.0.1/24", secret=b"x"), BrokenLink(left)) as net:
        connecting = asyncio.ensure_future(net.open_connection("10.7.0.2", 80))
        await asyncio.sleep(0)
        right.send(b"anything", b"", 0)
        with pytest.raises(LinkError, match="the cable is cut"):
            await connecting
        with pytest.raises(LinkError, match="the cable is cut"):
            await net.open_connection("10.7.0.2", 80)
    assert left.fileno() == -1
    right.close()


async def test_network_is_entered_once_and_used_inside() -> None:
    left, right = pair()
    net = aio.attach(Host("10.7.0.1/24", secret=b"x"), left)
    with pytest.raises(RuntimeError, match="async with"):
        await net.open_connection("10.7.0.2", 80)
    async with net:
        with pytest.raises(RuntimeError, match="opened once"):
            await net.__aenter__()
    with pytest.raises(RuntimeError, match="opened once"):
        await net.__aenter__()
    right.close()


async def test_host_talks_to_itself() -> None:
    left, right = pair()
    async with aio.attach(Host("10.7.0.1/24", secret=b"x"), left) as net:
        await net.start_server(hold, port=80)
        reader, writer = await net.open_connection("10.7.0.1", 80)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    right.close()


async def test_many_networks_in_one_loop(networks: Networks) -> None:
    async def visit() -> bytes:
        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            writer.close()

        async with networks() as both:
            await both.far.start_server(greet, port=80)
            reader, writer = await both.near.open_connection("10.7.0.2", 80)
            try:
                return bytes(await reader.read())
            finally:
                writer.close()

    assert await asyncio.gather(*(visit() for _ in range(10))) == [b"hello"] * 10
