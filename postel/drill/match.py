"""Comparison of a packet that has left the stack with the one that the script expects.

All fields that packetdrill compares are compared as strictly as there, and no others. Fields that the script
leaves open and the values of timestamps aren't compared.
"""

from typing import Final

from postel.drill.flow import Flow
from postel.drill.script import ANY, ECN_ORDERS, Datagram, Network, Option, Packet
from postel.errors import ScriptFailed
from postel.tcp import seq
from postel.tcp.authentication.md5 import digest
from postel.times import MILLISECOND
from postel.wire import ip, segment, udp
from postel.wire import options as wire
from postel.wire.segment import ACK, FIN, PSH, SYN, Segment

_LETTERS: Final = (
    (SYN, "S"),
    (FIN, "F"),
    (segment.RST, "R"),
    (PSH, "P"),
    (segment.URG, "U"),
    (segment.ECE, "E"),
    (segment.CWR, "W"),
    (segment.AE, "A"),
    (ACK, "."),
)
_NAMES: Final = {
    wire.END: "eol",
    wire.NOP: "nop",
    wire.MSS: "mss",
    wire.WINDOW_SCALE: "wscale",
    wire.SACK_PERMITTED: "sackOK",
    wire.SACK: "sack",
    wire.TIMESTAMPS: "TS",
    wire.MD5: "md5",
    wire.FAST_OPEN: "FO",
    254: "FOEXP",
}
_MARKS: Final = ("noecn", "ect1", "ect0", "ce")


class Arrived:
    """Packet that has left the stack, parsed, with its options in order. ``sent_at`` is in microseconds."""

    def __init__(self, octets: bytes, sent_at: int) -> None:
        """Parse a packet. Raises WireError."""
        self.octets = octets
        self.sent_at = sent_at
        self.packet: ip.Packet = ip.parse(octets)
        self.is_tcp: bool = self.packet.protocol == segment.PROTOCOL
        self.segment: Segment = (
            segment.parse(octets, self.packet.start, self.packet.end)
            if self.is_tcp
            else Segment(0, 0, 0, 0, 0, 0)
        )
        self.datagram: udp.Datagram = (
            udp.parse(self.packet) if self.packet.protocol == udp.PROTOCOL else udp.Datagram(0, 0, b"")
        )
        start = self.packet.start
        self.options: tuple[Option, ...] = (
            options_of(octets[start + 20 : start + (octets[start + 12] >> 4 << 2)]) if self.is_tcp else ()
        )


def options_of(octets: bytes) -> tuple[Option, ...]:
    """All options of a header in order, padding included. The stack always sends well-formed options."""
    found = []
    at = 0
    while at < len(octets):
        kind = octets[at]
        size = 1 if kind in (wire.END, wire.NOP) else octets[at + 1]
        value = octets[at + 2 : at + size]
        found.append(
            Option(
                kind,
                _NAMES.get(kind, f"option{kind}"),
                _numbers(kind, value),
                b"" if _numbers(kind, value) else value,
            )
        )
        at += size
    return tuple(found)


def _numbers(kind: int, value: bytes) -> tuple[int, ...]:
    width = {wire.MSS: 2, wire.WINDOW_SCALE: 1, wire.SACK: 4, wire.TIMESTAMPS: 4}.get(kind)
    if width is None:
        return ()
    return tuple([int.from_bytes(value[at : at + width], "big") for at in range(0, len(value), width)])


def check(expected: Packet, arrived: Arrived, flow: Flow, line: int, *, tick: int = 0) -> None:
    """Compare a segment. Raises ScriptFailed at the first field that differs.

    A SYN gives ``flow`` the start of the stack's sequence numbers. If ``tick`` isn't 0, timestamps must
    advance as in the script, at one tick per that many microseconds.
    """
    actual = arrived.segment
    if not arrived.is_tcp:
        raise ScriptFailed(line, "protocol", "TCP", f"protocol {arrived.packet.protocol}")
    _equal(
        line, "ports", f"{flow.local.port} > {flow.remote.port}", f"{actual.source} > {actual.destination}"
    )
    if expected.flags & SYN and actual.flags & SYN and not expected.absolute and expected.seq != ANY:
        flow.stack_sends_syn(expected.seq, actual.seq)
    _check_numbers(expected, actual, flow, line)
    _equal(line, "urgent", expected.urgent, actual.urgent)
    if expected.options is not None:
        _check_options(expected.options, arrived, flow, line)
    if any(actual.data):
        raise ScriptFailed(line, "payload", "zeros", "something else")
    _check_network(expected.network, arrived.packet, line)
    for option in expected.options or ():
        if option.kind == wire.TIMESTAMPS:
            _check_timestamps(option, actual, flow, tick, line)


