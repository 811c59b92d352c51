"""Orphans: connections that their program has released, and that must end even if the peer does nothing.

RFC 9293 lets a peer keep a connection open for ever: by a closed window with answers to its probes (3.8.6.1,
MUST-37), or by never sending its FIN (3.6). While a program holds the connection, the program decides how
long it waits. Afterwards the stack must decide. RFC 6429, 4, allows it, and kernels do so.
"""

from typing import Final

from postel.errors import ConnectionTimedOut
from postel.tcp.config import Config
from postel.tcp.state import CLOSED, CLOSING, FIN_WAIT_2, LAST_ACK, TIME_WAIT
from postel.tcp.tcb import OWES_RESET, Tcb
from postel.tcp.timers import ORPHAN, PERSIST, deadline, moved
from postel.times import NEVER

# While the host is short of memory, a released connection ends after so many window probes or retransmissions
# in a row without progress: after some 30 s with the RTO of RFC 6298, as in kernels
_TRIES_WHILE_TIGHT: Final = 5


def begin(tcb: Tcb, now: int) -> None:
    """Start the limits of a connection that the program has just released, and that closes."""
    if tcb.memory is not None:
        tcb.memory.stop_waiting(tcb)
    if tcb.state in (CLOSED, TIME_WAIT):
        return
    if tcb.state is FIN_WAIT_2:
        wait_for_fin(tcb, now)
    else:
        tcb.timers.start(ORPHAN, deadline(tcb.config.orphan_send_timeout, now))
        tcb.snd.wants_room = True  # so that `acknowledge.advance` calls `made_progress`


def made_progress(tcb: Tcb, now: int) -> None:
    """Restart the time limit, because the peer acknowledged new octets.

    The octet of a window probe doesn't count. Otherwise one octet a minute would keep the connection for
    ever.
    """
    if not tcb.timers.is_running(PERSIST):
        tcb.timers.start(ORPHAN, deadline(tcb.config.orphan_send_timeout, now))


def wait_for_fin(tcb: Tcb, now: int) -> None:
    """Limit the wait for the peer's FIN after everything was delivered (EP-TMO-9, EP-ACK-10)."""
    tcb.timers.start(ORPHAN, deadline(tcb.config.orphan_timeout, now))


def adapt(tcb: Tcb, before: Config, now: int) -> None:
    """Adopt other limits of the user; ``before`` are the old choices. A limit that was NEVER begins now."""
    if not tcb.rcv.is_released or tcb.state in (CLOSED, TIME_WAIT):
        return
    if tcb.state is FIN_WAIT_2:
        limit, limit_before = tcb.config.orphan_timeout, before.orphan_timeout
    else:
        limit, limit_before = tcb.config.orphan_send_timeout, before.orphan_send_timeout
    if not tcb.timers.is_running(ORPHAN) and limit_before >= NEVER:
        tcb.timers.start(ORPHAN, deadline(limit, now))
    else:
        tcb.timers.start(ORPHAN, moved(tcb.timers.due(ORPHAN), limit_before, limit))


def end(tcb: Tcb, now: int) -> None:
    """Give the connection up. The peer gets a RST where it would miss octets, or our FIN (RFC 2525, 2.17)."""
    if tcb.state is FIN_WAIT_2:  # EP-TMO-9: the peer has everything
        tcb.delete(None, now)
        return
    is_told = tcb.snd.buffer.size > 0 or tcb.state not in (CLOSING, LAST_ACK)
    tcb.delete(ConnectionTimedOut("the peer accepted no more data after the close"), now)
    if is_told:
        tcb.owes |= OWES_RESET


def is_stuck(tcb: Tcb) -> bool:
    """Whether what waits to be sent makes no progress: the peer's window is closed, or the peer is silent."""
    return tcb.timers.is_running(PERSIST) or tcb.snd.wnd == 0 or tcb.snd.retransmissions > 0


def may_try_again(tcb: Tcb, tries: int) -> bool:
    """Whether another probe or retransmission is worth its memory, after ``tries`` without progress.

    The answer is no only for a released connection, after `_TRIES_WHILE_TIGHT` tries, while the host is short
    of memory.
    """
    return (
        not tcb.rcv.is_released or tries < _TRIES_WHILE_TIGHT or tcb.memory is None or not tcb.memory.is_tight
    )
