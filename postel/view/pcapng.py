"""Captures that Wireshark and tshark read, with a comment on each packet (draft-ietf-opsawg-pcapng).

::

    Section Header │ Interface Description (raw IP, microseconds) │ Enhanced Packet … Enhanced Packet
"""

from struct import Struct
from typing import BinaryIO, Final

from postel.tcp.state import State
from postel.view import notes
from postel.view.flow import Flow
from postel.view.packet import Packet
from postel.view.trace import Trace
from postel.wire.address import Endpoint
from postel.wire.segment import flags_text

SECTION_HEADER: Final = 0x0A0D0D0A
INTERFACE_DESCRIPTION: Final = 1
INTERFACE_STATISTICS: Final = 5
ENHANCED_PACKET: Final = 6
LINKTYPE_RAW: Final = 101
_BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D

_OPT_END: Final = 0
_OPT_COMMENT: Final = 1
_SHB_USERAPPL: Final = 4
_IF_NAME: Final = 2
_IF_TSRESOL: Final = 9
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


def write(trace: Trace, file: BinaryIO, *, epoch: int = 0, language: str = "en") -> None:
    """All packets of the trace in the order in which they left, also those that were lost.

    ``epoch`` is the time of day, in microseconds since 1970, at which the trace's clock stood at 0.
    """
    file.write(header())
    flows = {id(packet): flow for flow in trace.flows for packet in flow.packets}
    file.writelines(enhanced_packet(packet, epoch, comment(packet, flows.get(id(packet)), language)) for packet in trace.packets)


def comment(packet: Packet, flow: Flow | None, language: str = "en") -> str:
    """``client → server: #1 SYN, asks to open …; SYN-SENT``; ``#`` with the number that the ladder prints."""
    what = flags_text(packet.segment.flags) if packet.segment is not None else packet.caption
    said = notes.of_packet(packet, flow, language) if flow is not None else []
    if not said:
        said = _plain(packet, language)
    text = f"{_name(packet.sender, packet.source, flow)} → {_name(packet.receiver, packet.destination, flow)}: #{packet.number} "
    text += ", ".join([what, *said])
    states = _states(packet.sender_state, packet.receiver_state)
    return f"{text}; {states}" if states else text


def _plain(packet: Packet, language: str) -> list[str]:
    if packet.segment is None:
        return []
    said = []
    if packet.segment.data:
        said.append(notes.say("carries", language, length=len(packet.segment.data)))
    if packet.ack > 0:
        said.append(notes.say("acknowledges", language, ack=packet.ack))
    return said


def _states(sender: State | None, receiver: State | None) -> str:
    """The sender's on departure, then the receiver's after arrival, as far as they are known."""
    return " → ".join(str(state) for state in (sender, receiver) if state is not None)


def _name(told: str, end: Endpoint, flow: Flow | None) -> str:
    return (flow.names.get(end) if flow is not None else None) or told or str(end)


def header() -> bytes:
    section = _SECTION.pack(_BYTE_ORDER_MAGIC, 1, 0, -1) + _option(_SHB_USERAPPL, b"Postel") + _option(_OPT_END, b"")
    microseconds = _option(_IF_TSRESOL, b"\x06")
    interface = _INTERFACE.pack(LINKTYPE_RAW, 0, 0) + _option(_IF_NAME, b"postel") + microseconds + _option(_OPT_END, b"")
    return _block(SECTION_HEADER, section) + _block(INTERFACE_DESCRIPTION, interface)


def statistics(when: int, seen: int, left_out: int) -> bytes:
    """The block that ends a capture of which packets may have been left out; ``when`` is in microseconds since 1970."""
    counts = _option(_ISB_RECEIVED, _COUNT.pack(seen)) + _option(_ISB_DROPPED, _COUNT.pack(left_out))
    said = _option(_OPT_COMMENT, f"{left_out} packets are left out".encode()) if left_out else b""
    return _block(INTERFACE_STATISTICS, _STATISTICS.pack(0, when >> 32, when & 0xFFFFFFFF) + said + counts + _option(_OPT_END, b""))


def enhanced_packet(packet: Packet, epoch: int, text: str) -> bytes:
    """The block of a packet, with ``text`` as its comment; ``epoch`` as for `write`."""
    octets, when = packet.octets, packet.sent_at + epoch
    size = len(octets)
    head = _PACKET.pack(0, when >> 32, when & 0xFFFFFFFF, size, size)
    return _block(ENHANCED_PACKET, head + _padded(octets) + _option(_OPT_COMMENT, _cut(text)) + _option(_OPT_END, b""))


def _cut(text: str) -> bytes:
    return text.encode()[:_LONGEST_OPTION].decode(errors="ignore").encode()


def _option(code: int, value: bytes) -> bytes:
    return _OPTION.pack(code, len(value)) + _padded(value)


def _block(kind: int, body: bytes) -> bytes:
    length = len(body) + 12
    return _BLOCK.pack(kind, length) + body + length.to_bytes(4, "little")


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)
