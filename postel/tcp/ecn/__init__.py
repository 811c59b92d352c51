"""Explicit Congestion Notification: congestion shown by a mark instead of a loss (RFC 3168).

A router marks a packet (CE) that it would drop otherwise. The receiver reports the mark, and the sender
reduces cwnd as for a loss, but has nothing to send again. SYN and SYN,ACK agree on one of two ways to report
marks:

- `classic`: a flag (ECE) on every ACK until the sender answers with CWR (RFC 3168);
- `accurate`: counters of marked packets and octets (RFC 9768).

Where they agree on neither, the connection has no `Ecn`. An `Ecn` never sees the Tcb: `negotiation` connects
the two during the handshake, `feedback` afterwards.
"""

from abc import ABC, abstractmethod
from typing import Final

from postel.tcp import seq
from postel.wire.segment import AE, CWR, ECE, Segment

# Values of the ECN field of an IP header (RFC 3168, 5)
NOT_ECT: Final = 0
ECT_1: Final = 1
ECT_0: Final = 2
CE: Final = 3

FLAGS: Final = AE | CWR | ECE
_ACE_AT: Final = 6  # the lowest bit of the ACE field among the flags


def ace(flags: int) -> int:
    """Return AE, CWR and ECE as one number, the ACE field, with AE the highest bit (RFC 9768, 3.2.2)."""
    return (flags & FLAGS) >> _ACE_AT


def flags_of(number: int) -> int:
    """Return the lowest three bits of a counter as the flags AE, CWR and ECE."""
    return number << _ACE_AT & FLAGS


class Ecn(ABC):
    """Base class of both ways to report marks, and what they share.

    - ``may_mark``: new data is sent as ECN-capable (ECT).
    - ``newly_marked``: octets that arrived marked at the peer, according to the latest ACK.
    - ``reduced_at``: SND.MAX at the last reduction; marks of what was sent before it are answered already.
    - ``answers``: how many SYN,ACKs were sent.
    - ``holds_until``: time before which no new data is sent.
    - ``is_recovering``: whether recovery was under way when the last segment was sent.
    - ``wants_bare_ack``: an ACK without data must go next, to tell how the SYN,ACK arrived.
    - ``answers_acks``: the ACK that is owed has no other reason than marks on bare ACKs.
    - ``wants_room``: octets that the next data segment should leave for an option.
    """

    def __init__(self, iss: int) -> None:
        """Create the state of a connection with the initial sequence number ``iss``."""
        self.may_mark = True
        self.newly_marked = 0
        self.reduced_at: int = iss
        self.answers = 0
        self.holds_until = 0
        self.is_recovering = False
        self.wants_bare_ack = False
        self.answers_acks = False
        self.wants_room = 0
        self._sent = iss  # one past the highest number of data that was sent

    @property
    def may_burst(self) -> bool:
        """Whether the link may cut a large segment into packets.

        Such a link keeps CWR on the first packet only. So it may not cut where each packet must carry CWR.
        """
        return True

    @abstractmethod
    def arrives(self, segment: Segment, *, has_unacked: bool) -> bool:
        """Count the mark of an acceptable segment, and return whether an ACK is due at once.

        ``has_unacked`` says whether data that arrived waits for an ACK.
        """

    @abstractmethod
    def heed(self, segment: Segment, acked: int, smss: int, *, is_newer: bool) -> int:
        """Return how many octets an acceptable ACK newly reports as marked.

        The ACK acknowledges ``acked`` octets. Where that is 0, ``is_newer`` says whether it was sent after
        all ACKs before it.
        """

    @abstractmethod
    def write(self, segment: Segment, room: int, *, is_new: bool) -> None:
        """Write mark and feedback to a segment that is about to be sent.

        ``room`` is the octets left for options. ``is_new`` says whether the segment carries data that is sent
        for the first time.
        """

    def reduced(self, snd_max: int) -> None:
        """Note that cwnd was reduced, for whatever reason, with SND.MAX at ``snd_max``."""
        self.reduced_at = snd_max

    def is_first_sent(self, segment: Segment) -> bool:
        """Say whether all data of the segment is sent for the first time; call this once for each segment."""
        is_first = seq.ge(segment.seq, self._sent)
        self._sent = seq.latest(self._sent, seq.add(segment.seq, len(segment.data)))
        return is_first
