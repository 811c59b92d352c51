"""One IP packet as a record (`Packet`): its contents, when it left and arrived, and its fate."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from postel.errors import WireError
from postel.tcp.state import State
from postel.times import NEVER
from postel.wire import dns, icmp, ip, segment, udp
from postel.wire.address import UNSPECIFIED_4, Endpoint
from postel.wire.segment import Segment

UNKNOWN: Final = -1
NOWHERE: Final = Endpoint(UNSPECIFIED_4, 0)  # source and destination of octets that aren't an IP packet


class Kind(Enum):
    """What a segment is for, as far as its packet and those before it show. `notes` has a text for each."""

    PLAIN = "plain"
    SYN = "syn"
    SYN_ACK = "syn-ack"
    HANDSHAKE_ACK = "handshake-ack"
    FIN = "fin"
    SECOND_FIN = "second-fin"
    FIN_ACK = "fin-ack"
    RST = "rst"
    RETRANSMISSION = "retransmission"
    DUPLICATE_ACK = "duplicate-ack"
    WINDOW_UPDATE = "window-update"
    ZERO_WINDOW = "zero-window"
    WINDOW_PROBE = "window-probe"
    KEEP_ALIVE = "keep-alive"


@dataclass(slots=True)
class Packet:
    """One IP packet, with its TCP segment if it has one.

    Times are in microseconds. ``seq`` and ``ack`` are relative to each end's first number, or `UNKNOWN`;
    ``window`` is in octets where the scale is known, else as the header has it.
    """

    number: int
    octets: bytes
    sent_at: int
    source: Endpoint
    destination: Endpoint
    protocol: int = 0
    segment: Segment | None = None
    caption: str = ""  # label of a packet that isn't TCP
    text: str = ""  # first line of the payload where it is text, or the names that a DNS message is about
    # For an ICMP error: source, destination and protocol of the packet that the error quotes
    about: tuple[Endpoint, Endpoint, int] | None = None
    copy: int = 0  # 0 for the packet itself; 1, 2, … for duplicates of it that the network made
    sender: str = ""  # name of the sending host, as the network says
    receiver: str = ""  # name of the receiving host, as the network says
    order: int = 0  # order number of the departure, among all events of the trace
    arrival_order: int = UNKNOWN  # order number of the arrival, among all events of the trace
    arrived_at: int = NEVER
    due_at: int = NEVER  # time of arrival that the network has announced
    # Whether the packet left a host that the trace observes, will be delivered, and hasn't arrived yet
    is_under_way: bool = False
    lost: str = ""  # reason why the packet was lost, or "" if it wasn't
    damaged: bool = False
    dropped: str = ""  # reason why the receiving host dropped the packet, or "" if it didn't
    kind: Kind = Kind.PLAIN
    seq: int = UNKNOWN
    ack: int = UNKNOWN
    window: int = UNKNOWN
    sack: tuple[tuple[int, int], ...] = ()
    original: int = 0  # number of the earlier packet that this packet retransmits, or 0
    again: int = 0  # number of the first packet that retransmits this packet, or 0
    repeated: int = 0  # for a duplicate ACK: 1 for the first with its acknowledgement number, 2 for the next
    sender_state: State | None = None  # TCP state of the sender when the packet left
    receiver_state: State | None = None  # TCP state of the receiver after the packet arrived
    receiver_changed: bool = False  # whether the arrival changed the receiver's state


def read(octets: bytes, number: int, now: int) -> Packet:
    """Make the record of ``octets``; if they aren't an IP packet, source and destination are `NOWHERE`."""
    try:
        packet = ip.parse(octets)
    except WireError as error:
        return Packet(number, octets, now, NOWHERE, NOWHERE, caption=str(error))
    record = Packet(
        number, octets, now, Endpoint(packet.source, 0), Endpoint(packet.destination, 0), packet.protocol
    )
    try:
        _read_payload(record, packet)
    except WireError as error:
        record.caption = str(error)
    return record


def _read_payload(record: Packet, packet: ip.Packet) -> None:
    if packet.is_fragment:
        record.caption = f"fragment at {packet.fragment_offset}, {packet.end - packet.start} octets"
    elif packet.protocol == segment.PROTOCOL:
        record.segment = parsed = segment.parse_leniently(packet.octets, packet.start, packet.end)
        parsed.ecn = packet.traffic_class & 3
        record.source = Endpoint(packet.source, parsed.source)
        record.destination = Endpoint(packet.destination, parsed.destination)
        record.text = _first_line(parsed.data)
    elif packet.protocol == udp.PROTOCOL:
        datagram = udp.parse(packet, verify=False)
        record.source = Endpoint(packet.source, datagram.source)
        record.destination = Endpoint(packet.destination, datagram.destination)
        record.caption = f"UDP len={len(datagram.data)}"
        record.text = _dns_text(datagram.data) if dns.PORT in datagram[:2] else _first_line(datagram.data)
    elif packet.protocol in (icmp.PROTOCOL_4, icmp.PROTOCOL_6):
        _read_icmp(record, icmp.parse(packet, verify=False))
    else:
        record.caption = f"protocol {packet.protocol}, {packet.end - packet.start} octets"


_ICMP_NAMES = {
    icmp.ECHO_REQUEST: "echo request",
    icmp.ECHO_REPLY: "echo reply",
    icmp.UNREACHABLE: "unreachable",
    icmp.PACKET_TOO_BIG: "packet too big",
    icmp.TIME_EXCEEDED: "time exceeded",
    icmp.PARAMETER_PROBLEM: "parameter problem",
    icmp.SOURCE_QUENCH: "source quench",
    icmp.OTHER: "other",
}


def _read_icmp(record: Packet, message: icmp.IcmpMessage) -> None:
    record.caption = _icmp_caption(message)
    quoted = icmp.quote(message.body) if message.is_error else None
    if quoted is not None:
        source = Endpoint(quoted.source, quoted.source_port)
        record.about = (source, Endpoint(quoted.destination, quoted.destination_port), quoted.protocol)


def _icmp_caption(message: icmp.IcmpMessage) -> str:
    caption = f"ICMP {_ICMP_NAMES[message.kind]}"
    if message.kind == icmp.PACKET_TOO_BIG:
        return f"{caption} mtu={message.mtu}"
    return f"{caption} code={message.code}" if message.code else caption


_STARTS = (
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"HTTP/",
    b"SSH-",
    b"220 ",
    b"EHLO ",
    b"HELO ",
)
_LONGEST_TEXT = 48
_LONGEST_NAMES = 160  # largest number of characters of a DNS text: a name, its alias, and some addresses


def _dns_text(data: bytes) -> str:
    try:
        return _shortened(dns.describe(data), _LONGEST_NAMES)
    except WireError:
        return ""


def _first_line(data: bytes) -> str:
    """First line of a payload that begins like a text protocol (`_STARTS`); empty for any other payload."""
    if not data.startswith(_STARTS):
        return ""
    line = data[:200].split(b"\r\n", 1)[0].decode("ascii", "replace")
    return _shortened(line, _LONGEST_TEXT)


def _shortened(line: str, most: int) -> str:
    return line if len(line) <= most else line[: most - 1] + "…"
