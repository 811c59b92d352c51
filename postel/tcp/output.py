"""What goes next. Everything that a connection sends is made here, from what input, calls and timers left
owing.

The order: what ends or begins a connection, what was lost, what is new, probes, and last the bare ACK, which
anything before it has carried along already.
"""

from typing import Final

from postel.tcp import burst, handshake, loss_timers, pathmtu, seq, timestamps, tuning, usertimeout, window
from postel.tcp.ecn import feedback, negotiation
from postel.tcp.fastopen import Attempt, FastOpen
from postel.tcp.seq import NO_SEQUENCE
from postel.tcp.state import CLOSE_WAIT, CLOSED, LAST_ACK, LISTEN, SYN_RECEIVED, SYN_SENT, TIME_WAIT
from postel.tcp.stopwatch import BUFFER, BUSY, IDLE, WINDOW
from postel.tcp.tcb import (
    HEADERS_4,
    HEADERS_6,
    OWES_ACK,
    OWES_KEEP_ALIVE,
    OWES_RESET,
    OWES_SYN,
    OWES_TAIL_PROBE,
    OWES_USER_TIMEOUT,
    OWES_WINDOW_PROBE,
    TIMESTAMPS_LENGTH,
    Tcb,
)
from postel.tcp.timers import DELAYED_ACK, OVERRIDE, PACING, PERSIST, RETRANSMISSION
from postel.times import SECOND
from postel.wire import options
from postel.wire.segment import ABSENT, ACK, FIN, PSH, RST, SYN, URG, Segment

_SACK_HEADER: Final = 4  # two NOPs, kind, length
_SACK_BLOCK: Final = 8
_OPTION_SPACE: Final = 40
_FARTHEST_URGENT: Final = 0xFFFF


def next_segment(tcb: Tcb, now: int) -> Segment | None:
    segment = _choose(tcb, now)
    if segment is not None:
        tcb.counts.segments_sent += segment.packets
        if tcb.observer is not None:
            tcb.observer.segment_sent(tcb.local, tcb.remote, segment, now)
    elif tcb.snd.stopwatch is not None:
        tcb.snd.stopwatch.turn(_activity(tcb), now)
    return segment


def _activity(tcb: Tcb) -> int:
    """What it does now that nothing more can be sent."""
    if not tcb.snd.flight and not tcb.snd.buffer.size:
        return IDLE
    if tcb.snd.never_sent == 0:
        return BUFFER if tcb.snd.wants_room else BUSY
    controller = tcb.ensure_controller()
    return WINDOW if tcb.snd.wnd < min(tcb.snd.flight + controller.smss, controller.window) else BUSY


def _choose(tcb: Tcb, now: int) -> Segment | None:
    if tcb.resets is not None:
        strange = tcb.resets.pop(0)
        if not tcb.resets:
            tcb.resets = None
        return reset_for(strange)
    if tcb.owes & OWES_RESET:
        return _reset(tcb, now)
    if tcb.state is CLOSED or tcb.state is LISTEN:
        return None
    if tcb.owes & OWES_SYN:
        return _syn(tcb, now)
    if tcb.state is SYN_SENT:
        return None
    if (
        (tcb.state is not SYN_RECEIVED or _is_fast_enough(tcb))
        and tcb.state is not TIME_WAIT
        and not _ack_goes_alone(tcb)
    ):
        segment = _tail_probe(tcb, now) if tcb.owes & OWES_TAIL_PROBE else None
        segment = segment or _lost(tcb, now) or _new(tcb, now) or _window_or_keep_alive_probe(tcb, now)
        if segment is not None:
            return segment
    return _bare_ack(tcb, now) if tcb.owes & OWES_ACK else None


def _is_fast_enough(tcb: Tcb) -> bool:
    """RFC 7413, 4.2.2: text follows the SYN,ACK before that is acknowledged, unless it seems lost, for then
    its peer takes no text.
    """
    return tcb.opening.is_fast and tcb.snd.retransmissions == 0


def _ack_goes_alone(tcb: Tcb) -> bool:
    """SACK blocks have no room beside a full segment's text, and an ACK with text is no duplicate ACK."""
    if not tcb.owes & OWES_ACK:
        return False
    if tcb.ecn is not None and tcb.ecn.wants_bare_ack:  # RFC9768-3.2.2: text says nothing of the SYN,ACK
        return True
    return tcb.rcv.reassembly is not None or tcb.rcv.duplicate is not None or tcb.rcv.duplicates_owed > 0


