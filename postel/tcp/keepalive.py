"""Keep-alives (RFC 9293, 3.8.4): what restarts their timer, and what happens when it expires."""

from postel.errors import ConnectionTimedOut
from postel.tcp.config import Config
from postel.tcp.state import TIME_WAIT
from postel.tcp.tcb import OWES_KEEP_ALIVE, Tcb
from postel.tcp.timers import KEEP_ALIVE, PERSIST, deadline, moved


def begin(tcb: Tcb, now: int) -> None:
    """Wait the whole idle time from ``now`` on.

    The peer has just answered, or other timers watch whether it does.
    """
    tcb.counts.keep_alive_probes = 0
    tcb.timers.start(KEEP_ALIVE, deadline(tcb.keep_alive_idle, now))


def hear(tcb: Tcb, now: int) -> None:
    """Restart the idle time: a segment with acceptable numbers arrived. Called while the timer runs.

    Other segments don't count: an attacker that knows only addresses and ports could send them, and keep a
    dead connection open for ever.
    """
    begin(tcb, now)


def expire(tcb: Tcb, now: int) -> None:
    """Probe the peer, or give it up after enough probes (EP-TMO-6, MUST-26).

    Only a connection with nothing in flight is probed; otherwise the loss timers watch the peer.
    """
    if tcb.snd.flight or tcb.timers.is_running(PERSIST):
        begin(tcb, now)
    elif tcb.counts.keep_alive_probes >= tcb.config.keep_alive_probes:  # MUST-29
        tcb.delete(ConnectionTimedOut("the peer answered no keep-alive probe"), now)
    else:
        tcb.counts.keep_alive_probes += 1
        tcb.owes |= OWES_KEEP_ALIVE
        tcb.timers.start(KEEP_ALIVE, deadline(tcb.config.keep_alive_interval, now))


def move(tcb: Tcb, idle: int) -> None:
    """Adopt another idle time; it was ``idle`` microseconds until now.

    While the peer is probed, the timer measures the interval between probes and stays as it is.
    """
    if tcb.counts.keep_alive_probes == 0:
        tcb.timers.start(KEEP_ALIVE, moved(tcb.timers.due(KEEP_ALIVE), idle, tcb.keep_alive_idle))


def adapt(tcb: Tcb, before: Config, idle: int, now: int) -> None:
    """Adopt other choices of the user; ``before`` are the old ones, and ``idle`` is the old idle time."""
    config, timers = tcb.config, tcb.timers
    if not config.keep_alive:  # MUST-24
        tcb.counts.keep_alive_probes = 0
        timers.stop(KEEP_ALIVE)
        tcb.owes &= ~OWES_KEEP_ALIVE
    elif not tcb.is_synchronized or tcb.state is TIME_WAIT:
        return
    elif not before.keep_alive:
        begin(tcb, now)
    elif not timers.is_running(KEEP_ALIVE):  # the old idle time or interval was NEVER
        tcb.counts.keep_alive_probes = 0
        timers.start(KEEP_ALIVE, max(now, deadline(tcb.keep_alive_idle, tcb.counts.last_ack_at)))
    elif tcb.counts.keep_alive_probes:
        timers.start(
            KEEP_ALIVE, moved(timers.due(KEEP_ALIVE), before.keep_alive_interval, config.keep_alive_interval)
        )
    else:
        move(tcb, idle)
