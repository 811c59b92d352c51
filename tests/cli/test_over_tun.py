"""The commands as a user runs them, against the kernel's own programs: as root, in a network namespace of the
test's own.
"""

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

import postel
from postel import cli

ROOT = Path(postel.__file__).parents[1]
SELF = (sys.executable, "-m", "postel")
PATIENCE = 60

MISSING = [command for command in ("ip", "curl", "nc", "tshark") if shutil.which(command) is None]
MISSING += [] if os.geteuid() == 0 else ["root"]
MISSING += [] if Path("/dev/net/tun").exists() else ["/dev/net/tun"]

pytestmark = pytest.mark.skipif(
    bool(MISSING) and "CI" not in os.environ, reason=f"missing: {', '.join(MISSING)}"
)


class Namespace:
    """A network namespace, and a name that no other device has."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.device = f"t{name}"[:15]

    def options(self, *addresses: str) -> list[str]:
        return [
            "--tun",
            self.device,
            "--netns",
            self.name,
            *(word for address in addresses for word in ("--address", address)),
        ]

    def start(self, *command: str, inside: bool = True, **streams: object) -> "subprocess.Popen[bytes]":
        prefix = ("ip", "netns", "exec", self.name) if inside else ()
        return subprocess.Popen(
            (*prefix, *command), cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, **streams
        )  # type: ignore[call-overload, no-any-return]

    def run(
        self, *command: str, inside: bool = True, octets: bytes = b""
    ) -> "subprocess.CompletedProcess[bytes]":
        prefix = ("ip", "netns", "exec", self.name) if inside else ()
        return subprocess.run(
            (*prefix, *command), cwd=ROOT, input=octets, capture_output=True, timeout=PATIENCE, check=False
        )

    def postel(self, *arguments: str, octets: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        return self.run(*SELF, *arguments, inside=False, octets=octets)


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    name = f"cli{os.getpid()}"
    subprocess.run(("ip", "netns", "add", name), check=True)
    try:
        subprocess.run(("ip", "-n", name, "link", "set", "lo", "up"), check=True)
        yield Namespace(name)
    finally:
        subprocess.run(("ip", "netns", "delete", name), check=True)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "page").write_bytes(bytes(range(256)) * 2000)
    return tmp_path


@pytest.mark.parametrize(("signal_number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_curl_fetches_what_postel_serves(
    namespace: Namespace, site: Path, signal_number: int, status: int
) -> None:
    capture = site / "capture.pcapng"
    serve = (
        *SELF,
        "serve",
        str(site),
        *namespace.options("10.7.0.2/24", "fd07::2/64"),
        "--pcapng",
        str(capture),
    )
    server = namespace.start(
        *serve,
        inside=False,
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler),
    )
    assert server.stderr is not None
    try:
        assert server.stderr.readline().startswith(b"serving ")
        for url in ("http://10.7.0.2/page", "http://[fd07::2]/page"):
            done = namespace.run("curl", "--silent", "--show-error", "--globoff", "--max-time", "20", url)
            assert done.stdout == (site / "page").read_bytes(), done.stderr
    finally:
        server.send_signal(signal_number)
        server.communicate(timeout=PATIENCE)
    assert server.returncode == status
    shown = namespace.run(
        "tshark", "-r", str(capture), "-T", "json", "-e", "tcp.stream", "-e", "frame.comment", inside=False
    )
    packets = json.loads(shown.stdout)
    assert {packet["_source"]["layers"]["tcp.stream"][0] for packet in packets} == {"0", "1"}
    assert all(packet["_source"]["layers"]["frame.comment"] for packet in packets)


@pytest.fixture
def kernels_server(namespace: Namespace, site: Path) -> Iterator[None]:
    """Python's own, over the kernel's sockets."""
    code = (
        "import http.server, functools, sys\n"
        "handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])\n"
        "server = http.server.ThreadingHTTPServer(('0.0.0.0', 8000), handler)\n"
        "print('ready', flush=True)\n"
        "server.serve_forever()\n"
    )
    process = namespace.start(sys.executable, "-c", code, str(site))
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    yield
    process.terminate()
    process.communicate(timeout=PATIENCE)


@pytest.mark.usefixtures("kernels_server")
def test_postel_gets_what_the_kernel_serves(namespace: Namespace, site: Path) -> None:
    options = namespace.options("10.7.0.2/24")
    done = namespace.postel(
        "get", "http://10.7.0.1:8000/page", *options, "-o", str(site / "got"), "--ladder", "--lang", "en"
    )
    assert (done.returncode, done.stdout) == (0, b"")
    assert (site / "got").read_bytes() == (site / "page").read_bytes()
    ladder = done.stderr.decode()
    assert all(
        words in ladder
        for words in (
            "SYN-SENT",
            "the three-way handshake is complete",
            "postel 10.7.0.2",
            "kernel 10.7.0.1:8000",
        )
    )
    included = namespace.postel("get", "-i", "http://10.7.0.1:8000/page", *options)
    assert included.stdout.startswith(b"HTTP/1.0 200 OK\r\n")
    absent = namespace.postel("get", "http://10.7.0.1:8000/absent", *options)
    assert (absent.returncode, absent.stderr) == (1, b"postel: the server answered 404\n")
    refused = namespace.postel("get", "http://10.7.0.1:8001/", *options)
    assert (refused.returncode, refused.stderr) == (
        1,
        b"postel: connect to 10.7.0.1:8001: connection refused\n",
    )


NAME_SERVER = """
import socket, threading

