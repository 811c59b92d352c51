"""The octets between SND.UNA and the end of what the user sent: the retransmission queue and the data not
sent yet, in one.
"""

from bisect import bisect_right
from typing import Final

_SMALL: Final = 4096  # octets: pieces that are joined, so that a megabyte of tiny writes doesn't weigh fifty
_TRIM: Final = 64  # pieces left behind before the lists are cut

Data = bytes | bytearray | memoryview
Piece = bytes | memoryview

_NO_PIECES: Final[
    list[Piece]
] = []  # shared by all that are empty, and never changed: an idle connection needs no lists
_NO_STARTS: Final[list[int]] = []


class SendBuffer:
    """Pieces as the user gave them: an immutable one isn't copied, and is kept until all of it is
    acknowledged.

    ``size`` is how many octets it holds.
    """

    __slots__ = ("_begin", "_head", "_latest", "_pieces", "_starts", "size")

    def __init__(self) -> None:
        self.size: int = 0
        self._begin = 0  # position of the first octet, counted from the first that ever was here
        self._pieces = _NO_PIECES
        self._starts = _NO_STARTS
        self._head = 0  # the first piece that isn't acknowledged
        self._latest = 0  # the piece that was asked for last: the next octets are nearly always there

    def append(self, data: Data) -> None:
        """What is sent are the octets at the time of the call."""
        size = len(data)
        if self._pieces is _NO_PIECES:
            self._pieces, self._starts = [], []
        pieces = self._pieces
        if size < _SMALL and self._head < len(pieces) and len(pieces[-1]) < _SMALL:
            pieces[-1] = bytes(pieces[-1]) + data
        else:
            pieces.append(_lasting(data))
            self._starts.append(self._begin + self.size)
        self.size += size

    def discard(self, count: int) -> None:
        """The first ``count`` octets were acknowledged."""
        self._begin += count
        self.size -= count
        pieces, starts, head = self._pieces, self._starts, self._head
        while head < len(pieces) and starts[head] + len(pieces[head]) <= self._begin:
            pieces[head] = b""
            head += 1
        if head == len(pieces):
            self._pieces, self._starts = _NO_PIECES, _NO_STARTS
            head = self._latest = 0
        elif head > _TRIM:
            del pieces[:head], starts[:head]
            self._latest = max(0, self._latest - head)
            head = 0
        self._head = head

    def slice(self, start: int, count: int) -> bytes:
        """``count`` octets, ``start`` octets after the first; fewer where it ends before."""
        begin = self._begin + start
        end = min(begin + count, self._begin + self.size)
        latest = self._latest
        if latest < len(self._pieces):
            piece, at = self._pieces[latest], self._starts[latest]
            if at <= begin and end <= at + len(piece):
                return bytes(piece[begin - at : end - at]) if begin < end else b""
        return self._gather(begin, end) if begin < end else b""

    def _gather(self, begin: int, end: int) -> bytes:
        index = bisect_right(self._starts, begin, self._head) - 1
        parts: list[memoryview] = []  # so that each octet is copied once
        while begin < end:
            piece, at = self._pieces[index], self._starts[index]
            stop = min(end, at + len(piece))
            parts.append(memoryview(piece)[begin - at : stop - at])
            begin = stop
            self._latest = index
            index += 1
        return b"".join(parts)

    def clear(self) -> None:
        self._begin += self.size
        self.size = self._head = self._latest = 0
        self._pieces, self._starts = _NO_PIECES, _NO_STARTS


def _lasting(data: Data) -> Piece:
    """The same octets as an object that can't change."""
    if isinstance(data, bytes) or (isinstance(data, memoryview) and isinstance(data.obj, bytes)):
        return data
    return bytes(data)
