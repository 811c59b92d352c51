"""SEGMENT ARRIVES (RFC 9293, 3.10.7): what a segment from the network does to a connection.

Theory of operation. `segment_arrives` dispatches on the state, as 3.10.7 does: CLOSED (3.10.7.1), LISTEN
(3.10.7.2), SYN-SENT (3.10.7.3), all other states (3.10.7.4). In these, a segment passes the RFC's checks in
order, and each check either lets it go on or drops it:

    step 0   timestamps.admits         PAWS: is the timestamp older than TS.Recent? (RFC 7323, 5)
    first    first_check_sequence      is any of it inside the receive window? Else answer with an ACK
    second   second_check_rst          RST: reset only if SEG.SEQ = RCV.NXT, else challenge (RFC 5961, 3)
    third    (security, left out as RFC 9293, A.1.2 allows)
    fourth   fourth_check_syn          SYN: never resets, is answered with a challenge ACK (RFC 5961, 4)
    fifth    fifth_check_ack           SEG.ACK: free the send buffer, find losses, update the send window
             timestamps.remember       TS.Recent (RFC 7323, 4.3)
             feedback.note             ECN (RFC 3168, RFC 9768), if agreed
    sixth    sixth_check_urg           the urgent pointer
    seventh  seventh_process_text      payload: to the user, or to the reassembly queue
    eighth   eighth_check_fin          FIN: the state changes, the user gets EndOfStream

The first check compares the segment with the receive window:

                        RCV.NXT                        RCV.NXT+RCV.WND
    ───────────────────────┼──────────────────────────────────┼─────────────────►
       ├─────────┤         │                                  │         all old: drop, send an ACK
                     ├─────────┤                              │         partly old: process the new part
                           │        ├──────────┤              │         acceptable
                           │                             ├────────┤     process what is inside the window
                           │                                  │ ├────┤  all beyond: drop, send an ACK

Each check is a function that returns whether to go on, so ``return False`` is the RFC's "drop the segment and
return". Nothing here makes a segment: input only sets bits in ``tcb.owes``, and `postel.tcp.output` sends
what is owed later.
"""

from postel.errors import ConnectionRefused, ConnectionReset
from postel.tcp import (
    acknowledge,
    challenge,
    delivery,
    handshake,
    keepalive,
    orphan,
    pathmtu,
    prediction,
    seq,
    timestamps,
    usertimeout,
    window,
)
from postel.tcp.ecn import feedback, negotiation
from postel.tcp.events import END_OF_STREAM, OPENED, URGENT
from postel.tcp.seq import NO_SEQUENCE
from postel.tcp.state import (
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    LISTEN,
    SYN_RECEIVED,
    SYN_SENT,
    TIME_WAIT,
)
from postel.tcp.tcb import OWES_ACK, OWES_RESET, OWES_SYN, Tcb
from postel.tcp.timers import KEEP_ALIVE, TWO_MSL
from postel.wire.segment import ACK, FIN, RST, SYN, URG, Segment

_RESETS_HELD = 8  # most segments that wait until output answers them with a RST


def segment_arrives(tcb: Tcb, segment: Segment, now: int) -> None:
    """Process ``segment`` by header prediction if it is the expected one, else by the rules of the state.

    RFC 9293, 3.10.7. The caller has verified the checksum, and the signature where there is one.
    """
    tcb.counts.segments_arrived += segment.packets
    if tcb.observer is not None:
        tcb.observer.segment_arrived(tcb.local, tcb.remote, segment, now)
    if prediction.holds(tcb, segment):
        prediction.handle(tcb, segment, now)
    elif tcb.state is CLOSED:
        in_closed(tcb, segment)
    elif tcb.state is LISTEN:
        in_listen(tcb, segment, now)
    elif tcb.state is SYN_SENT:
        in_syn_sent(tcb, segment, now)
    else:
        otherwise(tcb, segment, now)


def in_closed(tcb: Tcb, segment: Segment) -> None:
    """Answer a segment in CLOSED with a RST, unless it is a RST itself (RFC 9293, 3.10.7.1)."""
    if not segment.flags & RST:  # EP-CLO-1
        _answer_with_reset(tcb, segment)  # EP-CLO-2, EP-CLO-3


