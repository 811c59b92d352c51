"""A link that tells of its packets: what a wire would carry, and nothing of it changed."""

from collections.abc import Callable

import pytest

from postel.host.host import Host
from postel.links import Link, Observed, Offloading, PacketObserver, pair
from postel.links.junction import Junction
from postel.times import MILLISECOND, SECOND
from postel.wire import ip, segment


class Watcher(PacketObserver):
    def __init__(self) -> None:
        self.packets: list[tuple[str, bytes, int]] = []

    def packet_sent(self, octets: bytes, now: int) -> None:
        self.packets.append(("sent", octets, now))

    def packet_arrived(self, octets: bytes, now: int) -> None:
        self.packets.append(("arrived", octets, now))


def host(number: int) -> Host:
    return Host(f"10.0.0.{number}/24", f"fd00::{number}/64", secret=bytes([number]))


def moved(
    address: str, octets: int, *, offload: bool, around: Callable[[Link], Link]
) -> list[tuple[int, bytes]]:
    """Everything that one end of a memory link received, while the other sent so many octets over a
    connection.
    """
    received: list[tuple[int, bytes]] = []
    left, right = pair(offload=offload)
    near, far = host(1), host(2)
    junctions = [Junction(near, around(left), bool), Junction(far, Kept(right, received), bool)]
    listener = far.listen(80, SECOND)
    connection, accepted, rest, now = near.connect(address, 80, SECOND), None, bytes(octets), SECOND
    for _ in range(400):
        rest = rest[connection.send(rest, now) :]
        for junction in junctions:
            junction.host.handle_timeout(now)
            junction.take_in(64, now)
            junction.send_out(64, now, print)
            while junction.host.next_event() is not None:
                pass
        accepted = accepted or listener.accept()
        if accepted is not None and octets:
            octets -= len(accepted.receive(octets, now))
        now += MILLISECOND
    assert octets == 0
    left.close()
    right.close()
    return received


class Kept(Observed):
    """Keeps what its host receives, packets and parcels as they are."""

    def __init__(self, link: Link, received: list[tuple[int, bytes]]) -> None:
        super().__init__(link, PacketObserver())
        self._received = received

    def receive(self, now: int) -> bytes | None:
        packet = super().receive(now)
        if packet is not None:
            self._received.append((now, packet))
        return packet

    def receive_parcel(self, now: int):
        parcel = super().receive_parcel(now)
        if parcel is not None:
            self._received.append((now, parcel.head + parcel.text))
        return parcel


@pytest.mark.parametrize("address", ["10.0.0.2", "fd00::2"])
@pytest.mark.parametrize("offload", [False, True])
def test_what_is_watched_is_what_a_wire_carries_and_nothing_changes(address: str, offload: bool) -> None:
    watcher = Watcher()
    plain = moved(address, 1 << 17, offload=offload, around=lambda link: link)
    watched = moved(address, 1 << 17, offload=offload, around=lambda link: Observed(link, watcher))
    assert watched == plain
    assert (max(len(octets) for _, octets in plain) > 1500) is offload
    assert max(len(octets) for _, octets, _ in watcher.packets) == 1500
    assert {way for way, _, _ in watcher.packets} == {"sent", "arrived"}
    assert [now for _, _, now in watcher.packets] == sorted(now for _, _, now in watcher.packets)
    for _, octets, _ in watcher.packets:
        packet = ip.parse(octets)
        assert segment.checksum_is_right(octets, packet.start, packet.end, packet.source, packet.destination)


def test_everything_else_is_the_inner_links() -> None:
    left, right = pair(1400, offload=True)
    link = Observed(left, PacketObserver())
    assert isinstance(link, Offloading)
    assert (link.mtu, link.largest, link.fileno()) == (1400, left.largest, left.fileno())
    link.close()
    assert link.fileno() == -1
    right.close()
