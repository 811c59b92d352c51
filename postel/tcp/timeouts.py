"""Timeouts: what happens when a timer expires (RFC 9293, 3.10.8 and 3.8)."""

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
    """End the connection, or return it to LISTEN, after the user timeout (R2) (EP-TMO-1, MUST-20)."""
    if tcb.may_listen_again:  # EP-TMO-10
        handshake.listen_again(tcb, now)
    else:
        tcb.delete(_timed_out(tcb), now)


def _timed_out(tcb: Tcb) -> ConnectionTimedOut:
    """Return the error that ends the connection.

    Its cause is the latest soft error, if that came while the user timeout ran (MUST-47, MUST-56).
    """
    reason = tcb.error
    if reason is None or reason.told_at < tcb.timers.due(USER) - tcb.user_timeout:
        return ConnectionTimedOut()
    error = ConnectionTimedOut(f"{ConnectionTimedOut.text}: {reason.detail}")
    error.__cause__ = reason
    return error


def retransmission_timeout(tcb: Tcb, now: int) -> None:
    """Let output retransmit from SND.UNA on, and double the retransmission timeout (EP-TMO-2).

    RFC 6298, 5.4 to 5.6. Before our SYN is acknowledged, the SYN or SYN,ACK is owed again.
    """
    if not orphan.may_try_again(tcb, tcb.snd.retransmissions):
        orphan.end(tcb, now)
        return
    tcb.snd.retransmissions += 1
    tcb.rtt.timed_out(now)
    # Without this, an ACK of new octets might measure no round trip, and so not end the back-off
    tcb.rtt.round_end = tcb.snd.una
    tcb.rtt.back_off()
    loss_timers.wait_for_timeout(tcb, now)  # RFC6298-5.6
    if tcb.snd.retransmissions == tcb.config.r1:  # MUST-20, SHLD-9
        report(tcb)
    if not tcb.snd.syn_is_acked:
        tcb.owes |= OWES_SYN
        return
    pathmtu.timed_out(tcb, now)  # first, because it may change the size of the segment that goes now
    tcb.ensure_recovery().on_timeout(again=tcb.snd.retransmissions > 1, has_more=has_more(tcb), now=now)
    if tcb.observer is not None:
        tcb.observer.decided(tcb.local, tcb.remote, "timeout", now)
    tcb.turn()
    if tcb.ecn is not None:
        tcb.ecn.reduced(tcb.snd.max)  # RFC3168-6.1.2c


def report(tcb: Tcb) -> None:
    """Report to the user that R1, the limit on retransmissions of one segment, was reached (MUST-20)."""
    tcb.trouble(HostUnreachable(f"{tcb.config.r1} retransmissions got no answer, still trying"))


def tail_probe(tcb: Tcb, now: int) -> None:
    """Let output send a tail loss probe, if recovery allows one, because an ACK is overdue (RFC 8985, 7.3).

    The probe may draw an ACK; if it doesn't, the retransmission timeout follows.
    """
    loss_timers.wait_for_timeout(tcb, now)
    if tcb.ensure_recovery().tail_probe.may_go:
        tcb.rtt.timed_out(now)
        tcb.owes |= OWES_TAIL_PROBE


def persist(tcb: Tcb, now: int) -> None:
    """Let output send a window probe, and double the time until the next one (EP-TMO-4, SHLD-30).

    The time is at most ``rto_maximum``. The user timeout runs until the peer answers (MUST-37). A released
    connection is ended instead after enough probes, while memory is short (`orphan.may_try_again`).
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
    """Let recovery declare segments lost that are too late to be only reordered (RFC 8985, 6.2)."""
    was_active = tcb.ensure_recovery().is_active
    tcb.ensure_recovery().on_reorder_timeout(now)
    if tcb.observer is not None and tcb.ensure_recovery().is_active and not was_active:
        tcb.observer.decided(tcb.local, tcb.remote, "recovery", now)
    loss_timers.restart(tcb, now)


def _override(tcb: Tcb, _now: int) -> None:
    """Let output send the small segment that silly window avoidance has held back."""
    tcb.timers.stop(OVERRIDE)
    tcb.snd.may_send_small = True  # EP-TMO-7


def _delayed_ack(tcb: Tcb, _now: int) -> None:
    """Let output send the ACK that was delayed."""
    tcb.timers.stop(DELAYED_ACK)
    tcb.owes |= OWES_ACK  # EP-TMO-5


def _two_msl(tcb: Tcb, now: int) -> None:
    """End TIME-WAIT."""
    tcb.delete(None, now)  # EP-TMO-3


def _pacing(tcb: Tcb, _now: int) -> None:
    """Stop the pacing timer: output may send the next segment now."""
    tcb.timers.stop(PACING)


# Each line is a timer, its name for observers (None: its expiry isn't reported), and the function to call
# when it expires. If several timers are due, those that end the connection come first, then those that wait
# for an ACK, then those that hold a segment back
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
    """Process each timer that expired by ``now``. To call it late, or too often, is harmless."""
    timers = tcb.timers
    if timers.next() > now:
        return
    for timer, name, handle in HANDLERS:
        if timers.due(timer) <= now:
            if name is not None and tcb.observer is not None:
                tcb.observer.timer_expired(tcb.local, tcb.remote, name, now)
            handle(tcb, now)
    timers.release()
