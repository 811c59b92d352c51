"""More Accurate ECN feedback: RFC 9768. Counters instead of a bit, so that each mark is heard of, and none
twice.

The receiver counts packets with CE, and octets by their mark; ``r_…`` are its counters. Three bits of the
first travel on every segment (the ACE field), 24 bits of the others in an option where there is room. ``s_…``
is the sender's idea of the peer's counters.
"""

from typing import Final

from postel.tcp.ecn import CE, ECT_0, ECT_1, NOT_ECT, Ecn, ace, flags_of
from postel.wire.segment import ABSENT, CWR, Segment

ORDER_0: Final = 172  # E0B, CEB, E1B
ORDER_1: Final = 174  # E1B, CEB, E0B
WHOLE: Final = 12  # octets of an option with all its fields, and the NOP that fills its words
_SHORT: Final = 8  # of one with up to two

_FIELD: Final = 3
_FIELD_MASK: Final = 0xFFFFFF
_E0B: Final = 1
_CEB: Final = 2
_E1B: Final = 4
_BOTH_ENDS: Final = _E0B | _E1B  # of the orders: it takes the whole option to tell them
_ORDERS: Final = {ORDER_0: (_E0B, _CEB, _E1B), ORDER_1: (_E1B, _CEB, _E0B)}

# How a SYN,ACK, and the ACK of one, say which mark their SYN arrived with (tables 2 and 3)
_REFLECTIONS: Final = {NOT_ECT: 0b010, ECT_1: 0b011, ECT_0: 0b100, CE: 0b110}
_MARKED: Final = 0b110
_MANGLED: Final = (
    0b011,
    0b100,
    0b110,
)  # we send SYNs and SYN,ACKs as Not-ECT: the path changed that (3.2.2.3)

_MARKS_WITH_TEXT: Final = 2  # CE marks until an ACK is due, with text that waits for one
_MARKS_WITHOUT: Final = 3  # and with none, so that ACKs of ACKs die down
_STRETCHES: Final = 4  # segments an ACK on average: from here on a jump of eight says nothing
_ROUNDS: Final = 4  # in which each packet came marked: that is no congestion


