"""Accurate ECN feedback: counters of marks instead of a flag (RFC 9768).

Theory of operation. With classic ECN the sender learns that something was marked in a round trip, but not how
much. Here the receiver counts, and reports its counters again and again, so no mark is missed and none is
counted twice::

    sender                                          receiver
      │ ── data, ECT(0) ──► router: CE ───────────────► │  r.cep += 1 packet, r.ceb += its octets
      │ ── data, ECT(0) ──────────────────────────────► │  r.e0b += its octets
      │ ◄── ACK: ACE = r.cep mod 8, perhaps an option── │
      │  newly marked packets = (ACE - s.cep) mod 8     │
      │  s.cep += that, cwnd is reduced                 │

    counter  counts                    reported as
    r.cep    packets with CE           3 bits (the flags AE, CWR and ECE: the ACE field) on every segment
    r.ceb    octets of data with CE    ┐
    r.e0b    octets with ECT(0)        ├ 24 bits each, in the AccECN option, where the segment has room
    r.e1b    octets with ECT(1)        ┘

``r_cep`` and so on are what we received and report to the peer; ``s_cep`` and so on is what the peer has
reported to us of what we sent. They begin at 5, 0, 1 and 1, not all at 0, so that a middlebox that clears the
fields is found out.

Three bits wrap after eight marks. Where ACKs were lost, or the peer acknowledges many segments at once, the
true difference may be 8, 16, … packets more. `_safest` decides by the number of acknowledged packets and by
the option, where there is one.

The handshake uses the three bits otherwise: the SYN,ACK reports how the SYN arrived, and the ACK of the
SYN,ACK reports how the SYN,ACK arrived (`reflection`). If a middlebox changed their ECN field, data isn't
sent as ECN-capable.
"""

from typing import Final

from postel.tcp.ecn import CE, ECT_0, ECT_1, NOT_ECT, Ecn, ace, flags_of
from postel.wire.segment import ABSENT, CWR, Segment

# The two kinds of the option, which differ in the order of their fields
ORDER_0: Final = 172  # E0B, CEB, E1B
ORDER_1: Final = 174  # E1B, CEB, E0B
WHOLE: Final = 12  # octets of an option with all three fields, and a NOP to fill its words
_SHORT: Final = 8  # octets of an option with one or two fields, likewise

_FIELD: Final = 3  # octets of one field of the option
_FIELD_MASK: Final = 0xFFFFFF
_E0B: Final = 1
_CEB: Final = 2
_E1B: Final = 4
_BOTH_ENDS: Final = _E0B | _E1B  # first and last field of either order: to report both takes the whole option
_ORDERS: Final = {ORDER_0: (_E0B, _CEB, _E1B), ORDER_1: (_E1B, _CEB, _E0B)}

# ACE fields by which a SYN,ACK reports the ECN field of the SYN, and by which the ACK of a SYN,ACK reports
# the ECN field of the SYN,ACK (tables 2 and 3)
_REFLECTIONS: Final = {NOT_ECT: 0b010, ECT_1: 0b011, ECT_0: 0b100, CE: 0b110}
_MARKED: Final = 0b110  # the report of CE
# We send SYNs and SYN,ACKs as Not-ECT. Each of these reports says that the path changed that (3.2.2.3).
_MANGLED: Final = (0b011, 0b100, 0b110)

_MARKS_WITH_TEXT: Final = 2  # marked packets until an ACK is due at once, while data waits for an ACK
_MARKS_WITHOUT: Final = 3  # marked packets while no data waits: more, so that ACKs of ACKs come to an end
_STRETCHES: Final = 4  # if an ACK covers so many segments on average, one of eight isn't a sign of lost ACKs
_ROUNDS: Final = 4  # reductions with every packet marked, after which the marks are taken for a fault


