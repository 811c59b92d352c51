"""Output: decides which segment goes next, and makes every segment that a connection sends.

Theory of operation. Input, user calls and timers only record what the connection owes (``tcb.owes``, the send
buffer, recovery's losses). A driver calls `next_segment` until it returns None, and each call makes the first
of these that is due:

    1.  RST in answer to a segment that can't be of this connection    RFC 9293, 3.5.2, group 1
    2.  RST of an abort                                                3.10.5
    3.  SYN, or SYN,ACK                                                3.5
    4.  one segment as tail loss probe                                 RFC 8985, 7.3
    5.  octets that recovery declared lost                             RFC 8985, 6582
    6.  octets and FIN from SND.NXT on: new ones, or again after a timeout
    7.  window probe (3.8.6.1), keep-alive probe (3.8.4)
    8.  ACK without payload, if one is still owed                      3.8.6.3

Every segment but SYN and RST carries the present ACK and window, so after 4 to 7 no ACK is owed any more. An
ACK goes alone, before payload, only where SACK blocks, duplicate ACKs or ECN feedback must be sent.

How much of 6 goes depends on four limits. Sent are ``count`` octets, the least of ``unsent``, ``usable`` and
``room``, if that is worth a segment (Nagle, silly window syndrome) and the pacing rate allows it now:

     SND.UNA          SND.NXT            SND.UNA + min(cwnd, SND.WND)      end of buffer
    ────┼────────────────┼───────────────────────────┼───────────────────────────┼──►
        ├── in flight ───┼───────── usable ──────────┤                           │
                         ├─────────────────────── unsent ────────────────────────┤
                         ├─── room ───┤  SMSS, or the size of a path MTU probe
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
_FARTHEST_URGENT: Final = 0xFFFF  # RFC 7323, appendix A: the farthest that the urgent pointer can express


def next_segment(tcb: Tcb, now: int) -> Segment | None:
    """Return the next segment to send at ``now``, or None where none is due. Count and report it."""
    segment = _choose(tcb, now)
    if segment is not None:
        tcb.counts.segments_sent += segment.packets
        if tcb.observer is not None:
            tcb.observer.segment_sent(tcb.local, tcb.remote, segment, now)
    elif tcb.snd.stopwatch is not None:
        tcb.snd.stopwatch.turn(_activity(tcb), now)
    return segment


def _activity(tcb: Tcb) -> int:
    """Return what the connection does now that nothing more can be sent, for `Stopwatch`."""
    if not tcb.snd.flight and not tcb.snd.buffer.size:
        return IDLE
    if tcb.snd.never_sent == 0:
        return BUFFER if tcb.snd.wants_room else BUSY
    controller = tcb.ensure_controller()
    return WINDOW if tcb.snd.wnd < min(tcb.snd.flight + controller.smss, controller.window) else BUSY


def _choose(tcb: Tcb, now: int) -> Segment | None:
    """Make the first segment that is due, in the order of the module's list."""
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
    """Whether payload may follow the SYN,ACK before that is acknowledged (RFC 7413, 4.2.2).

    Payload may not follow a SYN,ACK that was sent again: the first SYN,ACK seems lost, and a peer that got
    none accepts no payload.
    """
    return tcb.opening.is_fast and tcb.snd.retransmissions == 0


def _ack_goes_alone(tcb: Tcb) -> bool:
    """Whether the ACK that is owed must go in a segment without payload, before any payload is sent.

    SACK blocks have no room beside a full segment's payload, and an ACK with payload doesn't count as a
    duplicate ACK (RFC 5681, 2).
    """
    if not tcb.owes & OWES_ACK:
        return False
    if tcb.ecn is not None and tcb.ecn.wants_bare_ack:  # RFC9768-3.2.2: it reports the SYN,ACK's ECN field
        return True
    return tcb.rcv.reassembly is not None or tcb.rcv.duplicate is not None or tcb.rcv.duplicates_owed > 0


def reset_for(segment: Segment) -> Segment:
    """Make the RST that answers ``segment``, which isn't a RST (RFC 9293, 3.5.2, group 1).

    The RST echoes the segment's timestamp (RFC 7323, 5.2).
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


# Beginning and end


def _reset(tcb: Tcb, now: int) -> Segment:
    """Make the RST of an abort: <SEQ=SND.NXT><CTL=RST> (EP-ABORT-4).

    If the peer's window ends before SND.NXT, its right edge is the number (EP-SEQ-5).
    """
    tcb.owes = 0
    reset = Segment(tcb.local.port, tcb.remote.port, window.number_without_text(tcb), 0, RST, 0)
    if tcb.timestamps.agreed:
        reset.tsval, reset.tsecr = timestamps.clock(tcb, now), tcb.timestamps.recent
    return reset


def _syn(tcb: Tcb, now: int) -> Segment:
    """Make <SEQ=ISS><CTL=SYN>, or <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK> once the peer's SYN is known."""
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
    fast_open = None if is_again else tcb.opening.fast_open  # RFC7413-4.2.2: only on the first SYN or SYN,ACK
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
    """Add payload to the SYN of a client with a cookie, as much as fits beside the options (RFC 7413, 4.2.2).

    Urgent data isn't sent on a SYN, because it needs its pointer.
    """
    snd = tcb.snd
    if isinstance(fast_open, Attempt) and fast_open.option and snd.up == snd.nxt:
        mss = min(
            fast_open.mss, tcb.config.largest_mss, tcb.path.mtu - (HEADERS_4 if tcb.is_ipv4 else HEADERS_6)
        )
        count = min(snd.buffer.size, max(0, mss - len(options.encode(syn, tcb.config.option_layout))))
        syn.append(snd.buffer.slice(0, count))
        snd.reserve(count)


