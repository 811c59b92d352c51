"""What keeps the TIME-WAIT of a connection, once it needs no more than a record."""

from abc import ABC, abstractmethod

from postel.tcp.tcb import Tcb


class Keeper(ABC):
    """Keeps the TIME-WAIT of connections that their program may still hold (`Connection.leave_time_wait_to`)."""

    __slots__ = ()

    @abstractmethod
    def keeps(self, tcb: Tcb) -> bool:
        """Whether the TIME-WAIT of this connection goes on."""

    @abstractmethod
    def give_up(self, tcb: Tcb, now: int) -> None:
        """End it."""
