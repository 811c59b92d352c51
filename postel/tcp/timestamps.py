"""Timestamps option (RFC 7323): its clock, PAWS (section 5), and round-trip times from echoes (section 4)."""

from typing import Final

from postel.tcp import challenge, seq
from postel.tcp.recovery.undo import NO_ECHO
from postel.tcp.state import TIME_WAIT
from postel.tcp.tcb import Tcb
from postel.tcp.timewait import is_bare_syn
from postel.times import MILLISECOND, SECOND
from postel.wire.segment import ABSENT, ACK, RST, Segment

TICK: Final = MILLISECOND  # RFC7323-5.4 allows 1 ms to 1 s
_OLDEST_ECHO: Final = 600 * SECOND  # no round trip takes longer; an older echo is forged (BAD-TS-2)


def clock(tcb: Tcb, now: int) -> int:
    """Return TSval: milliseconds, from a random start for each pair of endpoints (RFC7323-7)."""
    return seq.add(tcb.timestamps.offset, now // TICK)


def admits(tcb: Tcb, segment: Segment, now: int) -> bool:
    """Check that the timestamp isn't old (PAWS, RFC7323-5.3a); return whether to go on.

    A segment with an old timestamp is answered with an ACK, if the limits of `challenge` allow one. This
    check comes before the first check of RFC 9293, 3.10.7.4.
    """
    timestamps = tcb.timestamps
    if not timestamps.agreed or segment.flags & RST:  # EP-PAWS-4, RFC7323-5.2a
        return True
    # EP-PAWS-1, RFC7323-3.2c. While our SYN isn't acknowledged, a segment without the option is accepted: a
    # middlebox may have removed the option from our SYN,ACK (`handshake.heed_stripping`)
    if segment.tsval == ABSENT:
        # A SYN that asks for a new connection, for which timestamps aren't agreed on
        if tcb.state is TIME_WAIT and is_bare_syn(segment):
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
    """Set TS.Recent from the segment that our last ACK asked for (EP-PAWS-5, RFC7323-4.3a). Always go on.

    RFC 7323 does this before the ACK check. Here it comes after, so that a segment with an impossible ACK
    field can't set TS.Recent.
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
    """Set TS.Recent from an old duplicate that ends at RCV.NXT, too, as kernels do.

    RFC 7323, 5.3, requires that a segment lies in the window. But most likely our ACK of this segment was
    lost, and the peer's retransmission timeout sent it again. Without the new TS.Recent our next ACK would
    echo the first transmission, and the peer would measure that timeout as a round trip. PAWS stays as
    strict: neither an older timestamp nor an impossible ACK field sets TS.Recent.
    """
    snd = tcb.snd
    if seq.add(segment.seq, segment.len) != tcb.rcv.nxt or not segment.flags & ACK or not tcb.is_synchronized:
        return
    if seq.le(segment.ack, snd.max) and seq.ge(segment.ack, seq.add(snd.una, -snd.max_wnd)):
        remember(tcb, segment, now)


def round_trip(tcb: Tcb, segment: Segment, now: int) -> int:
    """Return the round trip in microseconds from the echo in an ACK of new data (RFC7323-4.1), or ABSENT.

    The result is ABSENT where the echo isn't credible, and where a timer has expired since the echoed time:
    the ACK may then answer the retransmission (RFC 4015, 3.1, step 11).
    """
    echo = echoed(tcb, segment, now)
    return ABSENT if echo == NO_ECHO or echo < tcb.rtt.since // TICK else (now // TICK - echo) * TICK


def echoed(tcb: Tcb, segment: Segment, now: int) -> int:
    """Return when we sent the timestamp that ``segment`` echoes, in ticks of ``now // TICK``, or NO_ECHO."""
    if not tcb.timestamps.agreed or segment.tsecr in (ABSENT, 0):
        return NO_ECHO
    age = seq.offset(clock(tcb, now), segment.tsecr)
    return now // TICK - age if 0 <= age <= min(now, _OLDEST_ECHO) // TICK else NO_ECHO
