"""A directory as a site: from a request's target to a file that really lies in it."""

import html
import mimetypes
import os
import stat
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, unquote_to_bytes, urlsplit

from postel.cli.http.messages import Refused, Request, Response

INDEX = "index.html"


@dataclass(slots=True)
class Answer:
    """A response, and the file with its body, which stands at the first octet to send; None where the response has it."""

    response: Response
    file: BinaryIO | None = None


class Site:
    """What lies under ``root``. A link that leads out of it doesn't exist, and neither does what isn't a file or a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve(strict=True)

    def answer(self, request: Request) -> Answer:
        """To GET or HEAD. Raises Refused."""
        if request.method not in ("GET", "HEAD"):
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, Allow="GET, HEAD")
        path = target_path(request.target)
        found = self._find(path)
        if found.is_dir():
            if not path.endswith("/"):
                return Answer(Response(HTTPStatus.MOVED_PERMANENTLY, {"Location": quote("/" + path.strip("/") + "/")}))
            index = self._inside(found / INDEX)
            if index is None:
                return Answer(self._listing(found, path))
            found = index
        return self._file(found, request)

    def _find(self, path: str) -> Path:
        found = self._inside(self.root / path.lstrip("/"))
        if found is None or (path.endswith("/") and not found.is_dir()):
            raise Refused(HTTPStatus.NOT_FOUND)
        return found

    def _inside(self, path: Path) -> Path | None:
        """The path with every link and ``..`` resolved, if it is still in here."""
        try:
            found = path.resolve(strict=True)
        except (OSError, RuntimeError, ValueError):  # not there; a loop of links; a zero octet
            return None
        return found if found.is_relative_to(self.root) else None

    def _file(self, path: Path, request: Request) -> Answer:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)  # a FIFO must not block us
        except OSError as error:
            raise Refused(HTTPStatus.FORBIDDEN if isinstance(error, PermissionError) else HTTPStatus.NOT_FOUND) from error
        file = open(descriptor, "rb")  # noqa: SIM115, PTH123  (whoever sends it closes it)
        try:
            return _file_answer(file, path, request)
        except BaseException:
            file.close()
            raise

    def _listing(self, directory: Path, path: str) -> Response:
        entries = sorted(entry for entry in directory.iterdir() if self._inside(entry) is not None)
        names = [entry.name + ("/" if entry.is_dir() else "") for entry in entries]
        title = html.escape(os.fsencode(path).decode(errors="replace"))
        if path.strip("/"):
            names.insert(0, "../")
        items = "".join(f'<li><a href="./{quote(os.fsencode(name))}">{_shown(name)}</a>' for name in names)
        page = f'<!DOCTYPE html><meta charset="utf-8"><title>{title}</title><h1>{title}</h1><ul>{items}</ul>\n'.encode()
        return Response(HTTPStatus.OK, {"Content-Type": "text/html; charset=utf-8"}, page, len(page))


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


def _file_answer(file: BinaryIO, path: Path, request: Request) -> Answer:
    info = os.fstat(file.fileno())
    if not stat.S_ISREG(info.st_mode):
        raise Refused(HTTPStatus.NOT_FOUND)
    headers = {"Last-Modified": formatdate(info.st_mtime, usegmt=True), "Accept-Ranges": "bytes", "Content-Type": content_type(path.name)}
    if _is_unchanged(request.headers.get("if-modified-since", ""), int(info.st_mtime)):
        file.close()
        return Answer(Response(HTTPStatus.NOT_MODIFIED, headers))
    chosen = byte_range(request.headers.get("range", ""), info.st_size) if request.method == "GET" else None
    if chosen is None:
        return Answer(Response(HTTPStatus.OK, headers, length=info.st_size), file)
    start, end = chosen
    file.seek(start)
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{info.st_size}"
    return Answer(Response(HTTPStatus.PARTIAL_CONTENT, headers, length=end - start), file)


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
    except (ValueError, OverflowError):
        return False  # RFC 9110, 13.1.3: a bad date is ignored


def byte_range(text: str, size: int) -> tuple[int, int] | None:
    """The one range that was asked for, as (start, end) with the end left out; None to send all. Raises Refused (416)."""
    unit, _, value = text.partition("=")
    first, dash, last = (part.strip() for part in value.partition("-"))
    if unit.strip().lower() != "bytes" or not dash or "," in value or not (first or last) or not (first + last).isascii():
        return None  # RFC 9110, 14.2: may be ignored
    if not all(part == "" or part.isdigit() for part in (first, last)) or (first and last and int(last) < int(first)):
        return None
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last) + 1, size) if first and last else size
    if start >= size or (not first and int(last) == 0):
        raise Refused(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, Content_Range=f"bytes */{size}")
    return start, end
