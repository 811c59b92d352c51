"""SEGMENT ARRIVES: RFC 9293, 3.10.7, check by check, with RFC 5961, 7323 and 1337 as its guests.

A check returns whether to go on; the RFC's "drop the segment and return" is ``return False``. Input only
records what is owed: nothing here makes a segment.
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

_RESETS_HELD = 8  # answers to strange segments, between two drains


def segment_arrives(tcb: Tcb, segment: Segment, now: int) -> None:
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
    """3.10.7.1."""
    if not segment.flags & RST:  # EP-CLO-1
        _answer_with_reset(tcb, segment)  # EP-CLO-2, EP-CLO-3


def in_listen(tcb: Tcb, segment: Segment, now: int) -> None:
    """3.10.7.2: first RST, second ACK, third SYN, fourth the rest."""
    if segment.flags & RST:  # EP-LIS-1
        return
    if segment.flags & ACK:  # EP-LIS-2
        _answer_with_reset(tcb, segment)
    elif segment.flags & SYN and not _is_dropped(tcb, segment):  # EP-LIS-3
        # EP-LIS-4: its text and FIN aren't acknowledged, so the peer sends them again (D-3)
        tcb.opening.is_passive = True  # MUST-11
        handshake.begin(tcb, now)
        handshake.learn(tcb, segment, now)
        tcb.enter(SYN_RECEIVED, now)
        if tcb.opening.is_fast:
            _open_fast(tcb, segment, now)


def in_syn_sent(tcb: Tcb, segment: Segment, now: int) -> None:
    """3.10.7.3: first ACK, second RST, fourth SYN, fifth the rest."""
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
    else:  # EP-SS-6: both sides opened at once (MUST-10)
        tcb.enter(SYN_RECEIVED, now)
        tcb.owes |= OWES_SYN
        tcb.opening.early = segment.data[: tcb.rcv.wnd]


def otherwise(tcb: Tcb, segment: Segment, now: int) -> bool:
    """3.10.7.4, in one expression. The third check, security, is left out as RFC 9293, A.1.2 allows."""
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
    """Table 6 of RFC 9293, 3.4, with the overlap test instead of the two ends (EP-SEQ-2, D-6)."""
    ahead = seq.offset(segment.seq, tcb.rcv.nxt)
    room = tcb.rcv.wnd
    if room == 0:  # EP-SEQ-5: text and FIN are cut below; ACK, URG and RST count (MUST-66)
        return ahead == 0
    if segment.len == 0 or segment.flags & RST:  # EP-RST-8: the text of a RST says nothing of where it stands
        return 0 <= ahead < room
    return ahead < room and ahead + segment.len > 0


def second_check_rst(tcb: Tcb, segment: Segment, now: int) -> bool:
    """RFC 5961, 3. Text on a RST is ignored (EP-RST-8, SHLD-2)."""
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
    """RFC 5961, 4: a SYN never resets, whatever its number."""
    if not segment.flags & SYN:
        return True
    if tcb.may_listen_again:  # EP-SYN-1
        handshake.listen_again(tcb, now)
    elif not tcb.config.challenge_syn and tcb.state is not TIME_WAIT:
        tcb.delete(ConnectionReset("a SYN came in the window"), now)
        tcb.owes |= OWES_RESET
    else:  # EP-SYN-2, EP-SYN-3
        challenge.owe(tcb, segment, now)
    return False


def fifth_check_ack(tcb: Tcb, segment: Segment, now: int) -> bool:
    if not segment.flags & ACK:  # EP-ACK-1
        return False
    snd = tcb.snd
    if not snd.syn_is_acked:  # SYN-RECEIVED, or FIN-WAIT-1 straight from there
        if not (
            seq.lt(snd.una, segment.ack) and seq.le(segment.ack, snd.max)
        ):  # EP-ACK-4, D-12, RFC9293-3.5.2-2
            _answer_with_reset(tcb, segment)
            return False
        _open(tcb, segment, now)  # EP-ACK-3
    elif seq.gt(segment.ack, snd.max) or seq.lt(
        segment.ack, seq.add(snd.una, -snd.max_wnd)
    ):  # EP-ACK-2, EP-ACK-7, MAY-12
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
    """What each state makes of its FIN being acknowledged."""
    if tcb.state is TIME_WAIT and segment.len == 0:
        if (
            segment.seq != tcb.rcv.nxt
        ):  # else EP-ACK-15: a peer in TIME-WAIT too has just that number, and would answer back (D-8)
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
    """The pointer is news when it is ahead of what the user consumed and of every pointer before (EP-URG-1,
    MUST-32). It never indexes a buffer (EP-URG-3), so no value of it can hurt."""
    if segment.flags & URG and tcb.can_receive:  # EP-URG-2
        rcv = tcb.rcv
        pointer = seq.add(segment.seq, segment.urgent)  # MUST-62: the octet after the last urgent one
        end = tcb.rcv.position + seq.offset(pointer, rcv.nxt)
        if end > max(rcv.up, tcb.rcv.position - tcb.rcv.unread):
            rcv.up = end
            tcb.tell(URGENT)
    return True


def seventh_process_text(tcb: Tcb, segment: Segment, now: int) -> bool:
    """Take what is new and inside the window: in order to the user, else to reassembly (EP-TXT-1,
    EP-TXT-2).
    """
    if not segment.data:
        return True
    tcb.counts.texts_arrived += segment.packets
    tcb.counts.last_data_at = now
    if not tcb.can_receive:  # EP-TXT-3
        tcb.owes |= OWES_ACK
        return True
    if tcb.rcv.is_released:  # EP-TXT-4, SHLD-3
        tcb.delete(ConnectionReset("text came after the close"), now)
        tcb.owes |= OWES_RESET
        return False
    first = seq.add(segment.seq, segment.flags & SYN != 0)
    start = seq.offset(first, tcb.rcv.nxt)  # negative: that much is old
    end = min(start + len(segment.data), window.text_room(tcb))
    begin = max(start, 0)
    if start < 0:
        delivery.note_duplicate(tcb, segment)
    if end <= begin:  # nothing new, or a probe of our closed window (RFC9293-3.8.6.1-1)
        tcb.owes |= OWES_ACK
        return True
    return delivery.accept(tcb, begin, segment.data[begin - start : end - start], segment.packets, now)


def eighth_check_fin(tcb: Tcb, segment: Segment, now: int) -> bool:
    """A FIN counts once every octet before it is here; one that is ahead is remembered (EP-FIN-8)."""
    if segment.flags & FIN:
        _note_fin(tcb, segment, now)
    if tcb.rcv.fin_expected == tcb.rcv.nxt and not tcb.rcv.fin_is_received:
        _process_fin(tcb, now)
    return True


# Opening


def _is_dropped(tcb: Tcb, syn: Segment) -> bool:
    """A SYN that would open the connection, and has FIN beside it, where the user wants no such thing."""
    return tcb.config.drop_syn_fin and syn.flags & FIN != 0


def _answer_with_reset(tcb: Tcb, segment: Segment) -> None:
    if tcb.resets is None:
        tcb.resets = []
    if len(tcb.resets) < _RESETS_HELD:
        tcb.resets.append(segment)


def _open_fast(tcb: Tcb, syn: Segment, now: int) -> None:
    """RFC7413-4.2.2, step 4: the user has the connection, and the text of the SYN, before the handshake is
    over. A FIN comes again.
    """
    handshake.begin_to_send(tcb, 0, now)
    tcb.tell(OPENED)
    data = syn.data[: tcb.rcv.wnd]
    if data and tcb.claim_memory(len(data)):
        delivery.deliver(tcb, data)
        tcb.opening.fast_opened = True


def _open(tcb: Tcb, segment: Segment, now: int) -> None:
    """Our SYN is acknowledged: ESTABLISHED, from SYN-SENT or SYN-RECEIVED. After a CLOSE in SYN-RECEIVED the
    state is FIN-WAIT-1 already, and everything else is the same."""
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
    if tcb.snd.fin_is_queued and tcb.state is ESTABLISHED:  # EP-CLOSE-4: queued until now
        tcb.enter(FIN_WAIT_1, now)
    tcb.snd.hear_window(
        acknowledge.scaled_window(tcb, segment), segment.seq, segment.ack
    )  # EP-ACK-3, EP-SS-5, RFC1122-4.2.2.20c
    window.watch(tcb, now)
    if tcb.opening.early:  # RFC9293-3.5-data-on-syn
        delivery.accept(tcb, 0, tcb.opening.early, 1, now)
        tcb.opening.early = b""


def _syn_again(tcb: Tcb, segment: Segment, now: int) -> bool:
    """SEG.SEQ = IRS before our SYN is acknowledged (EP-SEQ-8, EP-SYN-4, D-9)."""
    if not negotiation.hear_again(tcb, segment):  # RFC9768-3.1.5
        _answer_with_reset(tcb, segment)
        if tcb.may_listen_again:
            handshake.listen_again(tcb, now)
        else:
            tcb.delete(ConnectionReset("the peer's SYNs contradict each other"), now)
        return False
    if (
        segment.flags & ACK and not tcb.opening.is_passive
    ):  # the peer's SYN,ACK of a simultaneous open (figure 7)
        _ = (
            fifth_check_ack(tcb, segment, now)
            and timestamps.remember(tcb, segment, now)
            and sixth_check_urg(tcb, segment)
            and seventh_process_text(tcb, segment, now)
            and eighth_check_fin(tcb, segment, now)
        )
    elif not segment.flags & ACK and challenge.claim(tcb, now):  # our SYN,ACK was lost: again, at once
        tcb.owes |= OWES_SYN
    elif segment.flags & ACK:
        challenge.owe(tcb, segment, now)
    return False


# Numbers at the edges of the window


def _is_heard_at_closed_window(tcb: Tcb, segment: Segment) -> bool:
    """Whether ACK, URG and RST of a segment count that a closed window doesn't take (MUST-66, RFC 9293,
    3.10.7.4).

    A sender whose probe went beyond the window carries SND.MAX, which is one octet beyond it, on its ACKs and
    RSTs; one whose window shrank may have a segment or more in flight there. They are heard as far as the
    window would reach if it were open.
    """
    rcv = tcb.rcv
    if rcv.wnd >> rcv.shift or not tcb.is_synchronized:  # a window less than the field's unit is told as zero
        return False
    ahead = seq.offset(segment.seq, rcv.nxt)
    if ahead < 0:  # EP-RST-1: a RST left of the window is never heard
        return ahead + segment.len > 0 and not segment.flags & RST
    return ahead <= max(rcv.limit, window.LARGEST_FIELD)


def _hear_at_closed_window(tcb: Tcb, segment: Segment, now: int) -> None:
    """Do the second check and the fourth to the sixth; text and FIN are dropped, and an ACK says so."""
    if not second_check_rst(tcb, segment, now) or not fourth_check_syn(tcb, segment, now):
        return
    if seq.lt(segment.seq, tcb.rcv.nxt):
        delivery.note_duplicate(tcb, segment)
    if fifth_check_ack(tcb, _at_right_edge(tcb, segment), now):
        sixth_check_urg(tcb, segment)
    if segment.len and tcb.state is not CLOSED:  # RFC9293-3.8.6.1-1: it probed the window
        tcb.owes |= OWES_ACK


def _at_right_edge(tcb: Tcb, segment: Segment) -> Segment:
    """The segment with the window's right edge as its number, if it lies beyond that. Else SND.WL1 would lie
    there too, and the windows of later segments, which begin within the window, would seem old."""
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
    """SEG.SEQ = RCV.NXT - 1, as keep-alives, probes and repeated FINs have: its ACK field counts, lest two
    probing or closing peers never hear each other (EP-SEQ-6, D-7, RFC9293-A.2)."""
    return segment.seq == seq.add(tcb.rcv.nxt, -1) and segment.len <= 1 and not segment.flags & SYN


def _is_beyond_lost_text(tcb: Tcb, segment: Segment) -> bool:
    """A bare ACK at the right edge itself: text that filled our window was sent before it, and lost. Its ACK
    field counts, lest two such senders never hear each other."""
    return segment.len == 0 and segment.seq == tcb.rcv.right_edge


# Closing


def _note_fin(tcb: Tcb, segment: Segment, now: int) -> None:
    tcb.owes |= OWES_ACK
    if tcb.rcv.fin_is_received:  # EP-FIN-6, EP-FIN-7: an old duplicate
        if tcb.state is TIME_WAIT:
            _restart_time_wait(tcb, now)
        return
    fin = seq.add(segment.seq, segment.len - 1)
    ahead = seq.offset(fin, tcb.rcv.nxt)
    if (
        not 0 <= ahead < tcb.rcv.wnd or tcb.rcv.fin_expected != NO_SEQUENCE
    ):  # cut with what lies beyond the window
        return
    if (
        tcb.rcv.reassembly is None or tcb.rcv.reassembly.end <= tcb.rcv.position + ahead
    ):  # else text beyond it came first, and stays
        tcb.rcv.fin_expected = fin


def _process_fin(tcb: Tcb, now: int) -> None:
    tcb.rcv.consume_fin()
    tcb.owes |= OWES_ACK
    tcb.tell(END_OF_STREAM)  # MUST-12
    if tcb.state is ESTABLISHED:  # EP-FIN-2
        tcb.enter(CLOSE_WAIT, now)
    elif (
        tcb.state is FIN_WAIT_1
    ):  # EP-FIN-4; had this segment acknowledged our FIN, we would be in FIN-WAIT-2 (EP-FIN-3)
        tcb.enter(CLOSING, now)
        if tcb.config.repeat_fin and tcb.snd.fin_seq != NO_SEQUENCE:
            tcb.snd.repeat_fin()
    else:  # EP-FIN-5
        _enter_time_wait(tcb, now)


def _enter_time_wait(tcb: Tcb, now: int) -> None:
    tcb.enter(TIME_WAIT, now)
    tcb.timers.stop_all()
    _restart_time_wait(tcb, now)


def _restart_time_wait(tcb: Tcb, now: int) -> None:
    tcb.timers.start(TWO_MSL, now + 2 * tcb.config.msl)  # MUST-13