def in_listen(tcb: Tcb, segment: Segment, now: int) -> None:
    """Process a segment in LISTEN (RFC 9293, 3.10.7.2): first RST, second ACK, third SYN, fourth the rest."""
    if segment.flags & RST:  # EP-LIS-1
        return
    if segment.flags & ACK:  # EP-LIS-2
        _answer_with_reset(tcb, segment)
    elif segment.flags & SYN and not _is_dropped(tcb, segment):  # EP-LIS-3
        # EP-LIS-4: the SYN's payload and FIN aren't acknowledged, so the peer sends them again (D-3)
        tcb.opening.is_passive = True  # MUST-11
        handshake.begin(tcb, now)
        handshake.learn(tcb, segment, now)
        tcb.enter(SYN_RECEIVED, now)
        if tcb.opening.is_fast:
            _open_fast(tcb, segment, now)


def in_syn_sent(tcb: Tcb, segment: Segment, now: int) -> None:
    """Process a segment in SYN-SENT (RFC 9293, 3.10.7.3): check ACK, then RST, SYN, and the rest."""
    flags = segment.flags
    if flags & ACK and not (seq.lt(tcb.snd.iss, segment.ack) and seq.le(segment.ack, tcb.snd.max)):  # EP-SS-1
        if not flags & RST:
            _answer_with_reset(tcb, segment)
        return
    if flags & RST:
        if flags & ACK:  # EP-SS-3, RFC5961-3.2d; without ACK EP-SS-4: D-4
            tcb.delete(ConnectionRefused(), now)
        return
    if not flags & SYN or _is_dropped(tcb, segment):  # EP-SS-7, EP-SS-8
        return
    handshake.learn(tcb, segment, now)
    if flags & ACK:  # EP-SS-5
        _open(tcb, segment, now)
        tcb.owes |= OWES_ACK
        _ = (
            sixth_check_urg(tcb, segment)
            and seventh_process_text(tcb, segment, now)
            and eighth_check_fin(tcb, segment, now)
        )
    else:  # EP-SS-6: simultaneous open (MUST-10; RFC 9293, 3.5, figure 7)
        tcb.enter(SYN_RECEIVED, now)
        tcb.owes |= OWES_SYN
        tcb.opening.early = segment.data[: tcb.rcv.wnd]


def otherwise(tcb: Tcb, segment: Segment, now: int) -> bool:
    """Process a segment in any other state (RFC 9293, 3.10.7.4): the checks of the module's table, in order.

    The third check, security, is left out as RFC 9293, A.1.2 allows.
    """
    return (
        timestamps.admits(tcb, segment, now)
        and first_check_sequence(tcb, segment, now)
        and second_check_rst(tcb, segment, now)
        and fourth_check_syn(tcb, segment, now)
        and fifth_check_ack(tcb, segment, now)
        and timestamps.remember(tcb, segment, now)
        and (tcb.ecn is None or feedback.note(tcb, tcb.ecn, segment))
        and sixth_check_urg(tcb, segment)
        and seventh_process_text(tcb, segment, now)
        and eighth_check_fin(tcb, segment, now)
    )


