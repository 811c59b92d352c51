"""Half-open connection as a small record from which it can be made again (RFC 4987, 3.5).

A half-open connection is a function of its SYN, of when the SYN arrived, of how often the SYN,ACK was sent
again, and of the few things that repeated SYNs and refused segments change. A `Remains` record holds only
these. `restore` gives the same SYN to a new connection, and drops the segments that this connection makes,
because the old connection has sent them. The observer isn't told again.
"""

from struct import Struct
from typing import Final, NamedTuple

from postel.tcp.connection import Connection
from postel.tcp.ecn import NOT_ECT
from postel.tcp.ecn.accurate import Accurate
from postel.tcp.tcb import Tcb
from postel.tcp.timers import RETRANSMISSION
from postel.wire import options
from postel.wire.address import Endpoint
from postel.wire.options import ABSENT, PACKED, Bearer
from postel.wire.segment import Segment

# Most retransmissions of the SYN,ACK of a connection that can be restored: restoring repeats each of them.
# The default timers allow half as many
MOST_RETRANSMISSIONS: Final = 15
MOST_COUNTED: Final = 0xFFFF  # segments in each direction: a connection with more can't be restored
_SYN: Final = Struct("!IHHB")  # SEQ, window, flags, ECN field of the IP header; options follow

_MAY_MARK: Final = 0x01  # bits of `Changes.bits`
_IS_TIMING: Final = 0x02
_MARK_AT: Final = 2  # two bits: the ECN field of the latest SYN
_ASKS_AT: Final = 4  # three bits: the ECN flags of the latest SYN that had any
_FLAGS_AT: Final = 6  # the lowest bit of the ECN flags among a segment's flags
_MOST_ANSWERS: Final = 0xFF  # most ECN answers that are recorded; only whether there were a few matters


def packed(syn: Segment) -> bytes:
    """Return what LISTEN reads of ``syn`` as octets, without payload and options that mean nothing there.

    The options take 24 octets at most in any layout: MSS 4, window scale 4, SACK permitted 2, timestamps 10,
    user timeout 4.
    """
    read = Bearer(syn.tsval, syn.tsecr)
    read.mss, read.window_scale, read.sack_permitted = syn.mss, syn.window_scale, syn.sack_permitted
    user_timeout = options.user_timeout_in(syn.other)
    if user_timeout != ABSENT:
        read.other = (options.user_timeout(user_timeout),)
    return _SYN.pack(syn.seq, syn.window, syn.flags, syn.ecn) + options.encode(read, PACKED)


def unpacked(octets: bytes, local: Endpoint, remote: Endpoint) -> Segment:
    """Return the SYN from ``remote`` to ``local`` that `packed` turned into ``octets``."""
    number, window, flags, mark = _SYN.unpack_from(octets)
    syn = Segment(remote.port, local.port, number, 0, flags, window)
    syn.ecn = mark
    options.read(octets, _SYN.size, len(octets), syn, syn=True)
    return syn


