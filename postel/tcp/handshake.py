"""What two SYNs agree on: MSS, window scale, timestamps, SACK; and the way into ESTABLISHED and back to
LISTEN.
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
    """Our SYN takes its number: SND.UNA = ISS, SND.NXT = ISS + 1. Output sends it."""
    tcb.snd.begin()
    tcb.rcv.offer(min(FIRST_WINDOW, tcb.rcv.limit))
    if tcb.config.window_scaling:  # as the SYN tells it, whatever becomes of the buffer afterwards
        tcb.rcv.shift = window.shift_for(tuning.largest_receive_buffer(tcb.config))
    tcb.owes |= OWES_SYN
    usertimeout.begin(tcb, now)  # MUST-22, MUST-23


def learn(tcb: Tcb, syn: Segment, now: int) -> None:
    """Take the peer's SYN: its number and those options that we offer too."""
    rcv, config = tcb.rcv, tcb.config
    rcv.begin(syn.seq)
    if syn.mss != ABSENT:
        tcb.path.peer_mss = max(config.smallest_mss, syn.mss)  # MUST-14, MUST-15
    if config.window_scaling and syn.window_scale != ABSENT:  # RFC7323-2.2a
        tcb.opening.peer_scales = True
        tcb.snd.shift = min(LARGEST_SHIFT, syn.window_scale)  # RFC7323-2.3b
        if (
            syn.window_scale > LARGEST_SHIFT and tcb.observer is not None
        ):  # the SHOULD beside it: log the error
            error = f"a window scale of {syn.window_scale}, of which {LARGEST_SHIFT} is used"
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
    tcb.snd.hear_window(
        syn.window, syn.seq, tcb.snd.iss
    )  # unscaled; RFC1122-4.2.2.20c; D-5: a SYN without ACK has no SEG.ACK
    if not tcb.opening.is_passive:  # else our own SYN has yet to tell the window
        _size_buffer(tcb)


def heed_stripping(tcb: Tcb, ack: Segment) -> None:
    """The peer offered timestamps, we agreed, and the ACK of that has none: some box took them out of our
    SYN,ACK, and with them all options, as such boxes do. What the peer can't know of isn't agreed
    (BAD-NET-3).
    """
    if tcb.timestamps.agreed and ack.tsval == ABSENT and tcb.config.timestamps_required:
        tcb.timestamps.agreed = tcb.sack_agreed = tcb.opening.peer_scales = False
        tcb.snd.shift = tcb.rcv.shift = 0


def _size_buffer(tcb: Tcb) -> None:
    """The MSS is agreed: what a buffer of whole segments holds, and a window that counts all of it."""
    round_buffer(tcb)
    if tcb.config.whole_buffer:
        tcb.rcv.widen(tcb.rcv.limit)


def round_buffer(tcb: Tcb) -> None:
    if tcb.config.whole_segments:
        mss = min(tcb.advertised_mss, tcb.path.peer_mss)
        tcb.rcv.limit = -(-tcb.rcv.limit // mss) * mss


def begin_to_send(tcb: Tcb, lost_syns: int, now: int) -> None:
    """The window begins at IW (RFC 6928), or at one segment after more than one lost SYN (RFC6928-2b)."""
    tcb.opening.first_window = 1 if lost_syns > 1 else tcb.config.initial_window
    tcb.begin_to_send()
    outstanding = seq.distance(tcb.snd.first_octet, tcb.snd.max)
    if outstanding:  # text of Fast Open, or the FIN of a CLOSE in SYN-RECEIVED
        tcb.ensure_recovery().on_sent(tcb.snd.first_octet, outstanding, now)


def establish(tcb: Tcb, lost_syns: int, now: int) -> None:
    """The handshake is done, whatever state it leads to: the only way into a synchronized one."""
    begin_to_send(tcb, lost_syns, now)
    if lost_syns:
        tcb.rtt.restart(tcb.config.rto_after_syn)  # RFC6298-5.7
        if tcb.snd.flight:  # RFC7413-4.2.2: a peer that no SYN,ACK had reached took nothing that followed it
            tcb.ensure_recovery().on_refused()
            tcb.turn()
    usertimeout.stop(tcb)
    if tcb.snd.flight:  # it was sent before, and waits from now on as all text does
        loss_timers.restart(tcb, now)
        usertimeout.restart(tcb, now)
    _size_buffer(tcb)
    if (
        tcb.config.user_timeout_option
    ):  # RFC5482-3a: told again, for a listener with SYN cookies forgot what the SYN said
        tcb.owes |= OWES_USER_TIMEOUT
    if tcb.config.keep_alive:
        keepalive.begin(tcb, now)
    if tcb.state is not FIN_WAIT_1:  # EP-CLOSE-4
        tcb.enter(ESTABLISHED, now)
    if not tcb.opening.is_fast:  # the program of a fast-opened connection knows it already
        tcb.tell(OPENED)


def conclude(tcb: Tcb, fast_open: FastOpen, segment: Segment, now: int) -> None:
    """The end of the handshake, for Fast Open: ``segment`` acknowledges our SYN, and the text that went with
    it or not.
    """
    snd = tcb.snd
    lacks_text = snd.una not in (snd.max, snd.fin_seq)
    refuses_text = lacks_text and snd.una == seq.add(snd.iss, 1)
    if not fast_open.opened:
        tcb.opening.fast_opened = snd.una != seq.add(snd.iss, 1)
    fast_open.succeeded(segment.fast_open, tcb.path.peer_mss, now, refuses_text=refuses_text)
    if lacks_text and not fast_open.opened:  # RFC7413-4.2.2: the server refused it
        tcb.ensure_recovery().on_refused()
        tcb.turn()
    tcb.opening.fast_open = None


def listen_again(tcb: Tcb, now: int) -> None:
    """SYN-RECEIVED back to LISTEN: nothing of the attempt stays (EP-RST-3, EP-SYN-1, EP-TMO-10)."""
    tcb.flush()
    tcb.rcv.duplicate = None
    tcb.begin_anew(seq.add(tcb.snd.max, FIRST_WINDOW))
    tcb.enter(LISTEN, now)
