"""Buffers without a size of their own follow the bandwidth-delay product: the reader's pace and the congestion window say how large it is.

Neither grows while the host's memory is tight, and both go back then; what is in them, or was promised to the peer, stays (SHLD-14).
"""

from typing import Final

from postel.tcp import timestamps
from postel.tcp.config import AUTOMATIC, Config, first_receive_limit, first_send_limit
from postel.tcp.events import WRITABLE, Event
from postel.tcp.reader import Reader
from postel.tcp.tcb import Tcb

_WORTH_MEASURING: Final = 16 * 1024  # octets: a connection that gets less never needs more than it began with


def largest_receive_buffer(config: Config) -> int:
    """What the window scale must fit (RFC 7323, 2.3)."""
    largest = config.receive_buffer_maximum if config.receive_buffer == AUTOMATIC else config.receive_buffer
    return max(largest, config.scale_for)


# Receiving


def follow_reader(tcb: Tcb, now: int) -> None:
    """The user read something: after each round trip, fit the window to twice what was read in it."""
    if tcb.config.receive_buffer != AUTOMATIC or tcb.position < _WORTH_MEASURING:
        return
    read = tcb.position - tcb.unread
    if tcb.reader is None:
        tcb.reader = Reader(read, tcb.position + tcb.rcv.wnd, timestamps.clock(tcb, now), now)
    elif _has_gone_round(tcb, tcb.reader, now):
        _fit_receive_limit(tcb, tcb.reader.finish(read, timestamps.clock(tcb, now), now))


def _has_gone_round(tcb: Tcb, reader: Reader, now: int) -> bool:
    if tcb.timestamps.agreed:
        return reader.has_heard(tcb.timestamps.echoed)
    return reader.has_waited(tcb.position, tcb.position + tcb.rcv.wnd, now)


def _fit_receive_limit(tcb: Tcb, wanted: int) -> None:
    if tcb.memory is not None and tcb.memory.is_tight:
        tcb.receive_limit = max(first_receive_limit(tcb.config), tcb.receive_limit // 2)
    else:
        tcb.receive_limit = max(tcb.receive_limit, min(wanted, tcb.config.receive_buffer_maximum))


# Sending


def room(tcb: Tcb) -> int:
    """Octets that `send` would take now."""
    octets = tcb.send_limit - tcb.send_buffer.size
    if tcb.memory is not None:
        octets = min(octets, tcb.memory.room_for(tcb))
    if tcb.config.notsent_lowat:  # RFC9293-A.4
        octets = min(octets, tcb.config.notsent_lowat - tcb.never_sent)
    return max(0, octets)


def tell_of_room(tcb: Tcb) -> None:
    """Called when octets are acknowledged after a short `send`, or leave.

    Grows an automatic send buffer to 2 × cwnd, and queues Writable once half of it is free. Where other writers wait for the host's
    memory, or none is free, this one waits in turn.
    """
    if tcb.config.send_buffer == AUTOMATIC and (tcb.memory is None or not tcb.memory.is_tight):
        # One window in flight, and one that waits for its ACKs
        tcb.send_limit = max(tcb.send_limit, min(2 * tcb.congestion.window, tcb.config.send_buffer_maximum))
    if 2 * tcb.send_buffer.size <= tcb.send_limit and 2 * tcb.never_sent <= (tcb.config.notsent_lowat or tcb.send_limit):
        memory = tcb.memory
        if memory is None or (not memory.writers and memory.free) or memory.take_turn(tcb):
            tcb.wants_room = False
            tcb.tell(WRITABLE)
        else:
            memory.wait(tcb)


def turn(tcb: Tcb) -> Event | None:
    """Writable for the writer that waits longest for the host's memory, when some is free."""
    if tcb.memory is None or not tcb.memory.take_turn(tcb):
        return None
    tcb.wants_room = False
    return WRITABLE


def wait_for_memory(tcb: Tcb, taken: int) -> None:
    """`send` took less than it was given: queue for the host's memory where that was the reason."""
    if tcb.memory is not None and tcb.memory.room_for(tcb) <= taken:
        tcb.memory.wait(tcb)


# Pressure


def go_back(tcb: Tcb) -> None:
    """The host's memory ran out: buffers that grew are as large again as they were at the start."""
    if tcb.config.receive_buffer == AUTOMATIC:
        tcb.receive_limit = first_receive_limit(tcb.config)
    if tcb.config.send_buffer == AUTOMATIC:
        tcb.send_limit = first_send_limit(tcb.config)
