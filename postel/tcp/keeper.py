"""Keeper: holds the TIME-WAIT of a connection as a small record."""

from abc import ABC, abstractmethod

from postel.wire.address import Endpoint


class Keeper(ABC):
    """Part of a host that answers for connections in TIME-WAIT that a program may still have.

    A connection in TIME-WAIT needs a few numbers only. The host keeps these numbers in place of the
    connection. If its program still has the connection, that asks its keeper whether the numbers are still
    kept (`Connection.leave_time_wait_to`).
    """

    __slots__ = ()

    @abstractmethod
    def keeps(self, local: Endpoint, remote: Endpoint, iss: int) -> bool:
        """Whether the TIME-WAIT of the connection between these endpoints that began with ``iss`` goes on."""

    @abstractmethod
    def give_up(self, local: Endpoint, remote: Endpoint, now: int) -> None:
        """End the TIME-WAIT of the connection between these endpoints."""
