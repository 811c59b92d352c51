"""Explicit Congestion Notification: a router marks a packet that it would else have dropped (RFC 3168), the
receiver says so, and the sender slows down as for a loss, with nothing to send again.

Two SYNs agree on one of two ways to say so: `classic`, a bit that stands until it is answered (RFC 3168), or
`accurate`, counters (RFC 9768). Where they agree on neither there is no `Ecn` at all. It never sees the Tcb:
`negotiation` and `feedback` stand between.
"""

from abc import ABC, abstractmethod
from typing import Final

from postel.tcp import seq
from postel.wire.segment import AE, CWR, ECE, Segment

# The ECN field of an IP header
NOT_ECT: Final = 0
ECT_1: Final = 1
ECT_0: Final = 2
CE: Final = 3

FLAGS: Final = AE | CWR | ECE
_ACE_AT: Final = 6  # the lowest bit of the ACE field among the flags


def ace(flags: int) -> int:
    """The three flags as one number, AE the highest (RFC 9768, 3.2.2)."""
    return (flags & FLAGS) >> _ACE_AT


def flags_of(number: int) -> int:
    """The lowest three bits of a counter as flags."""
    return number << _ACE_AT & FLAGS


class Ecn(ABC):
    """What both ways share. ``newly_marked`` is what the latest ACK told: octets that arrived marked.

    ``reduced_at`` is SND.MAX of the last reduction: marks of what was sent before it are answered already.
    """

    def __init__(self, iss: int) -> None:
        self.may_mark = True  # whether new data is sent as ECN-capable
        self.newly_marked = 0
        self.reduced_at: int = iss
        self.answers = 0  # SYN,ACKs sent
        self.holds_until = 0  # no new data before
        self.is_recovering = False  # as last seen
        self.wants_bare_ack = False
        self.answers_acks = False  # the ACK that is owed has no other reason than marks of bare ACKs
        self.wants_room = 0  # octets that the next text should leave for options
        self._sent = iss  # one past the highest number that was sent as text

    @property
    def may_burst(self) -> bool:
        """Whether CWR means what a link thinks that cuts segments: only the first of them keeps it."""
        return True

    @abstractmethod
    def arrives(self, segment: Segment, *, has_unacked: bool) -> bool:
        """An acceptable segment, with its mark. Whether an ACK is due at once."""

    @abstractmethod
    def heed(self, segment: Segment, acked: int, smss: int, *, is_newer: bool) -> int:
        """What an acceptable ACK says of our marks: how many octets of them are news. ``acked`` octets are
        acknowledged by it; where none are, ``is_newer`` tells that it still was sent after those before."""

    @abstractmethod
    def write(self, segment: Segment, room: int, *, is_new: bool) -> None:
        """The feedback on a segment that leaves. ``room`` is what its options may still take; ``is_new``:
        text sent for the first time.
        """

    def reduced(self, snd_max: int) -> None:
        """The congestion window shrank, for whatever reason."""
        self.reduced_at = snd_max

    def is_first_sent(self, segment: Segment) -> bool:
        """Whether all text of the segment leaves for the first time; call it once for each."""
        is_first = seq.ge(segment.seq, self._sent)
        self._sent = seq.latest(self._sent, seq.add(segment.seq, len(segment.data)))
        return is_first
