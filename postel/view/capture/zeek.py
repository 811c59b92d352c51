"""Values that Zeek would log for a connection: ``conn_state`` and ``history`` of its conn.log.

Zeek keeps a state for each end, the highest sequence number that the end sent, and how far its octets can
be put together. A letter of ``history`` is written when a segment shows it, in upper case for the
originator:

- ``s``, ``h``, ``f``, ``r`` (SYN, SYN,ACK, FIN, RST alone): unless the last one of the end had the same
  number. A FIN's number is the one after its data.
- ``i`` (FIN with RST), ``q`` (SYN with FIN or RST), ``d`` (data) and ``a`` (an ACK without data): once; the
  last two without SYN, FIN, RST.
- ``c`` (wrong checksum), ``t`` (data again), ``w`` (zero window), ``g`` (a gap): at the 1st, 10th, 100th …
  time.

``t`` is data that doesn't go beyond the highest number that the end sent. ``g`` is an ACK, while both ends
are established, of data that wasn't captured whole. ``w`` is written for the end with the zero window, unless
the other end has closed. ``c`` needs checksums to be verified: a capture at the sending host has unfinished
ones.
``x`` is never written. ``^``: the originator is the end that sent its first packet later.
"""

from enum import Enum, auto
from typing import Final

from postel.tcp import seq as sequence
from postel.tcp.seq import MASK
from postel.times import MILLISECOND, MINUTE, SECOND
from postel.view.capture.sent import UNKNOWN
from postel.wire.segment import ACK, FIN, RST, SYN


class _End(Enum):
    """State of one end, as Zeek has it."""

    INACTIVE = auto()
    SYN_SENT = auto()
    SYN_ACK_SENT = auto()
    PARTIAL = auto()  # the end has sent segments, but its SYN wasn't captured
    ESTABLISHED = auto()
    CLOSED = auto()  # the end has sent its FIN
    RESET = auto()


# Members of `_End` as globals, which Python looks up faster than a member of an enum
INACTIVE, SYN_SENT, SYN_ACK_SENT, PARTIAL, ESTABLISHED, CLOSED, RESET = _End

_UNSEEN: Final = (INACTIVE, PARTIAL)
_OPENING: Final = (SYN_SENT, SYN_ACK_SENT)
_SPEAKING: Final = (ESTABLISHED, CLOSED)
LIKELY_SERVERS: Final = frozenset(  # the TCP ports in Zeek's list likely_server_ports
    (
        *(21, 22, 25, 53, 79, 80, 81, 88, 135, 139, 143, 389, 443, 445, 502, 563, 585, 587, 614, 631, 636),
        *(989, 990, 992, 993, 995, 1080, 1434, 1883, 2811, 3128, 3268, 3306, 3389, 5222, 5223, 5269),
        *(5432, 6379, 6666, 6667, 6668, 6669, 8000, 8080, 8888, 20000),
    )
)
_ONCE: Final = "adiq"
_MOST_BLOCKS: Final = 64
_RESET_DELAY: Final = 100 * MILLISECOND  # Zeek's tcp_reset_delay
_CLOSE_DELAY: Final = 5 * SECOND  # Zeek's tcp_close_delay
_PARTIAL_CLOSE_DELAY: Final = 3 * SECOND  # Zeek's tcp_partial_close_delay
_ATTEMPT_DELAY: Final = 5 * SECOND  # Zeek's tcp_attempt_delay
_INACTIVITY: Final = 5 * MINUTE  # Zeek's tcp_inactivity_timeout
# Octets; the number of a SYN or RST replaces the highest number if it is farther away from that
_LARGE: Final = 1 << 20


