"""Reader of the packets in a capture file (pcap or pcapng), from an open file or a pipe.

The module reads pcap (draft-ietf-opsawg-pcap) in both byte orders, with micro- and nanoseconds, its old
version 2.2 and its "modified" kind, and pcapng (draft-ietf-opsawg-pcapng). `postel.view.capture.files`
opens the files, compressed or not, and reads several as one.

No length in a file is trusted. A packet or block longer than `LARGEST` is damage, and so is a file that
ends in the middle of one. Damage ends the reading; the packets before it count.
"""

import lzma
import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from struct import Struct
from typing import Final, NamedTuple, TypeAlias

LARGEST: Final = 1 << 24  # largest packet or block, in octets; a longer one is damage
MOST_INTERFACES: Final = 1 << 16
# Octets read at once: few enough that all are still in the processor's cache when they are parsed
_CHUNK: Final = 1 << 17
_MICROSECONDS: Final = 1_000_000

# Frame in a chunk: time in microseconds since 1970, offset in the chunk, number of octets captured, number of
# octets on the wire, and link type
Frame: TypeAlias = tuple[int, int, int, int, int]

_PCAP_MAGICS: Final = {  # byte order, units of time per microsecond, octets of a packet's header
    b"\xd4\xc3\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\xc3\xd4": (">", 1, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1000, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1000, 16),
    b"\x34\xcd\xb2\xa1": ("<", 1, 24),  # "modified": with interface, protocol and direction
    b"\xa1\xb2\xcd\x34": (">", 1, 24),
}
# Minor version 2.3 of pcap. In files with a lower minor version, and in some files with this one, a packet's
# original length comes before its captured length.
_SWAPPED: Final = 3
_PCAP_HEADER: Final = 24
_SECTION_HEADER: Final = b"\x0a\x0d\x0d\x0a"
_BYTE_ORDERS: Final = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}

_INTERFACE: Final = 1
_OBSOLETE_PACKET: Final = 2
_SIMPLE_PACKET: Final = 3
_ENHANCED_PACKET: Final = 6
_IF_TSRESOL: Final = 9
_IF_TSOFFSET: Final = 14


class Damage(NamedTuple):
    """Place where a file is broken, in octets from its start, and what is wrong there."""

    offset: int
    text: str

    def __str__(self) -> str:
        """Return the place and what is wrong there, in one line."""
        return f"broken at octet {self.offset}: {self.text}"


class _Broken(Exception):
    """Damage at the position up to which a file was read; raised and caught inside this module."""


class Reader:
    """Packets of an open file, or of a pipe as they come: ``for octets, frames in reader.chunks()``.

    ``damage`` is None unless the file is broken; it is known once the last chunk was read.
    """

    def __init__(self, file: BufferedIOBase) -> None:
        """Read from ``file``, which the caller opens and closes."""
        self.damage: Damage | None = None
        self._file = file
        self._broken = ""
        self._octets = b""
        self._offset = 0  # offset in the file at which the chunk begins

    def chunks(self) -> Iterator[tuple[bytes, list[Frame]]]:
        """Yield the file in chunks: octets and the list of frames in them, the arguments of `Table.take`."""
        form = self._form()
        while form is not None:
            form.position = 0
            form.needed = 0
            yield self._octets, form.frames(self._octets)
            if form.broken:
                self.damage = Damage(self._offset + form.position, form.broken)
                return
            self._drop(form.position)
            if not self._fill(max(form.needed, len(self._octets) + 1)):
                if self._broken:
                    self.damage = Damage(self._offset + len(self._octets), self._broken)
                elif self._octets:
                    self.damage = Damage(
                        self._offset, f"cut short: {len(self._octets)} octets of {form.what(self._octets)}"
                    )
                return

    def _form(self) -> "Pcap | Pcapng | None":
        """Return the parser of the file's format. For an unknown format, set ``damage`` and return None.

        The first octets show the format.

        The header of a pcap file doesn't become part of the first chunk. That of a pcapng file does: it is
        a block like any other.
        """
        self._fill(_PCAP_HEADER)
        magic = self._octets[:4]
        if magic == _SECTION_HEADER:
            return Pcapng()
        if magic in _PCAP_MAGICS and len(self._octets) >= _PCAP_HEADER:
            order, units, header = _PCAP_MAGICS[magic]
            minor, link = Struct(f"{order}6xH12xI").unpack_from(self._octets)
            self._drop(_PCAP_HEADER)
            # The upper 16 bits of the link type describe a frame check sequence, which isn't used here.
            return Pcap(order, units, header, link & 0xFFFF, minor)
        self.damage = Damage(0, self._broken or _stranger(self._octets))
        return None

    def _drop(self, octets: int) -> None:
        """Remove the first ``octets`` of the chunk, because their frames were read."""
        self._octets = self._octets[octets:]
        self._offset += octets

    def _read(self) -> bytes:
        """Return the next octets of the file; b"" at its end, and where its compression is damaged."""
        try:
            return self._file.read1(_CHUNK)
        except _BROKEN_STREAMS as error:
            self._broken = f"the compressed file is damaged: {error}"
            return b""

    def _fill(self, needed: int) -> bool:
        """Read until the chunk has ``needed`` octets, or the file ends. Returns whether it has them."""
        parts = [self._octets]
        size = len(self._octets)
        while size < needed:
            part = self._read()
            if not part:
                break
            parts.append(part)
            size += len(part)
        self._octets = b"".join(parts)
        return size >= needed


