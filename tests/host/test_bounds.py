"""No input makes a queue of a host or of a connection grow without a bound, whether the driver drains it or
not.
"""

import gc
import random
import types
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.errors import ConnectionRefused, HostUnreachable, TcpError
from postel.host.eventqueue import EventQueue
from postel.host.host import Host
from postel.tcp.config import DEFAULT
from postel.tcp.connection import Connection
from postel.tcp.events import ACCEPTABLE, READABLE, Closed, Event, Trouble
from postel.tcp.tcb import MOST_EVENTS
from postel.testing.states import established, syn_received, syn_sent
from postel.times import HOUR, MILLISECOND, MINUTE, SECOND
from postel.wire import checksum, icmp, ip
from postel.wire.icmp import IcmpMessage
from postel.wire.segment import ACK, FIN, PROTOCOL, PSH, RST, SYN, URG, Segment, encode_for
from tests.host.conftest import Peer, make_host, make_pair

CODES = [(3, code) for code in range(16)] + [(11, 0), (11, 1), (12, 0), (4, 0)]


def about(sent: bytes, kind: int, code: int, mtu: int = 0) -> bytes:
    """An ICMP error that quotes a packet of ours, from a router."""
    source, target = b"\x0a\0\0\x09", sent[12:16]
    blank = bytes((kind, code, 0, 0)) + mtu.to_bytes(4, "big") + sent[:28]
    body = blank[:2] + checksum.field(checksum.total(blank)).to_bytes(2, "big") + blank[4:]
    return ip.encode(source, target, 1, body)


def weight(host: Host) -> int:
    """Objects and octets that the host holds, in all its queues and tables."""
    shared = (types.ModuleType, type, types.FunctionType, types.BuiltinFunctionType, types.MethodType)
    seen: set[int] = set()
    front: list[object] = [host]
    octets = 0
    while front:
        thing = front.pop()
        if id(thing) in seen or isinstance(thing, shared):
            continue
        seen.add(id(thing))
        octets += len(thing) if isinstance(thing, (bytes, bytearray)) else 0
        front.extend(gc.get_referents(thing))
    return len(seen) + octets // 32


