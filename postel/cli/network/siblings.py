"""Links of workers that share a device: they pass ICMP errors to each other, and end together.

The kernel chooses a queue by a hash of addresses and ports, and an ICMP error has no ports: it arrives at the
worker that its addresses choose. That worker passes it to all the others. A host drops an error about a
connection that it doesn't have (RFC 5927, 4.1).

A worker that has served its last connection stays until all workers have served their last ones. It refuses
new connections, because the kernel still gives it segments.
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

# Number of packets after which the mailbox is read once. It is also read whenever the device has no packet.
_EVERY: Final = 32
_LARGEST: Final = 65535
_ERRORS: Final = frozenset({3, 11, 12})  # RFC 792: unreachable, time exceeded, parameter problem
_QUERIES_6: Final = 128  # ICMPv6 types below this one are errors (RFC 4443, 2.1)


class Siblings:
    """Mailboxes of ``count`` workers, one for each.

    The parent makes the mailboxes before the workers begin, and keeps them open, so that a new worker in the
    place of one that died has the same mailbox.
    """

    def __init__(self, count: int) -> None:
        """Make the mailboxes."""
        self._boxes = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(count)]
        for pair in self._boxes:
            for end in pair:
                end.settimeout(0)
        # Each process keeps the writing end open while it works. When the last process has closed it, the
        # reading end becomes readable, with the end of the file.
        self._all_done, self._working = os.pipe()

    def close(self) -> None:
        """Close the mailboxes."""
        for pair in self._boxes:
            for end in pair:
                end.close()
        os.close(self._all_done)
        self.done()

    def done(self) -> None:
        """Close this process's writing end, which reports that the process has no more to do.

        A worker calls this when it has no connections left, the parent when it starts no more workers.
        """
        if self._working >= 0:
            os.close(self._working)
            self._working = -1

    async def all_done(self) -> None:
        """Wait until the parent and all workers have called `done`, or have ended."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._all_done, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._all_done)

    def joined(self, link: Tun, index: int) -> Link:
        """Make the link of the worker ``index``, over its queue of the device."""
        inbox = self._boxes[index][0]
        others = [pair[1] for number, pair in enumerate(self._boxes) if number != index]
        return (
            SharingOffloading(link, inbox, others)
            if isinstance(link, OffloadingTun)
            else Sharing(link, inbox, others)
        )


class Sharing(Link):
    """Link over a queue of a device, with a mailbox beside it."""

    def __init__(self, link: Tun, inbox: socket.socket, others: list[socket.socket]) -> None:
        """Take the queue, this worker's mailbox, and the writing ends of the others' mailboxes."""
        self.mtu: int = link.mtu
        self.link = link
        self._inbox = inbox
        self._others = others
        self._until_mail = _EVERY
        self._poll = select.epoll()  # its descriptor is readable when the device or the mailbox is
        self._poll.register(link.fileno(), select.EPOLLIN)
        self._poll.register(inbox.fileno(), select.EPOLLIN)

    def fileno(self) -> int:
        """Descriptor that is readable when the device or the mailbox has a packet; -1 after `close`."""
        return -1 if self._poll.closed else self._poll.fileno()

    def receive(self, now: int) -> bytes | None:
        """Return the next packet of the device or the mailbox.

        An ICMP error from the device is also passed to the other workers.
        """
        if self._mail_is_due() and (mail := self._mail()):
            return mail
        packet = self.link.receive(now)
        if packet is None:
            return self._mail()
        if is_error(packet):
            self._pass_on(packet)
        return packet

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        """Send a packet on the device."""
        return self.link.send(packet, next_hop, now)

    def statistics(self) -> dict[str, int]:
        """Counters of the device."""
        return self.link.statistics()

    def close(self) -> None:
        """Close the link and its queue."""
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
        """Return an ICMP error that another worker passed on, or None if there is none."""
        try:
            return self._inbox.recv(_LARGEST)
        except BlockingIOError:
            return None

    def _pass_on(self, packet: bytes) -> None:
        """Send a packet to the other workers; a mailbox that is full loses it, as a network may."""
        for other in self._others:
            with suppress(OSError):
                other.send(packet)


class SharingOffloading(Sharing, Offloading):
    """Link over a queue of a device with virtio headers, with a mailbox beside it.

    The link passes parcels instead of single packets: large segments that the device cuts into packets.
    """

    link: OffloadingTun

    def __init__(self, link: OffloadingTun, inbox: socket.socket, others: list[socket.socket]) -> None:
        """Take the queue, this worker's mailbox, and the writing ends of the others' mailboxes."""
        super().__init__(link, inbox, others)
        self.largest: int = link.largest

    def receive_parcel(self, now: int) -> Parcel | None:
        """Return the next parcel of the device or the mailbox.

        ICMP errors from the device are also passed to the other workers.
        """
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
        """Send a parcel on the device."""
        return self.link.send_parcel(parcel, next_hop, now)


def is_error(packet: bytes) -> bool:
    """Whether a packet is an ICMP error; octets that aren't a packet are not."""
    if len(packet) < ip.HEADER_4:
        return False
    if packet[0] >> 4 == 4:
        begin = (packet[0] & 0xF) * 4
        return packet[9] == socket.IPPROTO_ICMP and len(packet) > begin and packet[begin] in _ERRORS
    return (
        len(packet) > ip.HEADER_6 and packet[6] == socket.IPPROTO_ICMPV6 and packet[ip.HEADER_6] < _QUERIES_6
    )
