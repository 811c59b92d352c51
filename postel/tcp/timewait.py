"""Decision whether a SYN for a pair of endpoints in TIME-WAIT begins the pair's next connection.

Theory of operation (RFC 6191, figure 1; RFC 9293, 3.6.1, MAY-2). A SYN that is certainly newer than the old
connection may reopen the pair before 2 MSL are over:

    old connection had     SYN has         reopen if
    timestamps             timestamps      TSval > TS.Recent, or TSval = TS.Recent and SEG.SEQ >= RCV.NXT
    timestamps             none            SEG.SEQ >= RCV.NXT
    none                   timestamps      always
    none                   none            SEG.SEQ >= RCV.NXT

A SYN that may not reopen the pair can still be genuine: its client may know nothing of the old connection,
and use the same port with lower numbers. RFC 6191 drops such a SYN, and the client waits for 2 MSL. Postel
sends a challenge ACK (RFC 9293, 3.10.7.4; RFC 5961, 4), which such a client answers with a RST of exactly the
number that TIME-WAIT expects:

    client                                    TIME-WAIT
      SYN, SEG.SEQ < RCV.NXT   ──────────►
                               ◄──────────    ACK, SEG.ACK = RCV.NXT
      RST, SEG.SEQ = RCV.NXT   ──────────►    TIME-WAIT ends
      SYN again                ──────────►    the listener gets it

Where timestamps prove the SYN to be an old duplicate, Postel drops it too, as RFC 6191 does: a RST in answer
to a challenge ACK would end TIME-WAIT because of that duplicate (RFC 1337).
"""

from postel.tcp import seq
from postel.tcp.state import TIME_WAIT
from postel.tcp.tcb import Tcb
from postel.wire.segment import ABSENT, ACK, RST, SYN, Segment


def reopens(tcb: Tcb, segment: Segment) -> bool:
    """Whether ``segment`` begins the pair's next connection.

    Our ISS of the next connection must be above the old SND.MAX (EP-TW-8). If the answer is False, the
    segment is processed as one of the old connection.
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
    """Whether timestamps prove a SYN to be from the time of the old connection."""
    return tcb.timestamps.agreed and segment.tsval != ABSENT and seq.le(segment.tsval, tcb.timestamps.recent)


def is_bare_syn(segment: Segment) -> bool:
    """Whether the segment is a SYN without ACK and RST, as the first segment of a new connection is."""
    return segment.flags & (SYN | ACK | RST) == SYN
