"""Undo: two proofs that nothing was lost in an episode of recovery, so that cwnd can be restored."""

from typing import Final

from postel.tcp.rtt import GRANULARITY

NO_ECHO: Final = -1  # stands for the tick of an ACK without a credible timestamp


class Undo:
    """Evidence about one episode of recovery, from its first loss until the episode is disproved or over.

    - The Eifel test (RFC 3522): the ACK that brings progress echoes a timestamp older than the first
      retransmission, so it is the ACK of the first copy.
    - D-SACK (RFC 2883): the receiver reports as duplicates all octets that were sent again.

    Either shows that cwnd was reduced without a reason, so the controller's `undo` restores cwnd. ``is_open``
    says that there is an episode that can still be undone.
    """

    __slots__ = ("_again", "_tick", "_waits", "is_open")

    def __init__(self) -> None:
        """Create the evidence with no episode."""
        self.is_open: bool = False
        self._waits = False  # something was sent again, and SND.UNA hasn't advanced since
        self._tick = NO_ECHO  # timestamp of the first retransmission
        self._again = 0  # octets sent again and not reported as duplicates

    def begin(self) -> None:
        """Begin an episode."""
        self.is_open = True
        self._waits = False
        self._tick = NO_ECHO
        self._again = 0

    def ignore_echo(self) -> None:
        """Make the Eifel test fail for this episode.

        A retransmission of an earlier episode is still in flight. If it arrives, the ACK that brings progress
        echoes that older timestamp, and proves nothing.
        """
        self._tick = 0

    def end(self) -> None:
        """End the episode: from now on nothing undoes it."""
        self.is_open = False

    def sent_again(self, octets: int, now: int) -> None:
        """Count ``octets`` that were sent again, and remember the timestamp of the first."""
        if self._tick == NO_ECHO:
            self._tick = now // GRANULARITY  # RFC3522-3.2
            self._waits = True
        self._again += octets

    def is_disproved_by_echo(self, echo: int) -> bool:
        """Say whether an ACK that advanced SND.UNA proves by its timestamp that nothing was lost.

        ``echo`` is the tick that the ACK echoes. Only the first such ACK after the retransmission can prove
        it.
        """
        waited, self._waits = self._waits, False
        return self.is_open and waited and NO_ECHO != echo < self._tick

    def is_disproved_by_duplicate(self, octets: int) -> bool:
        """Say whether D-SACKs, one of ``octets`` included, now cover everything that was sent again."""
        if not self.is_open or self._again == 0:
            return False
        self._again = max(0, self._again - octets)
        return self._again == 0
