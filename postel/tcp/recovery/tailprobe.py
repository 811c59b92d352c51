"""Tail loss probe: one extra segment that draws an ACK when the end of a flight is lost (RFC 8985, 7).

Where the last segments of a flight are lost, nothing that was sent later arrives, so neither SACK nor
duplicate ACKs show the loss, and only the retransmission timeout would be left. After about two round trips
without an ACK the sender sends a probe: new data, or the last segment again. Its ACK or SACK then shows what
is missing.
"""

from typing import Final

_NONE: Final = -1  # value of ``_end`` while no probe is in flight


class TailProbe:
    """State of the probe of one connection: at most one is in flight.

    Positions count octets and never wrap.
    """

    __slots__ = ("_end", "_is_again", "_is_next", "has_measured")

    def __init__(self, *, has_measured: bool) -> None:
        """Create the state; ``has_measured`` says whether the handshake measured a round trip."""
        self._end = _NONE  # TLP.end_seq
        self._is_again = False  # TLP.is_retrans
        self._is_next = False  # the next transmission is the probe
        self.has_measured: bool = has_measured  # a round trip was measured since the last probe

    @property
    def is_out(self) -> bool:
        """Whether a probe is in flight."""
        return self._end != _NONE

    @property
    def is_next(self) -> bool:
        """Whether the next transmission is the probe."""
        return self._is_next

    @property
    def may_go(self) -> bool:
        """Whether a probe may be sent (RFC8985-7.3a)."""
        return self._end == _NONE and self.has_measured

    def begin(self) -> None:
        """Announce that the next transmission is the probe."""
        self._is_next = True
        self.has_measured = False

    def sent(self, end: int, *, is_again: bool) -> None:
        """Record the probe, which ends at position ``end``; ``is_again`` if its octets were sent before."""
        self._is_next = False
        self._end, self._is_again = end, is_again

    def forget(self) -> None:
        """Forget the probe, because recovery or a timeout takes over."""
        self._end = _NONE

    def repaired(self, position: int, duplicate_end: int, *, is_bare_duplicate: bool) -> bool:
        """Say whether an ACK shows that the probe repaired a loss (RFC8985-7.4.2).

        SND.UNA is at ``position``, and the ACK's D-SACK ends at ``duplicate_end``. If the probe was a second
        copy of the last segment, and the first copy was lost, then the only trace of the loss is that the
        peer acknowledges more than the probe and never reports a duplicate. A D-SACK, or a bare duplicate ACK
        (one without SACK blocks), shows that both copies arrived. The probe is forgotten as soon as one of
        the two is certain. A probe of new data is forgotten as soon as it is acknowledged.
        """
        if position < self._end:
            return False
        is_repaired = self._is_again and duplicate_end != self._end
        if is_repaired and position == self._end and not is_bare_duplicate:
            return False
        is_repaired = is_repaired and position > self._end
        self._end = _NONE
        return is_repaired