def reset_for(segment: Segment) -> Segment:
    """The RST that answers ``segment``: RFC 9293, 3.5.2, group 1. With its timestamp echoed (RFC 7323, 5.2).
    Never for a RST.
    """
    if segment.flags & ACK:  # EP-CLO-3
        reset = Segment(segment.destination, segment.source, segment.ack, 0, RST, 0)
    else:  # EP-CLO-2
        reset = Segment(
            segment.destination, segment.source, 0, seq.add(segment.seq, segment.len), RST | ACK, 0
        )
    if segment.tsval != ABSENT:  # RFC7323-5.2b
        reset.tsval, reset.tsecr = 0, segment.tsval
    return reset


# The ends


def _reset(tcb: Tcb, now: int) -> Segment:
    """EP-ABORT-4: <SEQ=SND.NXT><CTL=RST>, or the right edge of the peer's window, if that lies before SND.NXT
    (EP-SEQ-5).
    """
    tcb.owes = 0
    reset = Segment(tcb.local.port, tcb.remote.port, window.number_without_text(tcb), 0, RST, 0)
    if tcb.timestamps.agreed:
        reset.tsval, reset.tsecr = timestamps.clock(tcb, now), tcb.timestamps.recent
    return reset


def _syn(tcb: Tcb, now: int) -> Segment:
    """<SEQ=ISS><CTL=SYN>, or with the peer's SYN known <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>."""
    tcb.owes &= ~(OWES_SYN | OWES_ACK)
    is_first = tcb.state is SYN_SENT
    size = min(handshake.FIRST_WINDOW, tcb.rcv.wnd)
    syn = Segment(tcb.local.port, tcb.remote.port, tcb.snd.iss, 0, SYN, size)
    if not is_first:
        syn.flags |= ACK
        syn.ack = tcb.rcv.nxt
        tcb.timestamps.last_ack_sent = tcb.rcv.nxt
    syn.mss = tcb.advertised_mss  # MAY-3, SHLD-5
    config, agreed = tcb.config, tcb.timestamps.agreed
    if config.window_scaling and (is_first or tcb.opening.peer_scales):
        syn.window_scale = tcb.rcv.shift
    if (is_first and config.timestamps) or agreed:
        syn.tsval = timestamps.clock(tcb, now)
        syn.tsecr = 0 if is_first else tcb.timestamps.recent  # RFC7323-3.2e
    syn.sack_permitted = config.sack if is_first else tcb.sack_agreed
    is_again = tcb.snd.retransmissions > 0 or tcb.timers.is_running(RETRANSMISSION)
    fast_open = None if is_again else tcb.opening.fast_open  # RFC7413-4.2.2: only the first
    if fast_open is not None and fast_open.option is not None:
        syn.other = ((options.FAST_OPEN, fast_open.option),)
    if is_first:
        syn.flags |= negotiation.ask(tcb)
    elif tcb.ecn is not None:
        negotiation.answer(
            tcb.ecn,
            syn,
            options.ROOM - tcb.path.signature_length - len(options.encode(syn, config.option_layout)),
        )
    if config.user_timeout_option:
        usertimeout.tell(tcb, syn)
    if is_again:
        tcb.rtt.forget()
    else:
        tcb.rtt.time(tcb.snd.max, now)
    if fast_open is not None:
        _add_text(tcb, fast_open, syn)
    loss_timers.wait_for_timeout(tcb, now)
    return syn


def _add_text(tcb: Tcb, fast_open: FastOpen, syn: Segment) -> None:
    """With a client's cookie, as much as fits beside the options. Urgent text waits for its pointer."""
    snd = tcb.snd
    if isinstance(fast_open, Attempt) and fast_open.option and snd.up == snd.nxt:
        mss = min(
            fast_open.mss, tcb.config.largest_mss, tcb.path.mtu - (HEADERS_4 if tcb.is_ipv4 else HEADERS_6)
        )
        count = min(snd.buffer.size, max(0, mss - len(options.encode(syn, tcb.config.option_layout))))
        syn.append(snd.buffer.slice(0, count))
        snd.reserve(count)


# Text