class Hostile:
    """A peer that sends all that it can think of, to a host with a listener, accepted connections, sockets
    and a pair in TIME-WAIT.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.peer = Peer(make_host())
        host, now = self.peer.host, self.peer.now
        self.listener = host.listen(80, now, backlog=20)
        self.sockets = [host.datagrams(53), host.datagrams(54)]
        self.sent: list[bytes] = []
        for port in range(5000, 5006):
            self.open(port)
        self.connections[0].release(now)
        self.dialled = host.connect("10.0.0.9", 7, now)
        self.drain_packets()

    @property
    def connections(self) -> list[Connection]:
        return list(self.peer.host._connections.table.values())

    def open(self, port: int) -> None:
        self.peer.host.packet_arrives(self.peer.tcp(SYN, port=port, window=65535), self.peer.now)
        answer = self.peer.segment(self.drain_packets())
        self.peer.host.packet_arrives(
            self.peer.tcp(ACK, seq=1001, ack=answer.seq + 1, port=port), self.peer.now
        )
        self.listener.accept()
        self.drain_packets()

    def drain_packets(self) -> list[bytes]:
        packets = []
        while (octets := self.peer.host.next_packet(self.peer.now)) is not None:
            packets.append(octets)
        self.sent = (self.sent + packets)[-200:]
        return packets

    def packet(self) -> bytes:
        draw, peer = self.random, self.peer
        which = draw.randrange(8)
        if which == 0 and self.sent:
            return about(draw.choice(self.sent), *draw.choice(CODES), mtu=draw.randrange(60, 1600))
        if which == 1:
            return peer.datagram(
                bytes(draw.randrange(2000)), to=draw.choice([53, 54, 55]), port=draw.randrange(1, 65536)
            )
        if which == 2:
            return peer.tcp(
                draw.choice([SYN, ACK, RST, FIN, SYN | ACK, 0]),
                port=draw.randrange(1, 65536),
                to=draw.choice([80, 81]),
            )
        if which == 3:
            whole = peer.datagram(bytes(100))
            return fragment(
                whole, draw.randrange(1, 1 << 16), draw.randrange(0, 4000), more=draw.random() < 0.9
            )
        if which == 4:
            return peer.control(
                IcmpMessage(icmp.ECHO_REQUEST, 0, draw.getrandbits(32), bytes(draw.randrange(100)))
            )
        return self.segment()

    def segment(self) -> bytes:
        """To one of the connections, with numbers that it may take."""
        draw = self.random
        connection = draw.choice(self.connections)
        tcb = connection._tcb
        seq = tcb.rcv.nxt + draw.choice([0, 0, 1, -1, 2, 3000, -70000, tcb.rcv.wnd, draw.randrange(60000)])
        ack = draw.choice([tcb.snd.una, tcb.snd.max, tcb.snd.max + 1, tcb.snd.una - 5, draw.getrandbits(32)])
        flags = draw.choice([ACK, ACK, ACK | PSH, ACK | URG, SYN, FIN | ACK if draw.random() < 0.01 else ACK])
        made = Segment(
            connection.remote.port,
            connection.local.port,
            seq & 0xFFFFFFFF,
            ack & 0xFFFFFFFF,
            flags,
            draw.choice([0, 1, 65535]),
        )
        data = bytes(draw.choice([0, 0, 1, 100, 1400]))
        made = Segment(
            made.source, made.destination, made.seq, made.ack, flags, made.window, data, draw.randrange(65536)
        )
        if draw.random() < 0.3:
            made.sack = ((made.ack + 5 & 0xFFFFFFFF, made.ack + 90 & 0xFFFFFFFF),)
        return ip.encode(
            self.peer.address,
            self.peer.target,
            PROTOCOL,
            encode_for(made, self.peer.address, self.peer.target),
        )


def fragment(whole: bytes, identification: int, offset: int, *, more: bool) -> bytes:
    octets = bytearray(whole)
    octets[4:6] = identification.to_bytes(2, "big")
    octets[6:8] = ((0x2000 if more else 0) | offset // 8).to_bytes(2, "big")
    octets[10:12] = b"\0\0"
    octets[10:12] = checksum.field(checksum.total(bytes(octets[:20]))).to_bytes(2, "big")
    return bytes(octets)


def drains_nothing(_hostile: Hostile) -> None:
    pass


def drains_packets(hostile: Hostile) -> None:
    hostile.drain_packets()


def drains_events(hostile: Hostile) -> None:
    while hostile.peer.host.next_event() is not None:
        pass


def reads(hostile: Hostile) -> None:
    """And accepts and reads what comes, without ever looking at events."""
    hostile.drain_packets()
    hostile.listener.accept()
    for connection in hostile.connections:
        if connection.readable:
            connection.receive(1 << 20, hostile.peer.now)
    for socket in hostile.sockets:
        socket.receive()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("drains", [drains_nothing, drains_packets, drains_events, reads])
def test_what_a_host_holds_has_an_end(drains: Callable[[Hostile], None], seed: int) -> None:
    """As much after 6,000 packets as after 2,000, but for what the program's own buffers may hold."""
    hostile = Hostile(seed)
    host = hostile.peer.host
    weights = []
    for _ in range(3):
        for number in range(2000):
            host.packet_arrives(hostile.packet(), hostile.peer.now)
            drains(hostile)
            if number % 10 == 0:
                hostile.peer.now += MILLISECOND
                host.handle_timeout(hostile.peer.now)
        gc.collect()
        weights.append(weight(host) - host.memory.used // 32)
    assert weights[2] < 1.2 * weights[1] + 1000, weights
    assert len(host._connections.events) <= MOST_EVENTS * len(hostile.connections) + 100
    assert len(host._connections.acceptable) <= hostile.listener.backlog
    assert len(host._datagrams.events) <= 2 * 20


# Events


@pytest.mark.parametrize("make", [established, syn_sent, syn_received])
def test_a_trouble_that_repeats_is_told_once_until_it_is_drained(make: Callable[[], object]) -> None:
    scene = make()  # type: ignore[var-annotated]
    tcb = scene.tcb
    for number in range(1000):
        tcb.trouble(HostUnreachable("no route") if number % 2 else ConnectionRefused("no such port"))
    assert scene.events() == ["Trouble", "Trouble"]
    tcb.trouble(HostUnreachable("no route"))
    assert scene.events() == ["Trouble"]


def test_of_very_many_troubles_the_latest_are_told() -> None:
    scene = established()
    scene.hears(ACK, b"text")
    for number in range(1000):
        scene.tcb.trouble(TcpError(f"number {number}"))
    events = scene.all_events()
    assert len(events) == MOST_EVENTS
    assert events[0] is READABLE
    assert "999" in str(events[-1])


def test_events_are_equal_where_they_say_the_same() -> None:
    one = Trouble(HostUnreachable("a"))
    assert one == Trouble(HostUnreachable("a"))
    assert one != Trouble(HostUnreachable("b"))
    assert one != Trouble(ConnectionRefused("a"))
    assert one != Closed(HostUnreachable("a"))
    assert READABLE != "Readable"
    assert len({one, Trouble(HostUnreachable("a")), READABLE}) == 2


@pytest.mark.parametrize("others", [0, 3, 20])
def test_a_queue_holds_each_event_once_or_as_often_as_is_asked(others: int) -> None:
    queue: EventQueue[str] = EventQueue()
    crowd = [(f"other {number}", READABLE) for number in range(others)]
    for _ in range(5):
        queue.put("a", READABLE)
        queue.put("b", READABLE)
        queue.put("c", ACCEPTABLE, 3)
        for name, event in crowd:
            queue.put(name, event)
    assert len(queue) == 5 + others
    told = [queue.pop() for _ in range(len(queue))]
    assert told[:3] == [("a", READABLE), ("b", READABLE), ("c", ACCEPTABLE)]
    assert sorted(map(str, told[3:])) == sorted(map(str, [("c", ACCEPTABLE)] * 2 + crowd))
    queue.put("a", READABLE)
    assert queue.pop() == ("a", READABLE)
    with pytest.raises(IndexError):
        queue.pop()


@given(st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 12), st.integers(1, 3))), max_size=200))
def test_a_queue_is_as_a_list_without_repetitions(steps: list[tuple[int, int] | None]) -> None:
    queue: EventQueue[int] = EventQueue()
    model: list[tuple[int, Event]] = []
    for step in steps:
        if step is None:
            if model:
                assert queue.pop() == model.pop(0)
            continue
        source, most = step
        queue.put(source, READABLE, most)
        if model.count((source, READABLE)) < most:
            model.append((source, READABLE))
        assert list(queue.queue) == model


