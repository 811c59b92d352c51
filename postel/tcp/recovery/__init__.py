"""What is lost. A recovery decides which octets go again, and asks congestion control what that costs."""

from abc import ABC, abstractmethod

from postel.tcp.congestion import Congestion


class Recovery(ABC):
    """``retransmit`` is the sequence number to send again next, or -1. ``inflation`` is what may fly beyond the congestion window:
    octets that duplicate ACKs say have left the network."""

    def __init__(self, iss: int) -> None:
        self.is_active = False
        self.retransmit = -1
        self.inflation = 0

    @abstractmethod
    def on_ack(self, acked: int, una: int, flight: int, congestion: Congestion, now: int) -> bool:
        """SND.UNA advanced by ``acked``. Whether the retransmission timer starts anew."""

    @abstractmethod
    def on_duplicate(self, una: int, maximum: int, flight: int, congestion: Congestion, now: int, *, is_proof: bool) -> None:
        """A duplicate ACK came. ``is_proof``: its SACK blocks show that something after SND.UNA arrived."""

    @abstractmethod
    def on_timeout(self, maximum: int) -> None:
        """The retransmission timer expired: everything from SND.UNA to ``maximum`` may go again."""
