"""Libraries that block, as they come from PyPI, over `postel.blocking`: the server on one network, the client
on the other.
"""

import http.server
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from postel import blocking
from postel.blocking import BlockingNetwork
from postel.host.host import Host
from postel.links import pair
from tests.blocking.servers import Pages, serving

SERVER, CLIENT = "10.7.0.2", "10.7.0.1"
PATIENCE = 60  # seconds


@pytest.fixture
def both() -> Iterator[tuple[BlockingNetwork, BlockingNetwork]]:
    left, right = pair()
    names = {"server": SERVER}
    with (
        blocking.attach(Host(f"{CLIENT}/24"), left, names=names) as client,
        blocking.attach(Host(f"{SERVER}/24"), right, names=names) as server,
    ):
        yield client, server


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    """The server's context, and the file of the authority that the client trusts."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("server").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    return context, str(tmp_path / "authority.pem")


def test_requests(both: tuple[BlockingNetwork, BlockingNetwork]) -> None:
    requests = pytest.importorskip("requests")
    client, server = both
    with (
        serving(server, lambda: http.server.ThreadingHTTPServer(("", 80), Pages)),
        client.replacing_sockets(),
        requests.Session() as session,
    ):
        for page in range(3):
            assert session.get(f"http://server/{page}", timeout=PATIENCE).text == f"/{page} for {CLIENT}"
        octets = bytes(range(256)) * 8192
        assert session.post("http://server/", data=octets, timeout=PATIENCE).content == octets[::-1]
        with pytest.raises(requests.ConnectionError, match="refused"):
            session.get("http://server:81/", timeout=PATIENCE)
        with pytest.raises(requests.ConnectionError, match="not known"):
            session.get("http://nowhere.invalid/", timeout=PATIENCE)


def test_requests_over_tls(
    both: tuple[BlockingNetwork, BlockingNetwork], tls: tuple[ssl.SSLContext, str]
) -> None:
    requests = pytest.importorskip("requests")
    client, server = both
    context, authority = tls
    secure = serving(server, lambda: http.server.ThreadingHTTPServer(("", 443), Pages), context)
    with secure, client.replacing_sockets(), requests.Session() as session:
        assert (
            session.get("https://server/secret", verify=authority, timeout=PATIENCE).text
            == f"/secret for {CLIENT}"
        )
        with pytest.raises(requests.exceptions.SSLError):
            requests.get("https://server/", timeout=PATIENCE)


def test_urllib3(both: tuple[BlockingNetwork, BlockingNetwork], tls: tuple[ssl.SSLContext, str]) -> None:
    urllib3 = pytest.importorskip("urllib3")
    client, server = both
    context, authority = tls
    found: list[bytes] = []

    def ask(pool: Any) -> None:
        found.append(pool.request("GET", "https://server/at-once").data)

    secure = serving(server, lambda: http.server.ThreadingHTTPServer(("", 443), Pages), context)
    with secure, client.replacing_sockets(), urllib3.PoolManager(ca_certs=authority, maxsize=4) as pool:
        threads = [threading.Thread(target=ask, args=(pool,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert found == [f"/at-once for {CLIENT}".encode()] * 8


def test_httpx_without_asyncio(both: tuple[BlockingNetwork, BlockingNetwork]) -> None:
    httpx = pytest.importorskip("httpx")
    client, server = both
    with (
        serving(server, lambda: http.server.ThreadingHTTPServer(("", 80), Pages)),
        client.replacing_sockets(),
        httpx.Client() as session,
    ):
        assert session.get("http://server/a", timeout=PATIENCE).text == f"/a for {CLIENT}"
        assert session.get("http://server/b", timeout=PATIENCE).text == f"/b for {CLIENT}"


class Store(socketserver.StreamRequestHandler):
    """RESP2, as far as the client asks for it."""

    def handle(self) -> None:
        while line := self.rfile.readline():
            words = [self._word() for _ in range(int(line[1:]))]
            self.wfile.write(self._answer(words))

    def _word(self) -> bytes:
        octets = self.rfile.read(int(self.rfile.readline()[1:]) + 2)
        return octets[:-2]

    def _answer(self, words: list[bytes]) -> bytes:
        kept: dict[bytes, bytes] = self.server.kept  # type: ignore[attr-defined]
        match words[0].upper(), words[1:]:
            case b"SET", [key, value, *_]:
                kept[key] = value
                return b"+OK\r\n"
            case b"GET", [key]:
                return b"$%d\r\n%b\r\n" % (len(kept[key]), kept[key]) if key in kept else b"$-1\r\n"
            case b"HELLO", _:
                return b"-ERR unknown command\r\n"
        return b"+OK\r\n"


def test_redis(both: tuple[BlockingNetwork, BlockingNetwork]) -> None:
    redis = pytest.importorskip("redis")
    client, server = both
    with (
        serving(server, lambda: socketserver.ThreadingTCPServer(("", 6379), Store)) as store,
        client.replacing_sockets(),
    ):
        store.kept = {}
        with redis.Redis(host="server", protocol=2) as database:
            value = bytes(range(256)) * 1000
            assert database.set("key", value)
            assert database.get("key") == value
            assert database.get("nothing") is None
            pipe = database.pipeline(transaction=False)
            for number in range(100):
                pipe.set(f"key {number}", number)
            assert pipe.execute() == [True] * 100
            assert store.kept[b"key 99"] == b"99"


def test_redis_server(both: tuple[BlockingNetwork, BlockingNetwork], tmp_path: Path) -> None:
    """The real server, behind a relay: it listens to a Unix socket of the machine's."""
    redis = pytest.importorskip("redis")
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server isn't installed")
    client, server = both
    path = str(tmp_path / "redis.sock")
    with subprocess.Popen(
        [program, "--port", "0", "--unixsocket", path, "--save", ""], stdout=subprocess.DEVNULL
    ) as process:
        try:
            wait_for(path)
            relaying = serving(server, lambda: socketserver.ThreadingTCPServer(("", 6379), relay_to(path)))
            with relaying, client.replacing_sockets(), redis.Redis(host="server") as database:
                assert database.set("key", b"value")
                assert database.get("key") == b"value"
                assert database.incrby("count", 5) == 5
        finally:
            process.terminate()


