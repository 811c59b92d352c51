"""What the network of a world may find in the place of a host."""

from typing import Final, Protocol

from postel.host.host import HostEvent
from postel.times import NEVER


class Stack(Protocol):
    """What the clock and the paths need of a host."""

    @property
    def has_output(self) -> bool:
        """Whether `next_packet` or `next_event` may have something now."""
        ...

    def packet_arrives(self, octets: bytes, now: int) -> None:
        """A packet from the network."""
        ...

    def next_packet(self, now: int) -> bytes | None:
        """A packet for the network; None where there is no more now."""
        ...

    def next_event(self) -> HostEvent | None:
        """What happened, for the application; None where nothing is left to tell."""
        ...

    def next_timeout(self) -> int:
        """When to call `handle_timeout`; NEVER for no time."""
        ...

    def handle_timeout(self, now: int) -> None:
        """Do what has become due by ``now``."""
        ...


class StandIn:
    """Base class of what stands in front of a host, by `World.front`: all of it passes on to ``stack``.
    Override what is to differ.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack: Stack = stack

    @property
    def has_output(self) -> bool:
        """As `Stack.has_output`."""
        return self.stack.has_output

    def packet_arrives(self, octets: bytes, now: int) -> None:
        """As `Stack.packet_arrives`."""
        self.stack.packet_arrives(octets, now)

    def next_packet(self, now: int) -> bytes | None:
        """As `Stack.next_packet`."""
        return self.stack.next_packet(now)

    def next_event(self) -> HostEvent | None:
        """As `Stack.next_event`."""
        return self.stack.next_event()

    def next_timeout(self) -> int:
        """As `Stack.next_timeout`."""
        return self.stack.next_timeout()

    def handle_timeout(self, now: int) -> None:
        """As `Stack.handle_timeout`."""
        self.stack.handle_timeout(now)


class Nothing:
    """In the place of a host that has crashed: takes every packet, and answers none."""

    has_output: Final = False
    rings = True

    def packet_arrives(self, octets: bytes, now: int) -> None:
        """Nothing hears it."""

    def next_packet(self, now: int) -> bytes | None:
        """None."""
        return None

    def next_event(self) -> HostEvent | None:
        """None."""
        return None

    def next_timeout(self) -> int:
        """NEVER."""
        return NEVER

    def handle_timeout(self, now: int) -> None:
        """Nothing is due."""


NOTHING: Final = Nothing()
