"""The SYN cache (RFC 4987, 3.5): half-open connections as small records, where there are very many. Of a flood hardly one is answered.

A half-open connection is a function of its SYN, of when that arrived, of how often the SYN,ACK went again, and of the few things
that repeated SYNs and refused segments change. A record keeps these alone, some 220 octets of memory in all over IPv4. When a segment
or the timer needs the connection, it is made again: it hears the SYN once more, and what it answers is dropped, for it was sent before.
"""

from struct import Struct
from typing import Final, NamedTuple

from postel.host.records import Records
from postel.tcp.connection import Connection
from postel.tcp.ecn import NOT_ECT
from postel.tcp.ecn.accurate import Accurate
from postel.tcp.tcb import Tcb
from postel.tcp.timers import RETRANSMISSION
from postel.wire import options
from postel.wire.options import ABSENT, PACKED, Bearer
from postel.wire.segment import Segment

MOST_RETRANSMISSIONS: Final = 15  # twice as many as come of the default timers; to go through them all again is work
MOST_COUNTED: Final = 0xFFFF  # segments either way: a connection with more stays one
_HEAD: Final = Struct("!IQB")  # the fields of a record before its changes and its SYN
_CHANGES: Final = Struct("!QQIHHHBB")
_SYN: Final = Struct("!IHHB")  # SEQ, window, flags, ECN field of the IP header; options follow

_CHANGED: Final = 0x80  # beside the retransmissions: the changes follow
_MAY_MARK: Final = 0x01  # bits of `Changes.bits`
_IS_TIMING: Final = 0x02
_MARK_AT: Final = 2  # two bits: the ECN field of the latest SYN
_ASKS_AT: Final = 4  # three bits: the ECN flags of the latest SYN that had any
_FLAGS_AT: Final = 6  # where these are among a segment's flags
_MOST_ANSWERS: Final = 0xFF  # what counts is whether there were more than a few


def packed(syn: Segment) -> bytes:
    """What LISTEN reads of ``syn``, as octets: neither its text nor options that mean nothing there.

    The options take 24 octets at most in any layout: MSS 4, window scale 4, SACK permitted 2, timestamps 10, user timeout 4.
    """
    read = Bearer(syn.tsval, syn.tsecr)
    read.mss, read.window_scale, read.sack_permitted = syn.mss, syn.window_scale, syn.sack_permitted
    user_timeout = options.user_timeout_in(syn.other)
    if user_timeout != ABSENT:
        read.other = (options.user_timeout(user_timeout),)
    return _SYN.pack(syn.seq, syn.window, syn.flags, syn.ecn) + options.encode(read, PACKED)


def unpacked(octets: bytes, key: bytes) -> Segment:
    """The SYN that `packed` made ``octets`` of; the ports stand in the ``key`` of its connection."""
    number, window, flags, mark = _SYN.unpack_from(octets)
    source, destination = int.from_bytes(key[-4:-2], "big"), int.from_bytes(key[-2:], "big")
    syn = Segment(source, destination, number, 0, flags, window)
    syn.ecn = mark
    options.read(octets, _SYN.size, len(octets), syn, syn=True)
    return syn


