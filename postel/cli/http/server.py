"""Requests and their responses on many connections, each with a conversation of its own."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol

from postel.cli.http.content import CHUNK, Content
from postel.cli.http.delivery import Expired, Stalled, Wait
from postel.cli.http.files import Answer
from postel.cli.http.limits import Counters, Limits
from postel.cli.http.messages import Refused, Request, parse_request, text_response

_LONGEST_BODY: Final = 1 << 20  # of a request: read and thrown away
_FAREWELL: Final = 2.0  # seconds
_MOST_REFUSALS: Final = 100  # that are being sent at once; beyond them a connection is reset
_BETWEEN_COMPLAINTS: Final = 1.0  # seconds
_MOST_EMPTY_LINES: Final = 16
_EMPTY_LINE: Final = b"\r\n"
_FIRST: Final = frozenset(b"\r!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")  # octets of a request

Log = Callable[[str], None]


class Answers(Protocol):
    """A `Site`, or something like one. Unless the server is told that it never waits, it is called in a thread."""

    def answer(self, request: Request) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One request and its response. ``request`` is its method and target, which are printable ASCII, or "-" where it couldn't be read.
    ``octets`` of the body were written, all of them if ``is_whole``."""

    peer: str
    request: str
    version: str
    status: int
    octets: int
    is_whole: bool

    def __str__(self) -> str:
        broken = "" if self.is_whole else " (broken off)"
        return f'{self.peer} "{_quoted(self.request)}" {self.status} {self.octets}{broken}'

    def common(self, now: float) -> str:
        """A line of the Common Log Format, with the time in UTC; ``now`` in seconds since 1970."""
        when = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now))
        asked = f"{_quoted(self.request)} {self.version}" if self.version else "-"
        return f'{self.peer} - - [{when}] "{asked}" {self.status} {self.octets}'


