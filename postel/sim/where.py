"""Rules for packets that are described: "the third SYN,ACK from server to client", "every FIN".

>>> from postel.sim import World, where
>>> world = World()
>>> world.rules.append(where(flags="SYN,ACK", sender="server", receiver="client", nth=3).drop())
>>> world.rules.append(where(data=True, nth=range(5, 10)).delay("2s"))
"""

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Final, Literal

from postel.errors import ArgumentError, WireError, require_choice, require_kind, require_number
from postel.sim import rules
from postel.sim.between import Named, Names
from postel.sim.rules import DROP, Verdict
from postel.sim.units import Duration, duration, duration_text
from postel.tcp.connection import Connection
from postel.times import NEVER
from postel.wire import icmp, ip, segment, udp
from postel.wire.address import Endpoint
from postel.wire.ip import Packet

Transport = Literal["tcp", "udp", "icmp"]
Nth = int | Collection[int]
Ends = tuple[Endpoint, Endpoint]

_FLAGS: Final = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE")
_PROTOCOLS: Final = {
    "tcp": (segment.PROTOCOL,),
    "udp": (udp.PROTOCOL,),
    "icmp": (icmp.PROTOCOL_4, icmp.PROTOCOL_6),
}


@dataclass(frozen=True, slots=True)
class Where:
    """Description of packets, made by `where`.

    Its methods make a rule for `World.rules`, which decides what becomes of the described packets.
    """

    sender: str = "*"
    receiver: str = "*"
    flags: str = ""
    without: str = ""
    data: bool | bytes | None = None
    port: int | None = None
    connection: Ends | None = None
    protocol: Transport | None = None
    nth: Nth | None = None
    since: int = 0
    until: int = NEVER

    def drop(self) -> "PacketRule":
        """Make a rule that loses the packets."""
        return PacketRule(self, "drop()", DROP)

    def duplicate(self, copies: int = 2) -> "PacketRule":
        """Make a rule that lets each packet arrive ``copies`` times. Raises ArgumentError."""
        return PacketRule(self, f"duplicate({copies})", rules.duplicate(copies))

    def delay(self, by: Duration) -> "PacketRule":
        """Make a rule that lets each packet arrive later by the time ``by``, so that others overtake it.

        Raises ArgumentError.
        """
        by = duration(by, "by")
        return PacketRule(self, f"delay({duration_text(by)!r})", Verdict(later=by))

    def corrupt(self, bit: int | Literal["any"] = "any") -> "PacketRule":
        """Make a rule that turns over one bit of each packet, as `postel.sim.corrupt` does.

        Raises ArgumentError.
        """
        return PacketRule(self, f"corrupt({bit!r})", rules.corrupt(bit))

    def hold(self) -> "PacketRule":
        """Make a rule that keeps each packet in the network.

        The packet stays there until `World.release`, or until it is delivered by hand (`World.in_flight`).
        """
        return PacketRule(self, "hold()", Verdict(copies=1, after=NEVER))

    def becomes(self, verdict: Verdict) -> "PacketRule":
        """Make a rule that returns ``verdict`` for each packet. Raises ArgumentError."""
        require_kind("verdict", verdict, Verdict, "a Verdict, such as DROP or echo(50_000)")
        return PacketRule(self, f"becomes({verdict!r})", verdict)

    def __repr__(self) -> str:
        """Call of `where` with the arguments that were given."""
        given = [
            (field.name, getattr(self, field.name))
            for field in fields(self)
            if getattr(self, field.name) != field.default
        ]
        return f"where({', '.join(f'{name}={value!r}' for name, value in given)})"


def where(
    *,
    sender: Named | str = "*",
    receiver: Named | str = "*",
    flags: str = "",
    without: str = "",
    data: bool | bytes | None = None,
    port: int | None = None,
    connection: Connection | Ends | None = None,
    protocol: Transport | None = None,
    nth: Nth | None = None,
    since: Duration = 0,
    until: Duration = NEVER,
) -> Where:
    """Describe packets that leave a host, for a rule: ``where(flags="FIN", sender="client", nth=1).drop()``.

    A packet must fit all arguments that are given. ``sender`` and ``receiver`` are names of hosts or
    patterns. ``flags`` are TCP flags that are set, as "SYN,ACK"; ``without`` has flags that are not set.
    ``data`` is True for packets with payload, False for packets without, or octets that the payload contains.
    ``port`` is the source or the destination port. ``connection`` is a connection at either end, or a pair of
    its endpoints. ``since`` and ``until`` are times of the world's clock; a packet that leaves at ``until``
    doesn't fit.

    Of the packets that fit, ``nth`` chooses by number, from 1: an int, or several such as ``range(5, 10)``.
    Each rule has a count of its own, so make a new rule for each world. Raises ArgumentError.
    """
    return Where(
        _pattern("sender", sender),
        _pattern("receiver", receiver),
        _flag_names("flags", flags),
        _flag_names("without", without),
        _data(data),
        _port(port),
        _ends(connection),
        _protocol(protocol),
        _numbers(nth),
        duration(since, "since"),
        duration(until, "until"),
    )


