"""Postel as a program that a driver measures: JSON lines on stdin and stdout, packets on an inherited TUN
descriptor.

Serves discard (9), echo (7), a source (19: eight octets, big-endian, say how much; 0 is until the end), hold
(11: keeps until the peer closes) and a late reader (13: sleeps two seconds, then discards). On command it
connects, pushes, pulls, and holds connections. Everything is a protocol, and no connection has a task: what
is measured is the stack.
"""

import argparse
import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

RSS_AT_START = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
IMPORT_STARTED = time.perf_counter()

import postel.aio  # noqa: E402 - its import is what is measured
from postel.host.host import Host  # noqa: E402
from postel.links import inherit_tun  # noqa: E402

IMPORT_MS = (time.perf_counter() - IMPORT_STARTED) * 1e3

CHUNK = bytes(256 * 1024)
DISCARD, ECHO, SOURCE, HOLD, LATE = 9, 7, 19, 11, 13
LATE_SECONDS = 2.0
FOREVER = 1 << 62

Command = dict[str, Any]


def say(**line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def resident_kilobytes() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize() // 1024


class Discard(asyncio.Protocol):
    """Discards and, as it inherits, closes when the peer does. HOLD is the same: it keeps what is idle."""

    __slots__ = ("ended", "transport")

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.ended: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.ended is not None and not self.ended.done():
            self.ended.set_result(None)


class Echo(Discard):
    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()


class Late(Discard):
    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.pause_reading()
        asyncio.get_running_loop().call_later(LATE_SECONDS, self.transport.resume_reading)


class Writer(Discard):
    """Writes ``left`` octets, or until ``deadline``, then closes."""

    __slots__ = ("deadline", "left", "paused")

    def __init__(self, left: int = FOREVER, seconds: float = FOREVER) -> None:
        super().__init__()
        self.left = left
        self.deadline = time.perf_counter() + seconds
        self.paused = False

    def begin(self) -> None:
        while (
            not (self.paused or self.transport.is_closing())
            and self.left > 0
            and time.perf_counter() < self.deadline
        ):
            self.transport.write(CHUNK if self.left >= len(CHUNK) else CHUNK[: self.left])
            self.left -= len(CHUNK)
        if not self.paused:
            self.transport.close()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self.begin()


class Source(Writer):
    """What the client asks for: eight octets say how much."""

    __slots__ = ("asked",)

    def __init__(self) -> None:
        super().__init__()
        self.asked = b""

    def data_received(self, data: bytes) -> None:
        if len(self.asked) < 8:
            self.asked += data[: 8 - len(self.asked)]
            if len(self.asked) == 8:
                self.left = int.from_bytes(self.asked, "big") or FOREVER
                self.begin()


SERVICES: dict[int, Callable[[], asyncio.Protocol]] = {
    DISCARD: Discard,
    ECHO: Echo,
    SOURCE: Source,
    HOLD: Discard,
    LATE: Late,
}


class Commands:
    """One method for each command; what it awaits is done before the next line is read."""

    def __init__(self, net: postel.aio.Network, peer: str) -> None:
        self.net = net
        self.peer = peer
        self.held: list[asyncio.Protocol] = []

    async def connect(self, command: Command) -> None:
        """``n`` connections, ``conc`` at once, each closed as soon as it is open."""
        left, failed, last = command["n"], 0, ""
        started = time.perf_counter()

        async def worker() -> None:
            nonlocal left, failed, last
            while left > 0:
                left -= 1
                try:
                    transport, _ = await self.net.create_connection(Discard, self.peer, command["port"])
                    transport.close()
                except OSError as error:
                    failed, last = failed + 1, repr(error)

        await asyncio.gather(*(worker() for _ in range(command["conc"])))
        say(ev="done", ok=command["n"] - failed, err=failed, last=last, secs=time.perf_counter() - started)

    async def push(self, command: Command) -> None:
        left, seconds = command.get("bytes", FOREVER), command.get("secs", FOREVER)
        _, writer = await self.net.create_connection(
            lambda: Writer(left, seconds), self.peer, command["port"]
        )
        writer.ended = asyncio.get_running_loop().create_future()
        writer.begin()
        await writer.ended
        say(ev="done")

    async def pull(self, command: Command) -> None:
        _, reader = await self.net.create_connection(Discard, self.peer, command["port"])
        reader.ended = asyncio.get_running_loop().create_future()
        await reader.ended
        say(ev="done")

    async def hold(self, command: Command) -> None:
        for _ in range(command["n"]):
            self.held.append((await self.net.create_connection(Discard, self.peer, command["port"]))[1])
        say(ev="done")

    async def stat(self, command: Command) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        say(
            ev="stat",
            utime=used.ru_utime,
            stime=used.ru_stime,
            rss_kb=resident_kilobytes(),
            **self.net.host.statistics(),
        )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument(
        "--layer",
        default="tun",
        choices=["tun", "tunv"],
        help="taken for the driver's sake: the descriptor tells",
    )
    parser.add_argument("--addr", default="10.99.0.2/24")
    parser.add_argument("--peer", default="10.99.0.1")
    parser.add_argument("--mtu", type=int, default=1500)
    parser.add_argument("--tuned", type=int, default=0, help="nothing to tune: taken for the driver's sake")
    parser.add_argument("--profile", default="", help="write cProfile's statistics here")
    return parser.parse_args()


async def obey(commands: Commands) -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        command = json.loads(line)
        if command["cmd"] == "quit":
            return
        method: Callable[[Command], Awaitable[None]] = getattr(commands, command["cmd"])
        await method(command)


async def serve(chosen: argparse.Namespace) -> None:
    started = time.perf_counter()
    host = Host(chosen.addr, secret=os.urandom(16), mtu=chosen.mtu)
    async with postel.aio.attach(host, inherit_tun(chosen.fd, mtu=chosen.mtu), linger=0) as net:
        for port, service in SERVICES.items():
            await net.create_server(service, port=port, backlog=4096)
        say(
            ev="ready",
            stack="postel",
            python=sys.version.split()[0],
            import_ms=IMPORT_MS,
            start_ms=(time.perf_counter() - started) * 1e3,
            rss0_kb=RSS_AT_START,
            rss_kb=resident_kilobytes(),
            modules=len(sys.modules),
        )
        await obey(Commands(net, chosen.peer))


def main() -> None:
    chosen = arguments()
    if not chosen.profile:
        asyncio.run(serve(chosen))
        return
    import cProfile  # noqa: PLC0415 - nothing that isn't asked for may weigh on what is measured

    profile = cProfile.Profile()
    profile.runcall(asyncio.run, serve(chosen))
    profile.dump_stats(chosen.profile)


if __name__ == "__main__":
    main()
