"""What happens when a deadline passes: RFC 9293, 3.10.8 and 3.8. ``expire`` may be called at any time, late or too often."""

from postel.errors import ConnectionTimedOut, HostUnreachable
from postel.tcp import handshake, keepalive, orphan, pathmtu, patience
from postel.tcp.acknowledge import has_more
from postel.tcp.tcb import OWES_ACK, OWES_SYN, OWES_TAIL_PROBE, OWES_WINDOW_PROBE, Tcb
from postel.tcp.timers import deadline
from postel.times import NEVER


def expire(tcb: Tcb, now: int) -> None:
    if tcb.timers.next() > now:
        return
    _expire_connection(tcb, now)
    _expire_loss(tcb, now)
    _expire_waiting(tcb, now)


def _expire_connection(tcb: Tcb, now: int) -> None:
    """Those that end it."""
    timers = tcb.timers
    if timers.user <= now:
        _note(tcb, "user-timeout", now)
        user_timeout(tcb, now)
    if timers.time_wait <= now:
        _note(tcb, "time-wait", now)
        tcb.delete(None, now)  # EP-TMO-3
    if timers.orphan <= now:
        _note(tcb, "orphan", now)
        orphan.end(tcb, now)  # EP-TMO-9
    if timers.keep_alive <= now:
        _note(tcb, "keep-alive", now)
        keepalive.expire(tcb, now)


def _expire_loss(tcb: Tcb, now: int) -> None:
    """Those that wait for an ACK: one of them at most."""
    timers = tcb.timers
    if timers.retransmission <= now:
        _note(tcb, "retransmission", now)
        retransmission_timeout(tcb, now)
    elif timers.probe <= now:
        _note(tcb, "probe", now)
        tail_probe(tcb, now)
    elif timers.reorder <= now:
        _note(tcb, "reorder", now)
        tcb.recovery.on_reorder_timeout(now)
        patience.restart(tcb, now)
    elif timers.persist <= now:
        _note(tcb, "persist", now)
        persist(tcb, now)


def _expire_waiting(tcb: Tcb, now: int) -> None:
    """Those that held something back."""
    timers = tcb.timers
    if timers.override <= now:
        _note(tcb, "override", now)
        timers.override = NEVER
        tcb.may_send_small = True  # EP-TMO-7
    if timers.delayed_ack <= now:
        _note(tcb, "delayed-ack", now)
        timers.delayed_ack = NEVER
        tcb.owes |= OWES_ACK  # EP-TMO-5
    if timers.pacing <= now:
        timers.pacing = NEVER


def user_timeout(tcb: Tcb, now: int) -> None:
    """EP-TMO-1, MUST-20: R2. Nothing was heard for as long as the user is willing to wait."""
    if tcb.may_listen_again:  # EP-TMO-10
        handshake.listen_again(tcb, now)
    else:
        tcb.delete(_timed_out(tcb), now)


def _timed_out(tcb: Tcb) -> ConnectionTimedOut:
    """With the latest soft error as its reason, where that came while the user timeout ran (MUST-47, MUST-56)."""
    reason = tcb.error
    if reason is None or reason.told_at < tcb.timers.user - tcb.user_timeout:
        return ConnectionTimedOut()
    error = ConnectionTimedOut(f"{ConnectionTimedOut.text}: {reason.strerror}")
    error.__cause__ = reason
    return error


def retransmission_timeout(tcb: Tcb, now: int) -> None:
    """EP-TMO-2, RFC 6298, 5.4 to 5.6: the first that isn't acknowledged goes again, with twice the patience."""
    if not orphan.may_try_again(tcb, tcb.retransmissions):
        orphan.end(tcb, now)
        return
    tcb.retransmissions += 1
    tcb.rtt.timed_out(now)
    tcb.rtt.round_end = tcb.snd.una  # its round trip has ended: the first ACK that measures anything ends the back-off
    tcb.rtt.back_off()
    patience.wait_for_timeout(tcb, now)  # RFC6298-5.6
    if tcb.retransmissions == tcb.config.r1:  # MUST-20, SHLD-9
        report(tcb)
    if not tcb.syn_is_acked:
        tcb.owes |= OWES_SYN
        return
    pathmtu.timed_out(tcb, now)  # first, for the window shall be one segment of the size that goes now
    tcb.recovery.on_timeout(again=tcb.retransmissions > 1, has_more=has_more(tcb), now=now)
    tcb.turn()
    if tcb.ecn is not None:
        tcb.ecn.reduced(tcb.snd.max)  # RFC3168-6.1.2c


def report(tcb: Tcb) -> None:
    """R1 has passed (MUST-20)."""
    tcb.trouble(HostUnreachable(f"{tcb.config.r1} retransmissions unanswered, trying on"))


def tail_probe(tcb: Tcb, now: int) -> None:
    """RFC 8985, 7.3: an ACK is overdue. One segment more may draw one; if it doesn't, the retransmission timeout follows."""
    patience.wait_for_timeout(tcb, now)
    if tcb.recovery.takes_probe():
        tcb.rtt.timed_out(now)
        tcb.owes |= OWES_TAIL_PROBE


def persist(tcb: Tcb, now: int) -> None:
    """EP-TMO-4: a probe, and more patience each time (SHLD-30). The user timeout runs until the peer answers (MUST-37)."""
    if not orphan.may_try_again(tcb, tcb.probes):
        orphan.end(tcb, now)
        return
    tcb.probes += 1
    tcb.rtt.timed_out(now)
    tcb.owes |= OWES_WINDOW_PROBE
    tcb.timers.persist = now + min(tcb.rtt.rto << min(tcb.probes, 16), tcb.config.rto_maximum)
    if tcb.timers.user == NEVER:
        tcb.timers.user = deadline(tcb.user_timeout, now)


def _note(tcb: Tcb, timer: str, now: int) -> None:
    if tcb.observer is not None:
        tcb.observer.timer_expired(tcb.local, tcb.remote, timer, now)
