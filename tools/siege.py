"""Real tools against `postel serve`, and against nginx for comparison, as root on Linux.

    python tools/siege.py [TOOL…]

Both serve the same files in a network namespace of this script's own: nginx at the kernel's address, Postel
at its own over a TUN. A tool that isn't installed is left out; on Debian they come with

    apt-get install --no-install-recommends apache2-utils wrk slowhttptest siege nmap nginx-light curl

After each tool the server must still answer a request. It fails where Postel has a failure that nginx hasn't.
"""

import argparse
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SPACE = f"siege-{os.getpid()}"
DEVICE = "siege0"
KERNEL, POSTEL = "10.77.0.1", "10.77.0.2"
KERNEL_6, POSTEL_6 = "fd77::1", "fd77::2"
PATIENCE = 120
TROUBLE = ("Traceback", "Task exception", "exception was never retrieved", "unhandled")
NGINX = """
daemon off; user root; worker_processes 1; pid %(place)s/pid; error_log %(place)s/nginx-errors;
events { worker_connections 4096; }
http {
  access_log off; default_type application/octet-stream; keepalive_requests 1000000;
  client_body_temp_path %(place)s/t1; proxy_temp_path %(place)s/t2; fastcgi_temp_path %(place)s/t3;
  uwsgi_temp_path %(place)s/t4; scgi_temp_path %(place)s/t5;
  server { listen %(address)s:80 backlog=1024; root %(site)s; autoindex on; }
}
"""


def run(*command: str, patience: float = PATIENCE) -> str:
    """What a program in the namespace prints, on both streams. One that takes too long is ended, and its
    output says so.
    """
    process = subprocess.Popen(
        ("ip", "netns", "exec", SPACE, *command),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    )
    try:
        return process.communicate(timeout=patience)[0].decode(errors="replace")
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[0].decode(errors="replace") + "\nSIEGE: took too long"


