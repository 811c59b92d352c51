"""Two kinds of drivers that share one 127.0.0.1: event loops, each with a host of its own, and a thread with
the blocking sockets' host.

A machine has one loopback network, and CPython's tests connect blocking sockets to loops by it. Each driver
here drives a host alone, so a packet to 127.0.0.1 or ::1 goes to whichever host has the port: the sender's
own first, then the others by the link that all share.
"""

import sys
from collections import deque
from pathlib import Path
from threading import Lock
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from postel.errors import AddressInUse, LinkClosed
from postel.host.host import Host
from postel.host.listener import AnyPort, Listener
from postel.links import Link
from postel.wire.address import Endpoint, is_loopback

_TCP, _UDP = 6, 17


class SharingHost(Host):
    """Packets from the link are its own loopback's; what it sends to itself leaves by the link where another
    host has the port.
    """

    hub: "Hub"

    def next_packet(self, now: int) -> bytes | None:
        """As `Host.next_packet`, and what is for another host of the loopback network."""
        packet = super().next_packet(now)
        if packet is None and self._hand_over():
            packet = super().next_packet(now)
        return packet

    def handle_timeout(self, now: int) -> None:
        """As `Host.handle_timeout`, for what is this host's."""
        self._hand_over()
        super().handle_timeout(now)

    def _hand_over(self) -> bool:
        """Let packets leave that are for another host: whether there were any."""
        looped = self._outbound.looped
        others = [packet for packet in looped if self.hub.other_owner(packet, self) is not None]
        for packet in others:
            looped.remove(packet)
        self._outbound.queue.extend(others)
        return bool(others)

    def packet_arrives(self, octets: bytes, now: int, *, text: bytes = b"") -> None:
        """As if the host had sent it to itself."""
        self._any_packet(octets + text, now, is_looped=True)

    def listen(self, port: int | AnyPort, now: int, **options: Any) -> Listener:  # type: ignore[override]  # noqa: ANN401
        """As `Host.listen`. A port is taken where another host has it."""
        if not isinstance(port, AnyPort) and port and self.hub.is_taken(port, self):
            raise AddressInUse(f"another host of the same loopback network listens at port {port}")
        return super().listen(port, now, **options)

    def listens_at(self, port: int) -> bool:
        """Whether a listener has it."""
        return self._connections.passive.offers(port)

    def has_port(self, packet: "Headers") -> bool:
        """Whether a connection, a listener or a socket of this host is what the packet is for."""
        if packet.protocol == _UDP:
            return self._datagrams.find(packet.destination, packet.source) is not None
        if self._connections.passive.find(*packet.destination) is not None:
            return True
        return any(
            local == packet.destination and remote == packet.source
            for local, remote, _ in list(self.connections())
        )


class Headers:
    """Fields that decide which host gets a packet. An ICMP error is for the sender of what it quotes."""

    def __init__(self, packet: bytes) -> None:
        start, self.protocol, source, destination = _network_layer(packet)
        if self.protocol in (_TCP, _UDP):
            ports = packet[start : start + 4]
            self.source = Endpoint(source, int.from_bytes(ports[:2], "big"))
            self.destination = Endpoint(destination, int.from_bytes(ports[2:], "big"))
        else:
            quoted = Headers(packet[start + 8 :])
            self.protocol, self.source, self.destination = quoted.protocol, quoted.destination, quoted.source


def _network_layer(packet: bytes) -> tuple[int, int, bytes, bytes]:
    if packet[0] >> 4 == 4:
        return 4 * (packet[0] & 15), packet[9], packet[12:16], packet[16:20]
    return 40, packet[6], packet[8:24], packet[24:40]


class Hub:
    """All hosts that share the loopback network."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._joined: list[tuple[SharingHost, HubLink]] = []

    def join(self, *addresses: str) -> "tuple[SharingHost, HubLink]":
        """A host and its link, each for a driver of its own."""
        host = SharingHost(*addresses, secret=addresses[0].encode())
        host.hub = self
        link = HubLink(self, host)
        with self._lock:
            self._joined.append((host, link))
        return host, link

    def is_taken(self, port: int, asking: SharingHost) -> bool:
        """Whether a host other than the one that asks listens there."""
        with self._lock:
            return any(host.listens_at(port) for host, _ in self._joined if host is not asking)

    def leave(self, link: "HubLink") -> None:
        """The driver of the link has ended."""
        with self._lock:
            self._joined = [(host, other) for host, other in self._joined if other is not link]

    def other_owner(self, packet: bytes, sender: SharingHost) -> "HubLink | None":
        """The link to the host that has the packet's port, where the sender doesn't."""
        headers = Headers(packet)
        if not is_loopback(headers.destination.address) or sender.has_port(headers):
            return None
        with self._lock:
            joined = list(self._joined)
        for host, link in joined:
            if host is not sender and _has_port(host, headers):
                return link
        return None


def _has_port(host: SharingHost, headers: Headers) -> bool:
    """Another thread may be changing the host's tables."""
    while True:
        try:
            return host.has_port(headers)
        except RuntimeError:
            continue


class HubLink(Link):
    """Carries packets between the hosts, in the threads of their drivers."""

    mtu = 65535

    def __init__(self, hub: Hub, host: SharingHost) -> None:
        self._hub = hub
        self._host = host
        self._arrived: deque[bytes] = deque()
        self._is_closed = False

    def receive(self, now: int) -> bytes | None:
        """As `Link.receive`."""
        if self._is_closed:
            raise LinkClosed(0, "the hub's link is closed")
        try:
            return self._arrived.popleft()
        except IndexError:
            return None

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        """As `Link.send`; a packet to a port that is closed by now is lost."""
        target = self._hub.other_owner(packet, self._host)
        if target is None:
            return False
        target.deliver(packet)
        return True

    def deliver(self, packet: bytes) -> None:
        """A packet from another host, in that one's thread."""
        self._arrived.append(packet)
        self.notify()

    def close(self) -> None:
        """As `Link.close`."""
        self.notify()
        self._is_closed = True
        self._hub.leave(self)
