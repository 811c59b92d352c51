"""A directory as a site: from a request's target to a file that really lies in it."""

import errno
import html
import mimetypes
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from heapq import nsmallest
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urlsplit

from postel.cli.http.content import CHUNK, Content
from postel.cli.http.messages import Refused, Request, Response, number

INDEX: Final = "index.html"
_LONGEST_LISTING: Final = 10_000  # entries
_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.EISDIR})
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM})
_BUSY: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})  # passes when others have ended
_RETRY_AFTER: Final = "5"  # seconds


@dataclass(slots=True)
class Answer:
    """A response, and the content that is its body; None where the response has the body itself. The caller closes the content."""

    response: Response
    content: Content | None = None


class Site:
    """What lies under ``root``. A link that leads out of it doesn't exist, and neither does what isn't a file or a directory."""

    def __init__(self, root: Path) -> None:
        self.root: Path = root.resolve(strict=True)

    def answer(self, request: Request) -> Answer:
        """The answer to GET or HEAD. Waits for the disk: call it in a thread. Raises Refused."""
        if request.method not in ("GET", "HEAD"):
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, Allow="GET, HEAD")
        path = target_path(request.target)
        try:
            return self._answer(path, request)
        except OSError as error:
            raise _refusal(error) from error

    def _answer(self, path: str, request: Request) -> Answer:
        found = self._find(path)
        if found.is_dir():
            if not path.endswith("/"):
                return Answer(Response(HTTPStatus.MOVED_PERMANENTLY, {"Location": quote("/" + path.strip("/") + "/")}))
            index = self._inside(found / INDEX)
            if index is None or not index.is_file():
                return Answer(self._listing(found, path))
            found = index
        return _file_answer(found, request)

    def _find(self, path: str) -> Path:
        found = self._inside(self.root / path.lstrip("/"))
        if found is None or (path.endswith("/") and not found.is_dir()):
            raise Refused(HTTPStatus.NOT_FOUND)
        return found

    def _inside(self, path: Path) -> Path | None:
        """The path with every link and ``..`` resolved, if it is still in here. Raises OSError where that can't be known."""
        try:
            found = path.resolve(strict=True)
        except (RuntimeError, ValueError):  # a loop of links; a zero octet
            return None
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise
        return found if found.is_relative_to(self.root) else None

    def _listing(self, directory: Path, path: str) -> Response:
        names = nsmallest(_LONGEST_LISTING + 1, self._names(directory))
        title = html.escape(os.fsencode(path).decode(errors="replace"))
        more = "<p>There are more.</p>" if len(names) > _LONGEST_LISTING else ""
        names = names[:_LONGEST_LISTING]
        if path.strip("/"):
            names.insert(0, "../")
        items = "".join(f'<li><a href="./{quote(os.fsencode(name))}">{_shown(name)}</a>' for name in names)
        page = f'<!DOCTYPE html><meta charset="utf-8"><title>{title}</title><h1>{title}</h1><ul>{items}</ul>{more}\n'.encode()
        return Response(HTTPStatus.OK, {"Content-Type": "text/html; charset=utf-8"}, page, len(page))

    def _names(self, directory: Path) -> Iterator[str]:
        """Names of what can be asked for, directories with a slash."""
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    if entry.is_symlink() and self._inside(Path(entry.path)) is None:
                        continue
                    if entry.is_dir():
                        yield f"{entry.name}/"
                    elif entry.is_file():
                        yield entry.name
                except OSError:  # a link into a directory that can't be read
                    continue


def _refusal(error: OSError) -> Refused:
    """What a client is told of an error of the system; the log is told which it was, where the server is to blame."""
    if error.errno in _ABSENT:
        return Refused(HTTPStatus.NOT_FOUND)
    if error.errno in _FORBIDDEN:
        return Refused(HTTPStatus.FORBIDDEN)
    reason = error.strerror or type(error).__name__
    if error.errno in _BUSY:
        return Refused(HTTPStatus.SERVICE_UNAVAILABLE, reason=reason, Retry_After=_RETRY_AFTER)
    return Refused(HTTPStatus.INTERNAL_SERVER_ERROR, reason=reason)


