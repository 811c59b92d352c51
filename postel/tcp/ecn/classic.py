"""Classic ECN feedback: the flags ECE (ECN-Echo) and CWR (Congestion Window Reduced) (RFC 3168, 6.1).

::

    sender                               receiver
      │ ── ECT(0) ──► router: CE ──────────► │
      │ ◄──────────────────────────── ECE ── │  on every ACK, because ACKs may be lost
      │  reduces cwnd                        │
      │ ── CWR ────────────────────────────► │  stops setting ECE until the next CE
"""

from postel.tcp.ecn import CE, ECT_0, Ecn
from postel.wire.segment import CWR, ECE, Segment


class Classic(Ecn):
    """Classic feedback of one connection.

    ``echoes`` says that our ACKs carry ECE, because a packet arrived marked. ``owes_cwr`` says that the next
    new data carries CWR, because cwnd was reduced.
    """

    def __init__(self, iss: int) -> None:
        """Create the state of a connection with the initial sequence number ``iss``."""
        super().__init__(iss)
        self.echoes: bool = False
        self.owes_cwr: bool = False

    def arrives(self, segment: Segment, *, has_unacked: bool) -> bool:
        """Note the peer's CWR and the mark of a segment; no ACK is due at once."""
        if segment.flags & CWR:
            self.echoes = False
        # RFC3168-6.1.3; a probe of our closed window counts, too (6.1.6).
        if segment.ecn == CE and segment.data:
            self.echoes = True
        return False

    def heed(self, segment: Segment, acked: int, smss: int, *, is_newer: bool) -> int:
        """Return ``acked``, at least 1, where the ACK carries ECE; else 0.

        ECE doesn't tell how much arrived marked.
        """
        return max(acked, 1) if segment.flags & ECE else 0

    def write(self, segment: Segment, room: int, *, is_new: bool) -> None:
        """Set ECE while it is due, and on new data ECT(0) and the CWR that is owed."""
        if self.echoes:  # RFC3168-6.1.3
            segment.flags |= ECE
        if is_new:
            if self.may_mark:  # RFC3168-6.1.4, RFC3168-6.1.5, RFC3168-6.1.6: only new data is marked ECT
                segment.ecn = ECT_0  # RFC3168-6.1.2d
            if self.owes_cwr:  # RFC3168-6.1.2c
                segment.flags |= CWR
                self.owes_cwr = False

    def reduced(self, snd_max: int) -> None:
        """Note that cwnd was reduced: the peer must be told by CWR."""
        super().reduced(snd_max)
        self.owes_cwr = True
