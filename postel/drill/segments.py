"""Grammar of the packets in a script: TCP segments with options, UDP datagrams, ICMP messages."""

from typing import Final

from postel.drill.cursor import Cursor
from postel.drill.script import ANY, ECN_ORDERS, Datagram, Icmp, Network, Option, Packet
from postel.tcp.ecn import flags_of
from postel.wire import options as wire
from postel.wire.segment import ACK, AE, CWR, ECE, FIN, PSH, RST, SYN, URG

FLAGS: Final = {
    "F": FIN,
    "S": SYN,
    "R": RST,
    "P": PSH,
    ".": ACK,
    "U": URG,
    "E": ECE,
    "W": CWR,
    "A": AE,
    "-": 0,
}
_ACE: Final = "01234567"
_ECN: Final = ("noecn", "ect0", "ect1", "ce", "ect01")

_BARE: Final = {"nop": wire.NOP, "eol": wire.END, "sackOK": wire.SACK_PERMITTED}
_NUMBERED: Final = {"mss": wire.MSS, "wscale": wire.WINDOW_SCALE}

EXPERIMENTAL: Final = 254
_FAST_OPEN_MAGIC: Final = b"\xf9\x89"  # RFC 7413, 4.1.1


def packet(cursor: Cursor) -> Packet | Datagram | Icmp:
    """Read a packet. Raises ScriptError."""
    inbound = cursor.sees("<")
    cursor.next()
    if _is_old_icmp(cursor):  # old form of ICMP messages: `< [1:1461(1460)] icmp unreachable …`
        seq, _ = _quoted(cursor)
        cursor.expect("icmp")
        return _icmp(cursor, Network(), seq)
    network = _network(cursor)
    source_port = destination_port = ANY
    if cursor.token.kind == "integer" and cursor.ahead(1).text == ">":
        source_port = cursor.number()
        cursor.expect(">")
        destination_port = cursor.number()
    if cursor.takes("icmp"):
        if not inbound:
            raise cursor.refusal("ICMP is only supported inbound (<), not outbound, after")
        return _icmp(cursor, network, 0)
    if cursor.takes("udp"):
        return Datagram(inbound, network, _parenthesised(cursor), source_port, destination_port)
    return _segment(cursor, network, source_port, destination_port, inbound=inbound)


def _segment(
    cursor: Cursor, network: Network, source_port: int, destination_port: int, *, inbound: bool
) -> Packet:
    flags = _flags(cursor)
    seq, length = _numbers(cursor)
    absolute = cursor.takes("!")
    ack = window = ANY
    urgent = 0
    if cursor.takes("ack"):
        ack = cursor.number()
    if cursor.takes("win"):
        window = cursor.number()
    if cursor.takes("urg"):
        urgent = cursor.number()
    options: tuple[Option, ...] | None = ()
    if cursor.sees("<"):
        options = _options(cursor)
    if cursor.sees("/"):
        raise cursor.refusal("encapsulation is not supported")
    return Packet(
        inbound,
        network,
        flags,
        seq,
        length,
        absolute,
        ack,
        window,
        urgent,
        options,
        source_port,
        destination_port,
    )


def _flags(cursor: Cursor) -> int:
    text = cursor.joined()
    while cursor.sees("."):  # `F  .` with spaces is allowed too
        text += cursor.joined()
    flags = 0
    for letter in text:
        if letter in _ACE:  # `.5`: AE, CWR and ECE as a counter (RFC 9768, 3.2.2)
            flags |= flags_of(int(letter))
            continue
        if letter not in FLAGS:
            raise cursor.refusal(f"flag {letter!r} in {text!r} is unknown, before")
        flags |= FLAGS[letter]
    return flags


def _numbers(cursor: Cursor) -> tuple[int, int]:
    """Read ``start:end(length)`` or ``...(length)``."""
    if cursor.takes("..."):
        return ANY, _parenthesised(cursor)
    start = cursor.number()
    cursor.expect(":")
    end = cursor.number()
    length = _parenthesised(cursor)
    if start + length & 0xFFFFFFFF != end:
        raise cursor.refusal(f"{start} and {length} octets don't end at {end}, before")
    return start, length


def _parenthesised(cursor: Cursor) -> int:
    cursor.expect("(")
    number = cursor.number()
    cursor.expect(")")
    return number


