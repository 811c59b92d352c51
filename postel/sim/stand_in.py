"""What the network of a world may find in the place of a host."""

from typing import Protocol

from postel.host.host import HostEvent


class Stack(Protocol):
    """What the clock and the paths need of a host."""

    def packet_arrives(self, octets: bytes, now: int) -> None: ...

    def next_packet(self, now: int) -> bytes | None: ...

    def next_event(self) -> HostEvent | None: ...

    def next_timeout(self) -> int: ...

    def handle_timeout(self, now: int) -> None: ...


class StandIn:
    """Base class of what stands in front of a host, by `World.front`: all of it passes on to ``stack``. Override what is to differ."""

    def __init__(self, stack: Stack) -> None:
        self.stack: Stack = stack

    def packet_arrives(self, octets: bytes, now: int) -> None:
        self.stack.packet_arrives(octets, now)

    def next_packet(self, now: int) -> bytes | None:
        return self.stack.next_packet(now)

    def next_event(self) -> HostEvent | None:
        return self.stack.next_event()

    def next_timeout(self) -> int:
        return self.stack.next_timeout()

    def handle_timeout(self, now: int) -> None:
        self.stack.handle_timeout(now)
