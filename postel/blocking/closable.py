"""Channel of a socket that ends at once when the program has closed its descriptor.

Datagram sockets and listeners are such sockets. A connection isn't: it still has data to deliver then.
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

    ``error`` is what ended the socket, or what an ICMP message said, until the program has been told of it.
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
        """End the socket where the program has closed its descriptor."""
        if mask & GONE:
            self.close()

    def look(self) -> None:
        """End the socket where the last copy of the program's descriptor was closed."""
        if not self.calls.is_closed and is_hung_up(self._number):
            self.close()

    def close(self) -> None:
        """End the socket, and give back the descriptor of the pump. A second call does nothing."""
        if self.calls.is_closed:
            return
        self.calls.changed = _nothing
        self._pump.forget(self._number)
        self.calls.close()
        self._end.close()
        self._pump.remove(self)

    def network_closes(self, error: OSError) -> None:
        """End the socket, because the program closes its network: there is nothing to wait for."""
        self.cut_off(error)

    def cut_off(self, error: OSError) -> None:
        """End the socket with ``error``, which the program's next call raises."""
        self.error = renewed(error)
        self.close()

    def close_descriptors(self) -> None:
        """Close the copy of the pump's descriptor, in a child process."""
        self._end.close()

    def claim_error(self) -> OSError | None:
        """Return the error that the program hasn't been told of, once; None for none."""
        error, self.error = self.error, None
        return error


def _nothing() -> None:
    """Stand in for `NonBlockingSocket.changed` after the end: closing the socket tells of no event."""
