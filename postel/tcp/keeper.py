"""Keeper: holds the TIME-WAIT of a connection as a small record."""

from abc import ABC, abstractmethod

from postel.wire.address import Endpoint


class Keeper(ABC):
    """Part of a host that answers for connections in TIME-WAIT that a program may still have.

    A connection in TIME-WAIT needs a few numbers only. The host keeps these in place of the connection, which
    asks its keeper whether they are still kept (`Connection.leave_time_wait_to`).
    """

    __slots__ = ()

    @abstractmethod
    def keeps(self, local: Endpoint, remote: Endpoint, iss: int) -> bool:
        """Whether the TIME-WAIT of the connection between these endpoints that began with ``iss`` goes on."""

    @abstractmethod
    def give_up(self, local: Endpoint, remote: Endpoint, now: int) -> None:
        """End the TIME-WAIT of the connection between these endpoints."""
