"""What servers send that is no HTTP, or HTTP to harm: the client has a value or a clear refusal for all
octets.
"""

import asyncio
from contextlib import suppress
from email.message import Message

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postel import cli
from postel.cli.http import client
from postel.cli.http.client import LARGEST, number
from postel.errors import ArgumentError

DIGITS = b"9" * 5000


@given(st.text("0123456789", min_size=1, max_size=30) | st.integers(4000, 16000).map("7".__mul__))
def test_numbers_of_any_length_have_a_value(text: str) -> None:
    assert number(text) == (int(text) if len(text) < 4000 and int(text) < LARGEST else LARGEST)


RESPONSE = [
    b"HTTP/1.1", b" ", b"200", b"100", b"204", b"301", b" OK", b"\r\n", b"\n", b"\0", b"Content-Length: ",
    b"5", DIGITS, b"-1", b", 5",
    b"Transfer-Encoding: ", b"chunked", b"gzip", b"\r\n\r\n", b"hello", b"fffffffffffffffff\r\n",
    b"ffffffffffffffff\r\n", b"5;x=y\r\n",
    b"0\r\n", b"Location: ", b"http://[", b"http://x:99999/", b"//\x1b[2J/", b"X: " + b"y" * 5000, b"\xff",
]  # fmt: skip
responses = st.one_of(
    st.binary(max_size=300),
    st.lists(st.sampled_from(RESPONSE), max_size=30).map(b"".join),
    st.lists(st.sampled_from(RESPONSE), max_size=30).map(
        lambda pieces: b"HTTP/1.1 200 OK\r\n" + b"".join(pieces)
    ),
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
