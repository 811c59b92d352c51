"""What peers send that is no HTTP, or HTTP to harm: both parsers answer with a value or a clear refusal, whatever the octets are."""

import asyncio
import os
import re
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from http import HTTPStatus
from itertools import takewhile
from pathlib import Path
from tempfile import gettempdir

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postel import cli
from postel.aio import Network
from postel.cli.http import client
from postel.cli.http.files import Answer, Site, byte_range, target_path
from postel.cli.http.messages import LARGEST, Refused, Request, number, parse_request, text_response
from postel.cli.http.server import Server
from postel.errors import ArgumentError
from tests.cli.test_server import Web
from tests.cli.web import exchanged, with_server

DIGITS = b"9" * 5000
PIECES = [
    b"GET", b" ", b"/", b"/a%00", b"/%0d%0a", b"http://x/", b"*", b" HTTP/1.1", b" HTTP/1.0", b" HTTP/0.9", b" HTTP/11.1", b"\r\n", b"\n",
    b"\r", b"\0", b"\x1b[2J", b"Host: x", b"Host:", b"Host: a b", b"Content-Length: ", b"5", b"-5", b"+5", b"0x5", DIGITS, b"Range: bytes=",
    b"-", b"Transfer-Encoding: chunked", b"Connection: close", b": ", b":", b",", b"\t", b"\xff", b"If-Modified-Since: ",
    b"Thu, 99 Jan 99999 00:00:00 GMT", b"x" * 300,
]  # fmt: skip
requests = st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join))
texts = st.one_of(st.text(max_size=60), st.lists(st.sampled_from([piece.decode("latin-1") for piece in PIECES]), max_size=8).map("".join))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "digits").write_bytes(b"0123456789")
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "index.html").mkdir()
    return tmp_path


@pytest.fixture
def web(site: Path) -> Web:
    return Web(site)


# The server's parser


@given(requests)
@example(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: " + DIGITS + b"\r\n\r\n")
def test_any_octets_are_a_request_or_refused(octets: bytes) -> None:
    try:
        request = parse_request(octets)
    except Refused as refused:
        assert refused.status >= 400
        return
    assert re.fullmatch(r"[!-~]+", request.method + request.target)
    assert not any(letter in value for value in request.headers.values() for letter in "\r\n\0")
    assert 0 <= request.body_length <= LARGEST


@given(st.sampled_from([0x00, 0x0A, 0x0B, 0x0D, 0x1B, 0x7F]), st.sampled_from(["target", "value", "name", "host"]))
def test_control_characters_are_refused_wherever_they_stand(octet: int, where: str) -> None:
    letter = bytes([octet])
    parts = {"target": b"a", "value": b"b", "name": b"X", "host": b"x"}
    parts[where] = parts[where] + letter + parts[where]
    head = b"GET /%s HTTP/1.1\r\nHost: %s\r\n%s: %s\r\n\r\n" % (parts["target"], parts["host"], parts["name"], parts["value"])
    with pytest.raises(Refused) as refused:
        parse_request(head)
    assert refused.value.status == HTTPStatus.BAD_REQUEST


@given(st.text("0123456789", min_size=1, max_size=30) | st.integers(4000, 16000).map("7".__mul__))
def test_numbers_of_any_length_have_a_value(text: str) -> None:
    assert number(text) == (int(text) if len(text) < 4000 and int(text) < LARGEST else LARGEST)


@given(texts, st.integers(0, 1 << 40))
@example("bytes=" + "9" * 5000 + "-", 5)
@example("bytes=-" + "9" * 5000, 5)
@example("bytes=0-" + "9" * 5000, 5)
def test_any_range_is_one_in_the_file_or_none(text: str, size: int) -> None:
    try:
        chosen = byte_range(text, size)
    except Refused as refused:
        assert refused.status == 416
        return
    if chosen is not None:
        assert 0 <= chosen[0] < chosen[1] <= size


@given(texts)
def test_any_target_is_a_path_or_refused(text: str) -> None:
    try:
        assert "\0" not in target_path(text)
    except Refused as refused:
        assert refused.status == HTTPStatus.BAD_REQUEST


@given(texts)
def test_any_date_is_a_date_or_ignored(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "dated"
    file.write_text("x")
    asked = Request("GET", "/dated", (1, 1), {"if-modified-since": text}, 0)
    answer = Site(file.parent).answer(asked)
    assert answer.response.status in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET /\x1b[2J HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\nc\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01", 400),  # TLS: answered at once, though no line has ended
        (b"\r\n" * 100, 400),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: " + DIGITS + b"\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 1000 + b"\r\n", 431),
        (b"GET /digits HTTP/1.1\r\nHost: x\r\nRange: bytes=" + DIGITS + b"-\r\nConnection: close\r\n\r\n", 416),
    ],
)
def test_hostile_requests_are_answered_and_the_connection_ends_with_fin(web: Web, head: bytes, status: int) -> None:
    answer = web.use(lambda network: exchanged(network, head, half_close=False))
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close" in answer