class _Stream:
    """Data that one end sent, as Zeek puts it together.

    ``start`` is the number of its SYN, ``highest`` the number after the highest octet, ``delivered`` the
    number up to which the capture has all octets.
    """

    __slots__ = ("blocks", "delivered", "fin", "highest", "is_begun", "start")

    def __init__(self) -> None:
        """Begin without segments."""
        self.is_begun = False
        self.start = 0
        self.highest = 0
        self.delivered = 0
        self.fin = -1  # sequence number of the end's FIN, or -1
        self.blocks: tuple[tuple[int, int], ...] = ()  # ranges that were captured beyond a gap, in order

    def begin(self, start: int, highest: int) -> None:
        """Set the numbers anew; ``start`` is that of a SYN, or the one before the first segment."""
        self.is_begun = True
        self.start = start
        self.highest = highest
        self.delivered = sequence.add(start, 1)
        self.fin = -1
        self.blocks = ()

    def deliver(self, left: int, right: int) -> None:
        """Add captured octets, with the sequence numbers from ``left`` up to ``right`` (excluded)."""
        if sequence.le(right, self.delivered):
            return
        if sequence.gt(left, self.delivered):
            self._add_block(left, right)
            return
        self.delivered = right
        self._join()

    def _add_block(self, left: int, right: int) -> None:
        """Store the range of octets that were captured beyond a gap."""
        if self.blocks and self.blocks[-1][1] == left:
            self.blocks = (*self.blocks[:-1], (self.blocks[-1][0], right))
            return
        blocks = (*self.blocks[1 - _MOST_BLOCKS :], (left, right))
        self.blocks = tuple(sorted(blocks, key=lambda block: sequence.offset(block[0], self.delivered)))

    def _join(self) -> None:
        """Count the blocks as delivered that no longer have a gap before them."""
        while self.blocks and sequence.le(self.blocks[0][0], self.delivered):
            self.delivered = sequence.latest(self.delivered, self.blocks[0][1])
            self.blocks = self.blocks[1:]

    def acknowledge(self, ack: int) -> int:
        """Count all octets before ``ack`` as delivered. Return how many gaps the capture has there."""
        bound = self.fin if self.fin >= 0 and sequence.gt(ack, self.fin) else ack
        gaps = 0
        while sequence.lt(self.delivered, bound):
            gaps += 1
            behind = self.blocks[0][0] if self.blocks else bound
            self.delivered = behind if sequence.lt(behind, bound) else bound
            self._join()
        return gaps


