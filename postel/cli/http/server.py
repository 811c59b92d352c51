"""One conversation per connection: request, response, and again until somebody has enough."""

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, Protocol

from postel.cli.http.files import Answer
from postel.cli.http.messages import Refused, Request, parse_request, text_response

_CHUNK: Final = 256 << 10
_LONGEST_BODY: Final = 1 << 20  # of a request: read and thrown away
_FAREWELL: Final = 2.0  # seconds


class Answers(Protocol):
    """A `Site`, or something like one."""

    def answer(self, request: Request) -> Answer: ...


class Server:
    """Serves a site: give `converse` to ``start_server``. ``log`` gets a line for each request; ``patience`` is in seconds, ``clock`` tells
    those since 1970."""

    LONGEST_HEAD: Final = 16 << 10

    def __init__(
        self,
        site: Answers,
        *,
        log: Callable[[str], None] | None = None,
        patience: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.site = site
        self._clock = clock
        self._log = log
        self._patience = patience

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
            await self._see_off(reader, writer)
            writer.close()
            await writer.wait_closed()
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            writer.transport.abort()  # the peer is gone, or says nothing: nobody is left to tell

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its response; whether another may follow."""
        request: Request | None = None
        try:
            request = await self._request(reader)
            if request is None:
                return False
            answer, keeps_alive = self.site.answer(request), request.keeps_alive
        except Refused as refused:
            keeps_alive = request is not None and request.keeps_alive
            answer = Answer(text_response(refused.status, str(refused), refused.headers))
        await self._send(answer, writer, keeps_alive=keeps_alive, head_only=request is not None and request.method == "HEAD")
        self._tell(request, answer, writer)
        return keeps_alive

    async def _see_off(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Closing with octets unread would send RST, and that may cost the peer our last response (RFC 9112, 9.6)."""
        if not writer.can_write_eof():
            return  # TLS has an end of its own
        writer.write_eof()
        try:
            async with asyncio.timeout(_FAREWELL):
                while await reader.read(_CHUNK):
                    pass
        except TimeoutError:
            return

    async def _request(self, reader: asyncio.StreamReader) -> Request | None:
        """None when the peer has nothing more to ask."""
        try:
            async with asyncio.timeout(self._patience):
                head = b""
                while not head:  # RFC 9112, 2.2: empty lines before a request are ignored
                    head = (await reader.readuntil(b"\r\n\r\n")).lstrip(b"\r\n")
                request = parse_request(head)
                if request.body_length > _LONGEST_BODY:
                    raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                await reader.readexactly(request.body_length)
        except asyncio.LimitOverrunError:
            raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE) from None
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise Refused(HTTPStatus.BAD_REQUEST, "cut short") from None
            return None
        return request

    async def _send(self, answer: Answer, writer: asyncio.StreamWriter, *, keeps_alive: bool, head_only: bool) -> None:
        response = answer.response
        head = response.head(keeps_alive=keeps_alive, now=self._clock())
        if answer.file is None:
            writer.write(head if head_only else head + response.body)
            await writer.drain()
            return
        with answer.file:
            writer.write(head)
            left = 0 if head_only else response.length
            while left:
                octets = answer.file.read(min(left, _CHUNK))
                if not octets:
                    raise OSError("the file became shorter")  # a whole response can't be had: the peer must see it break
                writer.write(octets)
                left -= len(octets)
                await writer.drain()

    def _tell(self, request: Request | None, answer: Answer, writer: asyncio.StreamWriter) -> None:
        if self._log is not None:
            peer = writer.get_extra_info("peername")
            asked = f"{request.method} {request.target}" if request is not None else "-"
            self._log(f'{peer[0] if peer else "-"} "{asked}" {answer.response.status.value} {answer.response.length}')