def answered(query, is_long):
    name, kind = query[12:query.index(bytes(1), 12) + 1], query[-4:]
    if b"nowhere" in name:
        return query[:2] + bytes.fromhex("8183 0001 0000 0000 0000") + name + kind
    if b"long" in name and not is_long:
        return query[:2] + bytes.fromhex("8380 0001 0000 0000 0000") + name + kind
    has = kind == bytes.fromhex("0001 0001")
    record = bytes.fromhex("c00c 0001 0001 0000003c 0004 0a070001") if has else b""
    return query[:2] + bytes.fromhex("8180 0001 000%d 0000 0000" % has) + name + kind + record

def over_tcp():
    while True:
        with listener.accept()[0] as connection:
            query = connection.recv(512)[2:]
            answer = answered(query, True)
            connection.sendall(len(answer).to_bytes(2, "big") + answer)

listener = socket.create_server(("10.7.0.1", 53))
threading.Thread(target=over_tcp, daemon=True).start()
datagrams = socket.socket(type=socket.SOCK_DGRAM)
datagrams.bind(("10.7.0.1", 53))
print("ready", flush=True)
while True:
    query, asker = datagrams.recvfrom(512)
    datagrams.sendto(answered(query, False), asker)
"""

SECURE_SERVER = """
import http.server, functools, ssl, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(("10.7.0.1", 443), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
"""


def ready(namespace: Namespace, code: str, *arguments: str) -> "subprocess.Popen[bytes]":
    process = namespace.start(sys.executable, "-c", code, *arguments)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


@pytest.fixture
def kernels_names(namespace: Namespace) -> Iterator[None]:
    """A name server over the kernel's sockets: all names are the kernel's, but for those with "nowhere";
    "long" ones take TCP.
    """
    namespace.run("ip", "address", "add", "10.7.0.1/32", "dev", "lo")
    process = ready(namespace, NAME_SERVER)
    yield
    process.terminate()
    process.communicate(timeout=PATIENCE)


@pytest.fixture
def authority(namespace: Namespace, site: Path, kernels_names: None) -> Iterator[Path]:
    """Whoever certified the kernel's https server, as a file."""
    certified = trustme.CA()
    certified.cert_pem.write_to_path(site / "ca.pem")
    certified.issue_cert("www.example.org").private_key_and_cert_chain_pem.write_to_path(site / "server.pem")
    process = ready(namespace, SECURE_SERVER, str(site), str(site / "server.pem"))
    yield site / "ca.pem"
    process.terminate()
    process.communicate(timeout=PATIENCE)


def test_get_goes_the_whole_way_name_tls_and_page(namespace: Namespace, site: Path, authority: Path) -> None:
    options = [*namespace.options("10.7.0.2/24"), "--dns", "10.7.0.1", "--lang", "en"]
    page = (site / "page").read_bytes()
    done = namespace.postel(
        "get",
        "https://www.example.org/page",
        *options,
        "--ca",
        str(authority),
        "--waterfall",
        "-o",
        str(site / "got"),
    )
    assert (done.returncode, done.stdout) == (0, b"")
    assert (site / "got").read_bytes() == page
    steps = [line.split()[0] for line in done.stderr.decode().splitlines()]
    assert steps == [
        "https://www.example.org/page",
        "DNS",
        "connect",
        "TLS",
        "wait",
        "content",
        "close",
        "total",
    ]
    strange = namespace.postel("get", "https://www.example.org/page", *options)
    assert (strange.returncode, strange.stdout) == (1, b"")
    assert strange.stderr.startswith(b"postel: the certificate of www.example.org can't be trusted: ")
    other = namespace.postel("get", "https://web.example.org/page", *options, "--ca", str(authority))
    assert (other.returncode, other.stdout) == (1, b"")
    believed = namespace.postel("get", "https://web.example.org/page", *options, "--insecure")
    assert (believed.returncode, believed.stdout, believed.stderr) == (0, page, b"")


@pytest.mark.usefixtures("kernels_server", "kernels_names")
def test_get_asks_the_kernels_name_server(namespace: Namespace, site: Path) -> None:
    options = [*namespace.options("10.7.0.2/24", "fd07::2/64"), "--lang", "en"]
    found = namespace.postel(
        "get", "http://long.example.org:8000/page", *options, "--dns", "10.7.0.1", "--ladder"
    )
    assert (found.returncode, found.stdout) == (0, (site / "page").read_bytes())
    assert all(
        words in found.stderr.decode()
        for words in ("AAAA? long.example.org", "A? long.example.org: truncated", "kernel 10.7.0.1:53")
    )
    nowhere = namespace.postel("get", "http://nowhere.example.org:8000/page", *options, "--dns", "10.7.0.1")
    assert (nowhere.returncode, nowhere.stderr) == (1, b"postel: there is no name nowhere.example.org\n")
    mute = namespace.postel("get", "http://www.example.org:8000/page", *options, "--dns", "10.7.0.1:5353")
    assert (mute.returncode, mute.stderr) == (1, b"postel: name server 10.7.0.1:5353: no such port\n")
    known = namespace.postel("get", "http://a.example:8000/page", *options, "--resolve", "a.example:10.7.0.1")
    assert (known.returncode, known.stdout) == (0, (site / "page").read_bytes())


def test_nc_serves_the_kernels_nc(namespace: Namespace) -> None:
    server = namespace.start(
        *SELF, "nc", "-v", "-l", "9", *namespace.options("10.7.0.2/24"), inside=False, stdin=subprocess.PIPE
    )
    assert server.stderr is not None
    assert server.stderr.readline() == b"listening\n"
    client = namespace.start("nc", "-N", "10.7.0.2", "9", stdin=subprocess.PIPE)
    assert client.stdin is not None
    client.stdin.write(b"from the kernel")
    client.stdin.close()  # its half-close comes before we have said anything
    client.stdin = None
    out, err = server.communicate(b"from postel", timeout=PATIENCE)
    assert (server.returncode, out, err) == (0, b"from the kernel", b"")
    assert client.communicate(timeout=PATIENCE)[0] == b"from postel"


@pytest.mark.usefixtures("kernels_server")
def test_nc_half_closes_and_still_receives(namespace: Namespace) -> None:
    request = b"GET /page HTTP/1.0\r\n\r\n"
    done = namespace.postel("nc", "10.7.0.1", "8000", *namespace.options("10.7.0.2/24"), octets=request)
    assert done.returncode == 0
    assert done.stdout.endswith(bytes(range(256)) * 2000)


def test_nc_over_udp(namespace: Namespace) -> None:
    server = namespace.start(
        *SELF,
        "nc",
        "-v",
        "-u",
        "-l",
        "9",
        "-w",
        "1",
        *namespace.options("10.7.0.2/24"),
        inside=False,
        stdin=subprocess.DEVNULL,
    )
    assert server.stderr is not None
    assert server.stderr.readline() == b"listening\n"
    code = (
        "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.connect(('10.7.0.2', 9)); "
        "s.send(b'hello')"
    )
    namespace.run(sys.executable, "-c", code)
    out, _ = server.communicate(timeout=PATIENCE)
    assert (server.returncode, out) == (0, b"hello")


def test_curl_fetches_what_an_unmodified_server_serves(namespace: Namespace, site: Path) -> None:
    run = (
        *SELF,
        "run",
        *namespace.options("10.7.0.2/24"),
        "-m",
        "http.server",
        "--directory",
        str(site),
        "80",
    )
    server = namespace.start(*run, inside=False)
    try:
        done = namespace.run(
            "curl",
            "--silent",
            "--retry",
            "20",
            "--retry-all-errors",
            "--retry-delay",
            "1",
            "http://10.7.0.2/page",
        )
        assert done.stdout == (site / "page").read_bytes(), done.stderr
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=PATIENCE)