def first_check_sequence(tcb: Tcb, segment: Segment, now: int) -> bool:
    """Check that the segment overlaps the receive window; return whether to go on.

    An unacceptable segment is answered with an ACK, unless it is a RST. The ACK field of some unacceptable
    segments still counts: of a segment at RCV.NXT - 1 or at the right edge, and of one that a closed window
    refused.
    """
    if not tcb.snd.syn_is_acked and segment.flags & (SYN | RST) == SYN and segment.seq == tcb.rcv.irs:
        return _syn_again(tcb, segment, now)
    if is_acceptable(tcb, segment):  # EP-SEQ-1, EP-SEQ-10
        return True
    if _is_heard_at_closed_window(tcb, segment):
        _hear_at_closed_window(tcb, segment, now)
        return False
    if segment.flags & RST:  # EP-SEQ-3, EP-RST-1, RFC5961-3.2a
        return False
    if seq.lt(segment.seq, tcb.rcv.nxt):
        delivery.note_duplicate(tcb, segment)
        timestamps.follow_duplicate(tcb, segment, now)
    if tcb.is_synchronized and (_is_probe(tcb, segment) or _is_beyond_lost_text(tcb, segment)):
        fifth_check_ack(tcb, segment, now)
    if tcb.state is TIME_WAIT and segment.flags & FIN and seq.add(segment.seq, segment.len) == tcb.rcv.nxt:
        # EP-SEQ-7, EP-ACK-14: our last ACK was lost
        _restart_time_wait(tcb, now)
    if tcb.state is not CLOSED:
        challenge.owe(tcb, segment, now)  # EP-SEQ-4, RFC9293-3.5.2-3
        if tcb.ecn is not None:
            negotiation.hear_late(tcb, tcb.ecn, segment)
    return False


def is_acceptable(tcb: Tcb, segment: Segment) -> bool:
    """Whether the segment overlaps the receive window (RFC 9293, 3.10.7.4, table 6; EP-SEQ-2, D-6).

    Table 6 tests whether the first or the last octet of the segment lies in the window. The overlap test also
    accepts a segment that begins left of the window and ends right of it.
    """
    ahead = seq.offset(segment.seq, tcb.rcv.nxt)
    room = tcb.rcv.wnd
    if room == 0:  # EP-SEQ-5: payload and FIN are cut off below; ACK, URG and RST count (MUST-66)
        return ahead == 0
    if segment.len == 0 or segment.flags & RST:  # EP-RST-8: payload of a RST has no sequence numbers
        return 0 <= ahead < room
    return ahead < room and ahead + segment.len > 0


def second_check_rst(tcb: Tcb, segment: Segment, now: int) -> bool:
    """Check the RST bit; return whether to go on (RFC 9293, 3.10.7.4; RFC 5961, 3).

    Only a RST with SEG.SEQ = RCV.NXT ends the connection. Another RST inside the window is answered with a
    challenge ACK: a peer that did reset answers that ACK with a RST of the right number. Payload on a RST is
    ignored (EP-RST-8, SHLD-2).
    """
    if not segment.flags & RST:
        return True
    if tcb.state is TIME_WAIT:
        answers_challenge = (
            tcb.rcv.is_challenged and segment.seq == tcb.rcv.nxt and tcb.config.time_wait_challenge
        )
        if answers_challenge or not tcb.config.rfc1337:  # EP-RST-7, D-10
            tcb.delete(None, now)
    elif segment.seq != tcb.rcv.nxt and tcb.config.exact_reset:  # EP-RST-2
        if challenge.claim(tcb, now):
            tcb.owes |= OWES_ACK
    elif tcb.may_listen_again:  # EP-RST-3
        handshake.listen_again(tcb, now)
    elif tcb.state is SYN_RECEIVED and not tcb.opening.is_passive:  # EP-RST-4
        tcb.delete(ConnectionRefused(), now)
    elif tcb.state in (CLOSING, LAST_ACK):  # EP-RST-6
        tcb.delete(None, now)
    else:  # EP-RST-5, RFC5961-3.2b, MUST-12
        tcb.delete(ConnectionReset(), now)
    return False


def fourth_check_syn(tcb: Tcb, segment: Segment, now: int) -> bool:
    """Check the SYN bit; return whether to go on. A SYN never resets, whatever its number (RFC 5961, 4).

    The SYN is answered with a challenge ACK: a peer that restarted answers that ACK with a RST of the right
    number. In SYN-RECEIVED after a passive OPEN the connection returns to LISTEN.
    """
    if not segment.flags & SYN:
        return True
    if tcb.may_listen_again:  # EP-SYN-1
        handshake.listen_again(tcb, now)
    elif not tcb.config.challenge_syn and tcb.state is not TIME_WAIT:
        tcb.delete(ConnectionReset("a SYN arrived inside the receive window"), now)
        tcb.owes |= OWES_RESET
    else:  # EP-SYN-2, EP-SYN-3
        challenge.owe(tcb, segment, now)
    return False


