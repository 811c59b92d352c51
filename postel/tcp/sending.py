"""Send sequence space of one connection: its numbers and its buffer (RFC 9293, 3.3.1, figure 3).

Theory of operation. Every octet of the stream has a sequence number, and so have SYN (the first, ISS) and FIN
(the last). The send variables cut this line into parts:

            SND.UNA          SND.NXT           SND.MAX        SND.UNA+SND.WND    end of buffer
    ───────────┼────────────────┼─────────────────┼──────────────────┼─────────────────┼──►
    acked,     │ sent, not      │ sent before a   │ queued, inside   │ queued, beyond  │
    discarded  │ acknowledged   │ timeout, goes   │ the peer's       │ the peer's      │
               │                │ again           │ window           │ window          │
               ├─────────── flight ───────────────┼────────── never_sent ──────────────┤
               ├────────────────────────── buffer.size ────────────────────────────────┤

SND.MAX is one past the highest number ever sent. It is the SND.NXT of RFC 9293 most of the time. After a
retransmission timeout SND.NXT moves back to SND.UNA, because everything in flight may be lost; SND.MAX stays,
so that an ACK of what was sent before is still acceptable. An ACK moves SND.UNA right and discards the octets
left of it. A window that shrank may end left of SND.MAX.
"""

from postel.tcp import seq
from postel.tcp.sendbuffer import SendBuffer
from postel.tcp.seq import NO_SEQUENCE
from postel.tcp.stopwatch import Stopwatch


