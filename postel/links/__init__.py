"""Where packets come from and go to. A link carries whole IP packets, never waits, and may lose what it is given."""

import errno
import select
from abc import ABC, abstractmethod
from collections.abc import Callable

from postel.errors import LinkError, require_number
from postel.wire.parcel import Parcel

SMALLEST_MTU = 68  # RFC 791, 3.2: every internet module must forward a packet of 68 octets
LARGEST_MTU = 65535


class Link(ABC):
    """``mtu`` is the largest packet in octets. A driver waits until ``fileno()`` is readable, then receives until nothing comes.

    Whatever a method raises but `LinkDown`, an OSError too, says that the link is gone for good.
    """

    mtu: int
    on_close: Callable[[], None] | None = None  # called first by `close`: a driver that waits for the descriptor wouldn't hear of it

    @abstractmethod
    def fileno(self) -> int:
        """A descriptor that is readable when a packet may wait; -1 once closed."""

    @abstractmethod
    def receive(self) -> bytes:
        """The next packet, ``b""`` when none waits. Raises `LinkError` when the link is gone for good."""

    @abstractmethod
    def send(self, packet: bytes) -> bool:
        """False: the link is full and the packet is lost.

        Raises `LinkDown` while the device is switched off, `LinkError` for a packet larger than ``mtu``, and when the link is gone.
        """

    @abstractmethod
    def close(self) -> None:
        """Tells ``on_close``, and gives the descriptor back. A second call does nothing."""

    def tell_of_close(self) -> None:
        """For `close`: call ``on_close``, once."""
        told, self.on_close = self.on_close, None
        if told is not None:
            told()


class Offloading(Link):
    """A link that does part of the work: it computes checksums, cuts packets of up to ``largest`` octets into segments, and hands over
    joined what arrives. `send` and `receive` are for those who want none of that."""

    largest: int

    @abstractmethod
    def receive_parcel(self) -> Parcel | None:
        """The next, None when none waits. Raises as `receive`."""

    @abstractmethod
    def send_parcel(self, parcel: Parcel) -> bool:
        """As `send`. Raises `LinkError` where it is larger than ``largest``, or a packet that is cut from it than ``mtu``."""

    def check(self, parcel: Parcel) -> None:
        """The door: what doesn't fit is a mistake of who sends it, and must not look like a loss."""
        if parcel.largest_packet > self.mtu:
            raise too_large(parcel.largest_packet, self.mtu)
        if len(parcel.head) + len(parcel.text) > self.largest:
            raise too_large(len(parcel.head) + len(parcel.text), self.largest)


def checked_mtu(mtu: int) -> int:
    require_number("mtu", mtu, SMALLEST_MTU, LARGEST_MTU, f"{SMALLEST_MTU} … {LARGEST_MTU} octets")
    return mtu


def too_large(octets: int, mtu: int) -> LinkError:
    return LinkError(errno.EMSGSIZE, f"a packet of {octets} octets for a link whose MTU is {mtu}")


def closed(name: str) -> LinkError:
    return LinkError(errno.EBADF, f"{name} is closed")


def failure(error: Exception) -> LinkError:
    """What it means that a link's method raised ``error``, which isn't a LinkError: the link is at its end."""
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
