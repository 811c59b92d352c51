"""A TUN device keeps the contract of links. Its other side is a packet socket in the kernel."""

import errno
import itertools
import socket
from collections import deque
from typing import Any

import pytest

from postel.links import Link, LinkClosed, Tun, attach_tun
from postel.testing import check_link
from postel.wire import virtio
from postel.wire.parcel import Parcel, finished

IPV4 = 0x0800
SOL_PACKET, PACKET_VNET_HDR = 263, 15  # <linux/if_packet.h>
numbers = itertools.count()


class PacketSocket(Link):
    """What the kernel gives to the device and gets from it. Packets come with a virtio header, which says
    what is left to do.
    """

    mtu = 1500

    def __init__(self, device: str) -> None:
        self._device = device
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(IPV4))
        self._socket.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self._socket.bind((device, IPV4))
        self._socket.setblocking(False)
        self._waiting: deque[bytes] = deque()

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self, now: int) -> bytes | None:
        if not self._waiting:
            try:
                octets = self._socket.recv(70_000)
            except BlockingIOError:
                return None
            except OSError as error:
                raise LinkClosed(errno.EBADF, "closed") from error
            self._waiting += finished(
                virtio.parse(octets[: virtio.LENGTH], memoryview(octets)[virtio.LENGTH :])
            )
        return self._waiting.popleft()

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        try:
            self._socket.sendto(virtio.header(Parcel(packet)) + packet, (self._device, IPV4))
        except (BlockingIOError, OSError) as error:
            if error.errno not in (errno.EAGAIN, errno.ENOBUFS):
                raise
            self.lost += 1
            return False
        return True

    def close(self) -> None:
        self.notify()
        self._socket.close()


@pytest.mark.parametrize("offload", [False, True])
def test_a_device_keeps_the_contract(namespace: Any, offload: bool) -> None:
    def make() -> tuple[Tun, PacketSocket]:
        name = f"check{next(numbers)}"
        link = namespace.inside(lambda: attach_tun(name, offload=offload))
        namespace.command("sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1")
        namespace.command("ip", "link", "set", name, "up")
        return link, namespace.inside(lambda: PacketSocket(name))

    check_link(make, counts_losses=False)  # the socket's buffer loses them uncounted