class Sending:
    """Send variables SND.* of RFC 9293, 3.3.1, and the send buffer. Only its methods move the numbers.

    ``max`` is one past the highest number ever sent, ``max_wnd`` the largest window ever received (3.10.7.4),
    in octets. ``wl1`` and ``wl2`` are SEG.SEQ and SEG.ACK of the segment that last updated ``wnd``.
    """

    __slots__ = (
        "buffer",
        "fin_is_queued",
        "fin_seq",
        "iss",
        "last_at",
        "limit",
        "max",
        "max_wnd",
        "may_send_small",
        "nxt",
        "paced_until",
        "retransmissions",
        "shift",
        "stopwatch",
        "syn_is_acked",
        "una",
        "up",
        "wants_room",
        "window_probes",
        "wl1",
        "wl2",
        "wnd",
    )

    def __init__(self, iss: int, limit: int) -> None:
        """Begin at ``iss``, with a buffer of at most ``limit`` octets."""
        self.iss: int = iss
        self.una: int = iss
        self.nxt: int = iss
        self.max: int = iss
        self.up: int = iss
        self.wnd: int = 0
        self.max_wnd: int = 0
        self.wl1: int = 0
        self.wl2: int = 0
        self.shift: int = 0  # Snd.Wind.Shift
        self.fin_seq: int = NO_SEQUENCE  # number of our FIN, once sent
        self.buffer: SendBuffer = SendBuffer()
        self.limit: int = limit  # octets that the buffer holds at most, at present
        self.retransmissions: int = 0  # how often the octet at SND.UNA was sent again after a timeout
        # Window probes since the peer's window closed, or since the peer last took an octet; 0 outside
        # persist
        self.window_probes: int = 0
        self.last_at: int = 0  # when payload or FIN last went out
        self.paced_until: int = 0  # nothing goes out before this time, by the pacing rate
        self.stopwatch: Stopwatch | None = None
        # Truth values stand together: compiled, each takes one octet then
        self.syn_is_acked: bool = False
        self.fin_is_queued: bool = False
        # The last `send` accepted less than it was given. After a release it means that progress of the peer
        # restarts the orphan timer
        self.wants_room: bool = False
        self.may_send_small: bool = False  # the override timer expired (RFC 9293, 3.8.6.2.1)

    def anew(self, iss: int) -> "Sending":
        """Make the send variables of another attempt at a handshake, after a return to LISTEN.

        The buffer's size and a wait of the user for room stay, and so do the times that `status` tells.
        """
        fresh = Sending(iss, self.limit)
        fresh.last_at = self.last_at
        fresh.stopwatch = self.stopwatch
        fresh.wants_room = self.wants_room
        return fresh

    # Methods that move the numbers

    def begin(self) -> None:
        """Give our SYN its number: SND.UNA = ISS, SND.NXT = ISS + 1."""
        self.una = self.iss
        self.syn_is_acked = False
        self.nxt = self.max = self.up = seq.add(self.iss, 1)

    def reserve(self, octets: int) -> None:
        """Count ``octets`` of payload that go out with our SYN (RFC 7413)."""
        self.nxt = self.max = seq.add(self.nxt, octets)

    def extend(self, end: int) -> None:
        """Move SND.NXT and SND.MAX to ``end``, after octets or a FIN were sent for the first time."""
        self.nxt = self.max = end

    def repeat(self, end: int, beyond: int) -> None:
        """Move SND.NXT to ``beyond``: octets sent before a timeout were sent again, up to ``end``.

        ``beyond`` is ``end``, or farther where SACK blocks show that the peer has what follows.
        """
        self.nxt = beyond
        self.max = seq.latest(self.max, end)

    def rewind(self) -> None:
        """Move SND.NXT back to SND.UNA: all that isn't acknowledged will be sent again, in order (D-1)."""
        self.nxt = self.una

    def catch_up(self) -> None:
        """Move SND.NXT to SND.MAX: next goes payload that was never sent."""
        self.nxt = self.max

    def repeat_fin(self) -> None:
        """Move SND.NXT back to our FIN, so that output sends the FIN again."""
        self.nxt = self.fin_seq

    def advance(self, ack: int) -> int:
        """Move SND.UNA to ``ack``; return how many octets of the buffer that freed, without SYN and FIN."""
        una, buffer = self.una, self.buffer
        acked = seq.distance(una, ack)
        octets = min(acked if self.syn_is_acked else acked - 1, buffer.size)
        self.syn_is_acked = True
        self.up = ack if self.up == una else seq.latest(self.up, ack)
        self.una = ack
        if self.nxt != self.max and seq.lt(self.nxt, ack):  # D-1: a timeout had moved SND.NXT back
            self.nxt = ack
        if octets:
            buffer.discard(octets)
        return octets

    def mark_urgent(self) -> None:
        """Set SND.UP to the octet after the last one that the user sent, as the end of urgent data (D-13)."""
        self.up = seq.add(self.first_octet, self.buffer.size)

    def hear_window(self, window: int, number: int, ack: int) -> None:
        """Set SND.WND to ``window``, SND.WL1 to ``number`` and SND.WL2 to ``ack`` (EP-ACK-8)."""
        self.wnd = window
        self.wl1 = number
        self.wl2 = ack
        self.max_wnd = max(self.max_wnd, window)

    def restore_closed(self, end: int, window: int, largest_window: int) -> None:
        """Restore the variables of TIME-WAIT: our FIN, the last number before ``end``, is acknowledged."""
        self.una = self.nxt = self.max = self.up = end
        self.wnd = window
        self.max_wnd = largest_window
        self.syn_is_acked = self.fin_is_queued = True
        self.fin_seq = seq.add(end, -1)

    # Questions

    @property
    def flight(self) -> int:
        """FlightSize of RFC 5681: numbers sent and not acknowledged, those of SYN and FIN included."""
        return (self.max - self.una) & seq.MASK

    @property
    def first_octet(self) -> int:
        """Number of the buffer's first octet: SND.UNA, or the one after our SYN while that is in flight."""
        return self.una if self.syn_is_acked else (self.una + 1) & seq.MASK

    @property
    def unsent(self) -> int:
        """Octets of payload from SND.NXT on; the FIN isn't counted."""
        return max(0, self.buffer.size - seq.distance(self.first_octet, self.nxt))

    @property
    def never_sent(self) -> int:
        """Octets of payload from SND.MAX on."""
        return max(0, self.buffer.size - seq.distance(self.first_octet, self.max))

    @property
    def fin_is_acked(self) -> bool:
        """Whether our FIN was sent and acknowledged."""
        return self.fin_seq != NO_SEQUENCE and seq.gt(self.una, self.fin_seq)

    def is_in_flight(self, number: int) -> bool:
        """Whether ``number`` was sent and isn't acknowledged yet (RFC 5927, 4.1)."""
        return seq.le(self.una, number) and seq.lt(number, self.max)