def check_datagram(expected: Datagram, arrived: Arrived, flow: Flow, line: int) -> None:
    """Compare a UDP datagram. Raises ScriptFailed at the first field that differs."""
    actual = arrived.datagram
    if arrived.packet.protocol != udp.PROTOCOL:
        raise ScriptFailed(line, "protocol", "UDP", f"protocol {arrived.packet.protocol}")
    _equal(
        line, "ports", f"{flow.local.port} > {flow.remote.port}", f"{actual.source} > {actual.destination}"
    )
    _equal(line, "length", expected.length, len(actual.data))
    if any(actual.data):
        raise ScriptFailed(line, "payload", "zeros", "something else")
    _check_network(expected.network, arrived.packet, line)


def _check_numbers(expected: Packet, actual: Segment, flow: Flow, line: int) -> None:
    _equal(line, "flags", flags_text(expected.flags), flags_text(actual.flags))
    if expected.seq != ANY:
        live = actual.seq if expected.absolute else flow.local_to_script(actual.seq)
        _equal(line, "seq", expected.seq, live)
    _equal(line, "length", expected.length, len(actual.data))
    ack = flow.remote_to_script(actual.ack) if actual.flags & ACK else actual.ack
    _equal(line, "ack", max(0, expected.ack), ack)
    if expected.window != ANY:
        _equal(line, "window", expected.window, actual.window)


def _check_options(expected: tuple[Option, ...], arrived: Arrived, flow: Flow, line: int) -> None:
    wanted = [_text(option) for option in expected]
    found = [_text(_scripted(option, arrived, flow)) for option in arrived.options]
    if wanted != found:
        raise ScriptFailed(line, "options", f"<{','.join(wanted)}>", f"<{','.join(found)}>")


def _scripted(option: Option, arrived: Arrived, flow: Flow) -> Option:
    if option.kind == wire.MD5 and flow.secret:
        packet = arrived.packet
        right = digest(flow.secret, packet.octets, packet.start, packet.end, flow.local, flow.remote)
        return Option(option.kind, option.name, word="valid") if option.value == right else option
    if option.kind != wire.SACK:
        return option
    return Option(
        option.kind, option.name, tuple([flow.remote_to_script(number) for number in option.numbers])
    )


def _text(option: Option) -> str:
    if option.kind == wire.TIMESTAMPS:
        return "TS"
    if option.kind == wire.SACK:
        pairs = zip(option.numbers[::2], option.numbers[1::2], strict=True)
        return " ".join([_NAMES[wire.SACK], *[f"{left}:{right}" for left, right in pairs]])
    if option.kind in ECN_ORDERS:
        counters = [int.from_bytes(option.value[at : at + 3], "big") for at in range(0, len(option.value), 3)]
        return " ".join(
            [
                "ECN",
                *[f"{name} {told}" for name, told in zip(ECN_ORDERS[option.kind], counters, strict=False)],
            ]
        )
    name = _NAMES.get(option.kind, option.name)
    words = [name, *map(str, option.numbers), option.value.hex(), option.word]
    return " ".join([word for word in words if word])


def _check_network(expected: Network, actual: ip.Packet, line: int) -> None:
    if expected.traffic_class != ANY:
        _equal(line, "traffic class", expected.traffic_class, actual.traffic_class)
    if expected.hop_limit != ANY:
        _equal(line, "hop limit", expected.hop_limit, actual.hop_limit)
    if expected.flow_label != ANY:
        _equal(line, "flow label", expected.flow_label, int.from_bytes(actual.octets[1:4], "big") & 0xFFFFF)
    mark = _MARKS[actual.traffic_class & 3]
    if expected.ecn and not (expected.ecn == "ect01" and mark in ("ect0", "ect1")):
        _equal(line, "ECN", expected.ecn, mark)


def _check_timestamps(expected: Option, actual: Segment, flow: Flow, tick: int, line: int) -> None:
    scripted, echo = expected.numbers
    if tick and flow.first_timestamp is not None:
        told, live = flow.first_timestamp
        ahead = seq.offset(actual.tsval, seq.add(live, scripted - told))
        if abs(ahead) * tick > MILLISECOND:
            raise ScriptFailed(line, "TS val", scripted, scripted + ahead)
        _equal(line, "TS ecr", echo, actual.tsecr)
    flow.learn_timestamp(scripted, actual.tsval)


def _equal(line: int, field: str, expected: object, actual: object) -> None:
    if expected != actual:
        raise ScriptFailed(line, field, expected, actual)


def flags_text(flags: int) -> str:
    """Flags in the form of scripts: ``S.``, ``F.``, or ``-`` for none."""
    return "".join([letter for bit, letter in _LETTERS if flags & bit]) or "-"


def text(arrived: Arrived, flow: Flow) -> str:
    """Packet of the stack in the form in which a script would expect it."""
    if not arrived.is_tcp:
        return f"> udp ({len(arrived.datagram.data)})"
    actual = arrived.segment
    start = flow.local_to_script(actual.seq)
    size = len(actual.data)
    words = [">", flags_text(actual.flags), f"{start}:{start + size}({size})"]
    if actual.flags & ACK:
        words.append(f"ack {flow.remote_to_script(actual.ack)}")
    words.append(f"win {actual.window}")
    if arrived.options:
        words.append(
            "<" + ",".join([_text(_scripted(option, arrived, flow)) for option in arrived.options]) + ">"
        )
    return " ".join(words)
