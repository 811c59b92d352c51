"""What keeps the TIME-WAIT of a connection, once it needs no more than a record."""

from abc import ABC, abstractmethod

from postel.wire.address import Endpoint


class Keeper(ABC):
    """Keeps the TIME-WAIT of connections that their program may still hold
    (`Connection.leave_time_wait_to`).
    """

    __slots__ = ()

    @abstractmethod
    def keeps(self, local: Endpoint, remote: Endpoint, iss: int) -> bool:
        """Whether the TIME-WAIT of the connection between these ends that began with ``iss`` goes on."""

    @abstractmethod
    def give_up(self, local: Endpoint, remote: Endpoint, now: int) -> None:
        """End it."""
