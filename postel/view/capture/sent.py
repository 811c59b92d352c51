"""What one end of a captured connection sent: sequence numbers, and which octets of the stream are captured.

::

      first                        low …                                        next
    ────┼──── before the capture ───┼──── captured ────┤ hole ├──── captured ────┼──── not sent yet ────►

A *hole* is a range of sequence numbers that the end must have sent, because it sent later ones, and that
the capture doesn't have (yet). A segment is compared with `next` and the holes: one that begins at `next`
is new, one beyond `next` makes a hole, one before `next` was sent before or fills a hole. Each octet of
payload counts once, whether it arrives in order, fills part of a hole, or lies before everything else.
"""

from enum import Enum
from typing import Final, NamedTuple

from postel.tcp import seq as sequence
from postel.times import MILLISECOND
from postel.wire.segment import FIN, RST, SYN

UNKNOWN: Final = -1
WIDEST: Final = 1 << 30  # largest possible window, in octets (RFC 7323, 2.3)
# If no round-trip time is known, a hole that is filled within this time counts as reordering, as in tshark.
AT_ONCE: Final = 3 * MILLISECOND
_LATEST_FAST: Final = 20 * MILLISECOND  # longest time from the last ACK to a fast retransmission
_DUPLICATES: Final = 2
_MOST_HOLES: Final = 64


class Sight(Enum):
    """What a segment is, compared with the segments that were captured before it."""

    NEW = "new"
    EMPTY = "empty"  # the segment takes no sequence number
    KEEP_ALIVE = "keep-alive"  # RFC 9293, 3.8.4: at most one octet, just before the next number
    PROBE = "probe"  # RFC 9293, 3.8.6.1: one octet, while the other end's window is zero
    RETRANSMISSION = "retransmission"
    OVERTAKEN = "overtaken"  # the segment fills a hole so soon that the network has reordered it
    AHEAD = "ahead"  # there is a hole before the segment
    OUTSIDE = "outside"  # the segment is outside of any window
    COPY = "copy"  # the capture has the same packet already


# Members of `Sight` as globals, which Python looks up faster than a member of an enum
NEW, EMPTY, KEEP_ALIVE, PROBE, RETRANSMISSION, OVERTAKEN, AHEAD, OUTSIDE, COPY = Sight


class Hole(NamedTuple):
    """Sequence numbers ``left`` to ``right`` (exclusive) that the capture doesn't have."""

    left: int
    right: int


