"""Capture files, opened: compressed or not, one or several at once, in the order of their packets' times."""

import bz2
import gzip
import lzma
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from importlib import import_module
from io import BufferedIOBase, BufferedReader
from typing import Any, Final, cast

from postel.errors import ArgumentError
from postel.view.capture.container import Damage, Frame, Reader

_MAGICS: Final = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_PEEKED: Final = 6
_LONGEST: Final = 1 << 17
_ZSTD: Final = (
    ("compression.zstd", "ZstdFile"),
    ("backports.zstd", "ZstdFile"),
    ("pyzstd", "ZstdFile"),
)  # the first is Python's from 3.14 on


def plain(file: BufferedIOBase) -> BufferedIOBase:
    """The file's octets without the compression that its first octets tell of: gzip, bzip2, xz or zstd.
    Raises ArgumentError.
    """
    buffered = _Begun(file)
    beginning = buffered.beginning
    kind = next((kind for magic, kind in _MAGICS.items() if beginning.startswith(magic)), "")
    if kind == "gzip":
        return gzip.GzipFile(fileobj=cast(Any, buffered))
    if kind == "bzip2":
        return bz2.BZ2File(cast(Any, buffered))
    if kind == "xz":
        return lzma.LZMAFile(cast(Any, buffered))
    return _zstd(buffered) if kind == "zstd" else buffered


class _Begun(BufferedIOBase):
    """A file whose first octets were read, and are read once more."""

    def __init__(self, file: BufferedIOBase) -> None:
        self.beginning: bytes = file.read1(_LONGEST)
        while len(self.beginning) < _PEEKED and (part := file.read1(_LONGEST)):
            self.beginning += part
        self._file = file
        self._waiting = self.beginning

    def readable(self) -> bool:
        return True

    def read1(self, size: int | None = -1, /) -> bytes:
        if not self._waiting:
            return self._file.read1(-1 if size is None else size)
        size = len(self._waiting) if size is None or size < 0 else size
        part, self._waiting = self._waiting[:size], self._waiting[size:]
        return part

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            part, self._waiting = self._waiting, b""
            return part + self._file.read()
        return self.read1(size)


def _zstd(file: BufferedIOBase) -> BufferedIOBase:
    for module, name in _ZSTD:
        try:
            return cast(BufferedIOBase, getattr(import_module(module), name)(file))
        except ImportError:
            continue
    try:
        decompressor = import_module("zstandard").ZstdDecompressor()
    except ImportError:
        raise ArgumentError(
            "FILE",
            "zstd",
            "zstd on Python 3.14 or with the package zstandard; or: zstd -dc FILE | postel explain -",
        ) from None
    return BufferedReader(decompressor.stream_reader(file, read_across_frames=True))


class Merged:
    """Several captures as one: in the order of time, as far as each is. ``damage`` is the first that was
    found in any of them.
    """

    def __init__(self, readers: Sequence[Reader]) -> None:
        self._readers = readers

    @property
    def damage(self) -> Damage | None:
        """None unless a file broke."""
        return next((reader.damage for reader in self._readers if reader.damage is not None), None)

    def chunks(self) -> Iterator[tuple[bytes, list[Frame]]]:
        """As `Reader.chunks`."""
        if len(self._readers) == 1:
            yield from self._readers[0].chunks()
            return
        sources = [_Source(reader) for reader in self._readers]
        while sources := [source for source in sources if source.has_more()]:
            sources.sort(key=_time)
            following = sources[1].time if len(sources) > 1 else None
            yield sources[0].take_until(following)


def _time(source: "_Source") -> int:
    return source.time


class _Source:
    """One file, as far as it has been read."""

    def __init__(self, reader: Reader) -> None:
        self._chunks = reader.chunks()
        self._octets = b""
        self._frames: list[Frame] = []

    def has_more(self) -> bool:
        while not self._frames:
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._octets, self._frames = chunk
        return True

    @property
    def time(self) -> int:
        """Of its next packet, in microseconds."""
        return self._frames[0][0]

    def take_until(self, other: int | None) -> tuple[bytes, list[Frame]]:
        """Its next packets, none of them later than ``other``; one at least."""
        frames = self._frames
        count = len(frames)
        if other is not None and frames[-1][0] > other:
            count = max(1, bisect_right(frames, other, key=_when))
        self._frames = frames[count:]
        return self._octets, frames[:count]


def _when(frame: Frame) -> int:
    return frame[0]
