"""Automatic buffer sizes, which follow the bandwidth-delay product.

The receive buffer follows the rate at which the user reads, the send buffer the congestion window. Neither
grows while the host's memory is nearly full, and both may shrink then. Octets that are in a buffer, and a
window that was advertised, stay (SHLD-14).
"""

from typing import Final

from postel.tcp import timestamps
from postel.tcp.config import Config, first_receive_limit, first_send_limit
from postel.tcp.events import WRITABLE, Event
from postel.tcp.readingpace import ReadingPace
from postel.tcp.tcb import Tcb

_WORTH_MEASURING: Final = 16 * 1024  # octets: a connection that received less needs no larger buffer


def largest_receive_buffer(config: Config) -> int:
    """Return the octets that the window scale must be able to express (RFC 7323, 2.3)."""
    size = config.receive_buffer
    return max(size if isinstance(size, int) else config.receive_buffer_maximum, config.scale_for)


# Receiving


def follow_reader(tcb: Tcb, now: int) -> None:
    """Fit the receive buffer to what the user reads in a round trip. Called after each read."""
    if isinstance(tcb.config.receive_buffer, int) or tcb.rcv.position < _WORTH_MEASURING:
        return
    read = tcb.rcv.position - tcb.rcv.unread
    if tcb.rcv.pace is None:
        tcb.rcv.pace = ReadingPace(read, tcb.rcv.position + tcb.rcv.wnd, timestamps.clock(tcb, now), now)
    elif _has_gone_round(tcb, tcb.rcv.pace, now):
        _fit_receive_limit(tcb, tcb.rcv.pace.finish(read, timestamps.clock(tcb, now), now))


def _has_gone_round(tcb: Tcb, pace: ReadingPace, now: int) -> bool:
    """Whether a round trip has passed since the measurement began."""
    if tcb.timestamps.agreed:
        return pace.has_heard(tcb.timestamps.echoed)
    return pace.has_waited(tcb.rcv.position, tcb.rcv.position + tcb.rcv.wnd, now)


def _fit_receive_limit(tcb: Tcb, wanted: int) -> None:
    """Grow the receive buffer to ``wanted`` octets; while memory is tight, halve it instead.

    The buffer never becomes smaller than its first size, nor larger than the user allows.
    """
    if tcb.memory is not None and tcb.memory.is_tight:
        tcb.rcv.limit = max(first_receive_limit(tcb.config), tcb.rcv.limit // 2)
    else:
        tcb.rcv.limit = max(tcb.rcv.limit, min(wanted, tcb.config.receive_buffer_maximum))


# Sending


def room(tcb: Tcb) -> int:
    """Return the octets that `send` would accept now."""
    octets = tcb.snd.limit - tcb.snd.buffer.size
    if tcb.memory is not None:
        octets = min(octets, tcb.memory.room_for(tcb))
    if tcb.config.notsent_lowat:  # RFC9293-A.4
        octets = min(octets, tcb.config.notsent_lowat - tcb.snd.never_sent)
    return max(0, octets)


def tell_of_room(tcb: Tcb) -> None:
    """Grow an automatic send buffer, and queue Writable once half of it is free.

    Called after a short `send`, when octets are acknowledged or sent for the first time. An automatic buffer
    grows to 2 × cwnd: one window in flight, and one that waits. Where other connections wait for the host's
    memory to send, or no memory is free, this connection waits behind them.
    """
    if not isinstance(tcb.config.send_buffer, int) and (tcb.memory is None or not tcb.memory.is_tight):
        # One window in flight, and one that waits until ACKs of the first let it leave
        tcb.snd.limit = max(
            tcb.snd.limit, min(2 * tcb.ensure_controller().window, tcb.config.send_buffer_maximum)
        )
    if 2 * tcb.snd.buffer.size <= tcb.snd.limit and 2 * tcb.snd.never_sent <= (
        tcb.config.notsent_lowat or tcb.snd.limit
    ):
        memory = tcb.memory
        if memory is None or (not memory.writers and memory.free) or memory.take_turn(tcb):
            tcb.snd.wants_room = False
            tcb.tell(WRITABLE)
        else:
            memory.wait(tcb)


def turn(tcb: Tcb) -> Event | None:
    """Return Writable, and end the wait for room, if it is this connection's turn to get free memory."""
    if tcb.memory is None or not tcb.memory.take_turn(tcb):
        return None
    tcb.snd.wants_room = False
    return WRITABLE


def wait_for_memory(tcb: Tcb, taken: int) -> None:
    """Wait in the host's queue for memory, if `send` accepted only ``taken`` octets for lack of memory."""
    if tcb.memory is not None and tcb.memory.room_for(tcb) <= taken:
        tcb.memory.wait(tcb)


# When the host's memory runs out


def go_back(tcb: Tcb) -> None:
    """Reduce automatic buffers to their first size, because the host's memory ran out."""
    if not isinstance(tcb.config.receive_buffer, int):
        tcb.rcv.limit = first_receive_limit(tcb.config)
    if not isinstance(tcb.config.send_buffer, int):
        tcb.snd.limit = first_send_limit(tcb.config)
