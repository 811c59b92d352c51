"""Workers that share a device: the ICMP errors that one gets about another's connection, and the end that
they have together.

The kernel chooses a queue by a hash of addresses and ports, and an ICMP error has no ports: it comes to the
worker that its addresses choose. That worker gives it to all the others, and a host drops an error about a
connection that it doesn't have (RFC 5927, 4.1).

A worker that has served its last connection stays until all have, to refuse new ones: the kernel goes on to
give it segments.
"""

import asyncio
import os
import select
import socket
from contextlib import suppress
from typing import Final

from postel.links import Link, Offloading
from postel.links.tun import OffloadingTun, Tun
from postel.wire import ip
from postel.wire.parcel import Parcel, finished

_EVERY: Final = (
    32  # packets from the device, before the mailbox is looked at; it is when the device has none, too
)
_LARGEST: Final = 65535
_ERRORS: Final = frozenset({3, 11, 12})  # RFC 792: unreachable, time exceeded, parameter problem
_QUERIES_6: Final = 128  # RFC 4443, 2.1: types below are errors


class Siblings:
    """A mailbox for each of ``count`` workers. Made before they begin, and kept by the parent: a worker's
    successor has the same.
    """

    def __init__(self, count: int) -> None:
        self._boxes = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(count)]
        for pair in self._boxes:
            for end in pair:
                end.settimeout(0)
        self._all_done, self._working = os.pipe()  # each process holds an end for writing as long as it works

    def close(self) -> None:
        for pair in self._boxes:
            for end in pair:
                end.close()
        os.close(self._all_done)
        self.done()

    def done(self) -> None:
        """Say that this process has no more to do: a worker without connections, or the parent, which starts
        no more workers.
        """
        if self._working >= 0:
            os.close(self._working)
            self._working = -1

    async def all_done(self) -> None:
        """Wait until the parent and all workers are `done`, or have ended."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._all_done, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._all_done)

    def joined(self, link: Tun, index: int) -> Link:
        """The link of the worker ``index``, over its queue of the device."""
        inbox = self._boxes[index][0]
        others = [pair[1] for number, pair in enumerate(self._boxes) if number != index]
        return (
            SharingOffloading(link, inbox, others)
            if isinstance(link, OffloadingTun)
            else Sharing(link, inbox, others)
        )


class Sharing(Link):
    """A queue of a device, and a mailbox beside it."""

    def __init__(self, link: Tun, inbox: socket.socket, others: list[socket.socket]) -> None:
        self.mtu: int = link.mtu
        self.link = link
        self._inbox = inbox
        self._others = others
        self._until_mail = _EVERY
        self._poll = select.epoll()  # readable when one of the two is
        self._poll.register(link.fileno(), select.EPOLLIN)
        self._poll.register(inbox.fileno(), select.EPOLLIN)

    def fileno(self) -> int:
        return -1 if self._poll.closed else self._poll.fileno()

    def receive(self, now: int) -> bytes | None:
        if self._mail_is_due() and (mail := self._mail()):
            return mail
        packet = self.link.receive(now)
        if packet is None:
            return self._mail()
        if is_error(packet):
            self._pass_on(packet)
        return packet

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        return self.link.send(packet, next_hop, now)

    def statistics(self) -> dict[str, int]:
        return self.link.statistics()

    def close(self) -> None:
        self.notify()
        self._poll.close()
        self.link.close()

    def _mail_is_due(self) -> bool:
        self._until_mail -= 1
        if self._until_mail:
            return False
        self._until_mail = _EVERY
        return True

    def _mail(self) -> bytes | None:
        """An error that another worker got; None if there is none."""
        try:
            return self._inbox.recv(_LARGEST)
        except BlockingIOError:
            return None

    def _pass_on(self, packet: bytes) -> None:
        """A mailbox that is full loses it, as a network may."""
        for other in self._others:
            with suppress(OSError):
                other.send(packet)


class SharingOffloading(Sharing, Offloading):
    """The same for a device with virtio headers."""

    link: OffloadingTun

    def __init__(self, link: OffloadingTun, inbox: socket.socket, others: list[socket.socket]) -> None:
        super().__init__(link, inbox, others)
        self.largest: int = link.largest

    def receive_parcel(self, now: int) -> Parcel | None:
        if self._mail_is_due() and (mail := self._mail()):
            return Parcel(mail)
        parcel = self.link.receive_parcel(now)
        if parcel is None:
            mail = self._mail()
            return Parcel(mail) if mail else None
        if is_error(parcel.head):
            for packet in finished(parcel):
                self._pass_on(packet)
        return parcel

    def send_parcel(self, parcel: Parcel, next_hop: bytes, now: int) -> bool:
        return self.link.send_parcel(parcel, next_hop, now)


def is_error(packet: bytes) -> bool:
    """Whether this is an ICMP error. Octets that are no packet are none."""
    if len(packet) < ip.HEADER_4:
        return False
    if packet[0] >> 4 == 4:
        begin = (packet[0] & 0xF) * 4
        return packet[9] == socket.IPPROTO_ICMP and len(packet) > begin and packet[begin] in _ERRORS
    return (
        len(packet) > ip.HEADER_6 and packet[6] == socket.IPPROTO_ICMPV6 and packet[ip.HEADER_6] < _QUERIES_6
    )
