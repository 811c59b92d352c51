"""Requests and responses as octets (RFC 9112), read strictly: what is ambiguous is refused, not guessed."""

import re
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET: Final = re.compile(rb"[!-~]+")  # printable ASCII without the space
_VERSION: Final = re.compile(rb"HTTP/(\d)\.(\d)")
_VALUE: Final = re.compile(rb"[\t -~\x80-\xff]*")  # RFC 9110, 5.5: no CR, LF or NUL; nor another control character
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Za-z:.]+\])(?::[0-9]*)?")
_MOST_FIELDS: Final = 200
_MOST_DIGITS: Final = 18  # a longer number is larger than any file
_ONCE: Final = ("host", "content-length")
LARGEST: Final = 10**_MOST_DIGITS


class Refused(Exception):
    """A request that gets ``status``. ``reason`` is for the server's log alone; ``headers`` are the response's.

    Raised while a request is parsed, the connection closes after the response: where the next request starts isn't known.
    """

    def __init__(self, status: HTTPStatus, detail: str = "", *, reason: str = "", **headers: str) -> None:
        super().__init__(detail or status.description or status.phrase)
        self.status = status
        self.reason = reason
        self.headers: dict[str, str] = {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass(slots=True)
class Request:
    """Header names in lower case. ``body_length`` octets follow the head."""

    method: str
    target: str
    version: tuple[int, int]
    headers: dict[str, str]
    body_length: int

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection may stay open after the response (RFC 9112, 9.3)."""
        words = {word.strip().lower() for word in self.headers.get("connection", "").split(",")}
        return "close" not in words and (self.version >= (1, 1) or "keep-alive" in words)


def parse_request(head: bytes) -> Request:
    """Read a head, from the request line to the empty line. Raises Refused, and nothing else, whatever the octets are."""
    lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    parts = lines[0].split(b" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]) or not _TARGET.fullmatch(parts[1]):
        raise Refused(HTTPStatus.BAD_REQUEST, "bad request line")
    version = _VERSION.fullmatch(parts[2])
    if version is None:
        raise Refused(HTTPStatus.BAD_REQUEST, "bad version")
    if version[1] != b"1":
        raise Refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
    if len(lines) - 1 > _MOST_FIELDS:
        raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    headers = _headers(lines[1:])
    numbers = (int(version[1]), int(version[2]))
    if numbers >= (1, 1) and "host" not in headers:
        raise Refused(HTTPStatus.BAD_REQUEST, "no Host")  # RFC 9112, 3.2
    if not valid_host(headers.get("host", "")):
        raise Refused(HTTPStatus.BAD_REQUEST, "bad Host")
    return Request(parts[0].decode(), parts[1].decode(), numbers, headers, _body_length(headers))


def _headers(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        # A space before the colon and a folded line are refused too: RFC 9112, 5.1 and 5.2
        if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise Refused(HTTPStatus.BAD_REQUEST, "bad header line")
        key, text = name.decode().lower(), value.strip(b" \t").decode("latin-1")
        if key in headers:
            if key in _ONCE:  # RFC 9112, 3.2: even where both say the same
                raise Refused(HTTPStatus.BAD_REQUEST, f"two {key} headers")
            text = f"{headers[key]}, {text}"
        headers[key] = text
    return headers


def _body_length(headers: dict[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise Refused(HTTPStatus.NOT_IMPLEMENTED, "no body is expected here")
    length = number(headers.get("content-length", "0"))
    if length is None:
        raise Refused(HTTPStatus.BAD_REQUEST, "bad Content-Length")
    return length


def valid_host(text: str) -> bool:
    """Whether this may be the value of Host: a name or an address, with or without a port (RFC 9110, 7.2)."""
    return _HOST.fullmatch(text) is not None


def number(text: str) -> int | None:
    """Value of decimal digits, `LARGEST` where it is larger than that; None for any other text.

    ``int`` itself takes time for long numbers, and raises ValueError for one of more than 4,300 digits.
    """
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0")
    return int(digits or "0") if len(digits) <= _MOST_DIGITS else LARGEST


@dataclass(slots=True)
class Response:
    """``length`` octets follow the head; ``body`` has them where they aren't a file's."""

    status: HTTPStatus
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int = 0

    def head(self, *, keeps_alive: bool, now: float, version: tuple[int, int] = (1, 1)) -> bytes:
        """``now`` in seconds since 1970, for Date; ``version`` is the request's."""
        lines = [f"HTTP/1.1 {self.status.value} {self.status.phrase}", f"Date: {formatdate(now, usegmt=True)}", "Server: postel"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.status != HTTPStatus.NOT_MODIFIED:
            lines.append(f"Content-Length: {self.length}")
        if not keeps_alive:
            lines.append("Connection: close")
        elif version < (1, 1):
            lines.append("Connection: keep-alive")  # RFC 9112, 9.3: else a client of HTTP/1.0 waits for the connection's end
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def text_response(status: HTTPStatus, text: str, headers: dict[str, str] | None = None) -> Response:
    body = f"{status.value} {status.phrase}\n{text}\n".encode()
    return Response(status, {"Content-Type": "text/plain; charset=utf-8", **(headers or {})}, body, len(body))
