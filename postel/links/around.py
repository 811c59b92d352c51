"""Base class of links that are put around another link, to record, delay, shape or damage its packets."""

from typing import cast

from postel.host.routes import Routes
from postel.links.contract import Link, Offloading, require_unused
from postel.wire.parcel import Parcel


class Around(Offloading):
    """Link around another one, ``inner``, through which everything passes unchanged.

    Subclasses change something. The link carries parcels if ``inner`` is an `Offloading` link. Otherwise its
    ``largest`` is 0, and the driver (asyncio, trio, threads) gives it no parcels.
    """

    def __init__(self, link: Link) -> None:
        """Put this link around ``link``, which no host or other link may use. Raises ArgumentError."""
        require_unused(link)
        self.inner = link
        self.mtu: int = link.mtu
        self.largest: int = link.largest
        self.needs_next_hop: bool = link.needs_next_hop
        self.has_room: bool = link.has_room
        link.ready = self._inner_is_ready

    def fileno(self) -> int | None:
        """Return the descriptor of ``inner``, -1 once closed, or None: see `Link.fileno`."""
        return self.inner.fileno()

    def receive(self, now: int) -> bytes | None:
        """Return the next packet of ``inner``; None for none now."""
        return self.inner.receive(now)

    def receive_parcel(self, now: int) -> Parcel | None:
        """Return the next parcel of ``inner``; None for none now."""
        return cast(Offloading, self.inner).receive_parcel(now)

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        """Carry ``packet`` over ``inner``. Returns False if ``inner`` was full, and the packet is lost."""
        is_carried = self.inner.send(packet, next_hop, now)
        self.has_room = self.inner.has_room
        return is_carried

    def send_parcel(self, parcel: Parcel, next_hop: bytes, now: int) -> bool:
        """Carry ``parcel`` over ``inner``. Returns False if ``inner`` was full, and the parcel is lost."""
        is_carried = cast(Offloading, self.inner).send_parcel(parcel, next_hop, now)
        self.has_room = self.inner.has_room
        return is_carried

    def next_timeout(self) -> int:
        """Return the time of the earliest timer of ``inner``, in microseconds; NEVER for none."""
        return self.inner.next_timeout()

    def handle_timeout(self, now: int) -> None:
        """Let the timers of ``inner`` that are due expire."""
        self.inner.handle_timeout(now)

    def attached(self, routes: Routes) -> None:
        """Tell ``inner`` which host uses it."""
        self.inner.attached(routes)

    def statistics(self) -> dict[str, int]:
        """Return the figures of ``inner``. ``lost`` includes the packets that were lost here."""
        figures = self.inner.statistics()
        return {**figures, "lost": figures.get("lost", 0) + self.lost}

    def close(self) -> None:
        """Close this link, and with it ``inner``."""
        self.inner.close()

    def _inner_is_ready(self) -> None:
        self.has_room = self.inner.has_room
        self.notify()
