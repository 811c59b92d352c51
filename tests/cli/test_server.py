"""The web server of the demo and of the lab, over Postel itself and a link in memory."""

import asyncio
from http import HTTPStatus

import pytest

from postel.aio import Network
from postel.cli.http.server import LONGEST_HEAD, Response, Server
from tests.cli.web import SERVER, exchanged, with_server

PAGE = bytes(range(256)) * 2000


def answered(octets: bytes, *, half_close: bool = False) -> bytes:
    """All that comes back."""

    def answer(target: str, host: str) -> Response:
        return Response(HTTPStatus.OK, {"X-Asked": f"{target} at {host}"}, PAGE)

    server = Server(answer, clock=lambda: 0.0)
    return with_server(
        server.converse, lambda network: exchanged(network, octets, half_close=half_close), limit=LONGEST_HEAD
    )


@pytest.mark.parametrize("half_close", [False, True])
def test_a_page_is_answered_and_the_connection_ends_with_fin(half_close: bool) -> None:
    head, _, body = answered(b"GET /a?b HTTP/1.1\r\nhost: x:80\r\n\r\n", half_close=half_close).partition(
        b"\r\n\r\n"
    )
    assert head.split(b"\r\n") == [
        b"HTTP/1.1 200 OK",
        b"Date: Thu, 01 Jan 1970 00:00:00 GMT",
        b"Server: postel",
        b"X-Asked: /a?b at x:80",
        b"Content-Length: 512000",
        b"Connection: close",
    ]
    assert body == PAGE


@pytest.mark.parametrize(
    "octets",
    [
        b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET nothing HTTP/1.1\r\n\r\n",
        b"GET /\x1b[2J HTTP/1.1\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 2 * LONGEST_HEAD,
        b"\0" * 100 + b"\r\n\r\n",
    ],
)
def test_all_else_is_refused(octets: bytes) -> None:
    answer = answered(octets)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("octets", [b"", b"GET / HT"])
def test_a_request_that_is_cut_short_is_refused(octets: bytes) -> None:
    assert answered(octets, half_close=True).startswith(b"HTTP/1.1 400 ")


def test_a_peer_that_goes_away_is_no_failure() -> None:
    ended = asyncio.Event()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Server(lambda _target, _host: Response(HTTPStatus.OK, body=PAGE * 100)).converse(reader, writer)
        ended.set()

    async def use(network: Network) -> None:
        reader, writer = await network.open_connection(SERVER, 80)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await reader.readexactly(100)
        writer.transport.abort()
        await asyncio.wait_for(ended.wait(), 10)

    with_server(converse, use)
