"""Channel between a UDP socket of the host and the descriptor that the program has of it.

Datagrams pass through a socket pair of the system as messages, each with its sender in front::

    port (2 octets) | address as text (46 octets) | datagram

A message with an empty address says that the program's next call has to raise an error.
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
_AN_ERROR: Final = bytes(HEADER)  # header of a message without a datagram: the next call raises an error


def framed(data: bytes, sender: Name) -> bytes:
    """Make the message of a datagram."""
    return _HEADER.pack(sender[1], sender[0].encode("ascii")) + data


def sender_in(header: bytes | bytearray | memoryview, family: int) -> Name | None:
    """Return the sender at the front of a message, in the form of ``family``; None for an error message."""
    port, text = _HEADER.unpack(header)
    host = text.rstrip(b"\0").decode("ascii")
    if not host:
        return None
    return (host, port) if family == socket.AF_INET else (host, port, 0, 0)


class DatagramChannel(ClosableChannel[DatagramCalls]):
    """Channel of datagrams between the host's socket ``calls`` and ``end``, the pump's end of a socket pair.

    Datagrams for which the pair has no room stay in the host's queue; if that is full, further ones are lost.
    ``error`` is the error that an ICMP message or the end of the network reported, until a call of the
    program has raised it.
    """

    def __init__(self, pump: PumpThread, calls: DatagramCalls, end: socket.socket) -> None:
        """Join ``calls`` and ``end``."""
        super().__init__(pump, calls, end)
        self._waiting = b""  # a message that didn't fit into the pair

    def ready(self, mask: int) -> None:
        """Deliver datagrams if the pair has room again. End the socket if the program has closed it."""
        if mask & OUT and not mask & GONE:
            self._changed()
        super().ready(mask)

    def cut_off(self, error: OSError) -> None:
        """End the socket with ``error``, which the program's next call raises."""
        self._tell(error)
        self.close()

    def _tell(self, error: OSError) -> None:
        """Let the program's next call raise ``error``."""
        self.error: OSError | None = renewed(error)  # type checkers want a declaration
        with suppress(OSError):  # the pair is full: a message that waits there wakes the program as well
            self._end.send(_AN_ERROR)

    def _changed(self) -> None:
        """Deliver the datagrams that have come, as far as the pair has room."""
        while self._waiting or self._take():
            try:
                self._end.send(self._waiting)
            except BlockingIOError:
                self._pump.watch(self._number, OUT, self)
                return
            except OSError:  # shut down for reading, or too large for the pair: the datagram is lost
                pass
            self._waiting = b""
        self._pump.watch(self._number, 0, self)

    def _take(self) -> bool:
        """Take the next datagram from the host. Returns False if there is none."""
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
