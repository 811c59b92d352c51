"""Scoreboard: which octets in flight were SACKed, which were lost (RFC 2018, 5; RFC 8985, 4).

Theory of operation. Each octet between SND.UNA and SND.MAX is in one of three states: FLYING (in the network,
as far as the sender knows), SACKED, or LOST (found lost and not sent again yet). What is sent again is FLYING
again::

                 SND.UNA                                        SND.MAX
                    │ LOST │ SACKED │ FLYING │ SACKED │ FLYING   │
    position        0     1000     2000     3000     4000      6000

    flight = 6000          FlightSize: everything between SND.UNA and SND.MAX
    pipe   = 6000 - 2000 SACKed - 1000 lost = 3000   what cwnd limits

Positions count octets from the first octet after our SYN (position 0) and never wrap, so they compare as
plain ints. `Scoreboard.at` and `Scoreboard.number` convert between positions and sequence numbers.

SACKed octets stay in the send buffer until they are acknowledged, because the receiver may still drop them
(RFC6675-4a, RFC2018-8a).
"""

from heapq import heappop, heappush
from typing import Final

from postel.tcp import seq
from postel.tcp.ranges import Ranges
from postel.tcp.recovery import NO_LIMIT, NOTHING
from postel.tcp.recovery.transmissions import FLYING, LOST, SACKED, Sent, Transmissions

RANGES: Final = 1024  # most SACKed ranges that are kept; SACK blocks beyond them are ignored
JUDGED: Final = 512  # most records that one ACK marks lost or FLYING again, so that its cost has a bound


