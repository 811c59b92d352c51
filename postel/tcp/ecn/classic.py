"""ECN-Echo and Congestion Window Reduced: RFC 3168, 6.1.

::

    sender                               receiver
      │ ── ECT(0) ──► router: CE ──────────► │
      │ ◄──────────────────────────── ECE ── │  on every ACK, lest one is lost
      │  half the window                     │
      │ ── CWR ────────────────────────────► │  heard: no more ECE until the next CE
"""

from postel.tcp.ecn import CE, ECT_0, Ecn
from postel.wire.segment import CWR, ECE, Segment


class Classic(Ecn):
    def __init__(self, iss: int) -> None:
        super().__init__(iss)
        self.echoes: bool = False
        self.owes_cwr: bool = False

    def arrives(self, segment: Segment, *, has_unacked: bool) -> bool:
        if segment.flags & CWR:
            self.echoes = False
        if segment.ecn == CE and segment.data:  # RFC3168-6.1.3; a probe of our closed window too (6.1.6)
            self.echoes = True
        return False

    def heed(self, segment: Segment, acked: int, smss: int, *, is_newer: bool) -> int:
        return max(acked, 1) if segment.flags & ECE else 0

    def write(self, segment: Segment, room: int, *, is_new: bool) -> None:
        if self.echoes:  # RFC3168-6.1.3
            segment.flags |= ECE
        if is_new:
            if self.may_mark:  # RFC3168-6.1.4, RFC3168-6.1.5, RFC3168-6.1.6: on nothing else
                segment.ecn = ECT_0  # RFC3168-6.1.2d
            if self.owes_cwr:  # RFC3168-6.1.2c
                segment.flags |= CWR
                self.owes_cwr = False

    def reduced(self, snd_max: int) -> None:
        super().reduced(snd_max)
        self.owes_cwr = True