def _lost(tcb: Tcb, now: int) -> Segment | None:
    """The segment that recovery wants sent again, even beyond a window that shrank (MAY-7), but not into a
    closed one, which is probed.

    What lies from SND.NXT on goes in order instead, by `_new`.
    """
    if not tcb.snd.flight:
        return None
    number, octets = tcb.ensure_recovery().next_lost(tcb.snd.una)
    if number < 0 or seq.ge(number, tcb.snd.nxt) or tcb.timers.is_running(PERSIST) or _must_wait(tcb, now):
        return None
    if pathmtu.lost(tcb, number, now):
        return _lost(tcb, now)
    return _again(tcb, number, octets, now)


def _again(tcb: Tcb, number: int, octets: int, now: int) -> Segment:
    offset = seq.distance(tcb.snd.first_octet, number)
    count = min(
        tcb.ensure_controller().smss, octets, tcb.snd.buffer.size - offset, seq.distance(number, tcb.snd.max)
    )
    with_fin = tcb.snd.fin_seq != NO_SEQUENCE and seq.add(number, count) == tcb.snd.fin_seq
    _count_retransmission(tcb, number, count)
    owes_ack = tcb.owes & OWES_ACK if window.is_beyond(tcb, number) else 0
    segment = _text(tcb, number, offset, count, count, with_fin=with_fin, now=now)
    tcb.owes |= owes_ack  # a peer doesn't hear the ACK of a segment that it can't take
    return segment


