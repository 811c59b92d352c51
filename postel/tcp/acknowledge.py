"""ACK field of an acceptable segment (RFC 9293, 3.10.7.4, fifth check).

An ACK frees octets of the send buffer, measures a round trip, shows losses to recovery, and carries the
peer's window.
"""

from postel.tcp import loss_timers, orphan, pathmtu, seq, timestamps, tuning, usertimeout, window
from postel.tcp.recovery import STAY
from postel.tcp.recovery.undo import NO_ECHO
from postel.tcp.seq import NO_SEQUENCE
from postel.tcp.state import CLOSED
from postel.tcp.tcb import Tcb
from postel.tcp.timers import PERSIST
from postel.wire.segment import ABSENT, FIN, SYN, Segment


def advance(tcb: Tcb, segment: Segment, now: int) -> None:
    """Process an ACK that advances SND.UNA: SND.UNA < SEG.ACK <= SND.MAX (EP-ACK-5)."""
    snd = tcb.snd
    flight, is_open = snd.flight, snd.syn_is_acked
    acked = seq.distance(snd.una, segment.ack)
    freed = snd.advance(segment.ack)
    if freed:
        tcb.counts.octets_acknowledged += freed
        tcb.give_back(freed)
    _measure(tcb, segment, now)
    snd.retransmissions = 0
    snd.window_probes = 0
    if is_open:  # the ACK of our SYN doesn't grow the congestion window (RFC5681-3.1b)
        recovery = tcb.ensure_recovery()
        was_in_use = (
            not recovery.is_active and 2 * max(flight, recovery.flight) >= tcb.ensure_controller().window
        )
        _tell_recovery(tcb, segment, acked, now, is_duplicate=False, was_in_use=was_in_use)
    if tcb.path.search is not None or tcb.path.tried_end != NO_SEQUENCE:
        pathmtu.acknowledged(tcb, now)
    if snd.una == snd.max:
        tcb.timers.stop_loss_timers()  # RFC6298-5.2
        usertimeout.stop(tcb)
        tcb.timers.release()
    elif not tcb.timers.is_running(PERSIST) and not (tcb.recovery is not None and tcb.recovery.keeps_timer):
        loss_timers.restart(tcb, now)  # RFC6298-5.3
        usertimeout.restart(tcb, now)
    if snd.wants_room:
        if tcb.rcv.is_released:
            orphan.made_progress(tcb, now)
        else:
            tuning.tell_of_room(tcb)


def repeat(tcb: Tcb, segment: Segment, now: int) -> None:
    """Process an ACK that doesn't advance SND.UNA: SEG.ACK <= SND.UNA (EP-ACK-6).

    Such an ACK may be a duplicate ACK, which indicates a loss (RFC5681-2a), or carry SACK blocks
    (RFC2018-5a).
    """
    has_flight = tcb.snd.flight > 0
    # RFC2018-4a: a SACK option that wasn't agreed on means nothing
    has_blocks = has_flight and tcb.sack_agreed and len(segment.sack) > 0
    is_duplicate = has_flight and _is_duplicate(tcb, segment, has_blocks=has_blocks)
    if is_duplicate or has_blocks:
        _tell_recovery(tcb, segment, 0, now, is_duplicate=is_duplicate, was_in_use=False)
        if not tcb.timers.is_running(PERSIST):
            loss_timers.settle(tcb, now)
    elif tcb.ecn is not None and tcb.ecn.newly_marked:
        recovery = tcb.ensure_recovery()
        recovery.sample.is_window_limited = False
        recovery.sample.marked = tcb.ecn.newly_marked
        recovery.on_bare_mark(now)


def is_in_flight(tcb: Tcb, number: int) -> bool:
    """Whether the octet with this sequence number was sent and isn't acknowledged (RFC5927-4.1)."""
    return tcb.state is not CLOSED and tcb.snd.is_in_flight(number)


def has_more(tcb: Tcb) -> bool:
    """Whether a full segment of new payload waits and fits into the peer's window."""
    return min(tcb.snd.buffer.size, tcb.snd.wnd) - tcb.snd.flight >= tcb.ensure_controller().smss


def _is_duplicate(tcb: Tcb, segment: Segment, *, has_blocks: bool) -> bool:
    """Whether the ACK is a duplicate ACK: bare, same number, and same window or SACK blocks (RFC 5681, 2)."""
    if segment.ack != tcb.snd.una or segment.data or segment.flags & (SYN | FIN):
        return False
    if tcb.timers.is_running(PERSIST):  # the answer to a window probe isn't a duplicate ACK
        return False
    return has_blocks or scaled_window(tcb, segment) == tcb.snd.wnd


def _tell_recovery(
    tcb: Tcb, segment: Segment, acked: int, now: int, *, is_duplicate: bool, was_in_use: bool
) -> None:
    """Give the ACK to recovery, and move SND.NXT if recovery says so (`Tcb.turn`)."""
    recovery = tcb.ensure_recovery()
    recovery.sample.is_window_limited = was_in_use
    recovery.sample.marked = 0 if tcb.ecn is None else tcb.ecn.newly_marked
    more = recovery.timeout_test.is_running and has_more(tcb)
    echo = timestamps.echoed(tcb, segment, now) if recovery.is_wary else NO_ECHO
    was_active = recovery.is_active
    recovery.on_ack(segment, tcb.snd.una, acked, echo, now, is_duplicate=is_duplicate, has_more=more)
    if recovery.turn != STAY:
        tcb.turn()
    if recovery.is_active != was_active and tcb.observer is not None:
        tcb.observer.decided(tcb.local, tcb.remote, "recovered" if was_active else "recovery", now)


def update_window(tcb: Tcb, segment: Segment, now: int) -> None:
    """Update the send window, if no newer segment has done so (EP-ACK-8, RFC9293-3.8.6-1)."""
    snd = tcb.snd
    if seq.le(snd.wl2, segment.ack) if snd.wl1 == segment.seq else seq.lt(snd.wl1, segment.seq):
        snd.hear_window(scaled_window(tcb, segment), segment.seq, segment.ack)
    if tcb.timers.is_running(PERSIST):
        usertimeout.stop(tcb)  # MUST-37: a peer that answers probes is alive
        window.watch(tcb, now)
    elif snd.wnd == 0:
        window.watch(tcb, now)


def scaled_window(tcb: Tcb, segment: Segment) -> int:
    """Return SEG.WND in octets (RFC7323-2.3a), unsigned (MUST-1); never scaled in a SYN (RFC7323-2.2c)."""
    return segment.window if segment.flags & SYN else segment.window << tcb.snd.shift


def _measure(tcb: Tcb, segment: Segment, now: int) -> None:
    """Measure a round trip, from the timed segment or from a timestamp that the peer echoed (RFC6298-3a).

    An echoed timestamp is also right for a retransmitted segment, because it shows which transmission
    arrived.
    """
    rtt = tcb.rtt
    if rtt.is_timing:
        if seq.ge(segment.ack, rtt.timed):
            rtt.stop(now)
            rtt.round_end = tcb.snd.max
        return
    # RFC7323-4.2: one sample in a round trip, as the weights of the estimator assume
    if seq.le(segment.ack, rtt.round_end):
        return
    # A retransmitted SYN measures nothing: the SYN cache doesn't keep the time at which it was sent, and the
    # peer may have retransmitted its SYN,ACK, too
    if tcb.snd.retransmissions and not rtt.smoothed:
        return
    measured = timestamps.round_trip(tcb, segment, now)
    if measured != ABSENT:
        rtt.sample(measured)
        rtt.round_end = tcb.snd.max