class Changes(NamedTuple):
    """What repeated SYNs and refused segments have changed in a half-open connection, beside its retransmissions."""

    challenge_after: int
    keep_alives_until: int
    window: int  # RCV.WND: an ACK can tell a larger one than a SYN,ACK, because a SYN's field isn't scaled
    segments_arrived: int
    segments_sent: int
    throttled: int
    answers: int
    bits: int

    @staticmethod
    def of(tcb: Tcb) -> "Changes | None":
        """None where nothing but the SYN has arrived: then there are none."""
        if tcb.segments_arrived == 1:
            return None
        bits = tcb.syn_asks >> _FLAGS_AT << _ASKS_AT
        if tcb.rtt.is_timing:
            bits |= _IS_TIMING
        if tcb.ecn is not None:
            mark = tcb.ecn.mark_of_syn if isinstance(tcb.ecn, Accurate) else NOT_ECT
            bits |= mark << _MARK_AT | (_MAY_MARK if tcb.ecn.may_mark else 0)
        answers = 0 if tcb.ecn is None else min(tcb.ecn.answers, _MOST_ANSWERS)
        return Changes(
            tcb.challenge_after,
            tcb.keep_alives_until,
            tcb.rcv.wnd,
            tcb.segments_arrived,
            tcb.segments_sent,
            tcb.throttled,
            answers,
            bits,
        )

    @property
    def fit(self) -> bool:
        """Whether a record has room for them."""
        return max(self.segments_arrived, self.segments_sent, self.throttled) <= MOST_COUNTED

    def repeat(self, tcb: Tcb) -> None:
        """Make them in a connection that has just heard the SYN."""
        tcb.challenge_after, tcb.keep_alives_until, tcb.throttled = self.challenge_after, self.keep_alives_until, self.throttled
        tcb.segments_arrived, tcb.segments_sent = self.segments_arrived, self.segments_sent
        tcb.rcv.wnd = self.window
        tcb.syn_asks = self.bits >> _ASKS_AT << _FLAGS_AT
        if not self.bits & _IS_TIMING:
            tcb.rtt.forget()
        if tcb.ecn is not None:
            tcb.ecn.answers = self.answers
            tcb.ecn.may_mark = self.bits & _MAY_MARK != 0
            if isinstance(tcb.ecn, Accurate):
                tcb.ecn.hears_syn(self.bits >> _MARK_AT & 3)


class HalfOpenRecord(NamedTuple):
    """``listener`` is its number, ``arrived`` when the ``syn`` did, as `packed` made it; ``retransmissions`` of the SYN,ACK, and when
    the next is due."""

    listener: int
    arrived: int
    retransmissions: int
    syn: bytes
    changes: Changes | None
    deadline: int

    def replay(self, child: Connection, syn: Segment) -> None:
        """Repeat to a new child all that the old one went through. Its observer was told of it then, and isn't told again."""
        tcb, now = child.tcb, self.arrived
        observer, tcb.observer = tcb.observer, None
        child.open_passive(now)
        child.segment_arrives(syn, now)
        _drain(child, now)
        for _ in range(self.retransmissions):
            now = child.next_timeout()
            child.handle_timeout(now)
            _drain(child, now)
        if self.changes is not None:
            self.changes.repeat(tcb)
        tcb.timers.start(RETRANSMISSION, self.deadline)  # the old one's may have been late
        tcb.observer = observer


def _drain(child: Connection, now: int) -> None:
    while child.next_segment(now) is not None:
        pass


class SynCache(Records):
    """All of a host."""

    __slots__ = ()

    def keep(self, key: bytes, record: HalfOpenRecord) -> None:
        changes = b"" if record.changes is None else _CHANGES.pack(*record.changes)
        again = record.retransmissions | (_CHANGED if changes else 0)
        self.put(key, record.deadline, _HEAD.pack(record.listener, record.arrived, again) + changes + record.syn)

    def claim(self, key: bytes) -> HalfOpenRecord:
        """Out of the cache: it is a child again."""
        content = self.content(key)
        listener, arrived, again = _HEAD.unpack_from(content)
        start, changes = _HEAD.size, None
        if again & _CHANGED:
            changes = Changes(*_CHANGES.unpack_from(content, start))
            start += _CHANGES.size
        record = HalfOpenRecord(listener, arrived, again & ~_CHANGED, content[start:], changes, self.deadline(key))
        self.discard(key)
        return record

    def forget(self, listener: int) -> None:
        """The listener of this number is closed."""
        for key in [key for key in self if self._listener(key) == listener]:
            self.discard(key)

    def _listener(self, key: bytes) -> int:
        return int.from_bytes(self.content(key)[:4], "big")
