"""ECN marks of an open connection: where its `Ecn` meets the Tcb.

Nothing here is called where the handshake agreed on no ECN.
"""

from typing import Final

from postel.tcp import loss_timers, seq
from postel.tcp.ecn import Ecn
from postel.tcp.tcb import OWES_ACK, Tcb
from postel.tcp.timers import PACING, PERSIST
from postel.wire import options
from postel.wire.segment import ABSENT, Segment

_TIMESTAMPS: Final = 12  # octets of the Timestamps option with its NOPs
_TWO_BLOCKS: Final = 2  # SACK blocks that go before the AccECN option (RFC9768-3.2.3.3)


def heed(tcb: Tcb, ecn: Ecn, segment: Segment, now: int) -> None:
    """Process the ECN marks that an acceptable ACK reports, before the ACK is processed otherwise.

    Congestion control answers all marks of one round trip once.
    """
    acked = max(0, seq.offset(segment.ack, tcb.snd.una))
    controller = tcb.ensure_controller()
    ecn.newly_marked = ecn.heed(
        segment, acked, controller.smss, is_newer=acked > 0 or _is_newer(tcb, segment)
    )
    is_unanswered = seq.gt(segment.ack, ecn.reduced_at)  # RFC3168-5a
    if is_unanswered:
        # ``reduced_at`` follows SEG.ACK, because a number 2**31 octets back would compare as one ahead.
        ecn.reduced_at = seq.add(segment.ack, -1)
    if not ecn.newly_marked:
        return
    recovery = tcb.ensure_recovery()
    if controller.window <= controller.smss:
        _hold(tcb, ecn, now)
    elif is_unanswered and not recovery.is_active:  # RFC3168-6.1.2a: recovery has reduced cwnd already
        recovery.on_marked(max(tcb.snd.flight, recovery.flight))
        ecn.reduced(tcb.snd.max)


def _is_newer(tcb: Tcb, segment: Segment) -> bool:
    """Say whether an ACK that acknowledges nothing new was sent after those before it (RFC 9768, A.1)."""
    if tcb.timestamps.agreed and segment.tsval != ABSENT and seq.gt(segment.tsval, tcb.timestamps.recent):
        return True
    return seq.gt(segment.seq, tcb.snd.wl1)


def _hold(tcb: Tcb, ecn: Ecn, now: int) -> None:
    """Hold new data for one RTO: a window of one segment can't shrink further (RFC3168-6.1.2b)."""
    ecn.holds_until = now + tcb.rtt.rto
    if tcb.snd.flight and not tcb.timers.is_running(PERSIST):
        loss_timers.wait_for_timeout(tcb, now)
    ecn.reduced(tcb.snd.max)


def is_held(tcb: Tcb, ecn: Ecn, now: int) -> bool:
    """Say whether new data must wait for the RTO after a mark (RFC3168-6.1.2b).

    New data waits even where nothing is in flight, so a timer must end the wait.
    """
    if now >= ecn.holds_until or tcb.snd.nxt != tcb.snd.max:
        return False
    tcb.timers.start(PACING, ecn.holds_until)
    return True


def note(tcb: Tcb, ecn: Ecn, segment: Segment) -> bool:
    """Count the mark of an acceptable segment, owe an ACK if one is due at once, and return True.

    Data outside of the receive window never comes here (RFC3168-6.1.5).
    """
    was_owed = tcb.owes & OWES_ACK and not ecn.answers_acks
    if ecn.arrives(segment, has_unacked=tcb.rcv.arrived_since_ack > 0 or bool(segment.data)):
        tcb.owes |= OWES_ACK
    ecn.answers_acks = bool(tcb.owes & OWES_ACK) and not was_owed and segment.len == 0
    return True


def write(tcb: Tcb, ecn: Ecn, segment: Segment) -> None:
    """Write mark and feedback to a segment that is about to be sent."""
    is_recovering = tcb.recovery is not None and tcb.recovery.is_active
    if is_recovering != ecn.is_recovering:
        ecn.is_recovering = is_recovering
        if ecn.is_recovering:
            ecn.reduced(tcb.snd.max)
    is_probe = tcb.timers.is_running(PERSIST)  # RFC3168-6.1.6
    is_new = bool(segment.data) and ecn.is_first_sent(segment) and not is_probe
    ecn.write(segment, _room(tcb, segment), is_new=is_new)
    ecn.answers_acks = False


def _room(tcb: Tcb, segment: Segment) -> int:
    """Return the octets left for the AccECN option.

    The result is the option space less the options that go before this one, within the path's MTU.
    """
    taken = sum([len(value) + 2 for _, value in segment.other])
    if segment.tsval != ABSENT:
        taken += _TIMESTAMPS
    if segment.sack:
        taken += 4 + 8 * min(_TWO_BLOCKS, len(segment.sack))
    space = (
        min(options.ROOM, tcb.send_mss - (segment.stride or len(segment.data)))
        if segment.data
        else options.ROOM
    )
    return space - tcb.path.signature_length - taken
