"""A web server as small as `postel demo` and `postel get --lab` need one: one GET for each connection,
answered from memory.

`postel serve` has a real one: see `postel.cli.http.application`.
"""

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

LONGEST_HEAD: Final = 16 << 10  # octets: the ``limit`` for `start_server`
_FAREWELL: Final = 2.0  # seconds
_CHUNK: Final = 64 << 10
_GET: Final = re.compile(rb"GET (/[!-~]*) HTTP/1\.[01]\r\n")
_HOST: Final = re.compile(rb"\r\nHost:[ \t]*([!-~]*)[ \t]*\r\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Response:
    status: HTTPStatus
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def octets(self, now: float) -> bytes:
        """Head and body. ``now`` in seconds since 1970, for Date."""
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            f"Date: {formatdate(now, usegmt=True)}",
            "Server: postel",
        ]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines += [f"Content-Length: {len(self.body)}", "Connection: close"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + self.body


def text_response(status: HTTPStatus, text: str = "") -> Response:
    body = f"{status.value} {status.phrase}\n{text or status.description}\n".encode()
    return Response(status, {"Content-Type": "text/plain; charset=utf-8"}, body)


class Server:
    """Give `converse` to ``start_server``. ``answer`` gets the target of a request and its Host; ``clock``
    tells the seconds since 1970.
    """

    def __init__(
        self, answer: Callable[[str, str], Response], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._answer = answer
        self._clock = clock

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends. Never raises for what a peer does."""
        try:
            response = await self._response(reader)
            writer.write(response.octets(self._clock()))
            await writer.drain()
            await _end(reader, writer)
        except OSError:
            writer.transport.abort()  # the peer is gone

    async def _response(self, reader: asyncio.StreamReader) -> Response:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return text_response(HTTPStatus.BAD_REQUEST)
        asked, host = _GET.match(head), _HOST.search(head)
        if asked is None:
            return text_response(HTTPStatus.BAD_REQUEST, "Only GET is served here.")
        return self._answer(asked[1].decode(), host[1].decode() if host else "")


async def _end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close. With octets unread that would send RST, which may cost the peer the response (RFC 9112, 9.6):
    read on first.
    """
    if writer.can_write_eof():  # TLS can't: it has an end of its own
        writer.write_eof()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                while await reader.read(_CHUNK):
                    pass
    writer.close()
    await writer.wait_closed()
