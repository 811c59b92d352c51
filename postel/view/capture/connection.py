"""TCP connection of a capture: what its packets have shown, and how it opened and closed.

`Connection.take` gets each segment that changes more than counters. The options in force and how the
connection closed are computed on request from what `take` has stored. `Table` explains the short way and the
long way of a segment.
"""

from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

from postel.tcp import seq as sequence
from postel.tcp.seq import HALF, MASK
from postel.view.capture.offers import read_offer
from postel.view.capture.sent import AT_ONCE, OUTSIDE, UNKNOWN, WIDEST, Sent, Sight
from postel.view.capture.zeek import Zeek
from postel.wire import options
from postel.wire.address import Endpoint
from postel.wire.segment import ABSENT, ACK, AE, CWR, ECE, FIN, RST, SYN

# Bits of tshark's field tcp.completeness
HAS_SYN: Final = 1
HAS_SYN_ACK: Final = 2
HAS_ACK: Final = 4
HAS_DATA: Final = 8
HAS_FIN: Final = 16
HAS_RST: Final = 32


class Closing(Enum):
    """How a connection ended, as far as the capture tells. `translations` has the words for people."""

    UNANSWERED = "unanswered"
    REFUSED = "refused"
    HALF_OPEN = "half-open"  # the opener never acknowledged the SYN,ACK
    OPEN = "open"
    HALF_CLOSED = "half-closed"
    UNCONFIRMED = "last ACK missing"
    FOUR_WAY = "four-way"
    THREE_WAY = "three-way"  # the second FIN acknowledges the first
    SIMULTANEOUS = "simultaneous"
    RESET_BY_OPENER = "RST by opener"
    RESET_BY_OTHER = "RST by other"


# Options that are in force if both SYNs have them: RFC 8684, RFC 5925, RFC 2385
_SIGNED: Final = {"mptcp": 30, "ao": 29, "md5": 19}
_OVER: Final = (
    *(Closing.REFUSED, Closing.FOUR_WAY, Closing.THREE_WAY, Closing.SIMULTANEOUS),
    *(Closing.RESET_BY_OPENER, Closing.RESET_BY_OTHER),
)

# Stage of the usual handshake; `_OTHERWISE` after it, and where other segments come
_OTHERWISE: Final = 0
_SYN_SENT: Final = 1
_SYN_ACKED: Final = 2
_LEAST: Final = 40  # octets of the headers of IPv4 and TCP
_LEAST_6: Final = 60


class End(Sent):
    """One end of a connection: ``side`` is 0 for the opener, 1 for the other end."""

    __slots__ = (
        "connection",
        "endpoint",
        "fin",
        "ip_octets",
        "is_cut",
        "is_uneven",
        "last",
        "octets",
        "offer",
        "other",
        "packets",
        "plain_acks",
        "plain_cut",
        "plain_text",
        "resets",
        "shift",
        "side",
        "syn_flags",
        "syns",
        "zero_windows",
    )
    connection: "Connection"
    other: "End"

    def __init__(self, endpoint: Endpoint, side: int) -> None:
        """Begin without segments."""
        super().__init__()
        self.endpoint: Endpoint = endpoint
        self.side: int = side
        self.packets: int = 0
        self.octets: int = 0  # octets of the frames that this end sent, with all headers
        self.ip_octets: int = 0  # octets of the IP packets that this end sent, with their headers
        # Whether this end's next segment may take the short way, because it changes counters alone. There is
        # one field for each kind of segment: an ACK without payload; payload that the capture has whole;
        # payload of which the snap length cuts some off.
        self.plain_acks: bool = False
        self.plain_text: bool = False
        self.plain_cut: bool = False
        self.is_cut: bool = False  # whether the capture lacks some octets of this end's last payload
        self.is_uneven: bool = False  # whether an ACK of the other end may reveal a gap, as Zeek counts gaps
        self.last: int = 0
        self.shift: int = UNKNOWN
        self.fin: int = UNKNOWN  # sequence number after this end's FIN
        self.syns: int = 0
        self.resets: int = 0
        self.syn_flags: int = 0
        self.zero_windows: int = 0
        self.offer: options.Bearer | None = None  # options of this end's SYN

    def take_syn(self, octets: bytes, start: int, end: int, flags: int) -> None:
        """Keep the options of a SYN, as far as they can be read.

        A capture may have cut some options off, and options may contradict each other. Of several SYNs
        before the connection is open, the last one counts.
        """
        if self.offer is not None and self.connection.opened != UNKNOWN:
            return
        self.offer = read_offer(octets[start:end])
        self.syn_flags = flags
        self.shift = max(self.offer.window_scale, 0)

    @property
    def missing(self) -> int:
        """Number of octets that the other end acknowledged and that the capture doesn't have."""
        return self.missing_before(self.other.ack)