# Payload


def _lost(tcb: Tcb, now: int) -> Segment | None:
    """Make the segment that recovery wants sent again, if there is one.

    The segment may lie beyond a window that shrank (MAY-7). While the window is closed, window probes are
    sent instead. Octets from SND.NXT on aren't sent here: `_new` sends them, in order.
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
    """Send up to ``octets`` octets again from sequence number ``number`` on, one segment at most."""
    offset = seq.distance(tcb.snd.first_octet, number)
    count = min(
        tcb.ensure_controller().smss, octets, tcb.snd.buffer.size - offset, seq.distance(number, tcb.snd.max)
    )
    with_fin = tcb.snd.fin_seq != NO_SEQUENCE and seq.add(number, count) == tcb.snd.fin_seq
    _count_retransmission(tcb, number, count)
    owes_ack = tcb.owes & OWES_ACK if window.is_beyond(tcb, number) else 0
    segment = _text(tcb, number, offset, count, count, with_fin=with_fin, now=now)
    # A peer ignores the ACK field of a segment beyond its window, so the ACK is still owed
    tcb.owes |= owes_ack
    return segment


def _new(tcb: Tcb, now: int) -> Segment | None:
    """Make the segment at SND.NXT: new payload and FIN, or after a timeout what was sent before."""
    snd = tcb.snd
    offset = seq.distance(snd.first_octet, snd.nxt)
    unsent = snd.buffer.size - offset
    if unsent <= 0 and not _fin_is_due(tcb):
        # Only a sender, or a model-based controller, records app-limited periods
        if tcb.is_sender or tcb.config.controller.is_model:
            tcb.ensure_recovery().ran_dry()
        return None
    if tcb.ecn is not None and feedback.is_held(tcb, tcb.ecn, now):
        return None
    if snd.una == snd.max:
        _begin_flight(tcb, now)
    usable = _usable(tcb)
    # MUST-16: what MSS, path and timestamps leave; SACK blocks take no room from payload
    room = pathmtu.size_for(tcb, unsent, usable, now)
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
    """Tell the controller that a flight begins, and whether it follows an idle RTO (RFC 5681, 4.1)."""
    controller = tcb.ensure_controller()
    if now - tcb.snd.last_at > tcb.rtt.rto:
        controller.idled(now)
    controller.started(now)


def _must_wait(tcb: Tcb, now: int) -> bool:
    """Whether the pacing rate allows nothing yet; then the pacing timer runs."""
    if tcb.ensure_controller().pacing_rate and tcb.snd.paced_until > now:
        tcb.timers.start(PACING, tcb.snd.paced_until)
        return True
    return False


def _usable(tcb: Tcb) -> int:
    """Return how many numbers may go out from SND.NXT on: min(cwnd, rwnd) less FlightSize (RFC5681-2b).

    The result is negative after a window shrank (MUST-34).
    """
    snd = tcb.snd
    return min(
        snd.wnd - seq.distance(snd.una, snd.nxt),
        tcb.ensure_recovery().room(snd.una, snd.nxt),
    )


def _fin_is_due(tcb: Tcb) -> bool:
    """Whether a CLOSE queued a FIN and SND.NXT isn't beyond it."""
    return tcb.snd.fin_is_queued and (tcb.snd.fin_seq == NO_SEQUENCE or seq.le(tcb.snd.nxt, tcb.snd.fin_seq))


def _is_worth_sending(tcb: Tcb, count: int, unsent: int, room: int) -> bool:
    """Whether ``count`` octets are worth a segment: silly window avoidance and Nagle (MUST-38, SHLD-7).

    RFC 9293, 3.8.6.2.1, sends if (1) a full segment can go, (2) all that is queued can go, (3) half of the
    largest window can go, or (4) the override timer expired. With Nagle, (2) and (3) also require that
    nothing is in flight. A cork holds a small segment back in (2), because more payload may fill it.
    """
    # RFC 9293, 3.8.6.2.1, (1) and (4). Octets that are sent again after a timeout never wait
    if count >= room or tcb.snd.may_send_small or seq.lt(tcb.snd.nxt, tcb.snd.max):
        return True
    config = tcb.config
    may_be_small = not config.nagle or tcb.snd.nxt == tcb.snd.first_octet or tcb.snd.fin_is_queued
    if not may_be_small or (config.cork and count == unsent and not tcb.snd.fin_is_queued):
        return False
    return count == unsent or 2 * count >= tcb.snd.max_wnd  # (2), (3) with Fs = 1/2