_BROKEN_STREAMS: Final = (EOFError, OSError, zlib.error, lzma.LZMAError)


def _stranger(octets: bytes) -> str:
    """Describe a file that begins like neither pcap nor pcapng."""
    if not octets:
        return "it is empty"
    if octets[:4] in _PCAP_MAGICS:
        return f"cut short: {len(octets)} octets of a pcap header"
    return f"neither pcap nor pcapng begins with {octets[:4].hex(' ')}"


class Pcap:
    """Format pcap: a header, then packets, each with its time and two lengths before it."""

    def __init__(self, order: str, units: int, header: int, link: int, minor: int) -> None:
        """Take the values of the file's header.

        ``units`` of time make a microsecond, ``header`` is the length of a packet's header in octets,
        ``minor`` the version of the format.
        """
        self.position: int = 0
        self.needed: int = 0  # octets of the next packet with its header; 0 while unknown
        self.broken: str = ""
        self._record = Struct(f"{order}IIII")
        self._units = units
        self._header = header
        self._link = link
        self._minor = minor

    def frames(self, octets: bytes) -> list[Frame]:
        """Return all complete frames of the chunk, and set ``position`` to the offset of the rest.

        The result is a list, because to resume a generator would take longer than to read a packet.
        """
        found: list[Frame] = []
        unpack, units, header, link = self._record.unpack_from, self._units, self._header, self._link
        position, size, is_old = self.position, len(octets), self._minor <= _SWAPPED
        last = size - header
        while position <= last:
            seconds, fraction, captured, original = unpack(octets, position)
            if is_old and (self._minor < _SWAPPED or captured > original):
                captured, original = original, captured
            end = position + header + captured
            if end > size:
                self.needed = captured + header
                if captured > LARGEST:
                    self.broken = f"a packet of {captured} octets"
                break
            found.append(
                (seconds * _MICROSECONDS + fraction // units, position + header, captured, original, link)
            )
            position = end
        self.position = position
        return found

    def what(self, octets: bytes) -> str:
        """Name the part of the file that is incomplete at the file's end, with its size in octets."""
        if len(octets) < self._header:
            return "a packet's header"
        return f"a packet of {self.needed}"


class Interface(NamedTuple):
    """Interface description of a pcapng file.

    ``link`` is the type of its link, ``snap`` how many octets of a packet it keeps (0: all), ``units`` how
    many units of time make a second, ``epoch`` what is added to each time, in microseconds.
    """

    link: int
    snap: int
    units: int
    epoch: int

    def time(self, ticks: int) -> int:
        """Return a packet's time in microseconds since 1970."""
        return ticks * _MICROSECONDS // self.units + self.epoch


class Pcapng:
    """Format pcapng: sections, the interfaces in them, and packets that name an interface.

    Blocks of other kinds are skipped.
    """

    def __init__(self) -> None:
        """Begin before the first section of the file, which has the byte order."""
        self.position: int = 0
        self.needed: int = 0
        self.broken: str = ""
        self._interfaces: list[Interface] = []
        self._now = 0  # time of the last packet with a time, in microseconds since 1970
        self._set_order("<")

    def _set_order(self, order: str) -> None:
        """Prepare the structures of blocks for a byte order, "<" or ">"."""
        self._order = order
        self._block = Struct(f"{order}II")
        self._length = Struct(f"{order}I")
        self._enhanced = Struct(f"{order}7I")
        self._obsolete = Struct(f"{order}IIHHIIII")

    def frames(self, octets: bytes) -> list[Frame]:
        """Return all complete frames of the chunk, and set ``position`` to the offset of the rest.

        The inner loop reads sound enhanced packets, of which most files consist; `_other` reads any other
        block.
        """
        found: list[Frame] = []
        size = len(octets)
        last = size - 32
        while True:
            enhanced, length_at, interfaces = (
                self._enhanced.unpack_from,
                self._length.unpack_from,
                self._interfaces,
            )
            position, known = self.position, len(interfaces)
            while position <= last:
                kind, length, number, high, low, captured, original = enhanced(octets, position)
                end = position + length
                if (
                    kind != _ENHANCED_PACKET
                    or number >= known
                    or captured + 32 > length
                    or end > size
                    or length_at(octets, end - 4)[0] != length
                ):
                    break  # `_other` reads this block, or finds what is wrong with it
                link, _, units, epoch = interfaces[number]
                ticks = high << 32 | low
                self._now = when = (
                    ticks if units == _MICROSECONDS else ticks * _MICROSECONDS // units
                ) + epoch
                found.append((when, position + 28, captured, original, link))
                position = end
            self.position = position
            try:
                frame = self._other(octets)
            except _Broken as broken:
                self.broken = str(broken)
                return found
            if self.position == position:
                return found
            if frame is not None:
                found.append(frame)

    def _other(self, octets: bytes) -> Frame | None:
        """Read one block that isn't a sound enhanced packet. Returns its frame, if it holds one.

        ``position`` stays as it is if the chunk doesn't have the whole block.
        """
        position = self.position
        if position + 12 > len(octets):
            return None
        if octets[position : position + 4] == _SECTION_HEADER:
            self._begin_section(octets)
        kind, length = self._block.unpack_from(octets, position)
        if length < 12 or length % 4 or length > LARGEST:
            raise _Broken(f"a block of {length} octets")
        end = position + length
        if end > len(octets):
            self.needed = length
            return None
        if octets[end - 4 : end] != octets[position + 4 : position + 8]:
            raise _Broken(f"a block of {length} octets by its start, and not by its end")
        frame = None
        if kind == _INTERFACE:
            self._add_interface(octets, end)
        elif kind in (_ENHANCED_PACKET, _OBSOLETE_PACKET, _SIMPLE_PACKET):
            frame = self._frame(octets, kind, length)
        self.position = end
        return frame

    def _begin_section(self, octets: bytes) -> None:
        """Take the byte order of a new section, and forget the interfaces of the previous section."""
        order = _BYTE_ORDERS.get(octets[self.position + 8 : self.position + 12])
        if order is None:
            raise _Broken("a section without a byte order")
        self._set_order(order)
        self._interfaces = []

    def _add_interface(self, octets: bytes, end: int) -> None:
        """Read an interface description: link, snap length, resolution and offset of its times."""
        if end - self.position < 20:
            raise _Broken("an interface description that is too short")
        if len(self._interfaces) == MOST_INTERFACES:
            raise _Broken(f"more than {MOST_INTERFACES} interfaces")
        link, _, snap = Struct(f"{self._order}HHI").unpack_from(octets, self.position + 8)
        units, epoch = _MICROSECONDS, 0
        for code, value in self._options(octets, self.position + 16, end - 4):
            if code == _IF_TSRESOL and value:
                units = 1 << (value[0] & 0x7F) if value[0] & 0x80 else 10 ** (value[0] & 0x7F)
            elif code == _IF_TSOFFSET and len(value) == 8:
                epoch = Struct(f"{self._order}q").unpack(value)[0] * _MICROSECONDS
        self._interfaces.append(Interface(link, snap, units, epoch))

    def _options(self, octets: bytes, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Yield code and value of each option between ``start`` and ``end``."""
        while start + 4 <= end:
            code, length = Struct(f"{self._order}HH").unpack_from(octets, start)
            if code == 0 or start + 4 + length > end:
                return
            yield code, octets[start + 4 : start + 4 + length]
            start += 4 + (length + 3) // 4 * 4

    def _frame(self, octets: bytes, kind: int, length: int) -> Frame:
        """Return the frame of an enhanced, a simple or an obsolete packet block."""
        position = self.position
        if kind == _SIMPLE_PACKET:
            return self._simple(octets, length)
        if length < 32:
            raise _Broken("a packet's block that is too short")
        if kind == _OBSOLETE_PACKET:
            _, _, number, _, high, low, captured, original = self._obsolete.unpack_from(octets, position)
        else:
            _, _, number, high, low, captured, original = self._enhanced.unpack_from(octets, position)
        if captured + 32 > length:
            raise _Broken(f"a packet of {captured} octets in a block of {length}")
        interface = self._interface(number)
        self._now = interface.time(high << 32 | low)
        return self._now, position + 28, captured, original, interface.link

    def _simple(self, octets: bytes, length: int) -> Frame:
        """Return the frame of a simple packet block.

        Such a block has no time; the packet gets the time of the packet before it.
        """
        interface = self._interface(0)
        if length < 16:
            raise _Broken("a packet's block that is too short")
        original: int = Struct(f"{self._order}I").unpack_from(octets, self.position + 8)[0]
        captured = min(original, length - 16, interface.snap or original)
        return self._now, self.position + 12, captured, original, interface.link

    def _interface(self, number: int) -> Interface:
        """Return an interface of this section by its number."""
        if number >= len(self._interfaces):
            raise _Broken(f"a packet from interface {number} of {len(self._interfaces)}")
        return self._interfaces[number]

    def what(self, octets: bytes) -> str:
        """Name the part of the file that is incomplete at the file's end, with its size in octets."""
        return f"a block of {self._block.unpack_from(octets)[1]}" if len(octets) >= 8 else "a block"
