"""What is measured: one function a figure, each in a fresh namespace and a fresh process, each returning one
run's value.
"""

import json
import resource
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from bench import capture
from bench.place import (
    DISCARD,
    ECHO,
    FAR,
    HERE,
    HOLD,
    LARGE_MTU,
    LINUX,
    MTU,
    SOURCE,
    Stack,
    direct,
    inside,
    linux_to_linux,
    namespace,
    rough,
)

BLOCK = bytes(256 * 1024)
PATIENCE = 60.0  # seconds for one call on a socket
ROUND_TRIPS = 2000
CONNECTS, MANY = 1500, 50  # and how many of them at once
CONNECTIONS = 500
IMPORTS = 10  # the first of them writes the byte code
CROWDS = 10, 1_000, 100_000  # other connections
MILLION = 1_000_000
MANY_HOSTS = 10_000
MEGABYTES_A_SECOND = 40  # of a capture, for each of the seconds that a stream would last
LONGER = 2  # a lossy run's length: chance must even out


class Figure(NamedTuple):
    group: str
    title: str
    unit: str
    measure: Callable[[Stack, float, int], float]  # a stack, seconds that a stream lasts, number of the run
    # Stacks that this can be measured of
    stacks: tuple[str, ...] = ("postel", "compiled", "pmd-pytcp", "gvisor", "linux")


def kernel_stream() -> socket.socket:
    """CUBIC: what a machine prefers may halve the figures."""
    made = socket.socket()
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
    made.settimeout(PATIENCE)
    return made


def calling(port: int, address: str = FAR) -> socket.socket:
    stream = kernel_stream()
    try:
        stream.connect((address, port))
    except OSError:
        stream.close()
        raise
    return stream


# Bulk


def sent(stream: socket.socket, seconds: float) -> float:
    """Mbit/s, until the peer has closed: so it has read everything."""
    started, octets = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        octets += stream.send(BLOCK)
    stream.shutdown(socket.SHUT_WR)
    if stream.recv(1):
        raise OSError("a discarding peer has answered")
    return octets * 8e-6 / (time.perf_counter() - started)


def received(stream: socket.socket, seconds: float) -> float:
    """Mbit/s from a source that has no end; it is aborted."""
    started, octets, into = time.perf_counter(), 0, bytearray(1 << 20)
    stream.sendall(bytes(8))
    while time.perf_counter() - started < seconds:
        taken = stream.recv_into(into)
        if not taken:
            raise OSError("the source has ended")
        octets += taken
    took = time.perf_counter() - started
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return octets * 8e-6 / took


def bulk_in(mtu: int, stack: Stack, seconds: float, _: int) -> float:
    with direct(stack, mtu), calling(DISCARD) as stream:
        return sent(stream, seconds)


def bulk_out(mtu: int, stack: Stack, seconds: float, _: int) -> float:
    with direct(stack, mtu), calling(SOURCE) as stream:
        return received(stream, seconds)


def offload_in(stack: Stack, seconds: float, _: int) -> float:
    if stack is LINUX:
        return loopback(seconds)
    with direct(stack, offload=True), calling(DISCARD) as stream:
        return sent(stream, seconds)


def offload_out(stack: Stack, seconds: float, _: int) -> float:
    if stack is LINUX:
        return loopback(seconds)
    with direct(stack, offload=True), calling(SOURCE) as stream:
        return received(stream, seconds)


def loopback(seconds: float) -> float:
    with namespace() as name:
        return between_kernels(name, name, "127.0.0.1", seconds)


def loss_in(loss: float, stack: Stack, seconds: float, run: int) -> float:
    if stack is LINUX:
        return loss_linux(loss, seconds, run)
    with rough(stack, loss, run), calling(DISCARD) as stream:
        return sent(stream, seconds * LONGER)


def loss_out(loss: float, stack: Stack, seconds: float, run: int) -> float:
    if stack is LINUX:
        return loss_linux(loss, seconds, run)
    with rough(stack, loss, run), calling(SOURCE) as stream:
        return received(stream, seconds * LONGER)


def loss_linux(loss: float, seconds: float, run: int) -> float:
    with linux_to_linux(loss, run) as (near, far):
        return between_kernels(near, far, FAR, seconds * LONGER)


def lossy(percent: float) -> dict[str, Figure]:
    """In and out, over a path that loses so much."""
    path = f"{percent:g} % lost, 20 ms round trip"
    return {
        f"loss_in_{percent:g}": Figure("loss", f"{path}: in", "Mbit/s", partial(loss_in, percent / 100)),
        f"loss_out_{percent:g}": Figure("loss", f"{path}: out", "Mbit/s", partial(loss_out, percent / 100)),
    }


