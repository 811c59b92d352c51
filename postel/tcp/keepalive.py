"""Keep-alives (RFC 9293, 3.8.4): what restarts their timer, and what happens when it expires."""

from postel.errors import ConnectionTimedOut
from postel.tcp.config import Config
from postel.tcp.state import TIME_WAIT
from postel.tcp.tcb import OWES_KEEP_ALIVE, Tcb
from postel.tcp.timers import KEEP_ALIVE, PERSIST, deadline, moved


def begin(tcb: Tcb, now: int) -> None:
    """Wait for the whole idle time from ``now`` on: the peer was heard of, or other timers watch whether it
    is there.
    """
    tcb.counts.keep_alive_probes = 0
    tcb.timers.start(KEEP_ALIVE, deadline(tcb.keep_alive_idle, now))


def hear(tcb: Tcb, now: int) -> None:
    """The peer lives: a segment with acceptable numbers arrived. Called while the timer runs.

    Only such a segment counts. A segment that takes no more than the addresses and ports to make may be an
    attacker's: it says nothing of the peer, and would keep a dead connection for ever.
    """
    begin(tcb, now)


def expire(tcb: Tcb, now: int) -> None:
    """EP-TMO-6, MUST-26: only a connection with nothing outstanding is probed."""
    if tcb.snd.flight or tcb.timers.is_running(PERSIST):
        begin(tcb, now)
    elif tcb.counts.keep_alive_probes >= tcb.config.keep_alive_probes:  # MUST-29
        tcb.delete(ConnectionTimedOut("keep-alive probes unanswered"), now)
    else:
        tcb.counts.keep_alive_probes += 1
        tcb.owes |= OWES_KEEP_ALIVE
        tcb.timers.start(KEEP_ALIVE, deadline(tcb.config.keep_alive_interval, now))


def move(tcb: Tcb, idle: int) -> None:
    """The idle time was ``idle`` until now. While the peer is being probed, the interval runs instead."""
    if tcb.counts.keep_alive_probes == 0:
        tcb.timers.start(KEEP_ALIVE, moved(tcb.timers.due(KEEP_ALIVE), idle, tcb.keep_alive_idle))


def adapt(tcb: Tcb, before: Config, idle: int, now: int) -> None:
    """The user has other choices than ``before``, by which the idle time was ``idle``."""
    config, timers = tcb.config, tcb.timers
    if not config.keep_alive:  # MUST-24
        tcb.counts.keep_alive_probes = 0
        timers.stop(KEEP_ALIVE)
        tcb.owes &= ~OWES_KEEP_ALIVE
    elif not tcb.is_synchronized or tcb.state is TIME_WAIT:
        return
    elif not before.keep_alive:
        begin(tcb, now)
    elif not timers.is_running(KEEP_ALIVE):  # the old idle time or interval was that
        tcb.counts.keep_alive_probes = 0
        timers.start(KEEP_ALIVE, max(now, deadline(tcb.keep_alive_idle, tcb.counts.last_ack_at)))
    elif tcb.counts.keep_alive_probes:
        timers.start(
            KEEP_ALIVE, moved(timers.due(KEEP_ALIVE), before.keep_alive_interval, config.keep_alive_interval)
        )
    else:
        move(tcb, idle)
