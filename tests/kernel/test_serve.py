"""`postel serve` as a user runs it: signals, TLS, limits, logs and bursts, with the kernel's sockets as
clients.
"""

import json
import os
import re
import selectors
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

import postel
from tests.kernel.conftest import inside

ROOT = Path(postel.__file__).parents[1]
ADDRESS = "10.8.0.2"
LARGE = b"0123456789" * 400_000
APPLICATION = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"8")]})
    await send({"type": "http.response.body", "body": b"hello " + scope["path"].encode()})
"""
GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n%s\r\n"


class Serving:
    """The command, with its standard error in a file."""

    def __init__(
        self, namespace: Any, folder: Path, *options: str, application: str = "", directory: Path = ROOT
    ) -> None:
        self.namespace = namespace
        self.errors = folder / "errors"
        place = ("--tun", "serve0", "--netns", namespace.name, "--address", f"{ADDRESS}/24")
        command = (
            sys.executable,
            "-m",
            "postel",
            "serve",
            application or str(folder / "site"),
            *place,
            *options,
        )
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command,
                cwd=directory,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        assert until(lambda: "serving" in self.log()), self.log()

    def log(self) -> str:
        return self.errors.read_text()

    def stream(self, octets: bytes = b"", room: int = 0, port: int = 80) -> socket.socket:
        stream: socket.socket = inside(self.namespace.name, socket.socket)
        if room:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        stream.settimeout(20)
        try:
            stream.connect((ADDRESS, port))
        except OSError:
            stream.close()
            raise
        stream.sendall(octets)
        return stream

    def refuses(self) -> bool:
        try:
            self.stream().close()
        except ConnectionRefusedError:
            return True
        return False

    def tell(self, number: int) -> None:
        self.process.send_signal(number)


@pytest.fixture
def serve(namespace: Any, tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    made: list[Serving] = []
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "large").write_bytes(LARGE)
    (tmp_path / "site" / "small").write_bytes(b"small")

    def start(*options: str, **more: Any) -> Serving:
        made.append(Serving(namespace, tmp_path, *options, **more))
        return made[-1]

    yield start
    for serving in made:
        if serving.process.poll() is None:
            serving.process.kill()
        serving.process.wait(10)


def until(holds: Callable[[], object], patience: float = 10) -> bool:
    end = time.monotonic() + patience
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(holds())


def read(stream: socket.socket) -> bytes:
    answer = b""
    while octets := stream.recv(1 << 20):
        answer += octets
    return answer


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_sigterm_drains(serve: Callable[..., Serving], options: tuple[str, ...]) -> None:
    serving = serve(*options)
    idle, busy = serving.stream(), serving.stream(GET % (b"large", b""), room=4096)
    assert busy.recv(100).startswith(b"HTTP/1.1 200 OK")
    serving.tell(signal.SIGTERM)
    assert idle.recv(1) == b""
    assert until(serving.refuses)  # uvicorn looks for signals ten times a second, each worker by itself
    assert read(busy).endswith(LARGE[-1000:])
    assert serving.process.wait(10) == 0
    for stream in (idle, busy):
        stream.close()


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_a_second_sigterm_aborts(serve: Callable[..., Serving], options: tuple[str, ...]) -> None:
    serving = serve(*options)
    busy = serving.stream(GET % (b"large", b""), room=4096)
    assert busy.recv(100).startswith(b"HTTP/1.1 200 OK")
    serving.tell(signal.SIGTERM)
    time.sleep(1)
    assert serving.process.poll() is None
    serving.tell(signal.SIGTERM)
    assert serving.process.wait(5) == 0
    with pytest.raises(ConnectionResetError):
        read(busy)
    busy.close()


def test_draining_ends_after_its_time(serve: Callable[..., Serving]) -> None:
    serving = serve("--timeout-graceful-shutdown", "1")
    busy = serving.stream(GET % (b"large", b""), room=4096)
    busy.recv(100)
    serving.tell(signal.SIGTERM)
    assert serving.process.wait(6) == 0
    busy.close()


def test_the_access_log_may_be_moved_away(serve: Callable[..., Serving], tmp_path: Path) -> None:
    access = tmp_path / "access"
    serving = serve("--access-log", str(access))
    for name in ("small", "absent"):
        with serving.stream(GET % (name.encode(), b"Connection: close\r\n")) as stream:
            read(stream)
        access.rename(tmp_path / name)
    line = r'10\.8\.0\.1:\d+ - - \[\d{4}-.*\] "GET /%s HTTP/1\.1" %s .*\n'
    for name, status in (("small", 200), ("absent", 404)):
        assert re.fullmatch(line % (name, status), (tmp_path / name).read_text())


def test_beyond_the_limit_connections_are_answered_with_503(serve: Callable[..., Serving]) -> None:
    serving = serve("--limit-concurrency", "4")
    streams = [serving.stream(GET % (b"large", b""), room=4096) for _ in range(3)]
    assert [busy.recv(12) for busy in streams] == [b"HTTP/1.1 200"] * 3
    with serving.stream(GET % (b"small", b"Connection: close\r\n")) as stream:
        assert read(stream).startswith(b"HTTP/1.1 503 ")
    for busy in streams:
        busy.close()


def test_https_and_an_application(serve: Callable[..., Serving], tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert(ADDRESS)
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "pem")
    (tmp_path / "own.py").write_text(APPLICATION)
    serving = serve(
        "--port", "443", "--ssl-certfile", str(tmp_path / "pem"), application="own:app", directory=tmp_path
    )
    assert f"https://{ADDRESS}/," in serving.log()
    client = ssl.create_default_context()
    authority.configure_trust(client)
    with client.wrap_socket(serving.stream(port=443), server_hostname=ADDRESS) as stream:
        stream.sendall(GET % (b"x", b"Connection: close\r\n"))
        assert read(stream).endswith(b"\r\n\r\nhello /x")


def test_a_device_that_goes_away_ends_it_with_a_line(serve: Callable[..., Serving]) -> None:
    serving = serve()
    serving.namespace.command("ip", "link", "del", "serve0")
    assert serving.process.wait(10) == 3
    assert serving.log().splitlines()[1:] == ["postel: TUN device serve0 was removed: start again"]


def test_a_burst_of_2000_syns_survives(serve: Callable[..., Serving]) -> None:
    serving = serve("--quiet")
    described = json.loads(
        serving.namespace.command("ip", "-statistics", "-json", "link", "show", "dev", "serve0")
    )
    before = described[0]["stats64"]["tx"]["dropped"]
    selector = selectors.DefaultSelector()
    streams = inside(serving.namespace.name, lambda: [socket.socket() for _ in range(2000)])
    os.kill(serving.process.pid, signal.SIGSTOP)  # it does something else meanwhile
    for stream in streams:
        stream.setblocking(False)
        with suppress(BlockingIOError):
            stream.connect((ADDRESS, 80))
        selector.register(stream, selectors.EVENT_WRITE)
    os.kill(serving.process.pid, signal.SIGCONT)
    end, left = time.monotonic() + 20, len(streams)
    while left and time.monotonic() < end:
        for key, _ in selector.select(1):
            assert key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0  # type: ignore[union-attr]
            selector.unregister(key.fileobj)
            left -= 1
    assert left == 0
    described = json.loads(
        serving.namespace.command("ip", "-statistics", "-json", "link", "show", "dev", "serve0")
    )
    assert described[0]["stats64"]["tx"]["dropped"] == before
    for stream in streams:
        stream.close()


def test_the_doctor_tells_what_a_device_dropped(namespace: Any) -> None:
    with inside(namespace.name, lambda: socket.socket(type=socket.SOCK_DGRAM)) as stranger:
        for _ in range(1500):  # nothing reads the device, and 1,000 may wait
            stranger.sendto(b"x", ("10.7.0.2", 9))
    said = json.loads(namespace.command(sys.executable, "-m", "postel", "doctor", "--json"))
    found = {finding["name"]: finding for finding in said}["device postel0"]
    assert found["state"] == "missing"
    assert int(found["what"].split()[0]) >= 400
    assert found["advice"] == "ip link set dev postel0 txqueuelen 4096"
