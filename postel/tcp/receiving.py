"""What one direction receives: its numbers, the octets that wait for the user, and those that wait behind a
gap.

::

            RCV.NXT                 RCV.NXT+RCV.WND = RCV.ADV
    ───────────┼───────────────────────────┼──────────────►
    in order   │   acceptable, held        │   refused
"""

from typing import Final

from postel.tcp import seq
from postel.tcp.readingpace import ReadingPace
from postel.tcp.reassembly import Reassembly
from postel.tcp.seq import NO_SEQUENCE

_SMALL: Final = 512  # octets: text that joins the piece before it
_LARGE: Final = 4096


class Receiving:
    """RCV.* of RFC 9293, 3.3.1, and what arrived. Only its methods move the numbers.

    ``nxt + wnd`` is the highest right edge ever advertised: it never moves back (SHLD-14). ``up`` alone is a
    position, not a number: urgent data may lie 2**31 octets back, and must not seem ahead again.
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
        self.irs: int = 0
        self.nxt: int = 0
        self.wnd: int = 0
        self.up: int = 0
        self.shift: int = 0  # Rcv.Wind.Shift
        self.fin_expected: int = NO_SEQUENCE  # of the peer's FIN, once seen
        self.position: int = 0  # octets received in order since the start: RCV.NXT without its wrapping
        self.unread: int = 0
        self.limit: int = limit  # octets: the largest window now
        self.pieces: list[bytes] = []  # in order, not read yet
        self.pieces_start: int = 0  # octets of the first that are read already
        self.reassembly: Reassembly | None = None
        self.pace: ReadingPace | None = None
        self.duplicate: tuple[int, int] | None = None  # to report as D-SACK, once
        self.arrived_since_ack: int = 0  # packets with text
        self.duplicates_owed: int = (
            0  # extra ACKs for segments out of order, where no SACK block can speak for several
        )
        self.challenge_after: int = 0
        self.keep_alives_until: int = 0  # see `challenge`
        # Truth values stand together: compiled, each takes one octet then
        self.fin_is_received: bool = False
        self.is_challenged: bool = (
            False  # in TIME-WAIT an ACK answered a SYN: the peer may answer that ACK by RST
        )
        self.is_released: bool = (
            False  # no program reads: text that arrives now is lost, and says so with RST
        )

    def anew(self) -> "Receiving":
        """For another attempt at a handshake: what the user chose stays, and the limits of answers to strange
        segments.
        """
        fresh = Receiving(self.limit)
        fresh.is_released = self.is_released
        fresh.challenge_after = self.challenge_after
        fresh.keep_alives_until = self.keep_alives_until
        return fresh

    # What moves the numbers

    def begin(self, irs: int) -> None:
        """The peer's SYN came."""
        self.irs = irs
        self.nxt = seq.add(irs, 1)

    def offer(self, window: int) -> None:
        """Our SYN tells of so many octets."""
        self.wnd = window

    def widen(self, window: int) -> None:
        """The peer is told of so many octets; of fewer than before changes nothing, for the right edge never
        moves back (SHLD-14).
        """
        self.wnd = max(self.wnd, window)

    def deliver(self, data: bytes) -> None:
        """The next octets in order are here. The right edge stays."""
        octets = len(data)
        pieces = self.pieces
        if (
            octets < _SMALL and pieces and len(pieces[-1]) < _LARGE
        ):  # else a megabyte of tiny segments weighs fifty
            pieces[-1] += data
        else:
            pieces.append(data)
        self.unread += octets
        self.position += octets
        self.nxt = seq.add(self.nxt, octets)
        self.wnd -= octets

    def consume_fin(self) -> None:
        """The peer's FIN is the next in order."""
        self.nxt = seq.add(self.nxt, 1)
        self.wnd -= 1
        self.fin_is_received = True

    def restore_closed(self, irs: int, nxt: int, window: int) -> None:
        """As in TIME-WAIT: the peer's FIN was the last number before ``nxt``, and no program reads any
        more.
        """
        self.irs = irs
        self.nxt = nxt
        self.wnd = window
        self.fin_is_received = self.is_released = True
        self.fin_expected = seq.add(nxt, -1)

    # The user reads

    def read(self, limit: int) -> bytes:
        """Up to ``limit`` octets; some must wait."""
        data = self._pop(limit)
        self.unread -= len(data)
        return data

    def _pop(self, limit: int) -> bytes:
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
        end = limit - size  # of the piece that is read in part
        if count == 0:
            data = pieces[0][start:end]
        else:
            data = b"".join((pieces[0][start:], *pieces[1:count], pieces[count][:end]))
            del pieces[:count]
        self.pieces_start = end
        return data

    def read_into(self, room: memoryview) -> int:
        """As `read`, into octets of the caller's: how many."""
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
        """What wasn't read is lost."""
        self.pieces.clear()
        self.pieces_start = self.unread = 0

    # Questions

    @property
    def right_edge(self) -> int:
        """One past the last number that we accept: as far as we ever advertised (RFC7323-2.4a)."""
        return seq.add(self.nxt, self.wnd)
