"""Objects that a world may call instead of a host."""

from typing import Final, Protocol

from postel.host.host import HostEvent
from postel.times import NEVER


class Stack(Protocol):
    """Interface of a host, as the clock and the paths of a world need it. A `Host` has all of it."""

    @property
    def has_output(self) -> bool:
        """Whether `next_packet` may return a packet now, or `next_event` an event."""
        ...

    def packet_arrives(self, octets: bytes, now: int) -> None:
        """Take a packet from the network."""
        ...

    def next_packet(self, now: int) -> bytes | None:
        """Return a packet for the network; None where there is no more now."""
        ...

    def next_event(self) -> HostEvent | None:
        """Return the next event, after the object that it concerns; None if no event is left."""
        ...

    def next_timeout(self) -> int:
        """Time at which to call `handle_timeout`, in microseconds; NEVER for no call."""
        ...

    def handle_timeout(self, now: int) -> None:
        """Do what has become due by ``now``."""
        ...


class StandIn:
    """Base class of objects in front of a host (`World.front`). It passes everything on to ``stack``.

    Override the methods that are to behave differently.
    """

    def __init__(self, stack: Stack) -> None:
        """Make an object that passes everything on to ``stack``."""
        self.stack: Stack = stack

    @property
    def has_output(self) -> bool:
        """Whether ``stack`` has output."""
        return self.stack.has_output

    def packet_arrives(self, octets: bytes, now: int) -> None:
        """Pass a packet on to ``stack``."""
        self.stack.packet_arrives(octets, now)

    def next_packet(self, now: int) -> bytes | None:
        """Return the next packet of ``stack``."""
        return self.stack.next_packet(now)

    def next_event(self) -> HostEvent | None:
        """Return the next event of ``stack``."""
        return self.stack.next_event()

    def next_timeout(self) -> int:
        """Time at which ``stack`` has something to do, in microseconds."""
        return self.stack.next_timeout()

    def handle_timeout(self, now: int) -> None:
        """Let ``stack`` do what is due."""
        self.stack.handle_timeout(now)


class Nothing:
    """Stack that loses every packet, as a host that has crashed."""

    rings = True

    @property
    def has_output(self) -> bool:
        """Return False: there is no packet and no event."""
        return False

    def packet_arrives(self, octets: bytes, now: int) -> None:
        """Lose the packet."""

    def next_packet(self, now: int) -> bytes | None:
        """Return None: there is no packet."""
        return None

    def next_event(self) -> HostEvent | None:
        """Return None: there is no event."""
        return None

    def next_timeout(self) -> int:
        """Return NEVER: there is no timer."""
        return NEVER

    def handle_timeout(self, now: int) -> None:
        """Do nothing."""


NOTHING: Final = Nothing()