class Sent:
    """Sequence numbers of one end, and its latest ACK.

    ``next`` is the number after the highest that this end sent, ``ack`` the highest that it acknowledged;
    both are UNKNOWN before the first. ``low`` is the lowest number that was captured. ``is_known`` says
    whether ``first`` is the number of the end's SYN, not a guess from the middle of the stream. ``data``
    counts octets of payload, each once; `missing_before` returns how many were acknowledged and not captured.
    """

    __slots__ = (
        "ack",
        "ack_at",
        "data",
        "duplicates",
        "first",
        "holes",
        "idents",
        "is_known",
        "low",
        "next",
        "next_at",
        "probe",
        "retransmissions",
        "window",
    )

    def __init__(self) -> None:
        """Begin without segments."""
        self.data: int = 0
        self.first: int = UNKNOWN
        self.low: int = UNKNOWN
        self.next: int = UNKNOWN
        self.next_at: int = 0  # time when `next` moved last, in microseconds
        self.is_known: bool = False
        self.ack: int = UNKNOWN
        self.ack_at: int = 0
        self.duplicates: int = 0  # number of ACKs without payload that repeat `ack` and the window
        self.window: int = UNKNOWN  # window in this end's last segment, as on the wire
        # Sequence number of a window probe's octet, until an ACK shows whether the receiver accepted the
        # octet
        self.probe: int = UNKNOWN
        self.retransmissions: int = 0
        self.holes: tuple[Hole, ...] = ()
        self.idents: int = (1 << 64) - 1  # IPv4 identifications of this end's last four packets, 16 bits each

    def has_acknowledged(self, number: int) -> bool:
        """Return whether this end acknowledged everything before ``number``."""
        return self.ack != UNKNOWN and sequence.ge(self.ack, number)

    def has_sent(self, seq: int, flags: int, length: int) -> bool:
        """Return whether the capture has all sequence numbers of this segment from this end already."""
        end = sequence.add(seq, length + (flags & SYN != 0) + (flags & FIN != 0))
        if sequence.gt(end, self.next) or sequence.lt(seq, self.low):
            return False
        return not any(sequence.lt(hole.left, end) and sequence.gt(hole.right, seq) for hole in self.holes)

    def begin(self, seq: int, flags: int, other: "Sent") -> None:
        """Begin the numbers of this end; all earlier numbers are void.

        Called for the end's first segment, and for a SYN with another number while the connection isn't open.
        """
        self.is_known = flags & SYN != 0
        self.first = seq if self.is_known else sequence.add(seq, -1)
        self.low = self.next = seq
        self.data = 0
        self.holes = ()
        acknowledged = other.ack
        if not self.is_known and acknowledged != UNKNOWN and 0 < sequence.offset(seq, acknowledged) < WIDEST:
            self.low = acknowledged
            self.holes = (Hole(acknowledged, seq),)
        self.probe = UNKNOWN

    def see(self, seq: int, flags: int, length: int, other: "Sent", at_once: int, now: int) -> Sight:
        """Add the segment's payload to the counts, and return what the segment is.

        A segment that fills a hole counts as overtaken, not as retransmitted, if it comes within ``at_once``
        microseconds after the segment with the highest number.
        """
        size = length + (flags & SYN != 0) + (flags & FIN != 0)
        if self.next == UNKNOWN:
            if flags & RST:
                return EMPTY  # RFC 9293, 3.10.7: a RST may carry any number
            self.begin(seq, flags, other)
        offset = sequence.offset(seq, self.next)
        if abs(offset) > WIDEST:
            return OUTSIDE
        if flags & RST:
            return EMPTY
        if not flags & (SYN | FIN) and length <= 1:
            if offset == -1 and self.low != self.next:
                return KEEP_ALIVE
            if offset == 0 and length and other.window == 0:
                self.probe = seq
                return PROBE
        if not size:
            return EMPTY
        if offset >= 0:
            self._advance(seq, size, length, now)
            return AHEAD if offset else NEW
        was_late = self._is_late(seq, other, at_once, now)
        follows_a_probe = (
            length > 1 and offset == -1
        )  # tshark doesn't count a segment of which only the octet of a window probe was sent before
        counts = not follows_a_probe and (was_late or self._counts_at_once(seq, size, length, other))
        return self._see_again(seq, size, length, flags, now, was_late=was_late, counts=counts)

    def _advance(self, seq: int, size: int, length: int, now: int) -> None:
        """Process a segment that begins at `next`, or beyond it and so makes a hole."""
        if seq != self.next:
            self.holes = (*self.holes[1 - _MOST_HOLES :], Hole(self.next, seq))
        self.next = sequence.add(seq, size)
        self.next_at = now
        self.data += length

    def _see_again(
        self, seq: int, size: int, length: int, flags: int, now: int, *, was_late: bool, counts: bool
    ) -> Sight:
        """Process a segment that begins before `next`.

        The segment was sent before, or other segments overtook it, or the capture lacks its first sending.
        """
        text = sequence.add(seq, flags & SYN != 0)
        filled = self._fill(text, sequence.add(text, length))
        self.data += filled + max(0, sequence.offset(sequence.add(text, length), self.next))
        end = sequence.add(seq, size)
        if sequence.gt(end, self.next):
            self.next = end
            self.next_at = now
        if filled and not was_late:
            return OVERTAKEN
        self.retransmissions += counts
        return RETRANSMISSION

    def _counts_at_once(self, seq: int, size: int, length: int, other: "Sent") -> bool:
        """Return whether tshark counts a segment as a retransmission although it comes soon.

        Soon means shortly after the segment with the highest number. tshark counts such a segment only if all
        of it was acknowledged, or if it ends at the highest number. Any other such segment counts as
        overtaken in tshark, although the capture has its octets twice.
        """
        if sequence.add(seq, size) == self.next:
            return True
        return length > 0 and other.has_acknowledged(sequence.add(seq, length))

    def _is_late(self, seq: int, other: "Sent", at_once: int, now: int) -> bool:
        """Return whether a segment wasn't only overtaken: it comes late, or duplicate ACKs asked for it."""
        if other.duplicates >= _DUPLICATES and other.ack == seq and now - other.ack_at < _LATEST_FAST:
            return True
        return now - self.next_at >= at_once

    def _fill(self, seq: int, end: int) -> int:
        """Remove a payload below `next` from the holes. Return how many of its octets are new."""
        found = 0
        if sequence.lt(seq, self.low) and not self.is_known:
            found = sequence.offset(_earlier(end, self.low), seq)
            if sequence.lt(end, self.low):
                self.holes = (Hole(end, self.low), *self.holes)
            self.low = seq
        rest: list[Hole] = []
        for hole in self.holes:
            left, right = sequence.latest(hole.left, seq), _earlier(hole.right, end)
            if sequence.ge(left, right):
                rest.append(hole)
                continue
            found += sequence.offset(right, left)
            rest += [
                part for part in (Hole(hole.left, left), Hole(right, hole.right)) if part.left != part.right
            ]
        self.holes = tuple(rest)
        return found

    def accept_probe(self, ack: int) -> None:
        """Process an ACK after a window probe: count the probe's octet as sent if it is acknowledged."""
        if self.probe == self.next != UNKNOWN and ack == sequence.add(self.next, 1):
            self.next = ack
            self.data += 1
        self.probe = UNKNOWN

    def missing_before(self, ack: int) -> int:
        """Return how many numbers before ``ack`` the capture doesn't have.

        A single missing number after `next` doesn't count, because it most likely belongs to a FIN.
        """
        if UNKNOWN in (self.next, ack):
            return 0
        total = sum(
            sequence.offset(hole.right, hole.left) for hole in self.holes if sequence.le(hole.right, ack)
        )
        behind = sequence.offset(ack, self.next)
        return total + (behind if behind > 1 else 0)


def _earlier(a: int, b: int) -> int:
    """Return the earlier of two sequence numbers."""
    return a if sequence.le(a, b) else b
