"""`postel get`: URLs, and responses of every shape, over a link in memory."""

import asyncio
import io

import pytest

from postel.aio import Network
from postel.cli import get
from postel.cli.http import client
from postel.errors import ArgumentError
from tests.cli.web import SERVER, Attached, with_server


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("http://10.7.0.1", client.Target("10.7.0.1", 80, "10.7.0.1", "/")),
        ("http://10.7.0.1:8000/a%20b?c=d#e", client.Target("10.7.0.1", 8000, "10.7.0.1:8000", "/a%20b?c=d")),
        ("http://[FD07:0::1]/三", client.Target("fd07::1", 80, "[FD07:0::1]", "/%E4%B8%89")),
        ("http://10.7.0.1/a b", client.Target("10.7.0.1", 80, "10.7.0.1", "/a%20b")),
    ],
)
def test_urls(url: str, where: client.Target) -> None:
    assert client.target(url) == where


@pytest.mark.parametrize(
    "url", ["", "10.7.0.1", "ftp://10.7.0.1/", "http://host/", "http:///", "http://10.7.0.1:0/", "http://10.7.0.1:x/", "http://u@10.7.0.1/"]
)
def test_other_urls_are_mistakes(url: str) -> None:
    with pytest.raises(ArgumentError, match="URL is"):
        client.target(url)


def fetched(*pieces: bytes) -> tuple[client.Head, bytes]:
    """The head and body of a response that comes in these pieces."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        writer.close()

    async def fetch(network: Network) -> tuple[client.Head, bytes]:
        where = client.target(f"http://{SERVER}/")
        reader, writer = await network.open_connection(where.address, where.port, limit=client.LONGEST_HEAD)
        writer.write(client.request(where, "test"))
        body = bytearray()
        try:
            head = await client.read_head(reader)
            await client.read_body(reader, head, body.extend)
        finally:
            writer.close()
        return head, bytes(body)

    return with_server(serve, fetch)


@pytest.mark.parametrize(
    ("pieces", "body"),
    [
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more"], b"hello"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhe", b"llo"], b"hello"),
        ([b"HTTP/1.0 200 OK\r\n\r\nhello", b" until the end"], b"hello until the end"),
        ([b"HTTP/1.1 200\r\nTransfer-Encoding: Chunked\r\n\r\n", b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: x\r\n\r\n"], b"hello"),
        ([b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nX: y\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"], b"ok"),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], b""),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300000], b"x" * 300000),
    ],
)
def test_bodies(pieces: list[bytes], body: bytes) -> None:
    head, got = fetched(*pieces)
    assert head.status in (200, 204)
    assert got == body


@pytest.mark.parametrize(
    ("pieces", "complaint"),
    [
        ([], "closed the connection before"),
        ([b"HTTP/1.1 200 OK\r\nContent-"], "closed the connection before"),
        ([b"SSH-2.0-x\r\n\r\n"], "isn't HTTP"),
        ([b"HTTP/1.1 20 OK\r\n\r\n"], "isn't HTTP"),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n"], "more than 65536 octets|line more"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"], "2 octets missing"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"], "bad Content-Length"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"], "bad Content-Length"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"], "unknown transfer coding"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nhel\r\n"], "bad chunk size"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n"], "longer than it says"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n"], "within its chunks"),
    ],
)
def test_broken_responses(pieces: list[bytes], complaint: str) -> None:
    with pytest.raises(client.BadResponse, match=complaint):
        fetched(*pieces)


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    asked = await reader.readuntil(b"\r\n\r\n")
    found = asked.startswith(b"GET /found ")
    writer.write(b"HTTP/1.1 %s\r\nContent-Length: 5\r\n\r\nhello" % (b"200 OK" if found else b"404 Not Found"))
    writer.close()


@pytest.mark.parametrize(
    ("path", "includes_head", "status", "output"),
    [
        ("found", False, 200, b"hello"),
        ("lost", False, 404, b"hello"),
        ("found", True, 200, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ],
)
def test_the_command_writes_what_it_got(path: str, includes_head: bool, status: int, output: bytes) -> None:
    written = io.BytesIO()

    async def use(network: Network) -> int:
        return await get.fetch(Attached(network), client.target(f"http://{SERVER}/{path}"), written, includes_head=includes_head)

    assert with_server(greet, use) == status
    assert written.getvalue() == output
