"""What became of everything in flight: SACKed, lost, or still flying (RFC 2018, 5; RFC 8985, 4).

Positions count octets and never wrap; position 0 is the first octet after our SYN. SACKed octets stay in the
send buffer until they are
acknowledged: a peer may change its mind (RFC6675-4a, RFC2018-8a).
"""

from heapq import heappop, heappush
from typing import Final

from postel.tcp import seq
from postel.tcp.ranges import Ranges
from postel.tcp.recovery import NO_LIMIT, NOTHING
from postel.tcp.recovery.transmissions import FLYING, LOST, SACKED, Sent, Transmissions

RANGES: Final = 1024  # a peer that reports more holes than that isn't believed further
JUDGED: Final = (
    512  # records that one ACK makes lost or takes back: else an ACK costs work in proportion to the flight
)


class Scoreboard:
    """``una`` is SND.UNA as a number, ``position`` as a position.

    Work for an ACK is bounded by what it says that is new, and by `JUDGED`.
    """

    __slots__ = ("_queue", "lost", "position", "sacked", "segments_sacked", "sent", "una")

    def __init__(self, una: int) -> None:
        self.una: int = una
        self.position: int = 0
        self.sent: Transmissions = Transmissions(0)
        self.sacked: Ranges = Ranges()
        self.segments_sacked: int = 0
        self.lost: int = 0  # octets neither SACKed nor sent again yet
        self._queue: list[
            int
        ] = []  # a heap of where they begin; what became of them meanwhile is seen when they come out

    @property
    def pipe(self) -> int:
        """Octets in the network (RFC9937-6.2b)."""
        return self.sent.end - self.position - self.sacked.total - self.lost

    @property
    def flight(self) -> int:
        """FlightSize of RFC 5681."""
        return self.sent.end - self.position

    @property
    def retransmitted(self) -> int:
        """Octets that were sent again and aren't acknowledged yet."""
        return sum(
            [
                record.end - record.start
                for record in self.sent.all()
                if record.is_again and record.state == FLYING
            ]
        )

    def at(self, number: int) -> int:
        return self.position + seq.offset(number, self.una)

    def number(self, position: int) -> int:
        return seq.add(self.una, position - self.position)

    def take_out(self, start: int, end: int) -> None:
        """What is sent again is no longer lost. It may have been SACKed: a peer can take that back."""
        for record in self.sent.cut(start, end):
            if record.state == LOST:
                self.lost -= record.end - record.start
            elif record.state == SACKED:
                self.segments_sacked -= record.segments
                self.sacked.remove(record.start, record.end)
        self.queue(end)

    def may_take(self, start: int, end: int) -> bool:
        """Whether a block can be true, and there is room to remember it."""
        return self.position <= start < end <= self.sent.end and len(self.sacked) < RANGES

    def take_block(self, start: int, end: int) -> list[Sent]:
        """The records that are news (RFC2018-5a); the caller marks them SACKED."""
        found = []
        for gap_start, gap_end in self.sacked.gaps(start, end):
            found += self.sent.cut(gap_start, gap_end)
            self.queue(gap_end)
        self.sacked.add(start, end)
        self.segments_sacked += sum([record.segments for record in found])
        return found

    def forget_sacks(self) -> list[Sent]:
        """RFC2018-5b: none of it may be there any more. The records that were SACKed, and fly again."""
        found = [record for record in self.sent.all() if record.state == SACKED]
        for record in found:
            record.state = FLYING
        self.sacked.clear()
        self.segments_sacked = 0
        return found

    def lose(self, record: Sent) -> None:
        record.state = LOST
        self.lost += record.end - record.start
        heappush(self._queue, record.start)

    def lose_all(self) -> None:
        """All that flies is lost."""
        record = self.sent.oldest_flying()
        while record is not None:
            self.lose(record)
            record = self.sent.oldest_flying()

    def queue(self, position: int) -> None:
        """What was cut off a lost record is lost too."""
        if self.position <= position < self.sent.end and self.sent.at(position).state == LOST:
            heappush(self._queue, position)

    @property
    def is_repairing(self) -> bool:
        """What is at SND.UNA went again, and that is on its way."""
        first = self.sent.first()
        return first is not None and first.is_again and first.state == FLYING

    def first_flying(self, most: int) -> list[Sent]:
        """The records of ``most`` octets from SND.UNA on, if what is there flies."""
        first = self.sent.first()
        if first is None or first.state != FLYING:
            return []
        return self.sent.cut(first.start, min(first.end, first.start + most))

    def tail(self, most: int) -> tuple[int, int]:
        """Number and octets of the last segment that was sent, ``most`` octets of it."""
        last = self.sent.last()
        if last is None:
            return NOTHING
        start = max(last.start, last.end - most)
        return self.number(start), last.end - start

    def first_lost(self) -> Sent | None:
        while self._queue:
            start = self._queue[0]
            if start >= self.position:
                record = self.sent.at(start)
                if record.start == start and record.state == LOST:
                    return record
            heappop(self._queue)
        return None

    def unlose(self) -> None:
        """What is marked lost isn't: it flies, and is the first to be judged anew. Of very many records only
        the first.
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
        """Octets from ``number`` on to the first that are SACKed beyond it; more than any window where none
        are.
        """
        start = self.at(number)
        left = self.sacked.first_left_from(start + 1)
        return left - start if left else NO_LIMIT

    def beyond_sacked(self, number: int) -> int:
        """The first number from ``number`` on that isn't SACKed."""
        end = self.sacked.around(self.at(number))[1]
        return self.number(end) if end else number


def is_duplicate_block(blocks: tuple[tuple[int, int], ...], ack: int) -> bool:
    """RFC2883-5: the first block is a D-SACK if it lies below this packet's own ACK, or inside its second
    block.
    """
    left, right = blocks[0]
    if not seq.lt(left, right):
        return False
    if seq.le(right, ack):
        return True
    return len(blocks) > 1 and seq.ge(left, blocks[1][0]) and seq.le(right, blocks[1][1])
