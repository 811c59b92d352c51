"""The link between a host of a world and the network that drives the host on a loop in virtual time."""

import errno
from collections import deque

from postel.errors import ArgumentError, LinkError
from postel.host.host import Host, HostEvent
from postel.host.routes import Routes
from postel.links.contract import Link, closed, too_large
from postel.sim.world import World
from postel.times import NEVER


class Wire(Link):
    """Stands for a host in its place in the world, and is the link of the network that drives the host: what
    arrives there is received here. When the host is restarted (`World.restart`), the wire is gone for good:
    every call but `close` raises `LinkError`.

    It rings the host's bell when it has a packet, so that the world need not ask it. ``readable`` is the
    loop's list of descriptors whose wires have something to receive.
    """

    rings = True

    def __init__(self, world: World, host: Host, descriptor: int, readable: dict[int, None]) -> None:
        self.mtu: int = host.routes.mtu
        self.host = host
        self._world = world
        self._descriptor = descriptor
        self._readable = readable
        self._arrived: deque[bytes] = deque()
        self._leaving: deque[bytes] = deque()
        self._has_crashed = False
        self._is_in_front = False
        self._is_held = False

    def attached(self, routes: Routes) -> None:
        if routes is not self.host.routes:
            raise ArgumentError("host", routes, "the host to which this wire belongs")
        self._world.front(self.host, self, on_crash=self._crashed, hears_later=True)
        self._is_in_front = True

    def hold(self) -> None:
        """Let what arrives wait, unheard, until `let_go`."""
        self._is_held = True
        self._readable.pop(self._descriptor, None)

    def let_go(self) -> None:
        """What waits is heard now."""
        self._is_held = False
        if self._arrived and self._descriptor >= 0:
            self._readable[self._descriptor] = None

    def _crashed(self) -> None:
        self._has_crashed = True
        self._is_in_front = False
        self._arrived.clear()
        self._leaving.clear()
        if self._descriptor >= 0:
            self._readable[self._descriptor] = None  # so that the network hears of its end

    def _require_host(self) -> None:
        if self._has_crashed:
            raise LinkError(
                errno.ENETDOWN, "the host was restarted: its old network is gone, attach the new host"
            )

    # The link

    def fileno(self) -> int:
        return self._descriptor

    def receive(self, now: int) -> bytes | None:
        self._require_host()
        if self._arrived:
            octets = self._arrived.popleft()
            self._world.hears(octets)
            return octets
        if self._descriptor < 0:
            raise closed("wire")
        self._readable.pop(self._descriptor, None)
        return None

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        """Carried at once: an observer is told of each packet what becomes of it before it is told of the
        next.
        """
        if len(packet) > self.mtu:
            raise too_large(len(packet), self.mtu)
        if self._descriptor < 0:
            raise closed("wire")
        self._require_host()
        self._leaving.append(packet)
        self.host.bell.ring()
        self._world.pump()
        return True

    def close(self) -> None:
        """The host goes on by itself, where it has something to do yet: TIME-WAIT ends."""
        self.notify()
        if self._descriptor >= 0:
            self._readable.pop(self._descriptor, None)
            self._descriptor = -1
            self._arrived.clear()
            if self._is_in_front:
                self._is_in_front = False
                self._world.front(self.host, self.host)
                self._world.pump()

    # The stack

    @property
    def has_output(self) -> bool:
        return bool(self._leaving)

    def packet_arrives(self, octets: bytes, now: int) -> None:
        self._arrived.append(octets)
        if not self._is_held:
            self._readable[self._descriptor] = None

    def next_packet(self, now: int) -> bytes | None:
        return self._leaving.popleft() if self._leaving else None

    def next_event(self) -> HostEvent | None:
        return None

    def next_timeout(self) -> int:
        return NEVER

    def handle_timeout(self, now: int) -> None:
        """The loop's timers are the host's."""
