"""The sliding window of both sides: what we advertise (RFC 9293, 3.8.6.2.2) and how we live with a closed one
(3.8.6.1).
"""

from typing import Final

from postel.tcp import loss_timers, seq, usertimeout
from postel.tcp.seq import NO_SEQUENCE
from postel.tcp.tcb import LARGEST_SHIFT, OWES_ACK, Tcb
from postel.tcp.timers import PERSIST

LARGEST_FIELD: Final = 0xFFFF


def shift_for(buffer: int) -> int:
    """The smallest scale by which the window field can tell all of ``buffer`` (RFC 7323, 2.3)."""
    shift = 0
    while buffer >> shift > LARGEST_FIELD and shift < LARGEST_SHIFT:  # RFC7323-2.3b
        shift += 1
    return shift


def advertise(tcb: Tcb) -> int:
    """The window field of a segment that leaves now. RCV.WND follows it.

    The right edge never moves back (SHLD-14), and forward only by a step worth having (MUST-39). Where the
    scaled field can't tell the edge, it tells one less than a unit beyond it, so long as that is no more than
    a unit beyond the buffer's end; then one less than a unit before it, and what was told before is still
    taken (RFC 7323, 2.4).
    """
    rcv = tcb.rcv
    if tcb.config.whole_buffer:
        rcv.widen(rcv.limit - rcv.unread)
        return min(LARGEST_FIELD, rcv.wnd >> rcv.shift)
    window = rcv.wnd
    if window < rcv.limit:  # else it can't be more
        space = _space(tcb)
        step = worthwhile(tcb)
        if space - window >= step:
            window = space
        elif window < step and tcb.memory is not None and tcb.memory.free < rcv.limit - rcv.unread:
            if 2 * (space - window) > tcb.memory.limit:
                window = space
            else:
                tcb.memory.wait_to_read(tcb)
    field = min(LARGEST_FIELD, window >> rcv.shift)
    if field << rcv.shift < rcv.wnd and field << rcv.shift <= rcv.limit - rcv.unread:
        field = min(LARGEST_FIELD, field + 1)
    rcv.widen(field << rcv.shift)
    return field


def worthwhile(tcb: Tcb) -> int:
    """The least step of the right edge: min(Fr * RCV.BUFF, Eff.snd.MSS) with Fr = 1/2, never 0."""
    return max(1, min(tcb.rcv.limit // 2, tcb.advertised_mss))


def after_read(tcb: Tcb) -> None:
    """Owe a window update when the reader made a worthwhile step: at once while the peer is nearly stopped,
    else by half-buffers, for the next ACK of data carries the rest."""
    gain = _space(tcb) - tcb.rcv.wnd
    parts = 4 if tcb.config.whole_buffer else 2
    if gain >= worthwhile(tcb) and (tcb.rcv.wnd < 2 * tcb.advertised_mss or parts * gain >= _largest(tcb)):
        tcb.owes |= OWES_ACK


def offer_memory(tcb: Tcb) -> None:
    """As `after_read`, when the host has memory again: half of all that it has is a step worth having, be it
    less than a segment.
    """
    after_read(tcb)
    if tcb.memory is not None and 2 * (_space(tcb) - tcb.rcv.wnd) > tcb.memory.limit:
        tcb.owes |= OWES_ACK


def is_starved(tcb: Tcb) -> bool:
    """Whether the peer was told of so small a window that it waits for a larger one."""
    return tcb.can_receive and not tcb.rcv.is_released and tcb.rcv.wnd < worthwhile(tcb)


def watch(tcb: Tcb, now: int) -> None:
    """Enter or leave persist as the peer's window and our queue say (MUST-36)."""
    if (
        not tcb.snd.syn_is_acked
    ):  # FIN-WAIT-1 straight from SYN-RECEIVED: the SYN goes first, and has its timer
        return
    if tcb.snd.wnd == 0 and waits_for_window(tcb):
        if not tcb.timers.is_running(PERSIST):
            tcb.timers.start(PERSIST, now + tcb.rtt.rto)  # SHLD-29
            tcb.timers.stop_loss_timers()  # SHLD-17: what the peer can't take doesn't time out
            usertimeout.stop(tcb)
    elif tcb.timers.is_running(PERSIST):
        _leave_persist(tcb, now)


def number_without_text(tcb: Tcb) -> int:
    """The sequence number of an ACK, RST or keep-alive: SND.MAX, but no number beyond the peer's window.

    A window probe, or a window that shrank, leaves SND.MAX beyond the window, and a receiver hears nothing
    there, while it takes the window's right edge itself (RFC 9293, 3.10.7.4). An edge that moved back by less
    than a unit of the scaled field may only have been rounded (RFC 7323, 2.4): then the text up to SND.MAX is
    taken, and a lower number would lie left of RCV.NXT once that text has arrived. After a probe, which is
    one octet beyond the window, that isn't so.
    """
    snd = tcb.snd
    if snd.una == snd.max:  # nothing is in flight, as always at a pure receiver
        return snd.max
    edge = seq.add(snd.first_octet, snd.wnd)
    beyond = seq.offset(snd.max, edge)
    if beyond <= 0 or (beyond < 1 << snd.shift and snd.window_probes == 0):
        return snd.max
    return edge


def is_beyond(tcb: Tcb, number: int) -> bool:
    """Whether ``number`` lies beyond the peer's window, as after that shrank."""
    return seq.gt(number, seq.add(tcb.snd.first_octet, tcb.snd.wnd))


def waits_for_window(tcb: Tcb) -> bool:
    return tcb.snd.buffer.size > 0 or (tcb.snd.fin_is_queued and not tcb.snd.fin_is_acked)


def _leave_persist(tcb: Tcb, now: int) -> None:
    """The window opened: what was sent as a probe, or into a window that shrank, goes again with the rest."""
    tcb.timers.stop(PERSIST)
    tcb.snd.window_probes = 0
    if tcb.snd.flight:
        tcb.ensure_recovery().on_refused()
        tcb.turn()
        tcb.rtt.forget()
        loss_timers.restart(tcb, now)


def _space(tcb: Tcb) -> int:
    """What the buffer can still take, and the host, and the field can tell; nothing more once the peer has
    sent its FIN.
    """
    if tcb.rcv.fin_is_received:
        return tcb.rcv.wnd
    space = min(tcb.rcv.limit - tcb.rcv.unread, LARGEST_FIELD << tcb.rcv.shift)
    if tcb.memory is not None:
        space = min(space, tcb.memory.free)
    return max(0, space)


def _largest(tcb: Tcb) -> int:
    return min(tcb.rcv.limit, LARGEST_FIELD << tcb.rcv.shift)


def text_room(tcb: Tcb) -> int:
    """How many octets from RCV.NXT on may be taken: the window, and none beyond the peer's FIN."""
    if tcb.rcv.fin_expected == NO_SEQUENCE:
        return tcb.rcv.wnd
    return min(tcb.rcv.wnd, seq.distance(tcb.rcv.nxt, tcb.rcv.fin_expected))
