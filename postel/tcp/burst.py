"""Size of a segment that the link cuts into packets itself (TCP segmentation offload, TSO).

Such a segment, a burst, holds whole packets only, so that Nagle, silly window avoidance and FIN apply to the
rest of the payload. It holds only payload that was never sent, so that each retransmission is one packet.
"""

from typing import Final

from postel.tcp import pathmtu, seq
from postel.tcp.tcb import OWES_USER_TIMEOUT, Tcb
from postel.times import MILLISECOND, SECOND

# A paced connection may send at once what its pacing rate allows in this time (microseconds), and may catch
# up as much after a timer that expired late
PACING_CREDIT: Final = MILLISECOND


def size_for(tcb: Tcb, room: int, most: int) -> int:
    """Return the octets of new payload in the next segment: a multiple of ``room``, the octets of one packet.

    The result is at most ``most``, but never less than ``room``. It is ``room`` where the packets of a larger
    segment would need different headers.
    """
    if room != tcb.ensure_controller().smss or not _is_plain(tcb):
        return room
    limit = min(tcb.path.burst, most)
    rate = tcb.ensure_controller().pacing_rate
    if rate:
        limit = min(limit, rate * PACING_CREDIT // SECOND)
    return max(room, limit - limit % room)


def _is_plain(tcb: Tcb) -> bool:
    """Whether every packet of a burst may have the same header, except for what a link changes.

    A link changes number, length, PSH, FIN and CWR. It can't give each packet an urgent pointer or a
    signature of its own.
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
    return not pathmtu.may_be_fragmented(tcb)  # each fragmentable packet needs an identification of its own
