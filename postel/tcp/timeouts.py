"""What happens when a timer expires: RFC 9293, 3.10.8 and 3.8."""

from collections.abc import Callable
from typing import Final

from postel.errors import ConnectionTimedOut, HostUnreachable
from postel.tcp import handshake, keepalive, loss_timers, orphan, pathmtu, usertimeout
from postel.tcp.acknowledge import has_more
from postel.tcp.observer import TimerName
from postel.tcp.tcb import OWES_ACK, OWES_SYN, OWES_TAIL_PROBE, OWES_WINDOW_PROBE, Tcb
from postel.tcp.timers import (
    DELAYED_ACK,
    KEEP_ALIVE,
    ORPHAN,
    OVERRIDE,
    PACING,
    PERSIST,
    REORDERING,
    RETRANSMISSION,
    TAIL_PROBE,
    TWO_MSL,
    USER,
)


def user_timeout(tcb: Tcb, now: int) -> None:
    """EP-TMO-1, MUST-20: R2. Nothing was heard for as long as the user is willing to wait."""
    if tcb.may_listen_again:  # EP-TMO-10
        handshake.listen_again(tcb, now)
    else:
        tcb.delete(_timed_out(tcb), now)


def _timed_out(tcb: Tcb) -> ConnectionTimedOut:
    """What ends the connection. Its cause is the latest soft error, if that came while the user timeout ran
    (MUST-47, MUST-56).
    """
    reason = tcb.error
    if reason is None or reason.told_at < tcb.timers.due(USER) - tcb.user_timeout:
        return ConnectionTimedOut()
    error = ConnectionTimedOut(f"{ConnectionTimedOut.text}: {reason.detail}")
    error.__cause__ = reason
    return error


def retransmission_timeout(tcb: Tcb, now: int) -> None:
    """EP-TMO-2, RFC 6298, 5.4 to 5.6: the first that isn't acknowledged goes again, with twice the
    patience.
    """
    if not orphan.may_try_again(tcb, tcb.snd.retransmissions):
        orphan.end(tcb, now)
        return
    tcb.snd.retransmissions += 1
    tcb.rtt.timed_out(now)
    tcb.rtt.round_end = (
        tcb.snd.una
    )  # its round trip has ended: the first ACK that measures anything ends the back-off
    tcb.rtt.back_off()
    loss_timers.wait_for_timeout(tcb, now)  # RFC6298-5.6
    if tcb.snd.retransmissions == tcb.config.r1:  # MUST-20, SHLD-9
        report(tcb)
    if not tcb.snd.syn_is_acked:
        tcb.owes |= OWES_SYN
        return
    pathmtu.timed_out(tcb, now)  # first, for the window shall be one segment of the size that goes now
    tcb.ensure_recovery().on_timeout(again=tcb.snd.retransmissions > 1, has_more=has_more(tcb), now=now)
    if tcb.observer is not None:
        tcb.observer.decided(tcb.local, tcb.remote, "timeout", now)
    tcb.turn()
    if tcb.ecn is not None:
        tcb.ecn.reduced(tcb.snd.max)  # RFC3168-6.1.2c


def report(tcb: Tcb) -> None:
    """R1 has passed (MUST-20)."""
    tcb.trouble(HostUnreachable(f"{tcb.config.r1} retransmissions unanswered, trying on"))


def tail_probe(tcb: Tcb, now: int) -> None:
    """RFC 8985, 7.3: an ACK is overdue. One segment more may draw one; if it doesn't, the retransmission
    timeout follows.
    """
    loss_timers.wait_for_timeout(tcb, now)
    if tcb.ensure_recovery().tail_probe.may_go:
        tcb.rtt.timed_out(now)
        tcb.owes |= OWES_TAIL_PROBE


def persist(tcb: Tcb, now: int) -> None:
    """EP-TMO-4: a probe, and more patience each time (SHLD-30). The user timeout runs until the peer answers
    (MUST-37).
    """
    if not orphan.may_try_again(tcb, tcb.snd.window_probes):
        orphan.end(tcb, now)
        return
    tcb.snd.window_probes += 1
    tcb.rtt.timed_out(now)
    tcb.owes |= OWES_WINDOW_PROBE
    tcb.timers.start(
        PERSIST, now + min(tcb.rtt.rto << min(tcb.snd.window_probes, 16), tcb.config.rto_maximum)
    )
    usertimeout.ensure_started(tcb, now)


def _reordering(tcb: Tcb, now: int) -> None:
    was_active = tcb.ensure_recovery().is_active
    tcb.ensure_recovery().on_reorder_timeout(now)
    if tcb.observer is not None and tcb.ensure_recovery().is_active and not was_active:
        tcb.observer.decided(tcb.local, tcb.remote, "recovery", now)
    loss_timers.restart(tcb, now)


def _override(tcb: Tcb, _now: int) -> None:
    tcb.timers.stop(OVERRIDE)
    tcb.snd.may_send_small = True  # EP-TMO-7


def _delayed_ack(tcb: Tcb, _now: int) -> None:
    tcb.timers.stop(DELAYED_ACK)
    tcb.owes |= OWES_ACK  # EP-TMO-5


def _two_msl(tcb: Tcb, now: int) -> None:
    tcb.delete(None, now)  # EP-TMO-3


def _pacing(tcb: Tcb, _now: int) -> None:
    """Output looks again whether something may go."""
    tcb.timers.stop(PACING)


# Each timer, the name that an observer is told (None: it is not told), and what happens when it expires. Of
# several that are due, those that end the connection come first, then those that wait for an ACK, then those
# that held something back.
HANDLERS: Final[tuple[tuple[int, TimerName | None, Callable[[Tcb, int], None]], ...]] = (
    (USER, "user-timeout", user_timeout),
    (TWO_MSL, "time-wait", _two_msl),
    (ORPHAN, "orphan", orphan.end),  # EP-TMO-9
    (KEEP_ALIVE, "keep-alive", keepalive.expire),
    (RETRANSMISSION, "retransmission", retransmission_timeout),
    (TAIL_PROBE, "tail-probe", tail_probe),
    (REORDERING, "reorder", _reordering),
    (PERSIST, "persist", persist),
    (OVERRIDE, "override", _override),
    (DELAYED_ACK, "delayed-ack", _delayed_ack),
    (PACING, None, _pacing),
)


def expire(tcb: Tcb, now: int) -> None:
    """Do what is due. To call it late, or too often, is harmless."""
    timers = tcb.timers
    if timers.next() > now:
        return
    for timer, name, handle in HANDLERS:
        if timers.due(timer) <= now:
            if name is not None and tcb.observer is not None:
                tcb.observer.timer_expired(tcb.local, tcb.remote, name, now)
            handle(tcb, now)
    timers.release()