def fifth_check_ack(tcb: Tcb, segment: Segment, now: int) -> bool:
    """Process the ACK field; return whether to go on (RFC 9293, 3.10.7.4, fifth check).

    Acceptable is SND.UNA - MAX.SND.WND <= SEG.ACK <= SND.MAX (RFC 5961, 5.2):

                SND.UNA-MAX.SND.WND     SND.UNA           SND.MAX
        ────────────────┼──────────────────┼─────────────────┼───────────►
          challenge ACK │  duplicate, old  │  new: advance   │ challenge ACK

    Before our SYN is acknowledged only SND.UNA < SEG.ACK <= SND.MAX is accepted, and others get a RST.
    """
    if not segment.flags & ACK:  # EP-ACK-1
        return False
    snd = tcb.snd
    if not snd.syn_is_acked:  # SYN-RECEIVED, or FIN-WAIT-1 after a CLOSE there
        # EP-ACK-4, D-12, RFC9293-3.5.2-2
        if not (seq.lt(snd.una, segment.ack) and seq.le(segment.ack, snd.max)):
            _answer_with_reset(tcb, segment)
            return False
        _open(tcb, segment, now)  # EP-ACK-3
    # EP-ACK-2, EP-ACK-7, MAY-12
    elif seq.gt(segment.ack, snd.max) or seq.lt(segment.ack, seq.add(snd.una, -snd.max_wnd)):
        challenge.owe(tcb, segment, now)
        return False
    else:
        if tcb.ecn is not None:
            feedback.heed(tcb, tcb.ecn, segment, now)
        if seq.lt(snd.una, segment.ack):  # EP-ACK-5
            acknowledge.advance(tcb, segment, now)
        else:  # EP-ACK-6
            acknowledge.repeat(tcb, segment, now)
    tcb.counts.last_ack_at = now
    if tcb.timers.is_running(KEEP_ALIVE):
        keepalive.hear(tcb, now)
    if segment.other:
        usertimeout.heed(tcb, segment)
    if seq.ge(segment.ack, snd.una):  # EP-ACK-8
        acknowledge.update_window(tcb, segment, now)
    return _after_ack(tcb, segment, now)


def _after_ack(tcb: Tcb, segment: Segment, now: int) -> bool:
    """Change the state if our FIN is acknowledged; return whether to go on (RFC 9293, 3.10.7.4)."""
    if tcb.state is TIME_WAIT and segment.len == 0:
        # EP-ACK-15: a bare ACK with SEG.SEQ = RCV.NXT gets no answer. A peer that is in TIME-WAIT too sends
        # ACKs with that number, and would answer our answer (D-8)
        if segment.seq != tcb.rcv.nxt:
            challenge.owe(tcb, segment, now)
        return False
    if not tcb.snd.fin_is_acked:
        return True
    if tcb.state is FIN_WAIT_1:  # EP-ACK-9
        tcb.enter(FIN_WAIT_2, now)
        if tcb.rcv.is_released:  # EP-ACK-10
            orphan.wait_for_fin(tcb, now)
    elif tcb.state is CLOSING:  # EP-ACK-12
        _enter_time_wait(tcb, now)
    elif tcb.state is LAST_ACK:  # EP-ACK-13
        tcb.delete(None, now)
        return False
    return True


def sixth_check_urg(tcb: Tcb, segment: Segment) -> bool:
    """Record the urgent pointer and report it to the user if it advanced (EP-URG-1, MUST-32). Always go on.

    The pointer has advanced when it is beyond what the user has read and beyond every earlier pointer. It
    never indexes a buffer (EP-URG-3), so a forged value can't cause a wrong access.
    """
    if segment.flags & URG and tcb.can_receive:  # EP-URG-2
        rcv = tcb.rcv
        pointer = seq.add(segment.seq, segment.urgent)  # MUST-62: the octet after the last urgent one
        end = tcb.rcv.position + seq.offset(pointer, rcv.nxt)
        if end > max(rcv.up, tcb.rcv.position - tcb.rcv.unread):
            rcv.up = end
            tcb.tell(URGENT)
    return True


