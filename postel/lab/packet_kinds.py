"""Kinds of packets, as experiments look for them."""

from postel.times import NEVER
from postel.view.packet import Packet
from postel.wire.segment import ACK, FIN, RST, SYN


def flags_of(packet: Packet) -> int:
    """Return SYN, ACK, FIN and RST as far as a packet has them; 0 where it isn't TCP."""
    return 0 if packet.segment is None else packet.segment.flags & (SYN | ACK | FIN | RST)


def is_syn(packet: Packet) -> bool:
    """Say whether a packet is a SYN without ACK."""
    return flags_of(packet) == SYN


def is_syn_ack(packet: Packet) -> bool:
    """Say whether a packet is a SYN,ACK."""
    return flags_of(packet) == SYN | ACK


def is_fin(packet: Packet) -> bool:
    """Say whether a packet has FIN."""
    return flags_of(packet) & FIN != 0


def is_reset(packet: Packet) -> bool:
    """Say whether a packet has RST."""
    return flags_of(packet) & RST != 0


def has_data(packet: Packet) -> bool:
    """Say whether a packet carries TCP payload."""
    return packet.segment is not None and len(packet.segment.data) > 0


def is_bare_ack(packet: Packet) -> bool:
    """Say whether a packet is an ACK and nothing else."""
    return flags_of(packet) == ACK and not has_data(packet)


def arrived(packet: Packet) -> bool:
    """Say whether a packet reached its destination's TCP."""
    return packet.arrived_at < NEVER and not packet.dropped
