"""Links in memory: both ends of a wire inside one process."""

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

QUEUE = 1000  # default limit of a queue, in packets: that of a Linux device (`txqueuelen`)


def pair(mtu: int = 1500, *, queue: int = QUEUE, offload: bool = False) -> tuple["MemoryLink", "MemoryLink"]:
    """Make two links: what one sends, the other receives, in order. They run in real and in virtual time.

    ``mtu`` is the largest packet in octets, 68 to 65535. Each end holds up to ``queue`` packets for its
    reader, 1 or more, and loses the rest. With ``offload`` the links are `Offloading`: a parcel passes as it
    is, neither checked nor cut. Raises ArgumentError.

    After one end was closed, the other receives the packets that were sent before, and then raises
    LinkClosed.

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
    """One end of a wire in memory; `pair` makes both.

    One thread may receive while any others send; any thread may close the link. The descriptor is made when
    `fileno` is first called. Until then, the link calls `notify` when a packet arrives.
    """

    lost: int  # attribute of `Link`: type checkers want a declaration where a class writes it

    peer: "MemoryLink"

    def __init__(self, mtu: int, queue: int, make_bell: Callable[[], "EventBell | SocketBell"]) -> None:
        """Make one end. Use `pair`, which makes both and joins them."""
        self.mtu: int = checked_mtu(mtu)
        self._limit = queue
        self._parcels: deque[Parcel] = deque()
        self._make_bell = make_bell
        self._bell: EventBell | SocketBell | None = None
        self._is_closed = False

    def fileno(self) -> int:
        """Return a descriptor that is readable while packets wait; -1 once closed.

        The first call makes it.
        """
        if self._is_closed:
            return -1
        if self._bell is None:
            self._bell = self._make_bell()
            if self._parcels or self.peer._is_closed:  # noqa: SLF001 - the other end of the same wire
                self._bell.ring()
        return self._bell.fileno()

    def receive(self, now: int) -> bytes | None:
        """Return the oldest packet; None where there is none now.

        Raises LinkClosed once either end is closed.
        """
        parcel = self._pop()
        return None if parcel is None else parcel.head

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        """Give ``packet`` to the other end.

        Returns False where its queue is full or it is closed: the packet is lost. Raises LinkError for a
        packet larger than ``mtu``, and LinkClosed once this end is closed.
        """
        if len(packet) > self.mtu:
            raise too_large(len(packet), self.mtu)
        return self._give(Parcel(packet))

    def close(self) -> None:
        """Close this end. The other end may still receive the packets that were sent before."""
        if self._is_closed:
            return
        self._is_closed = True
        self.notify()
        self._parcels.clear()
        if self._bell is not None:
            self._bell.close()
        # The other end raises LinkClosed only after it has received the packets that were sent before
        self.peer._peer_has_closed()  # noqa: SLF001 - the other end of the same wire

    def _pop(self) -> Parcel | None:
        """Return the oldest parcel; None for none now. Raises LinkClosed at the end."""
        try:
            return self._parcels.popleft()
        except IndexError:
            if self._is_closed:
                raise closed("memory link") from None
            if self._bell is not None:
                return self._pop_after_silence(self._bell)
            # The other end of the pair is of this class too
            return self._pop_last() if self.peer._is_closed else None  # noqa: SLF001

    def _pop_after_silence(self, bell: "EventBell | SocketBell") -> Parcel | None:
        """Make the descriptor unreadable, because no parcel waits; then look into the queue again.

        Another thread may send at any moment:

        - The thread adds a parcel before the second look. This method takes the parcel and makes the
          descriptor readable again, because more parcels may wait, and `silence` may have removed their
          signal.
        - The thread adds a parcel after the second look. The descriptor is unreadable by then, and the thread
          makes the descriptor readable.
        - The thread's signal comes late, when its parcel was taken already. The descriptor is then readable
          once without a parcel.
        """
        bell.silence()
        try:
            parcel = self._parcels.popleft()
        except IndexError:
            if not self.peer._is_closed:  # noqa: SLF001 - the other end of the same wire
                return None
            bell.ring()  # the driver reads only a readable descriptor, and must learn of the end by reading
            return self._pop_last()
        bell.ring()
        return parcel

    def _pop_last(self) -> Parcel:
        """Return a parcel that was sent before the other end was closed; raise LinkClosed after the last."""
        try:
            # After the queue was found empty, another thread may have added a parcel and closed the other end
            return self._parcels.popleft()
        except IndexError:
            raise LinkClosed(errno.ENOTCONN, "the other end of the memory link is closed") from None

    def _give(self, parcel: Parcel) -> bool:
        """Give a parcel to the other end. Returns False where it is lost."""
        if self._is_closed:
            raise closed("memory link")
        if self.peer._offer(parcel):  # noqa: SLF001 - the other end of the same wire
            return True
        self.lost += 1
        return False

    def _offer(self, parcel: Parcel) -> bool:
        """Take a parcel from the other end. Returns False where there is no room for it."""
        if len(self._parcels) >= self._limit or self._is_closed:
            return False
        self._parcels.append(parcel)
        # Read after the append: if the descriptor is made later, its reader finds the parcel in the queue
        bell = self._bell
        if bell is None:
            self.notify()
        elif not bell.rung:
            bell.ring()
        return True

    def _peer_has_closed(self) -> None:
        """Make the driver read this end, because the other end was closed."""
        if self._bell is not None:
            self._bell.ring()
        self.notify()


class OffloadingMemoryLink(MemoryLink, Offloading):
    """One end of a wire in memory on which whole parcels pass; `pair` with ``offload`` makes both."""

    largest = ip.LARGEST

    def receive(self, now: int) -> bytes | None:
        """Return the next packet: a parcel is cut into its packets."""
        parcel = self._pop()
        if parcel is None:
            return None
        first, *others = finished(parcel)
        self._parcels.extendleft([Parcel(packet) for packet in reversed(others)])
        return first

    def receive_parcel(self, now: int) -> Parcel | None:
        """Return the oldest parcel; None where there is none now.

        Raises LinkClosed once either end is closed.
        """
        return self._pop()

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        """Give ``packet`` to the other end, as a parcel. Returns False where it is lost."""
        return self.send_parcel(Parcel(packet), next_hop, now)

    def send_parcel(self, parcel: Parcel, next_hop: bytes, now: int) -> bool:
        """Give ``parcel`` to the other end, uncut. Returns False where it is lost."""
        self.check(parcel)
        return self._give(parcel)


bells: set[int] = set()
"""Descriptors of links in memory.

