"""Experiments that set TCP beside UDP, and beneath DNS and HTTP."""

from dataclasses import replace

from postel.lab.bench import Bench
from postel.lab.data import of_data
from postel.lab.packet_kinds import arrived, has_data, is_fin, is_syn
from postel.lab.scene import PORT, End, Postbox
from postel.lab.verdict import Verdict, decide
from postel.sim import DROP, PASS, dropping
from postel.tcp.config import DEFAULT
from postel.times import MILLISECOND, NEVER, SECOND
from postel.wire.address import Endpoint, parse

_NAME_SERVICE = 53
# DNS query for the A record of server.test, with recursion desired, and the answer 10.0.0.2 (RFC 1035, 4.1)
_QUESTION = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x06server\x04test\0\0\x01\0\x01"
_ANSWER = (
    b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0"
    + _QUESTION[12:]
    + b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x02"
)
_GET = b"GET / HTTP/1.1\r\nHost: server.test\r\n\r\n"
_PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<h1>Hello</h1>"


def udp_no_handshake(bench: Bench) -> Verdict:
    """Send three datagrams by UDP, then the same over TCP, with the second lost each time."""
    datagrams = bench.scene("udp")
    box = datagrams.server.postbox(PORT)
    sender = datagrams.client.postbox(remote=Endpoint(parse(datagrams.server.address), PORT))
    datagrams.world.rules.append(dropping(2))
    for text in (b"one", b"two", b"three"):
        sender.send(text)
    datagrams.run(SECOND)
    stream = bench.scene("tcp")
    stream.treat(of_data, PASS, DROP)
    stream.server.listen()
    client = stream.client.connect(stream.server)
    for text in (b"one", b"two", b"three"):
        client.send(text)
        stream.run(50 * MILLISECOND)
    stream.run(5 * SECOND)
    peer = stream.peer(client)
    first = [found[0][0] if found else NEVER for found in (box.received, peer.received)]
    lossy = [data for _, data, _ in box.received] == [b"one", b"three"]
    return decide(shown=first == [stream.way, 3 * stream.way] and lossy and peer.text == b"onetwothree")


def url_to_page(bench: Bench) -> Verdict:
    """Ask DNS for an address, connect, request a page and close, and check the order of the steps."""
    scene = bench.scene()
    scene.server.listen()
    scene.server.serves = _serve
    names = scene.server.postbox(_NAME_SERVICE)
    asking = scene.client.postbox(remote=Endpoint(parse(scene.server.address), _NAME_SERVICE))
    asking.send(_QUESTION)
    scene.wait(lambda: bool(names.received), SECOND)
    if names.received:
        names.send(_ANSWER, names.received[0][2])
    scene.wait(lambda: bool(asking.received), SECOND)
    client = (
        scene.client.connect(scene.server)
        if _address_in(asking) == scene.server.address
        else End(scene.client, None)
    )
    scene.wait(lambda: client.is_open)
    client.send(_GET)
    scene.wait(lambda: client.text == _PAGE)
    client.close()
    scene.run()
    steps = [
        scene.first("client", is_syn),
        scene.first("client", has_data),
        scene.first("server", has_data),
        scene.first("client", is_fin),
    ]
    times = [
        asking.received[0][0] if asking.received else NEVER,
        *[packet.sent_at if packet else NEVER for packet in steps],
    ]
    return decide(shown=times == sorted(times) and times[-1] < NEVER and client.text == _PAGE)


def _address_in(asking: Postbox) -> str:
    """Return the address in the DNS answer, "" where none came."""
    return ".".join(str(octet) for octet in asking.received[0][1][-4:]) if asking.received else ""


def _serve(end: End) -> None:
    """Send the page for each request that isn't answered yet, and close when the client has closed."""
    answered = sum(call.name == "send" and call.end is end for call in end.machine.scene.calls)
    for _ in range(end.text.count(b"\r\n\r\n") - answered):
        end.send(_PAGE)
    if end.has_ended:
        end.close()


def one_connection_many_requests(bench: Bench, requests: int = 3) -> Verdict:
    """Make three requests on one connection, then on one connection each, and count the segments."""
    counts = []
    for title, each in (("plain", requests), ("one each", 1)):
        scene = bench.scene(title)
        scene.server.listen()
        scene.server.serves = _serve
        for _ in range(requests // each):
            client = scene.client.connect(scene.server)
            # The defaults are the values of this run of the loop; mypy can't infer their types.
            scene.wait(lambda end=client: end.is_open)  # type: ignore[misc]
            for number in range(1, each + 1):
                client.send(_GET)
                scene.wait(lambda end=client, many=number: end.text.count(_PAGE) == many, 10 * SECOND)  # type: ignore[misc]
            client.close()
            scene.run(100 * MILLISECOND)
        scene.run()
        pages = sum(end.text.count(_PAGE) for end in scene.client.ends)
        syns = sum(is_syn(packet) and arrived(packet) for packet in scene.segments("client"))
        counts.append((pages, syns, len(scene.segments())))
    (pages, syns, few), (_, others, many) = counts
    return decide(shown=pages == requests and syns == 1 and others == requests and few < many)


def head_of_line(bench: Bench) -> Verdict:
    """Lose the first of five messages by UDP and by TCP, and check when the program is given the others."""
    texts = [b"%d" % number * 1000 for number in range(1, 6)]
    datagrams = bench.scene("udp")
    box = datagrams.server.postbox(PORT)
    sender = datagrams.client.postbox(remote=Endpoint(parse(datagrams.server.address), PORT))
    datagrams.world.rules.append(dropping(1))
    for text in texts:
        sender.send(text)
    datagrams.run(SECOND)
    at_once = [(when, data) for when, data, _ in box.received] == [
        (datagrams.way, text) for text in texts[1:]
    ]
    stream = bench.scene("tcp", config=replace(DEFAULT, nagle=False))
    client, peer = stream.open()
    stream.run(SECOND)
    stream.treat(of_data, DROP)
    began = stream.world.now
    for text in texts:
        client.send(text)
        stream.run(0)
    stream.run(SECOND)
    first = peer.received[0] if peer.received else (0, b"")
    others = [packet for packet in stream.segments("client") if has_data(packet) and packet.sent_at == began]
    waited = [packet.arrived_at < first[0] for packet in others if arrived(packet)]
    held = len(waited) == 4 and all(waited) and first == (began + 3 * stream.way, b"".join(texts))
    return decide(shown=at_once and held)
