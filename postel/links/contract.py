"""What a link is: where packets come from and go to. It carries whole IP packets, never waits, and may lose
what it is given.

A link is a machine like a host: packets and time in, packets and time out. A driver, such as `postel.aio` or
a `World`, does this:

- It calls ``receive(now)`` until None, whenever ``fileno()`` is readable or the link has called
  `Link.notify`.
- It calls ``send(packet, next_hop, now)`` for what the host has to send, while ``has_room``.
- It calls ``handle_timeout(now)`` at ``next_timeout()``, and receives again then.

``now`` is in microseconds and never decreases; the driver's clock, real or virtual, is the link's. Whatever a
method raises, an OSError too, says that the link is gone for good; only `LinkDown`, raised by ``send``, does
not.
"""

import errno
import select
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from postel.errors import ArgumentError, LinkClosed, LinkError, require_number
from postel.host.routes import Routes
from postel.times import NEVER
from postel.wire.parcel import Parcel

SMALLEST_MTU = 68  # RFC 791, 3.2: every internet module must forward a packet of 68 octets
LARGEST_MTU = 65535
_ATTRIBUTES: Final = ("mtu", "largest", "needs_next_hop", "has_room", "ready")
_METHODS: Final = (
    "fileno",
    "receive",
    "send",
    "next_timeout",
    "handle_timeout",
    "attached",
    "statistics",
    "close",
)


class Link(ABC):
    """A subclass has at least `receive`, `send`, `close` and ``mtu``, the largest packet in octets.

    The other attributes are those of a link without neighbours, back-pressure and offload, for subclasses
    that differ: ``largest`` is the largest parcel of an `Offloading` link in octets, else 0. With
    ``needs_next_hop`` the second argument of `send` is the address of the neighbour that is to have the
    packet (4 or 16 octets); else ``b""``. While ``has_room`` is False the host keeps what it has to send; the
    link calls `notify` once it has room again. ``lost`` counts the packets that were lost in it.
    """

    mtu: int
    largest: int = 0
    needs_next_hop: bool = False
    has_room: bool = True
    lost: int = 0
    ready: Callable[[], None] | None = None  # the driver's, while the link is in use: see `notify`

    @abstractmethod
    def receive(self, now: int) -> bytes | None:
        """The next packet that arrived. None: nothing now, perhaps later. Never again is an exception:
        `LinkClosed` where the link was closed, on this side or, as far as a link can know that, on the other;
        another `LinkError` or OSError where it
        failed. What arrived before the end comes first."""

    @abstractmethod
    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        """Carry ``packet``. False: the link is full, and the packet is lost and counted.

        Raises `LinkDown` while the device is switched off, `LinkError` for a packet larger than ``mtu``, and
        when the link is gone.
        """

    @abstractmethod
    def close(self) -> None:
        """Begin with `notify`, which lets the driver hear of it, and give back what the link holds. From then
        on `receive` and `send` raise `LinkClosed`. A second call does nothing."""

    def fileno(self) -> int | None:
        """A descriptor that is readable when a packet may wait; -1 once closed. None where there is none:
        then the link calls `notify`.
        """
        return None

    def next_timeout(self) -> int:
        """When to call `handle_timeout`; NEVER if nothing is pending."""
        return NEVER

    def handle_timeout(self, now: int) -> None:
        """Do what is due at ``now``. Calling it too early is harmless."""

    def attached(self, routes: Routes) -> None:
        """From now on the link is that of one host, which has its addresses and groups in ``routes``. Called
        once, before any packet.
        """

    def statistics(self) -> dict[str, int]:
        """``lost``: how many packets were lost in this link, on their way out or in, because it was full."""
        return {"lost": self.lost}

    def notify(self) -> None:
        """Tell the driver to look at the link: a packet arrived, there is room again, `next_timeout` is
        earlier, or the end has come.

        May be called too often, by any thread, and from inside any method of the link: the driver looks
        later.
        """
        if self.ready is not None:
            self.ready()


class Offloading(Link):
    """A link that does part of the work: it computes checksums, cuts packets of up to ``largest`` octets into
    segments, and hands over joined what arrives. `send` and `receive` carry plain packets all the same."""

    @abstractmethod
    def receive_parcel(self, now: int) -> Parcel | None:
        """The next parcel that arrived. None and exceptions are as those of `receive`."""

    @abstractmethod
    def send_parcel(self, parcel: Parcel, next_hop: bytes, now: int) -> bool:
        """As `send`. Raises `LinkError` where it is larger than ``largest``, or a packet that is cut from it
        than ``mtu``.
        """

    def check(self, parcel: Parcel) -> None:
        """The door: a parcel that doesn't fit is a mistake of its sender, and must not look like a loss.
        Raises `LinkError`.
        """
        if parcel.largest_packet > self.mtu:
            raise too_large(parcel.largest_packet, self.mtu)
        if len(parcel.head) + len(parcel.text) > self.largest:
            raise too_large(len(parcel.head) + len(parcel.text), self.largest)


def require_unused(link: Link) -> None:
    """Raise ArgumentError for what isn't a link, and for a link that a host or another link uses already."""
    missing = [name for name in _METHODS if not callable(getattr(link, name, None))]
    missing += [name for name in _ATTRIBUTES if not hasattr(link, name)]
    if missing:
        raise ArgumentError(
            "link", link, f"a Link, or an object with its methods and attributes ({missing[0]} is missing)"
        )
    if link.ready is not None:
        raise ArgumentError("link", link, "a link that no other host or link uses")


def checked_mtu(mtu: int) -> int:
    require_number("mtu", mtu, SMALLEST_MTU, LARGEST_MTU, f"{SMALLEST_MTU} … {LARGEST_MTU} octets")
    return mtu


def too_large(octets: int, mtu: int) -> LinkError:
    return LinkError(errno.EMSGSIZE, f"a packet of {octets} octets for a link with an MTU of {mtu}")


def closed(name: str) -> LinkClosed:
    return LinkClosed(errno.EBADF, f"{name} is closed")


def failure(error: Exception) -> LinkError:
    """The reason for which a network ends when a link's method raised ``error``, which isn't a LinkError."""
    if isinstance(error, OSError):
        return LinkError(error.errno or errno.EIO, f"the link failed: {error.strerror or repr(error)}")
    return LinkError(errno.EIO, f"the link failed: {error!r}")


def is_readable(descriptor: int) -> bool:
    """Whether the system says so now; False for what isn't a descriptor of the system."""
    try:
        if not hasattr(select, "poll"):
            return bool(select.select([descriptor], [], [], 0)[0])
        asked = select.poll()
        asked.register(descriptor, select.POLLIN)
        return bool(asked.poll(0))
    except (OSError, ValueError, OverflowError):
        return False
