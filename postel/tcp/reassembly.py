"""Reassembly queue: octets that arrived ahead of RCV.NXT, held until the gap before them is filled.

Theory of operation (RFC 9293, 3.10.7.4, seventh check; SHLD-31). A segment beyond RCV.NXT is kept as a piece.
When the missing octets arrive, all pieces that are now in order go to the user together:

      RCV.NXT        piece            two pieces that touch: one range
         │          ┌──────┐         ┌────┬──────────┐
    ─────┴──────────┴──────┴─────────┴────┴──────────┴──────►
          gap                gap
          SACK blocks:  [─────]       [──────────────]       (RFC 2018, 4)

Pieces never overlap. Where a new segment overlaps old pieces, the octets that came first stay, and only the
uncovered parts are added: a later segment can't change what was received. Ranges are the pieces with their
common borders removed; they become the SACK blocks, the latest first. The part of a segment that was held
already becomes a D-SACK block (RFC 2883, 4).

Positions count octets from the first of the stream and never wrap, so positions compare as ints.
"""

from bisect import bisect_left, bisect_right
from typing import Final

from postel.tcp.ranges import Ranges

# Most pieces that wait. If more do (CVE-2018-5390), touching pieces are joined, then the farthest dropped
PIECES: Final = 4096
RECENT: Final = 8  # ranges for which the order of arrival is remembered, for SACK blocks
# Octets of memory that a piece takes beside its payload, for objects and list entries: measured on CPython,
# with and without compilation
PIECE: Final = 208
QUEUE: Final = 432  # octets of memory that a queue takes while it holds anything


class Reassembly:
    """Octets that wait behind gaps, as pieces that never overlap: octets that came first stay (EP-SEQ-11).

    To insert costs O(log n) and a short memmove, whatever the order of arrival. ``held`` counts octets that
    wait, ``evicted`` octets that were dropped to bound the queue.
    """

    __slots__ = ("_pieces", "_ranges", "_recent", "_starts", "evicted", "held")

    def __init__(self) -> None:
        """Make an empty queue."""
        self._starts: list[int] = []  # position of the first octet of each piece, ascending
        self._pieces: list[bytes] = []
        self._ranges = Ranges()
        self._recent: list[int] = []  # a position in each range that lately changed, newest first
        self.held: int = 0
        self.evicted: int = 0

    def __bool__(self) -> bool:
        """Whether any octets wait."""
        return self.held > 0

    @property
    def end(self) -> int:
        """One past the highest position held; 0 where none is."""
        return self._ranges.end

    @property
    def weight(self) -> int:
        """Octets of memory that the queue takes, approximately.

        1,500 pieces of one octet take a hundred times the memory of their payload, so a limit on payload
        alone would not bound the memory.
        """
        return self.held + PIECE * len(self._starts) + QUEUE if self._starts else 0

    def insert(self, start: int, data: bytes) -> int:
        """Hold those octets of ``data`` that aren't held yet, and return how many they are."""
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
        """Remove and return every piece that is in order from ``position`` on."""
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
        """Return up to ``limit`` ranges for SACK blocks, the latest first (RFC2018-4c, RFC2018-4d)."""
        return [self._ranges.around(position) for position in self._recent[:limit]]

    def range_at(self, start: int, end: int) -> tuple[int, int]:
        """Return the first part of ``start`` … ``end`` that is held already, (0, 0) where none is.

        A D-SACK block reports it (RFC2883-4a).
        """
        return self._ranges.first_within(start, end)

    def relieve(self, most: int = PIECES) -> None:
        """Join pieces that touch, then drop the farthest, if more than ``most`` or `PIECES` pieces wait.

        A call that changes anything leaves at most half as many pieces, so the cost is O(1) for each piece
        ever inserted. Octets dropped are reported no more in SACK blocks (RFC2018-8b); the peer keeps them
        until SEG.ACK covers them.
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
        """Drop the farthest pieces to free ``octets`` of memory; return how many octets were freed."""
        before = self.weight
        while self._starts and before - self.weight < octets:
            self._give_up_farthest()
        return before - self.weight

    def _end_of(self, index: int) -> int:
        """Return the position after the piece at ``index``."""
        return self._starts[index] + len(self._pieces[index])

    def _replace(self, low: int, high: int, begin: int, data: bytes) -> None:
        """Put ``data`` in place of the pieces low … high - 1, which lie inside it; their octets stay."""
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
        """Merge start … end into the ranges, and note the merged range as the latest."""
        left, right = self._ranges.add(start, end)
        self._recent = [start, *(position for position in self._recent if not left <= position < right)][
            :RECENT
        ]

    def _give_up_farthest(self) -> None:
        """Drop the piece that is farthest from RCV.NXT."""
        start, piece = self._starts.pop(), self._pieces.pop()
        self.held -= len(piece)
        self.evicted += len(piece)
        self._ranges.drop_above(start)
        self._recent = [position for position in self._recent if position < start]
