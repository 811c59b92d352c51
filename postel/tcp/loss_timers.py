"""Loss timers: how long the sender waits for an ACK (RFC 6298, 5; RFC 8985, 7.2 and 8).

Theory of operation. While something is in flight and persist isn't running, one of three timers runs:

    what is known                        timer            at expiry
    SACK blocks beyond a gap             REORDERING       the gap counts as lost (RFC 8985, 6.2)
    nothing, and probes are in use       TAIL_PROBE       one segment goes, to draw an ACK (7.3)
    nothing, or the probe went out       RETRANSMISSION   SND.UNA goes again (RFC 6298, 5.4)

     payload sent                    PTO                                   RTO
    ──────┼───────────────────────────┼─────────────────────────────────────┼──────►
          │  2 SRTT, and 200 ms for   │  RTO from the probe on, because     │
          │  the peer's delayed ACK   │  the probe restarts the timer       │
          │  if one segment is out    │                                     │

A probe draws SACK blocks that show what is missing, so that fast recovery repairs a lost tail. A timeout
would instead reduce the congestion window to one segment. ``timers.expires`` keeps the time at which the
retransmission timeout would be due while another timer runs.
"""

from typing import Final

from postel.tcp.tcb import Tcb
from postel.tcp.timers import PERSIST, REORDERING, RETRANSMISSION, TAIL_PROBE
from postel.times import MILLISECOND, NEVER, SECOND

DELAY_OF_ACK: Final = 200 * MILLISECOND  # TLP.max_ack_delay of RFC 8985: as long as common receivers delay
FIRST_PROBE: Final = SECOND  # PTO before the first measurement of a round trip
# Least PTO: the timers of common drivers (asyncio, trio, threads) aren't much finer
SHORTEST_PROBE: Final = 10 * MILLISECOND


def start(tcb: Tcb, now: int) -> None:
    """Start or restart a timer after payload was sent (RFC6298-5.1, RFC8985-7.2).

    The probe timeout starts anew with each segment; the other two timers go on if they run.
    """
    timers = tcb.timers
    if timers.is_running(PERSIST):
        return
    if timers.is_running(TAIL_PROBE):
        timers.start(TAIL_PROBE, min(now + _until_probe(tcb), timers.expires))
    elif not timers.is_running(RETRANSMISSION) and not timers.is_running(REORDERING):
        restart(tcb, now)


def restart(tcb: Tcb, now: int) -> None:
    """Start the loss timer that fits the present state, after an acknowledgment or an expiry (RFC6298-5.3).

    Called only while octets are in flight.
    """
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
    """Choose the timer anew after an ACK without progress, which may have brought SACK blocks."""
    timers, recovery = tcb.timers, tcb.ensure_recovery()
    if recovery.reorder_at != NEVER or timers.is_running(REORDERING):
        restart(tcb, now)
    elif timers.is_running(TAIL_PROBE) and not recovery.watches_tail():
        timers.start_loss_timer(RETRANSMISSION, timers.expires)


def adapt(tcb: Tcb, longer: int) -> None:
    """Adopt other choices of the user: ``longer`` is the new RTO less the old one, in microseconds.

    If the user turned tail probes off, the retransmission timer replaces a running probe timer.
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
    """Start the retransmission timer: the probe was sent, or isn't allowed (RFC8985-7.3c)."""
    timers = tcb.timers
    timers.expires = now + tcb.rtt.rto
    timers.start_loss_timer(RETRANSMISSION, timers.expires)


def _until_probe(tcb: Tcb) -> int:
    """Return the probe timeout in microseconds: TLP_calc_PTO (RFC8985-7.2)."""
    smoothed = tcb.rtt.smoothed
    if not smoothed:
        return FIRST_PROBE
    return max(SHORTEST_PROBE, 2 * smoothed) + (
        DELAY_OF_ACK if tcb.snd.flight <= tcb.ensure_controller().smss else 0
    )
