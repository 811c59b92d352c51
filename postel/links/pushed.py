"""A link for a transport that pushes packets: a TLS or QUIC stream, a callback, USB. No descriptor, no
thread, no relay between.
"""

import errno
from collections import deque
from collections.abc import Callable, Iterable

from postel.errors import ArgumentError, LinkClosed, LinkError, renewed, require_number
from postel.links.contract import Link, checked_mtu, closed, too_large
from postel.times import NEVER

QUEUE = 1000  # packets


class PushedLink(Link):
    """The transport calls `packets_arrive` with what came; the link calls ``send`` with each packet that is
    to leave.

    ``send`` returns False where the transport could not take the packet, which is lost then and counted; any
    other value, None too, says that it did. It is called in the host's thread and must not wait. A transport
    that would rather not lose any calls `pause_sending` while its own buffer is full, as asyncio calls a
    protocol's ``pause_writing``, and `resume_sending` later: the host keeps what it has to send meanwhile.

    ``queue`` packets may wait for the host; more are lost and counted. ``resume``, if given, is called once
    the host has taken all, after `packets_arrive` returned False. The transport's own end is told by `end`.
    ``stop``, if given, is called by `close`. `packets_arrive`, `end` and the others but ``send`` may be
    called by any thread.
    """

    lost: int  # of the base class: type checkers want a declaration in each class that writes it

    def __init__(
        self,
        send: Callable[[bytes], object],
        *,
        mtu: int = 1500,
        queue: int = QUEUE,
        resume: Callable[[], object] | None = None,
        stop: Callable[[], object] | None = None,
    ) -> None:
        for name, value in (("send", send), ("resume", resume), ("stop", stop)):
            if not callable(value) and (value is not None or name == "send"):
                raise ArgumentError(name, value, "something to call")
        require_number("queue", queue, 1, NEVER, "1 packet or more")
        self.mtu: int = checked_mtu(mtu)
        self._send = send
        self._limit = queue
        self._resume = resume
        self._stop = stop
        self._arrived: deque[bytes] = deque()
        self._is_pausing = False  # the transport was told that the queue is filling
        self._end: LinkError | None = None
        self._is_closed = False

    # The transport

    def packets_arrive(self, batch: Iterable[bytes]) -> bool:
        """Take whole IP packets, in order. False asks the transport to pause until ``resume`` is called: half
        of the queue is in use.
        """
        for packet in batch:
            if not packet or not isinstance(packet, (bytes, bytearray, memoryview)):
                raise ArgumentError(
                    "batch", packet, "packets, each of 1 octet or more; `end` tells of the end"
                )
            if len(self._arrived) >= self._limit or self._is_closed:
                self.lost += 1
            else:
                self._arrived.append(bytes(packet))
        self._is_pausing = len(self._arrived) * 2 >= self._limit
        self.notify()
        return not self._is_pausing

    def pause_sending(self) -> None:
        """Let the host keep what it has to send, from now on."""
        self.has_room: bool = False
        self.notify()

    def resume_sending(self) -> None:
        """Let the host send again."""
        self.has_room = True
        self.notify()

    def end(self, reason: Exception | None = None) -> None:
        """The transport has ended: nothing comes after what was given already, and nothing can be sent. The
        program hears ``reason``.
        """
        text = "the transport under the link has ended" + (f": {reason}" if reason is not None else "")
        kind = LinkClosed if reason is None else LinkError
        self._end = kind(getattr(reason, "errno", None) or errno.ENOTCONN, text)
        self.notify()

    # The host

    def receive(self, now: int) -> bytes | None:
        try:
            return self._arrived.popleft()
        except IndexError:
            pass
        self._require_open()
        if self._is_pausing:
            self._is_pausing = False
            if self._resume is not None:
                self._resume()
        return None

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        if len(packet) > self.mtu:
            raise too_large(len(packet), self.mtu)
        self._require_open()
        if self.has_room and self._send(packet) is not False:
            return True
        self.lost += 1
        return False

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self.notify()
        self._arrived.clear()
        if self._stop is not None:
            self._stop()

    def _require_open(self) -> None:
        if self._is_closed:
            raise closed("pushed link")
        if self._end is not None:
            raise renewed(self._end)
