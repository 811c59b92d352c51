"""Two hosts joined by a pump, or one host and a peer that sends whatever it likes. Virtual time; nothing is
lost unless a test says so.
"""

from collections.abc import Callable
from typing import Any

import pytest

from postel.host.host import Host
from postel.host.listener import Listener
from postel.tcp.connection import Connection
from postel.times import NEVER, SECOND
from postel.wire import icmp, ip, udp
from postel.wire.address import Endpoint, parse
from postel.wire.segment import ABSENT, PROTOCOL, Segment, encode_for
from postel.wire.segment import parse as parse_segment

START = 1000 * SECOND
MOST_PACKETS = 10_000  # in one pump: more is a storm


class Pair:
    """``left`` and ``right``; packets take no time. ``lose`` is asked of each packet: sender and octets."""

    def __init__(self, left: Host, right: Host) -> None:
        self.left = left
        self.right = right
        self.now = START
        self.lose: Callable[[Host, bytes], bool] = lambda _sender, _octets: False
        self.carried: list[tuple[Host, bytes]] = []
        self.events: list[tuple[Any, Any]] = []

    def pump(self) -> None:
        count = 0
        quiet = False
        while not quiet:
            quiet = True
            for sender, receiver in ((self.left, self.right), (self.right, self.left)):
                while (octets := sender.next_packet(self.now)) is not None:
                    count += 1
                    assert count < MOST_PACKETS, "a storm"
                    quiet = False
                    self.carried.append((sender, octets))
                    if not self.lose(sender, octets):
                        receiver.packet_arrives(octets, self.now)
        for host in (self.left, self.right):
            while (event := host.next_event()) is not None:
                self.events.append(event)

    def advance(self, duration: int) -> None:
        self.pump()
        end = self.now + duration
        while (deadline := min(self.left.next_timeout(), self.right.next_timeout())) <= end:
            self.now = max(self.now, deadline)
            self.left.handle_timeout(self.now)
            self.right.handle_timeout(self.now)
            self.pump()
        self.now = end

    def settle(self) -> None:
        """Until no timer is left."""
        while (deadline := min(self.left.next_timeout(), self.right.next_timeout())) < NEVER:
            self.advance(max(0, deadline - self.now))

    def connect(
        self, port: int = 80, address: str = "10.0.0.2", **options: object
    ) -> tuple[Connection, Connection, Listener]:
        """An established connection from left to right."""
        listener = self.right.listen(port, self.now)
        client = self.left.connect(address, port, self.now, **options)
        self.advance(0)
        server = listener.accept()
        assert server is not None
        self.advance(0)
        return client, server, listener

    def names(self, of: object) -> list[str]:
        return [type(event).__name__ for subject, event in self.events if subject is of]

    def take_names(self, of: object) -> list[str]:
        names = self.names(of)
        self.events = [entry for entry in self.events if entry[0] is not of]
        return names


class Peer:
    """Whoever sends to ``host`` from the link: segments, datagrams, messages or plain octets."""

    def __init__(self, host: Host, address: str = "10.0.0.9", target: str = "10.0.0.1") -> None:
        self.host = host
        self.address = parse(address)
        self.target = parse(target)
        self.now = START
        self.events: list[tuple[Any, Any]] = []

    def tcp(
        self,
        flags: int,
        *,
        seq: int = 1000,
        ack: int = 0,
        data: bytes = b"",
        window: int = 65535,
        port: int = 5000,
        to: int = 80,
        tsval: int = ABSENT,
        tsecr: int = ABSENT,
        source: bytes = b"",
        destination: bytes = b"",
        **options: object,
    ) -> bytes:
        """A packet with this segment."""
        segment = Segment(port, to, seq, ack, flags, window, data, tsval=tsval, tsecr=tsecr)
        for name, value in options.items():
            setattr(segment, name, value)
        source, destination = source or self.address, destination or self.target
        return ip.encode(source, destination, PROTOCOL, encode_for(segment, source, destination))

    def datagram(
        self, data: bytes, *, port: int = 5000, to: int = 53, destination: bytes = b"", **options: object
    ) -> bytes:
        destination = destination or self.target
        payload = udp.encode_for(udp.Datagram(port, to, data), self.address, destination)
        return ip.encode(self.address, destination, udp.PROTOCOL, payload, **options)

    def control(self, message: icmp.IcmpMessage, *, destination: bytes = b"") -> bytes:
        destination = destination or self.target
        protocol = icmp.PROTOCOL_4 if len(self.address) == 4 else icmp.PROTOCOL_6
        return ip.encode(self.address, destination, protocol, icmp.encode(message, self.address, destination))

    def give(self, *packets: bytes) -> list[bytes]:
        """Packets in; packets out, and events kept."""
        for octets in packets:
            self.host.packet_arrives(octets, self.now)
        return self.drain()

    def drain(self) -> list[bytes]:
        answers = []
        while (octets := self.host.next_packet(self.now)) is not None:
            answers.append(octets)
            assert len(answers) < MOST_PACKETS, "a storm"
        while (event := self.host.next_event()) is not None:
            self.events.append(event)
        return answers

    def advance(self, duration: int) -> list[bytes]:
        """Packets sent meanwhile."""
        answers = self.drain()
        end = self.now + duration
        while (deadline := self.host.next_timeout()) <= end:
            self.now = max(self.now, deadline)
            self.host.handle_timeout(self.now)
            answers += self.drain()
        self.now = end
        return answers

    def segments(self, packets: list[bytes]) -> list[Segment]:
        parsed = [ip.parse(octets) for octets in packets]
        return [
            parse_segment(packet.octets, packet.start, packet.end)
            for packet in parsed
            if packet.protocol == PROTOCOL
        ]

    def segment(self, packets: list[bytes]) -> Segment:
        (segment,) = self.segments(packets)
        return segment

    def messages(self, packets: list[bytes]) -> list[icmp.IcmpMessage]:
        parsed = [ip.parse(octets) for octets in packets]
        return [
            icmp.parse(packet) for packet in parsed if packet.protocol in (icmp.PROTOCOL_4, icmp.PROTOCOL_6)
        ]

    def dropped(self, reason: str) -> int:
        return self.host.statistics().get(f"dropped_{reason}", 0)

    def endpoint(self, port: int = 5000) -> Endpoint:
        return Endpoint(self.address, port)


def make_host(*addresses: str, secret: bytes = b"secret", **options: object) -> Host:
    return Host(*(addresses or ("10.0.0.1/24", "fd00::1/64")), secret=secret, **options)


def make_pair(**options: object) -> Pair:
    return Pair(
        make_host(secret=b"left", **options),
        make_host("10.0.0.2/24", "fd00::2/64", secret=b"right", **options),
    )


@pytest.fixture
def pair() -> Pair:
    return make_pair()


@pytest.fixture
def new_pair() -> Callable[..., Pair]:
    return make_pair


@pytest.fixture
def host() -> Host:
    return make_host()


@pytest.fixture
def new_host() -> Callable[..., Host]:
    return make_host


@pytest.fixture
def peer(host: Host) -> Peer:
    return Peer(host)


@pytest.fixture
def new_peer() -> type[Peer]:
    return Peer
