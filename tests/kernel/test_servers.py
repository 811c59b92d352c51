"""redis-server, PostgreSQL and nginx, as Debian has them, at the kernel's side of a TUN: clients from PyPI
talk to them over Postel.
"""

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import httpx
import pytest
import redis.asyncio
import requests
import trustme

from postel import aio, blocking
from postel.host.host import Host
from tests.kernel.conftest import KERNEL, PATIENCE, POSTEL, unless

T = TypeVar("T")
LARGE = bytes(range(256)) * 8000
NGINX = """
daemon off; user root; worker_processes 1; pid {place}/pid; error_log {place}/errors;
events {{ worker_connections 256; }}
http {{
  access_log off; default_type application/octet-stream;
  client_body_temp_path {place}/1; proxy_temp_path {place}/2; fastcgi_temp_path {place}/3;
  uwsgi_temp_path {place}/4; scgi_temp_path {place}/5;
  ssl_certificate {place}/pem; ssl_certificate_key {place}/pem;
  server {{
    listen {address}:80; listen [{address_6}]:80; listen {address}:443 ssl http2; root {place}/site;
  }}
}}
"""


class Names:
    async def addresses(self, name: str) -> list[str]:
        return [KERNEL[6], KERNEL[4]] if name == "kernel.example" else []


def over_postel(namespace: Any, function: Callable[[], Awaitable[T]]) -> T:
    """Result of a coroutine function that runs on Postel's sockets, at the other end of the device."""
    host = Host(f"{POSTEL[4]}/24", f"{POSTEL[6]}/64", secret=os.urandom(16))

    async def main() -> T:
        async with asyncio.timeout(PATIENCE):
            return await function()

    with asyncio.Runner(loop_factory=aio.loop_factory(host, namespace.tun, resolver=Names())) as runner:
        answer = runner.run(main())
    assert host.statistics()["segments_arrived"] > 2
    return answer


@contextmanager
def running(namespace: Any, port: int, *command: str, ready: tuple[str, ...] = ()) -> Iterator[None]:
    """A server in the namespace, from when it listens at ``port``, or from when the command ``ready`` says
    that it serves.
    """

    def serves() -> bool:
        if ready:
            return (
                subprocess.run(namespace.prefixed(*ready), capture_output=True, check=False).returncode == 0
            )
        with namespace.inside(socket.socket) as stream:
            return bool(stream.connect_ex((KERNEL[4], port)) == 0)

    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            namespace.prefixed(*command), stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        try:
            for _ in range(300):
                if serves():
                    break
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
                    said.seek(0)
                    raise AssertionError(said.read().decode(errors="replace"))
            yield
        finally:
            process.terminate()
            process.wait(20)


