"""Sliding window: what we advertise (RFC 9293, 3.8.6.2.2), and persist while the peer's is closed (3.8.6.1).

Theory of operation, receiver. The window field of each segment tells the peer how many octets from RCV.NXT on
we accept. Were each small read advertised at once, the peer would answer with small segments: the silly
window syndrome. So the right edge stays until it can move by min(RCV.BUFF / 2, MSS) or more (3.8.6.2.2), and
it never moves left (3.8.6):

     next to read         RCV.NXT           RCV.NXT+RCV.WND
    ──────┼──────────────────┼─────────────────────┼───────────────┼──►
          ├──── RCV.USER ────┼────── RCV.WND ──────┼── Reduction ──┤
          │  unread          │  advertised         │ free, not yet │
          │                  │                     │  advertised   │
          ├──────────────────────────── RCV.BUFF ──────────────────┤

A window update without data is sent after a read (`after_read`) only when the peer is nearly stopped, or when
half of the buffer became free. Otherwise the next ACK of data carries the new window.

Sender. When SND.WND is 0 and payload or a FIN waits, the persist timer runs in place of the loss timers. At
each expiry one number at SND.UNA goes out as a window probe, which the peer answers with an ACK that carries
its window. The update that opened the window may have been lost, and without probes both ends would wait for
ever:

     SND.WND=0     probe 1         probe 2                    probe 3
    ──────┼───────────┼───────────────┼──────────────────────────┼─────────►
          │    RTO    │     2 RTO     │           4 RTO          │  … rto_maximum at most

A peer may keep its window closed for ever, as long as it answers probes (RFC 9293, 3.8.6.1).
"""

from typing import Final

from postel.tcp import loss_timers, seq, usertimeout
from postel.tcp.seq import NO_SEQUENCE
from postel.tcp.tcb import LARGEST_SHIFT, OWES_ACK, Tcb
from postel.tcp.timers import PERSIST

LARGEST_FIELD: Final = 0xFFFF  # largest value of the window field, not scaled


def shift_for(buffer: int) -> int:
    """Return the smallest window scale that lets the field express ``buffer`` octets (RFC 7323, 2.3)."""
    shift = 0
    while buffer >> shift > LARGEST_FIELD and shift < LARGEST_SHIFT:  # RFC7323-2.3b
        shift += 1
    return shift


