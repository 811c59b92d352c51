"""Where packets come from and go to. A link carries whole IP packets, never waits, and may lose what it is given."""

import errno
from abc import ABC, abstractmethod

from postel.errors import ArgumentError, LinkError

SMALLEST_MTU = 68  # RFC 791, 3.2: every internet module must forward a packet of 68 octets
LARGEST_MTU = 65535


class Link(ABC):
    """``mtu`` is the largest packet in octets. A driver waits until ``fileno()`` is readable, then receives until nothing comes."""

    mtu: int

    @abstractmethod
    def fileno(self) -> int:
        """A descriptor that is readable when a packet may wait; -1 once closed."""

    @abstractmethod
    def receive(self) -> bytes:
        """The next packet, ``b""`` when none waits. Raises `LinkError` when the link is gone for good."""

    @abstractmethod
    def send(self, packet: bytes) -> bool:
        """False: the link is full and the packet is lost. Raises `LinkError` for one larger than ``mtu``, and when the link is gone."""

    @abstractmethod
    def close(self) -> None:
        """Gives the descriptor back. A second call does nothing."""


def checked_mtu(mtu: int) -> int:
    if not SMALLEST_MTU <= mtu <= LARGEST_MTU:
        raise ArgumentError("mtu", mtu, f"{SMALLEST_MTU} … {LARGEST_MTU} octets")
    return mtu


def too_large(packet: bytes, mtu: int) -> LinkError:
    return LinkError(errno.EMSGSIZE, f"a packet of {len(packet)} octets for a link whose MTU is {mtu}")


def closed(name: str) -> LinkError:
    return LinkError(errno.EBADF, f"{name} is closed")
