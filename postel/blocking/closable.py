"""Channel of a socket that ends as soon as the program has closed the socket's descriptor.

Datagram sockets and listeners end so. A connection doesn't, because it may still have data to deliver.
"""

import socket
from abc import abstractmethod
from typing import Generic, TypeVar

from postel.blocking.pump import Channel, PumpThread
from postel.blocking.readiness import GONE, is_hung_up
from postel.errors import renewed
from postel.sockets.nonblocking import NonBlockingSocket

C = TypeVar("C", bound=NonBlockingSocket)


class ClosableChannel(Channel, Generic[C]):
    """Channel between the host's socket ``calls`` and ``end``, the pump's end of a socket pair.

    ``error`` is the error that ended the socket, or that an ICMP message reported, until a call of the
    program has raised it.
    """

    def __init__(self, pump: PumpThread, calls: C, end: socket.socket) -> None:
        """Join ``calls`` and ``end``."""
        self.calls: C = calls
        self.error: OSError | None = None
        self._pump = pump
        self._end = end
        self._number = end.fileno()
        calls.changed = self._changed
        pump.add(self)
        pump.watch(self._number, 0, self)

    @abstractmethod
    def _changed(self) -> None:
        """Handle an event of the host's socket: `NonBlockingSocket.changed`."""

    def ready(self, mask: int) -> None:
        """End the socket if the program has closed its descriptor."""
        if mask & GONE:
            self.close()

    def look(self) -> None:
        """End the socket if the last copy of the program's descriptor was closed."""
        if not self.calls.is_closed and is_hung_up(self._number):
            self.close()

    def close(self) -> None:
        """End the socket, and close the pump's descriptor. A second call does nothing."""
        if self.calls.is_closed:
            return
        self.calls.changed = _nothing
        self._pump.forget(self._number)
        self.calls.close()
        self._end.close()
        self._pump.remove(self)

    def network_closes(self, error: OSError) -> None:
        """End the socket, because the program closes its network. No data has to be delivered first."""
        self.cut_off(error)

    def cut_off(self, error: OSError) -> None:
        """End the socket with ``error``, which the program's next call raises."""
        self.error = renewed(error)
        self.close()

    def close_descriptors(self) -> None:
        """Close the child process's copy of the pump's descriptor."""
        self._end.close()

    def claim_error(self) -> OSError | None:
        """Return the error that no call of the program has raised yet, and forget it; None for no error."""
        error, self.error = self.error, None
        return error


def _nothing() -> None:
    """Take the place of `NonBlockingSocket.changed` after the end, when no event matters any more."""
