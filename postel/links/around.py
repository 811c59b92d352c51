"""Links around another link: what passes is recorded, delayed, shaped or damaged, in real and in virtual
time.
"""

from typing import cast

from postel.host.routes import Routes
from postel.links.contract import Link, Offloading, require_unused
from postel.wire.parcel import Parcel


class Around(Offloading):
    """Base class of links around another one, ``inner``: everything passes as it is. A subclass changes what
    it is for.

    The link is `Offloading` where ``inner`` is: else its ``largest`` is 0, and no driver hands it parcels.
    """

    def __init__(self, link: Link) -> None:
        require_unused(link)
        self.inner = link
        self.mtu: int = link.mtu
        self.largest: int = link.largest
        self.needs_next_hop: bool = link.needs_next_hop
        self.has_room: bool = link.has_room
        link.ready = self._inner_is_ready

    def fileno(self) -> int | None:
        return self.inner.fileno()

    def receive(self, now: int) -> bytes | None:
        return self.inner.receive(now)

    def receive_parcel(self, now: int) -> Parcel | None:
        return cast(Offloading, self.inner).receive_parcel(now)

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        is_carried = self.inner.send(packet, next_hop, now)
        self.has_room = self.inner.has_room
        return is_carried

    def send_parcel(self, parcel: Parcel, next_hop: bytes, now: int) -> bool:
        is_carried = cast(Offloading, self.inner).send_parcel(parcel, next_hop, now)
        self.has_room = self.inner.has_room
        return is_carried

    def next_timeout(self) -> int:
        return self.inner.next_timeout()

    def handle_timeout(self, now: int) -> None:
        self.inner.handle_timeout(now)

    def attached(self, routes: Routes) -> None:
        self.inner.attached(routes)

    def statistics(self) -> dict[str, int]:
        """Those of ``inner``; ``lost`` includes what was lost here."""
        figures = self.inner.statistics()
        return {**figures, "lost": figures.get("lost", 0) + self.lost}

    def close(self) -> None:
        """Close ``inner`` too."""
        self.inner.close()

    def _inner_is_ready(self) -> None:
        self.has_room = self.inner.has_room
        self.notify()
