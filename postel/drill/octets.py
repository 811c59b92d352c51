"""Octets of the script's inbound packets, exactly as written.

The order and padding of options are part of what is tested.
"""

from struct import Struct
from typing import Final

from postel.drill.flow import Flow
from postel.drill.script import ANY, Datagram, Icmp, Network, Option, Packet
from postel.errors import ScriptError
from postel.tcp.authentication.md5 import DIGEST, digest
from postel.wire import checksum, ip, signature, udp
from postel.wire import options as wire
from postel.wire.icmp import PROTOCOL_4, PROTOCOL_6
from postel.wire.segment import ACK, CHECKSUM_AT, PROTOCOL, SYN

_HEADER: Final = Struct("!HHIIHHHH")
_DATAGRAM: Final = Struct("!HHHH")
_ICMP: Final = Struct("!BBHI")
_WORD: Final = Struct("!I")
_ECN: Final = {"": 0, "noecn": 0, "ect1": 1, "ect0": 2, "ect01": 2, "ce": 3}

_TYPES_4: Final = {
    "echo_reply": 0, "unreachable": 3, "source_quench": 4, "redirect": 5, "echo_request": 8,
    "time_exceeded": 11,
    "parameter_problem": 12, "timestamp_request": 13, "timestamp_reply": 14, "information_request": 15,
    "information_reply": 16,
    "address_mask_request": 17, "address_mask_reply": 18,
}  # fmt: skip
_CODES_4: Final = {
    "net_unreachable": 0, "host_unreachable": 1, "protocol_unreachable": 2, "port_unreachable": 3,
    "frag_needed": 4,
    "source_route_failed": 5, "net_unknown": 6, "host_unknown": 7, "source_host_isolated": 8,
    "net_prohibited": 9,
    "host_prohibited": 10, "net_unreachable_for_tos": 11, "host_unreachable_for_tos": 12,
    "packet_filtered": 13,
    "precedence_violation": 14, "precedence_cutoff": 15,
}  # fmt: skip
_TYPES_6: Final = {
    "unreachable": 1, "packet_too_big": 2, "time_exceeded": 3, "parameter_problem": 4, "echo_request": 128,
    "echo_reply": 129,
}  # fmt: skip
_CODES_6: Final = {
    "no_route": 0, "admin_prohibited": 1, "not_neighbour": 2, "address_unreachable": 3, "port_unreachable": 4,
    "exceeded_hop_limit": 0, "exceeded_reassembly_time": 1, "erroneous_header_field": 0,
    "unknown_next_header": 1, "unknown_option": 2,
}  # fmt: skip


def segment(packet: Packet, flow: Flow, line: int) -> bytes:
    """IP packet with a segment of the peer."""
    seq = 0 if packet.seq == ANY else packet.seq
    ack = max(0, packet.ack)
    if not packet.absolute:
        if packet.flags & SYN:
            flow.peer_sends_syn(seq)
        seq = flow.remote_to_live(seq)
        if packet.flags & ACK:
            ack = flow.local_to_live(ack)
    tail = b"".join([_option(option, flow, line) for option in packet.options or ()])
    if len(tail) % 4 or len(tail) > wire.ROOM:
        raise ScriptError(
            line, "", f"{len(tail)} octets of options: allowed are multiples of 4 up to {wire.ROOM}"
        )
    bits = 20 + len(tail) << 10 | packet.flags
    window = max(0, packet.window)
    header = _HEADER.pack(flow.remote.port, flow.local.port, seq, ack, bits, window, 0, packet.urgent)
    octets = header + tail + bytes(packet.length)
    if any(option.word for option in packet.options or ()):
        octets = _signed(octets, flow, line)
    return _packet(packet.network, flow, PROTOCOL, octets, CHECKSUM_AT)


def _signed(octets: bytes, flow: Flow, line: int) -> bytes:
    """Segment with its MD5 digest filled in, if the script has ``md5 valid``."""
    if not flow.secret:
        raise ScriptError(line, "md5", "expected --tcp_md5_secret for this option")
    at = signature.place(octets, 0, wire.MD5) + 2
    return (
        octets[:at]
        + digest(flow.secret, octets, 0, len(octets), flow.remote, flow.local)
        + octets[at + DIGEST :]
    )


