"""Contract of a link: the object that carries whole IP packets between a host and everything else.

Theory of operation
-------------------

A link is a state machine without a clock, as a host is. It never waits and starts no thread: the *driver* of
the host (`postel.aio`, `postel.trio`, `postel.blocking`, or a `World` in virtual time) calls it, and passes
``now``, in microseconds. ``now`` never decreases. A link may lose packets: it counts them, and TCP sends them
again.

There are two directions, timers, and an end::

    host                         link                        elsewhere
     |   send(packet, hop, now)   |                              |
     |--------------------------->|----------------------------->|
     |                            |                              |
     |                            |<-----------------------------|   a packet arrives
     |   fileno() is readable, or the link calls notify()        |
     |   receive(now)             |                              |
     |<---------------------------|                              |
     |   receive(now): None, for nothing more now                |
     |                            |                              |
     |   next_timeout()           |   a link with timers, for example one that delays packets
     |     (time passes)          |
     |   handle_timeout(now)      |   makes due packets ready
     |   receive(now)             |

What a driver does:

- It calls ``receive(now)`` until that returns None, whenever ``fileno()`` is readable or the link has called
  `Link.notify`.
- It calls ``send(packet, next_hop, now)`` for each packet of the host, while ``has_room`` is True.
- It calls ``handle_timeout(now)`` once the time is ``next_timeout()``, and then receives again.

What a link promises:

- `Link.receive` returns packets in the order in which they arrived, each whole.
- An exception says that the link has ended for good. Any exception does, an OSError too; only `LinkDown`,
  which ``send`` raises while a device is switched off, does not.
- `Link.notify` may be called by any thread and from inside any method. The driver looks at the link later.
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
    """Base class of links. A subclass has at least `receive`, `send`, `close` and ``mtu``.

    The attributes, with the values of a link that has no neighbours, no flow control and no offload:

    - ``mtu``: the largest packet, in octets, 68 to 65535.
    - ``largest``: the largest parcel of an `Offloading` link, in octets; 0 for another link.
    - ``needs_next_hop``: True where the link has neighbours. The second argument of `send` is then the
      address of the neighbour to which the packet goes, 4 or 16 octets; else it is ``b""``.
    - ``has_room``: while it is False, the host keeps its packets. The link sets it, and calls `notify` when
      it becomes True.
    - ``lost``: how many packets were lost in this link.
    - ``ready``: the function of the driver that `notify` calls. None while no host uses the link.

    >>> class Loopback(Link):
    ...     mtu = 1500
    ...     def __init__(self):
    ...         self.packets = []
    ...     def receive(self, now):
    ...         return self.packets.pop(0) if self.packets else None
    ...     def send(self, packet, next_hop, now):
    ...         self.packets.append(packet)
    ...         self.notify()
    ...         return True
    ...     def close(self):
    ...         self.notify()
    >>> link = Loopback()
    >>> link.send(b"packet", b"", 0), link.receive(0), link.receive(0)
    (True, b'packet', None)
    """

    mtu: int
    largest: int = 0
    needs_next_hop: bool = False
    has_room: bool = True
    lost: int = 0
    ready: Callable[[], None] | None = None  # the driver's function that `notify` calls

    @abstractmethod
    def receive(self, now: int) -> bytes | None:
        """Return the next packet that arrived; None where there is none now, and perhaps one later.

        A link at its end raises an exception, after it has returned all packets that arrived before the end:
        `LinkClosed` where the link was closed, here or at its other end, another `LinkError` or an OSError
        where it failed.
        """

    @abstractmethod
    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        """Carry ``packet``, a whole IP packet.

        Returns False where the link is full: the packet is lost and counted. ``next_hop`` is the address of a
        neighbour, or ``b""``: see ``needs_next_hop``. Raises `LinkDown` while the device is switched off, and
        `LinkError` for a packet larger than ``mtu`` or when the link has ended.
        """

    @abstractmethod
    def close(self) -> None:
        """End the link. From then on `receive` and `send` raise `LinkClosed`. A second call does nothing.

        An implementation calls `notify` first, so that the driver learns of the end, and then frees its
        descriptor and other resources.
        """

    def fileno(self) -> int | None:
        """Return a descriptor that is readable when a packet may wait; -1 after `close`.

        None for a link without a descriptor: such a link calls `notify` instead.
        """
        return None

    def next_timeout(self) -> int:
        """Return the time at which `handle_timeout` must be called, in microseconds; NEVER for no timer."""
        return NEVER

    def handle_timeout(self, now: int) -> None:
        """Process the timers that have expired by ``now``. A call that comes too early does nothing."""

    def attached(self, routes: Routes) -> None:
        """Learn which host uses the link. The driver calls this once, before any packet.

        ``routes`` has the host's addresses, multicast groups and next hops.
        """

    def statistics(self) -> dict[str, int]:
        """Return figures about the link: ``lost`` is the number of packets lost in it, in both directions."""
        return {"lost": self.lost}

    def notify(self) -> None:
        """Make the driver read the link, and ask for its timers and its room, soon.

        A link calls this when a packet has arrived, when it has room again, when `next_timeout` has become
        earlier, and at its end. It may call this too often, in any thread, and from inside any of its
        methods: the driver looks later.
        """
        if self.ready is not None:
            self.ready()


class Offloading(Link):
    """Base class of links that do a part of TCP's work: they cut large segments and compute checksums.

    A `Parcel` stands for one TCP segment of up to ``largest`` octets, or for any other packet. The link cuts
    it into packets of ``mtu`` octets at most, and joins packets that arrive. The methods `send` and `receive`
    still carry single packets.
    """

    @abstractmethod
    def receive_parcel(self, now: int) -> Parcel | None:
        """Return the next parcel that arrived; None where there is none now.

        Exceptions are those of `receive`.
        """

    @abstractmethod
    def send_parcel(self, parcel: Parcel, next_hop: bytes, now: int) -> bool:
        """Carry ``parcel``. Returns False where the link is full: the parcel is lost and counted.

        Raises what `send` raises; `LinkError` also for a parcel larger than ``largest``, or one that would be
        cut into packets larger than ``mtu``.
        """

    def check(self, parcel: Parcel) -> None:
        """Raise `LinkError` for a parcel that this link can't carry.

        Implementations of `send_parcel` call it first. Such a parcel shows a mistake in the sending program.
        If the link only lost the parcel, TCP would retransmit the data for ever.
        """
        if parcel.largest_packet > self.mtu:
            raise too_large(parcel.largest_packet, self.mtu)
        if len(parcel.head) + len(parcel.text) > self.largest:
            raise too_large(len(parcel.head) + len(parcel.text), self.largest)


def require_unused(link: Link) -> None:
    """Raise ArgumentError for an object that isn't a link, and for a link that is in use already."""
    missing = [name for name in _METHODS if not callable(getattr(link, name, None))]
    missing += [name for name in _ATTRIBUTES if not hasattr(link, name)]
    if missing:
        raise ArgumentError(
            "link", link, f"a Link, or an object with its methods and attributes ({missing[0]} is missing)"
        )
    if link.ready is not None:
        raise ArgumentError("link", link, "a link that no other host or link uses")