def advertise(tcb: Tcb) -> int:
    """Return the window field of a segment that leaves now, and set RCV.WND to match.

    The right edge never moves back (SHLD-14), and moves forward only by a worthwhile step (MUST-39). With
    window scaling the field counts units of 2**shift octets, and rounding down could take back an edge that
    was advertised before. The field is then rounded up, unless that would end more than one unit beyond the
    buffer. Where it is rounded down, the octets up to the old edge are still accepted (RFC 7323, 2.4).

    While the host is short of memory a window below a worthwhile step waits for memory, see
    `Memory.wait_to_read`.
    """
    rcv = tcb.rcv
    if tcb.config.whole_buffer:
        rcv.widen(rcv.limit - rcv.unread)
        return min(LARGEST_FIELD, rcv.wnd >> rcv.shift)
    window = rcv.wnd
    if window < rcv.limit:  # a larger window isn't possible
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
    """Return the least step of the right edge in octets: min(Fr * RCV.BUFF, Eff.snd.MSS) with Fr = 1/2."""
    return max(1, min(tcb.rcv.limit // 2, tcb.advertised_mss))


def after_read(tcb: Tcb) -> None:
    """Let output send a window update if reading has freed a worthwhile step and the peer needs to know soon.

    While the window is below two segments, the peer is nearly stopped, and any worthwhile step is
    reason for an update. Otherwise only a step of half the largest window is (a quarter with
    ``whole_buffer``); the next ACK of data carries smaller steps.
    """
    gain = _space(tcb) - tcb.rcv.wnd
    parts = 4 if tcb.config.whole_buffer else 2
    if gain >= worthwhile(tcb) and (tcb.rcv.wnd < 2 * tcb.advertised_mss or parts * gain >= _largest(tcb)):
        tcb.owes |= OWES_ACK


def offer_memory(tcb: Tcb) -> None:
    """Let output send a window update if the host has memory again and the window can grow by enough.

    Enough is what `after_read` requires, or half of the host's memory: where a host has very little memory,
    that is a step worth advertising, even if it is less than a segment.
    """
    after_read(tcb)
    if tcb.memory is not None and 2 * (_space(tcb) - tcb.rcv.wnd) > tcb.memory.limit:
        tcb.owes |= OWES_ACK


def is_starved(tcb: Tcb) -> bool:
    """Whether the peer was given so small a window that it waits for a larger one."""
    return tcb.can_receive and not tcb.rcv.is_released and tcb.rcv.wnd < worthwhile(tcb)


def watch(tcb: Tcb, now: int) -> None:
    """Enter or leave persist, as the peer's window and our queue require (MUST-36)."""
    if not tcb.snd.syn_is_acked:  # FIN-WAIT-1 after a CLOSE in SYN-RECEIVED: the loss timer watches the SYN
        return
    if tcb.snd.wnd == 0 and waits_for_window(tcb):
        if not tcb.timers.is_running(PERSIST):
            tcb.timers.start(PERSIST, now + tcb.rtt.rto)  # SHLD-29
            tcb.timers.stop_loss_timers()  # SHLD-17: payload that the peer can't accept doesn't time out
            usertimeout.stop(tcb)
    elif tcb.timers.is_running(PERSIST):
        _leave_persist(tcb, now)


def number_without_text(tcb: Tcb) -> int:
    """Return the number of a segment without payload: SND.MAX, or the peer's right edge if that is less.

    ACKs, RSTs and keep-alives use it. A window probe, or a window that shrank, leaves SND.MAX beyond the
    peer's window. The peer ignores a segment there, but accepts one at its right edge (RFC 9293, 3.10.7.4).

    An edge that moved back by less than one unit of the scaled field may only have been rounded (RFC 7323,
    2.4). The peer then accepts the payload up to SND.MAX, and once it has that, a lower number would lie left
    of its RCV.NXT; so SND.MAX is used. After a probe, which is one octet beyond the window, the edge is used.
    """
    snd = tcb.snd
    if snd.una == snd.max:  # nothing is in flight, as always where this side only receives
        return snd.max
    edge = seq.add(snd.first_octet, snd.wnd)
    beyond = seq.offset(snd.max, edge)
    if beyond <= 0 or (beyond < 1 << snd.shift and snd.window_probes == 0):
        return snd.max
    return edge


def is_beyond(tcb: Tcb, number: int) -> bool:
    """Whether ``number`` lies beyond the peer's window, which is possible after the window shrank."""
    return seq.gt(number, seq.add(tcb.snd.first_octet, tcb.snd.wnd))


def waits_for_window(tcb: Tcb) -> bool:
    """Whether payload or a FIN waits to be sent or acknowledged."""
    return tcb.snd.buffer.size > 0 or (tcb.snd.fin_is_queued and not tcb.snd.fin_is_acked)


def _leave_persist(tcb: Tcb, now: int) -> None:
    """Stop probing, because the window opened. What was sent as a probe, or beyond the window, goes again."""
    tcb.timers.stop(PERSIST)
    tcb.snd.window_probes = 0
    if tcb.snd.flight:
        tcb.ensure_recovery().on_refused()
        tcb.turn()
        tcb.rtt.forget()
        loss_timers.restart(tcb, now)


def _space(tcb: Tcb) -> int:
    """Return the largest window in octets that free buffer, free host memory and the window field allow.

    After the peer's FIN the window doesn't grow any more.
    """
    if tcb.rcv.fin_is_received:
        return tcb.rcv.wnd
    space = min(tcb.rcv.limit - tcb.rcv.unread, LARGEST_FIELD << tcb.rcv.shift)
    if tcb.memory is not None:
        space = min(space, tcb.memory.free)
    return max(0, space)


def _largest(tcb: Tcb) -> int:
    """Return the largest window in octets that an empty buffer and the window field allow."""
    return min(tcb.rcv.limit, LARGEST_FIELD << tcb.rcv.shift)


def text_room(tcb: Tcb) -> int:
    """Return how many octets from RCV.NXT on may be accepted: the window, but none beyond the peer's FIN."""
    if tcb.rcv.fin_expected == NO_SEQUENCE:
        return tcb.rcv.wnd
    return min(tcb.rcv.wnd, seq.distance(tcb.rcv.nxt, tcb.rcv.fin_expected))