def _new(tcb: Tcb, now: int) -> Segment | None:
    """What stands at SND.NXT: new text and FIN, or after a timeout what was sent before."""
    snd = tcb.snd
    offset = seq.distance(snd.first_octet, snd.nxt)
    unsent = snd.buffer.size - offset
    if unsent <= 0 and not _fin_is_due(tcb):
        if (
            tcb.is_sender or tcb.config.controller.is_model
        ):  # only a sender, or a model-based controller, records app-limited periods
            tcb.ensure_recovery().ran_dry()
        return None
    if tcb.ecn is not None and feedback.is_held(tcb, tcb.ecn, now):
        return None
    if snd.una == snd.max:
        _begin_flight(tcb, now)
    usable = _usable(tcb)
    room = pathmtu.size_for(
        tcb, unsent, usable, now
    )  # MUST-16: what MSS, path and timestamps leave; SACK blocks take no room from text
    if room == 0:
        return None
    if tcb.ecn is not None and snd.nxt == snd.max and room == tcb.ensure_controller().smss:  # RFC9768-3.2.3.3
        room -= min(tcb.ecn.wants_room, room // 2)
    count = min(max(0, unsent), room, max(0, usable))
    if count == room and tcb.path.burst > room:
        count = burst.size_for(tcb, room, min(unsent, usable))
    with_fin = _fin_is_due(tcb) and count == max(0, unsent) and usable > count
    if not with_fin and (count <= 0 or not _is_worth_sending(tcb, count, unsent, room)):
        _wait_for_window(tcb, count, now)
        return None
    if _must_wait(tcb, now):
        return None
    return _advance(tcb, offset, count, room, with_fin=with_fin, now=now)


def _begin_flight(tcb: Tcb, now: int) -> None:
    controller = tcb.ensure_controller()
    if now - tcb.snd.last_at > tcb.rtt.rto:
        controller.idled(now)
    controller.started(now)


def _must_wait(tcb: Tcb, now: int) -> bool:
    """Whether the pacing rate lets nothing out yet."""
    if tcb.ensure_controller().pacing_rate and tcb.snd.paced_until > now:
        tcb.timers.start(PACING, tcb.snd.paced_until)
        return True
    return False


def _usable(tcb: Tcb) -> int:
    """How many numbers may go out from SND.NXT on: min(cwnd, rwnd) less what flies (RFC5681-2b); may be
    negative (MUST-34).
    """
    snd = tcb.snd
    return min(
        snd.wnd - seq.distance(snd.una, snd.nxt),
        tcb.ensure_recovery().room(snd.una, snd.nxt),
    )


def _fin_is_due(tcb: Tcb) -> bool:
    """It was asked for, and SND.NXT isn't beyond it."""
    return tcb.snd.fin_is_queued and (tcb.snd.fin_seq == NO_SEQUENCE or seq.le(tcb.snd.nxt, tcb.snd.fin_seq))


def _is_worth_sending(tcb: Tcb, count: int, unsent: int, room: int) -> bool:
    """The sender's side of silly windows and Nagle (MUST-38, SHLD-7). A cork holds what more text may yet
    fill.
    """
    if count >= room or tcb.snd.may_send_small or seq.lt(tcb.snd.nxt, tcb.snd.max):  # 3.8.6.2.1 (1), (4)
        return True
    config = tcb.config
    may_be_small = not config.nagle or tcb.snd.nxt == tcb.snd.first_octet or tcb.snd.fin_is_queued
    if not may_be_small or (config.cork and count == unsent and not tcb.snd.fin_is_queued):
        return False
    return count == unsent or 2 * count >= tcb.snd.max_wnd  # (2), (3) with Fs = 1/2


def _wait_for_window(tcb: Tcb, count: int, now: int) -> None:
    """Nothing goes now. If no ACK is on its way that could change it, a timer must (MUST-36, EP-TMO-7)."""
    if tcb.snd.wnd == 0:
        window.watch(tcb, now)
    elif count > 0 and not tcb.snd.flight and not tcb.timers.is_running(OVERRIDE):
        tcb.timers.start(OVERRIDE, now + tcb.config.override)


def _advance(tcb: Tcb, offset: int, count: int, room: int, *, with_fin: bool, now: int) -> Segment:
    """Send from SND.NXT, and move it. A packet takes ``room`` octets."""
    snd = tcb.snd
    start = snd.nxt
    end = seq.add(start, count + with_fin)
    if start != snd.max:
        snd.repeat(end, tcb.ensure_recovery().beyond_sacked(end))
        _count_retransmission(tcb, start, count)
    else:
        tcb.rtt.time(end, now)
        if min(count, room) > tcb.path.proven:
            pathmtu.sent(tcb, start, min(count, room), end)
        snd.extend(end)
    if snd.wants_room and tcb.config.notsent_lowat and not tcb.rcv.is_released:
        tuning.tell_of_room(tcb)
    if with_fin and snd.fin_seq == NO_SEQUENCE:
        snd.fin_seq = seq.add(start, count)
        if tcb.state is CLOSE_WAIT:
            tcb.enter(LAST_ACK, now)  # D-15: now that the FIN has its number
    snd.may_send_small = False
    tcb.timers.stop(OVERRIDE)
    return _text(tcb, start, offset, count, room, with_fin=with_fin, now=now)


def _count_retransmission(tcb: Tcb, number: int, octets: int) -> None:
    tcb.counts.segments_retransmitted += 1
    tcb.counts.octets_retransmitted += octets
    tcb.rtt.forget()  # RFC6298-3a
    pathmtu.sent_again(tcb, number, octets)


def _text(tcb: Tcb, start: int, offset: int, count: int, room: int, *, with_fin: bool, now: int) -> Segment:
    data = tcb.snd.buffer.slice(offset, count) if count > 0 else b""
    flags = ACK
    if with_fin:
        flags |= FIN
    if data and offset + count == tcb.snd.buffer.size:  # MUST-61
        flags |= PSH
    segment = _make(tcb, start, flags, data, now, stride=room if count > room else 0)
    tcb.counts.texts_sent += segment.packets if data else 0
    tcb.snd.last_at = now
    tcb.ensure_recovery().on_sent(start, count + with_fin, now)
    rate = tcb.ensure_controller().pacing_rate
    if rate:
        tcb.snd.paced_until = max(tcb.snd.paced_until, now - burst.PACING_CREDIT) + count * SECOND // rate
    loss_timers.start(tcb, now)
    if not tcb.timers.is_running(PERSIST):
        usertimeout.ensure_started(tcb, now)
    return segment


# Probes and acknowledgements


def _window_or_keep_alive_probe(tcb: Tcb, now: int) -> Segment | None:
    if tcb.owes & OWES_WINDOW_PROBE:
        tcb.owes &= ~OWES_WINDOW_PROBE
        if tcb.timers.is_running(PERSIST):
            return _window_probe(tcb, now)
    if tcb.owes & OWES_KEEP_ALIVE:
        tcb.owes &= ~OWES_KEEP_ALIVE
        return _make(tcb, seq.add(window.number_without_text(tcb), -1), ACK, b"", now)  # SHLD-12
    return None


def _window_probe(tcb: Tcb, now: int) -> Segment | None:
    """One number at SND.UNA, an octet or the FIN: the peer must answer it with its window
    (RFC9293-3.8.6.1-1).
    """
    tcb.snd.rewind()
    if tcb.snd.buffer.size:
        return _advance(tcb, 0, 1, 1, with_fin=False, now=now)
    return _advance(tcb, 0, 0, 0, with_fin=True, now=now) if tcb.snd.fin_is_queued else None


def _tail_probe(tcb: Tcb, now: int) -> Segment | None:
    """RFC8985-7.3b: something new if the peer has room for it, whatever the congestion window says; else the
    last segment again.
    """
    tcb.owes &= ~OWES_TAIL_PROBE
    snd = tcb.snd
    if (
        not snd.flight or tcb.timers.is_running(PERSIST) or snd.nxt != snd.max
    ):  # else what was sent before goes again, and is probe enough
        return None
    recovery = tcb.ensure_recovery()
    recovery.tail_probe.begin()
    offset = seq.distance(snd.first_octet, snd.nxt)
    count = min(
        snd.buffer.size - offset, tcb.ensure_controller().smss, snd.wnd - seq.distance(snd.una, snd.nxt)
    )
    if count > 0:
        segment = _advance(tcb, offset, count, count, with_fin=False, now=now)
    else:
        number, octets = recovery.tail()
        segment = _again(tcb, number, octets, now)
    loss_timers.wait_for_timeout(tcb, now)  # RFC8985-7.3c
    return segment


def _bare_ack(tcb: Tcb, now: int) -> Segment:
    return _make(tcb, window.number_without_text(tcb), ACK, b"", now)


def _make(tcb: Tcb, number: int, flags: int, data: bytes, now: int, *, stride: int = 0) -> Segment:
    """A segment with ACK, window and the options agreed; what was owed by it is paid."""
    field = window.advertise(tcb)
    segment = Segment(tcb.local.port, tcb.remote.port, number, tcb.rcv.nxt, flags, field, data)
    if stride:
        segment.divide(stride)
    if seq.gt(tcb.snd.up, tcb.snd.una) and seq.gt(tcb.snd.up, number):  # D-13
        segment.flags |= URG
        segment.urgent = min(_FARTHEST_URGENT, seq.distance(number, tcb.snd.up))  # RFC7323-A
    if tcb.timestamps.agreed:  # RFC7323-3.2a
        segment.tsval = timestamps.clock(tcb, now)
        segment.tsecr = tcb.timestamps.recent
    if tcb.sack_agreed and (tcb.rcv.reassembly is not None or tcb.rcv.duplicate is not None):
        segment.sack = _sack_blocks(tcb, stride or len(data))
    if tcb.owes & OWES_USER_TIMEOUT:
        usertimeout.tell(tcb, segment)
    if tcb.ecn is not None:
        feedback.write(tcb, tcb.ecn, segment)
    tcb.timestamps.last_ack_sent = tcb.rcv.nxt
    tcb.rcv.arrived_since_ack = 0
    tcb.timers.stop(DELAYED_ACK)
    if tcb.rcv.duplicates_owed and not data:
        tcb.rcv.duplicates_owed -= 1
    else:
        tcb.owes &= ~OWES_ACK
        tcb.rcv.duplicates_owed = 0
    return segment


def _sack_blocks(tcb: Tcb, octets: int) -> tuple[tuple[int, int], ...]:
    """A duplicate first, once (RFC2883-4a); then what is held, newest first, as many as fit (RFC2018-3,
    RFC2018-4c).
    """
    if tcb.ecn is not None and tcb.ecn.answers_acks:  # RFC9768-3.2.2.5: or it would seem a duplicate ACK
        return ()
    blocks: list[tuple[int, int]] = []
    if tcb.rcv.duplicate is not None:
        blocks.append(tcb.rcv.duplicate)
        tcb.rcv.duplicate = None
    limit = _blocks_that_fit(tcb, octets)
    if tcb.rcv.reassembly is not None:
        base = tcb.rcv.nxt - tcb.rcv.position
        blocks += [
            (seq.add(base, left), seq.add(base, right)) for left, right in tcb.rcv.reassembly.blocks(limit)
        ]
    return tuple(blocks[:limit])


def _blocks_that_fit(tcb: Tcb, octets: int) -> int:
    """Beside timestamps and signature in the option space, and beside the text in the path's MTU."""
    others = tcb.path.signature_length + (TIMESTAMPS_LENGTH if tcb.timestamps.agreed else 0)
    space = min(_OPTION_SPACE, tcb.send_mss - octets) - others
    return max(0, (space - _SACK_HEADER) // _SACK_BLOCK)
