"""Fronts: what stands between the network and a host of the lab, and records or changes what passes.

A `Front` passes everything on and notes what the TCB holds after each segment. Some experiments show what
would happen without one of TCP's rules. The stack has no switch for that, so a subclass of `Front` breaks the
rule from outside.
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

_PORTS: Final = 20  # offset of the ports in a packet without IP options; no packet here has any


@dataclass(frozen=True, slots=True)
class Note:
    """Variables of a connection after a segment left its host, or arrived there (``arrived``).

    They are those of RFC 9293, 3.3.1, relative to ISS and IRS; none where the connection doesn't exist any
    more.
    """

    host: str
    arrived: bool
    variables: dict[str, int]


class Front(StandIn):
    """Stand-in for a host that passes everything on, and notes the variables after each segment."""

    def __init__(self, host: Host, name: str, trace: Trace, notes: list[Note]) -> None:
        """Put a front before ``host``, which has this ``name``; it appends to ``notes``."""
        super().__init__(host)
        self.host = host
        self.name = name
        self.trace = trace
        self._notes = notes

    def packet_arrives(self, octets: bytes, now: int) -> None:
        """Pass a packet to the host, and note the variables."""
        super().packet_arrives(octets, now)
        self._note(octets, arrived=True)

    def next_packet(self, now: int) -> bytes | None:
        """Return the host's next packet, and note the variables; None where it has none."""
        octets = self._next(now)
        if octets is not None:
            self._note(octets, arrived=False)
        return octets

    def _next(self, now: int) -> bytes | None:
        """Return the host's next packet that really leaves."""
        return super().next_packet(now)

    def opens(self, connection: Connection, now: int) -> None:
        """Do nothing. Called after a user's connect, before the SYN is sent; subclasses change the ISS."""

    def _note(self, octets: bytes, *, arrived: bool) -> None:
        """Append a `Note` with the variables of the connection that a packet belongs to."""
        connection = self.connection_of(octets, arrived=arrived)
        self._notes.append(Note(self.name, arrived, {} if connection is None else connection.variables()))

    def connection_of(self, octets: bytes, *, arrived: bool) -> Connection | None:
        """Return the host's connection that a packet belongs to, or None."""
        if octets[9] != PROTOCOL:
            return None
        source, destination, ports = octets[12:16], octets[16:20], octets[_PORTS : _PORTS + 4]
        key = source + destination + ports if arrived else destination + source + ports[2:] + ports[:2]
        return self.host._connections.by_key(key)  # noqa: SLF001 - only reads


# Fronts that break one of TCP's rules


class OpensOnSyn(Front):
    """Server that opens a connection as soon as it has answered the SYN, as if two segments were enough."""

    def next_packet(self, now: int) -> bytes | None:
        """Return the host's next packet; where it is a SYN,ACK, open the connection."""
        octets = super().next_packet(now)
        if (
            octets is not None
            and octets[9] == PROTOCOL
            and parse(octets, _PORTS, len(octets)).flags & (SYN | ACK) == SYN | ACK
        ):
            self._open(octets, now)
        return octets

    def _open(self, octets: bytes, now: int) -> None:
        """Make up the ACK that the client hasn't sent, and give it to the half-open connection."""
        connections = self.host._connections  # noqa: SLF001 - no public call breaks the handshake
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
        connections._give_to_child(entry, answer, b"", now)  # noqa: SLF001 - as above


class TakesAnyAck(Front):
    """Client that doesn't look at the acknowledgement number of the SYN,ACK."""

    def packet_arrives(self, octets: bytes, now: int) -> None:
        """Pass a packet on; in SYN-SENT, first correct its acknowledgement number."""
        connection = self.connection_of(octets, arrived=True)
        is_whole = checksum_is_right(octets, _PORTS, len(octets), octets[12:16], octets[16:20])
        if connection is None or connection.state is not SYN_SENT or not is_whole:
            super().packet_arrives(octets, now)
            return
        segment = parse(octets, _PORTS, len(octets))
        segment.ack = seq.add(connection.variables()["ISS"], 1)
        if segment.tsecr != ABSENT:
            segment.tsecr = 0
        self.host._connections.give(connection, segment, octets, now)  # noqa: SLF001 - goes past the check
        self._note(octets, arrived=True)


class CountsFromTheClock(Front):
    """Host with initial sequence numbers as in RFC 793: a clock that ticks every 4 µs, and nothing else."""

    def opens(self, connection: Connection, now: int) -> None:
        """Replace the initial sequence number of the connection by the clock."""
        _begin_at(connection, now >> 2)


class NeverProbes(Front):
    """Host without window probes: nothing leaves it while the peer's window is closed, except bare ACKs."""

    def _next(self, now: int) -> bytes | None:
        """Return the host's next packet that doesn't probe a closed window."""
        octets = super()._next(now)
        while octets is not None and self._probes(octets, now):
            octets = super()._next(now)
        return octets

    def _probes(self, octets: bytes, now: int) -> bool:
        """Say whether a packet carries data into a closed window."""
        connection = self.connection_of(octets, arrived=False)
        if connection is None or connection.status(now).send_window:
            return False
        return len(parse(octets, _PORTS, len(octets)).data) > 0


class DropsWhenFull(Front):
    """Server without SYN cookies: it drops a SYN while ``MOST`` half-open connections exist."""

    MOST: Final = 2

    def packet_arrives(self, octets: bytes, now: int) -> None:
        """Pass a packet to the host, unless it is a SYN and the queue is full."""
        if (
            octets[9] == PROTOCOL
            and parse(octets, _PORTS, len(octets)).flags & (SYN | ACK) == SYN
            and self.host.statistics()["half_open"] >= self.MOST
        ):
            self.trace.packet_dropped("half_open_full", octets, now)
            return
        super().packet_arrives(octets, now)


# Changes of sequence numbers, which no program may choose


class BeginsBeforeWrap(Front):
    """Host that opens a connection with an initial sequence number 3,000 below 2**32."""

    def opens(self, connection: Connection, now: int) -> None:
        """Replace the initial sequence number of the connection."""
        _begin_at(connection, -3000)


def _begin_at(connection: Connection, number: int) -> None:
    """Let a connection that has sent nothing yet begin at ``number``, modulo 2**32."""
    _move(connection, number - connection.variables()["ISS"], "snd", "nxt", "max", "up", "una", "iss")


def skip_numbers(sender: Connection, receiver: Connection, count: int) -> None:
    """Move both ends on by ``count`` numbers, as if so many octets had been sent and acknowledged.

    Nothing may be in flight from ``sender`` to ``receiver``.
    """
    _move(sender, count, "snd", "una", "nxt", "max", "up", "wl2")
    _move(receiver, count, "rcv", "nxt")
    _move(receiver, count, "snd", "wl1")
    _move(receiver, count, "timestamps", "last_ack_sent")


def _move(connection: Connection, count: int, part: str, *names: str) -> None:
    """Add ``count`` to sequence numbers, modulo 2**32, in a part of a connection's control block."""
    variables = getattr(connection._tcb, part)  # noqa: SLF001 - no public call chooses sequence numbers
    for name in names:
        setattr(variables, name, seq.add(getattr(variables, name), count))


# The SYN cache


def cache_beyond(host: Host, most: int) -> None:
    """Let a host move half-open connections to its SYN cache once more than ``most`` exist, instead of 32."""
    host._connections.most_half_open = most  # noqa: SLF001 - no public call sets it


def cached(host: Host) -> int:
    """Return how many half-open connections are records in a host's SYN cache."""
    return len(host._connections.passive.cache)  # noqa: SLF001 - only reads
