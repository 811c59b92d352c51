"""Findings in one connection so far, and the state of its ends that is needed to find more."""

from dataclasses import dataclass, field
from typing import Final

from postel.times import SECOND
from postel.view.capture.connection import Connection, End
from postel.view.capture.measures import scale
from postel.view.capture.pace import Pace
from postel.view.capture.sent import UNKNOWN
from postel.wire import options
from postel.wire.segment import ABSENT, AE

MOST_PACKETS: Final = 12  # the text of a finding names at most so many packets
ANY: Final = 1 << 16  # largest payload in octets where no MSS is known: more than any packet holds
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
    """State of one end that later segments are compared with, in addition to the state in `End`."""

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
        self.number: int = 0  # number of the packet with this end's last segment
        self.window: int = UNKNOWN  # window in this end's last segment, as on the wire
        self.shift: int = UNKNOWN  # number of bits by which this end's windows are shifted (`measures.scale`)
        # Last window in octets; UNKNOWN if the capture doesn't show by how much to shift
        self.room: int = UNKNOWN
        self.most: int = ANY  # largest payload, in octets, that the other end's MSS allows
        self.widest: int = 0
        self.duplicates: int = 0
        self.sacked: tuple[tuple[int, int], ...] = ()  # SACK blocks of this end's last ACK
        self.tsval: int = ABSENT
        self.ce: int = 0  # number of the packet with a CE mark that this end hasn't echoed yet; 0 if none
        self.since_ce: int = 0
        self.length: int = 0  # octets of payload in this end's last segment
        self.kind: int = 0  # flags of this end's last segment
        self.opening: int = 0  # number of the packet with this end's last SYN or SYN,ACK
        self.offer: options.Bearer | None = None  # options of this end's last SYN
        self.fin: int = 0  # number of the packet with this end's first FIN
        self.is_cut: bool = False  # whether the snap length cut off some of this end's payload
        # Segments that seem to lie beyond the window and aren't acknowledged yet: for each, the sequence
        # number after the segment, and the number of its packet
        self.beyond: list[tuple[int, int]] = []
        self.stands: bool = False  # whether this end sent a RST, and the connection hasn't gone on since
        self.reset_beyond: int = 0  # number of the packet with a RST outside the window; 0 if none


@dataclass(slots=True)
class Story:
    """Findings about a connection, and its times; ``pace`` is None if no segment was examined."""

    findings: list[Finding]
    pace: Pace | None


class Case:
    """Connection that is examined segment by segment, and its findings so far."""

    def __init__(self, connection: Connection, most_packets: int = MOST_PACKETS) -> None:
        """Begin with a connection; a finding names up to ``most_packets`` packets."""
        self._most_packets = most_packets
        self.connection = connection
        self.first = 0  # number of the connection's first packet
        self.speaker: End | None = None  # the end that sent the last segment
        self.eyes: tuple[Eye, Eye] = (Eye(), Eye())
        self.findings: dict[tuple[str, int], Finding] = {}
        self.pace: Pace = Pace(connection)
        self.has_timestamps: bool = False  # whether both ends offered timestamps
        # Whether packets may be marked as ECN-capable, because the ends agreed on ECN.
        self.may_mark: bool = False
        self._longest: dict[tuple[str, int], int] = {}

    def compare_offers(self) -> None:
        """Set the fields that follow from both SYNs: scale, MSS, timestamps, ECN. Called after each SYN."""
        one, two = (end.offer for end in self.connection.ends)
        self.has_timestamps = one is not None is not two and ABSENT not in (one.tsval, two.tsval)
        accurate = self.connection.ends[0].syn_flags & AE != 0
        self.may_mark = accurate or self.connection.has_agreed_on_ecn
        for end in self.connection.ends:
            eye, offer = self.eyes[end.side], end.other.offer
            eye.shift = scale(end)
            eye.room = eye.window << eye.shift if UNKNOWN not in (eye.window, eye.shift) else UNKNOWN
            eye.most = offer.mss if offer is not None and offer.mss > 0 else ANY

    def find(self, kind: str, end: End, number: int, **values: object) -> None:
        """Add a packet to a finding, which begins with its first packet and keeps the ``values`` of that."""
        finding = self.findings.get((kind, end.side))
        if finding is None:
            finding = self.findings[kind, end.side] = Finding(kind, end, values=values)
        finding.count += 1
        if len(finding.packets) < self._most_packets:
            finding.packets.append(number)

    def find_longest(self, kind: str, end: End, number: int, length: int) -> None:
        """Add a packet to a finding about a duration, which is ``length`` microseconds for this packet.

        The text of the finding gives the longest of the durations.
        """
        self.find(kind, end, number)
        finding = self.findings[kind, end.side]
        if length > self._longest.get((kind, end.side), 0):
            self._longest[kind, end.side] = length
            finding.values = {"seconds": f"{length / SECOND:.3f}"}

    def wait_beyond(self, end: End, behind: int, number: int) -> None:
        """Store a segment of ``end`` that seems to be beyond the window, in case it is never acknowledged.

        ``behind`` is the sequence number after the segment, ``number`` the number of its packet.
        """
        waiting = self.eyes[end.side].beyond
        if len(waiting) < _MOST_WAITING:
            waiting.append((behind, number))