def test_keep_alive_is_told_to_http_1_0(web: Web) -> None:
    def ask(version: bytes, more: bytes) -> bytes:
        return web.raw(b"GET /digits HTTP/%s\r\nHost: x\r\n%s\r\n" % (version, more))

    assert b"\r\nConnection: keep-alive\r\n" in ask(b"1.0", b"Connection: Keep-Alive\r\n")
    assert b"\r\nConnection: close\r\n" in ask(b"1.0", b"")
    assert b"Connection:" not in ask(b"1.1", b"")


def test_a_part_is_not_sent_where_the_file_may_have_changed(web: Web) -> None:
    status, headers, body = web.ask("/digits", Range="bytes=2-4", If_Range='"anything"')
    assert (status, body) == (200, b"0123456789")
    assert "content-range" not in headers


def test_lines_of_the_log_can_not_be_forged(web: Web) -> None:
    web.ask('/a"%200%0d%0a\\')
    web.raw(b'GET /x\r\n10.7.0.9 "GET /forged" 200 5 HTTP/1.1\r\nHost: x\r\n\r\n')
    web.raw(b'G"T / HTTP/1.1\r\nHost: x\r\n\r\n')
    assert web.lines == [
        '10.7.0.1 "GET /a\\x22%200%0d%0a\\x5c" 404 44',
        '10.7.0.1 "-" 400 33',
        '10.7.0.1 "-" 400 33',
    ]


# What the system refuses


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("target", ["/index/", "/index/index.html", "/", "/nothing", "/digits"])
def test_no_request_leaks_a_descriptor(site: Path, target: str) -> None:
    served = Site(site)
    before = descriptors()
    for method in ("GET", "HEAD"):
        for more in ({}, {"range": "bytes=50-"}, {"range": "bytes=1-2"}):
            try:
                answer = served.answer(Request(method, target, (1, 1), more, 0))
                assert answer.content is None
            except Refused as refused:
                assert refused.status in (404, 416)
    assert descriptors() == before


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("target", ["/digits", "/"])
def test_out_of_descriptors_is_503_and_told(site: Path, target: str) -> None:
    served = Site(site)
    with no_descriptor_left(), pytest.raises(Refused) as refused:
        served.answer(Request("GET", target, (1, 1), {}, 0))
    assert refused.value.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert refused.value.headers["Retry-After"]
    assert refused.value.reason == "Too many open files"


class Failing:
    """A site in trouble."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def answer(self, _request: Request) -> Answer:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (Refused(HTTPStatus.SERVICE_UNAVAILABLE, reason="Too many open files"), b" 503 ", "/x: Too many open files"),
        (ZeroDivisionError("its fault"), b" 500 ", "/x: ZeroDivisionError('its fault')"),
    ],
)
def test_a_server_in_trouble_says_so_in_its_log_and_goes_on(error: Exception, status: bytes, line: str) -> None:
    complaints: list[str] = []
    server = Server(Failing(error), complain=complaints.append)

    async def ask(network: Network) -> bytes:
        return await exchanged(network, b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n" * 2)

    answer = with_server(server.converse, ask)
    assert answer.count(status) == 2
    assert b"fault" not in answer
    assert complaints == [line]  # not more than one a second


class Slow:
    """A site on a disk that answers one request only after it was asked another."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def answer(self, request: Request) -> Answer:
        if request.target == "/slow":
            assert self.asked.wait(10)
        else:
            self.asked.set()
        return Answer(text_response(HTTPStatus.OK, request.target))


def test_a_slow_disk_stops_neither_the_stack_nor_other_connections() -> None:
    server = Server(Slow())

    async def ask(network: Network) -> list[bytes]:
        asked = [b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % target for target in (b"/slow", b"/fast")]
        return await asyncio.gather(*(exchanged(network, octets) for octets in asked))

    slow, fast = with_server(server.converse, ask)
    assert slow.endswith(b"/slow\n")
    assert fast.endswith(b"/fast\n")


