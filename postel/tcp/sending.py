"""What one direction sends: its numbers, its octets, and how far both have come.

::

        SND.UNA          SND.NXT        SND.MAX      SND.UNA+SND.WND
    ───────┼────────────────┼──────────────┼──────────────┼───────►
    acked  │   in flight    │ sent before  │  may be sent │  may not
           │                │ a timeout    │              │
"""

from postel.tcp import seq
from postel.tcp.sendbuffer import SendBuffer
from postel.tcp.seq import NO_SEQUENCE
from postel.tcp.stopwatch import Stopwatch


class Sending:
    """SND.* of RFC 9293, 3.3.1, and the queue that they count. Only its methods move the numbers.

    ``max`` is one past the highest number ever sent, ``max_wnd`` the largest window ever received (3.10.7.4).
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
        self.fin_seq: int = NO_SEQUENCE  # of our FIN, once sent
        self.buffer: SendBuffer = SendBuffer()
        self.limit: int = limit  # octets that the buffer takes now
        self.retransmissions: int = 0  # of what now is at SND.UNA
        # since the peer's window closed, or since the peer last took an octet; 0 while PERSIST doesn't run
        self.window_probes: int = 0
        self.last_at: int = 0  # when text or FIN last went out
        self.paced_until: int = 0  # the pacing rate lets nothing out before
        self.stopwatch: Stopwatch | None = None
        # Truth values stand together: compiled, each takes one octet then
        self.syn_is_acked: bool = False
        self.fin_is_queued: bool = False
        self.wants_room: bool = (
            False  # `send` took less than it was given; once released: progress restarts the orphan timer
        )
        self.may_send_small: bool = False  # the override timer ran out

    def anew(self, iss: int) -> "Sending":
        """For another attempt at a handshake: what the user chose stays, and what is told of times."""
        fresh = Sending(iss, self.limit)
        fresh.last_at = self.last_at
        fresh.stopwatch = self.stopwatch
        fresh.wants_room = self.wants_room
        return fresh

    # What moves the numbers

    def begin(self) -> None:
        """Our SYN takes its number: SND.UNA = ISS, SND.NXT = ISS + 1."""
        self.una = self.iss
        self.syn_is_acked = False
        self.nxt = self.max = self.up = seq.add(self.iss, 1)

    def reserve(self, octets: int) -> None:
        """So many octets of new text go out with our SYN."""
        self.nxt = self.max = seq.add(self.nxt, octets)

    def extend(self, end: int) -> None:
        """Something new went out, up to ``end``."""
        self.nxt = self.max = end

    def repeat(self, end: int, beyond: int) -> None:
        """What was sent before went out again up to ``end``; what goes next begins at ``beyond``, for the
        peer has what lies between.
        """
        self.nxt = beyond
        self.max = seq.latest(self.max, end)

    def rewind(self) -> None:
        """Everything that isn't acknowledged goes again, in order (D-1: SND.MAX remembers how far we had
        come).
        """
        self.nxt = self.una

    def catch_up(self) -> None:
        """Nothing goes again in order."""
        self.nxt = self.max

    def repeat_fin(self) -> None:
        """Our FIN goes again."""
        self.nxt = self.fin_seq

    def advance(self, ack: int) -> int:
        """Everything before ``ack`` has arrived. How many octets that freed in the buffer: neither SYN nor
        FIN has one there.
        """
        una, buffer = self.una, self.buffer
        acked = seq.distance(una, ack)
        octets = min(acked if self.syn_is_acked else acked - 1, buffer.size)
        self.syn_is_acked = True
        self.up = ack if self.up == una else seq.latest(self.up, ack)
        self.una = ack
        if self.nxt != self.max and seq.lt(self.nxt, ack):  # D-1: a timeout had pulled SND.NXT back
            self.nxt = ack
        if octets:
            buffer.discard(octets)
        return octets

    def mark_urgent(self) -> None:
        """D-13: SND.UP is the octet after the last urgent one, which is the last that the user sent."""
        self.up = seq.add(self.first_octet, self.buffer.size)

    def hear_window(self, window: int, number: int, ack: int) -> None:
        """The segment with this ``number`` and ``ack`` told of ``window`` octets (EP-ACK-8)."""
        self.wnd = window
        self.wl1 = number
        self.wl2 = ack
        self.max_wnd = max(self.max_wnd, window)

    def restore_closed(self, end: int, window: int, largest_window: int) -> None:
        """As in TIME-WAIT: our FIN was the last number before ``end``, and is acknowledged."""
        self.una = self.nxt = self.max = self.up = end
        self.wnd = window
        self.max_wnd = largest_window
        self.syn_is_acked = self.fin_is_queued = True
        self.fin_seq = seq.add(end, -1)

    # Questions

    @property
    def flight(self) -> int:
        """FlightSize of RFC 5681: sent and not acknowledged, FIN and SYN counted."""
        return (self.max - self.una) & seq.MASK

    @property
    def first_octet(self) -> int:
        """The number of the buffer's first octet: SND.UNA, or the one after our SYN while that is on its
        way.
        """
        return self.una if self.syn_is_acked else (self.una + 1) & seq.MASK

    @property
    def unsent(self) -> int:
        """Octets of data from SND.NXT on; the FIN isn't counted."""
        return max(0, self.buffer.size - seq.distance(self.first_octet, self.nxt))

    @property
    def never_sent(self) -> int:
        """Octets of data from SND.MAX on."""
        return max(0, self.buffer.size - seq.distance(self.first_octet, self.max))

    @property
    def fin_is_acked(self) -> bool:
        return self.fin_seq != NO_SEQUENCE and seq.gt(self.una, self.fin_seq)

    def is_in_flight(self, number: int) -> bool:
        """Whether ``number`` was sent and isn't acknowledged yet (RFC 5927, 4.1)."""
        return seq.le(self.una, number) and seq.lt(number, self.max)
