"""A host under a barrage: packets of a peer that knows every number and follows no rule, in every state, from
clock 0 on.

`barrage` plays rounds until so many packets have arrived. In each a new host, with options of the draw's
choice, gets segments near the right numbers, SYNs with options of every shape, its own packets sent back,
mutated packets, fragments, extension headers, ICMP errors about what it sent, datagrams and joined segments;
a program that opens, sends, reads little and closes; and a driver that drains it now and then. What must
hold: no exception leaves the host, the invariants of every Tcb stand, and what the host references weighs no
more than its buffers and its connections explain.
"""

import gc
import random
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace

from postel.errors import TcpError
from postel.host.host import Host
from postel.tcp.config import AUTOMATIC, CHOICES, DEFAULT, Config
from postel.tcp.connection import Connection
from postel.tcp.invariants import check
from postel.tcp.observer import Observer
from postel.times import MILLISECOND, MINUTE, NEVER, SECOND
from postel.wire import checksum, icmp, ip, options, udp
from postel.wire.address import parse
from postel.wire.parcel import Parcel
from postel.wire.segment import ACK, AE, CWR, ECE, FIN, PROTOCOL, PSH, RST, SYN, URG, Segment, encode_for

ROUND = 2000  # packets to one host
TURN = 50  # packets between two looks at the invariants
MOST_SENT = 20_000  # packets in one drain: more is a storm
LISTENING = (80, 81, 82)
ALLOWANCE = 2 << 20  # octets: the host itself, its tables and what its driver has not drained
EACH = 24 << 10  # octets: a connection with its Tcb, controller, scoreboard and envelope
FLAGS = (
    ACK,
    ACK,
    ACK,
    ACK | PSH,
    ACK | FIN,
    SYN,
    SYN | ACK,
    RST,
    RST | ACK,
    FIN,
    0,
    ACK | URG,
    SYN | FIN,
    0x1FF,
)
JUMPS = (0, 0, 0, 1, MILLISECOND, 50 * MILLISECOND, 300 * MILLISECOND, 2 * SECOND)
LEAPS = (0, 10 * SECOND, MINUTE, 5 * MINUTE, 3 * 3600 * SECOND)
HEADERS = (0, 43, 44, 50, 51, 60, 135, 6, 17, 58, 59, 200)  # of IPv6's chain


class Numbers:
    """What the host's last segment of a pair told: its next number, the one it expects, and its timestamp."""

    __slots__ = ("ack", "next", "tsval")

    def __init__(self, following: int, ack: int, tsval: int) -> None:
        self.next = following
        self.ack = ack
        self.tsval = tsval


