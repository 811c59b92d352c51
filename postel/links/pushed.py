"""Link for a transport that calls the program with each packet: a TLS or QUIC stream, a tunnel, USB.

Such a link needs no descriptor, no thread and no relay process.
"""

import errno
from collections import deque
from collections.abc import Callable, Iterable

from postel.errors import ArgumentError, LinkClosed, LinkError, renewed, require_number
from postel.links.contract import Link, checked_mtu, closed, too_large
from postel.times import NEVER

QUEUE = 1000  # default limit of a queue, in packets: that of a Linux device (`txqueuelen`)


class PushedLink(Link):
    """Link between a host and a transport of your own, which calls `packets_arrive` for packets that came.

    The link calls ``send(packet)`` for each packet that leaves, in the host's thread; the function must not
    wait. It returns False where the transport couldn't take the packet, which is lost and counted; any other
    value, None too, means that it could. A transport that has a full buffer calls `pause_sending`, as asyncio
    calls a protocol's ``pause_writing``, and later `resume_sending`; meanwhile the host keeps its packets.

    ``mtu`` is the largest packet in octets, 68 to 65535. Up to ``queue`` packets wait for the host, 1 or
    more; others are lost and counted. ``resume``, if given, is called once the host has read all packets
    after `packets_arrive` returned False. ``stop``, if given, is called by `close`. All methods but ``send``
    and ``receive`` may be called by any thread. Raises ArgumentError.

    >>> sent = []
    >>> link = PushedLink(sent.append)
    >>> link.packets_arrive([b"from the transport"]), link.receive(0)
    (True, b'from the transport')
    >>> link.send(b"from the host", b"", 0), sent
    (True, [b'from the host'])
    >>> link.close()
    """

    lost: int  # attribute of `Link`: type checkers want a declaration where a class writes it

    def __init__(
        self,
        send: Callable[[bytes], object],
        *,
        mtu: int = 1500,
        queue: int = QUEUE,
        resume: Callable[[], object] | None = None,
        stop: Callable[[], object] | None = None,
    ) -> None:
        """Make a link that hands its packets to ``send``."""
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
        self._is_pausing = False  # `packets_arrive` returned False, and `resume` must be called
        self._end: LinkError | None = None
        self._is_closed = False

    # Methods that the transport calls

    def packets_arrive(self, batch: Iterable[bytes]) -> bool:
        """Give the host whole IP packets, in order. Returns False to ask the transport to pause.

        It returns False while at least half of the queue is in use; the transport may go on when ``resume``
        is called. Raises ArgumentError for an empty packet, or for an object that isn't bytes, a bytearray or
        a memoryview.
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
        """Make the host keep its packets until `resume_sending` is called."""
        self.has_room: bool = False
        self.notify()

    def resume_sending(self) -> None:
        """Let the host send packets again, after `pause_sending`."""
        self.has_room = True
        self.notify()

    def end(self, reason: Exception | None = None) -> None:
        """Tell that the transport has ended.

        Nothing more can be sent. The host still receives the packets that came before the end. Then the
        network ends with a LinkError that quotes ``reason``, or with LinkClosed if ``reason`` is None.
        """
        text = "the transport under the link has ended" + (f": {reason}" if reason is not None else "")
        kind = LinkClosed if reason is None else LinkError
        self._end = kind(getattr(reason, "errno", None) or errno.ENOTCONN, text)
        self.notify()

    # Methods that the host's driver calls

    def receive(self, now: int) -> bytes | None:
        """Return the next packet of the transport; None for none now.

        Raises LinkError at the transport's end.
        """
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
        """Give ``packet`` to the transport. Returns False where it is lost. Raises LinkError."""
        if len(packet) > self.mtu:
            raise too_large(len(packet), self.mtu)
        self._require_open()
        if self.has_room and self._send(packet) is not False:
            return True
        self.lost += 1
        return False

    def close(self) -> None:
        """End the link, and call ``stop``. A second call does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self.notify()
        self._arrived.clear()
        if self._stop is not None:
            self._stop()

    def _require_open(self) -> None:
        """Raise LinkError where the link was closed or the transport has ended."""
        if self._is_closed:
            raise closed("pushed link")
        if self._end is not None:
            raise renewed(self._end)
