"""What goes over UDP: dnspython and aioquic."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import dns.asyncquery
import dns.asyncresolver
import dns.flags
import dns.message
import dns.rrset
import pytest
from aioquic.asyncio import connect, serve
from aioquic.quic.configuration import QuicConfiguration

from tests.libraries.conftest import OPENSSL, Stage

TEXTS = [f'"{number:03}{"x" * 200}"' for number in range(20)]


class NameServer(asyncio.DatagramProtocol):
    """Knows an address of every name, and texts that are too long for a datagram."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        response = answered(data)
        if response.answer and len(response.answer[0]) > 1:
            response.answer.clear()
            response.flags |= dns.flags.TC
        assert isinstance(self.transport, asyncio.DatagramTransport)
        self.transport.sendto(response.to_wire(), addr)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            length = int.from_bytes(await reader.readexactly(2), "big")
            octets = answered(await reader.readexactly(length)).to_wire()
            writer.write(len(octets).to_bytes(2, "big") + octets)


def answered(data: bytes) -> dns.message.Message:
    query = dns.message.from_wire(data)
    response = dns.message.make_response(query)
    (question,) = query.question
    if question.rdtype == dns.rdatatype.TXT:
        response.answer.append(dns.rrset.from_text(question.name, 60, "IN", "TXT", *TEXTS))
    elif question.rdtype == dns.rdatatype.A:
        response.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", "10.0.0.7"))
    return response


def test_dnspython(stage: Stage) -> None:
    @asynccontextmanager
    async def serving() -> AsyncIterator[None]:
        names = NameServer()
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: names, ("0.0.0.0", 53)
        )
        async with await asyncio.start_server(names.converse, "0.0.0.0", 53):
            yield
        transport.close()

    async def ask() -> tuple[list[str], int]:
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = [stage.server]
        addresses = [str(record) for record in await resolver.resolve("www.example.org", "A")]
        texts = await resolver.resolve("www.example.org", "TXT")  # truncated: asked again over TCP
        return addresses, len(texts)

    assert stage.play(serving, ask) == (["10.0.0.7"], 20)


@pytest.mark.parametrize("family", [4, 6])
def test_aioquic(stage: Stage, family: int, key_files: tuple[str, str], client_tls: ssl.SSLContext) -> None:
    address = stage.server if family == 4 else stage.server_6

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        writer.write_eof()

    @asynccontextmanager
    async def serving() -> AsyncIterator[None]:
        configuration = QuicConfiguration(is_client=False, alpn_protocols=["echo"])
        configuration.load_cert_chain(*key_files)
        server = await serve(
            address,
            4433,
            configuration=configuration,
            stream_handler=lambda *ends: asyncio.ensure_future(echo(*ends)),
        )
        yield
        server.close()

    async def ask() -> bytes:
        configuration = QuicConfiguration(alpn_protocols=["echo"], verify_mode=ssl.CERT_NONE)
        async with connect(address, 4433, configuration=configuration) as client:
            reader, writer = await client.create_stream()
            writer.write(b"hello" * 10_000)
            writer.write_eof()
            return await reader.read()

    assert stage.play(serving, ask, varies=OPENSSL) == b"HELLO" * 10_000
