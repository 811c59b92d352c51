"""Links to Linux's TUN devices: IP packets to and from the kernel."""

import errno
import os
from collections import deque
from typing import Final

from postel.errors import ArgumentError, LinkClosed, LinkDown, LinkError
from postel.links import device
from postel.links.contract import Link, Offloading, checked_mtu, closed, too_large
from postel.wire import ip, virtio
from postel.wire.parcel import Parcel, finished

_LOST: Final = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM})
_LARGEST_READ: Final = ip.HEADER_6 + ip.LARGEST
_KEPT: Final = 16 * 1024 * 1024  # octets of a block that makes glibc keep free memory: see `_learn_header`


def attach_tun(name: str, *, mtu: int = 1500, offload: bool = True, several: bool = False) -> "Tun":
    """Attach to the TUN device ``name``, which is made if it doesn't exist. Returns a link.

    ``mtu`` must be the device's, in octets, 68 to 65535. With ``offload`` it is an `OffloadingTun` where the
    kernel knows virtio headers. With ``several`` the link is one of the device's several queues, which may
    belong to different processes; the first queue decides for all queues whether packets have a virtio
    header. Raises ArgumentError for a name that no device can have, and LinkError, with a text on how to mend
    it.
    """
    flags = device.IFF_TUN | device.IFF_NO_PI | (device.IFF_MULTI_QUEUE if several else 0)
    try:
        has_header = device.features() & device.IFF_VNET_HDR
    except OSError as error:
        raise device.refused(name, error) from error
    return inherit_tun(device.attach(name, flags | (has_header if offload else 0)), name=name, mtu=mtu)


def inherit_tun(fd: int, *, name: str = "inherited", mtu: int = 1500) -> "Tun":
    """Make a link of ``fd``, a descriptor that another program has attached to a TUN device.

    The link is an `OffloadingTun` where packets have a virtio header. Closing the link closes the descriptor.
    ``name`` is used only in the texts of errors. Raises ArgumentError and LinkError.
    """
    kind = OffloadingTun if device.flags_of(fd) & device.IFF_VNET_HDR else Tun
    return kind(name, mtu=mtu, fd=fd)


class Tun(Link):
    """Link to a TUN device without headers in front of packets.

    ``name`` is the device to make or to attach to. ``fd`` is a descriptor that is attached already, for
    example by a parent with more rights, or any other descriptor that carries one packet a read. ``mtu`` must
    be the device's, in octets. The device's addresses and its state are set by the system: ``ip address``,
    ``ip link``. While it is switched off, `send` raises LinkDown.
    """

    lost: int  # attribute of `Link`: type checkers want a declaration where a class writes it

    def __init__(self, name: str, *, mtu: int = 1500, fd: int | None = None) -> None:
        """Attach to the device. Raises ArgumentError, and LinkError, with a text on how to mend it."""
        self.mtu: int = checked_mtu(mtu)
        self.name = name
        self._descriptor = device.attach(name, device.IFF_TUN | device.IFF_NO_PI) if fd is None else fd
        self._learn_header(device.flags_of(self._descriptor) & device.IFF_VNET_HDR)
        os.set_blocking(self._descriptor, False)

    def _learn_header(self, flag: int) -> None:
        """Refuse a descriptor with virtio headers, and ask the kernel for whole packets with checksums."""
        if flag:
            raise ArgumentError(
                "fd",
                self._descriptor,
                "a device without virtio headers; postel.links.inherit_tun takes either",
            )
        device.offload_nothing(self._descriptor)  # an earlier program may have left offload on

    def fileno(self) -> int:
        """Return the descriptor; -1 once closed."""
        return self._descriptor

    def receive(self, now: int) -> bytes | None:
        """Return the next packet of the kernel; None for none now.

        Raises LinkError once the device is gone.
        """
        while True:
            try:
                packet = os.read(self._descriptor, self.mtu)
            except BlockingIOError:
                return None
            except OSError as error:
                raise self._gone(error) from error
            if packet:
                return packet
            if not device.keeps_boundaries(self._descriptor):
                raise LinkClosed(errno.ENOTCONN, f"{self.name} is at its end: the other side has closed it")

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        """Give ``packet`` to the kernel. Returns False where it has no room. Raises LinkDown, LinkError."""
        if len(packet) > self.mtu:
            raise too_large(len(packet), self.mtu)
        try:
            os.write(self._descriptor, packet)
        except OSError as error:
            return self._is_lost(error)
        return True

    def _is_lost(self, error: OSError) -> bool:
        """Return False for an error that only loses the packet. Raises LinkDown or LinkError for others."""
        if error.errno in _LOST:
            self.lost += 1
            return False
        if error.errno == errno.EIO and device.flags_of(self._descriptor):
            raise LinkDown(f"TUN device {self.name} is down: ip link set dev {self.name} up") from error
        raise self._gone(error) from error

    def close(self) -> None:
        """Close the descriptor. A device that isn't persistent vanishes with its last descriptor."""
        self.notify()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _gone(self, error: OSError) -> LinkError:
        """Make the error for a device that is closed or gone."""
        if self._descriptor < 0:
            return closed(f"TUN device {self.name}")
        return LinkError(error.errno, f"TUN device {self.name} is gone ({error.strerror})")


