"""Linux's TUN device: IP packets to and from the kernel."""

import errno
import fcntl
import os
from struct import Struct

from postel.errors import ArgumentError, LinkError
from postel.link import Link, checked_mtu, closed, too_large

DEVICE = "/dev/net/tun"
LONGEST_NAME = 15  # IFNAMSIZ, less its terminating zero

# <linux/if_tun.h>
TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
_INTERFACE_REQUEST = Struct("16sH22x")  # struct ifreq

_LOST = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.EIO})  # EIO: the device exists and is down


class Tun(Link):
    """A TUN device without packet information. Its addresses and its state are the system's to set: ``ip address``, ``ip link``.

    ``name`` is the device to make or to attach to. ``fd`` is a descriptor that is attached already, from a parent with more rights, or any
    other that carries one packet a read. ``mtu`` must be the device's.
    """

    def __init__(self, name: str, *, mtu: int = 1500, fd: int | None = None) -> None:
        self.mtu = checked_mtu(mtu)
        self.name = name
        self._descriptor = _attached(name) if fd is None else fd
        os.set_blocking(self._descriptor, False)

    def fileno(self) -> int:
        return self._descriptor

    def receive(self) -> bytes:
        try:
            return os.read(self._descriptor, self.mtu)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._gone(error) from error

    def send(self, packet: bytes) -> bool:
        if len(packet) > self.mtu:
            raise too_large(packet, self.mtu)
        try:
            os.write(self._descriptor, packet)
        except OSError as error:
            if error.errno in _LOST:
                return False
            raise self._gone(error) from error
        return True

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _gone(self, error: OSError) -> LinkError:
        if self._descriptor < 0:
            return closed(f"TUN device {self.name}")
        return LinkError(error.errno, f"TUN device {self.name} is gone ({error.strerror})")


def _attached(name: str) -> int:
    if not 1 <= len(name.encode()) <= LONGEST_NAME or "/" in name or any(letter.isspace() for letter in name):
        raise ArgumentError("name", name, f"a device's name: 1 … {LONGEST_NAME} octets, no slash, no space")
    descriptor = _opened(name)
    try:
        fcntl.ioctl(descriptor, TUNSETIFF, _INTERFACE_REQUEST.pack(name.encode(), IFF_TUN | IFF_NO_PI))
    except OSError as error:
        os.close(descriptor)
        raise _refused(name, error) from error
    return descriptor


def _opened(name: str) -> int:
    try:
        return os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise _refused(name, error) from error


def _refused(name: str, error: OSError) -> LinkError:
    """What went wrong, and how to mend it."""
    if error.errno in (errno.EPERM, errno.EACCES):
        mending = f"no right to use TUN device {name}: run as root, or: ip tuntap add dev {name} mode tun user $USER"
    elif error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        mending = f"there is no {DEVICE}: modprobe tun, or give the container that device"
    elif error.errno == errno.EBUSY:
        mending = f"TUN device {name} is in use by another program: stop it, or take another name"
    elif error.errno == errno.EINVAL:
        mending = f"{name} is no TUN device, or one of another kind (TAP, multi-queue): take another name"
    else:
        mending = f"TUN device {name} can't be opened ({error.strerror})"
    return LinkError(error.errno, mending)
