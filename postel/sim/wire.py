"""Link between a host of a world and the network that drives the host on a loop in virtual time."""

import errno
from collections import deque

from postel.errors import ArgumentError, LinkError
from postel.host.host import Host, HostEvent
from postel.host.routes import Routes
from postel.links.contract import Link, closed, too_large
from postel.sim.world import World


class Wire(Link):
    """Link of the network that drives a host of a world on a loop in virtual time.

    The wire receives the packets that arrive at the host in the world. When the host crashes
    (`World.crash`), the wire ends for good: every call but `close` raises `LinkError`. ``readable`` has the
    descriptors of all wires of the loop that have packets to receive. The wire tells the world of a packet
    that couldn't leave at once, so that the world need not ask the wire.
    """

    rings = True

    def __init__(self, world: World, host: Host, descriptor: int, readable: dict[int, None]) -> None:
        """Make a wire with a descriptor that only the loop's selector knows."""
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
        # Internals of the world: a packet leaves at once, unless another one has to leave first
        self._running, self._node = world._running, world._one(host)  # noqa: SLF001 - of this package

    def attached(self, routes: Routes) -> None:
        """Let the wire get the packets for the host, because a network uses the wire now.

        Raises ArgumentError for another host.
        """
        if routes is not self.host.routes:
            raise ArgumentError("host", routes, "the host to which this wire belongs")
        self._world.front(self.host, self, on_crash=self._crashed, hears_later=True)
        self._is_in_front = True

    def hold(self) -> None:
        """Let arriving packets wait until `let_go`."""
        self._is_held = True
        self._readable.pop(self._descriptor, None)

    def let_go(self) -> None:
        """Give the network the packets that have waited."""
        self._is_held = False
        if self._arrived and self._descriptor >= 0:
            self._readable[self._descriptor] = None

    def _crashed(self) -> None:
        self._has_crashed = True
        self._is_in_front = False
        self._arrived.clear()
        self._leaving.clear()
        if self._descriptor >= 0:
            # So the network calls `receive`, and learns that the wire has ended
            self._readable[self._descriptor] = None

    # The link

    def fileno(self) -> int:
        """Descriptor that the loop's selector knows; -1 once the wire is closed."""
        return self._descriptor

    def receive(self, now: int) -> bytes | None:
        """Return the packet that has waited longest; None if none waits. Raises LinkError, LinkClosed."""
        if self._has_crashed:
            raise _host_crashed()
        if self._arrived:
            octets = self._arrived.popleft()
            self._world.hears(octets)
            return octets
        if self._descriptor < 0:
            raise closed("wire")
        self._readable.pop(self._descriptor, None)
        return None

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        """Send a packet at once, so that the observer learns its fate before the next packet leaves.

        Raises LinkError, LinkClosed.
        """
        if len(packet) > self.mtu:
            raise too_large(len(packet), self.mtu)
        if self._descriptor < 0:
            raise closed("wire")
        if self._has_crashed:
            raise _host_crashed()
        is_first = self._node.stack is self and not self._leaving
        if not is_first or not self._running.send(self._node, packet):
            self._leaving.append(packet)
            self._running.ask(self._node)
        return True

    def close(self) -> None:
        """Close the wire. The host continues without a network, for example until TIME-WAIT has ended."""
        self.notify()
        if self._descriptor >= 0:
            self._readable.pop(self._descriptor, None)
            self._descriptor = -1
            self._arrived.clear()
            if self._is_in_front:
                self._is_in_front = False
                self._world.front(self.host, self.host)
                self._world.pump()

    # Methods of `Stack`, which the world calls in place of the host's. The loop serves the host's timers and
    # events, so `next_timeout` and `handle_timeout` are those of a link without timers.

    @property
    def has_output(self) -> bool:
        """Whether a packet waits to leave."""
        return bool(self._leaving)

    def packet_arrives(self, octets: bytes, now: int) -> None:
        """Keep a packet that has arrived, until the network receives it."""
        self._arrived.append(octets)
        if not self._is_held:
            self._readable[self._descriptor] = None

    def next_packet(self, now: int) -> bytes | None:
        """Packet that has waited longest to leave; None if no packet waits."""
        return self._leaving.popleft() if self._leaving else None

    def next_event(self) -> HostEvent | None:
        """Return None, because the network takes the host's events."""
        return None


def _host_crashed() -> LinkError:
    """Make the error that each call of the wire raises after a crash of its host."""
    return LinkError(
        errno.ENETDOWN, "the host has crashed: its old network is gone, attach the restarted host"
    )