def found(program: str, *folders: Path) -> str:
    path = shutil.which(program, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", *map(str, folders)]))
    unless(path, f"there is no {program}")
    assert path is not None
    return path


def test_redis(namespace: Any, family: int) -> None:
    async def talk() -> tuple[list[bytes], bytes]:
        async with redis.asyncio.Redis(host=KERNEL[family]) as client:
            await client.set("large", LARGE)
            async with client.pubsub() as channel:
                await channel.subscribe("news")
                await client.publish("news", "hello")
                heard = [message async for message in _first(channel.listen(), 2)]
            values = await asyncio.gather(*(client.get("large") for _ in range(8)))
            return values, heard[1]["data"]

    options = ("--bind", KERNEL[4], KERNEL[6], "--protected-mode", "no", "--save", "", "--appendonly", "no")
    with running(namespace, 6379, found("redis-server"), *options):
        assert over_postel(namespace, talk) == ([LARGE] * 8, b"hello")


async def _first(messages: Any, count: int) -> Any:
    async for message in messages:
        yield message
        count -= 1
        if not count:
            return


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """How to start PostgreSQL, which refuses to run as root, and how to ask whether it serves."""
    unless(os.geteuid() == 0, "it takes root to become PostgreSQL's user")
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    initdb, server = found("initdb", *versions), found("postgres", *versions)
    as_its_user = (found("setpriv"), "--reuid=postgres", "--regid=postgres", "--clear-groups")
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    try:
        shutil.chown(folder, "postgres", "postgres")
        data = folder / "data"
        made = subprocess.run(
            (*as_its_user, initdb, "--no-sync", "--auth=trust", "--locale=C", "--encoding=UTF8",
             "-D", str(data)),
            capture_output=True, text=True, check=False, cwd=folder,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {KERNEL[4]}/24 trust\n")
        yield (
            (*as_its_user, server, "-D", str(data), "-k", str(folder), "-F"),
            (found("pg_isready", *versions), "-h", KERNEL[4]),
        )
    finally:
        shutil.rmtree(folder)


def test_postgresql(namespace: Any, cluster: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    async def talk() -> tuple[int, int]:
        where = f"postgresql://postgres@{KERNEL[4]}/postgres"
        async with asyncpg.create_pool(where, min_size=2, max_size=4) as pool:
            await pool.execute("CREATE TABLE numbers (number int, text text)")
            rows = [(number, str(number) * 100) for number in range(10_000)]
            await pool.copy_records_to_table("numbers", records=rows)
            sums = await asyncio.gather(
                *(pool.fetchval("SELECT sum(number) FROM numbers") for _ in range(10))
            )
            everything = await pool.fetch("SELECT * FROM numbers ORDER BY number")
            assert [tuple(row) for row in everything] == rows
            async with pool.acquire() as connection, asyncio.timeout(10):
                with pytest.raises(asyncio.TimeoutError):  # cancelled by a connection of its own
                    await connection.fetchval("SELECT pg_sleep(100)", timeout=0.1)
                after = await connection.fetchval("SELECT 42")
            return set(sums).pop(), after

    command, ready = cluster
    with running(namespace, 5432, *command, "-h", KERNEL[4], ready=ready):
        assert over_postel(namespace, talk) == (49_995_000, 42)


@pytest.fixture
def nginx(namespace: Any) -> Iterator[trustme.CA]:
    """Serves LARGE by HTTP/1.1, HTTPS and HTTP/2; yields the authority behind its certificate."""
    authority = trustme.CA()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "site").mkdir()
        (place / "site" / "large").write_bytes(LARGE)
        authority.issue_cert(KERNEL[4]).private_key_and_cert_chain_pem.write_to_path(place / "pem")
        (place / "nginx.conf").write_text(NGINX.format(place=place, address=KERNEL[4], address_6=KERNEL[6]))
        with running(namespace, 443, found("nginx"), "-c", str(place / "nginx.conf")):
            yield authority


def test_nginx_and_httpx(namespace: Any, nginx: trustme.CA) -> None:
    client_tls = ssl.create_default_context()
    nginx.configure_trust(client_tls)

    async def talk() -> list[str]:
        async with httpx.AsyncClient(verify=client_tls, http2=True) as client:
            by_name = await client.get("http://kernel.example/large")  # IPv6
            part = await client.get(f"http://{KERNEL[4]}/large", headers={"Range": "bytes=-10"})
            many = await asyncio.gather(*(client.get(f"https://{KERNEL[4]}/large") for _ in range(8)))
        assert {answer.content for answer in (by_name, *many)} == {LARGE}
        assert (part.status_code, part.content) == (206, LARGE[-10:])
        return sorted({answer.http_version for answer in (by_name, *many)})

    assert over_postel(namespace, talk) == ["HTTP/1.1", "HTTP/2"]


def test_nginx_and_requests(namespace: Any, nginx: trustme.CA, tmp_path: Path) -> None:
    """Blocking: no loop, and a session that keeps its connections."""
    nginx.cert_pem.write_to_path(tmp_path / "authority")
    host = Host(f"{POSTEL[4]}/24", f"{POSTEL[6]}/64", secret=os.urandom(16))
    with (
        blocking.attach(host, namespace.tun, names={"kernel.example": [KERNEL[6], KERNEL[4]]}) as network,
        network.replacing_sockets(),
        requests.Session() as session,
    ):
        for url in ("http://kernel.example/large", f"http://{KERNEL[4]}/large", f"https://{KERNEL[4]}/large"):
            for _ in range(2):
                assert session.get(url, verify=str(tmp_path / "authority"), timeout=PATIENCE).content == LARGE
    assert host.statistics()["segments_arrived"] > 2