def seventh_process_text(tcb: Tcb, segment: Segment, now: int) -> bool:
    """Accept the payload that is new and inside the window; return whether to go on (EP-TXT-1, EP-TXT-2).

    Payload at RCV.NXT goes to the user, payload beyond it waits in the reassembly queue. ``start``, ``begin``
    and ``end`` below count octets from RCV.NXT:

        segment.data      start             begin                       end
                          ├───────────────────┼──────────────────────────┼───────────┤
        ──────────────────┼───────────────────┼──────────────────────────┼───────────┼──►
          received before │     duplicate     │ accepted                 │  cut off
                                           RCV.NXT              RCV.NXT+RCV.WND
    """
    if not segment.data:
        return True
    tcb.counts.texts_arrived += segment.packets
    tcb.counts.last_data_at = now
    if not tcb.can_receive:  # EP-TXT-3
        tcb.owes |= OWES_ACK
        return True
    if tcb.rcv.is_released:  # EP-TXT-4, SHLD-3
        tcb.delete(ConnectionReset("data arrived after the close"), now)
        tcb.owes |= OWES_RESET
        return False
    first = seq.add(segment.seq, segment.flags & SYN != 0)
    start = seq.offset(first, tcb.rcv.nxt)  # negative: so many octets were received before
    end = min(start + len(segment.data), window.text_room(tcb))
    begin = max(start, 0)
    if start < 0:
        delivery.note_duplicate(tcb, segment)
    if end <= begin:  # nothing new, or a probe of our closed window (RFC9293-3.8.6.1-1)
        tcb.owes |= OWES_ACK
        return True
    return delivery.accept(tcb, begin, segment.data[begin - start : end - start], segment.packets, now)


def eighth_check_fin(tcb: Tcb, segment: Segment, now: int) -> bool:
    """Process a FIN once every octet before it has arrived (RFC 9293, 3.10.7.4, eighth check).

    A FIN ahead of RCV.NXT is remembered until the octets before it arrive (EP-FIN-8).
    """
    if segment.flags & FIN:
        _note_fin(tcb, segment, now)
    if tcb.rcv.fin_expected == tcb.rcv.nxt and not tcb.rcv.fin_is_received:
        _process_fin(tcb, now)
    return True


# Opening


def _is_dropped(tcb: Tcb, syn: Segment) -> bool:
    """Whether a SYN with FIN is ignored because the user chose ``drop_syn_fin``."""
    return tcb.config.drop_syn_fin and syn.flags & FIN != 0


def _answer_with_reset(tcb: Tcb, segment: Segment) -> None:
    """Keep ``segment`` until output answers it with a RST (RFC 9293, 3.5.2)."""
    if tcb.resets is None:
        tcb.resets = []
    if len(tcb.resets) < _RESETS_HELD:
        tcb.resets.append(segment)


def _open_fast(tcb: Tcb, syn: Segment, now: int) -> None:
    """Give the user the connection and the SYN's payload before the handshake ends (RFC7413-4.2.2, step 4).

    A FIN on the SYN isn't acknowledged, so the peer sends it again.
    """
    handshake.begin_to_send(tcb, 0, now)
    tcb.tell(OPENED)
    data = syn.data[: tcb.rcv.wnd]
    if data and tcb.claim_memory(len(data)):
        delivery.deliver(tcb, data)
        tcb.opening.fast_opened = True