class Scoreboard:
    """State of all octets in flight; ``una`` is SND.UNA as a sequence number, ``position`` as a position.

    The work for one ACK is bounded by the number of records that the ACK newly reports, and by `JUDGED`.
    ``sacked`` holds the SACKed ranges, ``segments_sacked`` counts their segments, ``lost`` counts lost
    octets.
    """

    __slots__ = ("_queue", "lost", "position", "sacked", "segments_sacked", "sent", "una")

    def __init__(self, una: int) -> None:
        """Create the scoreboard of a connection that has sent nothing; ``una`` is SND.UNA."""
        self.una: int = una
        self.position: int = 0
        self.sent: Transmissions = Transmissions(0)
        self.sacked: Ranges = Ranges()
        self.segments_sacked: int = 0
        self.lost: int = 0  # octets found lost that were then neither SACKed nor sent again
        # Heap of the positions where lost records begin. When a record is sent again or SACKed, its position
        # stays in the heap until `first_lost` drops it.
        self._queue: list[int] = []

    @property
    def pipe(self) -> int:
        """Octets in the network as far as the sender knows (RFC9937-6.2b)."""
        return self.sent.end - self.position - self.sacked.total - self.lost

    @property
    def flight(self) -> int:
        """Octets between SND.UNA and SND.MAX: FlightSize of RFC 5681."""
        return self.sent.end - self.position

    @property
    def retransmitted(self) -> int:
        """Octets that were sent again and are in flight."""
        return sum(
            [
                record.end - record.start
                for record in self.sent.all()
                if record.is_again and record.state == FLYING
            ]
        )

    def at(self, number: int) -> int:
        """Return the position of a sequence number."""
        return self.position + seq.offset(number, self.una)

    def number(self, position: int) -> int:
        """Return the sequence number of a position."""
        return seq.add(self.una, position - self.position)

    def take_out(self, start: int, end: int) -> None:
        """Clear the marks LOST and SACKED of positions ``start`` to ``end`` - 1, which are sent again now.

        These octets may have been SACKed, because a receiver can drop octets after it SACKed them.
        """
        for record in self.sent.cut(start, end):
            if record.state == LOST:
                self.lost -= record.end - record.start
            elif record.state == SACKED:
                self.segments_sacked -= record.segments
                self.sacked.remove(record.start, record.end)
        self.queue(end)

    def may_take(self, start: int, end: int) -> bool:
        """Say whether a SACK block can be true, and there is room to remember it."""
        return self.position <= start < end <= self.sent.end and len(self.sacked) < RANGES

    def take_block(self, start: int, end: int) -> list[Sent]:
        """Add a SACK block, and return the records that it newly reports (RFC2018-5a).

        The caller marks the records SACKED.
        """
        found = []
        for gap_start, gap_end in self.sacked.gaps(start, end):
            found += self.sent.cut(gap_start, gap_end)
            self.queue(gap_end)
        self.sacked.add(start, end)
        self.segments_sacked += sum([record.segments for record in found])
        return found

    def forget_sacks(self) -> list[Sent]:
        """Clear all SACKs after a timeout, and return the records that were SACKED (RFC2018-5b).

        The receiver may have dropped all SACKed octets. The records are FLYING again.
        """
        found = [record for record in self.sent.all() if record.state == SACKED]
        for record in found:
            record.state = FLYING
        self.sacked.clear()
        self.segments_sacked = 0
        return found

    def lose(self, record: Sent) -> None:
        """Mark a record lost."""
        record.state = LOST
        self.lost += record.end - record.start
        heappush(self._queue, record.start)

    def lose_all(self) -> None:
        """Mark everything that is FLYING lost."""
        record = self.sent.oldest_flying()
        while record is not None:
            self.lose(record)
            record = self.sent.oldest_flying()

    def queue(self, position: int) -> None:
        """Add ``position`` to the heap of lost records, if a lost record begins there after a cut."""
        if self.position <= position < self.sent.end and self.sent.at(position).state == LOST:
            heappush(self._queue, position)

    @property
    def is_repairing(self) -> bool:
        """Whether a retransmission of what is at SND.UNA is in flight."""
        first = self.sent.first()
        return first is not None and first.is_again and first.state == FLYING

    def first_flying(self, most: int) -> list[Sent]:
        """Return the records of the first ``most`` octets from SND.UNA on; empty unless they are FLYING."""
        first = self.sent.first()
        if first is None or first.state != FLYING:
            return []
        return self.sent.cut(first.start, min(first.end, first.start + most))

    def tail(self, most: int) -> tuple[int, int]:
        """Return number and octets of the last record before SND.MAX, or of its last ``most`` octets."""
        last = self.sent.last()
        if last is None:
            return NOTHING
        start = max(last.start, last.end - most)
        return self.number(start), last.end - start

    def first_lost(self) -> Sent | None:
        """Return the lost record with the lowest position, or None."""
        while self._queue:
            start = self._queue[0]
            if start >= self.position:
                record = self.sent.at(start)
                if record.start == start and record.state == LOST:
                    return record
            heappop(self._queue)
        return None

    def unlose(self) -> None:
        """Make lost records FLYING again, because they weren't lost; RACK judges them next.

        If there are more than `JUDGED` lost records, only the first ones change.
        """
        found: list[Sent] = []
        while self.lost and len(found) < JUDGED:
            record = self.first_lost()
            if record is None:
                break
            heappop(self._queue)
            record.state = FLYING
            self.lost -= record.end - record.start
            found.append(record)
        self.sent.judge_first(found)

    def until_sacked(self, number: int) -> int:
        """Return how many octets lie between ``number`` and the next SACKed octet; `NO_LIMIT` if none is."""
        start = self.at(number)
        left = self.sacked.first_left_from(start + 1)
        return left - start if left else NO_LIMIT

    def beyond_sacked(self, number: int) -> int:
        """Return the first number from ``number`` on that isn't SACKed."""
        end = self.sacked.around(self.at(number))[1]
        return self.number(end) if end else number


def is_duplicate_block(blocks: tuple[tuple[int, int], ...], ack: int) -> bool:
    """Say whether the first SACK block is a D-SACK (RFC2883-5).

    The first block is a D-SACK if it lies below the segment's own SEG.ACK, or inside the second block.
    """
    left, right = blocks[0]
    if not seq.lt(left, right):
        return False
    if seq.le(right, ack):
        return True
    return len(blocks) > 1 and seq.ge(left, blocks[1][0]) and seq.le(right, blocks[1][1])