class Accurate(Ecn):
    may_mark: bool  # of the base class: type checkers want a declaration in each class that writes it

    def __init__(self, iss: int) -> None:
        super().__init__(iss)
        self.r_cep: int = 5  # RFC9768-3.2, as the next seven
        self.r_ceb: int = 0
        self.r_e0b: int = 1
        self.r_e1b: int = 1
        self.s_cep: int = 5
        self.s_ceb: int = 0
        self.s_e0b: int = 1
        self.s_e1b: int = 1
        self.is_deaf: bool = False  # what the peer tells of marks counts for nothing
        self.ignores_options: bool = False
        self.mark_of_syn: int = NOT_ECT  # of the latest SYN or SYN,ACK that arrived
        self._has_counted_syn = False
        self._marks_since_ack = 0
        self._was_marked = False  # the segment before
        self._changed = 0  # which octet counters ever did
        self._pending = 0  # and which since the last option
        self._has_option = False  # one arrived
        self._has_sent_text = False
        self._smallest = _FIELD_MASK  # octets of text in a segment of ours
        self._stretch = 0  # segments that an ACK covers, an average times eight
        self._all_marked = True
        self._rounds = 0

    # The handshake

    def hears_syn(self, mark: int) -> None:
        """A SYN, the latest: the SYN,ACK will say how it arrived, so that r.cep needn't count it
        (3.2.2.2).
        """
        self.mark_of_syn = mark

    def hears_syn_ack(self, mark: int) -> None:
        """A SYN,ACK, again perhaps."""
        self.mark_of_syn = mark
        if mark == CE and not self._has_counted_syn:  # once, as the peer counts it (3.2.2.2)
            self._has_counted_syn = True
            self.r_cep += 1

    def reflection(self) -> int:
        """The mark of the SYN or SYN,ACK as flags."""
        return flags_of(_REFLECTIONS[self.mark_of_syn])  # RFC9768-3.1.1

    def hears_reflection(self, reflection: int, *, counts: bool) -> bool:
        """How our SYN or SYN,ACK arrived. Whether congestion marked it."""
        if reflection in _MANGLED:  # 3.2.2.3: still feed back, and still respond
            self.may_mark = False
        if reflection == _MARKED and counts:
            self.s_cep += 1
        return reflection == _MARKED

    def turns_deaf(self) -> None:
        """The peer isn't in this mode, or its feedback can't be trusted. It gets ours all the same."""
        self.may_mark = False
        self.is_deaf = True

    def introduce(self, segment: Segment, room: int) -> None:
        """A whole option on a SYN,ACK, to see whether the path lets it through."""
        if room >= WHOLE:
            segment.other += ((ORDER_0, self._fields(_ORDERS[ORDER_0])),)

    def introduces_itself(self) -> None:
        """The first ACK carries a whole option too."""
        self._pending = _E0B | _CEB | _E1B

    # Receiving data

    def arrives(self, segment: Segment, *, has_unacked: bool) -> bool:
        marked = segment.packets if segment.ecn == CE else 0
        self.count(segment.ecn, len(segment.data))
        self.r_cep += marked  # RFC9768-3.2
        self._marks_since_ack += marked
        changes = marked > 0 and not self._was_marked and len(segment.data) > 0
        self._was_marked = marked > 0
        limit = _MARKS_WITH_TEXT if has_unacked else _MARKS_WITHOUT
        return changes or self._marks_since_ack >= limit  # RFC9768-3.2.2.5

    def count(self, mark: int, octets: int) -> None:
        """Text that arrived; not that of a SYN."""
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

    # Telling

    @property
    def may_burst(self) -> bool:
        """Not while that bit of the ACE field is set: each packet must carry all three."""
        return not flags_of(self.r_cep) & CWR

    def write(self, segment: Segment, room: int, *, is_new: bool) -> None:
        is_bare = not segment.data and not segment.sack
        if self.wants_bare_ack and is_bare:
            segment.flags |= self.reflection()  # RFC9768-3.2.2, table 3
            self.wants_bare_ack = False
        else:
            segment.flags |= flags_of(self.r_cep)  # RFC9768-3.2.2; never CWR for its own sake (3.1.5)
        self._marks_since_ack = 0
        if (
            is_new and self.may_mark
        ):  # RFC9768-3.1.5; control packets and retransmissions stay as RFC 3168 has them (4)
            segment.ecn = ECT_0
        if (
            not segment.data or is_new
        ):  # 3.2.3.2.2: a retransmission goes without, in case it was the option that didn't pass
            self._write_option(segment, room, is_first=is_new and not self._has_sent_text)
        if is_new:
            self._has_sent_text = True
            self._smallest = min(self._smallest, segment.stride or len(segment.data))

    def _write_option(self, segment: Segment, room: int, *, is_first: bool) -> None:
        """RFC9768-3.2.3.3: whenever a counter moved; all that ever moved where they fit, else those that
        moved since, else nothing.
        """
        if not self._pending and not is_first:
            return
        kind = ORDER_1 if self._changed & _BOTH_ENDS == _E1B else ORDER_0
        order = _ORDERS[kind]
        for wanted in (self._changed | self._pending | order[0], self._pending):
            fields = order[: _last_of(wanted, order)]
            if (5 + _FIELD * len(fields)) & ~3 <= room:  # in whole words
                segment.other += ((kind, self._fields(fields)),)
                self._pending = self.wants_room = 0
                return

    def _fields(self, fields: tuple[int, ...]) -> bytes:
        """RFC9768-3.2.3: the lowest 24 bits of each."""
        counters = {_E0B: self.r_e0b, _CEB: self.r_ceb, _E1B: self.r_e1b}
        return b"".join([(counters[field] & _FIELD_MASK).to_bytes(_FIELD, "big") for field in fields])

    # Hearing

    def heed(self, segment: Segment, acked: int, smss: int, *, is_newer: bool) -> int:
        if self.is_deaf or not (acked or is_newer):  # a superseded ACK would turn the counters back (A.1)
            return 0
        marked_octets = self.read_option(segment)
        packets = -(-acked // smss)
        least = (ace(segment.flags) - self.s_cep) & 7
        self._stretch = self._stretch or 8 * packets
        marks = self._safest(least, packets, marked_octets, smss)
        if (
            marked_octets > 0 and least == 0 and marked_octets < 8 * self._smallest
        ):  # 3.2.3.2.5: eight marks would be more octets
            self.may_mark = False
        self.s_cep += marks
        if acked:
            self._stretch += packets - self._stretch // 8
        told = marked_octets if marked_octets > 0 else min(marks * smss, max(acked, smss))
        self._all_marked = self._all_marked and told >= acked
        return told

    def _safest(self, least: int, packets: int, marked_octets: int, smss: int) -> int:
        """How many marks: three bits may have wrapped while ACKs were missing (3.2.2.5.2, A.2)."""
        if packets <= least or not self.may_mark:
            return least
        safer = packets - (packets - least) % 8
        if marked_octets == ABSENT:
            return safer if self._stretch < 8 * _STRETCHES else least
        return least if marked_octets <= smss * least and 2 * marked_octets < smss * safer else safer

    def read_option(self, segment: Segment) -> int:
        """The octets newly marked by CE, as an option tells them; ABSENT where none does."""
        for kind, value in segment.other:
            if kind in _ORDERS and len(value) >= _FIELD and not self.ignores_options:
                return self._read_fields(_ORDERS[kind], value)
        return ABSENT

    def _read_fields(self, order: tuple[int, ...], value: bytes) -> int:
        """RFC9768-3.2.3: as many whole fields as there are."""
        is_first, self._has_option = not self._has_option, True
        marked = 0
        for field, at in zip(order, range(0, len(value) - _FIELD + 1, _FIELD), strict=False):
            told = int.from_bytes(value[at : at + _FIELD], "big")
            if field == _CEB:
                marked = (told - self.s_ceb) & _FIELD_MASK
                self.s_ceb += marked
            elif is_first and told == 0:  # 3.2.3.2.4: no receiver begins there
                self.ignores_options = True
                return ABSENT
            elif field == _E0B:
                self.s_e0b += (told - self.s_e0b) & _FIELD_MASK
            else:
                self.s_e1b += (told - self.s_e1b) & _FIELD_MASK
        return marked

    def reduced(self, snd_max: int) -> None:
        """Marks on everything for some rounds are the work of a broken router (3.2.2.3)."""
        super().reduced(snd_max)
        self._rounds += self.newly_marked > 0
        if self._rounds >= _ROUNDS and self._all_marked:
            self.turns_deaf()


def _last_of(wanted: int, order: tuple[int, ...]) -> int:
    """How many fields of the order it takes to tell those wanted."""
    return max([count for count, field in enumerate(order, 1) if field & wanted], default=0)
