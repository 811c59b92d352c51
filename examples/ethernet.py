"""ARP over a toy Ethernet: two networks with a router between them, in virtual time and in asyncio.

The links resolve the addresses of neighbours (RFC 826), ask again by a timer, and keep a few packets for each
neighbour meanwhile (RFC 1122, 2.3.2). They carry IPv4 alone.
"""

import asyncio
import errno
from collections import deque
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network
from struct import Struct

from postel import Host, aio, sim
from postel.links import Link, LinkClosed, LinkError, Routes
from postel.times import MINUTE, NEVER, SECOND

BROADCAST = b"\xff" * 6
IPV4, ARP = b"\x08\x00", b"\x08\x06"
ARP_PACKET = Struct("!HHBBH6s4s6s4s")  # of Ethernet and IPv4
ARP_KIND = (1, 0x0800, 6, 4)
REQUEST, REPLY = 1, 2
ASK_AGAIN = SECOND  # RFC 1122, 2.3.2.1: at most one request a second for each neighbour
MOST_REQUESTS = 3
KEPT = 3  # packets for each neighbour that hasn't answered yet
LIFETIME = 20 * MINUTE  # of an address that was learned
QUEUE = 1000  # frames that may wait for the host


class Wire:
    """Everything that one port sends reaches all others, but frames that ``loses`` says are lost."""

    def __init__(self, loses: Callable[[bytes], bool] = lambda _frame: False) -> None:
        self.ports: list[Ethernet] = []
        self.frames: list[bytes] = []  # all that were sent
        self.loses = loses

    def carry(self, frame: bytes, sender: "Ethernet", now: int) -> None:
        self.frames.append(frame)
        if not self.loses(frame):
            for port in self.ports:
                if port is not sender and frame[:6] in (port.mac, BROADCAST):
                    port.frame_arrives(frame, now)


class Neighbour:
    """``mac`` is b"" while it is asked for; ``due`` is when to ask again, or when to forget it."""

    def __init__(self, due: int) -> None:
        self.mac = b""
        self.due = due
        self.requests = 1
        self.waiting: deque[bytes] = deque()


class Ethernet(Link):
    """A port with the address ``mac`` on ``wire``."""

    mtu = 1500
    needs_next_hop = True

    def __init__(self, wire: Wire, mac: bytes) -> None:
        self.mac = mac
        self.now = 0
        self._wire = wire
        self._frames: deque[bytes] = deque()
        self._neighbours: dict[bytes, Neighbour] = {}
        self._routes: Routes
        self._is_closed = False
        wire.ports.append(self)

    def attached(self, routes: Routes) -> None:
        self._routes = routes

    def frame_arrives(self, frame: bytes, now: int) -> None:
        self.now = now
        if len(self._frames) >= QUEUE:
            self.lost += 1
            return
        self._frames.append(frame)
        self.notify()

    def receive(self, now: int) -> bytes | None:
        self._require_open()
        while self._frames:
            frame = self._frames.popleft()
            if frame[12:14] == IPV4:
                return frame[14:]
            if frame[12:14] == ARP and len(frame) >= 14 + ARP_PACKET.size:
                self._arp_arrives(frame[14 : 14 + ARP_PACKET.size], now)
        return None

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        self._require_open()
        if len(packet) > self.mtu:
            raise LinkError(errno.EMSGSIZE, f"a packet of {len(packet)} octets for an Ethernet of {self.mtu}")
        if len(next_hop) != 4:
            self.lost += 1
            return False
        if next_hop[0] >> 4 == 14 or next_hop == b"\xff" * 4 or next_hop in self._routes.broadcasts:
            self._transmit(BROADCAST, IPV4, packet, now)
            return True
        self.handle_timeout(now)
        neighbour = self._neighbours.get(next_hop)
        if neighbour is not None and neighbour.mac:
            self._transmit(neighbour.mac, IPV4, packet, now)
            return True
        if neighbour is None:
            neighbour = self._neighbours[next_hop] = Neighbour(now + ASK_AGAIN)
            self._ask(next_hop, now)
            self.notify()  # there is a timer now
        return self._keep(neighbour, packet)

    def next_timeout(self) -> int:
        return min((neighbour.due for neighbour in self._neighbours.values()), default=NEVER)

    def handle_timeout(self, now: int) -> None:
        for address, neighbour in tuple(self._neighbours.items()):
            if neighbour.due > now:
                continue
            if neighbour.mac or neighbour.requests == MOST_REQUESTS:
                del self._neighbours[address]
                self.lost += len(neighbour.waiting)
            else:
                neighbour.requests += 1
                neighbour.due = now + ASK_AGAIN
                self._ask(address, now)

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self.notify()
            self._wire.ports.remove(self)
            self._neighbours.clear()

    def _require_open(self) -> None:
        if self._is_closed:
            raise LinkClosed(errno.EBADF, "the port is closed")

    def _keep(self, neighbour: Neighbour, packet: bytes) -> bool:
        """RFC 1122, 2.3.2.2: at least the latest packet is kept."""
        neighbour.waiting.append(packet)
        if len(neighbour.waiting) > KEPT:
            neighbour.waiting.popleft()
            self.lost += 1
        return True

    def _ask(self, address: bytes, now: int) -> None:
        own = self._routes.source_for(address)
        request = ARP_PACKET.pack(*ARP_KIND, REQUEST, self.mac, own, bytes(6), address)
        self._transmit(BROADCAST, ARP, request, now)

    def _arp_arrives(self, packet: bytes, now: int) -> None:
        """Update a known neighbour; learn a new one only from packets for this host (RFC 826)."""
        *kind, operation, mac, sender, _, target = ARP_PACKET.unpack(packet)
        if tuple(kind) != ARP_KIND or sender in self._routes.own:
            return
        is_for_us = target in self._routes.own
        if sender in self._neighbours or is_for_us:
            self._learn(sender, mac, now)
        if is_for_us and operation == REQUEST:
            self._transmit(mac, ARP, ARP_PACKET.pack(*ARP_KIND, REPLY, self.mac, target, mac, sender), now)

    def _learn(self, address: bytes, mac: bytes, now: int) -> None:
        neighbour = self._neighbours.setdefault(address, Neighbour(now))
        neighbour.mac, neighbour.due = mac, now + LIFETIME
        while neighbour.waiting:
            self._transmit(mac, IPV4, neighbour.waiting.popleft(), now)

    def _transmit(self, mac: bytes, kind: bytes, payload: bytes, now: int) -> None:
        self._wire.carry(mac + self.mac + kind + payload, self, now)


