"""Where it is measured: a network namespace made for one measurement, a TUN in it, and Postel behind that in
a process of its own.

::

    kernel sockets ── 10.99.0.1 ── TUN ──────────── Postel, 10.99.0.2
    kernel sockets ── 10.99.0.1 ── TUN ── relay ─── Postel, 10.99.0.2
    kernel sockets ── 10.99.0.1 ── TUN ── relay ─── TUN ── 10.99.0.2, kernel sockets in a second namespace
    kernel sockets ── 10.99.0.1 ── veth ─────────── veth ─ 10.99.0.2, kernel sockets in a second namespace

Another stack takes Postel's place with a program that offers the same services. Nothing leaves, and what the
kernel remembers of one measurement doesn't reach the next.
"""

import ctypes
import itertools
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from postel.links import Tun, attach_tun, device
from postel.links.device import DEVICE

NEAR, FAR = "10.99.0.1", "10.99.0.2"  # the kernel's address; Postel's, or the other kernel's
MTU, LARGE_MTU = 1500, 16000
DELAY = 0.010  # seconds, one way
DISCARD, ECHO, HOLD, SOURCE = 9, 7, 11, 19  # the adapter's ports

CLONE_NEWNET = 0x40000000
PATIENCE = 30.0  # seconds for a process to start, or to end
QUIET, QUIET_WITHIN = 0.9, 10.0  # share of all cores idle; seconds to wait for it

HERE = Path(__file__).parent
SETTINGS = {
    "ipv4/tcp_tw_reuse": "1",  # connecting over and over mustn't run out of ports
    "ipv4/tcp_no_metrics_save": "1",
    "core/somaxconn": "4096",
    "unix/max_dgram_qlen": "1000",  # between relay and Postel: as long as the TUN's queue
    "ipv6/conf/default/disable_ipv6": "1",  # no router solicitations in between
}

numbers = itertools.count(1)


class Stack(NamedTuple):
    """``script`` serves on the descriptor that it is given; without an ``interpreter`` it is a program
    itself. ``module`` is what a program of it imports, from ``folder`` if that is given.
    """

    title: str
    script: str
    interpreter: str = sys.executable
    module: str = ""
    folder: Path | None = None
    wants_information: bool = False  # its packets have four octets before them (IFF_NO_PI isn't set)
    is_slow: bool = False  # so its streams may be short

    @property
    def environment(self) -> dict[str, str]:
        # PYTHONPATH may lead to another Postel
        without = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return without | ({"PYTHONPATH": str(self.folder)} if self.folder else {})


CHECKOUT = HERE.parent
BUILD = CHECKOUT / "build"
POSTEL = Stack("Postel", "adapter.py", module="postel", folder=CHECKOUT)
COMPILED = POSTEL._replace(title="compiled", folder=BUILD / "compiled")
PMD = Stack(
    "pmd-pytcp",
    "adapter_pmd.py",
    str(BUILD / "pmd" / "bin" / "python"),
    "pmd_pytcp.stack",
    wants_information=True,
    is_slow=True,
)
EMPTY = Stack("empty loop", "adapter_empty.py", folder=CHECKOUT)
GVISOR = Stack("gVisor", "../build/gvisor", interpreter="")
LINUX = Stack("Linux", "adapter_linux.py", folder=CHECKOUT)
STACKS = {
    "postel": POSTEL,
    "compiled": COMPILED,
    "pmd-pytcp": PMD,
    "empty": EMPTY,
    "gvisor": GVISOR,
    "linux": LINUX,
}


def missing(stack: Stack) -> str:
    """Why it can't be measured; empty if it can."""
    if stack is PMD and not Path(stack.interpreter).exists():
        return "not installed: make bench does that, where PyPI can be reached"
    if stack is GVISOR and not (HERE / stack.script).exists():
        return (
            "not built: make bench does that, where Debian's golang-go and golang-gvisor-gvisor-dev are "
            "installed"
        )
    return outdated() if stack is COMPILED else ""


def outdated() -> str:
    """Why the compiled Postel isn't this checkout's, for this interpreter; empty if it is."""
    copy = COMPILED.folder
    assert copy is not None
    if not any((copy / "postel" / "wire").glob(f"*{sysconfig.get_config_var('EXT_SUFFIX')}")):
        return "the core isn't compiled for this interpreter: make compile"
    for source in (CHECKOUT / "postel").rglob("*.py"):
        name = source.relative_to(CHECKOUT)
        if not (copy / name).exists() or (copy / name).read_bytes() != source.read_bytes():
            return f"it has another {name.as_posix()}: make compile"
    return ""


def obstacle() -> str:
    """Why nothing can be measured here; empty if it can."""
    if sys.platform != "linux":
        return "not Linux"
    if os.geteuid() != 0:
        return "not root: no namespace and no TUN can be made"
    if not Path(DEVICE).exists():
        return f"there is no {DEVICE}: modprobe tun, or give the container that device"
    if not shutil.which("ip"):
        return "there is no ip (iproute2)"
    try:
        with namespace():
            return ""
    except OSError as error:
        return str(error)


