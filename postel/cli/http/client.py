"""Request for one URL, and its response as it comes in (RFC 9112)."""

import asyncio
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException, parse_headers
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from postel.errors import ArgumentError
from postel.wire import address

LONGEST_HEAD: Final = 64 << 10
_CHUNK: Final = 64 << 10
_LONGEST_LINE: Final = 4096  # largest length, in octets, of the line with a chunk's size
_MOST_INTERIM: Final = 100  # largest number of responses with status 1xx before the final response
_WITHOUT_BODY: Final = (204, 304)
_MOST_DIGITS: Final = 18  # largest number of digits in a length; a longer number is larger than any file
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Za-z:.]+\])(?::[0-9]*)?")
LARGEST: Final = 10**_MOST_DIGITS


class BadResponse(Exception):
    """Response that can't be used: not HTTP, against its rules, over a limit of ours, or incomplete."""


@dataclass(frozen=True, slots=True)
class Target:
    """URL in its parts.

    ``name`` is the host's name or address, and ``host`` is the text for the Host header.
    """

    scheme: str
    name: str
    port: int
    host: str
    path: str

    @property
    def is_secure(self) -> bool:
        """Whether the scheme is https."""
        return self.scheme == "https"

    def __str__(self) -> str:
        """Write the URL."""
        return f"{self.scheme}://{self.host}{self.path}"


def target(url: str) -> Target:
    """Split a URL. Raises ArgumentError unless it is ``http://HOST[:PORT]/…`` or ``https://…``."""
    try:
        return _target(url)
    except ValueError:
        raise ArgumentError(
            "URL", url, "http:// or https:// with a name or an address, such as http://[fd07::1]:8080/"
        ) from None


def _target(url: str) -> Target:
    parts = urlsplit(url)
    name = (parts.hostname or "").removesuffix(".")
    if parts.scheme not in _PORTS or parts.username is not None or not name or parts.port == 0:
        raise ValueError(url)
    if ":" in name:
        address.parse(name)  # raises ValueError for an IPv6 address with a zone
    host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode("ascii")
    if not _HOST.fullmatch(host):  # RFC 9110, 7.2
        raise ValueError(url)
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._") + (
        f"?{quote(parts.query, safe=_QUERY)}" if parts.query else ""
    )
    return Target(parts.scheme, name, parts.port or _PORTS[parts.scheme], host, path)


def redirected(head: "Head", where: Target) -> Target | None:
    """Target that a response redirects to (RFC 9110, 15.4), or None for any other response.

    Raises BadResponse where the location isn't a URL with http or https.
    """
    location = head.headers.get("Location")
    if head.status not in _REDIRECTS or location is None:
        return None
    try:
        return _target(urljoin(str(where), str(location).strip()))
    except ValueError:
        raise BadResponse(f"the server redirects to {location!r}") from None


_PORTS: Final = {"http": 80, "https": 443}
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_QUERY: Final = "/%:@!$&'()*+,;=~-._?"


@dataclass(slots=True)
class Head:
    """Head of a response; ``octets`` has the whole head as the server sent it."""

    status: int
    octets: bytes
    headers: Message


def request(where: Target, agent: str) -> bytes:
    """Write a GET request for a target, after which the server closes the connection."""
    lines = (
        f"GET {where.path} HTTP/1.1",
        f"Host: {where.host}",
        f"User-Agent: {agent}",
        "Accept: */*",
        "Connection: close",
        "",
        "",
    )
    return "\r\n".join(lines).encode("ascii")


async def read_head(reader: asyncio.StreamReader, begun: bytes = b"") -> Head:
    """Read the head of the final response; interim ones (status 1xx) before it are skipped.

    ``begun`` are octets that were read already. Raises BadResponse.
    """
    for _ in range(_MOST_INTERIM):
        try:
            octets = begun + await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            raise BadResponse("the server closed the connection before its response was whole") from error
        except asyncio.LimitOverrunError as error:
            raise BadResponse(f"the response's head has more than {LONGEST_HEAD} octets") from error
        head = _parse(octets)
        if head.status >= 200:
            return head
        begun = b""
    raise BadResponse(f"the server sent {_MOST_INTERIM} interim responses and no final one")


def _parse(octets: bytes) -> Head:
    lines = io.BytesIO(octets)
    parts = lines.readline().split(None, 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or len(parts[1]) != 3 or not parts[1].isdigit():
        raise BadResponse("the response isn't HTTP/1.x")
    try:
        return Head(int(parts[1]), octets, parse_headers(lines))
    except HTTPException as error:
        raise BadResponse(f"the response has headers that can't be read: {error}") from error


async def read_body(reader: asyncio.StreamReader, head: Head, write: Callable[[bytes], object]) -> None:
    """Read a body, and pass its octets to ``write`` as they come. Raises BadResponse if some are missing."""
    codings = [
        coding.strip().lower()
        for coding in head.headers.get("Transfer-Encoding", "").split(",")
        if coding.strip()
    ]
    lengths = {
        text.strip() for value in head.headers.get_all("Content-Length", []) for text in value.split(",")
    }
    if head.status in _WITHOUT_BODY:
        return
    if codings:
        if codings != ["chunked"]:
            raise BadResponse(f"the response has an unknown transfer coding: {', '.join(codings)}")
        await _read_chunks(reader, write)
    elif lengths:
        length = number(lengths.pop())
        if lengths or length is None or length == LARGEST:
            raise BadResponse("the response has a bad Content-Length")
        await _copy(reader, length, write)
    else:
        while octets := await reader.read(_CHUNK):
            write(octets)


async def _copy(reader: asyncio.StreamReader, length: int, write: Callable[[bytes], object]) -> None:
    while length:
        octets = await reader.read(min(length, _CHUNK))
        if not octets:
            raise BadResponse(f"the server ended the body with {length} octets missing")
        write(octets)
        length -= len(octets)


async def _read_chunks(reader: asyncio.StreamReader, write: Callable[[bytes], object]) -> None:
    while length := _chunk_size(await _line(reader)):
        await _copy(reader, length, write)
        if await _line(reader):
            raise BadResponse("the response has a chunk that is longer than its size says")
    left = LONGEST_HEAD
    while line := await _line(reader):  # trailer fields follow the last chunk (RFC 9112, 7.1.2)
        left -= len(line)
        if left < 0:
            raise BadResponse(f"the response's trailers have more than {LONGEST_HEAD} octets")


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if not digits or len(digits) > 16 or digits.strip(b"0123456789abcdefABCDEF"):
        raise BadResponse("the response has a bad chunk size")
    return int(digits, 16)


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        line = await reader.readuntil(b"\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise BadResponse("the server ended the body in the middle of its chunks") from error
    if len(line) > _LONGEST_LINE:
        raise BadResponse("the response has a bad chunk size")
    return line[:-2]


def number(text: str) -> int | None:
    """Value of a text of decimal digits, at most `LARGEST`; None for any other text.

    ``int`` itself takes time for long numbers, and raises ValueError for one of more than 4,300 digits.
    """
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0")
    return int(digits or "0") if len(digits) <= _MOST_DIGITS else LARGEST
