"""`postel serve --workers`: several processes on one device, and no connection in the wrong one."""

import hashlib
import json
import os
import random
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
CONTENT = random.Random(11).randbytes(3_000_000)
AT_ONCE = 24


class Serving:
    def __init__(self, namespace: Any, folder: Path, *options: str) -> None:
        self.namespace = namespace
        place = ("--tun", "workers0", "--netns", namespace.name, "--address", f"{ADDRESS}/24")
        command = (
            sys.executable,
            "-m",
            "postel",
            "serve",
            str(folder),
            "--quiet",
            "--workers",
            "3",
            *place,
            *options,
        )
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
        assert self.process.stderr is not None
        assert b"serving" in self.process.stderr.readline()

    def workers(self) -> list[int]:
        process = self.process.pid
        return [
            int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text("ascii").split()
        ]

    def ask(self) -> socket.socket:
        stream = self.namespace.stream(4)
        stream.settimeout(30)
        stream.connect((ADDRESS, 80))
        stream.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return stream  # type: ignore[no-any-return]

    def open_queues(self) -> int:
        """Of the device, by any process."""
        described = self.namespace.command("ip", "-details", "-json", "link")
        devices = [device for device in json.loads(described) if device.get("ifname") == "workers0"]
        return int(devices[0]["linkinfo"]["info_data"]["numqueues"]) if devices else 0

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
    """Longer than the kernel remembers which queue a flow was last sent from (three seconds): then the hash
    alone decides.
    """
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
        stream.settimeout(5)  # a client that has nothing more to send hears of no reset
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


def second(serving: Serving, folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """Another Postel on the same device, which should be refused."""
    place = ("--tun", "workers0", "--netns", serving.namespace.name, "--address", "10.8.0.9/24")
    command = (sys.executable, "-m", "postel", "serve", str(folder), *options, *place)
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)


def state(process: int) -> str:
    """T when it has stopped."""
    return Path(f"/proc/{process}/stat").read_text("ascii").rsplit(")", 1)[1].split()[0]


def until(holds: Callable[[], object], patience: float = 10) -> bool:
    end = time.monotonic() + patience
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(holds())


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_a_second_postel_on_the_device_is_refused(
    serving: Serving, tmp_path: Path, options: tuple[str, ...]
) -> None:
    streams = [serving.ask() for _ in range(6)]
    done = second(serving, tmp_path, *options)
    assert done.returncode == 3
    assert "in use by another program" in done.stderr
    assert done.stderr.count("\n") == 1
    assert {read(stream) for stream in streams} == {hashlib.sha256(CONTENT).hexdigest()}


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_a_second_postel_in_the_devices_own_namespace_is_refused(
    serving: Serving, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """There it could take a queue, and with it connections of the first."""
    place = ("--tun", "workers0", "--address", "10.8.0.9/24")
    command = serving.namespace.prefixed(
        sys.executable, "-m", "postel", "serve", str(tmp_path), *options, *place
    )
    streams = [serving.ask() for _ in range(6)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, "in use by another program" in done.stderr) == (3, True), done.stderr
    assert {read(stream) for stream in streams} == {hashlib.sha256(CONTENT).hexdigest()}
    assert serving.open_queues() == 3


def test_workers_end_with_their_parent_however_it_ends(serving: Serving) -> None:
    assert read(serving.ask()) == hashlib.sha256(CONTENT).hexdigest()
    stream = serving.ask()  # on its way: an orphan doesn't wait for it
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    workers = serving.workers()
    serving.process.kill()
    serving.process.wait(10)
    assert until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    assert until(lambda: serving.open_queues() == 0)
    stream.close()


def test_a_restart_beside_orphans_is_refused(serving: Serving, tmp_path: Path) -> None:
    assert until(lambda: len(serving.workers()) == 3)
    workers = serving.workers()
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)  # they can't hear that their parent has ended
    assert until(lambda: all(state(worker) == "T" for worker in workers))
    try:
        serving.process.kill()
        serving.process.wait(10)
        done = second(serving, tmp_path, "--workers", "3")
        assert done.returncode == 3
        assert "workers that still run" in done.stderr
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
    assert until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


@pytest.fixture
def narrow(namespace: Any) -> Iterator[Callable[[], socket.socket]]:
    """Makes sockets of a second kernel, behind the first: the way to it carries 1,300 octets, which only an
    ICMP error tells.
    """
    beyond = f"{namespace.name}-far"
    subprocess.run(("ip", "netns", "add", beyond), check=True)
    try:
        namespace.command(
            "ip",
            "link",
            "add",
            "near0",
            "mtu",
            "1300",
            "type",
            "veth",
            "peer",
            "name",
            "far0",
            "netns",
            beyond,
        )
        namespace.command("ip", "address", "add", "10.9.0.1/24", "dev", "near0")
        namespace.command("ip", "link", "set", "near0", "up")
        namespace.command("sysctl", "-qw", "net.ipv4.ip_forward=1")
        for command in (
            "link set far0 mtu 1500 up",
            "address add 10.9.0.2/24 dev far0",
            "route add default via 10.9.0.1",
        ):
            subprocess.run(("ip", "-n", beyond, *command.split()), check=True)
        yield lambda: inside(beyond, socket.socket)
    finally:
        subprocess.run(("ip", "netns", "del", beyond), check=True)


def test_errors_of_routers_reach_the_worker_that_has_the_connection(
    serving: Serving, narrow: Callable[[], socket.socket]
) -> None:
    times = []
    for _ in range(12):
        with narrow() as stream:
            begun = time.monotonic()
            stream.settimeout(30)
            stream.connect((ADDRESS, 80))
            stream.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert read(stream) == hashlib.sha256(CONTENT).hexdigest()
            times.append(time.monotonic() - begun)
    assert sum(taken > 2 for taken in times) <= 1, times  # an error that is lost costs three seconds
