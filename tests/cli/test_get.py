"""`postel get` in the lab: the whole way of a URL in virtual time, what it prints, and how it fails."""

import asyncio
import contextlib
import io
import re
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from postel import cli
from postel.aio.resolver import Resolver
from postel.cli.http import client, fetch
from postel.cli.http.fetch import Fetch, Visit
from postel.cli.network.nameserver import Answer, NameServer, host
from postel.errors import ConnectionRefused, NotResolved
from postel.sim import World
from postel.sim.loop import Loop, run
from postel.times import MILLISECOND, SECOND
from postel.wire import dns
from postel.wire.dns import Question

Capture = pytest.CaptureFixture[str]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
WEB = "10.0.0.80"
ROOT = Path(__file__).parent.parent.parent


def got(capfd: Capture, *arguments: str) -> tuple[int, str, str]:
    status = cli.main(["get", "--lab", "--lang", "en", *arguments])
    out, err = capfd.readouterr()
    return status, out, err


def lengths(err: str) -> dict[str, str]:
    """The waterfall's numbers."""
    return {
        name: length.replace(" ", "")
        for name, length in re.findall(r"^  (\w+) .*?([\d.]+ m?s)$", err, re.MULTILINE)
    }


def test_the_page_the_waterfall_and_the_ladder_of_names_and_tcp(capfd: Capture) -> None:
    status, out, err = got(capfd)
    assert status == 0
    assert out.startswith("<!DOCTYPE html>")
    step = "20.000ms"
    assert lengths(err) == {
        "DNS": step, "connect": step, "wait": step, "content": "0.000ms", "close": step, "total": "80.000ms",
    }  # fmt: skip
    assert all(
        words in err
        for words in (
            "http://www.example.org/                                          200, 189 octets",
            "A? www.example.org",
            "www.example.org CNAME web.example.org,",
            "the three-way handshake is complete",
            "“GET / HTTP/1.1”",
            "TIME-WAIT ends",
        )
    )


@pytest.mark.parametrize(("language", "page"), [("en", "README.md"), ("zh", "README.zh.md")])
def test_the_readme_shows_this_waterfall(capfd: Capture, language: str, page: str) -> None:
    _, _, err = got(capfd, "--lang", language)
    shown = "\n".join(err.splitlines()[:7])
    assert f"```text\n{shown}\n```" in (ROOT / page).read_text(encoding="utf-8"), shown


def test_the_same_seed_gives_the_same_run_to_the_octet(capfd: Capture, tmp_path: Path) -> None:
    runs = []
    for name in ("one", "two"):
        capture = tmp_path / name
        runs.append(
            (got(capfd, "--loss", "20%", "--seed", "4", "--pcapng", str(capture)), capture.read_bytes())
        )
    assert runs[0] == runs[1]
    assert "lost on the way" in runs[0][0][2]


@pytest.mark.parametrize(("numbers", "step", "length"), [("1", "DNS", "1.020s"), ("3", "connect", "1.020s")])
def test_what_is_lost_is_seen_in_the_waterfall(capfd: Capture, numbers: str, step: str, length: str) -> None:
    status, _, err = got(capfd, "--drop", numbers)
    assert status == 0
    assert lengths(err)[step] == length


def test_longer_pages_take_more_round_trips(capfd: Capture) -> None:
    status, out, err = got(capfd, "http://www.example.org/octets/50000", "--set", "delay=50ms")
    assert (status, len(out)) == (0, 50_000)
    assert lengths(err)["content"] == "200.000ms"  # after ten segments, twenty, and then the rest


def test_redirects_are_followed_each_with_its_own_bars(capfd: Capture) -> None:
    status, out, err = got(capfd, "-i", "http://10.0.0.80/redirect")
    assert status == 0
    assert re.findall(r"^(HTTP/1.1 \d+|Location.*)", out.replace("\r", ""), re.MULTILINE) == [
        "HTTP/1.1 302",
        "Location: /",
        "HTTP/1.1 200",
    ]
    assert "http://10.0.0.80/redirect" in err
    assert err.count("  connect  ") == 2
    assert "DNS" not in lengths(err)


def test_a_redirect_itself(capfd: Capture) -> None:
    status, out, _ = got(capfd, "-i", "--max-redirects", "0", "http://10.0.0.80/redirect")
    assert status == 0
    assert out.startswith("HTTP/1.1 302 Found\r\n")


def test_tls_has_its_bar(capfd: Capture, caplog: pytest.LogCaptureFixture) -> None:
    status, out, err = got(capfd, "https://www.example.org./")
    assert (status, caplog.records) == (0, [])
    assert out.startswith("<!DOCTYPE html>")
    assert lengths(err)["TLS"] == "20.000ms"
    assert "server 10.0.0.80:443" in err


def test_tls_has_the_same_ladder_in_every_run(capfd: Capture) -> None:
    first = got(capfd, "https://www.example.org/", "--ladder")
    assert "TLS" in first[2]
    for _ in range(19):
        assert got(capfd, "https://www.example.org/", "--ladder") == first


