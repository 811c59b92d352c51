"""What stands between the network and a host of the lab: it notes what the TCB holds after each segment, and
passes all of it on.

What a stack would do without one of its rules is a subclass: the stack itself has no switch for it.
"""

from dataclasses import dataclass
from typing import Final

from postel.host.host import Host
from postel.lab.translations import remark
from postel.sim import StandIn
from postel.tcp import seq
from postel.tcp.connection import Connection
from postel.tcp.state import SYN_SENT
from postel.view import Trace
from postel.wire.segment import ABSENT, ACK, PROTOCOL, SYN, Segment, checksum_is_right, parse

_PORTS: Final = 20  # of a packet without IP options, as all are here


@dataclass(frozen=True, slots=True)
class Note:
    """The variables of RFC 9293, 3.3.1, relative to ISS and IRS, after a segment left or ``arrived``; none
    where nothing is left of it.
    """

    host: str
    arrived: bool
    variables: dict[str, int]


class Front(StandIn):
    """Passes on everything, and notes it."""

    def __init__(self, host: Host, name: str, trace: Trace, notes: list[Note]) -> None:
        super().__init__(host)
        self.host = host
        self.name = name
        self.trace = trace
        self._notes = notes

    def packet_arrives(self, octets: bytes, now: int) -> None:
        super().packet_arrives(octets, now)
        self._note(octets, arrived=True)

    def next_packet(self, now: int) -> bytes | None:
        octets = super().next_packet(now)
        if octets is not None:
            self._note(octets, arrived=False)
        return octets

    def opens(self, connection: Connection, now: int) -> None:
        """A user called connect; nothing was sent yet."""

    def _note(self, octets: bytes, *, arrived: bool) -> None:
        connection = self.connection_of(octets, arrived=arrived)
        self._notes.append(Note(self.name, arrived, {} if connection is None else connection.variables()))

    def connection_of(self, octets: bytes, *, arrived: bool) -> Connection | None:
        if octets[9] != PROTOCOL:
            return None
        source, destination, ports = octets[12:16], octets[16:20], octets[_PORTS : _PORTS + 4]
        key = source + destination + ports if arrived else destination + source + ports[2:] + ports[:2]
        return self.host._connections.by_key(key)  # noqa: SLF001 - to look, not to touch


# Without one of the rules


class OpensOnSyn(Front):
    """Two segments would do: a server that takes a connection for open once it has answered the SYN."""

    def next_packet(self, now: int) -> bytes | None:
        octets = super().next_packet(now)
        if (
            octets is not None
            and octets[9] == PROTOCOL
            and parse(octets, _PORTS, len(octets)).flags & (SYN | ACK) == SYN | ACK
        ):
            self._open(octets, now)
        return octets

    def _open(self, octets: bytes, now: int) -> None:
        connections = self.host._connections  # noqa: SLF001 - what no user could ask for
        child = self.connection_of(octets, arrived=False)
        entry = next(
            (entry for entry in connections.passive.half_open.values() if entry.child is child), None
        )
        if entry is None or child is None:
            return
        sent = parse(octets, _PORTS, len(octets))
        window = child.status(now).send_window
        answer = Segment(child.remote.port, child.local.port, sent.ack, seq.add(sent.seq, 1), ACK, window)
        if sent.tsval != ABSENT:
            answer.tsval, answer.tsecr = sent.tsecr, 0
        self.trace.remark(child.local, child.remote, remark("hasty"), now)
        connections._give_to_child(entry, answer, b"", now)  # noqa: SLF001


class TakesAnyAck(Front):
    """A client that doesn't look at the ACK number of the SYN,ACK."""

    def packet_arrives(self, octets: bytes, now: int) -> None:
        connection = self.connection_of(octets, arrived=True)
        is_whole = checksum_is_right(octets, _PORTS, len(octets), octets[12:16], octets[16:20])
        if connection is None or connection.state is not SYN_SENT or not is_whole:
            super().packet_arrives(octets, now)
            return
        segment = parse(octets, _PORTS, len(octets))
        segment.ack = seq.add(connection.variables()["ISS"], 1)
        if segment.tsecr != ABSENT:
            segment.tsecr = 0
        self.host._connections.give(connection, segment, octets, now)  # noqa: SLF001
        self._note(octets, arrived=True)


class CountsFromTheClock(Front):
    """Initial sequence numbers as RFC 793 had them: a clock that ticks every 4 µs, and nothing else."""

    def opens(self, connection: Connection, now: int) -> None:
        snd = connection._tcb.snd  # noqa: SLF001  # numbers that no program may choose
        for name in ("nxt", "max", "up", "una", "iss"):
            setattr(snd, name, seq.add(getattr(snd, name), (now >> 2) - snd.iss))
