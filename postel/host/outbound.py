"""Packets that no connection sends: datagrams, ICMP, resets; and the way back into the host for packets to
its own addresses.
"""

from collections import deque
from hashlib import blake2b
from typing import Final

from postel.host.counters import Counters
from postel.host.routes import Routes
from postel.tcp.bell import Bell
from postel.times import NEVER
from postel.wire import ip

MOST: Final = 1024  # packets that wait for the driver
_COUNTERS: Final = 256


class Outbound:
    __slots__ = ("_key", "_numbers", "bell", "counters", "looped", "looped_at", "queue", "routes")

    def __init__(self, routes: Routes, counters: Counters, secret: bytes, bell: Bell) -> None:
        self.routes: Routes = routes
        self.bell: Bell = bell
        self.queue: deque[bytes] = deque()
        self.looped: deque[bytes] = (
            deque()
        )  # to ourselves: taken in by the next `handle_timeout`, so nothing recurses
        self.looped_at: int = NEVER  # when that is due
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
        """Queue one packet, or its fragments where it is larger than the path carries. False: the queue is
        full.

        ``options`` are IPv4's, and such as belong into the first fragment alone.
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
        """What the host sends to itself is complete for now, and due."""
        self.looped_at = now if self.looped else NEVER

    def pop_looped(self) -> list[bytes]:
        """The packets of the host to itself, oldest first."""
        packets = list(self.looped)
        self.looped.clear()
        self.looped_at = NEVER
        return packets

    def forget(self, source: bytes) -> None:
        """Drop what waits to be sent from this address."""
        for queue in (self.queue, self.looped):
            kept = [octets for octets in queue if source_of(octets) != source]
            queue.clear()
            queue.extend(kept)

    def identification(self, source: bytes, destination: bytes) -> int:
        """What tells this packet's fragments from another's: a counter with a secret start for each pair (RFC
        7739, 5.3).

        16 bits for IPv4 (RFC 6864: only what may be fragmented needs one), 32 for IPv6.
        """
        digest = blake2b(source + destination, digest_size=8, key=self._key).digest()
        index = digest[4] % _COUNTERS
        self._numbers[index] += 1
        number = int.from_bytes(digest[:4], "big") + self._numbers[index]
        return number & (0xFFFF if len(source) == 4 else 0xFFFFFFFF)


def source_of(octets: bytes) -> bytes:
    """The source address of a packet that this host made."""
    return octets[12:16] if octets[0] >> 4 == 4 else octets[8:24]
