"""What is lost. A recovery decides which octets go again, and asks congestion control what that costs."""

from abc import ABC, abstractmethod

from postel.tcp.congestion import Congestion


class Recovery(ABC):
    """Sequence numbers as RFC 9293 writes them: ``una`` is SND.UNA, ``maximum`` SND.MAX, ``flight`` the octets between them.

    While ``is_active`` the congestion window doesn't grow. ``inflation`` is what may fly beyond the congestion window: octets that
    duplicate ACKs say have left the network.
    """

    def __init__(self) -> None:
        self.is_active = False
        self.inflation = 0

    @abstractmethod
    def on_ack(self, acked: int, una: int, flight: int, congestion: Congestion, now: int) -> bool:
        """SND.UNA advanced by ``acked``. Whether the retransmission timer starts anew."""

    @abstractmethod
    def on_duplicate(self, una: int, maximum: int, flight: int, congestion: Congestion, now: int) -> None:
        """An ACK came that acknowledged nothing new, and had no other purpose (RFC5681-2a)."""

    @abstractmethod
    def on_sack(self, blocks: tuple[tuple[int, int], ...], una: int, maximum: int, congestion: Congestion, now: int) -> None:
        """An acceptable ACK carried SACK blocks, true or not."""

    @abstractmethod
    def on_timeout(self, una: int, maximum: int) -> bool:
        """The retransmission timer expired. Whether everything from SND.UNA on goes again in order; else `next_lost` tells what."""

    @abstractmethod
    def on_path_loss(self, maximum: int) -> bool:
        """What was in flight was too large for the path: it goes again, and congestion isn't to blame. The answer is `on_timeout`'s."""

    @abstractmethod
    def next_lost(self, una: int, maximum: int, window: int, smss: int) -> tuple[int, int]:
        """The first number to send again now, and how many octets at most; (-1, 0) for nothing."""

    @abstractmethod
    def on_retransmitted(self, end: int) -> None:
        """What `next_lost` named was sent, up to ``end``."""

    @abstractmethod
    def room(self, una: int, nxt: int, maximum: int, window: int, smss: int) -> int:
        """Octets that congestion control lets go out from SND.NXT on; may be negative."""
