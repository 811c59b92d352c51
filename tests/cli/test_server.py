"""`postel serve`: what it answers, over Postel itself and a link in memory."""

import os
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from pathlib import Path

import pytest

from postel.aio import Network
from postel.cli.http.files import Site, byte_range, content_type, target_path
from postel.cli.http.messages import Refused
from postel.cli.http.server import Server
from tests.cli.web import exchanged, with_server


@pytest.fixture
def site(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    (root / "sub").mkdir(parents=True)
    (root / "page.html").write_text("<p>hello")
    (root / "digits").write_bytes(b"0123456789")
    (root / "big.bin").write_bytes(bytes(range(256)) * 4000)
    (root / "sub" / "三次握手 & <b>.txt").write_text("SYN")
    (root / "inside").symlink_to(root / "digits")
    (root / "outside").symlink_to(tmp_path / "secret")
    (root / "up").symlink_to(tmp_path)
    (root / "loop").symlink_to(root / "loop")
    os.mkfifo(root / "pipe")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "site2").mkdir()
    (tmp_path / "site2" / "page").write_text("secret")
    return root


class Web:
    """Asks a server for raw answers."""

    def __init__(self, root: Path) -> None:
        self.lines: list[str] = []
        self.server = Server(Site(root), log=self.lines.append)

    def use(self, ask: Callable[[Network], Awaitable[bytes]]) -> bytes:
        return with_server(self.server.converse, ask, limit=Server.LONGEST_HEAD)

    def raw(self, octets: bytes) -> bytes:
        return self.use(lambda network: exchanged(network, octets))

    def ask(self, target: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers with names in lower case, body."""
        lines = [f"{method} {target} HTTP/1.1", "Host: x", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head, _, body = self.raw("\r\n".join([*lines, "", ""]).encode("latin-1")).partition(b"\r\n\r\n")
        status, *fields = head.decode("latin-1").split("\r\n")
        assert status.startswith("HTTP/1.1 ")
        return int(status.split()[1]), {name.lower(): value for name, _, value in (line.partition(": ") for line in fields)}, body


@pytest.fixture
def web(site: Path) -> Web:
    return Web(site)


def test_a_file(web: Web) -> None:
    status, headers, body = web.ask("/page.html?query#fragment")
    assert (status, body) == (200, b"<p>hello")
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["content-length"] == "8"
    assert headers["connection"] == "close"
    assert web.lines == ['10.7.0.1 "GET /page.html?query#fragment" 200 8']


def test_a_large_file_is_whole(web: Web) -> None:
    assert web.ask("/big.bin")[2] == bytes(range(256)) * 4000


def test_head_is_the_same_without_the_body(web: Web) -> None:
    got, asked = web.ask("/digits"), web.ask("/digits", "HEAD")
    assert asked[0] == 200
    assert asked[2] == b""
    assert {**asked[1], "date": ""} == {**got[1], "date": ""}


def test_a_directory_is_its_index_or_a_list(web: Web, site: Path) -> None:
    status, headers, _ = web.ask("/sub")
    assert (status, headers["location"]) == (301, "/sub/")
    page = web.ask("/sub/")[2].decode()
    assert "三次握手 &amp; &lt;b&gt;.txt" in page
    assert '<a href="./%E4%B8%89%E6%AC%A1%E6%8F%A1%E6%89%8B%20%26%20%3Cb%3E.txt">' in page
    assert "outside" not in web.ask("/")[2].decode()
    (site / "sub" / "index.html").write_text("index")
    assert web.ask("/sub/")[2] == b"index"


def test_names_are_decoded(web: Web) -> None:
    assert web.ask("/sub/%E4%B8%89%E6%AC%A1%E6%8F%A1%E6%89%8B%20%26%20%3cb%3e.txt")[2] == b"SYN"
    assert web.ask("http://anywhere/digits")[2] == b"0123456789"
    assert web.ask("/sub/../digits")[2] == b"0123456789"


@pytest.mark.parametrize(
    "target",
    [
        "/nothing",
        "/digits/",
        "/../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/sub/../../secret",
        "/../site2/page",
        "//../secret",
        "/outside",
        "/up/secret",
        "/loop",
        "/pipe",
        "/" + "x" * 5000,
        "/%ff%fe",
    ],
)
def test_what_is_not_in_the_directory_does_not_exist(web: Web, target: str) -> None:
    status, _, body = web.ask(target)
    assert status == 404
    assert b"secret" not in body


def test_a_link_inside_works(web: Web) -> None:
    assert web.ask("/inside")[2] == b"0123456789"


def test_no_redirect_leads_to_another_site(web: Web) -> None:
    assert web.ask("//sub")[1]["location"] == "/sub/"


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHos", 400),
        (b"\x16\x03\x01 TLS perhaps\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", 431),
        (b"DELETE / HTTP/1.0\r\n\r\n", 405),
    ],
)
def test_bad_requests_are_answered_once_and_the_connection_closed(web: Web, request_line: bytes, status: int) -> None:
    answer = web.raw(request_line)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.count(b"HTTP/1.1") == 1
    assert b"Connection: close" in answer


@pytest.mark.parametrize("target", ["nowhere", "ftp://x/", "/%00", "http://[/"])
def test_bad_targets(web: Web, target: str) -> None:
    assert web.ask(target)[0] == 400


def test_other_methods_are_told_which_are_allowed(web: Web) -> None:
    status, headers, _ = web.ask("/digits", "PUT", Content_Length="0")
    assert (status, headers["allow"]) == (405, "GET, HEAD")


def test_a_connection_serves_many_requests(web: Web) -> None:
    one = b"GET /digits HTTP/1.1\r\nHost: x\r\n\r\n"
    post = b"POST /digits HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nGET /"
    last = b"\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET /never HTTP/1.1\r\n\r\n"
    answer = web.raw(one + one + post + last)
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert [line.rsplit('"', 1)[1] for line in web.lines] == [" 200 10", " 200 10", " 405 69", " 404 44"]


def test_http_1_0_closes_unless_asked(web: Web) -> None:
    one, kept = b"GET /digits HTTP/1.0\r\n\r\n", b"GET /digits HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    assert web.use(lambda network: exchanged(network, one, half_close=False)).endswith(b"0123456789")
    assert web.raw(kept + one).count(b"200 OK") == 2


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("bytes=0-3", (0, 4)),
        ("bytes=4-", (4, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=5-99", (5, 10)),
        ("", None),
        ("bytes=5-4", None),
        ("bytes=1-2,4-5", None),
        ("bytes=x-y", None),
        ("lines=1-2", None),
        ("bytes=", None),
        ("bytes=²-", None),
    ],
)
def test_ranges(text: str, chosen: tuple[int, int] | None) -> None:
    assert byte_range(text, 10) == chosen


@pytest.mark.parametrize("text", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_ranges_beyond_the_end(text: str) -> None:
    with pytest.raises(Refused) as refused:
        byte_range(text, 10)
    assert refused.value.status == 416
    assert refused.value.headers == {"Content-Range": "bytes */10"}


def test_a_part_of_a_file(web: Web) -> None:
    status, headers, body = web.ask("/digits", Range="bytes=2-4")
    assert (status, headers["content-range"], headers["content-length"], body) == (206, "bytes 2-4/10", "3", b"234")
    assert web.ask("/digits", Range="bytes=20-")[0] == 416


def test_what_has_not_changed_is_not_sent_again(web: Web, site: Path) -> None:
    modified = int((site / "digits").stat().st_mtime)
    assert web.ask("/digits", If_Modified_Since=formatdate(modified, usegmt=True))[::2] == (304, b"")
    assert web.ask("/digits", If_Modified_Since=formatdate(modified - 10, usegmt=True))[0] == 200
    assert web.ask("/digits", If_Modified_Since="yesterday")[0] == 200


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.png", "image/png"),
        ("a.tar.gz", "application/gzip"),
        ("a", "application/octet-stream"),
    ],
)
def test_content_types(name: str, kind: str) -> None:
    assert content_type(name) == kind


def test_the_path_of_a_target() -> None:
    assert target_path("http://host?x") == "/"
    with pytest.raises(Refused):
        target_path("http://[/")
