"""ECN with the kernel: asked for and agreed to, both ways round, and heard of when its queue marks."""

import asyncio
import socket
from dataclasses import replace
from typing import Any

import pytest

from postel import aio
from postel.host.host import Host
from postel.links import Link
from postel.tcp.config import DEFAULT, EcnMode
from postel.tcp.ecn import CE, ECT_0
from postel.tcp.ecn.accurate import Accurate
from postel.tcp.ecn.classic import Classic
from postel.tcp.observer import Observer
from postel.wire import ip
from postel.wire.address import Endpoint
from postel.wire.segment import ECE, SYN, Segment

POSTEL = {4: "10.7.0.2", 6: "fd07::2"}
KERNEL = {4: "10.7.0.1", 6: "fd07::1"}
OCTETS = bytes(300_000)


class Watch(Observer):
    """Marks of what arrived, and how often ECE was among the flags."""

    def __init__(self) -> None:
        self.marks: set[int] = set()
        self.echoes = 0

    def segment_arrived(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        if not segment.flags & SYN:
            self.marks.add(segment.ecn)
            self.echoes += segment.flags & ECE != 0


class Marking(Link):
    """A link that marks one packet of text in ten as congested, on its way in."""

    def __init__(self, inner: Link) -> None:
        self.inner = inner
        self.mtu = inner.mtu
        self.marked = 0
        self._seen = 0

    def fileno(self) -> int | None:
        return self.inner.fileno()

    def close(self) -> None:
        self.inner.close()

    def receive(self, now: int) -> bytes | None:
        return self.inner.receive(now)

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        found = ip.parse(packet)
        if found.traffic_class & 3 == ECT_0:
            self._seen += 1
            if self._seen % 10 == 0:
                self.marked += 1
                packet = ip.encode(
                    found.source, found.destination, found.protocol, found.payload, traffic_class=CE
                )
        return self.inner.send(packet, next_hop, now)


def speaks_of_ecn(namespace: Any, port: int) -> str:
    """What ss says of the kernel's connection with this port."""
    return str(
        namespace.command("ss", "-tinoH", "state", "established", f"( sport = :{port} or dport = :{port} )")
    )


async def both_ways(reader: Any, writer: Any, kernel: socket.socket) -> None:
    writer.write(OCTETS)
    await asyncio.gather(asyncio.to_thread(kernel.sendall, OCTETS), asyncio.to_thread(receive_all, kernel))
    assert await reader.readexactly(len(OCTETS)) == OCTETS


def receive_all(kernel: socket.socket) -> None:
    missing = len(OCTETS)
    while missing:
        missing -= len(kernel.recv(missing))


MODES = [
    # of Postel, of the kernel as client and as server, what is agreed on
    ("accept", 1, Classic, True),
    ("off", 1, type(None), True),
    ("accept", 0, type(None), True),
    ("ask-classic", 2, Classic, False),
    ("ask", 2, Classic, False),
    ("ask", 0, type(None), False),
    ("accept", 2, type(None), False),
    ("accept", 3, Accurate, True),
    ("ask", 3, Accurate, False),
]


@pytest.mark.label("RFC3168-6.1.1a", "RFC9768-3.1.2")
@pytest.mark.parametrize(("ecn", "setting", "agreed", "kernel_calls"), MODES)
async def test_what_the_kernel_and_we_agree_on(
    namespace: Any, family: int, needs: Any, ecn: EcnMode, setting: int, agreed: type, kernel_calls: bool
) -> None:
    needs("ss")
    try:
        namespace.command("sysctl", "-qw", f"net.ipv4.tcp_ecn={setting}")
    except Exception:  # noqa: BLE001 - whatever sysctl says of a value that it doesn't know
        pytest.skip(f"this kernel knows no tcp_ecn={setting}")
    watch = Watch()
    host = Host(
        f"{POSTEL[4]}/24",
        f"{POSTEL[6]}/64",
        secret=b"a test's",
        observer=watch,
        config=replace(DEFAULT, ecn=ecn),
    )
    link = Marking(namespace.tun)
    async with aio.attach(host, link) as net:
        reader, writer, kernel = await connected(net, namespace, family, kernel_calls=kernel_calls)
        (connection,) = [
            connection for connection in host._connections.table.values() if connection.readable == 0
        ]
        assert type(connection._tcb.ecn) is agreed
        said = speaks_of_ecn(namespace, 80 if kernel_calls else kernel.getsockname()[1]).split()
        assert ("ecn" in said) is (agreed is not type(None))
        await both_ways(reader, writer, kernel)
        assert (ECT_0 in watch.marks) is (agreed is not type(None))
        assert (link.marked > 5) is (agreed is not type(None))
        if agreed is Classic:
            assert watch.echoes > 0
        assert connection._tcb.counts.segments_retransmitted == 0
        kernel.close()
        writer.close()


async def connected(
    net: Any, namespace: Any, family: int, *, kernel_calls: bool
) -> tuple[Any, Any, socket.socket]:
    if not kernel_calls:
        with namespace.listening(family) as listener:
            reader, writer = await net.open_connection(KERNEL[family], listener.getsockname()[1])
            kernel, _ = await asyncio.to_thread(listener.accept)
        return reader, writer, kernel
    made: asyncio.Queue[tuple[Any, Any]] = asyncio.Queue()

    async def hold(reader: Any, writer: Any) -> None:
        made.put_nowait((reader, writer))

    await net.start_server(hold, port=80)
    kernel = namespace.stream(family)
    await asyncio.to_thread(kernel.connect, (POSTEL[family], 80))
    return *(await made.get()), kernel
