"""How long to wait for an ACK: one of the reordering timer, the probe timeout and the retransmission timeout
(RFC 8985, 8; RFC 6298, 5).
"""

from typing import Final

from postel.tcp.tcb import Tcb
from postel.tcp.timers import PERSIST, REORDERING, RETRANSMISSION, TAIL_PROBE
from postel.times import MILLISECOND, NEVER, SECOND

DELAY_OF_ACK: Final = 200 * MILLISECOND  # TLP.max_ack_delay: as long as common receivers delay
FIRST_PROBE: Final = SECOND
SHORTEST_PROBE: Final = 10 * MILLISECOND  # no clock that drives us wakes much finer


def start(tcb: Tcb, now: int) -> None:
    """Text went out. RFC6298-5.1: the timer runs; RFC8985-7.2: the probe timeout starts anew with each
    segment.
    """
    timers = tcb.timers
    if timers.is_running(PERSIST):
        return
    if timers.is_running(TAIL_PROBE):
        timers.start(TAIL_PROBE, min(now + _until_probe(tcb), timers.expires))
    elif not timers.is_running(RETRANSMISSION) and not timers.is_running(REORDERING):
        restart(tcb, now)


def restart(tcb: Tcb, now: int) -> None:
    """Something was acknowledged, or a timer went off, and something is in flight (RFC6298-5.3)."""
    timers = tcb.timers
    recovery = tcb.ensure_recovery()
    timers.expires = now + tcb.rtt.rto
    if recovery.reorder_at != NEVER:
        timers.start_loss_timer(REORDERING, recovery.reorder_at)
    elif tcb.config.tail_probe and recovery.watches_tail():
        timers.start_loss_timer(TAIL_PROBE, min(now + _until_probe(tcb), timers.expires))
    else:
        timers.start_loss_timer(RETRANSMISSION, timers.expires)


def settle(tcb: Tcb, now: int) -> None:
    """An ACK brought no progress, but perhaps news of what arrived."""
    timers, recovery = tcb.timers, tcb.ensure_recovery()
    if recovery.reorder_at != NEVER or timers.is_running(REORDERING):
        restart(tcb, now)
    elif timers.is_running(TAIL_PROBE) and not recovery.watches_tail():
        timers.start_loss_timer(RETRANSMISSION, timers.expires)


def adapt(tcb: Tcb, longer: int) -> None:
    """The user has other choices: the retransmission timeout is ``longer`` than before, and perhaps no probe
    shall come before it.
    """
    timers = tcb.timers
    if timers.expires != NEVER:
        timers.expires += longer
    if timers.is_running(RETRANSMISSION):
        timers.start(RETRANSMISSION, timers.due(RETRANSMISSION) + longer)
    if timers.is_running(TAIL_PROBE):
        if tcb.config.tail_probe:
            timers.start(TAIL_PROBE, min(timers.due(TAIL_PROBE), timers.expires))
        else:
            timers.start_loss_timer(RETRANSMISSION, timers.expires)


def wait_for_timeout(tcb: Tcb, now: int) -> None:
    """The probe went out, or may not: the retransmission timeout is next (RFC8985-7.3c)."""
    timers = tcb.timers
    timers.expires = now + tcb.rtt.rto
    timers.start_loss_timer(RETRANSMISSION, timers.expires)


def _until_probe(tcb: Tcb) -> int:
    """TLP_calc_PTO (RFC8985-7.2)."""
    smoothed = tcb.rtt.smoothed
    if not smoothed:
        return FIRST_PROBE
    return max(SHORTEST_PROBE, 2 * smoothed) + (
        DELAY_OF_ACK if tcb.snd.flight <= tcb.ensure_controller().smss else 0
    )