def system(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


@contextmanager
def namespace() -> Iterator[str]:
    name = f"postel-bench-{os.getpid()}-{next(numbers)}"
    system("ip", "netns", "add", name)
    try:
        with inside(name):
            system("ip", "link", "set", "lo", "up")
            for setting, value in SETTINGS.items():
                with suppress(FileNotFoundError):  # a kernel without IPv6, say
                    Path("/proc/sys/net", setting).write_text(value, "ascii")
        yield name
    finally:
        system("ip", "netns", "del", name)


@contextmanager
def inside(name: str) -> Iterator[None]:
    """The calling thread is in the namespace, and with it the sockets and processes that it makes. They
    stay.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _enter(home)
    finally:
        os.close(home)


def _enter(descriptor: int) -> None:
    """`os.setns` comes with Python 3.12."""
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def tun(address: str, mtu: int = MTU, *, offload: bool = False) -> closing[Tun]:
    """A TUN in the current namespace, up, with that address on the kernel's side."""
    made = attach_tun("postel0", mtu=mtu, offload=offload)
    up(made.name, address, mtu)
    return closing(made)


@contextmanager
def device_for(stack: Stack, mtu: int = MTU, *, offload: bool = False) -> Iterator[int]:
    """The descriptor of a TUN as this stack wants it."""
    if stack.wants_information:
        descriptor = device.attach("postel0", device.IFF_TUN)
        try:
            up("postel0", NEAR, mtu)
            yield descriptor
        finally:
            os.close(descriptor)
        return
    with tun(NEAR, mtu, offload=offload) as made:
        yield made.fileno()


def up(name: str, address: str, mtu: int) -> None:
    system("ip", "address", "add", f"{address}/24", "dev", name)
    system("ip", "link", "set", name, "mtu", str(mtu), "txqueuelen", "1000", "up")


class Program:
    """A stack's, on a descriptor; -1: it needs none. Ready once this is made."""

    def __init__(self, stack: Stack, descriptor: int, mtu: int = MTU) -> None:
        program = [stack.interpreter, HERE / stack.script] if stack.interpreter else [HERE / stack.script]
        self._process = subprocess.Popen(
            [*program, "--fd", str(descriptor), "--addr", f"{FAR}/24", "--peer", NEAR, "--mtu", str(mtu)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[descriptor] if descriptor >= 0 else [],
            env=stack.environment,
        )
        try:
            self._await_ready()
        except BaseException:
            self.close()
            raise

    def _await_ready(self) -> None:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
        line = self._process.stdout.readline() if ready else b""
        if not line or json.loads(line)["ev"] != "ready":
            raise OSError("the adapter doesn't start")

    def resident(self) -> int:
        """Octets of its memory that are in RAM."""
        return int(Path(f"/proc/{self._process.pid}/statm").read_text("ascii").split()[1]) * os.sysconf(
            "SC_PAGE_SIZE"
        )

    def close(self) -> None:
        ended(self._process)


def ended(process: subprocess.Popen[bytes]) -> None:
    """The end of its stdin tells it; time out, and it is killed."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(PATIENCE)
    except BaseException:
        process.kill()
        process.wait()
        raise


@contextmanager
def relay(left: int, right: int, loss: float, seed: int) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, HERE / "relay.py", *map(str, (left, right, loss, DELAY, seed))],
        stdin=subprocess.PIPE,
        pass_fds=[left, right],
    )
    try:
        yield
    finally:
        ended(process)


@contextmanager
def direct(stack: Stack, mtu: int = MTU, *, offload: bool = False) -> Iterator[Program]:
    """The stack on the TUN of the namespace that the caller is in from here on; the kernel's own behind a
    veth.
    """
    if stack is LINUX:
        with over_veth(mtu) as program:
            yield program
        return
    with namespace() as name, inside(name), ExitStack() as opened:
        descriptor = opened.enter_context(device_for(stack, mtu, offload=offload))
        yield opened.enter_context(closing(Program(stack, descriptor, mtu)))


@contextmanager
def over_veth(mtu: int) -> Iterator[Program]:
    """As a TUN without offload, no segment is larger than the MTU."""
    with namespace() as near, namespace() as far, ExitStack() as opened:
        with inside(far):
            system(
                "ip",
                "link",
                "add",
                "postel1",
                "gso_max_segs",
                "1",
                "type",
                "veth",
                "peer",
                "name",
                "postel0",
                "gso_max_segs",
                "1",
            )
            system("ip", "link", "set", "postel0", "netns", near)
            up("postel1", FAR, mtu)
        with inside(near):
            up("postel0", NEAR, mtu)
        with inside(far):
            program = opened.enter_context(closing(Program(LINUX, -1, mtu)))
        opened.enter_context(inside(near))
        yield program


@contextmanager
def rough(stack: Stack, loss: float, seed: int) -> Iterator[Program]:
    """As `direct`, with the relay between; ``loss`` is the share of packets that it loses."""
    with namespace() as name, inside(name), ExitStack() as opened:
        descriptor = opened.enter_context(device_for(stack))
        left, right = map(
            opened.enter_context, map(closing, socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
        )
        for end in (left, right):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
        opened.enter_context(relay(descriptor, left.fileno(), loss, seed))
        yield opened.enter_context(closing(Program(stack, right.fileno())))


@contextmanager
def linux_to_linux(loss: float, seed: int) -> Iterator[tuple[str, str]]:
    """The names of two namespaces, with the relay between."""
    with namespace() as near, namespace() as far, ExitStack() as stack:
        with inside(near):
            left = stack.enter_context(tun(NEAR))
        with inside(far):
            right = stack.enter_context(tun(FAR))
        stack.enter_context(relay(left.fileno(), right.fileno(), loss, seed))
        yield near, far


def settle() -> float:
    """Wait until the machine is quiet, but not for ever; the share of its cores that is idle then."""
    deadline = time.monotonic() + QUIET_WITHIN
    while (share := _idle()) < QUIET and time.monotonic() < deadline:
        pass
    return share


def _idle() -> float:
    before = _ticks()
    time.sleep(0.5)
    idle, every = (now - then for now, then in zip(_ticks(), before, strict=True))
    return idle / max(1, every)


def _ticks() -> tuple[int, int]:
    """Idle, and in all: user, nice, system, idle, I/O wait, interrupts, soft interrupts, stolen."""
    ticks = [int(word) for word in Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)
