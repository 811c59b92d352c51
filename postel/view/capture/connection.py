"""What is known of a connection while its packets go by, and what it comes to: how it opened, what was agreed, how it closed."""

from contextlib import suppress
from enum import Enum
from typing import Final, NamedTuple

from postel.errors import WireError
from postel.tcp import seq as sequence
from postel.view.capture.zeek import Zeek
from postel.wire import options
from postel.wire.address import Endpoint
from postel.wire.segment import ABSENT, ACK, CWR, ECE, FIN, RST, SYN

UNKNOWN: Final = -1
WIDEST: Final = 1 << 30  # no window is wider: RFC 7323, 2.3
_MOST_HOLES: Final = 32
_AT_ONCE: Final = 3000  # µs: what fills a hole sooner was only overtaken

# tshark's tcp.completeness
HAS_SYN: Final = 1
HAS_SYN_ACK: Final = 2
HAS_ACK: Final = 4
HAS_DATA: Final = 8
HAS_FIN: Final = 16
HAS_RST: Final = 32


class Closing(Enum):
    """How far it came. The words for people are in `words`."""

    UNANSWERED = "unanswered"
    REFUSED = "refused"
    HALF_OPEN = "half-open"  # the SYN,ACK was never acknowledged
    OPEN = "open"
    HALF_CLOSED = "half-closed"
    UNCONFIRMED = "last ACK missing"
    FOUR_WAY = "four-way"
    THREE_WAY = "three-way"  # FIN; FIN and ACK in one; ACK
    SIMULTANEOUS = "simultaneous"
    RESET_BY_OPENER = "RST by opener"
    RESET_BY_OTHER = "RST by other"


_OVER: Final = (
    *(Closing.REFUSED, Closing.FOUR_WAY, Closing.THREE_WAY, Closing.SIMULTANEOUS),
    *(Closing.RESET_BY_OPENER, Closing.RESET_BY_OTHER),
)


class Sight(Enum):
    """What a segment is to a reader of the segments before it."""

    NEW = "new"
    EMPTY = "empty"
    KEEP_ALIVE = "keep-alive"
    RETRANSMISSION = "retransmission"
    OVERTAKEN = "overtaken"
    AHEAD = "ahead"  # there is a hole before it
    OUTSIDE = "outside"  # of any window


NEW, EMPTY, KEEP_ALIVE, RETRANSMISSION, OVERTAKEN, AHEAD, OUTSIDE = Sight  # a global is found sooner than an enum's member


class End:
    """One end: what it sent. ``next`` is the number after the highest it sent, ``ack`` the highest that it acknowledged."""

    __slots__ = (
        *("ack", "connection", "data", "endpoint", "fin", "first", "holes", "last", "next", "octets", "offer", "other", "packets"),
        *("plain_acks", "plain_text", "resets", "retransmissions", "shift", "side", "syn_flags", "syns", "zero_windows"),
    )
    connection: "Connection"
    other: "End"

    def __init__(self, endpoint: Endpoint, side: int) -> None:
        self.endpoint = endpoint
        self.side = side
        self.packets = 0
        self.octets = 0  # of whole frames
        self.data: int = 0  # octets of payload, each counted once
        self.plain_acks = False  # its next ACK, or segment of text, can change no more than counters: there was one, and no end yet
        self.plain_text = False
        self.last = 0
        self.first: int = UNKNOWN
        self.next: int = UNKNOWN
        self.ack = UNKNOWN
        self.shift: int = UNKNOWN
        self.fin = UNKNOWN  # the number behind its FIN
        self.syns = 0
        self.resets = 0
        self.syn_flags: int = 0
        self.retransmissions: int = 0
        self.zero_windows = 0
        self.offer: options.Bearer | None = None  # the options of its SYN
        self.holes: list[tuple[int, int, int]] = []  # what it must have sent unseen: from, to, and since when that is known

    def has_acknowledged(self, number: int) -> bool:
        return self.ack != UNKNOWN and sequence.ge(self.ack, number)

    def see(self, seq: int, flags: int, length: int, now: int) -> Sight:
        """Count a segment's text in, and tell what it is."""
        size = length + (flags & SYN != 0) + (flags & FIN != 0)
        if self.next == UNKNOWN:
            self.first = seq if flags & SYN else sequence.add(seq, -1)
            self.next = sequence.add(seq, size)
            self.data += length
            return NEW if size else EMPTY
        offset = sequence.offset(seq, self.next)
        if abs(offset) > WIDEST:
            return OUTSIDE
        if offset >= 0:
            return self._see_new(seq, size, length, offset, now)
        if length <= 1 and offset == -1 and not flags & (SYN | FIN | RST):
            return KEEP_ALIVE
        if not size:
            return EMPTY
        fresh = offset + size
        if fresh > 0:  # some of it was sent before, some not
            self.next = sequence.add(self.next, fresh)
            self.data += fresh - (flags & FIN != 0)
        if self._fills(seq, size, length, now):
            return OVERTAKEN
        self.retransmissions += 1
        return RETRANSMISSION

    def _see_new(self, seq: int, size: int, length: int, offset: int, now: int) -> Sight:
        if not size:
            return EMPTY
        if offset:
            self.skip(seq, now)
        self.next = sequence.add(seq, size)
        self.data += length
        return AHEAD if offset else NEW

    def skip(self, number: int, now: int) -> None:
        """It must have sent what comes before this number."""
        self.holes = [*self.holes[-_MOST_HOLES + 1 :], (self.next, number, now)]
        self.next = number

    def _fills(self, seq: int, size: int, length: int, now: int) -> bool:
        """Whether it fills a hole so soon that it was overtaken; later it was sent again: the first was lost unseen."""
        end = sequence.add(seq, size)
        for index, (left, right, since) in enumerate(self.holes):
            if sequence.ge(seq, left) and sequence.le(end, right):
                rest = [(left, seq, since), (end, right, since)]
                self.holes[index : index + 1] = [hole for hole in rest if hole[0] != hole[1]]
                self.data += length
                return now - since <= max(_AT_ONCE, self.connection.round_trip)
        return False

    def take_syn(self, octets: bytes, start: int, end: int, flags: int) -> None:
        """Its offer, where it can be read: a capture may have cut it off, or a stranger sent nonsense."""
        if self.offer is not None:
            return
        self.offer = options.Bearer()
        self.syn_flags = flags
        with suppress(WireError):
            options.read(octets, start, end, self.offer, syn=True)
        self.shift = max(self.offer.window_scale, 0)


