"""Send buffer: the octets from SND.UNA to the end of what the user sent.

The buffer is the retransmission queue and the queue of data that wasn't sent yet, in one.
"""

from bisect import bisect_right
from typing import Final

# Pieces of fewer octets are joined, otherwise a megabyte of tiny writes takes fifty megabytes of memory
_SMALL: Final = 4096
_TRIM: Final = 64  # when more acknowledged pieces than this are in the lists, they are removed together

Data = bytes | bytearray | memoryview
Piece = bytes | memoryview

# Shared by all empty buffers, and never changed, so that an idle connection needs no lists
_NO_PIECES: Final[list[Piece]] = []
_NO_STARTS: Final[list[int]] = []


class SendBuffer:
    """Octets to send or to send again, in the pieces that the user passed to `send`.

    An immutable piece isn't copied, and is kept until all of its octets are acknowledged. ``size`` is the
    number of octets in the buffer.
    """

    __slots__ = ("_begin", "_head", "_latest", "_pieces", "_starts", "size")

    def __init__(self) -> None:
        """Make an empty buffer."""
        self.size: int = 0
        self._begin = 0  # position of the first octet, counted from the first of the stream
        self._pieces = _NO_PIECES
        self._starts = _NO_STARTS
        self._head = 0  # index of the first piece that isn't acknowledged
        self._latest = 0  # index of the piece read last: the next octets are nearly always there

    def append(self, data: Data) -> None:
        """Add octets at the end, as they are now: a mutable object is copied."""
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
        """Remove the first ``count`` octets, which were acknowledged."""
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
        """Return ``count`` octets that begin ``start`` octets after the first; fewer at the buffer's end."""
        begin = self._begin + start
        end = min(begin + count, self._begin + self.size)
        latest = self._latest
        if latest < len(self._pieces):
            piece, at = self._pieces[latest], self._starts[latest]
            if at <= begin and end <= at + len(piece):
                return bytes(piece[begin - at : end - at]) if begin < end else b""
        return self._gather(begin, end) if begin < end else b""

    def _gather(self, begin: int, end: int) -> bytes:
        """Return the octets of positions begin … end, which lie in several pieces or not in the latest."""
        index = bisect_right(self._starts, begin, self._head) - 1
        parts: list[memoryview] = []  # views, so that each octet is copied once
        while begin < end:
            piece, at = self._pieces[index], self._starts[index]
            stop = min(end, at + len(piece))
            parts.append(memoryview(piece)[begin - at : stop - at])
            begin = stop
            self._latest = index
            index += 1
        return b"".join(parts)

    def clear(self) -> None:
        """Remove all octets."""
        self._begin += self.size
        self.size = self._head = self._latest = 0
        self._pieces, self._starts = _NO_PIECES, _NO_STARTS


def _lasting(data: Data) -> Piece:
    """Return the same octets as an object that can't change."""
    if isinstance(data, bytes) or (isinstance(data, memoryview) and isinstance(data.obj, bytes)):
        return data
    return bytes(data)
