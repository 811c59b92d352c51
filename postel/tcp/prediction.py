"""Header prediction: a short path for the segment that the connection expects.

Theory of operation. In ESTABLISHED nearly every segment is one of two kinds: the next payload in order, or an
ACK of something new. `holds` recognises them by a few comparisons (RFC 7323, 5.6), and `handle` then does
only what such a segment causes:

    segment.seq == RCV.NXT, flags ACK (and PSH)         first, second, fourth, sixth, eighth check pass
    SND.UNA <= segment.ack <= SND.MAX                   fifth check: the ACK is new or unchanged
    payload fits in RCV.WND, no piece waits for a gap   seventh check: deliver it
    no SACK blocks, no other option, no ECN             nothing else to process
    persist isn't running, no FIN is expected           no state or timer depends on this segment
    TSval >= TS.Recent                                  PAWS passes (RFC 7323, 5.3)

A segment that fails one comparison goes through all checks of RFC 9293, 3.10.7.4, in `postel.tcp.arrives`.
Both paths must leave the same state behind; a property test compares them (``tests/tcp/test_prediction.py``).
"""

from postel.tcp import acknowledge, delivery, keepalive, seq
from postel.tcp.seq import NO_SEQUENCE
from postel.tcp.state import ESTABLISHED
from postel.tcp.tcb import Tcb
from postel.tcp.timers import KEEP_ALIVE, PERSIST
from postel.wire.segment import ABSENT, ACK, PSH, Segment


def holds(tcb: Tcb, segment: Segment) -> bool:
    """Whether ``segment`` is the next in order or a new ACK in ESTABLISHED, and causes nothing else."""
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
        if not octets:  # a duplicate ACK, perhaps
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
    """Do the fifth check, step 5 of RFC 7323, 4.3, and the seventh check for an expected segment."""
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