def checked_mtu(mtu: int) -> int:
    """Return ``mtu``, in octets. Raises ArgumentError where it isn't an int of 68 to 65535."""
    require_number("mtu", mtu, SMALLEST_MTU, LARGEST_MTU, f"{SMALLEST_MTU} … {LARGEST_MTU} octets")
    return mtu


def too_large(octets: int, mtu: int) -> LinkError:
    """Make the error for a packet of so many ``octets`` on a link with this ``mtu``."""
    return LinkError(errno.EMSGSIZE, f"a packet of {octets} octets for a link with an MTU of {mtu}")


def closed(name: str) -> LinkClosed:
    """Make the error for a call on a link that was closed. ``name`` says which kind of link it is."""
    return LinkClosed(errno.EBADF, f"{name} is closed")


def failure(error: Exception) -> LinkError:
    """Make the LinkError with which a network ends after its link has raised another exception, ``error``."""
    if isinstance(error, OSError):
        return LinkError(error.errno or errno.EIO, f"the link failed: {error.strerror or repr(error)}")
    return LinkError(errno.EIO, f"the link failed: {error!r}")


def is_readable(descriptor: int) -> bool:
    """Tell whether a descriptor is readable now; False for a number that isn't a descriptor of the system."""
    try:
        if not hasattr(select, "poll"):
            return bool(select.select([descriptor], [], [], 0)[0])
        asked = select.poll()
        asked.register(descriptor, select.POLLIN)
        return bool(asked.poll(0))
    except (OSError, ValueError, OverflowError):
        return False