class Before(NamedTuple):
    """Another connection between the same ends, not long ago: its last packet, and how far it came."""

    when: int
    closing: Closing


class Connection:
    """``ends`` are the opener and the other; ``number`` counts from 1 in the order of the first packets. Times in microseconds."""

    __slots__ = (
        *("before", "began", "completeness", "ends", "fins_cross", "first_fin", "is_forgotten", "is_told", "is_watched"),
        *("lingers", "merged", "number", "opened", "reset_by", "round_trip", "syn_acked", "syn_sent", "zeek"),
    )

    def __init__(self, number: int, opener: Endpoint, other: Endpoint, now: int, *, flipped: bool) -> None:
        self.number = number
        self.ends: tuple[End, End] = (End(opener, 0), End(other, 1))
        for one, two in (self.ends, self.ends[::-1]):
            one.connection = self
            one.other = two
            one.last = now
        self.before: Before | None = None
        self.began = now
        self.syn_sent: int = UNKNOWN
        self.syn_acked: int = UNKNOWN
        self.opened: int = UNKNOWN  # when the handshake was complete
        self.round_trip: int = 0
        self.completeness: int = 0
        self.first_fin: End | None = None
        self.merged: bool = False  # the second FIN acknowledged the first
        self.fins_cross: bool = False
        self.reset_by: End | None = None
        self.zeek: Zeek = Zeek(flipped=flipped)
        self.is_watched = False  # none of its segments may take the short way
        self.lingers = False  # over, but kept for what comes late
        self.is_told = False
        self.is_forgotten = False

    def take(self, end: End, seq: int, ack: int, flags: int, window: int, length: int, now: int) -> Sight:
        """A segment that changes more than the counters. Its options have been read."""
        sight = end.see(seq, flags, length, now)
        self.zeek.take(end.side, flags, seq, length)
        if sight is RETRANSMISSION and length:
            self.zeek.note(end.side, "t", seq)
        self._complete(end, flags, length)
        if flags & SYN:
            self._take_syn(end, flags, now)
        if flags & ACK:
            self._take_ack(end, seq, ack, flags, now)
        if sight is not OUTSIDE:
            self._take_end(end, seq, flags, length)
        if not flags & (SYN | FIN | RST):
            self._take_plain(end, seq, flags, window, length)
        return sight

    def _take_plain(self, end: End, seq: int, flags: int, window: int, length: int) -> None:
        if not window and end.fin == UNKNOWN:
            end.zero_windows += 1
            self.zeek.note(end.side, "w", seq)
        opens = self.opened == UNKNOWN != self.syn_acked
        if opens or self.is_watched or self.first_fin is not None or end.ack == UNKNOWN:
            return
        if length:
            end.plain_text = True
        elif flags & ACK:
            end.plain_acks = True

    def _complete(self, end: End, flags: int, length: int) -> None:
        """As tshark counts: text isn't an ACK, and beside a SYN neither FIN nor RST counts."""
        if length:
            self.completeness |= HAS_DATA
        if flags & SYN:
            self.completeness |= HAS_SYN_ACK if flags & ACK else HAS_SYN
            return
        if flags & ACK and not length:
            self.completeness |= HAS_ACK
        if flags & FIN:
            self.completeness |= HAS_FIN
        if flags & RST:
            self.completeness |= HAS_RST

    def _take_syn(self, end: End, flags: int, now: int) -> None:
        end.syns += 1
        self._expect()
        if self.syn_sent == UNKNOWN and not flags & ACK:
            self.syn_sent = now
        elif self.syn_acked == UNKNOWN and flags & ACK:
            self.syn_acked = now

    def _expect(self) -> None:
        """What comes next may change more than counters."""
        for end in self.ends:
            end.plain_acks = end.plain_text = False

    def _take_ack(self, end: End, seq: int, ack: int, flags: int, now: int) -> None:
        other = end.other
        if UNKNOWN == self.opened != self.syn_acked and other.syns and not flags & (SYN | RST) and ack != other.first:
            self.opened = now
            self.round_trip = now - self.syn_sent if self.syn_sent != UNKNOWN else 0
        if flags & FIN and end.fin == UNKNOWN and other.fin != UNKNOWN:
            self.fins_cross = sequence.lt(ack, other.fin)
            self.merged = not self.fins_cross and not end.has_acknowledged(other.fin)
        if other.next == UNKNOWN:
            other.next = ack
            other.first = sequence.add(ack, -1)
        elif sequence.gt(ack, other.next) and not flags & RST:
            self.miss(end, ack, now)
        if end.ack == UNKNOWN or (sequence.gt(ack, end.ack) and not flags & RST):
            end.ack = ack

    def miss(self, end: End, ack: int, now: int) -> None:
        """What the other end sent was acknowledged, but not seen, or not yet."""
        other = end.other
        if sequence.offset(ack, other.next) < WIDEST:
            self.zeek.note(other.side, "g", ack)
            other.skip(ack, now)

    def _take_end(self, end: End, seq: int, flags: int, length: int) -> None:
        if flags & FIN and end.fin == UNKNOWN:
            end.fin = sequence.add(seq, length + (flags & SYN != 0) + 1)
            self.first_fin = self.first_fin or end
            self._expect()
        if flags & RST:
            end.resets += 1
            if self.reset_by is None and not self.is_closed_by_fins:
                self.reset_by = end

    @property
    def last(self) -> int:
        """When the latest segment was seen, in microseconds."""
        return max(end.last for end in self.ends)

    @property
    def is_closed_by_fins(self) -> bool:
        """Whether both ends sent a FIN, and both were acknowledged."""
        one, two = self.ends
        return one.fin != UNKNOWN != two.fin and one.has_acknowledged(two.fin) and two.has_acknowledged(one.fin)

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to come: closed by FINs, or reset."""
        return self.closing in _OVER

    @property
    def closing(self) -> Closing:
        """How it ended, as far as the capture tells."""
        one, two = self.ends
        if self.reset_by is not None:
            return self._closing_by_reset(self.reset_by)
        if self.is_closed_by_fins:
            if self.fins_cross:
                return Closing.SIMULTANEOUS
            return Closing.THREE_WAY if self.merged else Closing.FOUR_WAY
        if one.fin != UNKNOWN != two.fin:
            return Closing.UNCONFIRMED
        if one.fin != two.fin:
            return Closing.HALF_CLOSED
        if self.opened == UNKNOWN != self.syn_acked:
            return Closing.HALF_OPEN
        is_answered = self.syn_acked != UNKNOWN or two.packets or one.ack != UNKNOWN
        return Closing.OPEN if is_answered else Closing.UNANSWERED

    def _closing_by_reset(self, end: End) -> Closing:
        if end.side and self.opened == self.syn_acked == UNKNOWN != self.syn_sent:
            return Closing.REFUSED
        return Closing.RESET_BY_OTHER if end.side else Closing.RESET_BY_OPENER

    @property
    def handshake_time(self) -> int:
        """From the SYN to the ACK that completes the handshake; UNKNOWN where one of them wasn't seen."""
        return UNKNOWN if UNKNOWN in (self.syn_sent, self.opened) else self.opened - self.syn_sent

    def agreed(self) -> list[str]:
        """The options in force: ``mss=1460/1400 ws=7/5 sack ts ecn``, the opener's number first."""
        one, two = (end.offer for end in self.ends)
        if one is None or two is None:
            return []
        words = [f"mss={_number(one.mss)}/{_number(two.mss)}"]
        if ABSENT not in (one.window_scale, two.window_scale):
            words.append(f"ws={one.window_scale}/{two.window_scale}")
        words += ["sack"] * (one.sack_permitted and two.sack_permitted)
        words += ["ts"] * (ABSENT not in (one.tsval, two.tsval))
        asked, answered = (end.syn_flags & (ECE | CWR) for end in self.ends)
        words += ["ecn"] * (asked == ECE | CWR and answered == ECE)
        words += ["tfo"] * (one.fast_open is not None and two.fast_open is not None)
        return words


def _number(value: int) -> str:
    return "-" if value == ABSENT else str(value)