class Server:
    """Serves a site: give `converse` to ``start_server``. ``log`` gets a line for each request, ``entries`` the same for a machine, and
    ``complain`` a line where the server itself is in trouble; ``clock`` tells the seconds since 1970. ``waits``: whether the site's answers
    may wait for a disk, so that a thread must ask for them. `counters` tell what happened.
    """

    LONGEST_HEAD: Final = 16 << 10

    def __init__(
        self,
        site: Answers,
        *,
        log: Log | None = None,
        complain: Log | None = None,
        entries: Callable[[Entry], None] | None = None,
        limits: Limits = Limits(),  # noqa: B008 - it can't change
        clock: Callable[[], float] = time.time,
        waits: bool = True,
    ) -> None:
        self.site = site
        self.limits = limits
        self.counters: Counters = Counters()
        self.clock = clock
        self.waits = waits
        self.buffer: bytearray = bytearray(CHUNK)
        self.is_draining: bool = False
        self._log = log
        self._complain = complain or log
        self._entries = entries
        self._complained = float("-inf")
        self._open: set[Conversation] = set()
        self._idle: dict[Conversation, None] = {}  # since when they are idle, the longest first
        self._refusing = 0
        self._emptied = asyncio.Event()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends. Never raises for what a peer does."""
        self.counters.connections += 1
        conversation = Conversation(self, reader, writer)
        try:
            if self._has_room():
                await self._serve(conversation)
            else:
                await self._refuse(conversation)
        except (OSError, Expired, Stalled) as error:
            self.counters.stalled += isinstance(error, Stalled)
            self.counters.aborted += 1
            writer.transport.abort()  # the peer is gone, or reads nothing

    async def drain(self, seconds: float) -> bool:
        """End what is idle now, and the rest after its response. Whether all had ended within ``seconds``."""
        self.is_draining = True
        for conversation in tuple(self._idle):
            conversation.hang_up()
        try:
            async with asyncio.timeout(seconds):
                while self._open:
                    self._emptied.clear()
                    await self._emptied.wait()
        except TimeoutError:
            return False
        return True

    def abort(self) -> None:
        """Reset every connection."""
        self.is_draining = True
        for conversation in tuple(self._open):
            conversation.abort()

    def rest(self, conversation: "Conversation") -> None:
        """A conversation waits for a request."""
        self._idle[conversation] = None

    def resume(self, conversation: "Conversation") -> None:
        """A conversation waits no longer."""
        self._idle.pop(conversation, None)

    def tell(self, entry: Entry) -> None:
        if self._log is not None:
            self._log(str(entry))
        if self._entries is not None:
            self._entries(entry)

    def complain(self, text: str) -> None:
        """One line a second at most: what is wrong once is wrong for many."""
        now = self.clock()
        if self._complain is not None and not 0 <= now - self._complained < _BETWEEN_COMPLAINTS:
            self._complained = now
            self._complain(text)

    def _has_room(self) -> bool:
        """Whether there is a place for one connection more; the one that has been idle for longest gives its own."""
        if len(self._open) < self.limits.connections:
            return True
        for conversation in self._idle:
            conversation.hang_up()
            return True
        return False

    async def _serve(self, conversation: "Conversation") -> None:
        counters = self.counters
        self._open.add(conversation)
        counters.open = len(self._open)
        counters.peak = max(counters.peak, counters.open)
        counters.recent = max(counters.recent, counters.open)
        try:
            await conversation.run()
        finally:
            self._open.discard(conversation)
            counters.open = len(self._open)
            if not self._open:
                self._emptied.set()

    async def _refuse(self, conversation: "Conversation") -> None:
        self.counters.refused += 1
        self.complain(f"all {self.limits.connections} connections are in use")
        if self._refusing >= _MOST_REFUSALS:
            raise ConnectionAbortedError
        self._refusing += 1
        try:
            await conversation.refuse(Refused(HTTPStatus.SERVICE_UNAVAILABLE, Retry_After="5"))
        finally:
            self._refusing -= 1


class Conversation:
    """What one connection asks and is answered."""

    def __init__(self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._wait = Wait(writer, server.limits.send)
        self._head = bytearray()
        self._empty_lines = 0
        self._body_left = 0

    async def run(self) -> None:
        while await self._exchange():
            pass
        await self._end()

    async def refuse(self, refused: Refused) -> None:
        """Answer without having read a request, and close."""
        await self._respond(_refusing(refused), None, keeps_alive=False)
        await self._end()

    def hang_up(self) -> None:
        """Close the connection, which waits for a request."""
        self._server.resume(self)
        self._wait.end()

    def abort(self) -> None:
        self._writer.transport.abort()

    async def _exchange(self) -> bool:
        """One request and its response; whether another may follow."""
        request: Request | None = None
        try:
            request = await self._request()
            if request is None:
                return False
            answer, keeps_alive = await self._answer(request), request.keeps_alive
        except Refused as refused:
            keeps_alive = request is not None and request.keeps_alive
            answer = _refusing(refused)
            if refused.reason:
                self._server.complain(f"{_quoted(request.target) if request else '-'}: {refused.reason}")
        return await self._respond(answer, request, keeps_alive=keeps_alive)

    async def _answer(self, request: Request) -> Answer:
        """What the site answers. Raises Refused."""
        try:
            if self._server.waits:
                return await asyncio.to_thread(self._server.site.answer, request)
            return self._server.site.answer(request)
        except Refused:
            raise
        except Exception as error:  # the client is told, and so is the log
            raise Refused(HTTPStatus.INTERNAL_SERVER_ERROR, reason=repr(error)) from error

    # The request

    async def _request(self) -> Request | None:
        """The next; None when the peer has nothing more to ask, or didn't ask in time. Raises Refused."""
        if not await self._has_begun():
            return None
        limit = self._server.limits.request
        try:
            await self._wait.result(self._read_head, limit)
            request = parse_request(bytes(self._head))
            if request.body_length > _LONGEST_BODY:
                raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            self._body_left = request.body_length
            if self._body_left:
                await self._wait.result(self._skip_body, limit)
        except Expired:
            raise Refused(HTTPStatus.REQUEST_TIMEOUT) from None
        except asyncio.IncompleteReadError as error:
            if not self._head and not error.partial:
                return None  # after an empty line
            raise Refused(HTTPStatus.BAD_REQUEST, "cut short") from None
        return request

    async def _has_begun(self) -> bool:
        """Whether the first octet of a request came in time."""
        if self._server.is_draining:
            return False
        self._server.rest(self)
        try:
            self._head[:] = await self._wait.result(self._read_octet, self._server.limits.idle)
        except Expired:
            self._server.counters.idle += 1
            return False
        finally:
            self._server.resume(self)
        if self._head and self._head[0] not in _FIRST:
            raise Refused(HTTPStatus.BAD_REQUEST, "bad request line")  # TLS, say: its client would wait for us
        return bool(self._head)

    async def _read_octet(self) -> bytes:
        return await self._reader.read(1)

    async def _read_head(self) -> None:
        """Read on to the empty line. Cancelled and called again, it goes on where it was. Raises Refused, IncompleteReadError."""
        head = self._head
        while not head.endswith(_EMPTY_LINE + _EMPTY_LINE):
            try:
                head += await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError:
                raise _too_long(head) from None
            if not head.endswith(_EMPTY_LINE):
                raise Refused(HTTPStatus.BAD_REQUEST, "a line ends without CR")
            if len(head) > self._server.LONGEST_HEAD:
                raise _too_long(head)
            if head == _EMPTY_LINE:  # RFC 9112, 2.2: ignored before a request
                head.clear()
                self._empty_lines += 1
                if self._empty_lines > _MOST_EMPTY_LINES:
                    raise Refused(HTTPStatus.BAD_REQUEST, "empty lines")
        self._empty_lines = 0

    async def _skip_body(self) -> None:
        while self._body_left:
            octets = await self._reader.read(min(self._body_left, CHUNK))
            if not octets:
                raise asyncio.IncompleteReadError(b"", self._body_left)
            self._body_left -= len(octets)

    # The response

    async def _respond(self, answer: Answer, request: Request | None, *, keeps_alive: bool) -> bool:
        """Whether another request may follow."""
        keeps_alive = keeps_alive and not self._server.is_draining
        response, version = answer.response, request.version if request is not None else (1, 1)
        head = response.head(keeps_alive=keeps_alive, now=self._server.clock(), version=version)
        body = b"" if request is not None and request.method == "HEAD" else response.body
        written = len(body)
        is_whole = False
        try:
            self._writer.write(head + body)
            await self._drained()
            if answer.content is not None:
                written = response.length
                await self._send(answer.content)
            is_whole = True
        finally:
            if answer.content is not None:
                written -= answer.content.left
                answer.content.close()
            self._note(response.status, len(head), written, request, is_whole=is_whole)
        return keeps_alive

    async def _send(self, content: Content) -> None:
        while content.left:
            octets = content.read_cached(self._server.buffer) or await asyncio.to_thread(content.read)
            if not octets:
                raise OSError("the file became shorter")  # a whole response can't be had: the peer must see it break
            if not content.left:
                content.close()  # a peer that reads slowly needs no descriptor any more
            self._writer.write(octets)
            await self._drained()

    async def _drained(self) -> None:
        if self._writer.transport.get_write_buffer_size():
            await self._wait.result(self._writer.drain, self._server.limits.send)
        else:
            await self._writer.drain()

    async def _end(self) -> None:
        """Close. With octets unread that would send RST, which may cost the peer our last response (RFC 9112, 9.6): read on first."""
        if self._writer.can_write_eof():  # TLS can't: it has an end of its own
            self._writer.write_eof()
            with suppress(Expired):
                await self._wait.result(self._skip_all, _FAREWELL)
        self._writer.close()
        await self._writer.wait_closed()

    async def _skip_all(self) -> None:
        while await self._reader.read(CHUNK):
            pass

    def _note(self, status: HTTPStatus, head: int, written: int, request: Request | None, *, is_whole: bool) -> None:
        counters = self._server.counters
        counters.answered(status.value)
        counters.octets += head + written
        peer = self._writer.get_extra_info("peername")
        asked = f"{request.method} {request.target}" if request is not None else "-"
        version = f"HTTP/{request.version[0]}.{request.version[1]}" if request is not None else ""
        self._server.tell(Entry(peer[0] if peer else "-", asked, version, status.value, written, is_whole))


def _refusing(refused: Refused) -> Answer:
    return Answer(text_response(refused.status, str(refused), refused.headers))


def _too_long(head: bytearray) -> Refused:
    return Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if b"\n" in head else HTTPStatus.REQUEST_URI_TOO_LONG)


def _quoted(text: str) -> str:
    """As it may stand between quotation marks on a line of a log: ``text`` is printable ASCII."""
    return text.replace("\\", "\\x5c").replace('"', "\\x22")
