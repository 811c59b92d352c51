"""`postel serve --workers`: several processes on one device, and no connection in the wrong one."""

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import postel

ROOT = Path(postel.__file__).parents[1]
ADDRESS = "10.8.0.2"
CONTENT = random.Random(11).randbytes(3_000_000)
AT_ONCE = 24


class Serving:
    def __init__(self, namespace: Any, folder: Path, *options: str) -> None:
        self.namespace = namespace
        place = ("--tun", "workers0", "--netns", namespace.name, "--address", f"{ADDRESS}/24")
        command = (sys.executable, "-m", "postel", "serve", str(folder), "--quiet", "--workers", "3", *place, *options)
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
        assert self.process.stderr is not None
        assert b"serving" in self.process.stderr.readline()

    def workers(self) -> list[int]:
        process = self.process.pid
        return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text("ascii").split()]

    def ask(self) -> socket.socket:
        stream = self.namespace.stream(4)
        stream.settimeout(30)
        stream.connect((ADDRESS, 80))
        stream.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return stream  # type: ignore[no-any-return]

    def ended(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def read(stream: socket.socket) -> str:
    with stream:
        answer = b""
        while octets := stream.recv(1 << 20):
            answer += octets
    return hashlib.sha256(answer.partition(b"\r\n\r\n")[2]).hexdigest()


@pytest.fixture
def serving(namespace: Any, tmp_path: Path) -> Iterator[Serving]:
    (tmp_path / "large").write_bytes(CONTENT)
    made = Serving(namespace, tmp_path)
    yield made
    if made.process.poll() is None:
        made.ended()
    assert made.process.stderr is not None
    made.process.stderr.close()


def busy(process: int) -> int:
    """Ticks of the processor that it has used."""
    return sum(map(int, Path(f"/proc/{process}/stat").read_text("ascii").rsplit(")", 1)[1].split()[11:13]))


def test_connections_are_spread_and_none_is_reset(serving: Serving) -> None:
    wanted = hashlib.sha256(CONTENT).hexdigest()
    assert read(serving.ask()) == wanted
    before = {process: busy(process) for process in serving.workers()}
    streams = [serving.ask() for _ in range(AT_ONCE)]
    assert {read(stream) for stream in streams} == {wanted}
    assert sum(busy(process) > ticks for process, ticks in before.items()) >= 2
    assert serving.ended() == 0


def test_a_connection_that_was_idle_finds_its_worker_again(serving: Serving) -> None:
    """Longer than the kernel remembers which queue a flow was last sent from (three seconds): then the hash alone decides."""
    streams = []
    for _ in range(6):
        stream = serving.namespace.stream(4)
        stream.settimeout(30)
        stream.connect((ADDRESS, 80))
        streams.append(stream)
    time.sleep(4)
    for stream in streams:
        stream.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert {read(stream) for stream in streams} == {hashlib.sha256(CONTENT).hexdigest()}


def test_a_worker_that_dies_takes_its_own_connections_along_and_no_others(serving: Serving) -> None:
    time.sleep(1)
    before = serving.workers()
    streams = [serving.ask() for _ in range(AT_ONCE)]
    os.kill(before[0], signal.SIGKILL)
    done = 0
    for stream in streams:
        stream.settimeout(5)  # who had nothing more to send hears nothing
        with suppress(ConnectionResetError, TimeoutError):
            done += read(stream) == hashlib.sha256(CONTENT).hexdigest()
    assert done >= AT_ONCE // 4
    after = serving.workers()
    assert len(after) == 3
    assert set(before[1:]) <= set(after)
    assert read(serving.ask()) == hashlib.sha256(CONTENT).hexdigest()


def test_recordings_are_of_one_process(tmp_path: Path) -> None:
    command = (
        sys.executable,
        "-m",
        "postel",
        "serve",
        str(tmp_path),
        "--workers",
        "2",
        "--ladder",
        "--tun",
        "x",
        "--address",
        "10.8.0.2/24",
    )
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "--workers" in done.stderr
