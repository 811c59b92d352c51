"""Opening of capture files, compressed or not. Several are read as one, in the order of packet times."""

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
# Modules that read zstd, and their classes. The first is part of Python 3.14 and later.
_ZSTD: Final = (("compression.zstd", "ZstdFile"), ("backports.zstd", "ZstdFile"), ("pyzstd", "ZstdFile"))


def plain(file: BufferedIOBase) -> BufferedIOBase:
    """Return a file with the decompressed octets of ``file``, which may be gzip, bzip2, xz, zstd or plain.

    The first octets show the kind of compression. Raises ArgumentError for zstd if no module for it is
    installed.
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
    """File of which the first octets can be examined before it is read; reading returns these octets, too."""

    def __init__(self, file: BufferedIOBase) -> None:
        """Read the first octets of ``file``, at least as many as a magic number has."""
        self.beginning: bytes = file.read1(_LONGEST)
        while len(self.beginning) < _PEEKED and (part := file.read1(_LONGEST)):
            self.beginning += part
        self._file = file
        self._waiting = self.beginning

    def readable(self) -> bool:
        """Return True. The modules gzip, bz2 and lzma call this before they read."""
        return True

    def read1(self, size: int | None = -1, /) -> bytes:
        """Return up to ``size`` octets, with at most one call to the file."""
        if not self._waiting:
            return self._file.read1(-1 if size is None else size)
        size = len(self._waiting) if size is None or size < 0 else size
        part, self._waiting = self._waiting[:size], self._waiting[size:]
        return part

    def read(self, size: int | None = -1, /) -> bytes:
        """Return ``size`` octets, or fewer; all that are left where ``size`` is negative."""
        if size is None or size < 0:
            part, self._waiting = self._waiting, b""
            return part + self._file.read()
        return self.read1(size)


def _zstd(file: BufferedIOBase) -> BufferedIOBase:
    """Return a reader of zstd from the first module that can be imported."""
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
    """Several captures, read as one in the order of their times.

    Packets of one file keep their order. ``damage`` is that of the first file that is broken.
    """

    def __init__(self, readers: Sequence[Reader]) -> None:
        """Merge the packets of these readers."""
        self._readers = readers

    @property
    def damage(self) -> Damage | None:
        """Damage of the first file that is broken, None if none is."""
        return next((reader.damage for reader in self._readers if reader.damage is not None), None)

    def chunks(self) -> Iterator[tuple[bytes, list[Frame]]]:
        """Yield octets and frames, as `Reader.chunks` does."""
        if len(self._readers) == 1:
            yield from self._readers[0].chunks()
            return
        sources = [_Source(reader) for reader in self._readers]
        while sources := [source for source in sources if source.has_more()]:
            sources.sort(key=_time)
            following = sources[1].time if len(sources) > 1 else None
            yield sources[0].take_until(following)


def _time(source: "_Source") -> int:
    """Key to sort files by: the time of the next packet."""
    return source.time


class _Source:
    """One file of several, with the frames that were read from it and not yet returned."""

    def __init__(self, reader: Reader) -> None:
        """Begin before the first chunk."""
        self._chunks = reader.chunks()
        self._octets = b""
        self._frames: list[Frame] = []

    def has_more(self) -> bool:
        """Return whether a packet is left; read the next chunk first if no frame is kept."""
        while not self._frames:
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._octets, self._frames = chunk
        return True

    @property
    def time(self) -> int:
        """Time of the next packet, in microseconds."""
        return self._frames[0][0]

    def take_until(self, other: int | None) -> tuple[bytes, list[Frame]]:
        """Return the next packets, none of them later than ``other``, but at least one."""
        frames = self._frames
        count = len(frames)
        if other is not None and frames[-1][0] > other:
            count = max(1, bisect_right(frames, other, key=_when))
        self._frames = frames[count:]
        return self._octets, frames[:count]


def _when(frame: Frame) -> int:
    """Key to find a frame by its time."""
    return frame[0]
