"""Experiments on data transfer: a stream of octets in order, within a window, in both directions."""

from dataclasses import replace

from postel.lab.bench import Bench
from postel.lab.packet_kinds import arrived, has_data
from postel.lab.scene import PORT
from postel.lab.verdict import Verdict, decide
from postel.sim import DROP, PASS, corrupt, deliver_after, duplicate
from postel.tcp.config import DEFAULT, KIBIBYTE
from postel.times import MILLISECOND, NEVER, SECOND
from postel.wire import ip
from postel.wire.address import Endpoint, parse
from postel.wire.segment import PSH, URG, Segment

_REQUEST = b"GET / HTTP/1.1\r\nHost: server\r\n\r\n"
_IN_TEXT = 8 * 300  # number of a bit in the packet, one that lies in the payload


def of_data(segment: Segment) -> bool:
    """Say whether a segment carries data."""
    return len(segment.data) > 0


def byte_stream(bench: Bench, pause: int = 0) -> Verdict:
    """Send twice over TCP, which gives one receive, and twice over UDP, which gives two."""
    scene = bench.scene()
    client, peer = scene.open()
    scene.server.reads = pause > 0
    client.send(b"Hello, ")
    scene.run(pause)
    client.send(b"world")
    scene.run(SECOND)
    peer.read()
    datagrams = bench.scene("udp")
    box = datagrams.server.postbox(PORT)
    sender = datagrams.client.postbox(remote=Endpoint(parse(datagrams.server.address), PORT))
    sender.send(b"Hello, ")
    sender.send(b"world")
    datagrams.run(SECOND)
    kept = [data for _, data, _ in box.received] == [b"Hello, ", b"world"]
    return decide(shown=[data for _, data in peer.received] == [b"Hello, world"] and kept)


def reliable(bench: Bench, *, trusting: bool = False) -> Verdict:
    """Lose, duplicate, damage and delay segments, and check that the data arrives whole and in order."""
    scene = bench.scene(verify_checksums=not trusting)
    client, peer = scene.open()
    scene.treat(of_data, PASS, DROP, duplicate(), corrupt(_IN_TEXT), deliver_after(35 * MILLISECOND))
    text = bytes(index * index >> 4 & 0xFF for index in range(9000))
    client.send(text)
    scene.wait(lambda: len(peer.text) >= len(text))
    scene.run(SECOND)
    packets = scene.trace.packets
    suffered = [
        any(packet.lost for packet in packets),
        any(packet.copy for packet in packets),
        any(packet.damaged for packet in packets),
    ]
    overtaken = any(
        one.order < other.order and other.arrival_order < one.arrival_order
        for one in packets
        for other in packets
    )
    return decide(shown=peer.text == text and all(suffered) and overtaken)


def push_delivers(bench: Bench, length: int = 2500) -> Verdict:
    """Send two segments, of which only the second has PSH, and check when the receiver gets each."""
    scene = bench.scene()
    client, peer = scene.open()
    client.send(bytes(length))
    scene.run(SECOND)
    pushed: list[int] = []
    others: list[int] = []
    for packet in scene.segments("client"):
        if packet.segment and has_data(packet) and arrived(packet):
            (pushed if packet.segment.flags & PSH else others).append(packet.arrived_at)
    read = {when for when, _ in peer.received}
    return decide(shown=bool(pushed) and set(pushed) <= read, exception=bool(others) and set(others) <= read)


def urgent_pointer(bench: Bench, *, is_urgent: bool = True) -> Verdict:
    """Send urgent data, and check where the urgent pointer points and in which order data is read."""
    scene = bench.scene()
    client, peer = scene.open()
    for text, urgent in ((b"abc", False), (b"!", is_urgent), (b"def", False)):
        client.send(text, urgent=urgent)
        scene.run(SECOND)
    pointing = [
        packet for packet in scene.segments("client") if packet.segment and packet.segment.flags & URG
    ]
    valid = bool(pointing) and all(
        (packet.segment.urgent > 0) == (packet in pointing) for packet in scene.segments() if packet.segment
    )
    last = 1 + len(b"abc")  # the relative sequence number of "!"
    behind = all(packet.segment and packet.seq + packet.segment.urgent == last + 1 for packet in pointing)
    in_line = peer.text == b"abc!def"
    return decide(shown=valid and peer.urgent_at < NEVER, exception=behind and in_line)


