"""What was found in one connection so far, and what must be remembered of its segments to find more."""

from dataclasses import dataclass, field
from typing import Final

from postel.times import SECOND
from postel.view.capture.connection import Connection, End
from postel.view.capture.measures import scale
from postel.view.capture.pace import Pace
from postel.view.capture.sent import UNKNOWN
from postel.wire import options
from postel.wire.segment import ABSENT, AE

MOST_PACKETS: Final = 12  # a finding names so many packets in text
ANY: Final = 1 << 16  # more payload than a packet holds
_MOST_WAITING: Final = 64


@dataclass(slots=True)
class Finding:
    """Something unusual in a connection: its kind, the end that did it, and the packets that show it.

    ``kind`` is a key of `translations.FINDINGS`; ``values`` fill its text. ``count`` is the number of
    packets, of which ``packets`` has the first.
    """

    kind: str
    by: End
    count: int = 0
    packets: list[int] = field(default_factory=list)
    values: dict[str, object] = field(default_factory=dict)


class Eye:
    """What must be remembered of an end, beyond what `End` does, to judge the next segments."""

    __slots__ = (
        "ack",
        "beyond",
        "ce",
        "duplicates",
        "fin",
        "is_cut",
        "kind",
        "length",
        "most",
        "number",
        "offer",
        "opening",
        "reset_beyond",
        "room",
        "sacked",
        "shift",
        "since_ce",
        "stands",
        "tsval",
        "widest",
        "window",
    )

    def __init__(self) -> None:
        """Begin without segments."""
        self.ack: int = UNKNOWN
        self.number: int = 0  # the packet with its last segment
        self.window: int = UNKNOWN  # in its last segment, as on the wire
        self.shift: int = UNKNOWN  # the window is shifted by so many bits (`measures.scale`)
        self.room: int = UNKNOWN  # the window in octets; UNKNOWN where the capture can't tell
        self.most: int = ANY  # the largest payload that the other end's MSS allows
        self.widest: int = 0
        self.duplicates: int = 0
        self.sacked: tuple[tuple[int, int], ...] = ()  # the SACK blocks of its last ACK
        self.tsval: int = ABSENT
        self.ce: int = 0  # the packet with a CE mark that this end hasn't echoed yet
        self.since_ce: int = 0
        self.length: int = 0  # octets of payload in its last segment
        self.kind: int = 0  # the flags of its last segment
        self.opening: int = 0  # the packet with its last SYN or SYN,ACK
        self.offer: options.Bearer | None = None  # the options of its last SYN
        self.fin: int = 0  # the packet with its first FIN
        self.is_cut: bool = False  # the snap length cut off some of its payload
        # Segments that seem to be beyond the window, until they are acknowledged: the number after each, and
        # its packet
        self.beyond: list[tuple[int, int]] = []
        self.stands: bool = False  # it sent a RST, and the connection hasn't gone on since
        self.reset_beyond: int = 0  # the packet with a RST outside the window


@dataclass(slots=True)
class Story:
    """Result of the closer look at a connection; ``pace`` is None if no segment was looked at."""

    findings: list[Finding]
    pace: Pace | None


class Case:
    """Connection under closer watch, and its findings so far."""

    def __init__(self, connection: Connection, most_packets: int = MOST_PACKETS) -> None:
        """Begin with a connection; a finding names up to ``most_packets`` packets."""
        self._most_packets = most_packets
        self.connection = connection
        self.first = 0  # the number of its first packet
        self.speaker: End | None = None  # the end that sent the last segment
        self.eyes: tuple[Eye, Eye] = (Eye(), Eye())
        self.findings: dict[tuple[str, int], Finding] = {}
        self.pace: Pace = Pace(connection)
        self.has_timestamps = False  # both ends offered them
        self.may_mark = False  # packets may be marked as ECN-capable, since the ends agreed on it
        self._longest: dict[tuple[str, int], int] = {}

    def compare_offers(self) -> None:
        """Keep what the options of both SYNs come to, since each segment needs it. Called after each SYN."""
        one, two = (end.offer for end in self.connection.ends)
        self.has_timestamps: bool = one is not None is not two and ABSENT not in (one.tsval, two.tsval)
        accurate = self.connection.ends[0].syn_flags & AE != 0
        self.may_mark: bool = accurate or "ecn" in self.connection.agreed()
        for end in self.connection.ends:
            eye, offer = self.eyes[end.side], end.other.offer
            eye.shift = scale(end)
            eye.room = eye.window << eye.shift if UNKNOWN not in (eye.window, eye.shift) else UNKNOWN
            eye.most = offer.mss if offer is not None and offer.mss > 0 else ANY

    def find(self, kind: str, end: End, number: int, **values: object) -> None:
        """Count one more packet of a finding. Its values are those of the first packet."""
        finding = self.findings.get((kind, end.side))
        if finding is None:
            finding = self.findings[kind, end.side] = Finding(kind, end, values=values)
        finding.count += 1
        if len(finding.packets) < self._most_packets:
            finding.packets.append(number)

    def find_longest(self, kind: str, end: End, number: int, length: int) -> None:
        """Count one more packet of a finding that took ``length`` microseconds.

        Its values are those of the longest.
        """
        self.find(kind, end, number)
        finding = self.findings[kind, end.side]
        if length > self._longest.get((kind, end.side), 0):
            self._longest[kind, end.side] = length
            finding.values = {"seconds": f"{length / SECOND:.3f}"}

    def wait_beyond(self, end: End, behind: int, number: int) -> None:
        """Keep a segment of ``end`` that seems to be beyond the window, in case it is never acknowledged.

        ``behind`` is the number after it.
        """
        waiting = self.eyes[end.side].beyond
        if len(waiting) < _MOST_WAITING:
            waiting.append((behind, number))
