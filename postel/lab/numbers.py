"""Experiments on sequence numbers, acknowledgement numbers and flags."""

from dataclasses import replace
from itertools import combinations

from postel.lab.bench import Bench
from postel.lab.front import CountsFromTheClock, Front
from postel.lab.packet_kinds import arrived, has_data, is_bare_ack, is_fin, is_syn, is_syn_ack
from postel.lab.scene import Scene
from postel.lab.verdict import Verdict, decide
from postel.tcp import seq
from postel.tcp.config import DEFAULT, EcnMode
from postel.times import SECOND
from postel.view.packet import Packet
from postel.wire.segment import ACK, AE, CWR, ECE, FIN, PSH, RST, SYN, URG

_SIX = URG | ACK | PSH | RST | SYN | FIN
_TICK = 4  # microseconds for which the clock of initial sequence numbers keeps its value
_APART = 1 << 20  # numbers of one moment that are so far apart don't come from a clock alone


def random_isn(bench: Bench, client: type[Front] = Front) -> Verdict:
    """Compare initial sequence numbers (ISNs) of three connections that are opened at the same moment.

    In the second run a clock alone gives the ISNs. In the third, one pair of sockets is connected twice.
    """
    plain, clock = (
        bench.scene(fronts=(client, Front)),
        bench.scene("the clock alone", fronts=(CountsFromTheClock, Front)),
    )
    for scene in (plain, clock):
        for _ in range(3):
            scene.client.connect(scene.server)
        scene.run(SECOND)
    pair = bench.scene("the same pair twice", fronts=(client, Front))
    for _ in range(2):
        pair.client.connect(pair.server, local_port=5000)
        pair.run(SECOND)
    first, second = [*_isns(pair), 0, 0][:2]
    grows = 0 <= seq.distance(first, second) - SECOND // _TICK <= 1
    return decide(shown=_are_scattered(plain) and not _are_scattered(clock), exception=grows)


def _are_scattered(scene: Scene) -> bool:
    """Say whether the three initial sequence numbers of a run are far apart."""
    return len(_isns(scene)) == 3 and all(
        abs(seq.offset(one, other)) > _APART for one, other in combinations(_isns(scene), 2)
    )


def _isns(scene: Scene) -> list[int]:
    """Return the client's initial sequence numbers, without repeated SYNs."""
    return [
        packet.segment.seq
        for packet in scene.segments("client")
        if packet.segment and is_syn(packet) and not packet.original
    ]


def syn_takes_a_number(bench: Bench) -> Verdict:
    """Compare the numbers of SYN and first octet, and send data on a SYN with TCP Fast Open."""
    plain = bench.scene()
    client, _ = plain.open()
    client.send(b"x")
    plain.run(SECOND)
    syn, answer = plain.first("client", is_syn), plain.first("server", is_syn_ack)
    data = plain.first("client", has_data)
    takes = bool(syn and answer and data and not has_data(syn) and answer.ack == syn.seq + 1 == data.seq)
    both = replace(DEFAULT, fast_open="both")
    fast = bench.scene("fast open", config=both)
    fast.server.listen()
    for _ in range(2):
        end = fast.client.connect(fast.server, data=b"GET /")
        fast.run(SECOND)
    carrying = fast.first("client", lambda packet: is_syn(packet) and has_data(packet) and arrived(packet))
    delivered = bool(carrying and (carrying.arrived_at, b"GET /") in fast.peer(end).received)
    return decide(shown=takes, exception=delivered)


def ack_takes_none(bench: Bench, early: bytes = b"hello") -> Verdict:
    """Compare the numbers of a bare ACK and the data after it, and send data on the third segment."""
    bare = bench.scene("bare")
    client, _ = bare.open()
    bare.run(SECOND)
    client.send(b"hello")
    bare.run(SECOND)
    third, data = bare.first("client", is_bare_ack), bare.first("client", has_data)
    takes_none = bool(third and data and third.seq == data.seq)
    full = bench.scene("with data")
    full.server.listen()
    end = full.client.connect(full.server, data=early)
    full.run(SECOND)
    after = [packet for packet in full.segments("client") if not is_syn(packet)]
    return decide(shown=takes_none and bool(after) and has_data(after[0]) and full.peer(end).text == early)


def ack_is_seq_plus_one(bench: Bench, length: int = 100) -> Verdict:
    """Compare sequence numbers and the acknowledgement numbers that answer them."""
    scene = bench.scene()
    client, peer = scene.open()
    client.send(bytes(length))
    scene.wait(lambda: len(peer.text) == length)
    scene.run(SECOND)
    client.close()
    scene.wait(lambda: peer.has_ended)
    peer.close()
    scene.run()
    pairs = [
        (packet, _answer(scene, packet))
        for packet in scene.segments("client")
        if packet.segment and packet.segment.len
    ]
    found = {packet.kind.value: answer.ack - packet.seq for packet, answer in pairs if answer}
    refuted = found.get("plain", 1) == length > 1
    return decide(shown=set(found.values()) == {1}, refuted=refuted)


def _answer(scene: Scene, packet: Packet) -> Packet | None:
    """Return what the server sends first after it received a segment."""
    return scene.first("server", lambda other: arrived(packet) and other.sent_at >= packet.arrived_at)


def six_flags(bench: Bench, today: EcnMode = "ask") -> Verdict:
    """Collect the flags that are seen with ECN and without it."""
    modes: tuple[tuple[str, EcnMode], ...] = (("plain", today), ("without ECN", "off"))
    flags = [_flags(bench.scene(title, config=replace(DEFAULT, ecn=ecn))) for title, ecn in modes]
    return decide(
        shown=flags[0] == _SIX, refuted=flags[0] == _SIX | ECE | CWR | AE, formerly=flags[1] == _SIX
    )


def _flags(scene: Scene) -> int:
    """Return all flags of two connections: one with urgent data and an orderly close, and an aborted one."""
    client, peer = scene.open()
    client.send(b"!", urgent=True)
    scene.wait(lambda: peer.text == b"!", SECOND)
    client.close()
    scene.wait(lambda: peer.has_ended, SECOND)
    peer.close()
    scene.run(SECOND)
    other, _ = scene.open()
    other.abort()
    scene.run(SECOND)
    found = 0
    for packet in scene.segments():
        found |= packet.segment.flags if packet.segment else 0
    return found


def fin_takes_a_number(bench: Bench) -> Verdict:
    """Close from both sides, and check that each FIN is acknowledged by its number plus one."""
    scene = bench.scene()
    client, peer = scene.open()
    client.close()
    scene.wait(lambda: peer.has_ended)
    peer.close()
    scene.run()
    fins = [packet for packet in scene.segments() if is_fin(packet) and not has_data(packet)]
    answered = [
        any(
            arrived(other)
            and not is_fin(other)
            and other.ack == fin.seq + 1
            and other.source == fin.destination
            for other in scene.segments()
        )
        for fin in fins
    ]
    return decide(shown={fin.sender for fin in fins} == {"client", "server"} and all(answered))