def test_what_may_not_be_read_is_403(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("closed")
    for directory in takewhile(lambda path: path != Path(gettempdir()), (root, *root.parents)):  # another user shall get there
        directory.chmod(0o755)
    (root / "hidden").mkdir()
    (root / "hidden" / "page").write_text("secret")
    (root / "hidden").chmod(0)
    (root / "page").write_text("secret")
    (root / "page").chmod(0)
    served = Site(root)
    was = os.geteuid()
    os.seteuid(65534 if was == 0 else was)
    try:
        for target in ("/hidden/", "/hidden/page", "/page"):
            with pytest.raises(Refused) as refused:
                served.answer(Request("GET", target, (1, 1), {}, 0))
            assert refused.value.status == HTTPStatus.FORBIDDEN, target
        assert b"hidden/" in served.answer(Request("GET", "/", (1, 1), {}, 0)).response.body
    finally:
        os.seteuid(was)
        (root / "hidden").chmod(0o755)


def test_a_long_listing_has_an_end(tmp_path: Path) -> None:
    for name in range(10_050):
        (tmp_path / f"{name:05}").touch()
    body = Site(tmp_path).answer(Request("GET", "/", (1, 1), {}, 0)).response.body
    assert body.count(b"<li>") == 10_000
    assert b"09999" in body
    assert b"There are more." in body


# The client's parser

RESPONSE = [
    b"HTTP/1.1", b" ", b"200", b"100", b"204", b"301", b" OK", b"\r\n", b"\n", b"\0", b"Content-Length: ", b"5", DIGITS, b"-1", b", 5",
    b"Transfer-Encoding: ", b"chunked", b"gzip", b"\r\n\r\n", b"hello", b"fffffffffffffffff\r\n", b"ffffffffffffffff\r\n", b"5;x=y\r\n",
    b"0\r\n", b"Location: ", b"http://[", b"http://x:99999/", b"//\x1b[2J/", b"X: " + b"y" * 5000, b"\xff",
]  # fmt: skip
responses = st.one_of(
    st.binary(max_size=300),
    st.lists(st.sampled_from(RESPONSE), max_size=30).map(b"".join),
    st.lists(st.sampled_from(RESPONSE), max_size=30).map(lambda pieces: b"HTTP/1.1 200 OK\r\n" + b"".join(pieces)),
)
WHERE = client.target("http://example.org/")


async def read(octets: bytes) -> bytes:
    reader = asyncio.StreamReader(limit=client.LONGEST_HEAD)
    reader.feed_data(octets)
    reader.feed_eof()
    body = bytearray()
    head = await client.read_head(reader)
    client.redirected(head, WHERE)
    await client.read_body(reader, head, body.extend)
    return bytes(body)


@given(responses)
@example(b"HTTP/1.1 200 OK\r\nContent-Length: " + DIGITS + b"\r\n\r\nx")
def test_any_octets_are_a_response_or_a_clear_error(octets: bytes) -> None:
    try:
        asyncio.run(read(octets))
    except client.BadResponse as error:
        assert str(error)


@given(st.sampled_from([b"9" * 4999, b"1" + b"0" * 18, b"9" * 20, b"0x5", b"+5", b"5 5", b"", b"\xb2"]))
def test_lengths_that_can_not_be_are_bad_responses(length: bytes) -> None:
    message = Message()
    message["Content-Length"] = length.decode("latin-1")

    async def read_it() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(b"x")
        reader.feed_eof()
        await client.read_body(reader, client.Head(200, b"", message), bytearray().extend)

    with pytest.raises(client.BadResponse, match="Content-Length"):
        asyncio.run(read_it())


@pytest.mark.parametrize(
    ("octets", "told"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 200, "interim"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 20_000, "trailers"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://\x1b[2J/\r\n\r\n", "redirects"),
    ],
)
def test_what_never_ends_has_an_end(octets: bytes, told: str) -> None:
    with pytest.raises(client.BadResponse, match=told):
        asyncio.run(read(octets))


PARTS = [
    "http://",
    "//",
    "[",
    "]",
    ":",
    "@",
    "/",
    "?",
    "#",
    "\x1b[2J",
    "é",
    "…",
    "xn--",
    "a" * 70,
    "..",
    "%",
    "::1",
    "1" * 30,
    " ",
    "\0",
    "\udcff",
]
places = st.one_of(st.text(max_size=40), st.lists(st.sampled_from(PARTS), max_size=8).map("".join))


@given(places)
def test_any_url_and_any_redirect_is_a_target_or_a_clear_error(text: str) -> None:
    message = Message()
    message["Location"] = text
    found: list[client.Target | None] = []
    with suppress(ArgumentError):
        found.append(client.target(text))
    with suppress(client.BadResponse):
        found.append(client.redirected(client.Head(301, b"", message), WHERE))
    for target in found:
        if target is not None:
            assert str(target).isprintable()
            assert client.request(target, "test").count(b"\r\n") == 6


@given(st.text(max_size=50))
def test_no_message_of_a_command_steers_a_terminal(text: str) -> None:
    assert cli.printable(text).isprintable()