def datagram(packet: Datagram, flow: Flow) -> bytes:
    """IP packet with a UDP datagram of the peer; its data are zeros."""
    header = _DATAGRAM.pack(flow.remote.port, flow.local.port, udp.HEADER + packet.length, 0)
    return _packet(packet.network, flow, udp.PROTOCOL, header + bytes(packet.length), 6)


def _packet(network: Network, flow: Flow, protocol: int, payload: bytes, checksum_at: int) -> bytes:
    """IP packet to the stack's address, with the checksum of the payload filled in."""
    source, destination = flow.remote.address, flow.local.address
    total = checksum.total(payload)
    if protocol != PROTOCOL_4:
        total += checksum.pseudo_header(source, destination, protocol, len(payload))
    payload = payload[:checksum_at] + checksum.field(total).to_bytes(2, "big") + payload[checksum_at + 2 :]
    traffic_class = max(0, network.traffic_class) | _ECN[network.ecn]
    hop_limit = 255 if network.hop_limit == ANY else network.hop_limit
    return ip.encode(source, destination, protocol, payload, hop_limit=hop_limit, traffic_class=traffic_class)


def _option(option: Option, flow: Flow, line: int) -> bytes:
    value = option.value
    if option.kind in (wire.END, wire.NOP):
        return bytes((option.kind,))
    if option.kind == wire.MSS:
        value = option.numbers[0].to_bytes(2, "big")
    elif option.kind == wire.WINDOW_SCALE:
        value = bytes(option.numbers)
    elif option.kind == wire.SACK:
        value = b"".join([_WORD.pack(flow.local_to_live(number)) for number in option.numbers])
    elif option.kind == wire.TIMESTAMPS:
        echo = flow.echo(option.numbers[1])
        if echo is None:
            raise ScriptError(line, f"ecr {option.numbers[1]}", "the stack never sent this timestamp")
        value = _WORD.pack(option.numbers[0]) + _WORD.pack(echo)
    elif option.word:
        value = bytes(DIGEST)
    return bytes((option.kind, len(value) + 2)) + value


# ICMP


def icmp(message: Icmp, flow: Flow, line: int) -> bytes:
    """ICMP message about the stack's segment with the sequence number ``message.seq``, or its datagram.

    The message quotes the IP header of that packet and the octets that follow it.
    """
    number, code = _numbers(message, line, is_4=len(flow.local.address) == 4)
    rest = message.mtu or message.identifier << 16
    quoted = _quoted(message, flow)
    protocol = PROTOCOL_4 if len(flow.local.address) == 4 else PROTOCOL_6
    return _packet(message.network, flow, protocol, _ICMP.pack(number, code, 0, rest) + quoted, 2)


def _quoted(message: Icmp, flow: Flow) -> bytes:
    if message.datagram == ANY:
        ports = flow.local.port << 16 | flow.remote.port
        payload = _WORD.pack(ports) + _WORD.pack(flow.local_to_live(message.seq)) + bytes(12)
        return ip.encode(flow.local.address, flow.remote.address, PROTOCOL, payload)
    header = _DATAGRAM.pack(flow.local.port, flow.remote.port, udp.HEADER + message.datagram, 0)
    return ip.encode(flow.local.address, flow.remote.address, udp.PROTOCOL, header + bytes(message.datagram))


def _numbers(message: Icmp, line: int, *, is_4: bool) -> tuple[int, int]:
    types, codes = (_TYPES_4, _CODES_4) if is_4 else (_TYPES_6, _CODES_6)
    return _number(message.type, "type", types, line), _number(
        message.code, "code", codes, line
    ) if message.code else 0


def _number(word: str, what: str, known: dict[str, int], line: int) -> int:
    prefix, _, digits = word.rpartition("_")
    if prefix == what and digits.isdigit():
        return int(digits)
    if word not in known:
        raise ScriptError(line, word, f"this {what} isn't known in ICMP of this IP version")
    return known[word]