class Barrage:
    """One round: one host from clock 0, or from a clock that has run for a while."""

    def __init__(self, seed: int) -> None:
        self.draw = draw = random.Random(seed)
        self.now = draw.choice((0, 0, 1, 63 * SECOND, 1000 * SECOND, 1 << 45))
        self.observer = Observer() if draw.random() < 0.2 else None
        self.memory_limit = draw.choice((1 << 14, 1 << 20, 1 << 26))
        self.host = Host(
            "10.0.0.1/24",
            "fd00::1/64",
            secret=draw.randbytes(16),
            mtu=draw.choice((1280, 1500, 9000, 65535)),
            config=self.config(),
            observer=self.observer,
            any_address=draw.random() < 0.2,
            memory_limit=self.memory_limit,
            verify_checksums=draw.random() < 0.9,
        )
        if draw.random() < 0.3:
            self.host.use_offload(65535)
        self.own = (parse("10.0.0.1"), parse("fd00::1"))
        self.others = (parse("10.0.0.9"), parse("fd00::9"))
        self.listeners = [
            self.host.listen(port, self.now, backlog=draw.choice((1, 4, 40, 128)), config=self.config())
            for port in LISTENING
        ]
        self.socket = self.host.datagrams(53)
        self.connections: list[Connection] = []
        self.numbers: dict[bytes, Numbers] = {}
        self.keys: list[bytes] = []
        self.sent: list[bytes] = []  # some of what the host sent
        self.arrived = 0
        self.seen: Counter[str] = Counter()
        self.moves = self.swarm()
        self.flags = [draw.choice(FLAGS) for _ in range(draw.choice((4, 8, 30)))] + [ACK] * draw.choice(
            (0, 10)
        )
        self.exactness = draw.choice((0.5, 0.8, 0.95, 0.99))
        self.diligence = draw.choice((0.02, 0.3, 0.6, 0.95))  # how often the driver drains the host

    def config(self) -> Config:
        draw = self.draw
        chosen = replace(
            DEFAULT,
            receive_buffer=draw.choice((AUTOMATIC, 1, 5000, 1 << 20)),
            notsent_lowat=draw.choice((0, 0, 1, 1000)),
            user_timeout_option=draw.random() < 0.2,
            keep_alive_idle=draw.choice((SECOND, 7200 * SECOND)),
            fast_open=draw.choice(("off", *CHOICES["fast_open"])),
            mtu_probing=draw.choice(CHOICES["mtu_probing"]),
            ecn=draw.choice(CHOICES["ecn"]),
            msl=draw.choice((SECOND, 2 * MINUTE)),
        )
        switches = [field.name for field in fields(Config) if field.type is bool]
        return replace(chosen, **{name: draw.random() < 0.5 for name in switches})

    def swarm(self) -> list[Callable[[], bytes]]:
        """Each round plays a few of the moves much and leaves others out: all at once would keep each other
        from going far.
        """
        draw = self.draw
        rare = [
            self.mutation,
            self.echo_of_own,
            self.message,
            self.datagram,
            self.fragment,
            self.chain,
            self.noise,
        ]
        moves = [self.near_segment] * draw.choice((1, 20)) + [self.fresh_syn] * draw.choice((1, 3, 30))
        for move in rare:
            moves += [move] * draw.choice((0, 0, 1, 5))
        return moves

    # The round

    def play(self, packets: int) -> int:
        """How many packets arrived."""
        draw = self.draw
        while self.arrived < packets:
            for _ in range(TURN):
                self.step()
                if draw.random() < 0.3:
                    self.user_acts()
                if draw.random() < 0.004:
                    self.host_changes()
                if draw.random() < self.diligence:
                    self.drain()
            self.inspect()
        self.end()
        return self.arrived

    def step(self) -> None:
        draw = self.draw
        self.now += draw.choice(JUMPS)
        if draw.random() < 0.002:
            self.now += draw.choice(LEAPS)
        packet = draw.choice(self.moves)()
        self.arrived += 1
        if draw.random() < 0.05:
            self.parcel(packet)
        else:
            self.host.packet_arrives(packet, self.now)
        if self.host.next_timeout() <= self.now or draw.random() < 0.05:
            self.host.handle_timeout(self.now)

    def drain(self) -> None:
        host, draw = self.host, self.draw
        for _ in range(MOST_SENT):
            octets = host.next_packet(self.now)
            if octets is None:
                break
            self.learn(octets)
            if draw.random() < 0.02:
                self.sent.append(octets)
        else:
            raise AssertionError("a storm: the host sends without an end")
        del self.sent[:-200]
        while host.next_event() is not None:
            pass
        while (parcel := host.next_parcel(self.now)) is not None:
            self.learn(parcel.head + parcel.text)

    def learn(self, octets: bytes) -> None:
        try:
            packet = ip.parse(octets)
            if packet.protocol != PROTOCOL or packet.is_fragment:
                return
            start = packet.start
            key = (
                packet.destination + packet.source + octets[start + 2 : start + 4] + octets[start : start + 2]
            )
            number = int.from_bytes(octets[start + 4 : start + 8], "big")
            ack = int.from_bytes(octets[start + 8 : start + 12], "big")
            flags = octets[start + 13]
            length = (
                packet.end - start - (octets[start + 12] >> 4 << 2) + (flags & SYN != 0) + (flags & FIN != 0)
            )
        except TcpError:
            raise AssertionError(f"the host sent what does not parse: {octets.hex()}") from None
        known = self.numbers.get(key)
        if known is None:
            self.numbers[key] = Numbers(number + length, ack, 0)
            self.keys.append(key)
            if len(self.keys) > 400:
                self.numbers.pop(self.keys.pop(self.draw.randrange(200)))
        else:
            known.next = number + length
            known.ack = ack or known.ack

    def inspect(self) -> None:
        host = self.host
        for connection in host._connections.table.values():
            check(connection._tcb)
            self.seen[connection.state.name] += 1
        for entry in host._connections.passive.half_open.values():
            check(entry.child._tcb)
            self.seen[entry.child.state.name] += 1
        figures = host.statistics()
        self.seen["TIME_WAIT"] += figures["time_wait"]
        assert host.memory.used <= self.memory_limit + (1 << 16), figures

    def end(self) -> None:
        """Bounded memory, an end of everything within days, and nothing held of what the program let go."""
        host, held = self.host, weight(self.host)
        figures = host.statistics()
        count = figures["connections"] + figures["half_open"] + figures["time_wait"] + len(self.connections)
        bound = ALLOWANCE + EACH * count + 4 * self.memory_limit
        assert held <= bound, f"{held} octets are referenced where {bound} are explained: {figures}"
        for listener in self.listeners:
            listener.close(self.now)
        for connection in self.connections:
            connection.release(self.now)
        self.connections.clear()
        self.drain()
        for _ in range(100_000):
            deadline = host.next_timeout()
            if deadline == NEVER:
                break
            self.now = max(self.now, deadline)
            host.handle_timeout(self.now)
            self.drain()
        else:
            raise AssertionError(f"timers without an end: {list(host.connections())[:5]}")
        assert host.statistics()["connections"] == 0, list(host.connections())[:5]
        gc.collect(0)
        assert host.memory.used == 0, host.statistics()

    def host_changes(self) -> None:
        """A listener is closed and another takes its port; the address of the other connections goes, or
        comes again; the MTU changes.
        """
        draw, host, now = self.draw, self.host, self.now
        roll = draw.randrange(4)
        if roll == 0:
            index = draw.randrange(len(LISTENING))
            self.listeners[index].close(now)
            self.listeners[index] = host.listen(
                LISTENING[index], now, backlog=draw.choice((1, 4, 40)), config=self.config()
            )
        elif roll == 1:
            host.set_mtu(draw.choice((1280, 1400, 1500)), now)
        elif roll == 2:
            with suppress(TcpError):  # it may be gone already
                host.remove_address("10.0.0.1", now)
        else:
            host.add_address("10.0.0.1/24")

    # The program

    def user_acts(self) -> None:
        draw, now = self.draw, self.now
        roll = draw.random()
        if roll < 0.25 or not self.connections:
            for listener in self.listeners:
                if (connection := listener.accept()) is not None:
                    self.connections.append(connection)
            if roll < 0.02 or len(self.connections) < 5:
                self.open()
            return
        connection = draw.choice(self.connections)
        with suppress(TcpError):  # the call was not for this state, and said so
            self.call(connection, draw.random(), now)
        if connection.state.name == "CLOSED" and draw.random() < 0.5:
            self.connections.remove(connection)
            connection.release(now)

    def call(self, connection: Connection, roll: float, now: int) -> None:
        draw = self.draw
        if roll < 0.4:
            connection.send(draw.randbytes(draw.choice((1, 100, 5000))), now, urgent=draw.random() < 0.1)
        elif roll < 0.7:
            connection.receive(draw.choice((1, 100, 1 << 20)), now)
        elif roll < 0.75:
            connection.receive_into(bytearray(draw.choice((1, 1000))), now)
        elif roll < 0.85:
            connection.close(now)
        elif roll < 0.9:
            connection.configure(self.config(), now)
        elif roll < 0.95:
            connection.status(now)
        elif roll < 0.98:
            connection.release(now)
            connection.receive(1, now)  # which may raise, and may not hurt
        else:
            connection.abort(now)

    def open(self) -> None:
        draw = self.draw
        address = draw.choice(("10.0.0.9", "fd00::9", "10.0.0.9", "10.0.0.1"))
        try:
            opened = self.host.connect(
                address, draw.choice((80, 9, 81)), self.now, data=draw.choice((b"", b"", b"x" * 100))
            )
        except (TcpError, OSError):
            return
        self.connections.append(opened)

    # The peer

    def near(self, number: int) -> int:
        draw = self.draw
        if draw.random() < self.exactness:
            return number & 0xFFFFFFFF
        return (
            number + draw.choice((1, -1, 2, draw.randrange(-3000, 70000), draw.getrandbits(32), 1 << 31))
        ) & 0xFFFFFFFF

    def near_segment(self) -> bytes:
        draw = self.draw
        if not self.keys:
            return self.fresh_syn()
        key = draw.choice(self.keys[-20:] if draw.random() < 0.7 else self.keys)
        known = self.numbers[key]
        half = (len(key) - 4) // 2
        source, target = key[:half], key[half:-4]
        data = draw.randbytes(draw.choice((0, 0, 0, 1, 10, 1460)))
        made = Segment(
            int.from_bytes(key[-4:-2], "big"),
            int.from_bytes(key[-2:], "big"),
            self.near(known.ack),
            self.near(known.next),
            draw.choice(self.flags),
            draw.choice((0, 1, 100, 65535)),
            data,
            draw.choice((0, 1, 65535)),
        )
        self.decorate(made)
        return self.packet(made, source, target)

    def decorate(self, made: Segment) -> None:
        draw = self.draw
        roll = draw.random()
        if roll < 0.5:
            made.tsval = (self.now // 1000 + draw.choice((0, 0, 1, -5000, 1 << 31))) & 0xFFFFFFFF
            made.tsecr = draw.choice((0, draw.getrandbits(32)))
        elif roll < 0.7:
            start = self.near(draw.choice(tuple(self.numbers.values())).next) if self.numbers else 0
            made.sack = tuple(
                ((start + 100 * i) & 0xFFFFFFFF, (start + 100 * i + draw.randrange(200)) & 0xFFFFFFFF)
                for i in range(draw.randrange(4))
            )
        elif roll < 0.8:
            made.other = (
                (draw.choice((3, 5, 8, 28, 29, 34, 172, 174, 254)), draw.randbytes(draw.randrange(13))),
            )
        made.flags ^= draw.choice((0, 0, 0, ECE, CWR, AE, AE | CWR, AE | CWR | ECE))

    def fresh_syn(self) -> bytes:
        """A SYN with options of any shape: well formed, unaligned, cut short, or noise."""
        draw = self.draw
        family = draw.randrange(2)
        port = 1024 + draw.randrange(draw.choice((4, 300, 60000)))
        made = Segment(
            port,
            draw.choice((*LISTENING, 7)),
            draw.getrandbits(32),
            0,
            SYN,
            draw.choice((0, 1, 65535)),
            draw.randbytes(draw.choice((0, 0, 0, 30))),
        )
        made.flags |= draw.choice((0, 0, 0, ECE | CWR, AE | ECE | CWR, FIN, PSH))
        source, target = self.others[family], self.own[family]
        octets = bytearray(encode_for(made, source, target))
        octets[20:20] = tail = self.option_octets()
        octets[12] = (20 + len(tail)) // 4 << 4 | octets[12] & 0xF
        return self.whole(bytes(octets), source, target)

    def option_octets(self) -> bytes:
        draw = self.draw
        made = b""
        for _ in range(draw.randrange(7)):
            kind = draw.choice(
                (1, 2, 2, 2, 3, 4, 5, 8, 14, 19, 28, 29, 30, 34, 172, 174, 253, 254, draw.randrange(256))
            )
            length = _RIGHT_LENGTHS.get(kind, 4) if draw.random() < 0.9 else draw.randrange(14)
            made += bytes((kind,)) if kind < 2 else bytes((kind, length)) + draw.randbytes(max(0, length - 2))
        made += draw.choice((b"", b"", b"\xfd" + bytes((draw.randrange(2, 41),)))) + draw.randbytes(
            draw.choice((0, 0, 38))
        )
        made = made[:40]
        return made + draw.choice((b"\0", b"\1", b"\2")) * (-len(made) % 4)

    def mutation(self) -> bytes:
        draw = self.draw
        octets = bytearray(
            draw.choice(self.sent) if self.sent and draw.random() < 0.5 else self.near_segment()
        )
        for _ in range(draw.randrange(1, 4)):
            at = draw.randrange(len(octets) + 1)
            move = draw.randrange(3)
            if move == 0 and at < len(octets):
                octets[at] = draw.randrange(256)
            elif move == 1:
                octets[at:at] = draw.randbytes(draw.randrange(1, 9))
            else:
                del octets[at : at + draw.randrange(1, 9)]
        return mended(octets) if draw.random() < 0.7 else bytes(octets)

    def echo_of_own(self) -> bytes:
        """A packet of the host's own, sent back to it."""
        if not self.sent:
            return self.noise()
        packet = self.draw.choice(self.sent)
        if packet[0] == 0x45 and len(packet) >= 24:
            return mended(
                bytearray(
                    packet[:12] + packet[16:20] + packet[12:16] + packet[22:24] + packet[20:22] + packet[24:]
                )
            )
        return packet

    def message(self) -> bytes:
        """ICMP, most of it an error about what the host sent."""
        draw = self.draw
        family = draw.randrange(2)
        quoted = draw.choice(self.sent) if self.sent else draw.randbytes(40)
        if draw.random() < 0.2:
            quoted = quoted[: draw.randrange(60)]
        kind = draw.choice((3, 3, 3, 4, 5, 8, 11, 12, 13) if family == 0 else (1, 1, 2, 3, 4, 128, 133, 137))
        body = (
            bytes((kind, draw.randrange(6), 0, 0))
            + draw.choice((bytes(4), draw.randbytes(4), b"\0\0\2\0"))
            + quoted
        )
        protocol = icmp.PROTOCOL_4 if family == 0 else icmp.PROTOCOL_6
        source, target = self.others[family], self.own[family]
        value = (
            checksum.ones_complement(body)
            if family == 0
            else checksum.of_payload(body, source, target, protocol)
        )
        return ip.encode(source, target, protocol, body[:2] + value.to_bytes(2, "big") + body[4:])

    def datagram(self) -> bytes:
        draw = self.draw
        family = draw.randrange(2)
        source, target = self.others[family], self.own[family]
        payload = udp.encode_for(
            udp.Datagram(
                draw.choice((0, 7, 53)), draw.choice((53, 53, 9, 0)), draw.randbytes(draw.randrange(60))
            ),
            source,
            target,
        )
        return ip.encode(source, target, udp.PROTOCOL, payload)

    def fragment(self) -> bytes:
        draw = self.draw
        family = draw.randrange(2)
        pieces = ip.fragments(
            self.others[family],
            self.own[family],
            draw.choice((17, 6, 1, 58)),
            draw.randbytes(draw.randrange(8, 3000)),
            draw.choice((1280, 1500)),
        )
        octets = bytearray(draw.choice(pieces))
        if draw.random() < 0.5:
            octets[draw.randrange(len(octets))] = draw.randrange(256)
        return mended(octets)

    def chain(self) -> bytes:
        """IPv6 with a chain of extension headers, IPv4 with options, of any shape."""
        draw = self.draw
        if draw.random() < 0.5:
            headers = [draw.choice(HEADERS) for _ in range(draw.randrange(1, 5))]
            octets = b""
            for following in (*headers[1:], draw.choice((6, 17, 58, 59, 200))):
                length = draw.choice((0, 0, 0, 1, 200))
                octets += bytes((following, length)) + draw.randbytes(6 + 8 * min(length, 2))
            octets += draw.randbytes(draw.randrange(40))
            head = b"\x60\0\0\0" + len(octets).to_bytes(2, "big") + bytes((headers[0], 64))
            return head + self.others[1] + self.own[1] + octets
        tail = draw.randbytes(4 * draw.randrange(1, 11))
        if draw.random() < 0.7:
            tail = (
                bytes(
                    (
                        draw.choice((7, 68, 131, 137, 148, 0, 1)),
                        draw.choice((3, 4, 7, 8, 40)),
                        draw.choice((4, 5, 9)),
                    )
                )
                + tail[3:]
            )
        payload = draw.randbytes(draw.randrange(60))
        octets = bytearray(
            ip.encode(self.others[0], self.own[0], draw.choice((1, 6, 17, 99)), tail + payload)
        )
        octets[0] = 0x45 + len(tail) // 4
        return mended(octets)

    def noise(self) -> bytes:
        draw = self.draw
        octets = draw.randbytes(draw.randrange(90))
        return draw.choice((octets, b"\x45" + octets[1:], b"\x60" + octets[1:]))

    def parcel(self, packet: bytes) -> None:
        """As a link gives it that joins segments and vouches for their checksums."""
        draw = self.draw
        cut = headers_of(packet) if draw.random() < 0.7 else len(packet)
        stride = draw.choice((0, 0, 1, 500, 1460))
        self.host.parcel_arrives(
            Parcel(packet[:cut], packet[cut:], stride=stride, is_vouched=draw.random() < 0.7), self.now
        )

    def packet(self, made: Segment, source: bytes, target: bytes) -> bytes:
        try:
            return self.whole(
                encode_for(made, source, target, self.draw.choice((options.ALIGNED, options.PACKED))),
                source,
                target,
            )
        except (TcpError, ValueError, OverflowError):
            return self.noise()  # options that have no room

    def whole(self, octets: bytes, source: bytes, target: bytes) -> bytes:
        made = bytearray(octets)
        if len(made) > 18:
            made[16:18] = b"\0\0"
            made[16:18] = checksum.of_payload(bytes(made), source, target, PROTOCOL).to_bytes(2, "big")
        return ip.encode(source, target, PROTOCOL, bytes(made))


_RIGHT_LENGTHS = {2: 4, 3: 3, 4: 2, 5: 10, 8: 10, 28: 4, 34: 10, 172: 11, 174: 8, 19: 18, 29: 16}


def mended(octets: bytearray) -> bytes:
    """With the lengths and checksums that a plain IPv4 header and its TCP segment must have."""
    header = (octets[0] & 0xF) * 4 if octets else 0
    if len(octets) < 20 or octets[0] >> 4 != 4 or not 20 <= header <= len(octets) or len(octets) > 0xFFFF:
        return bytes(octets)
    octets[2:4] = len(octets).to_bytes(2, "big")
    octets[10:12] = b"\0\0"
    octets[10:12] = checksum.ones_complement(bytes(octets[:header])).to_bytes(2, "big")
    if octets[9] == PROTOCOL and len(octets) >= header + 20:
        octets[header + 16 : header + 18] = b"\0\0"
        value = checksum.of_payload(
            bytes(octets[header:]), bytes(octets[12:16]), bytes(octets[16:20]), PROTOCOL
        )
        octets[header + 16 : header + 18] = value.to_bytes(2, "big")
    return bytes(octets)


def headers_of(packet: bytes) -> int:
    """Octets of a plain TCP packet's headers; of any other all that it has."""
    start = (
        20
        if packet[:1] == b"\x45" and packet[9:10] == b"\x06"
        else 40
        if packet[6:7] == b"\x06"
        else len(packet)
    )
    return (
        min(len(packet), start + (packet[start + 12] >> 4 << 2)) if len(packet) >= start + 20 else len(packet)
    )


def weight(root: object) -> int:
    """Octets of every object that ``root`` references, directly or not; modules, types and functions are
    everybody's.
    """
    shared = (type, type(sys), type(weight), type(len))
    seen: set[int] = {id(root)}
    stack, total = [root], 0
    while stack:
        item = stack.pop()
        total += sys.getsizeof(item)
        for other in gc.get_referents(item):
            if id(other) not in seen and not isinstance(other, shared):
                seen.add(id(other))
                stack.append(other)
    return total


def barrage(packets: int, seed: int) -> Counter[str]:
    """Play rounds until ``packets`` have arrived. Returns how often each state was looked at; raises what a
    round raises, with its seed.
    """
    seen: Counter[str] = Counter()
    while seen["packets"] < packets:
        played = Barrage(seed)
        try:
            seen["packets"] += played.play(min(ROUND, packets - seen["packets"]))
        except BaseException as error:
            error.add_note(f"barrage: seed {seed}, packet {played.arrived}")
            raise
        seen += played.seen
        seed += 1
    return seen
