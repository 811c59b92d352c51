"""The probe of a flight's tail (RFC 8985, 7): one segment more, where an ACK is overdue, and what its ACK
says of a loss.
"""

from typing import Final

_NONE: Final = -1


class TailProbe:
    """One is in flight at most. Positions count octets and never wrap."""

    __slots__ = ("_end", "_is_again", "_is_next", "has_measured")

    def __init__(self, *, has_measured: bool) -> None:
        self._end = _NONE  # TLP.end_seq
        self._is_again = False  # TLP.is_retrans
        self._is_next = False  # what is sent next is the probe
        self.has_measured: bool = has_measured  # a round trip, since the last probe

    @property
    def is_out(self) -> bool:
        return self._end != _NONE

    @property
    def is_next(self) -> bool:
        return self._is_next

    @property
    def may_go(self) -> bool:
        return self._end == _NONE and self.has_measured  # RFC8985-7.3a

    def begin(self) -> None:
        self._is_next = True
        self.has_measured = False

    def sent(self, end: int, *, is_again: bool) -> None:
        self._is_next = False
        self._end, self._is_again = end, is_again

    def forget(self) -> None:
        self._end = _NONE

    def repaired(self, position: int, duplicate_end: int, *, is_bare_duplicate: bool) -> bool:
        """RFC8985-7.4.2: a probe that filled the only hole leaves no other trace of the loss. SND.UNA is at
        ``position``; the ACK's D-SACK ends at ``duplicate_end``."""
        if position < self._end:
            return False
        is_repaired = self._is_again and duplicate_end != self._end
        if is_repaired and position == self._end and not is_bare_duplicate:
            return False
        is_repaired = is_repaired and position > self._end
        self._end = _NONE
        return is_repaired
