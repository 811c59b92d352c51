"""`postel get`: URLs, and responses of every shape, over a link in memory."""

import asyncio

import pytest

from postel.aio import Network
from postel.cli.http import client
from postel.errors import ArgumentError
from tests.cli.web import SERVER, with_server


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("http://10.7.0.1", client.Target("http", "10.7.0.1", 80, "10.7.0.1", "/")),
        (
            "http://10.7.0.1:8000/a%20b?c=d#e",
            client.Target("http", "10.7.0.1", 8000, "10.7.0.1:8000", "/a%20b?c=d"),
        ),
        ("http://[FD07:0::1]/三", client.Target("http", "fd07:0::1", 80, "[FD07:0::1]", "/%E4%B8%89")),
        (
            "HTTPS://WWW.Example.org/a b",
            client.Target("https", "www.example.org", 443, "WWW.Example.org", "/a%20b"),
        ),
        (
            "https://bücher.example:8443",
            client.Target("https", "bücher.example", 8443, "xn--bcher-kva.example:8443", "/"),
        ),
    ],
)
def test_urls(url: str, where: client.Target) -> None:
    assert client.target(url) == where


@pytest.mark.parametrize(
    "url",
    [
        "",
        "10.7.0.1",
        "ftp://10.7.0.1/",
        "http:///",
        "http://10.7.0.1:0/",
        "http://10.7.0.1:x/",
        "http://u@10.7.0.1/",
        "http://[fd07::1%1]/",
    ],
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
        reader, writer = await network.open_connection(where.name, where.port, limit=client.LONGEST_HEAD)
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
        (
            [
                b"HTTP/1.1 200\r\nTransfer-Encoding: Chunked\r\n\r\n",
                b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: x\r\n\r\n",
            ],
            b"hello",
        ),
        (
            [
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nX: y\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            ],
            b"ok",
        ),
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
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n"], "longer than its size"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n"], "middle of its chunks"),
    ],
)
def test_broken_responses(pieces: list[bytes], complaint: str) -> None:
    with pytest.raises(client.BadResponse, match=complaint):
        fetched(*pieces)


@pytest.mark.parametrize(
    ("status", "location", "onward"),
    [
        (301, "/b", "http://a.example:8000/b"),
        (302, "c?d", "http://a.example:8000/x/c?d"),
        (303, "//b.example/", "http://b.example/"),
        (307, " https://b.example ", "https://b.example/"),
        (308, "http://[fd07::1]/", "http://[fd07::1]/"),
        (300, "/b", None),
        (200, "/b", None),
        (302, None, None),
    ],
)
def test_redirects(status: int, location: str | None, onward: str | None) -> None:
    lines = (
        b"HTTP/1.1 %d Found\r\n" % status
        + (f"Location: {location}\r\n".encode() if location else b"")
        + b"Content-Length: 0\r\n\r\n"
    )
    head, _ = fetched(lines)
    found = client.redirected(head, client.target("http://a.example:8000/x/y"))
    assert (None if found is None else str(found)) == onward


@pytest.mark.parametrize(
    "location", ["ftp://b.example/", "http://[", "mailto:somebody@b.example", "file:///etc/passwd"]
)
def test_redirects_out_of_the_web(location: str) -> None:
    head, _ = fetched(b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % location.encode())
    with pytest.raises(client.BadResponse, match="redirects to"):
        client.redirected(head, client.target("http://a.example/"))
