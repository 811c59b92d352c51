"""Blocks of a capture file that Wireshark and tshark read (draft-ietf-opsawg-pcapng).

A file has these blocks, in this order::

    Section Header
    Interface Description      raw IP, times in microseconds
    Enhanced Packet            one for each packet
    ...
    Interface Statistics       how many packets were left out
"""

from struct import Struct
from typing import BinaryIO, Final

from postel.errors import require_number
from postel.times import NEVER

SECTION_HEADER: Final = 0x0A0D0D0A
INTERFACE_DESCRIPTION: Final = 1
INTERFACE_STATISTICS: Final = 5
ENHANCED_PACKET: Final = 6
LINKTYPE_RAW: Final = 101
INBOUND: Final = 1  # the packet was received: a value of the direction in a packet's flags
OUTBOUND: Final = 2
_BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D

_OPT_END: Final = 0
_OPT_COMMENT: Final = 1
_SHB_USERAPPL: Final = 4
_IF_NAME: Final = 2
_IF_TSRESOL: Final = 9
_EPB_FLAGS: Final = 2
_ISB_RECEIVED: Final = 4
_ISB_DROPPED: Final = 5
_LONGEST_OPTION: Final = 0xFFFF

_BLOCK: Final = Struct("<II")
_OPTION: Final = Struct("<HH")
_SECTION: Final = Struct("<IHHq")
_INTERFACE: Final = Struct("<HHI")
_PACKET: Final = Struct("<IIIII")
_STATISTICS: Final = Struct("<III")
_COUNT: Final = Struct("<Q")
_FLAGS: Final = Struct("<I")


class Capture:
    """Capture that is written into ``file`` while packets pass, beginning with its header.

    At most ``limit`` octets are written (0: no limit). ``written`` counts the packets in the file,
    ``left_out`` those that are not. ``error`` is the OSError with which writing the file failed, or None.
    After such an error nothing more is written, and none is raised, so that the link goes on.
    """

    def __init__(self, file: BinaryIO, *, limit: int = 0) -> None:
        """Write the header into ``file``, which is open for writing in binary mode. Raises ArgumentError."""
        require_number("limit", limit, 0, NEVER, "0 octets or more")
        self._file = file
        self._room = limit or 1 << 62
        self.written: int = 0
        self.left_out: int = 0
        self.error: OSError | None = None
        self._write(header())

    def add(self, block: bytes) -> None:
        """Write the block of a packet.

        After the first packet that is left out, all later packets are left out, too, so that the capture has
        no gap.
        """
        if self.left_out or self.error is not None or len(block) > self._room:
            self.left_out += 1
        else:
            self.written += 1
            self._write(block)

    def finish(self, when: int) -> None:
        """Write how many packets were left out until ``when``, in microseconds since 1970.

        Doesn't close the file.
        """
        self._write(statistics(when, self.written + self.left_out, self.left_out))

    def _write(self, block: bytes) -> None:
        self._room -= len(block)
        rest = memoryview(block)
        while rest and self.error is None:
            try:
                rest = rest[self._file.write(rest) :]  # an unbuffered file may write only a part
            except OSError as error:
                self.error = error


def header() -> bytes:
    """Make the two blocks with which a capture begins: the section, and its one interface."""
    section = (
        _SECTION.pack(_BYTE_ORDER_MAGIC, 1, 0, -1)
        + _option(_SHB_USERAPPL, b"Postel")
        + _option(_OPT_END, b"")
    )
    microseconds = _option(_IF_TSRESOL, b"\x06")
    interface = (
        _INTERFACE.pack(LINKTYPE_RAW, 0, 0)
        + _option(_IF_NAME, b"postel")
        + microseconds
        + _option(_OPT_END, b"")
    )
    return _block(SECTION_HEADER, section) + _block(INTERFACE_DESCRIPTION, interface)


def statistics(when: int, seen: int, left_out: int) -> bytes:
    """Make the block that ends a capture. It says how many packets of those ``seen`` were ``left_out``.

    ``when`` is in microseconds since 1970.
    """
    counts = _option(_ISB_RECEIVED, _COUNT.pack(seen)) + _option(_ISB_DROPPED, _COUNT.pack(left_out))
    said = _option(_OPT_COMMENT, f"{left_out} packets are left out".encode()) if left_out else b""
    return _block(
        INTERFACE_STATISTICS,
        _STATISTICS.pack(0, when >> 32, when & 0xFFFFFFFF) + said + counts + _option(_OPT_END, b""),
    )


def enhanced_packet(octets: bytes, when: int, *, comment: str = "", direction: int = 0) -> bytes:
    """Make the block of a packet that passed at ``when``, in microseconds since 1970.

    ``direction`` is INBOUND, OUTBOUND, or 0 where it isn't known. ``comment`` is shown with the packet.
    """
    size = len(octets)
    head = _PACKET.pack(0, when >> 32, when & 0xFFFFFFFF, size, size)
    said = _option(_OPT_COMMENT, _cut(comment)) if comment else b""
    flags = _option(_EPB_FLAGS, _FLAGS.pack(direction)) if direction else b""
    end = _option(_OPT_END, b"") if said or flags else b""
    return _block(ENHANCED_PACKET, head + _padded(octets) + said + flags + end)


def _cut(text: str) -> bytes:
    """Return as much of ``text`` in UTF-8 as an option can hold, without cutting a character."""
    return text.encode()[:_LONGEST_OPTION].decode(errors="ignore").encode()


def _option(code: int, value: bytes) -> bytes:
    """Make an option of a block."""
    return _OPTION.pack(code, len(value)) + _padded(value)


def _block(kind: int, body: bytes) -> bytes:
    """Make a block of this kind: its length stands before and after it."""
    length = len(body) + 12
    return _BLOCK.pack(kind, length) + body + length.to_bytes(4, "little")


def _padded(octets: bytes) -> bytes:
    """Return the octets, filled with zeros to a multiple of 4."""
    return octets + bytes(-len(octets) % 4)
