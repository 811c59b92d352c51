"""What was found in one connection so far, and what must be remembered of its segments to find it."""

from dataclasses import dataclass, field
from typing import Final

from postel.times import SECOND
from postel.view.capture.connection import Connection, End
from postel.view.capture.pace import Pace
from postel.view.capture.sent import UNKNOWN
from postel.wire import options
from postel.wire.segment import ABSENT

MOST_PACKETS: Final = 12  # that a finding names in text
_MOST_WAITING: Final = 64


@dataclass(slots=True)
class Finding:
    """``by`` is the end that did it; ``values`` fill the text."""

    kind: str
    by: End
    count: int = 0
    packets: list[int] = field(default_factory=list)
    values: dict[str, object] = field(default_factory=dict)


class Eye:
    """What must be remembered of an end beyond what `End` does."""

    __slots__ = (
        *(
            "ack",
            "beyond",
            "ce",
            "duplicates",
            "fin",
            "kind",
            "length",
            "number",
            "offer",
            "opening",
            "reset_beyond",
            "sacked",
        ),
        *("since_ce", "stands", "tsval", "widest", "window"),
    )

    def __init__(self) -> None:
        self.ack = UNKNOWN
        self.number = 0  # the packet with its last segment
        self.window = UNKNOWN  # as on the wire
        self.widest = 0
        self.duplicates = 0
        self.sacked: tuple[tuple[int, int], ...] = ()  # by its last ACK
        self.tsval = ABSENT
        self.ce = 0  # the packet with a mark that waits for an answer
        self.since_ce = 0
        self.length = 0  # of its last segment
        self.kind = 0  # its flags
        self.opening = 0  # the packet with its last SYN or SYN,ACK
        self.offer: options.Bearer | None = None  # of its last SYN
        self.fin = 0  # the packet with its first FIN
        self.beyond: list[
            tuple[int, int]
        ] = []  # numbers behind segments beyond the window, unless they are acknowledged; and the packets
        self.stands = False  # it sent a RST, after which the connection didn't go on
        self.reset_beyond = 0  # the packet with a RST outside the window, unless that ended the connection


@dataclass(slots=True)
class Story:
    """What there is to say of a connection: ``pace`` is None where none of its segments was looked at."""

    findings: list[Finding]
    pace: Pace | None


class Case:
    """One connection under watch."""

    def __init__(self, connection: Connection, most_packets: int = MOST_PACKETS) -> None:
        self._most_packets = most_packets
        self.connection = connection
        self.first = 0  # the number of its first packet
        self.speaker: End | None = None  # the end that sent the last segment
        self.eyes: tuple[Eye, Eye] = (Eye(), Eye())
        self.findings: dict[tuple[str, int], Finding] = {}
        self.pace: Pace = Pace(connection)
        self._longest: dict[tuple[str, int], int] = {}

    def find(self, kind: str, end: End, number: int, **values: object) -> None:
        """Once more, in this packet. The values are those of the first time."""
        finding = self.findings.get((kind, end.side))
        if finding is None:
            finding = self.findings[kind, end.side] = Finding(kind, end, values=values)
        finding.count += 1
        if len(finding.packets) < self._most_packets:
            finding.packets.append(number)

    def find_longest(self, kind: str, end: End, number: int, length: int) -> None:
        """As `find`, of something that took ``length`` microseconds: the values are those of the longest."""
        self.find(kind, end, number)
        finding = self.findings[kind, end.side]
        if length > self._longest.get((kind, end.side), 0):
            self._longest[kind, end.side] = length
            finding.values = {"seconds": f"{length / SECOND:.3f}"}

    def wait_beyond(self, end: End, behind: int, number: int) -> None:
        """A segment of ``end`` is beyond the window, as far as the capture tells: unless it is
        acknowledged.
        """
        waiting = self.eyes[end.side].beyond
        if len(waiting) < _MOST_WAITING:
            waiting.append((behind, number))
