"""Handshake: what two SYNs agree on (MSS, window scale, timestamps, SACK), and the way into ESTABLISHED.

RFC 9293, 3.5. The way back to LISTEN is here, too.
"""

from postel.tcp import keepalive, loss_timers, seq, tuning, usertimeout, window
from postel.tcp.ecn import negotiation
from postel.tcp.events import OPENED
from postel.tcp.fastopen import FastOpen
from postel.tcp.state import ESTABLISHED, FIN_WAIT_1, LISTEN
from postel.tcp.tcb import LARGEST_SHIFT, OWES_SYN, OWES_USER_TIMEOUT, Tcb
from postel.wire.segment import ABSENT, Segment

FIRST_WINDOW = 0xFFFF  # RFC7323-2.2c: the field of a SYN isn't scaled


def begin(tcb: Tcb, now: int) -> None:
    """Give our SYN its number: SND.UNA = ISS, SND.NXT = ISS + 1. Output sends it."""
    tcb.snd.begin()
    tcb.rcv.offer(min(FIRST_WINDOW, tcb.rcv.limit))
    if tcb.config.window_scaling:  # the SYN tells the scale, and later changes of the buffer don't change it
        tcb.rcv.shift = window.shift_for(tuning.largest_receive_buffer(tcb.config))
    tcb.owes |= OWES_SYN
    usertimeout.begin(tcb, now)  # MUST-22, MUST-23


def learn(tcb: Tcb, syn: Segment, now: int) -> None:
    """Adopt the number of the peer's SYN, and those options of the SYN that we offer, too."""
    rcv, config = tcb.rcv, tcb.config
    rcv.begin(syn.seq)
    if syn.mss != ABSENT:
        tcb.path.peer_mss = max(config.smallest_mss, syn.mss)  # MUST-14, MUST-15
    if config.window_scaling and syn.window_scale != ABSENT:  # RFC7323-2.2a
        tcb.opening.peer_scales = True
        tcb.snd.shift = min(LARGEST_SHIFT, syn.window_scale)  # RFC7323-2.3b
        # RFC 7323, 2.3: a larger value SHOULD be logged
        if syn.window_scale > LARGEST_SHIFT and tcb.observer is not None:
            error = f"a window scale of {syn.window_scale}; {LARGEST_SHIFT}, the largest allowed, is used"
            tcb.observer.peer_erred(tcb.local, tcb.remote, error, now)
    else:
        rcv.shift = 0
    if config.timestamps and syn.tsval != ABSENT:  # RFC7323-3.2b
        tcb.timestamps.agreed = True
        tcb.timestamps.recent = syn.tsval
        tcb.timestamps.recent_at = now
    usertimeout.heed(tcb, syn)
    tcb.timestamps.last_ack_sent = rcv.nxt
    tcb.sack_agreed = config.sack and syn.sack_permitted  # RFC2018-4a
    negotiation.learn(tcb, syn)
    # RFC1122-4.2.2.20c, unscaled. D-5: a SYN without ACK has no SEG.ACK
    tcb.snd.hear_window(syn.window, syn.seq, tcb.snd.iss)
    if not tcb.opening.is_passive:  # in a passive open, `establish` does it after our SYN,ACK
        _size_buffer(tcb)


def heed_stripping(tcb: Tcb, ack: Segment) -> None:
    """Use no timestamps, SACK or window scaling if the ACK of our SYN,ACK has no timestamp (BAD-NET-3).

    Both SYNs had one, so a middlebox has removed the options from our SYN,ACK, and the peer knows of none.
    """
    if tcb.timestamps.agreed and ack.tsval == ABSENT and tcb.config.timestamps_required:
        tcb.timestamps.agreed = tcb.sack_agreed = tcb.opening.peer_scales = False
        tcb.snd.shift = tcb.rcv.shift = 0


def _size_buffer(tcb: Tcb) -> None:
    """Fit the receive buffer to the agreed MSS (`whole_segments`), and the window to it (`whole_buffer`)."""
    round_buffer(tcb)
    if tcb.config.whole_buffer:
        tcb.rcv.widen(tcb.rcv.limit)


def round_buffer(tcb: Tcb) -> None:
    """Round the receive buffer up to whole segments, where the user chose that."""
    if tcb.config.whole_segments:
        mss = min(tcb.advertised_mss, tcb.path.peer_mss)
        tcb.rcv.limit = -(-tcb.rcv.limit // mss) * mss


def begin_to_send(tcb: Tcb, lost_syns: int, now: int) -> None:
    """Set the first congestion window: IW (RFC 6928), or one segment if two SYNs were lost (RFC6928-2b)."""
    tcb.opening.first_window = 1 if lost_syns > 1 else tcb.config.initial_window
    tcb.begin_to_send()
    outstanding = seq.distance(tcb.snd.first_octet, tcb.snd.max)
    if outstanding:  # payload of Fast Open, or the FIN of a CLOSE in SYN-RECEIVED
        tcb.ensure_recovery().on_sent(tcb.snd.first_octet, outstanding, now)


def establish(tcb: Tcb, lost_syns: int, now: int) -> None:
    """Complete the handshake: the only way into a synchronized state.

    ``lost_syns`` is how often our SYN was retransmitted.
    """
    begin_to_send(tcb, lost_syns, now)
    if lost_syns:
        tcb.rtt.restart(tcb.config.rto_after_syn)  # RFC6298-5.7
        # RFC7413-4.2.2: a peer that got no earlier SYN,ACK dropped the payload that followed it
        if tcb.snd.flight:
            tcb.ensure_recovery().on_refused()
            tcb.turn()
    usertimeout.stop(tcb)
    if tcb.snd.flight:  # payload was sent during the handshake, and waits from now on as all payload does
        loss_timers.restart(tcb, now)
        usertimeout.restart(tcb, now)
    _size_buffer(tcb)
    # RFC5482-3a: sent again, because a listener with SYN cookies doesn't remember the SYN's options
    if tcb.config.user_timeout_option:
        tcb.owes |= OWES_USER_TIMEOUT
    if tcb.config.keep_alive:
        keepalive.begin(tcb, now)
    if tcb.state is not FIN_WAIT_1:  # EP-CLOSE-4
        tcb.enter(ESTABLISHED, now)
    if not tcb.opening.is_fast:  # the program of a fast-opened connection got Opened already
        tcb.tell(OPENED)


def conclude(tcb: Tcb, fast_open: FastOpen, segment: Segment, now: int) -> None:
    """End Fast Open: ``segment`` acknowledges our SYN, with or without the payload that went with it."""
    snd = tcb.snd
    lacks_text = snd.una not in (snd.max, snd.fin_seq)
    refuses_text = lacks_text and snd.una == seq.add(snd.iss, 1)
    if not fast_open.opened:
        tcb.opening.fast_opened = snd.una != seq.add(snd.iss, 1)
    fast_open.succeeded(segment.fast_open, tcb.path.peer_mss, now, refuses_text=refuses_text)
    if lacks_text and not fast_open.opened:  # RFC7413-4.2.2: the server refused payload of the SYN
        tcb.ensure_recovery().on_refused()
        tcb.turn()
    tcb.opening.fast_open = None


def listen_again(tcb: Tcb, now: int) -> None:
    """Return from SYN-RECEIVED to LISTEN and forget the attempt (EP-RST-3, EP-SYN-1, EP-TMO-10)."""
    tcb.flush()
    tcb.rcv.duplicate = None
    tcb.begin_anew(seq.add(tcb.snd.max, FIRST_WINDOW))
    tcb.enter(LISTEN, now)
