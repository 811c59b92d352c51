"""Captures for Wireshark and tshark, with a comment on each packet (draft-ietf-opsawg-pcapng)."""

from typing import BinaryIO

from postel.links import pcapng
from postel.tcp.state import State
from postel.view import notes
from postel.view.flow import Flow
from postel.view.packet import Packet
from postel.view.trace import Trace
from postel.wire.address import Endpoint
from postel.wire.segment import flags_text

__all__ = ["write"]


def write(trace: Trace, file: BinaryIO, *, epoch: int = 0, language: str = "en") -> None:
    """Write all packets of a trace into ``file`` as a capture (pcapng), each with a comment.

    The packets are in the order in which they left; lost ones are written, too. ``file`` is a binary file
    that is open for writing. ``epoch`` is the time of day, in microseconds since 1970, at which the trace's
    clock stood at 0. ``language`` of the comments is "en" or "zh". Raises errors of ``file.write``, and
    ArgumentError for an unknown language.

    >>> import io
    >>> from postel.view import Trace, pcapng
    >>> file = io.BytesIO()
    >>> pcapng.write(Trace(), file)
    >>> file.getvalue()[:4].hex()
    '0a0d0d0a'
    """
    file.write(pcapng.header())
    flows = {id(packet): flow for flow in trace.flows for packet in flow.packets}
    file.writelines(
        enhanced_packet(packet, epoch, comment(packet, flows.get(id(packet)), language))
        for packet in trace.packets
    )


def comment(packet: Packet, flow: Flow | None, language: str = "en") -> str:
    """Comment on a packet, with the number that the ladder prints for it.

    An example is ``client → server: #1 SYN, asks to open …; SYN-SENT``.
    """
    what = flags_text(packet.segment.flags) if packet.segment is not None else packet.caption
    said = notes.of_packet(packet, flow, language) if flow is not None else []
    if not said:
        said = _plain(packet, language)
    text = (
        f"{_name(packet.sender, packet.source, flow)} → "
        f"{_name(packet.receiver, packet.destination, flow)}: #{packet.number} "
    )
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
    """Text of the sender's state on departure and the receiver's after arrival, as far as they are known."""
    return " → ".join(str(state) for state in (sender, receiver) if state is not None)


def _name(told: str, end: Endpoint, flow: Flow | None) -> str:
    return (flow.names.get(end) if flow is not None else None) or told or str(end)


def enhanced_packet(packet: Packet, epoch: int, text: str) -> bytes:
    """Enhanced packet block (pcapng) of a packet with the comment ``text``; ``epoch`` is as for `write`."""
    return pcapng.enhanced_packet(packet.octets, packet.sent_at + epoch, comment=text)
