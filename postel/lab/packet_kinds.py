"""Words for packets: what one is, as the experiments ask for it."""

from postel.times import NEVER
from postel.view.packet import Packet
from postel.wire.segment import ACK, FIN, RST, SYN


def flags_of(packet: Packet) -> int:
    return 0 if packet.segment is None else packet.segment.flags & (SYN | ACK | FIN | RST)


def is_syn(packet: Packet) -> bool:
    return flags_of(packet) == SYN


def is_syn_ack(packet: Packet) -> bool:
    return flags_of(packet) == SYN | ACK


def is_fin(packet: Packet) -> bool:
    return flags_of(packet) & FIN != 0


def is_reset(packet: Packet) -> bool:
    return flags_of(packet) & RST != 0


def has_data(packet: Packet) -> bool:
    return packet.segment is not None and len(packet.segment.data) > 0


def is_bare_ack(packet: Packet) -> bool:
    return flags_of(packet) == ACK and not has_data(packet)


def arrived(packet: Packet) -> bool:
    return packet.arrived_at < NEVER and not packet.dropped