class Router:
    """Forwards packets between its ports, which are wires with an interface of the router on each."""

    def __init__(self, ports: Iterable[tuple[Wire, str]]) -> None:
        self.ports: list[tuple[Ethernet, IPv4Network]] = []
        for number, (wire, interface) in enumerate(ports):
            port = Ethernet(wire, bytes([2, 0, 0, 0, 1, number]))
            port.attached(Host(interface).routes)
            port.ready = lambda port=port: self.forward(port)  # type: ignore[misc]
            self.ports.append((port, IPv4Network(interface, strict=False)))

    def forward(self, port: Ethernet) -> None:
        while (packet := port.receive(port.now)) is not None:
            destination = IPv4Address(packet[16:20])
            for out, network in self.ports:
                if out is not port and destination in network and packet[8] > 1:
                    out.send(with_one_hop_less(packet), packet[16:20], port.now)


def with_one_hop_less(packet: bytes) -> bytes:
    """RFC 1141: the checksum of the header grows by what the TTL falls."""
    total = int.from_bytes(packet[10:12], "big") + 0x100
    checksum = (total + (total >> 16) & 0xFFFF).to_bytes(2, "big")
    return packet[:8] + bytes([packet[8] - 1]) + packet[9:10] + checksum + packet[12:]


def network(
    loses: Callable[[bytes], bool] = lambda _frame: False,
) -> tuple[tuple[Host, Ethernet], tuple[Host, Ethernet], Wire]:
    """Two hosts, each with its port, and the wire of the first; a router joins it to that of the second."""
    left, right = Wire(loses), Wire()
    Router([(left, "10.0.1.1/24"), (right, "10.0.2.1/24")])
    near, far = Host("10.0.1.2/24", gateway="10.0.1.1"), Host("10.0.2.2/24", gateway="10.0.2.1")
    return (
        (near, Ethernet(left, bytes([2, 0, 0, 0, 0, 1]))),
        (far, Ethernet(right, bytes([2, 0, 0, 0, 0, 2]))),
        left,
    )


async def ask(loses: Callable[[bytes], bool] = lambda _frame: False) -> str:
    (near, left), (far, right), _ = network(loses)
    async with aio.attach(near, left) as client, aio.attach(far, right) as server:
        await server.start_server(greet, port=80)
        reader, writer = await client.open_connection("10.0.2.2", 80)
        answer = await reader.read()
        writer.close()
    return answer.decode()


async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello from behind the router")
    writer.close()


def main() -> None:
    print("asyncio:", asyncio.run(ask()))
    world = sim.World(seed=1)
    near, far, wire = network()
    for host, link in (near, far):
        world.attach(host, link)
    far[0].listen(80, world.now)
    connection = near[0].connect("10.0.2.2", 80, world.now)
    world.run(until=SECOND)
    kinds = ", ".join("ARP" if frame[12:14] == ARP else "IP" for frame in wire.frames)
    print(f"a world: {connection.state} after {kinds}")


if __name__ == "__main__":
    main()
