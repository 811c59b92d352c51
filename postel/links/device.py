"""System calls for Linux's TUN device, /dev/net/tun: see <linux/if_tun.h>."""

import contextlib
import errno
import os
import socket
import stat
from struct import Struct
from typing import Final

from postel.errors import ArgumentError, LinkError

# Windows has no module `fcntl`. There, opening the device fails before a function here calls it
with contextlib.suppress(ImportError):
    import fcntl

DEVICE: Final = "/dev/net/tun"
LONGEST_NAME: Final = 15  # IFNAMSIZ, less its terminating zero

TUNSETIFF: Final = 0x400454CA
TUNSETOFFLOAD: Final = 0x400454D0
TUNGETFEATURES: Final = 0x800454CF
TUNGETIFF: Final = 0x800454D2
TUNGETVNETHDRSZ: Final = 0x800454D7

IFF_TUN: Final = 0x0001
IFF_MULTI_QUEUE: Final = 0x0100
IFF_NO_PI: Final = 0x1000
IFF_VNET_HDR: Final = 0x4000

TUN_F_CSUM: Final = 0x01
TUN_F_TSO4: Final = 0x02
TUN_F_TSO6: Final = 0x04
TUN_F_TSO_ECN: Final = 0x08

_TSO: Final = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6
_OFFLOADS: Final = (_TSO | TUN_F_TSO_ECN, _TSO, TUN_F_CSUM)  # sets of bits to ask for, the best first
_INTERFACE_REQUEST: Final = Struct("16sH22x")  # struct ifreq
_NUMBER: Final = Struct("=I")


def attach(name: str, flags: int) -> int:
    """Open a queue of the device ``name``, which is made if it doesn't exist. Returns a descriptor.

    ``flags`` are IFF_… bits. Raises ArgumentError for a name that no device can have, and LinkError, with a
    text that says how to mend the problem.
    """
    if not 1 <= len(name.encode()) <= LONGEST_NAME or "/" in name or any(letter.isspace() for letter in name):
        raise ArgumentError("name", name, f"a device's name: 1 … {LONGEST_NAME} octets, no slash, no space")
    try:
        descriptor = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise refused(name, error) from error
    try:
        _set(descriptor, name, flags)
    except OSError as error:
        os.close(descriptor)
        raise refused(name, error) from error
    return descriptor


def _set(descriptor: int, name: str, flags: int) -> None:
    """Attach the descriptor to the device."""
    try:
        fcntl.ioctl(descriptor, TUNSETIFF, _INTERFACE_REQUEST.pack(name.encode(), flags))
    except OSError as error:
        if error.errno != errno.EINVAL or flags & IFF_MULTI_QUEUE:
            raise
        # A device that was made for several queues refuses a descriptor without IFF_MULTI_QUEUE
        fcntl.ioctl(descriptor, TUNSETIFF, _INTERFACE_REQUEST.pack(name.encode(), flags | IFF_MULTI_QUEUE))


def features() -> int:
    """Return the IFF_… flags that this kernel knows. Raises OSError where /dev/net/tun can't be opened.

    The only right that the caller needs is to open that file.
    """
    descriptor = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    try:
        return _asked(descriptor, TUNGETFEATURES)
    finally:
        os.close(descriptor)


def flags_of(descriptor: int) -> int:
    """Return the IFF_… flags of the device behind ``descriptor``; 0 for another file, such as a socket."""
    try:
        answer = fcntl.ioctl(descriptor, TUNGETIFF, bytes(_INTERFACE_REQUEST.size))
    except OSError:
        return 0
    return int(_INTERFACE_REQUEST.unpack(answer)[1])


def keeps_boundaries(descriptor: int) -> bool:
    """Tell whether the descriptor is a datagram socket.

    A read of 0 octets from a datagram socket is an empty datagram; from another descriptor it means the end.
    """
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return False
    with socket.socket(fileno=os.dup(descriptor)) as looked_at:
        return looked_at.type == socket.SOCK_DGRAM


def header_length(descriptor: int) -> int:
    """Return the length of the virtio header before each packet, in octets."""
    return _asked(descriptor, TUNGETVNETHDRSZ)


def offload(descriptor: int) -> int:
    """Ask the kernel to hand over large segments and packets without checksums.

    Returns the TUN_F_… bits to which the kernel agreed, 0 for none. The other direction needs no agreement:
    the kernel cuts segments and computes checksums of packets that a program writes.
    """
    for wanted in _OFFLOADS:
        try:
            fcntl.ioctl(descriptor, TUNSETOFFLOAD, wanted)
        except OSError:
            continue
        return wanted
    return 0


def offload_nothing(descriptor: int) -> None:
    """Ask the kernel to hand over only packets of one MTU at most, with checksums.

    Does nothing for a descriptor of something other than a device. On a persistent device the setting of
    `offload` outlives the descriptor: the next program that opens the device without a virtio header would
    get segments larger than the MTU, without checksums.
    """
    with contextlib.suppress(OSError):
        fcntl.ioctl(descriptor, TUNSETOFFLOAD, 0)


def _asked(descriptor: int, request: int) -> int:
    """Return the number with which the device answers ``request``."""
    return int(_NUMBER.unpack(fcntl.ioctl(descriptor, request, bytes(_NUMBER.size)))[0])


def right_to_use(making: str) -> str:
    """Return advice for a user without the right to use a TUN device: run as root, or run ``making``."""
    if os.geteuid() == 0:
        return (
            f"run as root, or: {making}; root itself lacks CAP_NET_ADMIN: in a container, --cap-add "
            f"NET_ADMIN --device {DEVICE}"
        )
    opening = "" if os.access(DEVICE, os.R_OK | os.W_OK) else f" && chmod 666 {DEVICE}"
    return f"run as root, or: {making}{opening}"


def refused(name: str, error: OSError) -> LinkError:
    """Make the error for a device that can't be opened. Its text says what went wrong and how to mend it."""
    if error.errno in (errno.EPERM, errno.EACCES):
        mending = (
            f"no right to use TUN device {name}: "
            f"{right_to_use(f'ip tuntap add dev {name} mode tun user $USER')}"
        )
    elif error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        mending = f"there is no {DEVICE}: modprobe tun, or give the container that device"
    elif error.errno == errno.EBUSY:
        mending = f"TUN device {name} is in use by another program: stop it, or take another name"
    elif error.errno == errno.EINVAL:
        mending = f"{name} is no TUN device, or one of another kind (TAP, one queue): take another name"
    else:
        mending = f"TUN device {name} can't be opened ({error.strerror})"
    return LinkError(error.errno, mending)
