"""A path that swallows large packets and says nothing: the ICMP message that should tell of it was filtered (RFC 2923, 2.1).

Until packetization-layer discovery comes, segments that time out twice in a row go on in smaller ones (RFC 4821, 7.6).
"""

from typing import Final

from postel.tcp import handshake
from postel.tcp.tcb import Tcb

TIMEOUTS: Final = 2
_STEPS_4: Final = (1280, 576)  # octets of path MTU
_STEPS_6: Final = (1280,)


def suspect(tcb: Tcb) -> None:
    """A retransmission timer expired, and ``tcb.retransmissions`` counts it."""
    if tcb.retransmissions % TIMEOUTS:
        return
    for step in _STEPS_4 if tcb.is_ipv4 else _STEPS_6:
        if step < tcb.path_mtu and len(tcb.send_buffer) > step:  # what is lost may be a packet that large
            tcb.path_mtu = step
            tcb.congestion.resized(handshake.data_mss(tcb))
            return
