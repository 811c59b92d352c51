"""Receive sequence space of one connection: its numbers and its buffer (RFC 9293, 3.3.1, figure 4).

Theory of operation. RCV.NXT is the next number that is expected, and RCV.WND says how many from there on are
accepted:

    next to read           RCV.NXT                       RCV.NXT+RCV.WND
    ───────┼──────────────────┼──────────┬─────────┬───────────┼───────────┬─────►
     read  │ in order, waits  │   gap    │ held in │ not here  │ refused   │ refused
           │ for the user     │          │ reassem-│ yet       │ (may be   │
           │ (``pieces``)     │          │ bly     │           │ offered)  │
           ├───── unread ─────┼──────────── wnd ───────────────┤           │
           ├────────────────────────── limit ──────────────────────────────┤

In the terms of RFC 9293, 3.8.6.2.2, ``limit`` is RCV.BUFF and ``unread`` is RCV.USER. When octets arrive in
order, RCV.NXT moves right and RCV.WND shrinks by as much: the right edge stays. Only `postel.tcp.window`
moves the edge right, when the user has read enough; it never moves left (3.8.6).
"""

from typing import Final

from postel.tcp import seq
from postel.tcp.readingpace import ReadingPace
from postel.tcp.reassembly import Reassembly
from postel.tcp.seq import NO_SEQUENCE

# Arriving payload of fewer octets is appended to the last piece in the receive buffer, if that has room left
_SMALL: Final = 512
# A piece in the receive buffer with so many octets or more has no room left: no payload is appended to it
_LARGE: Final = 4096


