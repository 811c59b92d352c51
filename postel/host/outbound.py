"""Packets that no connection sends (datagrams, ICMP, resets), and packets of the host to itself."""

from collections import deque
from hashlib import blake2b
from typing import Final

from postel.host.counters import Counters
from postel.host.routes import Routes
from postel.tcp.bell import Bell
from postel.times import NEVER
from postel.wire import ip

MOST: Final = 1024  # most packets that wait for the driver
_COUNTERS: Final = 256  # number of counters of identifications; pairs of addresses share them


class Outbound:
    """Queues of packets that wait for the link, and for the host itself."""

    __slots__ = ("_key", "_numbers", "bell", "counters", "looped", "looped_at", "queue", "routes")

    def __init__(self, routes: Routes, counters: Counters, secret: bytes, bell: Bell) -> None:
        """Make empty queues. Identifications derive from ``secret``."""
        self.routes: Routes = routes
        self.bell: Bell = bell
        self.queue: deque[bytes] = deque()
        # Packets to the host itself. They arrive in the next `handle_timeout`, not at once, so that no call
        # recurses
        self.looped: deque[bytes] = deque()
        self.looped_at: int = NEVER  # when the packets in ``looped`` arrive, in microseconds
        self.counters: Counters = counters
        self._key = blake2b(secret, digest_size=32, person=b"identification").digest()
        self._numbers = [0] * _COUNTERS

    def send(
        self,
        source: bytes,
        destination: bytes,
        protocol: int,
        payload: bytes,
        now: int,
        *,
        hop_limit: int = 64,
        traffic_class: int = 0,
        options: bytes = b"",
    ) -> bool:
        """Queue one packet, or its fragments where it is larger than the path's MTU.

        ``options`` are IPv4 options that belong in the first fragment only. Returns False where the queue is
        full; the packet is then counted as dropped.
        """
        queue = self.looped if self.routes.loops(destination) else self.queue
        if len(queue) >= MOST:
            self.counters.drop("output_queue_full", payload, now)
            return False
        self.bell.ring()
        mtu = self.routes.mtu_to(destination, now) - len(options)
        first = len(queue)
        if len(payload) + (ip.HEADER_4 if len(source) == 4 else ip.HEADER_6) <= mtu:
            queue.append(
                ip.encode(
                    source, destination, protocol, payload, hop_limit=hop_limit, traffic_class=traffic_class
                )
            )
        else:
            number = self.identification(source, destination)
            queue.extend(
                ip.fragments(
                    source,
                    destination,
                    protocol,
                    payload,
                    mtu,
                    hop_limit=hop_limit,
                    traffic_class=traffic_class,
                    identification=number,
                )
            )
        if options:
            queue[first] = ip.with_options(queue[first], options)
        return True

    @property
    def has_output(self) -> bool:
        """Whether a packet waits for the driver, or for `let_looped_arrive`."""
        return bool(self.queue) or (bool(self.looped) and self.looped_at == NEVER)

    def let_looped_arrive(self, now: int) -> None:
        """Make the packets of the host to itself due ``now``."""
        self.looped_at = now if self.looped else NEVER

    def pop_looped(self) -> list[bytes]:
        """Remove and return the packets of the host to itself, oldest first."""
        packets = list(self.looped)
        self.looped.clear()
        self.looped_at = NEVER
        return packets

    def forget(self, source: bytes) -> None:
        """Drop the packets that wait to be sent from an address that the host has lost."""
        for queue in (self.queue, self.looped):
            kept = [octets for octets in queue if source_of(octets) != source]
            queue.clear()
            queue.extend(kept)

    def identification(self, source: bytes, destination: bytes) -> int:
        """Identification for the next packet of a pair of addresses that may be fragmented (RFC 7739, 5.3).

        The identification is a counter with a secret start for each pair: 16 bits for IPv4, where only
        packets that may be fragmented need one (RFC 6864), and 32 bits for IPv6.
        """
        digest = blake2b(source + destination, digest_size=8, key=self._key).digest()
        index = digest[4] % _COUNTERS
        self._numbers[index] += 1
        number = int.from_bytes(digest[:4], "big") + self._numbers[index]
        return number & (0xFFFF if len(source) == 4 else 0xFFFFFFFF)


def source_of(octets: bytes) -> bytes:
    """Source address of a packet that this host made."""
    return octets[12:16] if octets[0] >> 4 == 4 else octets[8:24]
