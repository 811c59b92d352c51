"""Whether a SYN may reopen a pair that is in TIME-WAIT: RFC 6191, figure 1, and RFC 9293, MAY-2."""

from postel.tcp import seq
from postel.tcp.state import TIME_WAIT
from postel.tcp.tcb import Tcb
from postel.wire.segment import ABSENT, ACK, RST, SYN, Segment


def reopens(tcb: Tcb, segment: Segment) -> bool:
    """True: make a new connection with an ISS above the old SND.MAX (EP-TW-8). False: the segment is the old connection's."""
    if tcb.state is not TIME_WAIT or not tcb.config.time_wait_reuse or not is_bare_syn(segment):
        return False
    is_beyond = seq.ge(segment.seq, tcb.rcv.nxt)
    had, has = tcb.timestamps.agreed, tcb.config.timestamps and segment.tsval != ABSENT
    if had and has:
        if segment.tsval == tcb.timestamps.recent:
            return is_beyond  # EP-TW-2
        return seq.gt(segment.tsval, tcb.timestamps.recent)  # EP-TW-1, EP-TW-4
    if has:
        return True  # EP-TW-5
    return is_beyond  # EP-TW-3, EP-TW-6, EP-TW-7


def is_bare_syn(segment: Segment) -> bool:
    """A SYN that carries ACK or RST is never a new connection's."""
    return segment.flags & (SYN | ACK | RST) == SYN