class OffloadingTun(Tun, Offloading):
    """Link to a TUN device with a virtio header before each packet.

    Segments of up to 64 KiB pass whole, and most checksums aren't computed at all. ``offloads`` are the
    ``TUN_F_…`` bits of `postel.links.device` to which the kernel agreed, for packets that the kernel hands
    over. In the other direction the kernel always cuts segments and computes checksums.
    """

    largest = ip.LARGEST

    def _learn_header(self, flag: int) -> None:
        """Ask the kernel for large segments, and make the buffers for them."""
        if not flag:
            raise ArgumentError("fd", self._descriptor, "a device with virtio headers (IFF_VNET_HDR)")
        self.offloads: int = device.offload(self._descriptor)
        self._is_one_of_several = bool(device.flags_of(self._descriptor) & device.IFF_MULTI_QUEUE)
        # Once glibc has mapped and freed a block of this size, it keeps up to twice as much free memory (see
        # mallopt(3), M_MMAP_THRESHOLD). Otherwise glibc returns the memory of each batch of packets to the
        # system, and the page faults of the next batch take two thirds of the time.
        bytes(_KEPT)
        length = device.header_length(self._descriptor)
        self._padding = bytes(length - virtio.LENGTH)
        self._header = bytearray(length)
        self._packet = memoryview(bytearray(_LARGEST_READ))
        self._buffers = (self._header, self._packet)
        self._waiting: deque[bytes] = deque()  # packets that `receive` has cut from the last parcel

    def receive_parcel(self, now: int) -> Parcel | None:
        """Return the next parcel of the kernel; None for none now.

        Raises LinkError once the device is gone.
        """
        try:
            octets = os.readv(self._descriptor, self._buffers)
        except BlockingIOError:
            return None
        except OSError as error:
            raise self._gone(error) from error
        return virtio.parse(bytes(self._header), self._packet[: max(0, octets - len(self._header))])

    def close(self) -> None:
        """Undo the device's offload settings, unless another queue needs them; close the descriptor."""
        if self._descriptor >= 0 and not self._is_one_of_several:
            device.offload_nothing(self._descriptor)
        super().close()

    def send_parcel(self, parcel: Parcel, next_hop: bytes, now: int) -> bool:
        """Give ``parcel`` to the kernel. Returns False where it has no room. Raises LinkDown, LinkError."""
        self.check(parcel)
        try:
            os.writev(self._descriptor, (virtio.header(parcel) + self._padding, parcel.head, parcel.text))
        except OSError as error:
            return self._is_lost(error)
        return True

    def receive(self, now: int) -> bytes | None:
        """Return the next packet: a parcel is cut into its packets."""
        if not self._waiting and (parcel := self.receive_parcel(now)) is not None:
            self._waiting += finished(parcel)
        return self._waiting.popleft() if self._waiting else None

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        """Give ``packet`` to the kernel. Returns False where it has no room. Raises LinkDown, LinkError."""
        return self.send_parcel(Parcel(packet), next_hop, now)