def _wait_for_window(tcb: Tcb, count: int, now: int) -> None:
    """Start the timer that sends later what can't go now (MUST-36, EP-TMO-7).

    Persist probes a closed window. The override timer ends the wait of a small segment, if no ACK is on its
    way that could end it.
    """
    if tcb.snd.wnd == 0:
        window.watch(tcb, now)
    elif count > 0 and not tcb.snd.flight and not tcb.timers.is_running(OVERRIDE):
        tcb.timers.start(OVERRIDE, now + tcb.config.override)


def _advance(tcb: Tcb, offset: int, count: int, room: int, *, with_fin: bool, now: int) -> Segment:
    """Send ``count`` octets and perhaps the FIN from SND.NXT on, in packets of ``room`` octets."""
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
            tcb.enter(LAST_ACK, now)  # D-15: only now has the FIN its number
    snd.may_send_small = False
    tcb.timers.stop(OVERRIDE)
    return _text(tcb, start, offset, count, room, with_fin=with_fin, now=now)


def _count_retransmission(tcb: Tcb, number: int, octets: int) -> None:
    """Count octets that are sent again; their ACK measures no round trip (Karn's rule)."""
    tcb.counts.segments_retransmitted += 1
    tcb.counts.octets_retransmitted += octets
    tcb.rtt.forget()  # RFC6298-3a
    pathmtu.sent_again(tcb, number, octets)


def _text(tcb: Tcb, start: int, offset: int, count: int, room: int, *, with_fin: bool, now: int) -> Segment:
    """Make a segment with payload or FIN, and start the timers that wait for its ACK.

    ``start`` is its sequence number, ``offset`` counts the octets before its payload in the send buffer,
    ``count`` its octets of payload. ``room`` is the octets of payload in one packet.
    """
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
    """Make a window probe or a keep-alive probe, if one is owed."""
    if tcb.owes & OWES_WINDOW_PROBE:
        tcb.owes &= ~OWES_WINDOW_PROBE
        if tcb.timers.is_running(PERSIST):
            return _window_probe(tcb, now)
    if tcb.owes & OWES_KEEP_ALIVE:
        tcb.owes &= ~OWES_KEEP_ALIVE
        return _make(tcb, seq.add(window.number_without_text(tcb), -1), ACK, b"", now)  # SHLD-12
    return None


def _window_probe(tcb: Tcb, now: int) -> Segment | None:
    """Send an octet, or the FIN, at SND.UNA: the peer answers with its window (RFC9293-3.8.6.1-1)."""
    tcb.snd.rewind()
    if tcb.snd.buffer.size:
        return _advance(tcb, 0, 1, 1, with_fin=False, now=now)
    return _advance(tcb, 0, 0, 0, with_fin=True, now=now) if tcb.snd.fin_is_queued else None


def _tail_probe(tcb: Tcb, now: int) -> Segment | None:
    """Make a tail loss probe: new payload if the peer has room, else the last segment (RFC8985-7.3b).

    The congestion window doesn't limit the probe.
    """
    tcb.owes &= ~OWES_TAIL_PROBE
    snd = tcb.snd
    # While SND.NXT is before SND.MAX, a timeout's retransmissions go on anyway, and serve as the probe
    if not snd.flight or tcb.timers.is_running(PERSIST) or snd.nxt != snd.max:
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
    """Make an ACK without payload."""
    return _make(tcb, window.number_without_text(tcb), ACK, b"", now)


def _make(tcb: Tcb, number: int, flags: int, data: bytes, now: int, *, stride: int = 0) -> Segment:
    """Make a segment with ACK, window and the agreed options, and record that the ACK owed was sent.

    ``stride`` is the octets of payload in each packet, where the link cuts the segment; otherwise 0.
    """
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
    """Return the SACK blocks that fit beside ``octets`` octets of payload (RFC2018-3, RFC2018-4c).

    A D-SACK block goes first, once (RFC2883-4a); then the ranges held, the latest first.
    """
    # RFC9768-3.2.2.5: with SACK blocks this ACK would look like a duplicate ACK
    if tcb.ecn is not None and tcb.ecn.answers_acks:
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
    """Return how many SACK blocks fit into the options, beside ``octets`` of payload in the path MTU."""
    others = tcb.path.signature_length + (TIMESTAMPS_LENGTH if tcb.timestamps.agreed else 0)
    space = min(_OPTION_SPACE, tcb.send_mss - octets) - others
    return max(0, (space - _SACK_HEADER) // _SACK_BLOCK)