def wait_for(path: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                return
    raise TimeoutError(path)


def relay_to(path: str) -> type[socketserver.BaseRequestHandler]:
    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as inner:
                inner.connect(path)
                back = threading.Thread(target=pass_on, args=(inner, self.request))
                back.start()
                pass_on(self.request, inner)
                back.join(PATIENCE)

    return Relay


def pass_on(source: socket.socket, target: socket.socket) -> None:
    while octets := source.recv(1 << 16):
        target.sendall(octets)
    target.shutdown(socket.SHUT_WR)


def test_paramiko(both: tuple[BlockingNetwork, BlockingNetwork]) -> None:
    """An SSH server and its client, both paramiko's, with a command and a file of 1 MiB."""
    paramiko = pytest.importorskip("paramiko")
    client, server = both
    key = paramiko.ECDSAKey.generate()
    octets = bytes(range(256)) * 4096

    class Door(paramiko.ServerInterface):  # type: ignore[name-defined, misc]
        def check_auth_password(self, username: str, password: str) -> Any:
            return (
                paramiko.AUTH_SUCCESSFUL
                if (username, password) == ("user", "secret")
                else paramiko.AUTH_FAILED
            )

        def check_channel_request(self, kind: str, chanid: int) -> Any:
            return paramiko.OPEN_SUCCEEDED

        def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
            threading.Thread(target=answer, args=(channel,)).start()
            return True

    def answer(channel: Any) -> None:
        channel.sendall(octets)
        channel.send_exit_status(7)
        channel.close()

    def serve(listener: Any) -> None:
        sock, _ = listener.accept()
        transport = paramiko.Transport(sock)
        transport.add_server_key(key)
        transport.start_server(server=Door())
        transport.join(PATIENCE)
        transport.close()

    with server.create_server(("", 22)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        with client.replacing_sockets(), paramiko.SSHClient() as ssh:
            ssh.get_host_keys().add("server", key.get_name(), key)
            ssh.connect(
                "server",
                username="user",
                password="secret",
                allow_agent=False,
                look_for_keys=False,
                timeout=PATIENCE,
            )
            _, output, _ = ssh.exec_command("anything")
            assert output.read() == octets
            assert output.channel.recv_exit_status() == 7
            assert ssh.get_transport().sock.getpeername() == (SERVER, 22)
        thread.join(PATIENCE)
