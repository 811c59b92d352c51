"""Keep-alives (RFC 9293, 3.8.4): what restarts their timer, and what happens when it expires."""

from postel.errors import ConnectionTimedOut
from postel.tcp.tcb import OWES_KEEP_ALIVE, Tcb
from postel.tcp.timers import deadline
from postel.times import NEVER


def begin(tcb: Tcb, now: int) -> None:
    """Wait for the whole idle time from ``now`` on."""
    tcb.timers.keep_alive = deadline(tcb.keep_alive_idle, now)


def hear(tcb: Tcb, now: int) -> None:
    """The peer lives: a segment with acceptable numbers arrived. For a connection whose timer runs.

    Only such a segment counts. What anybody can send who knows the addresses and ports says nothing of the peer, and would keep a dead
    connection for ever.
    """
    tcb.timers.keep_alive = deadline(tcb.keep_alive_idle, now)
    if tcb.timers.persist == NEVER:
        tcb.probes = 0


def expire(tcb: Tcb, now: int) -> None:
    """EP-TMO-6, MUST-26: only a connection with nothing outstanding is probed."""
    if tcb.flight or tcb.timers.persist != NEVER:
        begin(tcb, now)
    elif tcb.probes >= tcb.config.keep_alive_probes:  # MUST-29
        tcb.delete(ConnectionTimedOut("keep-alive probes unanswered"), now)
    else:
        tcb.probes += 1
        tcb.owes |= OWES_KEEP_ALIVE
        tcb.timers.keep_alive = deadline(tcb.config.keep_alive_interval, now)
