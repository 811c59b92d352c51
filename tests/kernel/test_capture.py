"""What `explain` tells of captures of the kernel's own traffic, beside what tshark tells of the same
files.
"""

import random
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import pytest

from postel.links import Faulty
from postel.view.capture import Connection, Reader, Table
from postel.view.capture.connection import Closing
from postel.view.capture.unusual import Unusual
from postel.wire import ip
from postel.wire.address import parse
from postel.wire.segment import ACK, FIN, PROTOCOL, SYN, Segment, encode_for
from postel.wire.segment import parse as parse_segment
from tests.kernel.conftest import Namespace

LOCAL = {4: "127.0.0.1", 6: "::1"}
FAR = "10.7.0.2"
NEAR = "10.7.0.1"
OCTETS = random.Random(3).randbytes(300_000)
PATIENCE = 20.0
# Each packet takes as much of the capture's buffer as the largest may, by default a quarter of a megabyte:
# that is few in a burst.
ROOM = ("-s", "65600", "-B", "65536")
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def captured(namespace: Any, tmp_path: Path, needs: Any) -> Any:
    """``with captured("lo") as file``: what passes the device meanwhile."""
    needs("tcpdump")
    needs("tshark")

    @contextmanager
    def capture(device: str) -> Iterator[Path]:
        only = ("tcp",) if device != "outer" else ()
        file = tmp_path / f"{device}.pcap"
        command = namespace.prefixed(
            "tcpdump", "-i", device, *ROOM, "-U", "--immediate-mode", "-Z", "root", "-w", str(file), *only
        )
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tcpdump:
            assert tcpdump.stderr is not None
            while "listening" not in (line := tcpdump.stderr.readline()):
                assert line, "tcpdump doesn't listen"
            try:
                yield file
            finally:
                time.sleep(0.3)  # for what is still on its way
                tcpdump.send_signal(signal.SIGINT)
                tcpdump.communicate(timeout=PATIENCE)

    return capture


def connections(file: Path) -> list[Connection]:
    found: list[Connection] = []
    with file.open("rb") as opened:
        reader, table = Reader(opened), Table(found.append)
        for octets, frames in reader.chunks():
            table.take(octets, frames)
    table.finish()
    assert reader.damage is None
    return sorted(found, key=lambda connection: connection.number)


def tshark(file: Path, *arguments: str) -> str:
    return subprocess.run(
        ["tshark", "-n", "-r", str(file), *arguments], check=True, capture_output=True, text=True
    ).stdout


def completeness(file: Path) -> dict[int, int]:
    """By stream; in two passes each packet tells of the whole."""
    told = tshark(file, "-2", "-T", "fields", "-e", "tcp.stream", "-e", "tcp.completeness")
    rows = [line.split("\t") for line in told.splitlines()]
    return {int(stream): int(value) for stream, value in rows}


CONVERSATION = re.compile(
    r"^(\S+):(\d+)\s+<->\s+(\S+):(\d+)\s+(\d+) (\d+ \w+)\s+(\d+) (\d+ \w+)\s+\d+ \d+ \w+\s+([\d.]+)\s+([\d.]+)\s*$"  # noqa: E501
)


def conversations(file: Path) -> list[tuple[Any, ...]]:
    """``-z conv,tcp``: ends in order, packets and octets from each, when it began and how long it took."""
    rows = []
    for line in tshark(file, "-q", "-z", "conv,tcp").splitlines():
        if match := CONVERSATION.match(line):
            one, two = (match[1], int(match[2])), (match[3], int(match[4]))
            to_one, to_two = (int(match[5]), match[6]), (int(match[7]), match[8])
            rows.append(
                (
                    *sorted([(one, *to_two), (two, *to_one)]),
                    match[9],
                    pytest.approx(float(match[10]), abs=1e-4),
                )
            )
    return sorted(rows, key=lambda row: row[:3])