def _open(tcb: Tcb, segment: Segment, now: int) -> None:
    """Process the first ACK of our SYN: enter ESTABLISHED from SYN-SENT or SYN-RECEIVED.

    After a CLOSE in SYN-RECEIVED the state is FIN-WAIT-1 already and stays; everything else is the same.
    """
    lost_syns = tcb.snd.retransmissions
    handshake.heed_stripping(tcb, segment)
    acknowledge.advance(tcb, segment, now)
    tcb.owes &= ~OWES_SYN
    pathmtu.begin(tcb, now)
    handshake.establish(tcb, lost_syns, now)
    if tcb.opening.fast_open is not None:
        handshake.conclude(tcb, tcb.opening.fast_open, segment, now)
    negotiation.opened(tcb, segment, now)
    tcb.counts.last_ack_at = now
    if tcb.snd.fin_is_queued and tcb.state is ESTABLISHED:  # EP-CLOSE-4: the CLOSE was queued until now
        tcb.enter(FIN_WAIT_1, now)
    # EP-ACK-3, EP-SS-5, RFC1122-4.2.2.20c
    tcb.snd.hear_window(acknowledge.scaled_window(tcb, segment), segment.seq, segment.ack)
    window.watch(tcb, now)
    if tcb.opening.early:  # RFC9293-3.5-data-on-syn
        delivery.accept(tcb, 0, tcb.opening.early, 1, now)
        tcb.opening.early = b""


def _syn_again(tcb: Tcb, segment: Segment, now: int) -> bool:
    """Process a SYN with SEG.SEQ = IRS while our SYN isn't acknowledged (EP-SEQ-8, EP-SYN-4, D-9).

    The peer has sent its SYN again because our SYN,ACK was lost, or it is the SYN,ACK of a simultaneous open.
    """
    if not negotiation.hear_again(tcb, segment):  # RFC9768-3.1.5
        _answer_with_reset(tcb, segment)
        if tcb.may_listen_again:
            handshake.listen_again(tcb, now)
        else:
            tcb.delete(ConnectionReset("the peer's SYNs contradict each other"), now)
        return False
    # RFC 9293, 3.5, figure 7: the peer's SYN,ACK of a simultaneous open
    if segment.flags & ACK and not tcb.opening.is_passive:
        _ = (
            fifth_check_ack(tcb, segment, now)
            and timestamps.remember(tcb, segment, now)
            and sixth_check_urg(tcb, segment)
            and seventh_process_text(tcb, segment, now)
            and eighth_check_fin(tcb, segment, now)
        )
    elif not segment.flags & ACK and challenge.claim(tcb, now):  # our SYN,ACK was lost: send it again now
        tcb.owes |= OWES_SYN
    elif segment.flags & ACK:
        challenge.owe(tcb, segment, now)
    return False


# Segments at the edges of the window


def _is_heard_at_closed_window(tcb: Tcb, segment: Segment) -> bool:
    """Whether ACK, URG and RST of a segment count although the closed window refuses it (MUST-66).

    RFC 9293, 3.10.7.4. After a window probe the peer's SND.MAX is one octet beyond our window, and its ACKs
    and RSTs carry that number. After our window shrank, whole segments of the peer may lie beyond it. Such
    numbers are accepted as far as the window would reach if it were open.
    """
    rcv = tcb.rcv
    # A window smaller than one unit of the scaled field is advertised as 0
    if rcv.wnd >> rcv.shift or not tcb.is_synchronized:
        return False
    ahead = seq.offset(segment.seq, rcv.nxt)
    if ahead < 0:  # EP-RST-1: a RST left of the window never counts
        return ahead + segment.len > 0 and not segment.flags & RST
    return ahead <= max(rcv.limit, window.LARGEST_FIELD)


def _hear_at_closed_window(tcb: Tcb, segment: Segment, now: int) -> None:
    """Do the second and the fourth to sixth check; drop payload and FIN, which are answered with an ACK."""
    if not second_check_rst(tcb, segment, now) or not fourth_check_syn(tcb, segment, now):
        return
    if seq.lt(segment.seq, tcb.rcv.nxt):
        delivery.note_duplicate(tcb, segment)
    if fifth_check_ack(tcb, _at_right_edge(tcb, segment), now):
        sixth_check_urg(tcb, segment)
    if segment.len and tcb.state is not CLOSED:  # RFC9293-3.8.6.1-1: the segment was a window probe
        tcb.owes |= OWES_ACK


