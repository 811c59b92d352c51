"""Was anything lost at all? Two witnesses that what went again went for nothing: an echo, and duplicates."""

from typing import Final

from postel.tcp.rtt import GRANULARITY

NO_ECHO: Final = -1


class Undo:
    """One episode of recovery, from its first loss until it is disproved or over.

    The Eifel test (RFC 3522): the ACK that brings progress echoes a timestamp older than the first
    retransmission. D-SACK (RFC 2883): the receiver names as duplicates all that was sent again.
    """

    __slots__ = ("_again", "_tick", "_waits", "is_open")

    def __init__(self) -> None:
        self.is_open: bool = False
        self._waits = False  # for the first progress since something went again
        self._tick = NO_ECHO
        self._again = 0  # octets sent again and not named as duplicates

    def begin(self) -> None:
        self.is_open = True
        self._waits = False
        self._tick = NO_ECHO
        self._again = 0

    def ignore_echo(self) -> None:
        """What an earlier episode sent again is still on its way, and progress will echo that."""
        self._tick = 0

    def end(self) -> None:
        self.is_open = False

    def sent_again(self, octets: int, now: int) -> None:
        if self._tick == NO_ECHO:
            self._tick = now // GRANULARITY  # RFC3522-3.2
            self._waits = True
        self._again += octets

    def is_disproved_by_echo(self, echo: int) -> bool:
        """SND.UNA advanced, and the ACK echoes the timestamp of tick ``echo``. Only the first that does is a
        witness.
        """
        waited, self._waits = self._waits, False
        return self.is_open and waited and NO_ECHO != echo < self._tick

    def is_disproved_by_duplicate(self, octets: int) -> bool:
        if not self.is_open or self._again == 0:
            return False
        self._again = max(0, self._again - octets)
        return self._again == 0
