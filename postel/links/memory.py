"""Two ends of a wire inside one process."""

import errno
import os
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import RLock

from postel.errors import LinkClosed, require_number
from postel.links.contract import Link, Offloading, checked_mtu, closed, too_large
from postel.times import NEVER
from postel.wire import ip
from postel.wire.parcel import Parcel, finished

QUEUE = 1000  # packets, as many as Linux gives a device (`txqueuelen`)


def pair(mtu: int = 1500, *, queue: int = QUEUE, offload: bool = False) -> tuple["MemoryLink", "MemoryLink"]:
    """Two links: what one sends, the other receives, in order. Each holds ``queue`` packets for its reader
    and loses the rest. With ``offload`` they are `Offloading`: a parcel passes as it is, neither checked nor
    cut. They run in real and in virtual time.

    Where one is closed, the other receives what was sent before, and then raises LinkClosed.

    >>> left, right = pair()
    >>> left.send(b"hello", b"", 0), right.receive(0), right.receive(0)
    (True, b'hello', None)
    >>> left.close(); right.close()
    """
    require_number("queue", queue, 1, NEVER, "1 packet or more")
    bell = EventBell if hasattr(os, "eventfd") else SocketBell
    kind = OffloadingMemoryLink if offload else MemoryLink
    left, right = kind(mtu, queue, bell), kind(mtu, queue, bell)
    left.peer, right.peer = right, left
    return left, right


class MemoryLink(Link):
    """One end; `pair` makes two. One thread may receive while any others send; it may close the link
    meanwhile too.

    The descriptor is made when it is first asked for. Without one, the link calls `notify` when a packet
    arrives.
    """

    lost: int  # of the base class: type checkers want a declaration in each class that writes it

    peer: "MemoryLink"

    def __init__(self, mtu: int, queue: int, make_bell: Callable[[], "EventBell | SocketBell"]) -> None:
        self.mtu: int = checked_mtu(mtu)
        self._limit = queue
        self._parcels: deque[Parcel] = deque()
        self._make_bell = make_bell
        self._bell: EventBell | SocketBell | None = None
        self._is_closed = False

    def fileno(self) -> int:
        if self._is_closed:
            return -1
        if self._bell is None:
            self._bell = self._make_bell()
            if self._parcels or self.peer._is_closed:  # noqa: SLF001 - the other end of the same wire
                self._bell.ring()
        return self._bell.fileno()

    def receive(self, now: int) -> bytes | None:
        parcel = self._pop()
        return None if parcel is None else parcel.head

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        if len(packet) > self.mtu:
            raise too_large(len(packet), self.mtu)
        return self._give(Parcel(packet))

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self.notify()
        self._parcels.clear()
        if self._bell is not None:
            self._bell.close()
        # It hears the end once it has received what was sent before
        self.peer._peer_has_closed()  # noqa: SLF001

    def _pop(self) -> Parcel | None:
        try:
            return self._parcels.popleft()
        except IndexError:
            if self._is_closed:
                raise closed("memory link") from None
            if self._bell is not None:
                return self._pop_after_silence(self._bell)
            return self._pop_last() if self.peer._is_closed else None  # noqa: SLF001

    def _pop_after_silence(self, bell: "EventBell | SocketBell") -> Parcel | None:
        """The reader found nothing: silence the bell, then look again.

        Another thread may send at any point. A parcel that it adds before the second look is taken here, and
        the bell rings again, for the silence may have swallowed the ring that belongs to it. A parcel that it
        adds later finds the bell silent and rings it. A ring that comes late, for a parcel that was taken
        already, makes the descriptor readable once for nothing.
        """
        bell.silence()
        try:
            parcel = self._parcels.popleft()
        except IndexError:
            if not self.peer._is_closed:  # noqa: SLF001
                return None
            bell.ring()  # for good: nothing else tells the driver of the end
            return self._pop_last()
        bell.ring()
        return parcel

    def _pop_last(self) -> Parcel:
        """The other end is closed: what it sent until then, and after that LinkClosed."""
        try:
            return (
                self._parcels.popleft()
            )  # another thread may have added it between the last look and its close
        except IndexError:
            raise LinkClosed(errno.ENOTCONN, "the other end of the memory link is closed") from None

    def _give(self, parcel: Parcel) -> bool:
        if self._is_closed:
            raise closed("memory link")
        if self.peer._offer(parcel):  # noqa: SLF001 - the other end of the same wire
            return True
        self.lost += 1
        return False

    def _offer(self, parcel: Parcel) -> bool:
        if len(self._parcels) >= self._limit or self._is_closed:
            return False
        self._parcels.append(parcel)
        bell = self._bell  # made after this, it finds the parcel
        if bell is None:
            self.notify()
        elif not bell.rung:
            bell.ring()
        return True

    def _peer_has_closed(self) -> None:
        if self._bell is not None:
            self._bell.ring()
        self.notify()


