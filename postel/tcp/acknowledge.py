"""The ACK field: what it frees, what it measures, what it says of loss and of the window (RFC 9293, 3.10.7.4, fifth check)."""

from postel.tcp import seq, timestamps, window
from postel.tcp.events import WRITABLE
from postel.tcp.tcb import Tcb
from postel.times import NEVER
from postel.wire.segment import ABSENT, FIN, SYN, Segment


def advance(tcb: Tcb, segment: Segment, now: int) -> None:
    """SND.UNA < SEG.ACK <= SND.MAX: something new arrived at the peer (EP-ACK-5)."""
    snd = tcb.snd
    flight = tcb.flight
    acked = seq.distance(snd.una, segment.ack)
    _free(tcb, segment.ack)
    snd.una = segment.ack
    if seq.lt(snd.nxt, snd.una):  # D-1: a timeout had pulled SND.NXT back
        snd.nxt = snd.una
    _measure(tcb, segment, now)
    tcb.retransmissions = 0
    tcb.probes = 0
    _tell_congestion(tcb, acked, flight, now)
    if tcb.wants_room and len(tcb.send_buffer) <= tcb.config.send_buffer // 2:
        tcb.wants_room = False
        tcb.tell(WRITABLE)


def duplicate(tcb: Tcb, segment: Segment, now: int) -> None:
    """SEG.ACK <= SND.UNA: perhaps a sign of loss (EP-ACK-6, RFC5681-2a)."""
    if segment.ack != tcb.snd.una or not tcb.flight or segment.data or segment.flags & (SYN | FIN):
        return
    if tcb.timers.persist != NEVER:  # the answer to a window probe
        return
    if segment.sack or scaled_window(tcb, segment) == tcb.snd.wnd:
        tcb.recovery.on_duplicate(tcb.snd.una, tcb.snd.max, tcb.flight, tcb.congestion, now)


def heed_sack(tcb: Tcb, segment: Segment, now: int) -> None:
    """Hand the blocks to recovery (RFC2018-5a); it judges which can be true."""
    if segment.sack and tcb.sack_agreed and tcb.flight:
        tcb.recovery.on_sack(segment.sack, tcb.snd.una, tcb.snd.max, tcb.congestion, now)


def update_window(tcb: Tcb, segment: Segment, now: int) -> None:
    """Only the newest segment's word counts (EP-ACK-8, RFC9293-3.8.6-1)."""
    snd = tcb.snd
    if seq.lt(snd.wl1, segment.seq) or (snd.wl1 == segment.seq and seq.le(snd.wl2, segment.ack)):
        snd.wnd = scaled_window(tcb, segment)
        snd.wl1 = segment.seq
        snd.wl2 = segment.ack
        snd.max_wnd = max(snd.max_wnd, snd.wnd)
    if tcb.timers.persist != NEVER:
        tcb.timers.user = NEVER  # MUST-37: a peer that answers probes lives
    window.watch(tcb, now)


def scaled_window(tcb: Tcb, segment: Segment) -> int:
    """SEG.WND in octets (RFC7323-2.3a), unsigned (MUST-1); that of a SYN is never scaled (RFC7323-2.2c)."""
    return segment.window if segment.flags & SYN else segment.window << tcb.snd.shift


def _free(tcb: Tcb, ack: int) -> None:
    """Drop acknowledged octets, to the octet; neither SYN nor FIN has one in the buffer."""
    octets = min(seq.distance(tcb.first_octet, ack), len(tcb.send_buffer))
    tcb.syn_is_acked = True
    tcb.snd.up = seq.latest(tcb.snd.up, ack)
    if octets:
        tcb.send_buffer.discard(octets)
        tcb.give_back(octets)


def _measure(tcb: Tcb, segment: Segment, now: int) -> None:
    """A round trip: of the timed segment, else of the echo, which is right for retransmissions too (RFC6298-3a)."""
    if tcb.rtt.is_timing:
        if seq.ge(segment.ack, tcb.rtt.timed):
            tcb.rtt.stop(now)
        return
    measured = timestamps.round_trip(tcb, segment, now)
    if measured != ABSENT:
        tcb.rtt.sample(measured)


def _tell_congestion(tcb: Tcb, acked: int, flight: int, now: int) -> None:
    was_in_use = not tcb.recovery.is_active and 2 * flight >= tcb.congestion.window
    restarts = tcb.recovery.on_ack(acked, tcb.snd.una, tcb.flight, tcb.congestion, now)
    if was_in_use and tcb.is_synchronized:  # RFC5681-3.1b: not for the ACK of our SYN
        tcb.congestion.acknowledged(acked, now)
    if not tcb.flight:
        tcb.timers.retransmission = tcb.timers.user = NEVER  # RFC6298-5.2
    elif restarts and tcb.timers.persist == NEVER:
        tcb.timers.retransmission = now + tcb.rtt.rto  # RFC6298-5.3
        tcb.timers.user = deadline(tcb.config.user_timeout, now)


def deadline(after: int, now: int) -> int:
    return now + after if after < NEVER else NEVER