def between_kernels(near: str, far: str, address: str, seconds: float) -> float:
    """From a socket in one namespace to a thread that discards in the other."""
    with ExitStack() as stack:
        with inside(far):
            listener = stack.enter_context(kernel_stream())
        listener.bind((address, DISCARD))
        listener.listen()
        discarding = threading.Thread(target=discard, args=(listener,), daemon=True)
        discarding.start()
        with inside(near):
            stream = stack.enter_context(calling(DISCARD, address))
        rate = sent(stream, seconds)
        discarding.join()
        return rate


def discard(listener: socket.socket) -> None:
    into = bytearray(1 << 20)
    with listener.accept()[0] as stream:
        stream.settimeout(PATIENCE)
        while stream.recv_into(into):
            pass


# Small things


def echo(stack: Stack, _seconds: float, _run: int) -> float:
    """Microseconds, the median round trip of one octet."""
    with direct(stack), calling(ECHO) as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return statistics.median([round_trip(stream) for _ in range(ROUND_TRIPS + 1)][1:])


def round_trip(stream: socket.socket) -> float:
    started = time.perf_counter()
    stream.send(b"x")
    if stream.recv(1) != b"x":
        raise OSError("the echo is wrong")
    return (time.perf_counter() - started) * 1e6


def connects(at_once: int, stack: Stack, _seconds: float, _run: int) -> float:
    """Connections a second, each opened, closed by the kernel's side, then by the stack's."""
    with direct(stack):
        started = time.perf_counter()
        for _ in range(CONNECTS // at_once):
            connect_and_close(at_once)
        return CONNECTS / (time.perf_counter() - started)


def connect_and_close(at_once: int) -> None:
    """Without an event loop, which would take longer than what is measured."""
    with ExitStack() as opened:
        streams = [opened.enter_context(kernel_stream()) for _ in range(at_once)]
        for stream in streams:
            stream.setblocking(False)  # noqa: FBT003
            stream.connect_ex((FAR, HOLD))
        for stream in streams:
            stream.settimeout(PATIENCE)
            stream.send(b"")  # waits until it is open
            stream.shutdown(socket.SHUT_WR)
        for stream in streams:
            stream.recv(1)


def memory(stack: Stack, _seconds: float, _run: int) -> float:
    """KiB of resident memory that a connection adds, its asyncio transport included."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    with direct(stack) as program, ExitStack() as opened:

        def grown() -> int:
            for _ in range(CONNECTIONS):
                opened.enter_context(calling(HOLD))
            return at_rest(program.resident)

        before = grown()  # the first fill what starting left free, and would come out too cheap
        return (grown() - before) / CONNECTIONS / 1024


def at_rest(read: Callable[[], int]) -> int:
    """The value once it has stayed for half a second."""
    value = -1
    while value != (value := read()):
        time.sleep(0.5)
    return value


# Importing


def importing(stack: Stack, _seconds: float, _run: int) -> float:
    """Milliseconds of ``import postel`` in a fresh interpreter, its byte code cached: it is so short that one
    tells little.
    """
    with tempfile.TemporaryDirectory() as cache:
        environment = stack.environment | {"PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        program = (
            f"import time; started = time.perf_counter(); import {stack.module}; "
            "print((time.perf_counter() - started) * 1e3)"
        )
        return statistics.median([float(asked(stack, program, environment)) for _ in range(IMPORTS)][1:])


# In one process


def through(stack: Stack, seconds: float, _: int) -> float:
    """Mbit/s from one host to another over a memory link, both on one event loop."""
    return alone(stack, "through", str(seconds))["rate"]


def crowd(others: int, stack: Stack, _seconds: float, run: int) -> float:
    """Microseconds a segment, of a host that has so many idle connections besides."""
    return all_at_once(stack, run, "crowd", *CROWDS)[str(others)]


def million(told: str, stack: Stack, _seconds: float, run: int) -> float:
    return all_at_once(stack, run, "million", MILLION)[told]


@cache
def all_at_once(stack: Stack, _run: int, kind: str, *numbers: int) -> dict[str, float]:
    """Several figures of one run."""
    return alone(stack, kind, *map(str, numbers))


def world(kind: str, number: int, told: str, stack: Stack, _seconds: float, run: int) -> float:
    """Of a network in virtual time."""
    return world_at_once(stack, run, kind, *([number] if number else []))[told]


@cache
def world_at_once(stack: Stack, _run: int, kind: str, *numbers: int) -> dict[str, float]:
    return alone(stack, kind, *map(str, numbers), program="worlds.py")


def alone(stack: Stack, *arguments: str, program: str = "alone.py") -> dict[str, float]:
    command = [stack.interpreter, str(HERE / program), *arguments]
    told: dict[str, float] = json.loads(
        subprocess.run(command, env=stack.environment, check=True, stdout=subprocess.PIPE).stdout
    )
    return told


# Explaining captures


def explained(stack: Stack, seconds: float, run: int) -> float:
    """Packets a second, of `postel explain` from its start to its end."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "large.pcap"
        packets = capture.write(file, int(seconds * MEGABYTES_A_SECOND), run)
        return packets / took(explain(file), stack)


def explained_beside_tshark(stack: Stack, seconds: float, run: int) -> float:
    """How much of tshark's time it takes for a table of the same conversations."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "large.pcap"
        capture.write(file, int(seconds * MEGABYTES_A_SECOND), run)
        return took(explain(file), stack) / took(
            ["tshark", "-n", "-q", "-z", "conv,tcp", "-r", str(file)], stack
        )


def explain(file: Path) -> list[str]:
    return [sys.executable, "-m", "postel", "explain", str(file)]


def took(command: list[str], stack: Stack) -> float:
    started = time.perf_counter()
    subprocess.run(
        command, env=stack.environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return time.perf_counter() - started


def asked(stack: Stack, program: str, environment: dict[str, str]) -> str:
    """What a fresh interpreter prints; -P: it imports nothing from the working directory."""
    return subprocess.run(
        [stack.interpreter, "-P", "-c", program],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


OURS = ("postel", "compiled")
IN_PYTHON = (*OURS, "pmd-pytcp")
ALL = (*IN_PYTHON, "empty", "gvisor", "linux")

FIGURES = {
    "bulk_in": Figure("bulk", "bulk, in", "Mbit/s", partial(bulk_in, MTU), ALL),
    "bulk_out": Figure("bulk", "bulk, out", "Mbit/s", partial(bulk_out, MTU), ALL),
    "large_in": Figure(
        "large", f"bulk at an MTU of {LARGE_MTU:,}, in", "Mbit/s", partial(bulk_in, LARGE_MTU)
    ),
    "large_out": Figure(
        "large", f"bulk at an MTU of {LARGE_MTU:,}, out", "Mbit/s", partial(bulk_out, LARGE_MTU)
    ),
    "offload_in": Figure("offload", "bulk with offload, in", "Mbit/s", offload_in, (*OURS, "linux")),
    "offload_out": Figure("offload", "bulk with offload, out", "Mbit/s", offload_out, (*OURS, "linux")),
    "echo": Figure("echo", "echo of one octet, median", "µs", echo),
    "connects_1": Figure("connects", "connects and closes, one by one", "a second", partial(connects, 1)),
    f"connects_{MANY}": Figure(
        "connects", f"connects and closes, {MANY} at once", "a second", partial(connects, MANY)
    ),
    "memory": Figure("memory", "memory of an idle connection", "KiB", memory, (*IN_PYTHON, "gvisor")),
    "import": Figure("import", "import, in a fresh interpreter", "ms", importing, IN_PYTHON),
    "through": Figure("through", "through both stacks, in one process", "Mbit/s", through, OURS),
    **{
        f"crowd_{others}": Figure(
            "crowd", f"a segment in, beside {others:,} idle connections", "µs", partial(crowd, others), OURS
        )
        for others in CROWDS
    },
    "world_rate": Figure(
        "world", "a world: segments of 1,500 octets", "a second", partial(world, "stream", 50, "rate"), OURS
    ),
    "world_heap": Figure(
        "world",
        "a world: entries of a bare heap in the time of one",
        "entries",
        partial(world, "stream", 50, "heap"),
        OURS,
    ),
    "world_hour": Figure(
        "world", "a world: an hour, a message a second", "s", partial(world, "hour", 0, "seconds"), OURS
    ),
    **{
        f"world_{kind}_{told}": Figure(
            "world", f"{MANY_HOSTS:,} {title}", unit, partial(world, kind, MANY_HOSTS, told), OURS
        )
        for kind, title in (
            ("crowd", "hosts of a world connect and leave"),
            ("computers", "computers of a simulation connect and leave"),
        )
        for told, unit in (("seconds", "s"), ("memory", "MB"))
    },
    **lossy(0.1),
    **lossy(1),
    **lossy(3),
    "explain": Figure("explain", "`postel explain` of a large capture", "packets/s", explained, OURS),
    "explain_ratio": Figure(
        "explain",
        "`postel explain`, beside `tshark -z conv,tcp`",
        "× its time",
        explained_beside_tshark,
        OURS,
    ),
    **{
        f"million_{told}": Figure(
            "million", f"{MILLION:,} idle connections: {title}", unit, partial(million, told), OURS
        )
        for told, title, unit in (
            ("opened", "opened", "a second"),
            ("memory", "resident memory", "MB"),
            ("idle", "processor, while idle", "%"),
            ("closed", "closed", "a second"),
        )
    },
}
GROUPS = tuple(dict.fromkeys(figure.group for figure in FIGURES.values()))
LONG = {"million", "world"}  # groups to be asked for by name
WITHOUT_NAMESPACE = {"import", "through", "crowd", "explain", "million", "world"}
