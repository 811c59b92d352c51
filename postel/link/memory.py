"""Two ends of a wire inside one process."""

import os
import socket
from collections import deque

from postel.errors import ArgumentError
from postel.link import Link, Offloading, checked_mtu, closed, too_large
from postel.wire import ip
from postel.wire.parcel import Parcel, finished

QUEUE = 1000  # packets, as many as Linux gives a device (`txqueuelen`)


def pair(mtu: int = 1500, *, queue: int = QUEUE, offload: bool = False) -> tuple["Memory", "Memory"]:
    """Two links: what one sends, the other receives, in order. Each holds ``queue`` packets for its reader and loses the rest. With
    ``offload`` they are `Offloading`: a parcel passes as it is, neither checked nor cut.

    >>> left, right = pair()
    >>> left.send(b"hello"), right.receive(), right.receive()
    (True, b'hello', b'')
    >>> left.close(); right.close()
    """
    if queue < 1:
        raise ArgumentError("queue", queue, "1 packet or more")
    bell = EventBell if hasattr(os, "eventfd") else SocketBell
    kind = OffloadingMemory if offload else Memory
    left, right = kind(mtu, queue, bell()), kind(mtu, queue, bell())
    left.peer, right.peer = right, left
    return left, right


class Memory(Link):
    """One end; `pair` makes two. A driver's thread may read it while another's thread sends."""

    peer: "Memory"

    def __init__(self, mtu: int, queue: int, bell: "EventBell | SocketBell") -> None:
        self.mtu = checked_mtu(mtu)
        self._limit = queue
        self._parcels: deque[Parcel] = deque()
        self._bell = bell

    def fileno(self) -> int:
        return self._bell.fileno()

    def receive(self) -> bytes:
        parcel = self._take()
        return b"" if parcel is None else parcel.head

    def send(self, packet: bytes) -> bool:
        if len(packet) > self.mtu:
            raise too_large(len(packet), self.mtu)
        return self._give(Parcel(packet))

    def close(self) -> None:
        self._parcels.clear()
        self._bell.close()

    def _take(self) -> Parcel | None:
        try:
            return self._parcels.popleft()
        except IndexError:
            return self._take_after_silence() if self._bell.rung else None

    def _take_after_silence(self) -> Parcel | None:
        """Silence first, look again after: a packet that another thread adds between the two rings anew or is seen here."""
        self._bell.silence()
        if not self._parcels:
            return None
        self._bell.ring()
        return self._parcels.popleft()

    def _give(self, parcel: Parcel) -> bool:
        if self._bell.fileno() < 0:
            raise closed("memory link")
        return self.peer._offer(parcel)  # noqa: SLF001 - the other end of the same wire

    def _offer(self, parcel: Parcel) -> bool:
        if len(self._parcels) >= self._limit or self._bell.fileno() < 0:
            return False
        self._parcels.append(parcel)
        if not self._bell.rung:
            self._bell.ring()
        return True


class OffloadingMemory(Memory, Offloading):
    """One end of a wire on which whole parcels pass."""

    largest = ip.LARGEST

    def receive(self) -> bytes:
        parcel = self._take()
        if parcel is None:
            return b""
        first, *others = finished(parcel)
        self._parcels.extendleft([Parcel(packet) for packet in reversed(others)])
        return first

    def receive_parcel(self) -> Parcel | None:
        return self._take()

    def send(self, packet: bytes) -> bool:
        return self.send_parcel(Parcel(packet))

    def send_parcel(self, parcel: Parcel) -> bool:
        self.check(parcel)
        return self._give(parcel)


class EventBell:
    """A descriptor that is readable while it rings: Linux's eventfd."""

    def __init__(self) -> None:
        self.rung = False
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        return self._descriptor

    def ring(self) -> None:
        self.rung = True
        os.eventfd_write(self._descriptor, 1)

    def silence(self) -> None:
        self.rung = False
        os.eventfd_read(self._descriptor)

    def close(self) -> None:
        self.rung = False
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class SocketBell:
    """The same where there is no eventfd."""

    def __init__(self) -> None:
        self.rung = False
        self._inner, self._outer = socket.socketpair()
        self._inner.setblocking(False)  # noqa: FBT003

    def fileno(self) -> int:
        return self._inner.fileno()

    def ring(self) -> None:
        self.rung = True
        self._outer.send(b"!")

    def silence(self) -> None:
        self.rung = False
        self._inner.recv(1)

    def close(self) -> None:
        self.rung = False
        self._inner.close()
        self._outer.close()
