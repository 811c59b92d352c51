"""What `postel serve` makes of a directory: starlette's static files, with listings."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from postel import cli
from postel.cli.http.application import application
from postel.cli.http.site import site
from postel.errors import ArgumentError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    (root / "sub").mkdir(parents=True)
    (root / "page.html").write_text("<p>hello")
    (root / "digits").write_bytes(b"0123456789")
    (root / "sub" / "三次握手 & <b>.txt").write_text("SYN")
    (root / "inside").symlink_to(root / "digits")
    (root / "outside").symlink_to(tmp_path / "secret")
    (root / "up").symlink_to(tmp_path)
    (root / "loop").symlink_to(root / "loop")
    os.mkfifo(root / "pipe")
    (tmp_path / "secret").write_text("secret")
    return root


def ask(folder: Path, target: str, method: str = "GET", **headers: str) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app=site(folder))
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.request(
                method, target, headers={name.replace("_", "-"): value for name, value in headers.items()}
            )

    return asyncio.run(asked())


def test_a_file_a_part_of_it_and_whether_it_has_changed(folder: Path) -> None:
    whole = ask(folder, "/digits?query")
    assert (whole.status_code, whole.content) == (200, b"0123456789")
    assert ask(folder, "/page.html").headers["content-type"] == "text/html; charset=utf-8"
    part = ask(folder, "/digits", Range="bytes=2-4")
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    for unchanged in (
        {"If_None_Match": whole.headers["etag"]},
        {"If_Modified_Since": whole.headers["last-modified"]},
    ):
        assert ask(folder, "/digits", **unchanged).status_code == 304
    assert ask(folder, "/digits", "HEAD").headers["content-length"] == "10"
    assert ask(folder, "/digits", "PUT").status_code == 405


def test_a_directory_is_its_index_or_a_list(folder: Path) -> None:
    moved = ask(folder, "/sub")
    assert (moved.status_code, moved.headers["location"]) == (307, "/sub/")
    page = ask(folder, "/sub/").text
    assert (
        '<a href="./%E4%B8%89%E6%AC%A1%E6%8F%A1%E6%89%8B%20%26%20%3Cb%3E.txt">三次握手 &amp; &lt;b&gt;.txt</a>'  # noqa: E501
        in page
    )
    assert '<a href="./../">' in page
    assert ask(folder, "/sub/%E4%B8%89%E6%AC%A1%E6%8F%A1%E6%89%8B%20%26%20%3Cb%3E.txt").content == b"SYN"
    (folder / "sub" / "index.html").write_text("index")
    assert ask(folder, "/sub/").content == b"index"


def test_a_list_has_what_can_be_asked_for_and_nothing_else(folder: Path) -> None:
    page = ask(folder, "/").text
    assert [part.partition('"')[0] for part in page.split('href="')[1:]] == [
        "./digits",
        "./inside",
        "./page.html",
        "./sub/",
    ]


def test_a_long_list_has_an_end(tmp_path: Path) -> None:
    for name in range(10_050):
        (tmp_path / f"{name:05}").touch()
    page = ask(tmp_path, "/").text
    assert page.count("<li>") == 10_000
    assert "There are more." in page


@pytest.mark.parametrize(
    "target",
    [
        "/nothing",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/outside",
        "/up/secret",
        "/up/",
        "/loop",
        "/pipe",
        "/" + "x" * 5000,
    ],
)
def test_what_is_not_in_the_directory_does_not_exist(folder: Path, target: str) -> None:
    answer = ask(folder, target)
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_no_redirect_leads_to_another_site(folder: Path) -> None:
    assert ask(folder, "http://server//sub").headers["location"] == "/sub/"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "/nowhere",
            "APP is '/nowhere'; allowed: a directory that exists, or an ASGI application such as module:app",
        ),
        ("no_such_module:app", "allowed: an ASGI application that can be imported"),
        ("postel:no_such_name", "allowed: an ASGI application that can be imported"),
    ],
)
def test_what_can_not_be_served_is_told(text: str, complaint: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        application(text)
    assert complaint in str(refused.value)


PLACE = ("--tun", "t0", "--address", "10.9.0.2/24")


def test_a_certificate_that_is_none_is_told_in_a_line(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert (
        cli.main(["serve", str(folder), *PLACE, "--ssl-certfile", str(folder / "page.html")]) == cli.MISTAKE
    )
    complaint = capfd.readouterr().err
    assert complaint.startswith("postel: --ssl-certfile is ")
    assert complaint.count("\n") == 1


def test_without_the_extra_it_is_named(folder: Path) -> None:
    program = (
        "import sys; sys.modules['uvicorn'] = None; from postel.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        (sys.executable, "-c", program, "serve", str(folder), *PLACE),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == cli.NOT_ALLOWED
    assert done.stderr.count("\n") == 1
    assert "pip install postel[serve]" in done.stderr