def sliding_window(bench: Bench, room: int = 4 * KIBIBYTE) -> Verdict:
    """Send to a receiver that doesn't read, until the window is closed, and then let it read."""
    scene = bench.scene(config=DEFAULT, server=replace(DEFAULT, receive_buffer=room))
    client, peer = scene.open()
    scene.server.reads = False
    text = bytes(3 * 4 * KIBIBYTE)
    client.send(text)
    scene.run(4 * SECOND)
    held = len(text) - (client.connection.unacknowledged if client.connection else 0)
    kinds = {packet.kind.value for packet in scene.segments()}
    scene.server.reads = True
    peer.read()
    scene.wait(lambda: len(peer.text) == len(text))
    scene.run(SECOND)
    kinds_then = {packet.kind.value for packet in scene.segments("server")}
    closed = "window-probe" in kinds and any(packet.window == 0 for packet in scene.segments("server"))
    return decide(shown=closed and held <= room and "window-update" in kinds_then and peer.text == text)


def full_duplex(bench: Bench, later: int = 0) -> Verdict:
    """Send in both directions at once, and check that the data of both is in flight together."""
    scene = bench.scene()
    client, peer = scene.open()
    text = bytes(4000)
    client.send(text)
    scene.run(later)
    peer.send(text)
    scene.run(SECOND)
    spans = {}
    for end in (client, peer):
        sent = [packet for packet in scene.segments(end.machine.name) if has_data(packet) and arrived(packet)]
        spans[end.machine.name] = (sent[0].sent_at, sent[-1].arrived_at) if sent else (NEVER, NEVER)
    one, other = spans["client"], spans["server"]
    at_once = one[0] < other[1] and other[0] < one[1]
    return decide(shown=at_once and client.text == peer.text == text)


def socket_pair(bench: Bench, third_port: int = 5001) -> Verdict:
    """Open three connections to one port, and check that their data stays apart.

    Two hosts use the same local port, and one of them another one, too.
    """
    scene = bench.scene()
    scene.server.listen()
    other = scene.machine("neighbour", "10.0.0.3")
    ends = [scene.client.connect(scene.server, local_port=5000), other.connect(scene.server, local_port=5000)]
    ends.append(scene.client.connect(scene.server, local_port=third_port))
    for number, end in enumerate(ends):
        end.send(b"%d" % number)
    scene.run(SECOND)
    peers = [end for end in scene.server.ends if end.ends]
    texts = {end.ends[1]: end.text for end in peers if end.ends}
    apart = [
        end.ends is not None and texts.get(end.ends[0]) == b"%d" % number for number, end in enumerate(ends)
    ]
    one_port = {end.ends[0].port for end in peers if end.ends} == {PORT}
    return decide(shown=all(apart) and one_port and len(texts) == 3)


def encapsulation(bench: Bench, text: bytes = _REQUEST) -> Verdict:
    """Send a request, and check the IP header, the TCP header and the data in the packet's octets."""
    scene = bench.scene(config=replace(DEFAULT, ecn="off"))
    client, peer = scene.open()
    client.send(text)
    scene.run(SECOND)
    packet = scene.first("client", has_data)
    if packet is None:
        return decide(shown=False)
    octets = packet.octets
    header = (octets[0] & 15) * 4
    options = (octets[header + 12] >> 4) * 4
    outer = ip.parse(octets)
    whole = (
        octets[0] >> 4 == 4
        and octets[9] == 6
        and int.from_bytes(octets[2:4], "big") == len(octets) == outer.end
    )
    inner = octets[header + options :]
    return decide(
        shown=whole
        and inner == text == peer.text
        and inner.startswith(b"GET ")
        and inner.endswith(b"\r\n\r\n")
    )
