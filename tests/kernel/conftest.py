"""The Linux kernel as the peer: over a TUN, in a network namespace of the test's own, from which nothing
leaves.

::

    kernel sockets ── 10.7.0.1, fd07::1 ── TUN ── 10.7.0.2, fd07::2 ── Postel
"""

import asyncio
import ctypes
import inspect
import itertools
import os
import random
import shutil
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from postel import aio
from postel.aio import Network
from postel.host.host import Host
from postel.links import Faulty, Link, Observed, PacketObserver, attach_tun

CLONE_NEWNET = 0x40000000
DEVICE = "postel0"
PATIENCE = 120  # seconds until a test that hangs is told so

KERNEL = {4: "10.7.0.1", 6: "fd07::1"}
POSTEL = {4: "10.7.0.2", 6: "fd07::2"}

T = TypeVar("T")
numbers = itertools.count(1)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test to its end, on a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in wanted}
    with asyncio.Runner() as runner:
        runner.run(asyncio.wait_for(pyfuncitem.obj(**arguments), PATIENCE))
    return True


def unless(possible: object, reason: str) -> None:
    """In CI what can't run is a failure: there, no one reads what was skipped."""
    if not possible:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


def system(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def enter(name: str) -> None:
    """The calling thread goes into the namespace, and no other (`os.setns` comes with Python 3.12)."""
    descriptor = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns to {name}")
    finally:
        os.close(descriptor)


def inside(name: str, function: Callable[[], T]) -> T:
    """Call it in a thread that entered the network namespace and ends with the call."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            enter(name)
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


class Namespace:
    """A network namespace with a TUN device that is configured and up.

    Sockets made inside may be used from anywhere.
    """

    def __init__(self, *, offload: bool = False) -> None:
        self.name = f"postel-{os.getpid()}-{next(numbers)}"
        system("ip", "netns", "add", self.name)
        try:
            self.tun = self.inside(lambda: attach_tun(DEVICE, offload=offload))
            for setting in ("accept_dad=0", "accept_ra=0", "addr_gen_mode=1"):
                self.command("sysctl", "-qw", f"net.ipv6.conf.{DEVICE}.{setting}")
            self.command("ip", "link", "set", "lo", "up")
            self.command("ip", "address", "add", f"{KERNEL[4]}/24", "dev", DEVICE)
            self.command("ip", "address", "add", f"{KERNEL[6]}/64", "dev", DEVICE, "nodad")
            self.command("ip", "link", "set", DEVICE, "mtu", "1500", "txqueuelen", "1000", "up")
        except BaseException:
            self.remove()
            raise

    def prefixed(self, *command: str) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.name, *command)

    def command(self, *command: str) -> str:
        return system(*self.prefixed(*command))

    def inside(self, function: Callable[[], T]) -> T:
        return inside(self.name, function)

    def stream(self, family: int) -> socket.socket:
        """A kernel's TCP socket. CUBIC, for what the machine prefers may halve the figures."""

        def make() -> socket.socket:
            made = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
            return made

        return self.inside(make)

    def listening(self, family: int, backlog: int = 16) -> socket.socket:
        listener = self.stream(family)
        listener.bind((KERNEL[family], 0))
        listener.listen(backlog)
        return listener

    async def output(self, *command: str, given: bytes = b"") -> bytes:
        """What a program inside prints, given that on its standard input."""
        process = await asyncio.create_subprocess_exec(
            *self.prefixed(*command), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate(given)
        assert process.returncode == 0, f"{command} ended with {process.returncode}"
        return output

    def remove(self) -> None:
        if hasattr(self, "tun"):
            self.tun.close()
        system("ip", "netns", "del", self.name)


@pytest.fixture
def offload() -> bool:
    """Whether the TUN has virtio headers; a test module may have it both ways."""
    return False


@pytest.fixture
def namespace(offload: bool) -> Iterator[Namespace]:
    unless(os.geteuid() == 0, "not root: no namespace and no TUN can be made")
    unless(Path("/dev/net/tun").exists(), "there is no /dev/net/tun")
    unless(shutil.which("ip"), "there is no ip (iproute2)")
    made = Namespace(offload=offload)
    yield made
    made.remove()


@pytest.fixture(params=[4, 6], ids=["IPv4", "IPv6"])
def family(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def needs() -> Callable[[str], None]:
    return lambda program: unless(shutil.which(program), f"there is no {program}")


@pytest.fixture
def attached(namespace: Namespace, offload: bool) -> Any:
    """``async with attached() as net``: Postel on the namespace's TUN; ``rough`` puts a `Faulty` link around
    it, with those options and a ``seed``."""

    @asynccontextmanager
    async def attach(observer: Any = None, rough: dict[str, Any] | None = None) -> AsyncIterator[Network]:
        host = Host(f"{POSTEL[4]}/24", f"{POSTEL[6]}/64", secret=b"a test's", observer=observer)
        link: Link = namespace.tun
        if rough:
            options = {name: value for name, value in rough.items() if name != "seed"}
            link = Faulty(link, random.Random(rough["seed"]), hold=2000, **options)
        if isinstance(observer, PacketObserver):
            link = Observed(link, observer)
        async with aio.attach(host, link) as net:
            yield net

    return attach
