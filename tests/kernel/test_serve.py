"""`postel serve` as a user runs it: signals, limits, logs and bursts, with the kernel's sockets as clients."""

import json
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import postel
from tests.kernel.conftest import inside

ROOT = Path(postel.__file__).parents[1]
ADDRESS = "10.8.0.2"
LARGE = b"0123456789" * 400_000
GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n%s\r\n"


class Serving:
    """The command, whose standard error goes to a file."""

    def __init__(self, namespace: Any, folder: Path, *options: str, descriptors: int = 0) -> None:
        self.namespace = namespace
        self.errors = folder / "errors"
        place = ("--tun", "serve0", "--netns", namespace.name, "--address", f"{ADDRESS}/24")
        command = (sys.executable, "-m", "postel", "serve", str(folder / "site"), *place, *options)
        limit = ("sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh") if descriptors else ()
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen((*limit, *command), cwd=ROOT, stderr=errors)
        assert until(lambda: "serving" in self.log()), self.log()

    def log(self) -> str:
        return self.errors.read_text()

    def stream(self, octets: bytes = b"", room: int = 0) -> socket.socket:
        stream: socket.socket = inside(self.namespace.name, socket.socket)
        if room:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        stream.settimeout(20)
        try:
            stream.connect((ADDRESS, 80))
        except OSError:
            stream.close()
            raise
        stream.sendall(octets)
        return stream

    def memory(self) -> int:
        """Octets that are resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) << 10

    def tell(self, number: int) -> None:
        self.process.send_signal(number)

    def counters(self) -> dict[str, Any]:
        before = self.log().count('{"process"')
        self.tell(signal.SIGUSR1)
        assert until(lambda: self.log().count('{"process"') > before)
        return dict(json.loads(next(line for line in reversed(self.log().splitlines()) if line.startswith('{"process"'))))


@pytest.fixture
def serve(namespace: Any, tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    made: list[Serving] = []
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "large").write_bytes(LARGE)
    (tmp_path / "site" / "small").write_bytes(b"small")

    def start(*options: str, descriptors: int = 0) -> Serving:
        made.append(Serving(namespace, tmp_path, *options, descriptors=descriptors))
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
    with pytest.raises(ConnectionRefusedError):
        serving.stream()
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
    serving = serve("--drain-timeout", "1")
    busy = serving.stream(GET % (b"large", b""), room=4096)
    busy.recv(100)
    serving.tell(signal.SIGTERM)
    assert serving.process.wait(6) == 0
    busy.close()


def test_what_it_counts_and_logs(serve: Callable[..., Serving], tmp_path: Path) -> None:
    access = tmp_path / "access"
    serving = serve("--access-log", str(access), "--connections", "3")
    with serving.stream(GET % (b"small", b"Connection: close\r\n")) as stream:
        assert read(stream).endswith(b"small")
    access.rename(tmp_path / "old")
    serving.tell(signal.SIGHUP)
    assert until(access.exists)
    with serving.stream(GET % (b"absent", b"Connection: close\r\n")) as stream:
        read(stream)
    streams = [serving.stream(GET % (b"large", b""), room=4096) for _ in range(3)]
    for busy in streams:
        busy.recv(10)
    with serving.stream() as stream:
        assert read(stream).startswith(b"HTTP/1.1 503 ")
    counted = serving.counters()
    assert {name: counted[name] for name in ("open", "peak", "connections", "refused")} == {
        "open": 3, "peak": 3, "connections": 6, "refused": 1,
    }  # fmt: skip
    assert counted["statuses"] == {"200": 1, "404": 1, "503": 1}
    common = r"10\.7\.0\.1|10\.8\.0\.1"
    line = r'(?:%s) - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET /%s HTTP/1\.1" %s \d+\n'
    assert re.fullmatch(line % (common, "small", 200), (tmp_path / "old").read_text())
    assert re.match(line % (common, "absent", 404), access.read_text())
    assert "all 3 connections are in use" in serving.log()
    for busy in streams:
        busy.close()


def test_out_of_descriptors_is_503_and_a_line_in_the_log(serve: Callable[..., Serving]) -> None:
    serving = serve(descriptors=40)
    streams = [serving.stream(GET % (b"large", b""), room=4096) for _ in range(60)]
    heads = [stream.recv(12) for stream in streams]
    assert set(heads) == {b"HTTP/1.1 200", b"HTTP/1.1 503"}
    assert "Too many open files" in serving.log()
    for stream in streams:
        stream.close()
    time.sleep(0.5)
    with serving.stream(GET % (b"small", b"Connection: close\r\n")) as stream:
        assert read(stream).endswith(b"small")


def test_a_log_that_nothing_reads_stops_nothing(namespace: Any, serve: Callable[..., Serving], tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    serving = serve("--access-log", str(fifo), "--quiet")
    for _ in range(3):
        with serving.stream((GET % (b"x" * 5000, b"")) * 20 + GET % (b"small", b"Connection: close\r\n")) as stream:
            assert read(stream).endswith(b"small")
    os.close(reader)


def test_a_burst_of_2000_syns_survives(serve: Callable[..., Serving]) -> None:
    serving = serve("--quiet")
    described = json.loads(serving.namespace.command("ip", "-statistics", "-json", "link", "show", "dev", "serve0"))
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
    described = json.loads(serving.namespace.command("ip", "-statistics", "-json", "link", "show", "dev", "serve0"))
    assert described[0]["stats64"]["tx"]["dropped"] == before
    for stream in streams:
        stream.close()


def test_memory_is_given_back_after_a_peak(serve: Callable[..., Serving]) -> None:
    serving = serve("--quiet")
    with serving.stream(GET % (b"small", b"Connection: close\r\n")) as stream:
        read(stream)
    before = serving.memory()
    streams = [serving.stream(GET % (b"large", b"")) for _ in range(150)]
    time.sleep(2)
    peak = serving.memory()
    for stream in streams:
        stream.close()
    assert until(lambda: serving.memory() - before < (peak - before) / 3, 20), (before, peak, serving.memory())


def test_the_doctor_tells_what_a_device_dropped(namespace: Any) -> None:
    with inside(namespace.name, lambda: socket.socket(type=socket.SOCK_DGRAM)) as stranger:
        for _ in range(1500):  # nothing reads the device, and 1,000 may wait
            stranger.sendto(b"x", ("10.7.0.2", 9))
    said = json.loads(namespace.command(sys.executable, "-m", "postel", "doctor", "--json"))
    found = {finding["name"]: finding for finding in said}["device postel0"]
    assert found["state"] == "missing"
    assert int(found["what"].split()[0]) >= 400
    assert found["advice"] == "ip link set dev postel0 txqueuelen 4096"