@dataclass
class Server:
    """One of the two: its address, its process, and what went wrong."""

    name: str
    address: str
    command: list[str]
    log: Path
    failures: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        inside = ["ip", "netns", "exec", SPACE] if self.name == "nginx" else []
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*inside, *self.command], cwd=ROOT, stdout=log, stderr=log)
        end = time.monotonic() + 10
        while not self.answers():
            if time.monotonic() > end:
                raise SystemExit(f"{self.name} doesn't start: {self.log.read_text()}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                self.failures["stopping"] = "SIGTERM didn't end it"

    def answers(self) -> bool:
        said = run(
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "--max-time",
            "5",
            f"http://{self.address}/small",
            patience=10,
        )
        return said.strip() == "200"


# Each returns what failed; "" if nothing did


def ab_keep_alive(server: Server) -> str:
    return _ab(run("ab", "-q", "-k", "-n", "5000", "-c", "50", f"http://{server.address}/small"), 5000)


def ab_close(server: Server) -> str:
    return _ab(run("ab", "-q", "-n", "3000", "-c", "200", f"http://{server.address}/small"), 3000)


def _ab(said: str, wanted: int) -> str:
    complete, failed = (
        _number(r"Complete requests:\s+(\d+)", said),
        _number(r"Failed requests:\s+(\d+)", said),
    )
    other = _number(r"Non-2xx responses:\s+(\d+)", said)
    return (
        ""
        if (complete, failed, max(other, 0)) == (wanted, 0, 0)
        else f"{complete} complete, {failed} failed, {other} not 2xx: {said[-200:]}"
    )


def wrk_close(server: Server) -> str:
    said = run(
        "wrk",
        "-c",
        "200",
        "-t",
        "2",
        "-d",
        "5s",
        "--timeout",
        "10s",
        "-H",
        "Connection: close",
        f"http://{server.address}/small",
    )
    errors = re.findall(r"Socket errors:.*|Non-2xx.*", said)
    return "; ".join(errors) if _number(r"(\d+) requests in", said) > 0 else f"no request: {said[-200:]}"


def siege(server: Server) -> str:
    said = run("siege", "-b", "-c", "50", "-t", "5S", f"http://{server.address}/small")
    failed, done = (
        _number(r'"?failed_transactions"?:\s+(\d+)', said.lower()),
        _number(r'"?transactions"?:\s+(\d+)', said.lower()),
    )
    return "" if failed == 0 and done > 0 else f"{done} done, {failed} failed: {said[-300:]}"


def curl_parallel(server: Server) -> str:
    said = run(
        "curl", "-s", "--parallel", "--parallel-max", "300", "--max-time", "60", "-o", "/dev/null", "-w",
        "%{http_code}\n",
        f"http://{server.address}/small?[1-1000]",
    )  # fmt: skip
    done = said.split().count("200")
    return "" if done == 1000 else f"{done} of 1000"


def _slow(server: Server, *options: str) -> str:
    """Whether others are served meanwhile."""
    attack = subprocess.Popen(
        (
            *("ip", "netns", "exec", SPACE, "slowhttptest"),
            *("-c", "500", "-r", "250", "-l", "15", "-i", "3", "-p", "3", *options),
        ),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(3)
    answered = [server.answers() for _ in range(10) if time.sleep(1) is None]
    try:
        attack.wait(60)
    except subprocess.TimeoutExpired:
        attack.kill()
        attack.wait()
    return "" if all(answered) else f"others were served {sum(answered)} times of {len(answered)}"


def slow_head(server: Server) -> str:
    return _slow(server, "-H", "-u", f"http://{server.address}/small")


def slow_body(server: Server) -> str:
    return _slow(server, "-B", "-s", "8192", "-u", f"http://{server.address}/small")


def slow_read(server: Server) -> str:
    return _slow(
        server,
        "-X",
        "-w",
        "10",
        "-y",
        "20",
        "-n",
        "5",
        "-z",
        "32",
        "-k",
        "3",
        "-u",
        f"http://{server.address}/large",
    )


def nmap(server: Server) -> str:
    said = run("nmap", "-n", "-Pn", "-sV", "-sC", "-O", "-p", "80,81", server.address, patience=PATIENCE * 2)
    return (
        "" if re.search(r"80/tcp +open +http", said) and re.search(r"81/tcp +closed", said) else said[-500:]
    )


def garbage(server: Server) -> str:
    """10,000 packets of each kind, by raw sockets: nothing but a living server is expected."""
    said = run(
        sys.executable,
        __file__,
        "--garbage",
        server.address,
        KERNEL,
        POSTEL_6 if server.name == "postel" else KERNEL_6,
        KERNEL_6,
    )
    return "" if "sent" in said else said[-300:]


TOOLS: dict[str, tuple[str, Callable[[Server], str]]] = {
    "ab -k": ("ab", ab_keep_alive),
    "ab": ("ab", ab_close),
    "wrk, Connection: close": ("wrk", wrk_close),
    "siege": ("siege", siege),
    "curl --parallel": ("curl", curl_parallel),
    "garbage": ("python3", garbage),
    "slowhttptest -H": ("slowhttptest", slow_head),
    "slowhttptest -B": ("slowhttptest", slow_body),
    "slowhttptest -X": ("slowhttptest", slow_read),
    "nmap -sV -sC -O": ("nmap", nmap),
}


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else -1


# Garbage


def send_garbage(target: str, source: str, target_6: str, source_6: str, count: int = 10_000) -> None:
    chance = random.Random(7)
    kinds = {"ip": None, "tcp": 6, "udp": 17, "icmp": 1}
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for protocol in kinds.values():
            for _ in range(count):
                _send(
                    raw,
                    packet_4(chance, socket.inet_aton(source), socket.inet_aton(target), protocol),
                    target,
                )
    ends = socket.inet_pton(socket.AF_INET6, source_6), socket.inet_pton(socket.AF_INET6, target_6)
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for following in (None, 6, 17, 58, 0, 43, 44, 60):
            for _ in range(count):
                _send(raw, packet_6(chance, *ends, following), target_6)
    print("sent")


def _send(raw: socket.socket, octets: bytes, target: str) -> None:
    with suppress(OSError):  # the kernel won't send everything
        raw.sendto(octets, (target, 0))


def packet_4(chance: random.Random, source: bytes, target: bytes, protocol: int | None) -> bytes:
    """A header with mistakes now and then; segments to port 80 more often than not, so that some reach a
    listener or a connection.
    """
    options = chance.randbytes(4 * chance.choice([0, 0, 0, 1, 5, 10]))
    words = 5 + len(options) // 4 if chance.random() < 0.9 else chance.randrange(16)
    fragment = chance.getrandbits(16) if chance.random() < 0.2 else 0
    carried = transport(chance, protocol) if protocol is not None else chance.randbytes(chance.randrange(200))
    kind = protocol if protocol is not None else chance.randrange(256)
    version = 4 if chance.random() < 0.95 else chance.randrange(16)
    head = bytes([version << 4 | words, chance.randrange(256)]) + (20 + len(options) + len(carried)).to_bytes(
        2, "big"
    )
    head += chance.randbytes(2) + fragment.to_bytes(2, "big") + bytes([64, kind]) + bytes(2)
    sender = source if chance.random() < 0.8 else chance.randbytes(4)
    return head + sender + target + options + carried


def packet_6(chance: random.Random, source: bytes, target: bytes, following: int | None) -> bytes:
    carried = (
        transport(chance, following) if following in (6, 17) else chance.randbytes(chance.randrange(200))
    )
    kind = following if following is not None else chance.randrange(256)
    length = len(carried) if chance.random() < 0.9 else chance.randrange(1 << 16)
    return (
        bytes([0x60])
        + chance.randbytes(3)
        + length.to_bytes(2, "big")
        + bytes([kind, 64])
        + source
        + target
        + carried
    )


def transport(chance: random.Random, protocol: int | None) -> bytes:
    text = chance.randbytes(chance.choice([0, 1, 20, 100, 1000]))
    ports = chance.randbytes(2) + (80 if chance.random() < 0.7 else chance.randrange(1 << 16)).to_bytes(
        2, "big"
    )
    if protocol == 6:
        options = chance.randbytes(4 * chance.choice([0, 0, 1, 5, 10]))
        offset = 5 + len(options) // 4 if chance.random() < 0.8 else chance.randrange(16)
        return (
            ports
            + chance.randbytes(8)
            + bytes([offset << 4, chance.randrange(256)])
            + chance.randbytes(6)
            + options
            + text
        )
    if protocol == 17:
        return ports + chance.randbytes(4) + text
    return chance.randbytes(8) + text


# The place


@contextmanager
def place(*, alone: bool) -> Iterator[tuple[Server, Server]]:
    folder = Path(tempfile.mkdtemp(prefix="siege-"))
    site = folder / "site"
    site.mkdir()
    for path in (folder, site):
        path.chmod(0o755)
    (site / "small").write_bytes(b"small" * 200)
    (site / "large").write_bytes(random.Random(1).randbytes(2_000_000))
    (folder / "nginx.conf").write_text(NGINX % {"place": folder, "site": site, "address": KERNEL})
    subprocess.run(("ip", "netns", "add", SPACE), check=True)
    postel = Server(
        "postel", POSTEL,
        [sys.executable, "-m", "postel", "serve", str(site), "--quiet", "--tun", DEVICE, "--netns", SPACE,
         "--address", f"{POSTEL}/24", "--address", f"{POSTEL_6}/64"],
        folder / "postel-log",
    )  # fmt: skip
    nginx = Server("nginx", KERNEL, ["nginx", "-c", str(folder / "nginx.conf")], folder / "nginx-log")
    try:
        subprocess.run(("ip", "-n", SPACE, "link", "set", "lo", "up"), check=True)
        postel.start()
        if not alone and shutil.which("nginx"):
            nginx.start()
        yield postel, nginx
    finally:
        for server in (nginx, postel):
            server.stop()
        subprocess.run(("ip", "netns", "del", SPACE), check=True)
        shutil.rmtree(folder)


def siege_both(postel: Server, nginx: Server, names: list[str]) -> int:
    worse = 0
    for name in names:
        program, tool = TOOLS[name]
        if shutil.which(program) is None:
            print(f"{name:<34} left out: {program} isn't installed")
            continue
        found = {}
        for server in (postel, nginx):
            if server.process is not None:
                found[server.name] = tool(server) or ("" if server.answers() else "no answer afterwards")
        trouble = [
            line
            for line in postel.log.read_text(errors="replace").splitlines()
            if any(word in line for word in TROUBLE)
        ]
        if trouble:
            found["postel"] += f" its log: {trouble[0]}"
        is_worse = bool(found["postel"]) and (bool(trouble) or not found.get("nginx"))
        worse += is_worse
        told = "; ".join(f"{server}: {failure or 'ok'}" for server, failure in found.items())
        print(f"{name:<34} {'WORSE ' if is_worse else ''}{told}", flush=True)
    return worse


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("tools", nargs="*", metavar="TOOL", help=f"default: all of {', '.join(TOOLS)}")
    parser.add_argument("--alone", action="store_true", help="without nginx")
    parser.add_argument("--garbage", nargs=4, metavar="ADDRESS", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.garbage:
        send_garbage(*options.garbage)
        return 0
    unknown = set(options.tools) - set(TOOLS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    with place(alone=options.alone) as (postel, nginx):
        worse = siege_both(postel, nginx, options.tools or list(TOOLS))
    return 1 if worse or postel.failures else 0


if __name__ == "__main__":
    sys.exit(main())
