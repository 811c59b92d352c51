"""Observers of packets, and the link around another one that calls them."""

from postel.errors import require_kind
from postel.links.around import Around
from postel.links.contract import Link
from postel.wire.parcel import Parcel, finished


class PacketObserver:
    """Base class of observers of packets: every method does nothing, so override the ones that you need.

    ``octets`` is one whole IP packet as a wire would carry it, and ``now`` the time at that link, in
    microseconds.
    """

    def packet_sent(self, octets: bytes, now: int) -> None:
        """A host sends the packet. Whether it arrives, the link doesn't know."""

    def packet_arrived(self, octets: bytes, now: int) -> None:
        """The packet arrived for a host, which has not looked at it yet."""


class Observed(Around):
    """A link around another one, ``link``, that tells ``observer`` of each packet. It changes none of them.

    Where ``link`` does a part of the work (`Offloading`), parcels pass as they are: the observer is told the
    packets that a wire would carry for them, one after another; with ``joined`` each parcel as one packet, as
    a capture on a Linux host shows it.
    """

    def __init__(self, link: Link, observer: PacketObserver, *, joined: bool = False) -> None:
        require_kind("observer", observer, PacketObserver, "a PacketObserver")
        super().__init__(link)
        self._observer = observer
        self._packets_of = _joined if joined else finished

    def receive(self, now: int) -> bytes | None:
        packet = super().receive(now)
        if packet:
            self._observer.packet_arrived(packet, now)
        return packet

    def receive_parcel(self, now: int) -> Parcel | None:
        parcel = super().receive_parcel(now)
        if parcel is not None:
            for packet in self._packets_of(parcel):
                self._observer.packet_arrived(packet, now)
        return parcel

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        self._observer.packet_sent(packet, now)
        return super().send(packet, next_hop, now)

    def send_parcel(self, parcel: Parcel, next_hop: bytes, now: int) -> bool:
        for packet in self._packets_of(parcel):
            self._observer.packet_sent(packet, now)
        return super().send_parcel(parcel, next_hop, now)


def _joined(parcel: Parcel) -> list[bytes]:
    """The parcel as one packet, its checksum computed."""
    return finished(Parcel(parcel.head, parcel.text, start=parcel.start, field=parcel.field))
