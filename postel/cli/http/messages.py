"""Requests and responses as octets (RFC 9112), read strictly: what is ambiguous is refused, not guessed."""

import re
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VERSION: Final = re.compile(rb"HTTP/(\d)\.(\d)")


class Refused(Exception):
    """A request that gets ``status``; the connection closes after it, for nobody knows where the next request starts."""

    def __init__(self, status: HTTPStatus, detail: str = "", **headers: str) -> None:
        super().__init__(detail or status.description or status.phrase)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


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
        """RFC 9112, 9.3."""
        words = {word.strip().lower() for word in self.headers.get("connection", "").split(",")}
        return "close" not in words and (self.version >= (1, 1) or "keep-alive" in words)


def parse_request(head: bytes) -> Request:
    """From the request line to the empty line. Raises Refused."""
    lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    parts = lines[0].split(b" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]) or not parts[1] or not parts[1].isascii():
        raise Refused(HTTPStatus.BAD_REQUEST, "bad request line")
    version = _VERSION.fullmatch(parts[2])
    if version is None:
        raise Refused(HTTPStatus.BAD_REQUEST, "bad version")
    if version[1] != b"1":
        raise Refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
    headers = _headers(lines[1:])
    numbers = (int(version[1]), int(version[2]))
    if numbers >= (1, 1) and "host" not in headers:
        raise Refused(HTTPStatus.BAD_REQUEST, "no Host")  # RFC 9112, 3.2
    return Request(parts[0].decode(), parts[1].decode(), numbers, headers, _body_length(headers))


def _headers(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not _TOKEN.fullmatch(name):  # also RFC 9112, 5.1 and 5.2: space before the colon, folded lines
            raise Refused(HTTPStatus.BAD_REQUEST, "bad header line")
        key, text = name.decode().lower(), value.strip(b" \t").decode("latin-1")
        if key in headers:
            if key in ("host", "content-length") and headers[key] != text:
                raise Refused(HTTPStatus.BAD_REQUEST, f"two {key} headers")
            text = text if key in ("host", "content-length") else f"{headers[key]}, {text}"
        headers[key] = text
    return headers


def _body_length(headers: dict[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise Refused(HTTPStatus.NOT_IMPLEMENTED, "no body is expected here")
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()):
        raise Refused(HTTPStatus.BAD_REQUEST, "bad Content-Length")
    return int(text)


@dataclass(slots=True)
class Response:
    """``length`` octets follow the head; ``body`` has them where they aren't a file's."""

    status: HTTPStatus
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int = 0

    def head(self, *, keeps_alive: bool, now: float) -> bytes:
        """``now`` in seconds since 1970, for Date."""
        lines = [f"HTTP/1.1 {self.status.value} {self.status.phrase}", f"Date: {formatdate(now, usegmt=True)}", "Server: postel"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.status != HTTPStatus.NOT_MODIFIED:
            lines.append(f"Content-Length: {self.length}")
        if not keeps_alive:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def text_response(status: HTTPStatus, text: str, headers: dict[str, str] | None = None) -> Response:
    body = f"{status.value} {status.phrase}\n{text}\n".encode()
    return Response(status, {"Content-Type": "text/plain; charset=utf-8", **(headers or {})}, body, len(body))