class Before(NamedTuple):
    """Earlier connection between the same ends.

    ``when`` is the time of its last packet, in microseconds, and ``closing`` is how it ended.
    """

    when: int
    closing: Closing


class Connection:
    """TCP connection of a capture. Times are microseconds since 1970.

    ``ends`` are the opener and the other end. ``number`` counts connections from 1, in the order of their
    first packets.
    """

    __slots__ = (
        "_phases",
        "_stage",
        "before",
        "began",
        "copies",
        "early",
        "ends",
        "fins_cross",
        "first_fin",
        "is_forgotten",
        "is_told",
        "is_watched",
        "lingers",
        "merged",
        "number",
        "opened",
        "reset_by",
        "round_trip",
        "speaks_on",
        "syn_ack_last",
        "syn_acked",
        "syn_last",
        "syn_sent",
        "zeek",
    )

    def __init__(self, number: int, opener: Endpoint, other: Endpoint, now: int, *, flipped: bool) -> None:
        """Begin at ``now`` with the first packet; ``flipped`` if the other end, not the opener, sent it."""
        self.number: int = number
        self.ends: tuple[End, End] = (End(opener, 0), End(other, 1))
        for one, two in (self.ends, self.ends[::-1]):
            one.connection = self
            one.other = two
            one.last = now
        self.before: Before | None = None
        self.began: int = now
        self.syn_sent: int = UNKNOWN
        self.syn_last: int = UNKNOWN  # time of the latest SYN before the handshake was complete
        self.syn_acked: int = UNKNOWN
        self.syn_ack_last: int = UNKNOWN
        self.opened: int = UNKNOWN  # time when the handshake was complete
        self.round_trip: int = 0  # microseconds from the last SYN to the handshake's ACK; 0 without both
        self._stage: int = _OTHERWISE
        self._phases: int = 0  # bits of `completeness`
        self.first_fin: End | None = None
        self.early: str | None = None  # what became of TCP Fast Open: asked, given, sent, accepted, refused
        self.merged: bool = False  # whether the second FIN acknowledged the first
        self.fins_cross: bool = False
        self.reset_by: End | None = None
        self.speaks_on: bool = False  # whether the end that sent the RST sent another segment after it
        # Number of packets that the capture recorded a second time, such as at a mirror port
        self.copies: int = 0
        self.zeek: Zeek = Zeek(flipped=flipped)
        self.is_watched: bool = False  # whether `Table.closer` gets the segments of this connection
        self.lingers: bool = False  # whether the connection is over, and kept only for late segments
        self.is_told: bool = False
        self.is_forgotten: bool = False

    def release(self) -> None:
        """Remove the references that would keep the connection in memory until the garbage collector runs.

        Called when the table no longer has the connection, and everything about it was printed or kept.
        Afterwards its ends have neither ``connection`` nor ``other``.
        """
        for end in self.ends:
            del end.connection, end.other

    def take(self, end: End, seq: int, ack: int, flags: int, window: int, length: int, now: int) -> Sight:
        """Process a segment that changes more than counters. Its options have been read before.

        Returns what the segment is, compared with the segments before it.
        """
        if flags & SYN:
            self._take_syn(end, seq, flags, now)
            self._take_fast_open(end, ack, flags, length)
        sight = end.see(seq, flags, length, end.other, self.round_trip or AT_ONCE, now)
        self._complete(end, flags, length)
        if flags & ACK:
            self._take_ack(end, ack, flags, length, window, now)
        if sight is not OUTSIDE:
            self._take_end(end, seq, flags, length)
        if not flags & RST:
            end.window = window
        if not flags & (SYN | FIN | RST) and not window and end.fin == UNKNOWN:
            end.zero_windows += 1
        return sight

    # Methods for the usual segments that open and close a connection. They do what `take` and `Zeek.take` do,
    # but faster, because the segments before are known. A method that returns False has called `catch_up` at
    # most, which the long way calls, too.

    def take_first_syn(self, end: End, seq: int, flags: int, window: int, now: int) -> None:
        """Take a SYN without data that is the first segment of all. Its options have been read before."""
        end.syns = 1
        end.is_known = True
        end.first = end.low = seq
        end.next = seq + 1 & MASK
        end.next_at = self.syn_sent = self.syn_last = now
        end.window = window
        self._phases = HAS_SYN
        if end.offer is not None and end.offer.other:
            self._take_fast_open(end, 0, flags, 0)
        self.zeek.take_first_syn(seq)
        self._stage = _SYN_SENT

    def expects_syn_ack(self, end: End, ack: int) -> bool:
        """Return whether `take_syn_ack` may process a SYN,ACK, because only the opener's SYN came before."""
        return self._stage == _SYN_SENT and end.side == 1 and ack == end.other.next

    def take_syn_ack(self, end: End, seq: int, ack: int, flags: int, window: int, now: int) -> None:
        """Take a SYN,ACK without data that answers the first SYN. Its options have been read before."""
        end.syns = 1
        end.is_known = True
        end.first = end.low = seq
        end.next = seq + 1 & MASK
        end.next_at = end.ack_at = self.syn_acked = self.syn_ack_last = now
        end.ack = ack
        end.window = window
        self._phases |= HAS_SYN_ACK
        if self.early is not None:
            self._take_fast_open(end, ack, flags, 0)
        self.zeek.take_syn_ack(seq)
        self._stage = _SYN_ACKED

    def _take_opening_ack(self, end: End, ack: int, now: int) -> None:
        """Take the ACK that completes the handshake. `Table` counts the packet and its octets afterwards."""
        self._stage = _OTHERWISE
        self.opened = now
        self.round_trip = now - self.syn_last
        self._phases |= HAS_ACK
        self.zeek.take_next(end.side, has_text=False)
        end.ack = ack
        end.ack_at = now
        # Unlike any real window, so that the next ACK doesn't count as a duplicate of this one
        end.window = UNKNOWN
        end.plain_acks = True

    def begin_short_way(self, end: End, ack: int, captured: int, length: int, size: int, now: int) -> bool:
        """Process what the first segment with data, or the first ACK, of an end changes beside counters.

        Afterwards `Table` counts this segment, and the ones after it, on the short way. The segment is the
        next in order, without SYN, FIN or RST. ``length`` is that of its data, ``size`` that of its IP
        packet, of which ``captured`` octets are in the capture. Returns False where the segment has to go the
        long way.
        """
        other, has_text, is_cut = end.other, length > 0, size > captured
        if captured < (_LEAST if len(end.endpoint.address) == 4 else _LEAST_6):
            return False  # the long way counts it as cut
        if self._stage == _SYN_ACKED and not has_text and end.side == 0 and ack == other.next:
            self._take_opening_ack(end, ack, now)
            return True
        if (
            self.opened == UNKNOWN
            or self.copies
            or end.ack == UNKNOWN
            or other.next - ack & MASK > WIDEST
            # The first cut segment of an end is a finding
            or (is_cut and has_text and self.is_watched and not end.is_cut)
            or not (has_text or sequence.gt(ack, end.ack))  # it may be a copy
            or not self.zeek.is_open()
        ):
            return False
        self.catch_up()
        if self._is_special():
            return False
        self.zeek.take_next(end.side, has_text=has_text)
        self._phases |= HAS_DATA if has_text else HAS_ACK
        if has_text:
            end.is_cut = is_cut
        self.allow_short_way(end, ACK)
        return True

    def take_fin(self, end: End, seq: int, ack: int, window: int, now: int) -> bool:
        """Process the first FIN of an end. Returns False where `take` has to process it instead.

        The FIN is the next in order, and has no data.
        """
        other = end.other
        if (
            self.opened == UNKNOWN
            or self.copies
            or end.ack == UNKNOWN
            or other.next - ack & MASK > WIDEST
            or not self.zeek.may_take_fin(end.side)
        ):
            return False
        self.catch_up()
        if end.fin != UNKNOWN or self._is_special():
            return False
        self.zeek.take_fin(end.side, seq, ack)
        self._phases |= HAS_FIN | HAS_ACK
        if other.fin != UNKNOWN:
            self.fins_cross = sequence.lt(ack, other.fin)
            self.merged = not self.fins_cross and not end.has_acknowledged(other.fin)
        end.next = end.fin = seq + 1 & MASK
        end.next_at = now
        end.window = window
        self.first_fin = self.first_fin or end
        self._raise_ack(end, ack, now)
        self.allow_short_way(end, ACK)
        return True

    def take_last_ack(self, end: End, seq: int, ack: int, window: int, now: int) -> bool:
        """Process an ACK after both FINs. Returns False where `take` has to process it instead.

        The ACK has no data, is the next in order, and acknowledges more than before.
        """
        other = end.other
        if (
            UNKNOWN in (self.opened, end.fin, other.fin, end.ack)
            or self.reset_by is not None
            or self.copies
            or other.probe != UNKNOWN
            or other.next - ack & MASK > WIDEST
            or not sequence.gt(ack, end.ack)
            or not self.zeek.may_take_last_ack(end.side, seq)
        ):
            return False
        self.zeek.take_last_ack(end.side, ack)
        self._phases |= HAS_ACK
        self._raise_ack(end, ack, now)
        end.window = window
        return True

    def _raise_ack(self, end: End, ack: int, now: int) -> None:
        """If an ACK acknowledges more, store its number and time, and reset the count of duplicate ACKs."""
        if sequence.gt(ack, end.ack):
            end.ack = ack
            end.ack_at = now
            end.duplicates = 0

    def allow_short_way(self, end: End, flags: int) -> None:
        """Decide whether the next segment of ``end`` may take the short way, which only changes counters."""
        one, two = self.ends
        if self._is_special():
            one.plain_acks = one.plain_text = one.plain_cut = False
            two.plain_acks = two.plain_text = two.plain_cut = False
            return
        is_plain = flags & (SYN | ACK) == ACK and end.ack != UNKNOWN and end.window > 0
        has_text = is_plain and self.zeek.has_noted(end.side, "d")
        end.plain_text = has_text and not end.is_cut
        end.plain_cut = has_text and end.is_cut
        end.plain_acks = is_plain and self.zeek.has_noted(end.side, "a")
        if self.copies:  # an ACK may be a copy of a packet, and `Table` finds copies only on the long way
            one.plain_acks = two.plain_acks = False
        one.is_uneven = one.is_cut or self.zeek.has_gap(0)
        two.is_uneven = two.is_cut or self.zeek.has_gap(1)

    def _is_special(self) -> bool:
        """Return whether any segment may change more than counters, so that it needs the long way.

        That is so while the connection opens, after a RST or both FINs, while a window is closed, and where
        Zeek has another highest sequence number.
        """
        one, two = self.ends
        return (
            self.opened == UNKNOWN != self.syn_acked
            or self.reset_by is not None
            or one.fin != UNKNOWN != two.fin
            or one.window == 0
            or two.window == 0
            or one.probe != UNKNOWN
            or two.probe != UNKNOWN
            or not self.zeek.is_at(0, one.next)
            or not self.zeek.is_at(1, two.next)
        )

    def acknowledge(self, end: End, ack: int, now: int) -> None:
        """Process a new acknowledgement number of ``end``, from a segment that took the short way."""
        other = end.other
        if other.next - ack & MASK > WIDEST:  # the capture lacks data, or has it only later
            self._acknowledge_unseen(end, ack, now)
        elif ack - end.ack & MASK < HALF:
            end.ack = ack
            end.ack_at = now
            end.duplicates = 0
            if other.is_uneven:
                self._catch_up(other)
                self.zeek.acknowledge(end.side, ack)

    def _acknowledge_unseen(self, end: End, ack: int, now: int) -> None:
        """Process an ACK of data that the capture lacks, or has only later."""
        self.catch_up()
        self.zeek.acknowledge(end.side, ack)
        if sequence.gt(ack, end.ack) and self.believes(end, ack):
            end.ack = ack
            end.ack_at = now
            end.duplicates = 0
        self.allow_short_way(end, ACK)

    def catch_up(self) -> None:
        """Tell ``zeek`` of data that took the short way. Called before a segment that takes the long way."""
        self._stage = _OTHERWISE
        one, two = self.ends
        if one.plain_text or one.plain_cut:
            self.zeek.catch_up(0, one.next, is_whole=one.plain_text)
        if two.plain_text or two.plain_cut:
            self.zeek.catch_up(1, two.next, is_whole=two.plain_text)

    def _catch_up(self, end: End) -> None:
        """Tell ``zeek`` of one end's data that took the short way."""
        if end.plain_text or end.plain_cut:
            self.zeek.catch_up(end.side, end.next, is_whole=end.plain_text)

    def _complete(self, end: End, flags: int, length: int) -> None:
        """Set the bits of `completeness` for a segment, as tshark does.

        A segment with data doesn't set the bit of the ACK. Data in a segment without ACK and SYN sets no bit,
        nor do FIN and RST beside a SYN.
        """
        if length and flags & (SYN | ACK):
            self._phases |= HAS_DATA
        if flags & SYN:
            self._phases |= HAS_SYN_ACK if flags & ACK else HAS_SYN
            return
        if flags & ACK and not length:
            self._phases |= HAS_ACK
        if flags & FIN:
            self._phases |= HAS_FIN
        if flags & RST:
            self._phases |= HAS_RST

    def _take_syn(self, end: End, seq: int, flags: int, now: int) -> None:
        """Count a SYN, and store its sequence number and time.

        While the connection isn't open, the sequence numbers of this end begin anew with the SYN: segments
        before it belonged to an earlier connection, or were challenge ACKs (RFC 9293, 3.5.1, figure 10).
        """
        end.syns += 1
        is_opening = self.opened == UNKNOWN or self.reset_by is not None
        if is_opening and (not end.is_known or seq != end.first):
            end.begin(seq, flags, end.other)
            end.fin = end.other.ack = UNKNOWN
        if not flags & ACK:
            self.syn_sent = now if self.syn_sent == UNKNOWN else self.syn_sent
            self.syn_last = now
        elif is_opening:
            self.syn_acked = now if self.syn_acked == UNKNOWN else self.syn_acked
            self.syn_ack_last = now

    def believes(self, end: End, ack: int) -> bool:
        """Return whether an ACK of ``end`` is about this connection.

        Before the connection is open, only an ACK that covers the other end's SYN is (RFC 9293, 3.10.7.3).
        """
        other = end.other
        if other.next == UNKNOWN:
            return True
        if other.is_known and self.opened == UNKNOWN:
            return sequence.lt(other.first, ack) and sequence.le(ack, other.next)
        return abs(sequence.offset(ack, other.next)) <= WIDEST

    def _take_ack(self, end: End, ack: int, flags: int, length: int, window: int, now: int) -> None:
        """Process the ACK of a segment that took the long way."""
        if not self.believes(end, ack):
            return
        other = end.other
        if UNKNOWN == self.opened != self.syn_acked and other.syns and not flags & (SYN | RST):
            self.opened = now
            self.round_trip = now - self.syn_last if self.syn_last != UNKNOWN else 0
        if flags & FIN and end.fin == UNKNOWN and other.fin != UNKNOWN:
            self.fins_cross = sequence.lt(ack, other.fin)
            self.merged = not self.fins_cross and not end.has_acknowledged(other.fin)
        if ack == end.ack:
            end.duplicates += not length and not flags & (SYN | FIN | RST) and window == end.window
        elif end.ack == UNKNOWN or (sequence.gt(ack, end.ack) and not flags & RST):
            end.ack = ack
            end.ack_at = now
            end.duplicates = 0
            other.accept_probe(ack)

    def _take_end(self, end: End, seq: int, flags: int, length: int) -> None:
        """Store which end sent a FIN or RST; forget a RST if both ends send further segments after it."""
        if flags & FIN and end.fin == UNKNOWN:
            end.fin = sequence.add(seq, length + (flags & SYN != 0) + 1)
            self.first_fin = self.first_fin or end
        if flags & RST:
            end.resets += 1
            if self.reset_by is None and not self.is_closed_by_fins:
                self.reset_by = end
                self.speaks_on = False
        elif self.reset_by is end:
            self.speaks_on = True
        elif self.reset_by is not None and self.speaks_on:
            self.reset_by = None  # both ends went on: the RST was forged, or it answered an old segment

    @property
    def last(self) -> int:
        """Time of the latest segment, in microseconds."""
        return max(end.last for end in self.ends)

    @property
    def completeness(self) -> int:
        """Phases that the capture has, as tshark's ``tcp.completeness``: the sum of HAS_SYN to HAS_RST.

        As in tshark, 0 for a connection with a single packet, unless that packet is a SYN.
        """
        has_one = self.ends[0].packets + self.ends[1].packets == 1
        return 0 if has_one and not self._phases & HAS_SYN else self._phases

    @property
    def is_closed_by_fins(self) -> bool:
        """Whether both ends sent a FIN, and both FINs were acknowledged."""
        one, two = self.ends
        return (
            one.fin != UNKNOWN != two.fin and one.has_acknowledged(two.fin) and two.has_acknowledged(one.fin)
        )

    @property
    def is_over(self) -> bool:
        """Whether no more segments are expected: the connection was refused, reset, or closed by FINs."""
        return self.closing in _OVER

    @property
    def closing(self) -> Closing:
        """How the connection ended, as far as the capture tells."""
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
        """Return how the connection ended, given that ``end`` reset it."""
        if end.side and self.opened == self.syn_acked == UNKNOWN != self.syn_sent:
            return Closing.REFUSED
        return Closing.RESET_BY_OTHER if end.side else Closing.RESET_BY_OPENER

    @property
    def handshake_time(self) -> int:
        """Microseconds from the first SYN to the handshake's ACK; UNKNOWN where one of the two is missing."""
        return UNKNOWN if UNKNOWN in (self.syn_sent, self.opened) else self.opened - self.syn_sent

    def agreed(self) -> list[str]:
        """Return the options in force, as ``mss=1460/1400 ws=7/5 sack ts ecn``, the opener's number first."""
        one, two = (end.offer for end in self.ends)
        if one is None or two is None:
            return []
        words = [*_agreed_options(one, two), *self._agreed_ecn(), *_agreed_signatures(one, two)]
        if self.early is not None:
            words.append(f"tfo={self.early}")
        return words

    @property
    def has_agreed_on_ecn(self) -> bool:
        """Whether both ends offered ECN (RFC 3168), not its accurate kind."""
        return "ecn" in self._agreed_ecn()

    def _agreed_ecn(self) -> list[str]:
        """Return the kind of ECN that the flags AE, CWR and ECE of both SYNs agree on.

        RFC 3168, 6.1.1 and RFC 9768, 3.1.1 define these flags.
        """
        asked, answered = (end.syn_flags & (AE | CWR | ECE) for end in self.ends)
        if asked == AE | CWR | ECE and answered not in (0, ECE, AE | CWR | ECE):
            return ["accecn"]
        return ["ecn"] if asked & (CWR | ECE) == CWR | ECE and answered == ECE else []

    def _take_fast_open(self, end: End, ack: int, flags: int, length: int) -> None:
        """Follow TCP Fast Open (RFC 7413, 4).

        Either the opener asks for a cookie and gets one, or it sends a cookie with data, which the other end
        accepts or refuses.
        """
        cookie = end.offer.fast_open if end.offer is not None else None
        if not flags & ACK:
            if cookie is not None:
                self.early = "asked" if not cookie else ("sent" if length else None)
        elif self.early == "asked" and cookie:
            self.early = "given"
        elif self.early == "sent":
            self.early = "accepted" if sequence.gt(ack, sequence.add(end.other.first, 1)) else "refused"


@lru_cache(256)  # most offers are shared: `read_offer`
def _agreed_options(one: options.Bearer, two: options.Bearer) -> list[str]:
    """Return the options other than signatures on which two SYNs agree."""
    words = [f"mss={_number(one.mss)}/{_number(two.mss)}"]
    if ABSENT not in (one.window_scale, two.window_scale):
        words.append(f"ws={one.window_scale}/{two.window_scale}")
    words += ["sack"] * (one.sack_permitted and two.sack_permitted)
    words += ["ts"] * (ABSENT not in (one.tsval, two.tsval))
    return words


@lru_cache(256)
def _agreed_signatures(one: options.Bearer, two: options.Bearer) -> list[str]:
    """Return the kinds of signatures, and multipath TCP, that are in both SYNs."""
    return [word for word, kind in _SIGNED.items() if all(kind in _kinds(offer) for offer in (one, two))]


def _kinds(offer: options.Bearer) -> frozenset[int]:
    """Return the kinds of the options that `options.read` doesn't know."""
    return frozenset(kind for kind, _ in offer.other)


def _number(value: int) -> str:
    """Return an MSS as text, or "-" if the SYN had no such option."""
    return "-" if value == ABSENT else str(value)