class Accurate(Ecn):
    """Accurate feedback of one connection.

    ``r_cep``, ``r_ceb``, ``r_e0b`` and ``r_e1b`` count what arrived; ``s_cep`` to ``s_e1b`` follow the peer's
    counters. ``is_deaf`` says that the peer's reports are ignored, because the peer isn't in this mode or
    can't be trusted; the peer still gets our reports. ``ignores_options`` says that the peer's options are
    ignored, and only the ACE field counts. ``mark_of_syn`` is the ECN field of the latest SYN or SYN,ACK that
    arrived.
    """

    may_mark: bool  # of the base class: type checkers want a declaration in each class that writes it

    def __init__(self, iss: int) -> None:
        """Create the state of a connection with the initial sequence number ``iss``."""
        super().__init__(iss)
        self.r_cep: int = 5  # RFC9768-3.2 has the first value of this and the next seven counters
        self.r_ceb: int = 0
        self.r_e0b: int = 1
        self.r_e1b: int = 1
        self.s_cep: int = 5
        self.s_ceb: int = 0
        self.s_e0b: int = 1
        self.s_e1b: int = 1
        self.is_deaf: bool = False
        self.ignores_options: bool = False
        self.mark_of_syn: int = NOT_ECT
        self._has_counted_syn = False  # r.cep counts the mark of the SYN,ACK
        self._marks_since_ack = 0  # packets that arrived with CE since our last segment
        self._was_marked = False  # the last segment arrived with CE
        self._changed = 0  # fields of octet counters that ever changed
        self._pending = 0  # fields that changed since the last option was sent
        self._has_option = False  # an option has arrived
        self._has_sent_text = False  # data has been sent
        self._smallest = _FIELD_MASK  # octets in the smallest data segment that was sent
        self._stretch = 0  # average of segments that an ACK covers, times eight
        self._all_marked = True  # the peer reported everything that it acknowledged as marked
        self._rounds = 0  # reductions after marks

    # The handshake

    def hears_syn(self, mark: int) -> None:
        """Keep the mark of a SYN, which the SYN,ACK will report; r.cep doesn't count it (3.2.2.2)."""
        self.mark_of_syn = mark

    def hears_syn_ack(self, mark: int) -> None:
        """Keep the mark of a SYN,ACK, and count it the first time."""
        self.mark_of_syn = mark
        if mark == CE and not self._has_counted_syn:  # once, because the peer counts it once (3.2.2.2)
            self._has_counted_syn = True
            self.r_cep += 1

    def reflection(self) -> int:
        """Return flags that report the mark of the SYN or SYN,ACK that arrived."""
        return flags_of(_REFLECTIONS[self.mark_of_syn])  # RFC9768-3.1.1

    def hears_reflection(self, reflection: int, *, counts: bool) -> bool:
        """Process the peer's report of how our SYN or SYN,ACK arrived; return whether it arrived with CE.

        ``counts`` says that the peer's r.cep includes that mark, so that our s.cep must include it, too.
        """
        if reflection in _MANGLED:  # RFC 9768, 3.2.2.3: still feed back, and still respond
            self.may_mark = False
        if reflection == _MARKED and counts:
            self.s_cep += 1
        return reflection == _MARKED

    def turns_deaf(self) -> None:
        """Ignore the peer's reports from now on, and send data as not ECN-capable.

        Called when the peer isn't in this mode, or its reports can't be trusted. The peer still gets our
        reports.
        """
        self.may_mark = False
        self.is_deaf = True

    def introduce(self, segment: Segment, room: int) -> None:
        """Add a whole option to a SYN,ACK, to find out whether the path lets options through."""
        if room >= WHOLE:
            segment.other += ((ORDER_0, self._fields(_ORDERS[ORDER_0])),)

    def introduces_itself(self) -> None:
        """Let the first ACK carry a whole option, for the same reason as `introduce`."""
        self._pending = _E0B | _CEB | _E1B

    # Counting what arrives

    def arrives(self, segment: Segment, *, has_unacked: bool) -> bool:
        """Count a segment's packets and octets by mark, and return whether an ACK is due at once.

        An ACK is due at a marked packet that follows an unmarked one, and after two or three marked packets.
        """
        marked = segment.packets if segment.ecn == CE else 0
        self.count(segment.ecn, len(segment.data))
        self.r_cep += marked  # RFC9768-3.2
        self._marks_since_ack += marked
        changes = marked > 0 and not self._was_marked and len(segment.data) > 0
        self._was_marked = marked > 0
        limit = _MARKS_WITH_TEXT if has_unacked else _MARKS_WITHOUT
        return changes or self._marks_since_ack >= limit  # RFC9768-3.2.2.5

    def count(self, mark: int, octets: int) -> None:
        """Count ``octets`` of data that arrived with ``mark`` in the ECN field."""
        if not octets or mark == NOT_ECT:
            return
        if mark == CE:
            self.r_ceb += octets
            field = _CEB
        elif mark == ECT_0:
            self.r_e0b += octets
            field = _E0B
        else:
            self.r_e1b += octets
            field = _E1B
        self._changed |= field
        self._pending |= field
        self.wants_room = WHOLE if self._changed & _BOTH_ENDS == _BOTH_ENDS else _SHORT

    # Reporting to the peer

    @property
    def may_burst(self) -> bool:
        """Whether the link may cut a large segment into packets: not while the ACE field has CWR's bit set.

        Each packet must carry all three bits, and such a link keeps CWR on the first packet only.
        """
        return not flags_of(self.r_cep) & CWR

    def write(self, segment: Segment, room: int, *, is_new: bool) -> None:
        """Write the ACE field, and where there is room the option; new data is sent with ECT(0)."""
        is_bare = not segment.data and not segment.sack
        if self.wants_bare_ack and is_bare:
            segment.flags |= self.reflection()  # RFC9768-3.2.2, table 3
            self.wants_bare_ack = False
        else:
            segment.flags |= flags_of(self.r_cep)  # RFC9768-3.2.2; CWR is only a bit of ACE here (3.1.5)
        self._marks_since_ack = 0
        # RFC9768-3.1.5. As RFC 3168 says, retransmissions and segments without data aren't ECT (RFC 9768, 4).
        if is_new and self.may_mark:
            segment.ecn = ECT_0
        # RFC 9768, 3.2.3.2.2: a retransmission has no option, in case a middlebox drops packets with options.
        if not segment.data or is_new:
            self._write_option(segment, room, is_first=is_new and not self._has_sent_text)
        if is_new:
            self._has_sent_text = True
            self._smallest = min(self._smallest, segment.stride or len(segment.data))

    def _write_option(self, segment: Segment, room: int, *, is_first: bool) -> None:
        """Add an option where a counter changed since the last one (RFC9768-3.2.3.3).

        The option has all fields that ever changed, where they fit. Otherwise the option has the fields that
        changed since the last option, or isn't sent if these don't fit either.
        """
        if not self._pending and not is_first:
            return
        kind = ORDER_1 if self._changed & _BOTH_ENDS == _E1B else ORDER_0
        order = _ORDERS[kind]
        for wanted in (self._changed | self._pending | order[0], self._pending):
            fields = order[: _last_of(wanted, order)]
            if (5 + _FIELD * len(fields)) & ~3 <= room:  # rounded up to whole words
                segment.other += ((kind, self._fields(fields)),)
                self._pending = self.wants_room = 0
                return

    def _fields(self, fields: tuple[int, ...]) -> bytes:
        """Return the lowest 24 bits of each of these counters (RFC9768-3.2.3)."""
        counters = {_E0B: self.r_e0b, _CEB: self.r_ceb, _E1B: self.r_e1b}
        return b"".join([(counters[field] & _FIELD_MASK).to_bytes(_FIELD, "big") for field in fields])

    # Reports of the peer

    def heed(self, segment: Segment, acked: int, smss: int, *, is_newer: bool) -> int:
        """Return how many octets an ACK newly reports as marked, and follow the peer's counters."""
        if self.is_deaf or not (acked or is_newer):  # an ACK that was overtaken has older counters (A.1)
            return 0
        marked_octets = self.read_option(segment)
        packets = -(-acked // smss)
        least = (ace(segment.flags) - self.s_cep) & 7
        self._stretch = self._stretch or 8 * packets
        marks = self._safest(least, packets, marked_octets, smss)
        # RFC 9768, 3.2.3.2.5: the option reports marked octets, ACE no marked packet. ACE can't have wrapped,
        # because 8 packets would be more octets. So the path seems to change ACE.
        if marked_octets > 0 and least == 0 and marked_octets < 8 * self._smallest:
            self.may_mark = False
        self.s_cep += marks
        if acked:
            self._stretch += packets - self._stretch // 8
        told = marked_octets if marked_octets > 0 else min(marks * smss, max(acked, smss))
        self._all_marked = self._all_marked and told >= acked
        return told

    def _safest(self, least: int, packets: int, marked_octets: int, smss: int) -> int:
        """Return how many packets were newly marked, ``least`` or 8, 16, … more (3.2.2.5.2, A.2).

        The three bits may have wrapped while ACKs were missing. ``packets`` is about how many the ACK covers.
        Without an option the larger number is assumed, unless ACKs usually cover many segments. With an
        option, the number that fits the option's octets is taken.
        """
        if packets <= least or not self.may_mark:
            return least
        safer = packets - (packets - least) % 8
        if marked_octets == ABSENT:
            return safer if self._stretch < 8 * _STRETCHES else least
        return least if marked_octets <= smss * least and 2 * marked_octets < smss * safer else safer

    def read_option(self, segment: Segment) -> int:
        """Return the octets newly marked with CE according to the option; ABSENT where there is none."""
        for kind, value in segment.other:
            if kind in _ORDERS and len(value) >= _FIELD and not self.ignores_options:
                return self._read_fields(_ORDERS[kind], value)
        return ABSENT

    def _read_fields(self, order: tuple[int, ...], value: bytes) -> int:
        """Read all whole fields of an option (RFC9768-3.2.3); return the octets newly marked, or ABSENT."""
        is_first, self._has_option = not self._has_option, True
        marked = 0
        for field, at in zip(order, range(0, len(value) - _FIELD + 1, _FIELD), strict=False):
            told = int.from_bytes(value[at : at + _FIELD], "big")
            if field == _CEB:
                marked = (told - self.s_ceb) & _FIELD_MASK
                self.s_ceb += marked
            elif is_first and told == 0:  # RFC 9768, 3.2.3.2.4: it begins at 1, a middlebox cleared it
                self.ignores_options = True
                return ABSENT
            elif field == _E0B:
                self.s_e0b += (told - self.s_e0b) & _FIELD_MASK
            else:
                self.s_e1b += (told - self.s_e1b) & _FIELD_MASK
        return marked

    def reduced(self, snd_max: int) -> None:
        """Note a reduction of cwnd.

        If for four reductions all packets arrived marked, that is a fault of the path and no congestion
        (3.2.2.3).
        """
        super().reduced(snd_max)
        self._rounds += self.newly_marked > 0
        if self._rounds >= _ROUNDS and self._all_marked:
            self.turns_deaf()


def _last_of(wanted: int, order: tuple[int, ...]) -> int:
    """Return how many fields of this order an option must have to contain those wanted."""
    return max([count for count, field in enumerate(order, 1) if field & wanted], default=0)