class OffloadingMemoryLink(MemoryLink, Offloading):
    """One end of a wire on which whole parcels pass."""

    largest = ip.LARGEST

    def receive(self, now: int) -> bytes | None:
        parcel = self._pop()
        if parcel is None:
            return None
        first, *others = finished(parcel)
        self._parcels.extendleft([Parcel(packet) for packet in reversed(others)])
        return first

    def receive_parcel(self, now: int) -> Parcel | None:
        return self._pop()

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        return self.send_parcel(Parcel(packet), next_hop, now)

    def send_parcel(self, parcel: Parcel, next_hop: bytes, now: int) -> bool:
        self.check(parcel)
        return self._give(parcel)


bells: set[int] = set()
"""The descriptors of links in memory.

What makes them readable is in this process, so that a loop in virtual time may watch them.
"""


class EventBell:
    """A descriptor that is readable while it rings: Linux's eventfd. Any thread may ring it; one reads.

    ``rung`` saves a system call for each further packet. It is true before the descriptor is readable, and
    false before it is read: a sender that finds it true has added its packet before the reader looks again.
    """

    def __init__(self) -> None:
        self.rung: bool = False
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        bells.add(self._descriptor)
        # so that no descriptor is written to which another thread has closed, and the system given to another
        # file
        self._lock = RLock()

    def fileno(self) -> int:
        return self._descriptor

    def ring(self) -> None:
        self.rung = True
        with self._lock:
            if self._descriptor >= 0:
                os.eventfd_write(self._descriptor, 1)

    def silence(self) -> None:
        self.rung = False
        if self._descriptor >= 0:
            with suppress(OSError):  # it wasn't readable, or another thread closed it
                os.eventfd_read(self._descriptor)

    def close(self) -> None:
        with self._lock:
            self.rung = False
            if self._descriptor >= 0:
                bells.discard(self._descriptor)
                os.close(self._descriptor)
                self._descriptor = -1


class SocketBell:
    """The same where there is no eventfd."""

    def __init__(self) -> None:
        self.rung: bool = False
        self._inner, self._outer = socket.socketpair()
        self._inner.setblocking(False)  # noqa: FBT003
        self._outer.setblocking(False)  # noqa: FBT003
        bells.add(self._inner.fileno())
        self._lock = RLock()

    def fileno(self) -> int:
        return self._inner.fileno()

    def ring(self) -> None:
        self.rung = True
        with self._lock:
            if self._outer.fileno() >= 0:
                with suppress(BlockingIOError):  # full: it is readable
                    self._outer.send(b"!")

    def silence(self) -> None:
        self.rung = False
        if self._inner.fileno() >= 0:
            with suppress(OSError):
                self._inner.recv(4096)

    def close(self) -> None:
        with self._lock:
            self.rung = False
            bells.discard(self._inner.fileno())
            self._inner.close()
            self._outer.close()