class Receiving:
    """Receive variables RCV.* of RFC 9293, 3.3.1, and what arrived. Only its methods move the numbers.

    ``nxt + wnd`` is the highest right edge ever advertised: it never moves back (SHLD-14). ``up`` (RCV.UP)
    alone is a position, which counts octets from the first of the stream and never wraps: urgent data may end
    2**31 octets back, and a sequence number would then seem to be ahead again.
    """

    __slots__ = (
        "arrived_since_ack",
        "challenge_after",
        "duplicate",
        "duplicates_owed",
        "fin_expected",
        "fin_is_received",
        "irs",
        "is_challenged",
        "is_released",
        "keep_alives_until",
        "limit",
        "nxt",
        "pace",
        "pieces",
        "pieces_start",
        "position",
        "reassembly",
        "shift",
        "unread",
        "up",
        "wnd",
    )

    def __init__(self, limit: int) -> None:
        """Begin with nothing received and a buffer of at most ``limit`` octets."""
        self.irs: int = 0
        self.nxt: int = 0
        self.wnd: int = 0
        self.up: int = 0
        self.shift: int = 0  # Rcv.Wind.Shift
        self.fin_expected: int = NO_SEQUENCE  # number of the peer's FIN, once seen
        # Octets received in order since the connection began: RCV.NXT as an int that doesn't wrap
        self.position: int = 0
        self.unread: int = 0  # octets in order that the user hasn't read
        self.limit: int = limit  # size of the receive buffer now, in octets: RCV.BUFF
        self.pieces: list[bytes] = []  # payload in order that the user hasn't read completely
        self.pieces_start: int = 0  # octets of the first piece that the user has read
        self.reassembly: Reassembly | None = None
        self.pace: ReadingPace | None = None
        self.duplicate: tuple[int, int] | None = None  # octets received twice, to be reported once as D-SACK
        self.arrived_since_ack: int = 0  # packets with payload that arrived since the last ACK was sent
        # ACKs owed beyond one: without SACK each segment out of order gets an ACK of its own
        self.duplicates_owed: int = 0
        self.challenge_after: int = 0  # no challenge ACK before this time, see `challenge`
        self.keep_alives_until: int = 0  # time that limits answers to keep-alives, see `challenge`
        # Truth values stand together: compiled, each takes one octet then
        self.fin_is_received: bool = False
        # In TIME-WAIT a challenge ACK answered a SYN: the peer may answer that ACK with a RST
        self.is_challenged: bool = False
        # The program has released the connection: payload that arrives now is lost, and a RST tells the peer
        self.is_released: bool = False

    def anew(self) -> "Receiving":
        """Make the receive variables of another attempt at a handshake, after a return to LISTEN.

        The buffer's size and a release by the user stay, and so do the limits on challenge ACKs.
        """
        fresh = Receiving(self.limit)
        fresh.is_released = self.is_released
        fresh.challenge_after = self.challenge_after
        fresh.keep_alives_until = self.keep_alives_until
        return fresh

    # Methods that move the numbers

    def begin(self, irs: int) -> None:
        """Set RCV.NXT from the peer's SYN, which has the number ``irs``."""
        self.irs = irs
        self.nxt = seq.add(irs, 1)

    def offer(self, window: int) -> None:
        """Set RCV.WND to the ``window`` in octets that our SYN advertises."""
        self.wnd = window

    def widen(self, window: int) -> None:
        """Raise RCV.WND to the ``window`` that is advertised now; a smaller one changes nothing (SHLD-14)."""
        self.wnd = max(self.wnd, window)

    def deliver(self, data: bytes) -> None:
        """Add the next octets in order. RCV.NXT moves right, the right edge of the window stays."""
        octets = len(data)
        pieces = self.pieces
        # Short pieces are joined, otherwise a megabyte of tiny segments takes fifty megabytes of memory
        if octets < _SMALL and pieces and len(pieces[-1]) < _LARGE:
            pieces[-1] += data
        else:
            pieces.append(data)
        self.unread += octets
        self.position += octets
        self.nxt = seq.add(self.nxt, octets)
        self.wnd -= octets

    def consume_fin(self) -> None:
        """Move RCV.NXT past the peer's FIN, which is next in order."""
        self.nxt = seq.add(self.nxt, 1)
        self.wnd -= 1
        self.fin_is_received = True

    def restore_closed(self, irs: int, nxt: int, window: int) -> None:
        """Restore the variables of TIME-WAIT: the peer's FIN was the last number before ``nxt``."""
        self.irs = irs
        self.nxt = nxt
        self.wnd = window
        self.fin_is_received = self.is_released = True
        self.fin_expected = seq.add(nxt, -1)

    # Methods for the user's reads

    def read(self, limit: int) -> bytes:
        """Return up to ``limit`` octets. Called only while octets wait."""
        data = self._pop(limit)
        self.unread -= len(data)
        return data

    def _pop(self, limit: int) -> bytes:
        """Remove and return up to ``limit`` octets from the front of the pieces."""
        pieces, start = self.pieces, self.pieces_start
        if self.unread <= limit:
            first = pieces[0][start:] if start else pieces[0]
            data = first if len(pieces) == 1 else b"".join((first, *pieces[1:]))
            pieces.clear()
            self.pieces_start = 0
            return data
        count, size = 0, -start
        while size + len(pieces[count]) <= limit:
            size += len(pieces[count])
            count += 1
        end = limit - size  # octets of the piece that is read in part
        if count == 0:
            data = pieces[0][start:end]
        else:
            data = b"".join((pieces[0][start:], *pieces[1:count], pieces[count][:end]))
            del pieces[:count]
        self.pieces_start = end
        return data

    def read_into(self, room: memoryview) -> int:
        """Fill ``room`` with octets that wait, and return how many there were."""
        pieces, start = self.pieces, self.pieces_start
        count = filled = 0
        while count < len(room) and filled < len(pieces):
            piece = pieces[filled]
            part = min(len(piece) - start, len(room) - count)
            room[count : count + part] = (
                piece if part == len(piece) else memoryview(piece)[start : start + part]
            )
            count += part
            start += part
            if start == len(piece):
                filled += 1
                start = 0
        del pieces[:filled]
        self.pieces_start = start
        self.unread -= count
        return count

    def discard(self) -> None:
        """Drop what the user hasn't read."""
        self.pieces.clear()
        self.pieces_start = self.unread = 0

    # Questions

    @property
    def right_edge(self) -> int:
        """One past the last number that is accepted: the highest edge ever advertised (RFC7323-2.4a)."""
        return seq.add(self.nxt, self.wnd)
