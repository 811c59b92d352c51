"""Two ends of a wire inside one process."""

import os
import socket
from collections import deque

from postel.errors import ArgumentError
from postel.link import Link, checked_mtu, closed, too_large

QUEUE = 1000  # packets, as many as Linux gives a device (`txqueuelen`)


def pair(mtu: int = 1500, *, queue: int = QUEUE) -> tuple["Memory", "Memory"]:
    """Two links: what one sends, the other receives, in order. Each holds ``queue`` packets for its reader and loses the rest.

    >>> left, right = pair()
    >>> left.send(b"hello"), right.receive(), right.receive()
    (True, b'hello', b'')
    >>> left.close(); right.close()
    """
    if queue < 1:
        raise ArgumentError("queue", queue, "1 packet or more")
    bell = EventBell if hasattr(os, "eventfd") else SocketBell
    left, right = Memory(mtu, queue, bell()), Memory(mtu, queue, bell())
    left.peer, right.peer = right, left
    return left, right


class Memory(Link):
    """One end; `pair` makes two. A driver's thread may read it while another's thread sends."""

    peer: "Memory"

    def __init__(self, mtu: int, queue: int, bell: "EventBell | SocketBell") -> None:
        self.mtu = checked_mtu(mtu)
        self._limit = queue
        self._packets: deque[bytes] = deque()
        self._bell = bell

    def fileno(self) -> int:
        return self._bell.fileno()

    def receive(self) -> bytes:
        try:
            return self._packets.popleft()
        except IndexError:
            if self._bell.rung:
                return self._receive_after_silence()
            return b""

    def send(self, packet: bytes) -> bool:
        if len(packet) > self.mtu:
            raise too_large(packet, self.mtu)
        if self._bell.fileno() < 0:
            raise closed("memory link")
        return self.peer._offer(packet)  # noqa: SLF001 - the other end of the same wire

    def close(self) -> None:
        self._packets.clear()
        self._bell.close()

    def _offer(self, packet: bytes) -> bool:
        if len(self._packets) >= self._limit or self._bell.fileno() < 0:
            return False
        self._packets.append(packet)
        if not self._bell.rung:
            self._bell.ring()
        return True

    def _receive_after_silence(self) -> bytes:
        """Silence first, look again after: a packet that another thread adds between the two rings anew or is seen here."""
        self._bell.silence()
        if not self._packets:
            return b""
        self._bell.ring()
        return self._packets.popleft()


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