def test_errors_about_a_half_open_connection_are_told_once() -> None:
    peer = Peer(make_host())
    listener = peer.host.listen(80, peer.now)
    (answer,) = peer.give(peer.tcp(SYN))
    for _ in range(500):
        for code in (0, 1, 5, 13):
            peer.give(about(answer, 3, code))
    (entry,) = peer.host._connections.passive.half_open.values()
    assert len(entry.child._tcb.events) <= 3
    peer.give(peer.tcp(ACK, seq=1001, ack=peer.segments([answer])[0].seq + 1))
    assert listener.accept() is entry.child
    peer.drain()
    told = [str(event) for subject, event in peer.events if subject is entry.child]
    assert 0 < len(told) == len(set(told))


def test_a_listener_tells_of_each_connection_that_waits() -> None:
    peer = Peer(make_host())
    listener = peer.host.listen(80, peer.now, backlog=50)
    for port in range(5000, 5010):
        answer = peer.segment(peer.give(peer.tcp(SYN, port=port)))
        peer.host.packet_arrives(peer.tcp(ACK, seq=1001, ack=answer.seq + 1, port=port), peer.now)
        while peer.host.next_packet(peer.now) is not None:
            pass
    peer.drain()
    assert peer.events == [(listener, ACCEPTABLE)] * 10
    assert all(listener.accept() is not None for _ in range(10))


# Connections that no program had


@pytest.mark.parametrize("rfc1337", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_no_event_is_of_a_connection_that_the_program_never_had(seed: int, rfc1337: bool) -> None:
    """Whatever arrives for a pair in TIME-WAIT, no program has the connection that answers."""
    draw = random.Random(seed)
    pair = make_pair(config=replace(DEFAULT, rfc1337=rfc1337))
    listener = pair.right.listen(80, pair.now)
    had: list[object] = [listener]
    for _ in range(3):
        near = pair.left.connect("10.0.0.2", 80, pair.now)
        pair.pump()
        far = listener.accept()
        had += [near, far]
        for connection in draw.sample([near, far], 2):
            connection.release(pair.now)
            pair.pump()
    carried = list(pair.carried)
    for _ in range(200):
        sender, octets = draw.choice(carried)
        host = pair.right if sender is pair.left else pair.left
        host.packet_arrives(octets, pair.now)
        pair.now += draw.choice([0, MILLISECOND, SECOND])
        pair.pump()
    pair.advance(10 * MINUTE)
    while (more := listener.accept()) is not None:
        had.append(more)
    assert {id(subject) for subject, _ in pair.events} <= {id(thing) for thing in had}


# Timers


def test_a_slow_connection_leaves_few_stale_timers() -> None:
    """An ACK is delayed once a second, for hours, and each time the deadline of the keep-alive comes back."""
    pair = make_pair(config=replace(DEFAULT, keep_alive=True))
    listener = pair.right.listen(80, pair.now)
    near = pair.left.connect("10.0.0.2", 80, pair.now)
    pair.pump()
    listener.accept()
    end = pair.now + HOUR
    while pair.now < end:
        near.send(b"x", pair.now)
        pair.advance(2 * SECOND)
        for host in (pair.left, pair.right):
            timers = host._connections._timers
            assert len(timers._heap) <= len(timers) + 64
