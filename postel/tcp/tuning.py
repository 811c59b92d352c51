"""Buffers without a size of their own follow the bandwidth-delay product: the reader's pace and the
congestion window say how large it is.

Neither grows while the host's memory is tight, and both go back then; what is in them, or was promised to the
peer, stays (SHLD-14).
"""

from typing import Final

from postel.tcp import timestamps
from postel.tcp.config import Config, first_receive_limit, first_send_limit
from postel.tcp.events import WRITABLE, Event
from postel.tcp.readingpace import ReadingPace
from postel.tcp.tcb import Tcb

_WORTH_MEASURING: Final = 16 * 1024  # octets: a connection that gets less never needs more than it began with


def largest_receive_buffer(config: Config) -> int:
    """What the window scale must fit (RFC 7323, 2.3)."""
    size = config.receive_buffer
    return max(size if isinstance(size, int) else config.receive_buffer_maximum, config.scale_for)


# Receiving


def follow_reader(tcb: Tcb, now: int) -> None:
    """The user read something: after each round trip, fit the window to twice what was read in it."""
    if isinstance(tcb.config.receive_buffer, int) or tcb.rcv.position < _WORTH_MEASURING:
        return
    read = tcb.rcv.position - tcb.rcv.unread
    if tcb.rcv.pace is None:
        tcb.rcv.pace = ReadingPace(read, tcb.rcv.position + tcb.rcv.wnd, timestamps.clock(tcb, now), now)
    elif _has_gone_round(tcb, tcb.rcv.pace, now):
        _fit_receive_limit(tcb, tcb.rcv.pace.finish(read, timestamps.clock(tcb, now), now))


def _has_gone_round(tcb: Tcb, pace: ReadingPace, now: int) -> bool:
    if tcb.timestamps.agreed:
        return pace.has_heard(tcb.timestamps.echoed)
    return pace.has_waited(tcb.rcv.position, tcb.rcv.position + tcb.rcv.wnd, now)


def _fit_receive_limit(tcb: Tcb, wanted: int) -> None:
    if tcb.memory is not None and tcb.memory.is_tight:
        tcb.rcv.limit = max(first_receive_limit(tcb.config), tcb.rcv.limit // 2)
    else:
        tcb.rcv.limit = max(tcb.rcv.limit, min(wanted, tcb.config.receive_buffer_maximum))


# Sending


def room(tcb: Tcb) -> int:
    """Octets that `send` would take now."""
    octets = tcb.snd.limit - tcb.snd.buffer.size
    if tcb.memory is not None:
        octets = min(octets, tcb.memory.room_for(tcb))
    if tcb.config.notsent_lowat:  # RFC9293-A.4
        octets = min(octets, tcb.config.notsent_lowat - tcb.snd.never_sent)
    return max(0, octets)


def tell_of_room(tcb: Tcb) -> None:
    """Called when octets are acknowledged after a short `send`, or leave.

    Grows an automatic send buffer to 2 × cwnd, and queues Writable once half of it is free. Where other
    writers wait for the host's memory, or none is free, this one waits in turn.
    """
    if not isinstance(tcb.config.send_buffer, int) and (tcb.memory is None or not tcb.memory.is_tight):
        # One window in flight, and one that waits for its ACKs
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
    """Writable for the writer that waits longest for the host's memory, when some is free."""
    if tcb.memory is None or not tcb.memory.take_turn(tcb):
        return None
    tcb.snd.wants_room = False
    return WRITABLE


def wait_for_memory(tcb: Tcb, taken: int) -> None:
    """`send` took less than it was given: queue for the host's memory where that was the reason."""
    if tcb.memory is not None and tcb.memory.room_for(tcb) <= taken:
        tcb.memory.wait(tcb)


# Pressure


def go_back(tcb: Tcb) -> None:
    """The host's memory ran out: buffers that grew are as large again as they were at the start."""
    if not isinstance(tcb.config.receive_buffer, int):
        tcb.rcv.limit = first_receive_limit(tcb.config)
    if not isinstance(tcb.config.send_buffer, int):
        tcb.snd.limit = first_send_limit(tcb.config)
