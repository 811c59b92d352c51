"""Show a connection from its first SYN to the end of TIME-WAIT.

The first part runs two hosts in virtual time and loses two segments on the way. The same seed gives the same
ladder. The second part, for which root and a TUN device are needed, serves a page to the kernel's own curl.
"""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Final

from postel import aio
from postel.cli.http.server import Response, Server
from postel.cli.network import device
from postel.cli.network.recording import preferred_language, show, speakable
from postel.errors import ArgumentError, LinkError
from postel.host.host import Host
from postel.host.listener import Listener
from postel.links.observer import Observed
from postel.sim import DROP, Rule, Subject, Verdict, World, dropping
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, EndOfStream, Event, Opened, Readable, Writable
from postel.times import MILLISECOND, SECOND
from postel.view import Trace, chart, notes, pcapng
from postel.wire import ip
from postel.wire.address import parse_interface
from postel.wire.segment import FIN, parse

REQUEST: Final = b"GET /rfc9293.txt HTTP/1.1\r\nHost: server\r\n\r\n"
PAGE_LENGTH: Final = 9000
TRANSFER_TITLE: Final = "10 Mbit/s, 40 ms, a queue of 50 kB"

_TEXTS: Final = {
    "title": (
        "Two Postel hosts, 10 ms apart, in virtual time (seed {seed}); lost on the way: {lost}",
        "两台 Postel 主机，相距 10 毫秒，虚拟时间（种子 {seed}）；途中丢失：{lost}",
    ),
    "nothing lost": ("nothing", "无"),
    "written": (
        "The same run, with a comment on each packet: {file} (try: tshark -r {file})",
        "同一过程，每个分组都带注释：{file}（试试：tshark -r {file}）",
    ),
    "kernel": (
        (
            "curl, on the kernel's TCP, fetches a page from Postel over a TUN device, in a network namespace "
            "of its own: {length} octets arrived, all correct"
        ),
        (
            "curl 使用内核的 TCP，在独立的网络命名空间中经 TUN 设备从 Postel 获取网页："
            "收到 {length} 字节，内容完全正确"
        ),
    ),
    "no kernel": (
        "The second part, with curl on the kernel's TCP, was skipped: {why}",
        "已跳过第二部分（使用内核 TCP 的 curl）：{why}",
    ),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    parser.add_argument(
        "--pcapng", metavar="FILE", default="demo.pcapng", help="file for the packets; default %(default)s"
    )
    parser.add_argument(
        "--lang",
        choices=notes.LANGUAGES,
        default=preferred_language(),
        help="language of the notes; default %(default)s",
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of all random choices; default %(default)s")
    parser.add_argument(
        "--drop",
        metavar="N,N",
        help='packets to lose, by number, or "" for none; default: one with data, and the server\'s FIN',
    )
    parser.add_argument(
        "--chart", metavar="FILE", help="draw the congestion window of a longer transfer (SVG), nothing else"
    )
    parser.add_argument("--no-kernel", action="store_true", help="run only the part in virtual time")


def run(options: argparse.Namespace) -> int:
    """Run the demonstration, or draw the chart. Raises ArgumentError for a file that can't be written."""
    if options.chart:
        return _draw(options.chart, options.seed)
    language = speakable(options.lang, sys.stdout)
    trace = connection_seen(
        options.seed, _Losses() if options.drop is None else dropping(*_numbers(options.drop))
    )
    try:
        # A name is opened as the user wrote it.
        with open(options.pcapng, "wb") as file:  # noqa: PTH123
            pcapng.write(trace, file, language=options.lang)
    except OSError as error:
        raise ArgumentError(
            "--pcapng", options.pcapng, f"a file that can be written ({error.strerror})"
        ) from error
    lost = ", ".join(f"#{packet.number}" for packet in trace.packets if packet.lost) or _say(
        "nothing lost", language
    )
    _headline(_say("title", language, seed=options.seed, lost=lost))
    show(trace, language, sys.stdout)
    print(f"\n{_say('written', language, file=options.pcapng)}")
    if not options.no_kernel:
        _show_kernel(language)
    return 0


def _draw(file: str, seed: int) -> int:
    picture = chart.render(transfer_seen(seed), title=f"{TRANSFER_TITLE}, seed {seed}")
    try:
        Path(file).write_text(picture, encoding="utf-8")
    except OSError as error:
        raise ArgumentError("--chart", file, f"a file that can be written ({error.strerror})") from error
    print(f"{TRANSFER_TITLE}: {file}")
    return 0


def _numbers(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise ArgumentError("--drop", text, "numbers as the ladder prints them, such as 9 or 2,9")
    return tuple(int(part) for part in parts)


def _say(key: str, language: str, **values: object) -> str:
    return _TEXTS[key][notes.LANGUAGES.index(language)].format(**values)


def _headline(text: str) -> None:
    print(
        f"\n\033[1m{text}\033[0m\n"
        if sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        else f"\n{text}\n"
    )


# The first part: in virtual time


def connection_seen(seed: int, losses: Rule) -> Trace:
    """Run a connection in virtual time from its handshake to TIME-WAIT, and return its trace."""
    trace = Trace()
    world = World(seed, observer=trace)
    world.rules.append(losses)
    client, server = world.host("client", "10.0.0.1/24"), world.host("server", "10.0.0.2/24")
    world.path(client, server, delay=10 * MILLISECOND)
    world.application(client, _Client(world).happened)
    world.application(server, _Server(world).happened)
    server.listen(80, world.now)
    client.connect("10.0.0.2", 80, world.now)
    world.run()
    return trace


def transfer_seen(seed: int) -> list[chart.Sample]:
    """Run a transfer of ten seconds through a queue that is too short.

    Returns samples of the sender, one at each of its segments.
    """
    sampler = chart.Sampler()
    world = World(seed, observer=sampler)
    client, server = world.host("client", "10.0.0.1/24"), world.host("server", "10.0.0.2/24")
    world.path(client, server, delay=20 * MILLISECOND, bandwidth=10_000_000, queue="50kB")
    world.application(client, _fill)
    world.application(server, _empty)
    server.listen(9, world.now)
    sampler.watch(client.connect("10.0.0.2", 9, world.now))
    world.run(10 * SECOND)
    return sampler.samples


def _fill(subject: Subject, event: Event, now: int) -> None:
    if isinstance(subject, Connection) and isinstance(event, (Opened, Writable)):
        subject.send(bytes(1 << 20), now)


def _empty(subject: Subject, event: Event, now: int) -> None:
    if isinstance(event, Acceptable) and isinstance(subject, Listener):
        subject.accept()
    elif isinstance(event, Readable) and isinstance(subject, Connection):
        subject.receive(1 << 20, now)


class _Losses:
    """Rule that loses the second segment of the response and the server's first FIN.

    SACKs lead to the retransmission of the segment; a tail loss probe retransmits the FIN.
    """

    def __init__(self) -> None:
        """Begin with no segments and no FINs counted."""
        self.segments = 0
        self.fins = 0

    def __call__(self, number: int, octets: bytes, sender: str, now: int) -> Verdict | None:
        """Drop the packet if it has the response's second segment or the server's first FIN."""
        if sender != "server":
            return None
        packet = ip.parse(octets)
        segment = parse(octets, packet.start, packet.end)
        self.segments += len(segment.data) > 0
        self.fins += segment.flags & FIN != 0
        is_second = self.segments == 2 and segment.data
        is_first_fin = self.fins == 1 and segment.flags & FIN
        return DROP if is_second or is_first_fin else None


class _Client:
    """Client that sends a request, and closes its direction 5 ms later."""

    def __init__(self, world: World) -> None:
        """Take the world, which has the clock."""
        self.world = world

    def happened(self, subject: Subject, event: Event, now: int) -> None:
        """Handle an event of the client's host."""
        if not isinstance(subject, Connection):
            return
        if isinstance(event, Opened):
            subject.send(REQUEST, now)
            self.world.at(now + 5 * MILLISECOND, lambda: subject.close(self.world.now))
        elif isinstance(event, Readable):
            subject.receive(1 << 20, now)


class _Server:
    """Server that answers 5 ms after the client's FIN, and closes 80 ms after that FIN."""

    def __init__(self, world: World) -> None:
        """Take the world, which has the clock."""
        self.world = world

    def happened(self, subject: Subject, event: Event, now: int) -> None:
        """Handle an event of the server's host."""
        if isinstance(event, Acceptable) and isinstance(subject, Listener):
            subject.accept()
        elif isinstance(event, Readable) and isinstance(subject, Connection):
            subject.receive(1 << 20, now)
        elif isinstance(event, EndOfStream) and isinstance(subject, Connection):
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % PAGE_LENGTH
            self.world.at(
                now + 5 * MILLISECOND, lambda: subject.send(head + bytes(PAGE_LENGTH), self.world.now)
            )
            self.world.at(now + 80 * MILLISECOND, lambda: subject.close(self.world.now))


# The second part: with the kernel


def _show_kernel(language: str) -> None:
    why = why_not()
    if not why:
        try:
            trace, length = _page_for_curl()
        except (LinkError, subprocess.SubprocessError, OSError) as error:
            why = getattr(error, "strerror", None) or str(error)
        else:
            _headline(_say("kernel", language, length=length))
            show(trace, language, sys.stdout)
    if why:
        print(f"\n{_say('no kernel', language, why=why)}")


def why_not() -> str:
    """Reason why the second part of the demonstration can't run; empty where it can."""
    if os.geteuid() != 0:
        return "it needs root"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun"
    missing = [command for command in ("ip", "curl") if shutil.which(command) is None]
    return f"the command {missing[0]} isn't installed" if missing else ""


def _page_for_curl() -> tuple[Trace, int]:
    """Serve a page to curl in a network namespace. Returns the trace, and how many octets curl got."""
    name = f"postel{os.getpid() % 10**8}"
    device.ip("netns", "add", name)
    try:
        return asyncio.run(_serve_curl(name))
    finally:
        device.ip("netns", "delete", name)


async def _serve_curl(name: str) -> tuple[Trace, int]:
    trace = Trace(names={"10.7.0.1": "curl", "10.7.0.2": "postel"})
    host = Host("10.7.0.2/24", secret=os.urandom(16), observer=trace)
    link = device.opened(name, [parse_interface("10.7.0.1/24")], mtu=1500, namespace=name)
    page = bytes(range(256)) * 12
    server = Server(
        lambda _target, _host: Response(HTTPStatus.OK, {"Content-Type": "application/octet-stream"}, page)
    )
    async with aio.attach(host, Observed(link, trace)) as network:
        await network.start_server(server.converse, port=80)
        process = await asyncio.create_subprocess_exec(
            *(
                "ip",
                "netns",
                "exec",
                name,
                "curl",
                "--silent",
                "--show-error",
                "--max-time",
                "10",
                "http://10.7.0.2/page",
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        body, complaint = await process.communicate()
    if body != page:
        raise LinkError(
            0,
            " ".join(complaint.decode(errors="replace").split())
            or "curl got other octets than those of the page",
        )
    return trace, len(body)
