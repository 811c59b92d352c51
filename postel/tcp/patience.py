"""How long to wait for an ACK: one of the reordering timer, the probe timeout and the retransmission timeout (RFC 8985, 8; RFC 6298, 5)."""

from typing import Final

from postel.tcp.tcb import Tcb
from postel.times import MILLISECOND, NEVER, SECOND

DELAY_OF_ACK: Final = 200 * MILLISECOND  # TLP.max_ack_delay: as long as common receivers delay
FIRST_PROBE: Final = SECOND
SHORTEST_PROBE: Final = 10 * MILLISECOND  # no clock that drives us wakes much finer


def start(tcb: Tcb, now: int) -> None:
    """Text went out. RFC6298-5.1: the timer runs; RFC8985-7.2: the probe timeout starts anew with each segment."""
    timers = tcb.timers
    if timers.persist != NEVER:
        return
    if timers.probe != NEVER:
        timers.probe = min(now + _until_probe(tcb), timers.expires)
    elif timers.retransmission == NEVER and timers.reorder == NEVER:
        restart(tcb, now)


def restart(tcb: Tcb, now: int) -> None:
    """Something was acknowledged, or a timer went off, and something is in flight (RFC6298-5.3)."""
    timers = tcb.timers
    timers.expires = now + tcb.rtt.rto
    timers.reorder = timers.probe = timers.retransmission = NEVER
    if tcb.recovery.reorder_at != NEVER:
        timers.reorder = tcb.recovery.reorder_at
    elif tcb.config.tail_probe and tcb.recovery.probes():
        timers.probe = min(now + _until_probe(tcb), timers.expires)
    else:
        timers.retransmission = timers.expires


def settle(tcb: Tcb, now: int) -> None:
    """An ACK brought no progress, but perhaps news of what arrived."""
    timers = tcb.timers
    if tcb.recovery.reorder_at != NEVER or timers.reorder != NEVER:
        restart(tcb, now)
    elif timers.probe != NEVER and not tcb.recovery.probes():
        timers.retransmission, timers.probe = timers.expires, NEVER


def adapt(tcb: Tcb, longer: int) -> None:
    """The user has other choices: the retransmission timeout is ``longer`` than before, and perhaps no probe shall come before it."""
    timers = tcb.timers
    if timers.expires != NEVER:
        timers.expires += longer
    if timers.retransmission != NEVER:
        timers.retransmission += longer
    if timers.probe != NEVER:
        timers.probe = min(timers.probe, timers.expires)
        if not tcb.config.tail_probe:
            timers.retransmission, timers.probe = timers.expires, NEVER


def wait_for_timeout(tcb: Tcb, now: int) -> None:
    """The probe went out, or may not: the retransmission timeout is next (RFC8985-7.3c)."""
    timers = tcb.timers
    timers.reorder = timers.probe = NEVER
    timers.expires = timers.retransmission = now + tcb.rtt.rto


def stop(tcb: Tcb) -> None:
    timers = tcb.timers
    timers.reorder = timers.probe = timers.retransmission = NEVER


def _until_probe(tcb: Tcb) -> int:
    """TLP_calc_PTO (RFC8985-7.2)."""
    smoothed = tcb.rtt.smoothed
    if not smoothed:
        return FIRST_PROBE
    return max(SHORTEST_PROBE, 2 * smoothed) + (DELAY_OF_ACK if tcb.flight <= tcb.congestion.smss else 0)