Only this process makes them readable, so a loop in virtual time may wait for them.
"""


class EventBell:
    """Descriptor that other threads can make readable: Linux's eventfd.

    A *bell* is a signal from one thread to another that a poll of descriptors sees. `ring` makes the
    descriptor readable, `silence` makes it unreadable. Any thread may ring; one thread silences.

    ``rung`` saves a system call for each further packet. It becomes True before the descriptor becomes
    readable, and False before the descriptor is read. So a sender that finds ``rung`` True has added its
    packet before the reader looks again.
    """

    def __init__(self) -> None:
        """Make the descriptor, unreadable."""
        self.rung: bool = False
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        bells.add(self._descriptor)
        # Lock that is held while the descriptor is written: another thread may close the descriptor, and the
        # system then gives its number to another file
        self._lock = RLock()

    def fileno(self) -> int:
        """Return the descriptor; -1 once closed."""
        return self._descriptor

    def ring(self) -> None:
        """Make the descriptor readable. Does nothing once closed."""
        self.rung = True
        with self._lock:
            if self._descriptor >= 0:
                os.eventfd_write(self._descriptor, 1)

    def silence(self) -> None:
        """Make the descriptor unreadable. Does nothing once closed."""
        self.rung = False
        if self._descriptor >= 0:
            with suppress(OSError):  # the descriptor wasn't readable, or another thread closed it
                os.eventfd_read(self._descriptor)

    def close(self) -> None:
        """Close the descriptor. A second call does nothing."""
        with self._lock:
            self.rung = False
            if self._descriptor >= 0:
                bells.discard(self._descriptor)
                os.close(self._descriptor)
                self._descriptor = -1


class SocketBell:
    """Descriptor that other threads can make readable: a socket pair, for systems without eventfd.

    Its methods and ``rung`` are those of `EventBell`.
    """

    def __init__(self) -> None:
        """Make the socket pair; its descriptor is unreadable."""
        self.rung: bool = False
        self._inner, self._outer = socket.socketpair()
        self._inner.setblocking(False)  # noqa: FBT003 - the method's only argument
        self._outer.setblocking(False)  # noqa: FBT003 - the method's only argument
        bells.add(self._inner.fileno())
        self._lock = RLock()

    def fileno(self) -> int:
        """Return the descriptor; -1 once closed."""
        return self._inner.fileno()

    def ring(self) -> None:
        """Make the descriptor readable. Does nothing once closed."""
        self.rung = True
        with self._lock:
            if self._outer.fileno() >= 0:
                # The pair's buffer is full, so that the descriptor is readable
                with suppress(BlockingIOError):
                    self._outer.send(b"!")

    def silence(self) -> None:
        """Make the descriptor unreadable. Does nothing once closed."""
        self.rung = False
        if self._inner.fileno() >= 0:
            with suppress(OSError):
                self._inner.recv(4096)

    def close(self) -> None:
        """Close both ends. A second call does nothing."""
        with self._lock:
            self.rung = False
            bells.discard(self._inner.fileno())
            self._inner.close()
            self._outer.close()
