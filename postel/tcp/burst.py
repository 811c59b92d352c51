"""How much may leave as one segment, where the link cuts it into packets itself (TSO): what goes then is what
would have gone anyway.

Whole packets only, so that Nagle, silly windows and FIN judge the rest by itself; new text only, so that each
retransmission is one packet.
"""

from typing import Final

from postel.tcp import pathmtu, seq
from postel.tcp.tcb import OWES_USER_TIMEOUT, Tcb
from postel.times import MILLISECOND, SECOND

PACING_CREDIT: Final = (
    MILLISECOND  # what a paced connection may send at once, and a clock that wakes late catch up
)


def size_for(tcb: Tcb, room: int, most: int) -> int:
    """Octets for the next segment of new text: a multiple of ``room``, which a packet takes; at most
    ``most``, but for the first packet.
    """
    if room != tcb.ensure_controller().smss or not _is_plain(tcb):
        return room
    limit = min(tcb.path.burst, most)
    rate = tcb.ensure_controller().pacing_rate
    if rate:
        limit = min(limit, rate * PACING_CREDIT // SECOND)
    return max(room, limit - limit % room)


def _is_plain(tcb: Tcb) -> bool:
    """Whether every packet may carry the same header, but for what a link changes: number, length, PSH, FIN
    and CWR.
    """
    snd = tcb.snd
    if (
        snd.nxt != snd.max
        or seq.gt(snd.up, snd.nxt)
        or tcb.owes & OWES_USER_TIMEOUT
        or tcb.path.signature_length
    ):
        return False
    if tcb.ecn is not None and not tcb.ecn.may_burst:
        return False
    return not pathmtu.may_be_fragmented(tcb)  # then each packet needs an identification of its own