class PacketRule:
    """Rule for the packets that ``where`` describes.

    ``matched`` counts the packets that fitted ``where``, whether or not ``nth`` chose them.
    """

    def __init__(self, where: Where, action: str, verdict: Verdict) -> None:
        """Make a rule. `Where` calls this."""
        self.where = where
        self.matched: int = 0
        self._action = action
        self._verdict = verdict
        self._sender, self._receiver = Names((where.sender,)), Names((where.receiver,))
        self._set, self._unset = _bits(where.flags), _bits(where.without)
        self._of_tcp = bool(where.flags or where.without or where.connection)

    def __call__(self, number: int, octets: bytes, sender: str, now: int) -> Verdict | None:
        """Decide about a packet of an unknown receiver, which fits the pattern "*" alone."""
        return self.decide(octets, sender, "", now)

    def decide(self, octets: bytes, sender: str, receiver: str, now: int) -> Verdict | None:
        """Return the verdict on a packet; None if the rule doesn't concern it."""
        if not self._fits(octets, sender, receiver, now):
            return None
        self.matched += 1
        nth = self.where.nth
        return self._verdict if nth is None or self.matched == nth or _is_among(self.matched, nth) else None

    def _fits(self, octets: bytes, sender: str, receiver: str, now: int) -> bool:
        if (
            not self.where.since <= now < self.where.until
            or sender not in self._sender
            or receiver not in self._receiver
        ):
            return False
        try:
            packet = ip.parse(octets)
        except WireError:
            return False
        return self._fits_protocol(packet) and self._fits_segment(packet) and self._fits_content(packet)

    def _fits_protocol(self, packet: Packet) -> bool:
        if self._of_tcp and (packet.protocol != segment.PROTOCOL or packet.is_fragment):
            return False
        return self.where.protocol is None or packet.protocol in _PROTOCOLS[self.where.protocol]

    def _fits_segment(self, packet: Packet) -> bool:
        if not self._of_tcp:
            return True
        flags = int.from_bytes(packet.octets[packet.start + 12 : packet.start + 14], "big")
        if flags & self._set != self._set or flags & self._unset:
            return False
        ends = self.where.connection
        return ends is None or _ends_of(packet) in (ends, (ends[1], ends[0]))

    def _fits_content(self, packet: Packet) -> bool:
        port, data = self.where.port, self.where.data
        if port is None and data is None:
            return True
        if packet.is_fragment or packet.protocol not in (segment.PROTOCOL, udp.PROTOCOL):
            return False
        if port is not None and port not in [end.port for end in _ends_of(packet)]:
            return False
        payload = _payload(packet)
        return data is None or (data in payload if isinstance(data, bytes) else data is bool(payload))

    def __repr__(self) -> str:
        """Python text of the calls that make the rule."""
        return f"{self.where!r}.{self._action}"


def _is_among(number: int, nth: Nth) -> bool:
    return not isinstance(nth, int) and number in nth


def _ends_of(packet: Packet) -> Ends:
    source = int.from_bytes(packet.octets[packet.start : packet.start + 2], "big")
    destination = int.from_bytes(packet.octets[packet.start + 2 : packet.start + 4], "big")
    return Endpoint(packet.source, source), Endpoint(packet.destination, destination)


def _payload(packet: Packet) -> bytes:
    """Payload of a segment or a datagram."""
    header = udp.HEADER if packet.protocol == udp.PROTOCOL else packet.octets[packet.start + 12] >> 4 << 2
    return packet.octets[packet.start + header : packet.end]


def _pattern(argument: str, host: Named | str) -> str:
    name = host if isinstance(host, str) else getattr(host, "name", None)
    if not isinstance(name, str) or not name:
        raise ArgumentError(argument, host, "the name of a host, or a pattern such as 'server*'")
    return name


def _flag_names(argument: str, flags: str) -> str:
    require_kind(argument, flags, str, "names of TCP flags such as 'SYN,ACK'")
    for name in flags.split(",") if flags else ():
        if name not in _FLAGS:
            raise ArgumentError(
                argument, flags, f"names of TCP flags, with commas between: {', '.join(_FLAGS)}"
            )
    return flags


def _bits(flags: str) -> int:
    return sum({1 << _FLAGS.index(name) for name in flags.split(",") if name})


def _data(data: bool | bytes | None) -> bool | bytes | None:  # noqa: FBT001 - what the caller gave
    if data is None or isinstance(data, bool) or (isinstance(data, bytes) and data):
        return data
    raise ArgumentError("data", data, "True, False, or octets that the payload contains, as bytes")


def _port(port: int | None) -> int | None:
    if port is not None:
        require_number("port", port, 1, 65535, "1 to 65535")
    return port


def _ends(connection: Connection | Ends | None) -> Ends | None:
    if connection is None:
        return None
    if isinstance(connection, Connection):
        return connection.local, connection.remote
    if (
        not isinstance(connection, tuple)
        or len(connection) != 2
        or not all(isinstance(end, Endpoint) for end in connection)
    ):
        raise ArgumentError("connection", connection, "a Connection, or its two Endpoints")
    return connection


def _protocol(protocol: Transport | None) -> Transport | None:
    if protocol is not None:
        require_choice("protocol", protocol, ("tcp", "udp", "icmp"))
    return protocol


def _numbers(nth: Nth | None) -> Nth | None:
    if nth is None:
        return None
    if not isinstance(nth, int | Collection):
        raise ArgumentError("nth", nth, "an int, 1 or more, or several such as range(5, 10)")
    for number in (nth,) if isinstance(nth, int) else nth:
        require_number("nth", number, 1, NEVER, "1 or more, or several such as range(5, 10)")
    return nth if isinstance(nth, int | range) else tuple(nth)