def target_path(target: str) -> str:
    """The path of a target in origin or absolute form, decoded (RFC 9112, 3.2). Raises Refused."""
    path = target.partition("?")[0].partition("#")[0]
    if not path.startswith("/"):
        try:
            parts = urlsplit(target)
        except ValueError:
            raise Refused(HTTPStatus.BAD_REQUEST, "bad target") from None
        if parts.scheme.lower() != "http" or not parts.netloc:
            raise Refused(HTTPStatus.BAD_REQUEST, "bad target")
        path = parts.path or "/"
    decoded = os.fsdecode(unquote_to_bytes(path))
    if "\0" in decoded:
        raise Refused(HTTPStatus.BAD_REQUEST, "bad target")
    return decoded


def _shown(name: str) -> str:
    return html.escape(os.fsencode(name).decode(errors="replace"))


def _file_answer(path: Path, request: Request) -> Answer:
    # A FIFO must not block us, nor a terminal become ours
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY)
    content: Content | None = None
    try:
        response, start = _described(os.fstat(descriptor), path, request)
        if request.method == "GET" and response.length > CHUNK:
            content = Content(descriptor, start, response.length)
        elif request.method == "GET":
            response.body = _read(descriptor, start, response.length)
    finally:
        if content is None:
            os.close(descriptor)
    return Answer(response, content)


def _described(info: os.stat_result, path: Path, request: Request) -> tuple[Response, int]:
    """The response without its body, and where in the file that begins. Raises Refused."""
    if not stat.S_ISREG(info.st_mode):
        raise Refused(HTTPStatus.NOT_FOUND)
    headers = {"Last-Modified": formatdate(info.st_mtime, usegmt=True), "Accept-Ranges": "bytes", "Content-Type": content_type(path.name)}
    if _is_unchanged(request.headers.get("if-modified-since", ""), int(info.st_mtime)):
        return Response(HTTPStatus.NOT_MODIFIED, headers), 0
    chosen = byte_range(request.headers.get("range", ""), info.st_size) if _may_have_a_part(request) else None
    if chosen is None:
        return Response(HTTPStatus.OK, headers, length=info.st_size), 0
    start, end = chosen
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{info.st_size}"
    return Response(HTTPStatus.PARTIAL_CONTENT, headers, length=end - start), start


def _may_have_a_part(request: Request) -> bool:
    """If-Range asks for the whole where the file has changed (RFC 9110, 13.1.5): the whole is right in either case."""
    return request.method == "GET" and "if-range" not in request.headers


def _read(descriptor: int, start: int, length: int) -> bytes:
    """All of a short content, so that no descriptor is kept for a peer that reads slowly."""
    octets = b""
    while len(octets) < length:
        more = os.pread(descriptor, length - len(octets), start + len(octets))
        if not more:
            raise Refused(HTTPStatus.INTERNAL_SERVER_ERROR, reason="the file became shorter")
        octets += more
    return octets


def content_type(name: str) -> str:
    kind, encoding = mimetypes.guess_type(name)
    if encoding is not None:
        return f"application/{encoding}"  # as it lies there: unpacking is the reader's
    if kind is None:
        return "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def _is_unchanged(since: str, modified: int) -> bool:
    try:
        return bool(since) and modified <= parsedate_to_datetime(since).timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
        return False  # RFC 9110, 13.1.3: a bad date is ignored


def byte_range(text: str, size: int) -> tuple[int, int] | None:
    """The one range that was asked for, as (start, end) with the end left out; None to send all. Raises Refused (416)."""
    unit, _, value = text.partition("=")
    first, dash, last = (part.strip(" \t") for part in value.partition("-"))
    start, end = number(first), number(last)
    if unit.strip(" \t").lower() != "bytes" or not dash or (first and start is None) or (last and end is None):
        return None  # RFC 9110, 14.2: may be ignored
    if start is None and end is None:
        return None
    if start is None:
        start, end = max(size - (end or 0), 0), size
    elif end is None:
        end = size
    elif end < start:
        return None
    else:
        end = min(end + 1, size)
    if start >= size:
        raise Refused(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, Content_Range=f"bytes */{size}")
    return start, end