def _at_right_edge(tcb: Tcb, segment: Segment) -> Segment:
    """Return the segment, moved to the window's right edge if it lies beyond that edge.

    `Sending.hear_window` copies SEG.SEQ into SND.WL1. With a number beyond the window there, the windows of
    later segments, which begin inside the window, would seem older and be ignored.
    """
    edge = tcb.rcv.right_edge
    if seq.le(segment.seq, edge):
        return segment
    moved = Segment(
        segment.source, segment.destination, edge, segment.ack, segment.flags, segment.window, segment.data
    )
    moved.tsval, moved.tsecr, moved.sack, moved.other = (
        segment.tsval,
        segment.tsecr,
        segment.sack,
        segment.other,
    )
    moved.ecn, moved.stride, moved.packets = segment.ecn, segment.stride, segment.packets
    return moved


def _is_probe(tcb: Tcb, segment: Segment) -> bool:
    """Whether the segment has SEG.SEQ = RCV.NXT - 1, as keep-alives, probes and repeated FINs have.

    The ACK field of such a segment counts. Otherwise two peers that probe each other, or close at the same
    time, would ignore each other's ACKs for ever (EP-SEQ-6, D-7, RFC9293-A.2).
    """
    return segment.seq == seq.add(tcb.rcv.nxt, -1) and segment.len <= 1 and not segment.flags & SYN


def _is_beyond_lost_text(tcb: Tcb, segment: Segment) -> bool:
    """Whether the segment is a bare ACK exactly at the right edge of our window.

    The peer sent payload that filled the window, and that payload was lost. The ACK field counts, otherwise
    two such senders would ignore each other's ACKs for ever.
    """
    return segment.len == 0 and segment.seq == tcb.rcv.right_edge


# Closing


def _note_fin(tcb: Tcb, segment: Segment, now: int) -> None:
    """Store the FIN's sequence number, and record that an ACK of the FIN must be sent."""
    tcb.owes |= OWES_ACK
    if tcb.rcv.fin_is_received:  # EP-FIN-6, EP-FIN-7: an old duplicate
        if tcb.state is TIME_WAIT:
            _restart_time_wait(tcb, now)
        return
    fin = seq.add(segment.seq, segment.len - 1)
    ahead = seq.offset(fin, tcb.rcv.nxt)
    # A FIN left of the window is old; a FIN beyond the window is cut off, as payload there is
    if not 0 <= ahead < tcb.rcv.wnd or tcb.rcv.fin_expected != NO_SEQUENCE:
        return
    # If payload beyond this FIN has arrived already, the FIN contradicts it and is ignored
    if tcb.rcv.reassembly is None or tcb.rcv.reassembly.end <= tcb.rcv.position + ahead:
        tcb.rcv.fin_expected = fin


def _process_fin(tcb: Tcb, now: int) -> None:
    """Process the FIN that is next in order: advance RCV.NXT, queue EndOfStream, change the state."""
    tcb.rcv.consume_fin()
    tcb.owes |= OWES_ACK
    tcb.tell(END_OF_STREAM)  # MUST-12
    if tcb.state is ESTABLISHED:  # EP-FIN-2
        tcb.enter(CLOSE_WAIT, now)
    # EP-FIN-4. Had this segment acknowledged our FIN, the state would be FIN-WAIT-2 by now (EP-FIN-3)
    elif tcb.state is FIN_WAIT_1:
        tcb.enter(CLOSING, now)
        if tcb.config.repeat_fin and tcb.snd.fin_seq != NO_SEQUENCE:
            tcb.snd.repeat_fin()
    else:  # EP-FIN-5
        _enter_time_wait(tcb, now)


def _enter_time_wait(tcb: Tcb, now: int) -> None:
    """Enter TIME-WAIT, with the 2 MSL timer as the only timer."""
    tcb.enter(TIME_WAIT, now)
    tcb.timers.stop_all()
    _restart_time_wait(tcb, now)


def _restart_time_wait(tcb: Tcb, now: int) -> None:
    """Let TIME-WAIT last 2 MSL from ``now`` on."""
    tcb.timers.start(TWO_MSL, now + 2 * tcb.config.msl)  # MUST-13
