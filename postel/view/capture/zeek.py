"""A connection in Zeek's words: ``conn_state`` and ``history``, as the documentation of its conn.log defines them.

Zeek sees two ends, each in a state of its own; which pair of states gives which word is the table of `Zeek.state`. ``c`` is written where
the user asks for checksums: a capture at the sending host has unfinished ones, which its device fills in later. ``x`` is never written.
As for ``^``, an end that sends a SYN,ACK first is the responder, and so is one that sends anything but a SYN first from one of
`LIKELY_SERVERS`; Zeek believes a SYN,ACK from another port only when an ACK or text follows it.
"""

from enum import Enum, auto
from typing import Final

from postel.wire.segment import ACK, FIN, RST, SYN


class _End(Enum):
    INACTIVE = auto()
    SYN_SENT = auto()
    SYN_ACK_SENT = auto()
    PARTIAL = auto()  # has sent, but its opening wasn't seen
    ESTABLISHED = auto()
    CLOSED = auto()  # has sent its FIN
    RESET = auto()


INACTIVE, SYN_SENT, SYN_ACK_SENT, PARTIAL, ESTABLISHED, CLOSED, RESET = _End  # a global is found sooner than an enum's member

_UNSEEN: Final = (INACTIVE, PARTIAL)
_OPENING: Final = (SYN_SENT, SYN_ACK_SENT)
LIKELY_SERVERS: Final = frozenset(  # Zeek's likely_server_ports, as far as they are TCP's
    (
        *(21, 22, 25, 53, 79, 80, 81, 88, 110, 135, 137, 139, 143, 389, 443, 445, 502, 563, 585, 587, 614, 631, 636),
        *(989, 990, 992, 993, 995, 1080, 1434, 1883, 2811, 3128, 3268, 3306, 3389, 5060, 5222, 5223, 5269, 5353, 5355),
        *(5432, 6379, 6666, 6667, 6668, 6669, 8000, 8080, 8888, 20000),
    )
)
_ONCE: Final = "adiq"
_BY_NUMBER: Final = "shfr"  # again where the sequence number isn't the last one's


class Zeek:
    """Told of each segment that may matter; the first that comes is told like any other, after the direction is known."""

    __slots__ = ("_counts", "_ends", "_numbers", "history", "stream")

    def __init__(self, *, flipped: bool) -> None:
        self.history = "^" if flipped else ""
        self.stream: list[bool] = [False, False]  # which end has sent data
        self._ends = [INACTIVE, INACTIVE]
        self._numbers: dict[str, int] = {}
        self._counts: dict[str, int] = {}

    def take(self, side: int, flags: int, seq: int, length: int) -> None:
        """A segment from the originator (0) or the responder (1)."""
        self._write(side, flags, seq, length)
        self._move(side, flags)

    def _write(self, side: int, flags: int, seq: int, length: int) -> None:
        if flags & SYN and flags & (FIN | RST):
            self.note(side, "q", seq)
        elif flags & FIN and flags & RST:
            self.note(side, "i", seq)
        if flags & SYN:
            self.note(side, "h" if flags & ACK else "s", seq)
        if length:
            self.stream[side] = True
            self.note(side, "d", seq)
        elif flags & (SYN | FIN | RST | ACK) == ACK:
            self.note(side, "a", seq)
        if flags & FIN:
            self.note(side, "f", seq)
        if flags & RST:
            self.note(side, "r", seq)

    def note(self, side: int, letter: str, seq: int) -> None:
        """One letter, if it is due: some once, some for each new number, the others at the 1st, 10th, 100th … time."""
        written = letter if side else letter.upper()
        if letter in _BY_NUMBER:
            if self._numbers.get(written) == seq:
                return
            self._numbers[written] = seq
        else:
            self._counts[written] = count = self._counts.get(written, 0) + 1
            if count > 1 and (letter in _ONCE or str(count).strip("0") != "1"):
                return
        self.history += written

    def _move(self, side: int, flags: int) -> None:
        ends, other = self._ends, 1 - side
        mine = ends[side]
        if mine is RESET:
            return
        if flags & RST:
            ends[side] = RESET
        elif flags & SYN and mine in (INACTIVE, SYN_SENT):
            self._open(side, flags)
        elif flags & FIN:
            ends[side] = CLOSED
        elif mine is INACTIVE:
            ends[side] = PARTIAL
        elif mine in _OPENING and ends[other] in _OPENING and flags & ACK:
            ends[side] = ends[other] = ESTABLISHED

    def _open(self, side: int, flags: int) -> None:
        ends, other = self._ends, 1 - side
        if not flags & ACK:
            ends[side] = SYN_SENT
        elif ends[other] is SYN_SENT:
            ends[side] = ends[other] = ESTABLISHED
        else:
            ends[side] = SYN_ACK_SENT

    @property
    def state(self) -> str:
        """``conn_state``."""
        originator, responder = self._ends
        if RESET in (originator, responder):
            return self._reset(originator, responder)
        if CLOSED in (originator, responder):
            return _closed(originator, responder)
        if originator is SYN_SENT and responder is INACTIVE:
            return "S0"
        return "S1" if originator is responder is ESTABLISHED else "OTH"

    def _reset(self, originator: _End, responder: _End) -> str:
        if responder is RESET:
            if originator in _OPENING or (originator is RESET and not any(self.stream)):
                return "REJ"
            return "RSTRH" if originator in _UNSEEN else "RSTR"
        if responder not in _UNSEEN:
            return "RSTO"
        after_syn = self.history.removeprefix("^")
        told = after_syn[1 : after_syn.find("R")]
        return "RSTOS0" if after_syn.startswith("S") and not set(told) & set("HAFGIQ") else "OTH"


def _closed(originator: _End, responder: _End) -> str:
    if originator is responder:
        return "SF"
    if originator is CLOSED:
        return "SH" if responder in _UNSEEN else "S2"
    return "SHR" if originator in _UNSEEN else "S3"
