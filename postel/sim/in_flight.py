"""Packet on its way between two hosts of a world, to look at and to interfere with by hand."""

from typing import Final, Protocol

from postel.errors import CallError, WireError
from postel.sim.units import Duration, duration, duration_text
from postel.times import NEVER
from postel.wire import icmp, ip, segment, udp
from postel.wire.segment import Segment

_NAMES: Final = {
    segment.PROTOCOL: "TCP",
    udp.PROTOCOL: "UDP",
    icmp.PROTOCOL_4: "ICMP",
    icmp.PROTOCOL_6: "ICMPv6",
}


class Diverter(Protocol):
    """Interface of a world, as a packet under way needs it."""

    @property
    def now(self) -> int:
        """Time of the world's clock, in microseconds."""
        ...

    def is_under_way(self, packet: "InFlight") -> bool:
        """Whether the packet has neither arrived nor been lost."""
        ...

    def divert(self, packet: "InFlight", when: int) -> None:
        """Let the packet arrive at another time."""
        ...

    def intercept(self, packet: "InFlight", why: str) -> None:
        """Lose the packet."""
        ...


class InFlight:
    """Packet under way, as `World.in_flight` lists it.

    ``sender`` and ``receiver`` are the names of the hosts, ``octets`` the packet as it will be delivered.
    ``sent_at`` and ``arrives_at`` are times of the world's clock in microseconds; ``arrives_at`` is NEVER
    while the packet is held.
    """

    def __init__(
        self,
        way: Diverter,
        number: int,
        sender: str,
        receiver: str,
        octets: bytes,
        sent_at: int,
        arrives_at: int,
    ) -> None:
        """Describe a packet. The world calls this."""
        self.sender = sender
        self.receiver = receiver
        self.octets = octets
        self.sent_at = sent_at
        self.arrives_at = arrives_at
        self.number = number
        self._way = way

    @property
    def is_held(self) -> bool:
        """Whether the packet waits for `World.release` or `deliver`."""
        return self.arrives_at == NEVER

    @property
    def segment(self) -> Segment | None:
        """TCP segment inside; None where there is none, or only a fragment of one."""
        return segment_of(self.octets)

    @property
    def summary(self) -> str:
        """Content in a line: "1024 > 80 <SYN seq=1 win=65535 len=0>", or "UDP 53 > 1024, 40 octets"."""
        return summary_of(self.octets)

    def deliver(self) -> None:
        """Let the packet arrive now, even if a hold or a delay keeps it.

        Raises CallError if the packet has arrived or was lost before.
        """
        self._require_under_way("deliver")
        self._way.divert(self, self._way.now)

    def drop(self) -> None:
        """Lose the packet. Raises CallError where it is no longer under way."""
        self._require_under_way("drop")
        self._way.intercept(self, "dropped by hand")

    def delay(self, by: Duration) -> None:
        """Let the packet arrive later by the time ``by``, in microseconds or as text ("2s").

        A held packet arrives when the time ``by`` has passed from now. Raises ArgumentError, and CallError if
        the packet is no longer under way.
        """
        by = duration(by, "by")
        self._require_under_way("delay")
        self._way.divert(self, (self._way.now if self.is_held else self.arrives_at) + by)

    def _require_under_way(self, call: str) -> None:
        if not self._way.is_under_way(self):
            raise CallError(f"{call}: the packet is no longer under way: {self!r}")

    def __repr__(self) -> str:
        """Sender, receiver, content and times of the packet."""
        arrives = "held" if self.is_held else f"arrives at {duration_text(self.arrives_at)}"
        return (
            f"<{self.sender} -> {self.receiver} {self.summary}, sent at {duration_text(self.sent_at)}, "
            f"{arrives}>"
        )


def segment_of(octets: bytes) -> Segment | None:
    """TCP segment in a packet; None where there is none, or only a fragment of one."""
    try:
        packet = ip.parse(octets)
        if packet.protocol != segment.PROTOCOL or packet.is_fragment:
            return None
        return segment.parse_leniently(packet.octets, packet.start, packet.end)
    except WireError:
        return None


def summary_of(octets: bytes) -> str:
    """Content of a packet in a line."""
    found = segment_of(octets)
    if found is not None:
        return f"{found.source} > {found.destination} {found!r}"
    try:
        packet = ip.parse(octets)
        if packet.protocol == udp.PROTOCOL and not packet.is_fragment:
            datagram = udp.parse(packet, verify=False)
            return f"UDP {datagram.source} > {datagram.destination}, {len(datagram.data)} octets"
    except WireError:
        return f"{len(octets)} octets that are no packet"
    name = _NAMES.get(packet.protocol, f"protocol {packet.protocol}")
    return f"{'fragment of ' if packet.is_fragment else ''}{name}, {packet.end - packet.start} octets"
