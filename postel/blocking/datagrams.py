"""A UDP socket of the host with the descriptor that the program has of it: each message there has its sender
in front.
"""

import socket
from contextlib import suppress
from struct import Struct
from typing import Any, Final

from postel.blocking.closable import ClosableChannel
from postel.blocking.pump import PumpThread
from postel.blocking.readiness import GONE, OUT
from postel.errors import WouldBlock, renewed
from postel.sockets.datagram import DatagramCalls
from postel.sockets.names import Name

_HEADER: Final = Struct("=H46s")  # port, and the address as text
HEADER: Final = _HEADER.size
_AN_ERROR: Final = bytes(HEADER)  # no datagram: an error is to be told


def framed(data: bytes, sender: Name) -> bytes:
    return _HEADER.pack(sender[1], sender[0].encode("ascii")) + data


def sender_in(header: bytes | bytearray | memoryview, family: int) -> Name | None:
    """None where the message tells of an error."""
    port, text = _HEADER.unpack(header)
    host = text.rstrip(b"\0").decode("ascii")
    if not host:
        return None
    return (host, port) if family == socket.AF_INET else (host, port, 0, 0)


class DatagramChannel(ClosableChannel[DatagramCalls]):
    """Datagrams between the host's socket of ``calls`` and the pump's ``end`` of a pair.

    What the pair has no room for stays in the host's queue, which loses more. ``error`` is what an ICMP
    message or the network's end said, until it is told.
    """

    def __init__(self, pump: PumpThread, calls: DatagramCalls, end: socket.socket) -> None:
        super().__init__(pump, calls, end)
        self._waiting = b""  # a message that the pair had no room for

    def ready(self, mask: int) -> None:
        if mask & OUT and not mask & GONE:
            self._changed()
        super().ready(mask)

    def cut_off(self, error: OSError) -> None:
        self._tell(error)
        self.close()

    def _tell(self, error: OSError) -> None:
        self.error = renewed(error)
        with suppress(OSError):  # full: what waits there wakes the program as well
            self._end.send(_AN_ERROR)

    def _changed(self) -> None:
        while self._waiting or self._take():
            try:
                self._end.send(self._waiting)
            except BlockingIOError:
                self._pump.watch(self._number, OUT, self)
                return
            except (
                OSError
            ):  # shut down for reading, or too large for the pair: lost, as where a queue is full
                pass
            self._waiting = b""
        self._pump.watch(self._number, 0, self)

    def _take(self) -> bool:
        """Whether a datagram has come."""
        while True:
            try:
                received: tuple[bytes, Any] = self.calls.recvfrom(_LARGEST)
            except WouldBlock:
                return False
            except OSError as error:
                self._tell(error)
                continue
            if received[1] is None:  # shut down for reading
                return False
            self._waiting = framed(*received)
            return True


_LARGEST: Final = 65535
