"""Passing of packets between a host and its link, the same for all drivers (asyncio, trio, threads)."""

import errno
from collections.abc import Callable
from typing import Any

from postel.errors import ArgumentError, LinkDown, LinkError, require_kind
from postel.host.host import Host
from postel.links.contract import Link, Offloading, failure, require_unused
from postel.wire.ip import LARGEST
from postel.wire.parcel import Parcel


class Junction:
    """Host and link, joined: packets and parcels pass between them when a driver calls.

    A *junction* is the pair of one host and one link. It chooses once, when it is made, whether whole packets
    or parcels of an `Offloading` link pass, and whether the link needs next hops. ``ready`` is called
    whenever the link has to be looked at (`Link.notify`), by any thread. ``is_drained`` is True when the last
    `take_in` took all that the link had. ``has_timers`` is False for a link that has none.
    """

    __slots__ = (
        "_arrives",
        "_hop_of",
        "_next",
        "_receive",
        "_send",
        "has_timers",
        "host",
        "is_drained",
        "link",
    )

    def __init__(self, host: Host, link: Link, ready: Callable[[], None]) -> None:
        """Join ``host`` and ``link``. Raises ArgumentError where one of them can't be used, or is in use."""
        require_free(host, link)
        self.host: Host = host
        self.link: Link = link
        self.is_drained: bool = True
        self.has_timers: bool = getattr(type(link), "next_timeout", None) is not Link.next_timeout
        self._hop_of: Callable[[Any], bytes] | None = None
        self._receive: Callable[[int], Any] = link.receive
        self._send: Callable[[Any, bytes, int], bool] = link.send
        self._arrives: Callable[[Any, int], None] = host.packet_arrives
        self._next: Callable[[int], Any] = host.next_packet
        if link.needs_next_hop:
            self._hop_of = host.routes.next_hop_of
        if link.largest:
            self._use_parcels(host, link)
        host.use_offload(link.largest or LARGEST)  # without offload the host cuts large segments
        link.attached(host.routes)
        link.ready = ready
        host.is_attached = True

    def _use_parcels(self, host: Host, link: Any) -> None:  # noqa: ANN401 - see the docstring
        """Pass parcels between the host and ``link`` instead of packets.

        ``link`` is an `Offloading` link, or an object with the same methods.
        """
        offloading: Offloading = link
        self._receive = offloading.receive_parcel
        self._send = offloading.send_parcel
        self._arrives = host.parcel_arrives
        self._next = host.next_parcel
        if link.needs_next_hop:
            self._hop_of = self._hop_of_parcel

    def _hop_of_parcel(self, parcel: Parcel) -> bytes:
        """Return the next hop for a parcel: all packets that are cut from it have the same destination."""
        return self.host.routes.next_hop_of(parcel.head)

    def release(self) -> None:
        """Separate host and link, so that another driver may use them."""
        self.link.ready = None
        self.host.is_attached = False

    def take_in(self, most: int, now: int) -> int:
        """Give the host up to ``most`` packets or parcels from the link. Returns how many.

        Reading stops where an accept queue is full (`Host.crowded`), so that the program can accept a
        connection before the next ACK of a handshake needs room in the queue. Raises LinkError at the link's
        end; any other exception of the link is raised as a LinkError.
        """
        receive, arrives, crowded = self._receive, self._arrives, self.host.crowded
        self.is_drained = False
        for count in range(most):
            try:
                arrived = receive(now)
            except LinkError:
                raise
            except Exception as error:
                raise failure(error) from error
            if not arrived:
                self._require_none(arrived)
                self.is_drained = True
                return count
            arrives(arrived, now)
            if crowded:
                return count + 1
        return most

    def _require_none(self, arrived: object) -> None:
        """Raise LinkError where a link returns an empty packet instead of None.

        An empty packet could mean "nothing now" or "nothing ever again", so that it isn't allowed.
        """
        if arrived is not None:
            kind = type(self.link).__name__
            allowed = "a packet, None for nothing now, or LinkClosed raised for never again"
            raise LinkError(errno.EIO, f"{kind}.receive returned {arrived!r}; allowed: {allowed}")

    def send_out(self, most: int, now: int, down: Callable[[LinkDown], None]) -> bool:
        """Give the link up to ``most`` packets or parcels from the host.

        Returns True if the host has nothing more that the link can take now. A link without room takes
        nothing, and calls ``ready`` once it has room. ``down`` is called with the error of a device that is
        switched off. Raises LinkError at the link's end.
        """
        following, send, hop_of, link = self._next, self._send, self._hop_of, self.link
        for _ in range(most):
            if not link.has_room:
                self.host.loop_back(now)  # packets of the host to itself need no link
                return True  # the link calls `ready` once it has room
            if (leaving := following(now)) is None:
                return True
            try:
                send(leaving, b"" if hop_of is None else hop_of(leaving), now)
            except LinkDown as error:
                down(error)
            except LinkError:
                raise
            except Exception as error:
                raise failure(error) from error
        return False

    def next_timeout(self) -> int:
        """Return the time of the earliest timer of host and link, in microseconds. Raises LinkError."""
        first = self.host.next_timeout()
        if not self.has_timers:
            return first
        try:
            return min(first, self.link.next_timeout())
        except LinkError:
            raise
        except Exception as error:
            raise failure(error) from error

    def link_timeout(self, now: int) -> None:
        """Let the link's timers that are due expire. Raises LinkError.

        The driver calls `take_in` next, for packets that became ready, and only then lets the host's timers
        expire.
        """
        try:
            if self.has_timers and self.link.next_timeout() <= now:
                self.link.handle_timeout(now)
        except LinkError:
            raise
        except Exception as error:
            raise failure(error) from error


def require_free(host: Host, link: Link) -> None:
    """Raise ArgumentError where the host or the link can't be joined, or is joined already."""
    require_kind("host", host, Host, "a Host")
    if host.is_attached:
        raise ArgumentError("host", host, "a host that is on no other link: one link at a time")
    require_unused(link)
    if not host.follows_link and host.mtu > link.mtu:
        raise ArgumentError(
            "host", host, f"a host with an MTU of {link.mtu} or less, the link's, not {host.mtu}"
        )
