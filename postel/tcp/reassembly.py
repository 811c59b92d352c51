"""What arrived ahead of RCV.NXT, held until the gap before it closes (RFC 9293, 3.10.7.4; SHLD-31), and the
SACK blocks that say so.

Positions count octets from the connection's first and never wrap, so that order is order of ints::

      RCV.NXT        piece          pieces that touch: one range
         │          ┌──────┐       ┌────┬──────────┐
    ─────┴──────────┴──────┴───────┴────┴──────────┴──────►
"""

from bisect import bisect_left, bisect_right
from typing import Final

from postel.tcp.ranges import Ranges

PIECES: Final = 4096  # more are joined, and if they don't join, the farthest are given up (CVE-2018-5390)
RECENT: Final = 8
# octets that a piece weighs beside its own: objects and places in lists, as measured on CPython, compiled too
PIECE: Final = 208
QUEUE: Final = 432  # and the queue itself, while it holds anything


class Reassembly:
    """Pieces never overlap: octets that came first stay (EP-SEQ-11). To insert costs O(log n) and a short
    memmove, whatever the order.
    """

    __slots__ = ("_pieces", "_ranges", "_recent", "_starts", "evicted", "held")

    def __init__(self) -> None:
        self._starts: list[int] = []  # of each piece, ascending
        self._pieces: list[bytes] = []
        self._ranges = Ranges()
        self._recent: list[int] = []  # a position in each range lately heard of, newest first
        self.held: int = 0
        self.evicted: int = 0

    def __bool__(self) -> bool:
        return self.held > 0

    @property
    def end(self) -> int:
        """One past the highest octet held; 0 where none is."""
        return self._ranges.end

    @property
    def weight(self) -> int:
        """Octets of memory that it takes, near enough: 1,500 pieces of one octet weigh a hundred times what
        they hold.
        """
        return self.held + PIECE * len(self._starts) + QUEUE if self._starts else 0

    def insert(self, start: int, data: bytes) -> int:
        """Hold those octets of ``data`` that aren't held yet; how many they were."""
        before = self.held
        end = start + len(data)
        low = bisect_right(self._starts, start)
        begin = max(start, self._end_of(low - 1)) if low else start
        high = bisect_left(self._starts, end, low)
        finish = end
        if high > low and self._end_of(high - 1) > end:
            high -= 1
            finish = self._starts[high]
        if begin < finish:
            self._replace(low, high, begin, data[begin - start : finish - start])
        self._note_range(start, end)
        return self.held - before

    def pop_in_order(self, position: int) -> list[bytes]:
        """Every piece that now lies in order from ``position`` on."""
        count = 0
        at = position
        while count < len(self._starts) and self._starts[count] == at:
            at += len(self._pieces[count])
            count += 1
        taken = self._pieces[:count]
        if count:
            del self._starts[:count], self._pieces[:count]
            self._ranges.drop_below(at)
            self.held -= at - position
            self._recent = [recent for recent in self._recent if recent >= at]
        return taken

    def blocks(self, limit: int) -> list[tuple[int, int]]:
        """Ranges held, the one heard of last first (RFC2018-4c, RFC2018-4d)."""
        return [self._ranges.around(position) for position in self._recent[:limit]]

    def range_at(self, start: int, end: int) -> tuple[int, int]:
        """The first run within start … end that is held already, (0, 0) where none is: what a D-SACK reports
        (RFC2883-4a).
        """
        return self._ranges.first_within(start, end)

    def relieve(self, most: int = PIECES) -> None:
        """Keep no more than ``most`` pieces, or PIECES: join those that touch, then give up the farthest.

        Each call halves the count or more, so its cost is O(1) for each piece ever inserted. Octets given up
        are reported no more (RFC2018-8b); the peer still has them.
        """
        most = min(most, PIECES)
        if len(self._starts) <= most:
            return
        starts, pieces = self._starts, self._pieces
        self._starts, self._pieces, index = [], [], 0
        for left, right in zip(self._ranges.lefts, self._ranges.rights, strict=True):
            first = index
            while index < len(starts) and starts[index] < right:
                index += 1
            self._starts.append(left)
            self._pieces.append(b"".join(pieces[first:index]))
        while len(self._starts) > most // 2:
            self._give_up_farthest()

    def give_up(self, octets: int) -> int:
        """Forget the farthest, until at least ``octets`` of weight are free, or all. How many they were."""
        before = self.weight
        while self._starts and before - self.weight < octets:
            self._give_up_farthest()
        return before - self.weight

    def _end_of(self, index: int) -> int:
        return self._starts[index] + len(self._pieces[index])

    def _replace(self, low: int, high: int, begin: int, data: bytes) -> None:
        """Put ``data`` where pieces low … high - 1 lie wholly inside it; their own octets win."""
        covered = 0
        if low == high:
            self._starts.insert(low, begin)
            self._pieces.insert(low, data)
        else:
            parts: list[bytes] = []
            at = begin
            for index in range(low, high):
                parts += (data[at - begin : self._starts[index] - begin], self._pieces[index])
                at = self._end_of(index)
                covered += len(self._pieces[index])
            parts.append(data[at - begin :])
            self._starts[low:high] = [begin]
            self._pieces[low:high] = [b"".join(parts)]
        self.held += len(data) - covered

    def _note_range(self, start: int, end: int) -> None:
        left, right = self._ranges.add(start, end)
        self._recent = [start, *(position for position in self._recent if not left <= position < right)][
            :RECENT
        ]

    def _give_up_farthest(self) -> None:
        start, piece = self._starts.pop(), self._pieces.pop()
        self.held -= len(piece)
        self.evicted += len(piece)
        self._ranges.drop_above(start)
        self._recent = [position for position in self._recent if position < start]