@pytest.mark.usefixtures("kernels_server")
def test_an_unmodified_client_fetches_what_the_kernel_serves(
    namespace: Namespace, site: Path, tmp_path: Path
) -> None:
    program = tmp_path / "client.py"
    program.write_text(
        "import sys, urllib.request\n"
        "sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1], timeout=20).read())\n"
        "urllib.request.urlopen('http://kernel:9/', timeout=20)\n"
    )
    done = namespace.postel(
        "run",
        *namespace.options("10.7.0.2/24"),
        "--resolve",
        "kernel:10.7.0.1",
        str(program),
        "http://kernel:8000/page",
    )
    assert done.stdout == (site / "page").read_bytes(), done.stderr
    assert b"Connection refused" in done.stderr or b"connection refused" in done.stderr
    assert done.returncode == 1


def test_rights_that_are_missing_are_told_in_one_line(namespace: Namespace) -> None:
    code = (
        "import os, sys; from postel.cli import main, nc; os.setgid(65534); os.setuid(65534); "
        "sys.exit(main(sys.argv[1:]))"
    )
    done = namespace.run(
        sys.executable, "-c", code, "nc", "-l", "9", *namespace.options("10.7.0.2/24"), inside=False
    )
    assert done.returncode == 3
    assert done.stderr.count(b"\n") == 1
    assert b"run as root" in done.stderr


def test_a_namespace_that_is_not_there(namespace: Namespace) -> None:
    done = namespace.postel(
        "nc", "-l", "9", "--tun", namespace.device, "--address", "10.7.0.2/24", "--netns", "nowhere"
    )
    assert done.returncode == 3
    assert done.stderr.count(b"\n") == 1


def test_the_demo_leaves_nothing_behind(
    namespace: Namespace, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["demo", "--pcapng", str(tmp_path / "demo.pcapng"), "--lang", "en"]) == 0
    out = capfd.readouterr().out
    assert "3072 octets arrived, all correct" in out
    assert "curl 10.7.0.1:" in out
    left = namespace.run("ip", "netns", inside=False).stdout.decode().split()
    # Only those of this process: other tests may have namespaces meanwhile
    assert [name for name in left if name.startswith(f"postel{os.getpid()}")] == []
