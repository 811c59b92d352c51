"""Observers of packets, and the link that calls them."""

from postel.errors import require_kind
from postel.links.around import Around
from postel.links.contract import Link
from postel.wire.parcel import Parcel, finished


class PacketObserver:
    """Base class of observers of packets. Every method does nothing: override those that you need.

    ``octets`` is one whole IP packet, as a wire carries it; ``now`` is the time, in microseconds, at which
    the packet passes the observed link. An observer must not change the link, nor raise.
    """

    def packet_sent(self, octets: bytes, now: int) -> None:
        """Note a packet that a host sends. It may still be lost."""

    def packet_arrived(self, octets: bytes, now: int) -> None:
        """Note a packet that arrived for a host, before the host processes it."""


class Observed(Around):
    """Link around ``link`` that calls ``observer`` with each packet, and changes none.

    Over an `Offloading` link parcels pass as they are. The observer gets the packets into which a parcel is
    cut. With ``joined`` it gets each parcel as one packet, as a capture on a Linux host shows it. Raises
    KindError for an ``observer`` that is no `PacketObserver`, and ArgumentError for a link in use.
    """

    def __init__(self, link: Link, observer: PacketObserver, *, joined: bool = False) -> None:
        """Put this link around ``link``, which no host or other link may use."""
        require_kind("observer", observer, PacketObserver, "a PacketObserver")
        super().__init__(link)
        self._observer = observer
        self._packets_of = _joined if joined else finished

    def receive(self, now: int) -> bytes | None:
        """Return the next packet, and call the observer with that packet."""
        packet = super().receive(now)
        if packet:
            self._observer.packet_arrived(packet, now)
        return packet

    def receive_parcel(self, now: int) -> Parcel | None:
        """Return the next parcel, and call the observer with the packets into which it is cut."""
        parcel = super().receive_parcel(now)
        if parcel is not None:
            for packet in self._packets_of(parcel):
                self._observer.packet_arrived(packet, now)
        return parcel

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        """Call the observer with ``packet``, and carry the packet. Returns False if it is lost."""
        self._observer.packet_sent(packet, now)
        return super().send(packet, next_hop, now)

    def send_parcel(self, parcel: Parcel, next_hop: bytes, now: int) -> bool:
        """Call the observer with the packets of ``parcel``, and carry it. Returns False if it is lost."""
        for packet in self._packets_of(parcel):
            self._observer.packet_sent(packet, now)
        return super().send_parcel(parcel, next_hop, now)


def _joined(parcel: Parcel) -> list[bytes]:
    """Return the parcel as one packet, with its checksum."""
    return finished(Parcel(parcel.head, parcel.text, start=parcel.start, field=parcel.field))
