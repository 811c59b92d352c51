"""Header prediction: the segment that everything expects, on one short path.

In ESTABLISHED nearly every segment is the next in order or acknowledges something new, and is nothing else.
Such a one passes all of RFC 9293's checks (3.10.7.4) and leaves the same behind as they do, which a property
test holds together.
"""

from postel.tcp import acknowledge, delivery, keepalive, seq
from postel.tcp.seq import NO_SEQUENCE
from postel.tcp.state import ESTABLISHED
from postel.tcp.tcb import Tcb
from postel.tcp.timers import KEEP_ALIVE, PERSIST
from postel.wire.segment import ABSENT, ACK, PSH, Segment


def holds(tcb: Tcb, segment: Segment) -> bool:
    """In order, within the window, with no other flag or option, and nothing waits behind a gap, for a window
    or for an end.
    """
    if (
        segment.seq != tcb.rcv.nxt
        or segment.flags & ~PSH != ACK
        or tcb.state is not ESTABLISHED
        or segment.sack
        or segment.other
    ):
        return False
    if (
        tcb.ecn is not None
        or tcb.rcv.reassembly is not None
        or tcb.rcv.fin_expected != NO_SEQUENCE
        or tcb.timers.is_running(PERSIST)
    ):
        return False
    snd, octets = tcb.snd, len(segment.data)
    if segment.ack == snd.una:
        if not octets:  # perhaps a duplicate ACK
            return False
    elif seq.distance(snd.una, segment.ack) > seq.distance(snd.una, snd.max):
        return False
    if octets > tcb.rcv.wnd or tcb.rcv.is_released:
        return False
    tsval, timestamps = segment.tsval, tcb.timestamps
    return (
        not timestamps.agreed
        or tsval == timestamps.recent
        or (tsval != ABSENT and seq.ge(tsval, timestamps.recent))
    )


def handle(tcb: Tcb, segment: Segment, now: int) -> None:
    """The fifth check, step 5 of RFC 7323's 4.3, and the seventh check."""
    if segment.ack != tcb.snd.una:
        acknowledge.advance(tcb, segment, now)
    tcb.counts.last_ack_at = now
    if tcb.timers.is_running(KEEP_ALIVE):
        keepalive.hear(tcb, now)
    acknowledge.update_window(tcb, segment, now)
    timestamps = tcb.timestamps
    if timestamps.agreed:
        timestamps.echoed = segment.tsecr
        if segment.seq == timestamps.last_ack_sent or seq.le(segment.seq, timestamps.last_ack_sent):
            timestamps.recent = segment.tsval
            timestamps.recent_at = now
    if segment.data:
        tcb.counts.texts_arrived += segment.packets
        tcb.counts.last_data_at = now
        delivery.accept(tcb, 0, segment.data, segment.packets, now)
