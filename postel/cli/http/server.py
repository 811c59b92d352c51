"""Small web server that answers one GET for each connection from memory.

``postel demo`` and ``postel get --lab`` use it.

The server of ``postel serve`` is in `postel.cli.http.application`.
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

LONGEST_HEAD: Final = 16 << 10  # largest head of a request in octets, for ``limit`` of `start_server`
# Longest time, in seconds, for which the server reads on after its response before it closes
_FAREWELL: Final = 2.0
_CHUNK: Final = 64 << 10
_GET: Final = re.compile(rb"GET (/[!-~]*) HTTP/1\.[01]\r\n")
_HOST: Final = re.compile(rb"\r\nHost:[ \t]*([!-~]*)[ \t]*\r\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Response:
    """Response with a status, headers and a body."""

    status: HTTPStatus
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def octets(self, now: float) -> bytes:
        """Write head and body; ``now``, for the header Date, is in seconds since 1970."""
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            f"Date: {formatdate(now, usegmt=True)}",
            "Server: postel",
        ]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines += [f"Content-Length: {len(self.body)}", "Connection: close"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + self.body


def text_response(status: HTTPStatus, text: str = "") -> Response:
    """Make a response with a short text that explains the status."""
    body = f"{status.value} {status.phrase}\n{text or status.description}\n".encode()
    return Response(status, {"Content-Type": "text/plain; charset=utf-8"}, body)


class Server:
    """Web server; its method `converse` is the argument of ``start_server``.

    ``answer`` gets the target and the Host of a request, and returns the response. ``clock`` returns the
    seconds since 1970.
    """

    def __init__(
        self, answer: Callable[[str, str], Response], *, clock: Callable[[], float] = time.time
    ) -> None:
        """Take the function that answers."""
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
            writer.transport.abort()  # the peer has reset the connection

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
    """Close the connection, but first read what the client still sends.

    Closing with unread data would send a RST, which can destroy a response that is still under way (RFC 9112,
    9.6).
    """
    if writer.can_write_eof():  # TLS can't close one direction; it marks its end itself
        writer.write_eof()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                while await reader.read(_CHUNK):
                    pass
    writer.close()
    await writer.wait_closed()