def ours(found: list[Connection]) -> list[tuple[Any, ...]]:
    start = min(connection.began for connection in found)
    rows = []
    for connection in found:
        ends = sorted(
            ((text_of(end.endpoint.address), end.endpoint.port), end.packets, as_tshark_writes(end.octets))
            for end in connection.ends
        )
        began = f"{(connection.began - start) / 1e6:.9f}"
        rows.append((*ends, began, (connection.last - connection.began) / 1e6))
    return sorted(rows, key=lambda row: row[:3])


def text_of(address: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


def as_tshark_writes(octets: int) -> str:
    for unit, size in (("MB", 10_000_000), ("kB", 10_000)):
        if octets >= size:
            return f"{octets // (size // 10)} {unit}"
    return f"{octets} bytes"


def sent_again(file: Path) -> dict[int, int]:
    """Retransmissions by stream."""
    told = tshark(file, "-2", "-T", "fields", "-e", "tcp.stream", "-e", "tcp.analysis.retransmission")
    counts: dict[int, int] = {}
    for stream, again in (line.split("\t") for line in told.splitlines()):
        counts[int(stream)] = counts.get(int(stream), 0) + bool(again)
    return counts


def agree(file: Path) -> list[Connection]:
    """The connections, of which tshark says the same; but that it counts copies as retransmissions."""
    found = connections(file)
    again = {one.number - 1: sum(end.retransmissions for end in one.ends) for one in found if not one.copies}
    assert again.items() <= sent_again(file).items()
    assert {connection.number - 1: connection.completeness for connection in found} == completeness(file)
    assert ours(found) == conversations(file)
    return found


# The peers


class Pair:
    """Two kernel sockets of the namespace, connected over `lo`."""

    def __init__(self, namespace: Any, family: int) -> None:
        with namespace.stream(family) as listener:
            listener.bind((LOCAL[family], 0))
            listener.listen()
            self.one = namespace.stream(family)
            self.one.settimeout(PATIENCE)
            self.one.connect(listener.getsockname())
            self.two = listener.accept()[0]
            self.two.settimeout(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.one.close()
        self.two.close()


def drained(stream: socket.socket) -> bytes:
    parts = []
    while part := stream.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def test_a_normal_connection(namespace: Any, captured: Any, family: int) -> None:
    with ExitStack() as stack, captured("lo") as file:
        pair = stack.enter_context(Pair(namespace, family))
        pair.one.sendall(b"hello")
        assert pair.two.recv(100) == b"hello"
        pair.two.sendall(b"and back")
        pair.two.shutdown(socket.SHUT_WR)
        assert drained(pair.one) == b"and back"
        time.sleep(0.1)  # so that the ACK of the FIN goes alone
        pair.one.close()
    (connection,) = agree(file)
    assert connection.closing is Closing.FOUR_WAY
    assert connection.zeek.state == "SF"
    assert [end.data for end in connection.ends] == [5, 8]
    assert connection.handshake_time > 0
    assert "ts" in connection.agreed()


def test_a_close_in_three_segments(namespace: Any, captured: Any, family: int) -> None:
    with ExitStack() as stack, captured("lo") as file:
        pair = stack.enter_context(Pair(namespace, family))
        both = threading.Thread(target=lambda: (drained(pair.two), pair.two.close()))
        both.start()
        pair.one.close()
        both.join()
    (connection,) = agree(file)
    assert connection.closing in (Closing.THREE_WAY, Closing.FOUR_WAY)  # the kernel's timing decides
    assert connection.zeek.state == "SF"


def test_refused(namespace: Any, captured: Any, family: int) -> None:
    with captured("lo") as file, namespace.stream(family) as stream, pytest.raises(ConnectionRefusedError):
        stream.connect((LOCAL[family], 9))
    (connection,) = agree(file)
    assert connection.closing is Closing.REFUSED
    assert (connection.zeek.state, connection.zeek.history) == ("REJ", "Sr")


def test_reset(namespace: Any, captured: Any, family: int) -> None:
    with ExitStack() as stack, captured("lo") as file:
        pair = stack.enter_context(Pair(namespace, family))
        pair.one.sendall(b"x")
        pair.one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        pair.one.close()
    (connection,) = agree(file)
    assert connection.closing is Closing.RESET_BY_OPENER
    assert connection.zeek.state == "RSTO"


def test_many_at_once(namespace: Any, captured: Any, family: int) -> None:
    with captured("lo") as file:
        pairs = [Pair(namespace, family) for _ in range(20)]
        for index, pair in enumerate(pairs):
            sending = threading.Thread(target=pair.one.sendall, args=(OCTETS[: 1000 * index],))
            sending.start()
            sending.join()
            pair.one.shutdown(socket.SHUT_WR)
            assert len(drained(pair.two)) == 1000 * index
            pair.two.close()
            pair.one.close()
    found = agree(file)
    assert [connection.ends[0].data for connection in found] == [1000 * index for index in range(20)]


def test_still_open(namespace: Any, captured: Any, family: int) -> None:
    with ExitStack() as stack, captured("lo") as file:
        pair = stack.enter_context(Pair(namespace, family))
        pair.one.sendall(b"x")
    (connection,) = agree(file)
    assert connection.closing is Closing.OPEN
    assert connection.zeek.state == "S1"


@contextmanager
def relayed(*ends: Any) -> Iterator[None]:
    """Carry packets between two links: not every kernel has `netem`. They are captured before losses."""
    stop = threading.Event()

    def carry() -> None:
        while not stop.is_set():
            select.select(ends, [], [], 0.05)
            for source, target in (ends, ends[::-1]):
                with suppress(BlockingIOError):
                    while octets := source.receive(0):
                        target.send(octets, b"", 0)

    carrying = threading.Thread(target=carry)
    carrying.start()
    try:
        yield
    finally:
        stop.set()
        carrying.join()


@pytest.fixture
def far() -> Iterator[Any]:
    """Another namespace: there the kernel has the address that is Postel's elsewhere."""
    made = Namespace()
    made.command("ip", "address", "delete", f"{NEAR}/24", "dev", "postel0")
    made.command("ip", "address", "add", f"{FAR}/24", "dev", "postel0")
    yield made
    made.remove()


def test_losses(namespace: Any, far: Any, captured: Any) -> None:
    bad = (
        Faulty(link, random.Random(seed), loss=0.04) for seed, link in enumerate((namespace.tun, far.tun), 1)
    )
    with (
        relayed(*bad),
        captured("postel0") as file,
        far.stream(4) as listener,
        namespace.stream(4) as stream,
    ):
        listener.bind((FAR, 80))
        listener.listen()
        stream.settimeout(PATIENCE)
        stream.connect((FAR, 80))
        with listener.accept()[0] as other:
            other.settimeout(PATIENCE)
            sending = threading.Thread(
                target=lambda: (stream.sendall(OCTETS), stream.shutdown(socket.SHUT_WR))
            )
            sending.start()
            assert drained(other) == OCTETS
            sending.join()
    (connection,) = agree(file)
    assert connection.ends[0].data == len(OCTETS)
    assert connection.ends[0].retransmissions
    assert "T" in connection.zeek.history


def test_on_all_devices_at_once(namespace: Any, captured: Any, family: int) -> None:
    """Cooked frames, each twice: as it leaves and as it comes in."""
    with ExitStack() as stack, captured("any") as file:
        pair = stack.enter_context(Pair(namespace, family))
        pair.one.sendall(OCTETS[:50_000])
        pair.one.shutdown(socket.SHUT_WR)
        assert len(drained(pair.two)) == 50_000
    (connection,) = agree(file)
    assert connection.ends[0].data == 50_000


def test_what_editcap_makes_of_it(namespace: Any, captured: Any, needs: Any, tmp_path: Path) -> None:
    """pcapng in nanoseconds, pcap in nanoseconds, and packets cut behind their headers: the same
    connections.
    """
    needs("editcap")
    with captured("lo") as file:
        pairs = [Pair(namespace, family) for family in (4, 6) for _ in range(5)]
        for pair in pairs:
            pair.one.sendall(OCTETS[:50_000])
            pair.one.shutdown(socket.SHUT_WR)
            assert len(drained(pair.two)) == 50_000
            pair.__exit__()
    whole = ours(agree(file))
    for form in (["-F", "pcapng"], ["-F", "nsecpcap"], ["-F", "pcap", "-s", "100"]):
        other = tmp_path / "other"
        subprocess.run(["editcap", *form, str(file), str(other)], check=True)
        assert ours(agree(other)) == whole


def test_through_a_pipe(namespace: Any, needs: Any, family: int) -> None:
    """A connection is told of when tcpdump has told of the whole, before it ends."""
    needs("tcpdump")
    sniff = namespace.prefixed(
        "tcpdump", "-i", "lo", "-U", "--immediate-mode", "-Z", "root", "-w", "-", "tcp"
    )
    explain = (sys.executable, "-m", "postel", "explain", "-", "--lang", "en")
    with (
        subprocess.Popen(sniff, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tcpdump,
        subprocess.Popen(explain, stdin=tcpdump.stdout, stdout=subprocess.PIPE, cwd=ROOT) as explaining,
    ):
        assert tcpdump.stderr is not None
        assert b"listening" in tcpdump.stderr.readline()
        with Pair(namespace, family) as pair:
            pair.one.sendall(b"hello")
            assert pair.two.recv(100) == b"hello"
        time.sleep(0.3)
        tcpdump.send_signal(signal.SIGINT)
        output, _ = explaining.communicate(timeout=PATIENCE)
    assert len(output.splitlines()) == 2
    assert b" 5 " in output


# Where the peer is the test itself, over the TUN


def injected(namespace: Any, flags: int, seq: int, ack: int, ports: tuple[int, int]) -> None:
    source, destination = parse(FAR), parse(NEAR)
    segment = Segment(*ports, seq, ack, flags, 1000)
    namespace.tun.send(
        ip.encode(source, destination, PROTOCOL, encode_for(segment, source, destination)), b"", 0
    )


def heard(namespace: Any) -> Segment:
    """The kernel's next TCP segment."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(BlockingIOError):
            octets = namespace.tun.receive(0)
            if octets and octets[0] >> 4 == 4 and octets[9] == PROTOCOL:
                packet = ip.parse(octets)
                return parse_segment(packet.octets, packet.start, packet.end)
        time.sleep(0.01)
    raise TimeoutError("the kernel is silent")


def test_half_open(namespace: Any, captured: Any) -> None:
    with captured("postel0") as file, namespace.listening(4) as listener:
        injected(namespace, SYN, 1000, 0, (4000, listener.getsockname()[1]))
        assert heard(namespace).flags & (SYN | ACK) == SYN | ACK
    (connection,) = agree(file)
    assert connection.closing is Closing.HALF_OPEN


def test_unanswered(namespace: Any, captured: Any) -> None:
    with captured("postel0") as file, namespace.stream(4) as stream:
        stream.settimeout(1.5)
        with pytest.raises(TimeoutError):
            stream.connect((FAR, 80))
    (connection,) = agree(file)
    assert connection.closing is Closing.UNANSWERED
    assert connection.zeek.state == "S0"
    assert connection.ends[0].retransmissions >= 1


def test_simultaneous_close(namespace: Any, captured: Any) -> None:
    with captured("postel0") as file, namespace.listening(4) as listener:
        port = listener.getsockname()[1]
        injected(namespace, SYN, 1000, 0, (4000, port))
        start = heard(namespace).seq + 1
        injected(namespace, ACK, 1001, start, (4000, port))
        listener.accept()[0].close()
        assert heard(namespace).flags & FIN
        injected(namespace, FIN | ACK, 1001, start, (4000, port))  # sent before the kernel's FIN came
        assert heard(namespace).ack == 1002
        injected(namespace, ACK, 1002, start + 1, (4000, port))
    (connection,) = agree(file)
    assert connection.closing is Closing.SIMULTANEOUS
    assert connection.zeek.state == "SF"


def test_simultaneous_open(namespace: Any, captured: Any) -> None:
    with namespace.stream(4) as stream, captured("postel0") as file:
        stream.setblocking(False)
        with suppress(BlockingIOError):
            stream.connect((FAR, 80))
        syn = heard(namespace)
        injected(namespace, SYN, 1000, 0, (80, syn.source))
        answer = heard(namespace)
        assert answer.flags & (SYN | ACK) == SYN | ACK
        injected(namespace, SYN | ACK, 1000, syn.seq + 1, (80, syn.source))
        heard(namespace)
    (connection,) = agree(file)
    assert connection.closing is Closing.OPEN
    assert connection.opened > 0


# What a connection waited for


def stories(file: Path) -> dict[str, int]:
    """The stalls of the only connection, by kind and end."""
    unusual = Unusual()
    found: list[Connection] = []
    with file.open("rb") as opened:
        reader, table = Reader(opened), Table(found.append, closer=unusual.look)
        for octets, frames in reader.chunks():
            table.take(octets, frames)
    table.finish()
    (connection,) = found
    pace = unusual.of(connection).pace
    assert pace is not None
    return {f"{stall.kind} {['client', 'server'][stall.by.side]}": stall.length for stall in pace.stalls}


SLOW = 0.6  # seconds


def test_nothing_is_slow(namespace: Any, captured: Any, family: int) -> None:
    with ExitStack() as stack, captured("lo") as file:
        pair = stack.enter_context(Pair(namespace, family))
        for _ in range(5):
            pair.one.sendall(b"question")
            assert pair.two.recv(100) == b"question"
            pair.two.sendall(b"answer")
            assert pair.one.recv(100) == b"answer"
    assert stories(file) == {}


def test_the_server_s_program_is_slow(namespace: Any, captured: Any, family: int) -> None:
    with ExitStack() as stack, captured("lo") as file:
        pair = stack.enter_context(Pair(namespace, family))
        pair.one.sendall(b"question")
        assert pair.two.recv(100) == b"question"
        time.sleep(SLOW)
        pair.two.sendall(b"answer")
        assert pair.one.recv(100) == b"answer"
    assert stories(file).keys() == {"program server"}


def test_the_client_s_program_is_slow_to_read(namespace: Any, captured: Any, family: int) -> None:
    """Its window closes, and the server waits."""
    with ExitStack() as stack, captured("lo") as file:
        pair = stack.enter_context(Pair(namespace, family))
        pair.one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sending = threading.Thread(
            target=lambda: (pair.two.sendall(OCTETS), pair.two.shutdown(socket.SHUT_WR))
        )
        sending.start()
        time.sleep(2 * SLOW)
        assert drained(pair.one) == OCTETS
        sending.join()
    assert "window client" in stories(file)
    assert not stories(file).keys() & {"program server", "program client"}


def test_the_wire_is_slow(namespace: Any, far: Any, captured: Any) -> None:
    """Everything is lost for a while: what was sent is sent again."""
    lossy = Faulty(namespace.tun, random.Random(1))
    with (
        relayed(lossy, far.tun),
        captured("postel0") as file,
        far.stream(4) as listener,
        namespace.stream(4) as stream,
    ):
        listener.bind((FAR, 80))
        listener.listen()
        stream.settimeout(PATIENCE)
        stream.connect((FAR, 80))
        with listener.accept()[0] as other:
            other.settimeout(PATIENCE)
            lossy.incoming.loss = 1.0
            stream.sendall(b"question")
            time.sleep(SLOW)
            lossy.incoming.loss = 0.0
            assert other.recv(100) == b"question"
    assert stories(file).keys() == {"wire client"}


ENDS = ("local", "192.0.2.{last}", "remote", "192.0.2.{other}")
TUNNELS = {  # what `ip link add inner` needs, for each kind
    "vxlan": ("type", "vxlan", "id", "7", *ENDS, "dstport", "4789", "dev", "outer"),
    "geneve": ("type", "geneve", "id", "7", "remote", "192.0.2.{other}"),
    "gre": ("type", "gre", *ENDS),
    "gretap": ("type", "gretap", *ENDS),
    "ipip": ("type", "ipip", *ENDS),
    "vlan": ("link", "outer", "type", "vlan", "id", "7"),
}


@pytest.fixture
def neighbour(namespace: Any) -> Iterator[Any]:
    """Another namespace, at the other end of a pair of devices; both are called ``outer``."""
    other = Namespace()
    try:
        namespace.command(
            "ip", "link", "add", "outer", "type", "veth", "peer", "name", "outer", "netns", other.name
        )
        for place, last in ((namespace, 1), (other, 2)):
            place.command("ip", "address", "add", f"192.0.2.{last}/24", "dev", "outer")
            place.command("ip", "link", "set", "outer", "up")
        yield other
    finally:
        other.remove()


def send_across(near: Any, far: Any, address: str) -> None:
    """Fifty thousand octets over a connection to ``address``, which is the far namespace's."""
    with far.stream(4) as listener, near.stream(4) as stream:
        listener.bind((address, 80))
        listener.listen()
        stream.settimeout(PATIENCE)
        stream.connect((address, 80))
        with listener.accept()[0] as accepted:
            accepted.settimeout(PATIENCE)
            stream.sendall(OCTETS[:50_000])
            stream.shutdown(socket.SHUT_WR)
            assert drained(accepted) == OCTETS[:50_000]


@pytest.mark.parametrize("kind", TUNNELS)
def test_inside_of_a_tunnel(namespace: Any, neighbour: Any, captured: Any, kind: str) -> None:
    """Between two devices of a pair; what passes the pair is captured."""
    for place, last in ((namespace, 1), (neighbour, 2)):
        arguments = (part.format(last=last, other=3 - last) for part in TUNNELS[kind])
        try:
            place.command("ip", "link", "add", "inner", *arguments)
        except (subprocess.CalledProcessError, RuntimeError) as error:
            pytest.skip(f"this kernel has no {kind}: {error}")
        place.command("ip", "address", "add", f"198.51.100.{last}/24", "dev", "inner")
        place.command("ip", "link", "set", "inner", "up")
    with captured("outer") as file:
        send_across(namespace, neighbour, "198.51.100.2")
    (connection,) = connections(file)
    assert [(text_of(end.endpoint.address), end.data) for end in connection.ends] == [
        ("198.51.100.1", 50_000),
        ("198.51.100.2", 0),
    ]


@pytest.fixture
def sender(neighbour: Any) -> Iterator[Any]:
    """A namespace behind the neighbour, which sends without the DF bit; the neighbour, a router, has to cut
    what it sends (RFC 791, 3.2).
    """
    made = Namespace()
    try:
        neighbour.command(
            "ip", "link", "add", "behind", "type", "veth", "peer", "name", "behind", "netns", made.name
        )
        for place, last in ((neighbour, 1), (made, 2)):
            place.command("ip", "address", "add", f"203.0.113.{last}/24", "dev", "behind")
            place.command("ip", "link", "set", "behind", "up")
        neighbour.command("ip", "link", "set", "outer", "mtu", "576")
        neighbour.command("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        made.command("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_no_pmtu_disc")
        made.command("ip", "route", "add", "192.0.2.0/24", "via", "203.0.113.1")
        yield made
    finally:
        made.remove()


def test_in_fragments(namespace: Any, sender: Any, captured: Any) -> None:
    namespace.command("ip", "route", "add", "203.0.113.0/24", "via", "192.0.2.2")
    with captured("outer") as file:
        send_across(sender, namespace, "192.0.2.1")
    (connection,) = connections(file)
    assert connection.ends[0].data == 50_000
    assert tshark(file, "-Y", "ip.flags.mf == 1", "-T", "fields", "-e", "frame.number").count("\n") > 50