def _network(cursor: Cursor) -> Network:
    ecn = ""
    if cursor.takes("["):
        ecn = cursor.word()
        if ecn not in _ECN:
            raise cursor.refusal(f"{ecn} is no ECN mark, before")
        cursor.expect("]")
    if not cursor.takes("("):
        return Network(ecn=ecn)
    values = {"tos": ANY, "class": ANY, "ttl": ANY, "hlim": ANY, "flowlabel": ANY}
    while not cursor.takes(")"):
        name = cursor.word()
        if name not in values:
            raise cursor.refusal(f"{name} is no field of an IP header, before")
        values[name] = cursor.number()
        cursor.takes(",")
    return Network(
        max(values["tos"], values["class"]), max(values["ttl"], values["hlim"]), values["flowlabel"], ecn
    )


# Options


def _options(cursor: Cursor) -> tuple[Option, ...] | None:
    cursor.expect("<")
    if cursor.takes("..."):
        cursor.expect(">")
        return None
    options = []
    while not cursor.takes(">"):
        options.append(_option(cursor))
        if not cursor.sees(">"):
            cursor.expect(",")
    return tuple(options)


def _option(cursor: Cursor) -> Option:
    name = _option_name(cursor)
    if name in _BARE:
        return Option(_BARE[name], name)
    if name in _NUMBERED:
        return Option(_NUMBERED[name], name, (cursor.number(),))
    if name == "sack":
        return Option(wire.SACK, name, _blocks(cursor))
    if name == "TS":
        return _timestamps(cursor)
    if name == "md5":
        return _digest(cursor)
    if name == "FO":
        return Option(wire.FAST_OPEN, name, value=_octets(cursor))
    if name in ("FOEXP", "EXP-FO"):
        return Option(EXPERIMENTAL, name, value=_FAST_OPEN_MAGIC + _octets(cursor))
    if name == "ECN":
        return _accurate_ecn(cursor)
    raise cursor.refusal(f"option {name!r} is unknown, before")


def _option_name(cursor: Cursor) -> str:
    name = cursor.word()
    if cursor.sees("-"):
        cursor.next()
        name += "-" + cursor.word()
    return name


def _blocks(cursor: Cursor) -> tuple[int, ...]:
    numbers: list[int] = []
    while cursor.token.kind == "integer":
        numbers.append(cursor.number())
        cursor.expect(":")
        numbers.append(cursor.number())
    return tuple(numbers)


def _timestamps(cursor: Cursor) -> Option:
    cursor.expect("val")
    value = cursor.number()
    cursor.expect("ecr")
    return Option(wire.TIMESTAMPS, "TS", (value, cursor.number()))


def _accurate_ecn(cursor: Cursor) -> Option:
    """Read ``ECN e0b 1 ceb 0 e1b 1``: counters in one of two orders (RFC 9768, 3.2.3).

    The last counter may be missing.
    """
    names: list[str] = []
    value = b""
    while not cursor.sees(",", ">"):
        names.append(cursor.word())
        value += (cursor.number() & 0xFFFFFF).to_bytes(3, "big")
    for kind, order in ECN_ORDERS.items():
        if tuple(names) == order[: len(names)]:
            return Option(kind, "ECN", value=value)
    raise cursor.refusal(f"no AccECN option has its fields in the order {' '.join(names)}, before")


def _digest(cursor: Cursor) -> Option:
    """Read an MD5 digest. ``md5 valid`` stands for the digest that the script's secret gives."""
    if cursor.takes("valid"):
        return Option(wire.MD5, "md5", word="valid")
    return Option(wire.MD5, "md5", value=_octets(cursor))


def _octets(cursor: Cursor) -> bytes:
    if cursor.sees(",", ">"):
        return b""
    text = cursor.joined()
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise cursor.refusal(f"{text!r} isn't hexadecimal, before") from error


# ICMP


def _is_old_icmp(cursor: Cursor) -> bool:
    return cursor.sees("[") and cursor.ahead(1).kind == "integer"


def _icmp(cursor: Cursor, network: Network, seq: int) -> Icmp:
    kind = cursor.word()
    code = ""
    if cursor.token.kind == "word" and cursor.token.text not in ("mtu", "id"):
        code = cursor.word()
    mtu = identifier = 0
    datagram = ANY
    if cursor.takes("mtu"):
        mtu = cursor.number()
    if cursor.takes("id"):
        identifier = cursor.number()
    if cursor.sees("["):
        seq, datagram = _quoted(cursor)
    return Icmp(network, kind, code, mtu, identifier, seq, datagram)


def _quoted(cursor: Cursor) -> tuple[int, int]:
    """Read the subject of an ICMP message: a segment's number, or ``udp(n)``, a datagram of n octets."""
    cursor.expect("[")
    seq, datagram = 0, ANY
    if cursor.takes("udp"):
        datagram = _parenthesised(cursor)
    else:
        seq, _ = _numbers(cursor)
    cursor.expect("]")
    return seq, datagram
