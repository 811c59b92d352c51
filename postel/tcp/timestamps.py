"""Timestamps of RFC 7323: the clock, PAWS (5) and round-trip times from echoes (4)."""

from typing import Final

from postel.tcp import challenge, seq
from postel.tcp.recovery.undo import NO_ECHO
from postel.tcp.state import TIME_WAIT
from postel.tcp.tcb import Tcb
from postel.tcp.timewait import is_bare_syn
from postel.times import MILLISECOND, SECOND
from postel.wire.segment import ABSENT, ACK, RST, Segment

TICK: Final = MILLISECOND  # RFC7323-5.4: 1 ms to 1 s
_OLDEST_ECHO: Final = 600 * SECOND  # no round trip takes longer; an older echo is a lie (BAD-TS-2)


def clock(tcb: Tcb, now: int) -> int:
    """TSval: milliseconds, from a start of each pair's own (RFC7323-7)."""
    return seq.add(tcb.timestamps.offset, now // TICK)


def admits(tcb: Tcb, segment: Segment, now: int) -> bool:
    """Step 0, before the sequence check: PAWS (RFC7323-5.3a)."""
    timestamps = tcb.timestamps
    if not timestamps.agreed or segment.flags & RST:  # EP-PAWS-4, RFC7323-5.2a
        return True
    if (
        segment.tsval == ABSENT
    ):  # EP-PAWS-1, RFC7323-3.2c; before ESTABLISHED it may be a sign (`handshake.heed_stripping`)
        if tcb.state is TIME_WAIT and is_bare_syn(
            segment
        ):  # of a new connection, for which nothing is agreed
            return tcb.config.time_wait_challenge
        return not (tcb.snd.syn_is_acked and tcb.config.timestamps_required)
    if seq.ge(segment.tsval, timestamps.recent):
        return True
    if now - timestamps.recent_at > tcb.config.paws_idle:  # EP-PAWS-3, RFC7323-5.5
        timestamps.recent = segment.tsval
        return True
    challenge.owe(tcb, segment, now)  # EP-PAWS-2
    return False


def remember(tcb: Tcb, segment: Segment, now: int) -> bool:
    """TS.Recent follows the segment that our last ACK asked for (EP-PAWS-5, RFC7323-4.3a).

    After the ACK check, not before it as RFC 7323 draws it: a segment with an impossible ACK field must not
    poison TS.Recent.
    """
    timestamps = tcb.timestamps
    if not timestamps.agreed or segment.tsval == ABSENT:
        return True
    timestamps.echoed = segment.tsecr
    if seq.le(segment.seq, timestamps.last_ack_sent) and seq.ge(segment.tsval, timestamps.recent):
        timestamps.recent = segment.tsval
        timestamps.recent_at = now
    return True


def follow_duplicate(tcb: Tcb, segment: Segment, now: int) -> None:
    """TS.Recent follows an old duplicate that ends at RCV.NXT too, as it does in kernels, where RFC 7323,
    5.3, asks for the window.

    Most likely our ACK was lost. Else the next one would echo the first transmission, and the peer take its
    timeout for a round trip. PAWS stays as strict as it was: neither an older timestamp nor an impossible ACK
    field moves TS.Recent.
    """
    snd = tcb.snd
    if seq.add(segment.seq, segment.len) != tcb.rcv.nxt or not segment.flags & ACK or not tcb.is_synchronized:
        return
    if seq.le(segment.ack, snd.max) and seq.ge(segment.ack, seq.add(snd.una, -snd.max_wnd)):
        remember(tcb, segment, now)


def round_trip(tcb: Tcb, segment: Segment, now: int) -> int:
    """What the echo in an ACK of new data says (RFC7323-4.1), in microseconds; ABSENT where it says nothing
    credible.

    Nor does it say anything where a timer expired since: the ACK may be one of the retransmission (RFC 4015,
    3.1, step 11).
    """
    echo = echoed(tcb, segment, now)
    return ABSENT if echo == NO_ECHO or echo < tcb.rtt.since // TICK else (now // TICK - echo) * TICK


def echoed(tcb: Tcb, segment: Segment, now: int) -> int:
    """The tick, ``now // TICK`` as it was, of the timestamp that a segment echoes; NO_ECHO where it echoes
    nothing credible.
    """
    if not tcb.timestamps.agreed or segment.tsecr in (ABSENT, 0):
        return NO_ECHO
    age = seq.offset(clock(tcb, now), segment.tsecr)
    return now // TICK - age if 0 <= age <= min(now, _OLDEST_ECHO) // TICK else NO_ECHO