class Changes(NamedTuple):
    """Effects of repeated SYNs and refused segments on a half-open connection, beside its retransmissions."""

    challenge_after: int
    keep_alives_until: int
    window: int  # RCV.WND: an ACK may advertise more than a SYN,ACK can, because a SYN's field isn't scaled
    segments_arrived: int
    segments_sent: int
    throttled: int
    answers: int
    bits: int

    @staticmethod
    def of(tcb: Tcb) -> "Changes | None":
        """Return the changes of a connection, or None where nothing but its SYN has arrived."""
        if tcb.counts.segments_arrived == 1:
            return None
        bits = tcb.opening.syn_asks >> _FLAGS_AT << _ASKS_AT
        if tcb.rtt.is_timing:
            bits |= _IS_TIMING
        if tcb.ecn is not None:
            mark = tcb.ecn.mark_of_syn if isinstance(tcb.ecn, Accurate) else NOT_ECT
            bits |= mark << _MARK_AT | (_MAY_MARK if tcb.ecn.may_mark else 0)
        answers = 0 if tcb.ecn is None else min(tcb.ecn.answers, _MOST_ANSWERS)
        return Changes(
            tcb.rcv.challenge_after,
            tcb.rcv.keep_alives_until,
            tcb.rcv.wnd,
            tcb.counts.segments_arrived,
            tcb.counts.segments_sent,
            tcb.counts.throttled,
            answers,
            bits,
        )

    @property
    def fit(self) -> bool:
        """Whether a record has room for the counters."""
        return max(self.segments_arrived, self.segments_sent, self.throttled) <= MOST_COUNTED

    def repeat(self, tcb: Tcb) -> None:
        """Make the same changes in a connection that has just got the SYN."""
        rcv, counts = tcb.rcv, tcb.counts
        rcv.challenge_after, rcv.keep_alives_until = self.challenge_after, self.keep_alives_until
        counts.segments_arrived, counts.segments_sent, counts.throttled = (
            self.segments_arrived,
            self.segments_sent,
            self.throttled,
        )
        tcb.rcv.offer(self.window)
        tcb.opening.syn_asks = self.bits >> _ASKS_AT << _FLAGS_AT
        if not self.bits & _IS_TIMING:
            tcb.rtt.forget()
        if tcb.ecn is not None:
            tcb.ecn.answers = self.answers
            tcb.ecn.may_mark = self.bits & _MAY_MARK != 0
            if isinstance(tcb.ecn, Accurate):
                tcb.ecn.hears_syn(self.bits >> _MARK_AT & 3)


class Remains(NamedTuple):
    """Record from which a half-open connection is restored.

    ``arrived`` is when the SYN arrived, and ``syn`` is the SYN as octets, made by `packed`.
    ``retransmissions`` counts those of the SYN,ACK, and ``deadline`` is when the next retransmission is due.
    """

    arrived: int
    retransmissions: int
    syn: bytes
    changes: Changes | None
    deadline: int


def can_be_restored(connection: Connection) -> bool:
    """Whether the connection could be made again as it is now."""
    tcb = connection._tcb
    config, again = tcb.config, tcb.snd.retransmissions
    # A restored connection queues Trouble for R1 again. Other events, of ICMP errors, would be lost
    troubles = int(config.reports and again >= config.r1)
    is_idle = tcb.owes == 0 and tcb.resets is None and tcb.rcv.duplicate is None
    if not is_idle or len(tcb.events) != troubles or again > MOST_RETRANSMISSIONS:
        return False
    changes = Changes.of(tcb)
    return changes is None or changes.fit


def remains_of(connection: Connection, syn: Segment, arrived: int) -> Remains:
    """Return the record of a connection that `can_be_restored`.

    The connection is used no more: the restored one repeats its events.
    """
    tcb = connection._tcb
    tcb.events = ()
    return Remains(arrived, tcb.snd.retransmissions, packed(syn), Changes.of(tcb), connection.next_timeout())


def restore(connection: Connection, remains: Remains, syn: Segment) -> None:
    """Bring a new connection to the state of the old one; ``syn`` is `unpacked` from ``remains``."""
    tcb, now = connection._tcb, remains.arrived
    observer, tcb.observer = tcb.observer, None
    connection.open_passive(now)
    connection.segment_arrives(syn, now)
    _drain(connection, now)
    for _ in range(remains.retransmissions):
        now = connection.next_timeout()
        connection.handle_timeout(now)
        _drain(connection, now)
    if remains.changes is not None:
        remains.changes.repeat(tcb)
    tcb.timers.start(RETRANSMISSION, remains.deadline)  # the old timer may have expired late
    tcb.observer = observer


def _drain(connection: Connection, now: int) -> None:
    """Drop the segments that wait to be sent."""
    while connection.next_segment(now) is not None:
        pass
