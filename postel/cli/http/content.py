"""Octets of an open file, read without keeping the event loop waiting for the disk."""

import os
from typing import Final

CHUNK: Final = 256 << 10
_UNKNOWN_FLAG: Final = 0


class Content:
    """``length`` octets of a file from ``start`` on. Owns the descriptor: `close` gives it back."""

    __slots__ = ("_cached", "_descriptor", "_position", "left")

    def __init__(self, descriptor: int, start: int, length: int) -> None:
        self._descriptor = descriptor
        self._position = start
        self._cached = getattr(os, "RWF_NOWAIT", _UNKNOWN_FLAG)
        self.left: int = length

    def read_cached(self, buffer: bytearray) -> bytes:
        """The next octets, at most as many as ``buffer`` holds, if they are in memory; b"" where `read` would wait for the disk."""
        if not self._cached:
            return b""
        room = memoryview(buffer)[: self.left]
        try:
            count = os.preadv(self._descriptor, [room], self._position, self._cached)
        except BlockingIOError:
            return b""
        except OSError:  # this file system can't tell
            self._cached = _UNKNOWN_FLAG
            return b""
        return self._passed(bytes(room[:count]))

    def read(self) -> bytes:
        """The next octets, `CHUNK` at most; for a thread. b"" where the file has become shorter."""
        return self._passed(os.pread(self._descriptor, min(self.left, CHUNK), self._position))

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _passed(self, octets: bytes) -> bytes:
        self._position += len(octets)
        self.left -= len(octets)
        return octets
