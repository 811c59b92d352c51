"""TLS by asyncio's own means, from the start and later."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import pytest

Networks = Callable[..., Any]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def test_streams_over_tls(networks: Networks, certificates: Any, far_address: str) -> None:
    async with networks() as both:
        await both.far.start_server(echo, port=443, ssl=certificates.server)
        reader, writer = await both.near.open_connection(far_address, 443, ssl=certificates.client)
        assert writer.get_extra_info("sslcontext") is certificates.client
        assert writer.get_extra_info("ssl_object").version().startswith("TLS")
        assert writer.get_extra_info("peername")[:2] == (far_address, 443)
        assert not writer.can_write_eof()
        for size in (1, 20_000, 500_000):
            writer.write(bytes(size))
            assert await reader.readexactly(size) == bytes(size)
        writer.close()
        await writer.wait_closed()


async def test_name_that_the_certificate_must_bear(networks: Networks, certificates: Any) -> None:
    async with networks(expect_blame=True) as both:
        await both.far.start_server(echo, port=443, ssl=certificates.server)
        _, writer = await both.near.open_connection(
            "10.7.0.2", 443, ssl=certificates.client, server_hostname="far.example"
        )
        writer.close()
        await writer.wait_closed()
        with pytest.raises(ssl.SSLCertVerificationError, match=r"other\.example"):
            await both.near.open_connection(
                "10.7.0.2", 443, ssl=certificates.client, server_hostname="other.example"
            )


async def test_certificate_that_is_not_trusted_leaves_nothing_standing(
    networks: Networks, certificates: Any
) -> None:
    async with networks(expect_blame=True) as both:
        server = await both.far.start_server(echo, port=443, ssl=certificates.server)
        with pytest.raises(ssl.SSLCertVerificationError):
            await both.near.open_connection("10.7.0.2", 443, ssl=certificates.stranger)
        server.close()
        await server.wait_closed()


async def test_peer_that_speaks_no_tls(networks: Networks, certificates: Any) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 plain text spoken here\r\n")
        writer.close()

    async with networks(expect_blame=True) as both:
        await both.far.start_server(greet, port=25)
        with pytest.raises(OSError, match=r"WRONG_VERSION_NUMBER|wrong version number|record layer"):
            await both.near.open_connection("10.7.0.2", 25, ssl=certificates.client)


async def test_peer_that_hangs_up_during_the_handshake(networks: Networks, certificates: Any) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with networks() as both:
        await both.far.start_server(hang_up, port=443)
        with pytest.raises(ConnectionError):
            await both.near.open_connection("10.7.0.2", 443, ssl=certificates.client)


async def test_streams_start_tls_in_mid_conversation(networks: Networks, certificates: Any) -> None:
    async def upgrading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\r\n"
        writer.write(b"go ahead\r\n")
        await writer.drain()
        await writer.start_tls(certificates.server)
        await echo(reader, writer)

    async with networks() as both:
        await both.far.start_server(upgrading, port=25)
        reader, writer = await both.near.open_connection("10.7.0.2", 25)
        writer.write(b"STARTTLS\r\n")
        assert await reader.readline() == b"go ahead\r\n"
        await writer.start_tls(certificates.client, server_hostname="far.example")
        writer.write(b"secret")
        assert await reader.readexactly(6) == b"secret"
        assert writer.get_extra_info("ssl_object") is not None
        writer.close()
        await writer.wait_closed()


async def test_loop_start_tls_takes_the_transport(networks: Networks, certificates: Any) -> None:
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[bytes] = loop.create_future()
    lost: asyncio.Future[Exception | None] = loop.create_future()

    class Client(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            lost.set_result(exc)

        def data_received(self, data: bytes) -> None:
            answered.set_result(data)

    async with networks() as both:
        await both.far.start_server(echo, port=443, ssl=certificates.server)
        plain, protocol = await both.near.create_connection(Client, "10.7.0.2", 443)
        secured = await loop.start_tls(plain, protocol, certificates.client, server_hostname="far.example")
        assert secured is not None
        secured.write(b"secret")
        assert await answered == b"secret"
        secured.close()
        assert await lost is None


async def test_tls_pushes_back_too(networks: Networks, certificates: Any) -> None:
    accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async with networks() as both:
        await both.far.start_server(
            lambda reader, writer: accepted.put_nowait((reader, writer)), port=443, ssl=certificates.server
        )
        _, writer = await both.near.open_connection("10.7.0.2", 443, ssl=certificates.client)
        reader, far_writer = await accepted.get()

        async def send() -> None:
            for _ in range(200):
                writer.write(bytes(65536))
                await writer.drain()

        sending = asyncio.ensure_future(send())
        total = len(await reader.read(1))
        assert not sending.done()
        while total < 200 * 65536:
            data = await reader.read(1 << 20)
            assert data, "the end came too early"
            total += len(data)
        await sending
        writer.transport.abort()
        far_writer.transport.abort()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"server_hostname": "a"}, "server_hostname is 'a'; allowed: only with ssl"),
        ({"ssl_handshake_timeout": 1.0}, "ssl_handshake_timeout is 1.0; allowed: only with ssl"),
        ({"ssl": "yes"}, "ssl is 'yes'; allowed: an ssl.SSLContext, True, or None"),
    ],
)
async def test_wrong_options_of_a_client(networks: Networks, options: dict[str, Any], message: str) -> None:
    async with networks() as both:
        with pytest.raises(ValueError, match=message):
            await both.near.open_connection("10.7.0.2", 443, **options)


async def test_wrong_options_of_a_server(networks: Networks) -> None:
    async with networks() as both:
        with pytest.raises(ValueError, match=r"ssl is True; allowed: an ssl\.SSLContext with a certificate"):
            await both.far.start_server(echo, port=443, ssl=True)
        with pytest.raises(ValueError, match="ssl_shutdown_timeout is 1; allowed: only with ssl"):
            await both.far.start_server(echo, port=443, ssl_shutdown_timeout=1)