def test_tls_in_the_lab_takes_somebody_who_makes_certificates() -> None:
    script = (
        "import sys; sys.modules['trustme'] = None; from postel.cli import main; sys.exit(main(['get', "
        "'--lab', 'https://a.example/']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "package trustme" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["http://nowhere.invalid/"], "postel: there is no name nowhere.invalid\n"),
        (["--loss", "100%"], "postel: name server 10.0.0.53:53 doesn't answer\n"),
        (["http://www.example.org/absent"], "postel: the server answered 404\n"),
        (
            ["http://10.0.0.80/", "--loss", "100%"],
            "postel: connect to 10.0.0.80:80: connection aborted due to user timeout\n",
        ),
        (["http://10.0.0.53/"], "postel: connect to 10.0.0.53:80: connection refused\n"),
    ],
)
def test_what_fails_is_told_in_a_line(capfd: Capture, arguments: list[str], complaint: str) -> None:
    status, _, err = got(capfd, *arguments)
    assert status == 1
    assert err.endswith(complaint)


def test_content_goes_where_it_is_told_and_the_rest_is_in_chinese(capfd: Capture, tmp_path: Path) -> None:
    status, out, err = got(capfd, "-o", str(tmp_path / "page"), "--lang", "zh")
    assert (status, out) == (0, "")
    assert (tmp_path / "page").read_bytes().startswith(b"<!DOCTYPE html>")
    assert all(word in err for word in ("域名解析", "TCP 握手", "等待响应", "200，189 字节"))
    _, _, err = got(capfd, "--no-waterfall")
    assert "total" not in err


# What the lab's servers don't do


def fetched(
    handler: Handler,
    *,
    names: Callable[[Question], Answer],
    url: str,
    most: int = 10,
    visits: list[Visit] | None = None,
) -> tuple[bytes, list[Visit]]:
    """The content, and how it went, where ``handler`` serves at port 80 of one host, and a name server knows
    ``names``.
    """
    told = [] if visits is None else visits
    world = World(seed=1)
    near, far = world.host("near", "10.0.0.1/24"), world.host("far", f"{WEB}/24")
    world.path(near, far)
    output = io.BytesIO()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Loop)
        async with loop.attach(far) as servers, loop.attach(near) as network:
            await NameServer(names).start(servers)
            await servers.start_server(handler, port=80)
            fetching = Fetch(network, Resolver(network, [WEB]), ssl.create_default_context())
            fetching.visits = told
            await fetching.get(client.target(url), output, includes_head=False, most_redirects=most)

    run(main(), world)
    return output.getvalue(), told


def at(*addresses: str) -> Callable[[Question], Answer]:
    return lambda question: (dns.NO_ERROR, [host(question.name, text) for text in addresses])


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    await asyncio.sleep(3)
    writer.write(b"7\r\n, world\r\n0\r\n\r\n")
    writer.close()


def test_chunks_come_when_they_come() -> None:
    content, visits = fetched(greet, names=at(WEB), url="http://a.example/")
    assert content == b"hello, world"
    steps = {step.name: step.end - step.begin for step in visits[0].steps}
    assert (visits[0].status, visits[0].octets) == (200, 12)
    assert steps[fetch.WAIT] == 20 * MILLISECOND
    assert steps[fetch.CONTENT] == 3 * SECOND


@pytest.mark.parametrize(
    ("pieces", "failed"),
    [
        ([], [fetch.CONTENT]),
        ([b"H"], [fetch.CONTENT]),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 204\r\n\r\n"], []),
    ],
)
def test_responses_in_pieces(pieces: list[bytes], failed: list[str]) -> None:
    async def halting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(1)
        writer.close()

    visits: list[Visit] = []
    with contextlib.suppress(client.BadResponse):
        fetched(halting, names=at(WEB), url="http://a.example/", visits=visits)
    assert [step.name for step in visits[0].steps if step.failed] == failed


def test_where_one_address_is_dead_the_next_is_tried() -> None:
    _, visits = fetched(greet, names=at("10.0.0.99", WEB), url="http://a.example/")
    tries = [(step.failed, step.end - step.begin) for step in visits[0].steps if step.name == fetch.CONNECT]
    assert tries == [(True, 10 * SECOND), (False, 20 * MILLISECOND)]


def test_where_the_last_address_refuses_that_is_told() -> None:
    with pytest.raises(ConnectionRefused):
        fetched(greet, names=at("10.0.0.99", WEB), url="http://a.example:81/")
    with pytest.raises(NotResolved):
        fetched(greet, names=at(), url="http://a.example/")


async def around(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 1000000\r\n\r\n")
    writer.close()


@pytest.mark.parametrize("most", [1, 5])
def test_redirects_in_a_circle_end(most: int) -> None:
    with pytest.raises(client.BadResponse, match=f"more than {most} redirects"):
        fetched(around, names=at(WEB), url="http://a.example/", most=most)


def test_a_name_server_that_fails_is_not_the_end_of_the_process(capfd: Capture) -> None:
    with pytest.raises(NotResolved, match="SERVFAIL"):
        fetched(greet, names=lambda question: (dns.SERVER_FAILURE, []), url="http://a.example/")


class TestTrust:
    def test_files_that_hold_no_certificates(self, tmp_path: Path) -> None:
        (tmp_path / "ca").write_text("no certificate")
        for name in ("ca", "absent"):
            with pytest.raises(ValueError, match="--ca is"):
                fetch.security(authority=str(tmp_path / name))

    def test_checks_are_on_unless_they_are_switched_off(self) -> None:
        assert (fetch.security().verify_mode, fetch.security().check_hostname) == (ssl.CERT_REQUIRED, True)
        assert (fetch.security(checks=False).verify_mode, fetch.security(checks=False).check_hostname) == (
            ssl.CERT_NONE,
            False,
        )