class Zeek:
    """Zeek's values for one connection. `take` is called with each segment that may change letters."""

    __slots__ = ("_before", "_counts", "_ends", "_numbers", "_streams", "history", "stream")

    def __init__(self, *, flipped: bool) -> None:
        """Begin without segments; ``flipped`` says whether the responder sent the first packet."""
        self.history = "^" if flipped else ""
        self.stream: list[bool] = [False, False]  # whether originator and responder have sent data
        self._ends = [INACTIVE, INACTIVE]
        self._before = [INACTIVE, INACTIVE]  # the previous state of each end
        self._streams = (_Stream(), _Stream())
        self._numbers: dict[str, int] = {}
        self._counts: dict[str, int] = {}

    def take(
        self, side: int, flags: int, seq: int, ack: int, window: int, length: int, *, is_whole: bool = True
    ) -> None:
        """Process a segment of the originator (``side`` 0) or the responder (1).

        ``is_whole`` says whether all of the segment's data was captured.
        """
        self._begin(side, flags, seq, length)
        self._write(side, flags, seq, length)
        if (
            not window
            and not flags & RST
            and self._ends[1 - side] is not CLOSED
            and self._ends[side] is not RESET
        ):
            self.note(side, "w")
        self._raise_highest(side, flags, seq, length)
        self._move(side, flags, length)
        if flags & ACK:
            self.acknowledge(side, ack)
        if length and is_whole and self._ends[side] is not RESET:
            left = sequence.add(seq, flags & SYN != 0)
            self._streams[side].deliver(left, sequence.add(left, length))

    def take_first_syn(self, seq: int) -> None:
        """Take the originator's SYN, where it is the first segment of all; as `take` does, but faster."""
        self._streams[0].begin(seq, seq + 1 & MASK)
        self._numbers["S"] = 0
        self.history = "S"
        self._ends[0] = SYN_SENT

    def take_syn_ack(self, seq: int) -> None:
        """Take the responder's SYN,ACK, where the originator's SYN alone came before; as `take` does."""
        self._streams[1].begin(seq, seq + 1 & MASK)
        self._numbers["s"] = 0
        self.history += "h"
        self._before[0] = SYN_SENT
        self._ends = [ESTABLISHED, ESTABLISHED]

    def is_open(self) -> bool:
        """Return whether both ends are established, and none has sent a FIN or RST."""
        return self._ends[0] is self._ends[1] is ESTABLISHED

    def take_next(self, side: int, *, has_text: bool) -> None:
        """Write the letter of a segment that is the next in order, with data or an ACK alone.

        The caller reports the segment's sequence and ACK numbers with `catch_up` and `acknowledge`.
        """
        if has_text:
            self.stream[side] = True
        self.note(side, "d" if has_text else "a")

    def may_take_fin(self, side: int) -> bool:
        """Return whether `take_fin` may take the first FIN of this end."""
        return self._ends[side] is ESTABLISHED and self._ends[1 - side] in _SPEAKING

    def take_fin(self, side: int, seq: int, ack: int) -> None:
        """Take a FIN without data that is the next in order; as `take` does, but faster."""
        stream = self._streams[side]
        self._note_number(side, "f", "f", seq - stream.start & MASK)
        stream.fin = seq
        stream.highest = seq + 1 & MASK
        self._before[side] = ESTABLISHED
        self._ends[side] = CLOSED
        if self._streams[1 - side].delivered != ack:
            self.acknowledge(side, ack)

    def may_take_last_ack(self, side: int, seq: int) -> bool:
        """Return whether `take_last_ack` may take an ACK of this end with this number."""
        return self._ends[0] is self._ends[1] is CLOSED and self._streams[side].highest == seq

    def take_last_ack(self, side: int, ack: int) -> None:
        """Take an ACK without data after both FINs; as `take` does, but faster."""
        self.note(side, "a")
        self.acknowledge(side, ack)

    def catch_up(self, side: int, following: int, *, is_whole: bool) -> None:
        """Process data in order, up to the number ``following``, for which `take` wasn't called."""
        stream = self._streams[side]
        if stream.highest != following:
            if is_whole:
                stream.deliver(stream.highest, following)
            stream.highest = following

    def is_at(self, side: int, following: int) -> bool:
        """Return whether Zeek, too, has ``following`` as the number after this end's highest.

        If so, further data in order changes numbers alone. ``following`` is UNKNOWN for an end without
        segments.
        """
        stream = self._streams[side]
        return stream.highest == following if stream.is_begun else following == UNKNOWN

    def has_gap(self, side: int) -> bool:
        """Return whether the capture lacks data before the highest number of this end.

        The number of a FIN counts as missing, too.
        """
        stream = self._streams[side]
        return stream.is_begun and stream.delivered != stream.highest

    def has_noted(self, side: int, letter: str) -> bool:
        """Return whether ``history`` has this letter, which is one of those that are written once."""
        return (letter if side else letter.upper()) in self._counts

    def _begin(self, side: int, flags: int, seq: int, length: int) -> None:
        """Begin the numbers of an end with its first segment, or with a SYN that has another number."""
        stream, state = self._streams[side], self._ends[side]
        if not stream.is_begun:
            behind = sequence.add(seq, length + (flags & SYN != 0) + (flags & FIN != 0))
            stream.begin(seq if flags & SYN else sequence.add(seq, -1), behind if flags & SYN else seq)
        elif (
            flags & SYN
            and seq != stream.start
            and (state not in (CLOSED, RESET) or (state is RESET and self._before[side] is INACTIVE))
        ):
            stream.begin(seq, seq)

    def _raise_highest(self, side: int, flags: int, seq: int, length: int) -> None:
        """Raise the highest number of an end, or note ``t`` where its data doesn't go beyond that."""
        stream = self._streams[side]
        behind = sequence.add(seq, length + (flags & SYN != 0) + (flags & FIN != 0))
        if flags & FIN:
            stream.fin = sequence.add(behind, -1)
        beyond = sequence.offset(behind, stream.highest)
        if (flags & (SYN | RST) and abs(beyond) > _LARGE) or (
            flags & FIN and stream.highest == sequence.add(stream.start, 1)
        ):
            stream.highest = behind
        elif self._ends[side] is RESET:
            return
        elif beyond > 0:
            stream.highest = behind
        elif length:
            self.note(side, "t")

    def acknowledge(self, side: int, ack: int) -> None:
        """Process an ACK, and note ``g`` for each gap in the captured data that it covers."""
        stream = self._streams[1 - side]
        if not stream.is_begun or abs(sequence.offset(ack, stream.highest)) > _LARGE << 10:
            return
        gaps = stream.acknowledge(ack)
        if self._is_established(0) and self._is_established(1):
            for _ in range(gaps):
                self.note(1 - side, "g")

    def _is_established(self, side: int) -> bool:
        """Return whether an end is ESTABLISHED, or was ESTABLISHED until it sent its FIN."""
        return ESTABLISHED in (self._ends[side], self._before[side] if self._ends[side] is CLOSED else None)

    def _write(self, side: int, flags: int, seq: int, length: int) -> None:
        """Add the letter for a segment's flags and data to ``history``, if it is to be written now."""
        if length:
            self.stream[side] = True
        kind = flags & (SYN | FIN | RST)
        number = seq - self._streams[side].start & 0xFFFFFFFF
        if kind == SYN:
            self._note_number(side, "h" if flags & ACK else "s", "s", number)
        elif kind == FIN:
            self._note_number(side, "f", "f", number + length)
        elif kind == RST:
            self._note_number(side, "r", "r", number)
        elif kind:
            self.note(side, "q" if kind & SYN else "i")
        elif length:
            self.note(side, "d")
        elif flags & ACK:
            self.note(side, "a")

    def _note_number(self, side: int, letter: str, kind: str, number: int) -> None:
        """Write one letter, unless the last segment of this kind had the same number."""
        written = kind if side else kind.upper()
        if self._numbers.get(written) != number:
            self._numbers[written] = number
            self.history += letter if side else letter.upper()

    def note(self, side: int, letter: str) -> None:
        """Count a letter; add it to ``history`` the first time, and some also the 10th, 100th … time."""
        written = letter if side else letter.upper()
        self._counts[written] = count = self._counts.get(written, 0) + 1
        if count == 1 or (letter not in _ONCE and str(count).strip("0") == "1"):
            self.history += written

    def _move(self, side: int, flags: int, length: int) -> None:
        """Move the state of an end by a segment's flags.

        Zeek's states aren't those of RFC 9293: any SYN of the responder opens both ends.
        """
        ends, other = self._ends, 1 - side
        mine = ends[side]
        if mine is INACTIVE:
            self._move_first(side, flags, length)
        elif mine is CLOSED:
            if flags & RST and ends[other] is not CLOSED:
                self._set(side, RESET)
        elif mine is not RESET:
            if mine is PARTIAL and ends[other] is INACTIVE and flags & (SYN | ACK) == SYN:
                self._set(side, SYN_SENT)
            if flags & FIN and (mine in _OPENING or not flags & RST):
                if ends[other] is RESET and self._before[other] is CLOSED and mine not in _OPENING:
                    self._set(other, CLOSED)
                self._set(side, CLOSED)
            if flags & RST:
                self._set(side, RESET)

    def _move_first(self, side: int, flags: int, length: int) -> None:
        """Move the state of an end that has been INACTIVE so far."""
        ends, other = self._ends, 1 - side
        if flags & SYN and not side:
            self._set(side, SYN_ACK_SENT if flags & ACK else SYN_SENT)
        elif flags & SYN:
            if ends[other] is SYN_SENT:
                self._set(other, ESTABLISHED)
            self._set(side, ESTABLISHED)
        if flags & FIN:
            self._set(side, CLOSED)
        if flags & RST:
            self._set(side, RESET)
        if ends[side] is not INACTIVE or (side and not length and ends[other] is SYN_SENT):
            return  # an ACK before the SYN,ACK leaves the responder inactive
        self._set(side, ESTABLISHED if flags & ACK and ends[other] is ESTABLISHED else PARTIAL)

    def _set(self, side: int, state: _End) -> None:
        """Set the state of an end, and keep its previous state."""
        if state is not self._ends[side]:
            self._before[side] = self._ends[side]
            self._ends[side] = state

    def ends_at(self, began: int, last: int) -> int:
        """Return the time (microseconds) at which Zeek ends the connection if no further packet comes.

        The first packet was seen at ``began``, the latest at ``last``. Zeek's timers have their defaults. A
        later packet begins another connection.
        """
        originator, responder = self._ends
        if RESET in (originator, responder):
            return last + _RESET_DELAY
        if originator is responder is CLOSED:
            return last + _CLOSE_DELAY
        if CLOSED in (originator, responder) and INACTIVE in (originator, responder):
            return last + _PARTIAL_CLOSE_DELAY
        if originator is SYN_SENT and responder is INACTIVE:
            return began + _ATTEMPT_DELAY
        return last + _INACTIVITY

    @property
    def state(self) -> str:
        """``conn_state`` of the connection after the segments so far."""
        originator, responder = self._ends
        if RESET in (originator, responder):
            return self._reset(originator, responder)
        if CLOSED in (originator, responder):
            return _closed(originator, responder)
        if originator is SYN_SENT and responder is INACTIVE:
            return "S0"
        return "S1" if originator is responder is ESTABLISHED else "OTH"

    def _reset(self, originator: _End, responder: _End) -> str:
        """Return ``conn_state`` of a connection of which an end sent a RST."""
        if responder is RESET:
            if originator in _OPENING or (originator is RESET and not any(self.stream)):
                return "REJ"
            return "RSTRH" if originator in _UNSEEN else "RSTR"
        if responder not in _UNSEEN:
            return "RSTO"
        after_syn = self.history.removeprefix("^")
        told, reset, _ = after_syn.partition("R")
        return "RSTOS0" if reset and told.startswith("S") and not set(told) & set("HAFGIQ") else "OTH"


def _closed(originator: _End, responder: _End) -> str:
    """Return ``conn_state`` of a connection of which an end has sent its FIN, and no end a RST."""
    if originator is responder:
        return "SF"
    if originator is CLOSED:
        return "SH" if responder in _UNSEEN else "S2"
    return "SHR" if originator in _UNSEEN else "S3"
