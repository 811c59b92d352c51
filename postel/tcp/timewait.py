"""What a SYN does to a pair that is in TIME-WAIT: RFC 6191, figure 1, and RFC 9293, MAY-2.

A SYN that may not reopen the pair can still be of a client that knows nothing of the old connection, and
comes again from the same port with lower numbers. A challenge ACK (RFC 9293, 3.10.7.4; RFC 5961, 4) makes
such a client send RST with just the number that TIME-WAIT expects, and its next SYN finds the pair free. RFC
6191 drops the SYN silently, so that the client waits for 2 MSL. Where timestamps prove the SYN to be old, so
does Postel: there the RST would assassinate TIME-WAIT for the sake of an old duplicate (RFC 1337).
"""

from postel.tcp import seq
from postel.tcp.state import TIME_WAIT
from postel.tcp.tcb import Tcb
from postel.wire.segment import ABSENT, ACK, RST, SYN, Segment


def reopens(tcb: Tcb, segment: Segment) -> bool:
    """True: make a new connection with an ISS above the old SND.MAX (EP-TW-8). False: the segment is the old
    connection's.
    """
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


def is_old_duplicate(tcb: Tcb, segment: Segment) -> bool:
    """Whether timestamps prove a SYN to be of the old connection's time."""
    return tcb.timestamps.agreed and segment.tsval != ABSENT and seq.le(segment.tsval, tcb.timestamps.recent)


def is_bare_syn(segment: Segment) -> bool:
    """A SYN that carries ACK or RST is never a new connection's."""
    return segment.flags & (SYN | ACK | RST) == SYN
