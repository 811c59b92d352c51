"""Certificates for tests: they are trusted by their own clients, for their own names, and are the same for
the same seed.
"""

import asyncio
import ssl
from pathlib import Path

import pytest

from postel.errors import ArgumentError
from postel.sim import Simulation

pytest.importorskip("cryptography")

from postel.testing import Certificates


def spoken(certificates: Certificates, client: ssl.SSLContext, name: str) -> bytes:
    async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    async def serve() -> None:
        await (await asyncio.start_server(hello, port=443, ssl=certificates.server())).serve_forever()

    async def listen() -> bytes:
        reader, writer = await asyncio.open_connection(name, 443, ssl=client)
        try:
            return await reader.read()
        finally:
            writer.close()

    with Simulation(tolerated=(ssl.SSLError, ConnectionError)) as world:
        server, other = world.host("server"), world.host("client")
        world.path(server, other)
        server.run(serve)

        async def test() -> bytes:
            return await other.run(listen)

        return world.run(test())


def test_a_client_that_trusts_the_authority_talks_to_the_server_by_name_and_by_address() -> None:
    certificates = Certificates("server", "10.0.0.1")
    assert spoken(certificates, certificates.client(), "server") == b"hello"
    assert spoken(certificates, certificates.client(), "10.0.0.1") == b"hello"


def test_another_name_and_another_authority_are_refused() -> None:
    certificates = Certificates("elsewhere")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(?i)hostname"):
        spoken(certificates, certificates.client(), "server")
    with pytest.raises(ssl.SSLCertVerificationError):
        spoken(Certificates("server"), Certificates("server", seed=1).client(), "server")


def test_the_same_seed_gives_the_same_octets(tmp_path: Path) -> None:
    one, same, other = Certificates("server"), Certificates("server"), Certificates("server", seed=1)
    assert (one.certificate, one.key, one.authority) == (same.certificate, same.key, same.authority)
    assert one.key != other.key
    assert len(one.certificate) == len(other.certificate)
    paths = one.write(tmp_path)
    assert Path(paths["key"]).read_bytes() == one.key
    with pytest.raises(ArgumentError, match="names"):
        Certificates()
