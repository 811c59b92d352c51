"""Times of a connection's phases, and what it waited for: the network ("wire"), a program, or a window.

A capture is made in one place, so a round trip here is the time from there to one end and back. What a
connection waited for follows from what was outstanding when it fell silent, and from what ended the silence:

| outstanding | ended by | waited for |
|---|---|---|
| data, SYN or FIN | the same, sent again | the wire: it was lost |
| data, and the window had no room for more | a larger window | the window: the program there didn't read |
| data | its ACK | the wire: it was slow |
| nothing | data | the program of the end that sent it |
"""

from array import array
from statistics import median
from typing import Final, NamedTuple

from postel.tcp import seq as sequence
from postel.tcp.seq import HALF, MASK
from postel.times import MILLISECOND
from postel.view.capture.connection import Connection, End
from postel.view.capture.measures import scale
from postel.view.capture.sent import AHEAD, COPY, KEEP_ALIVE, NEW, OVERTAKEN, PROBE, RETRANSMISSION, UNKNOWN
from postel.view.capture.table import Seen
from postel.wire.segment import ACK, FIN, RST, SYN

STALL: Final = 300 * MILLISECOND  # shortest silence that is a finding
_MOST_SAMPLES: Final = 2000
_MOST_OUTSTANDING: Final = 256


class Silence(NamedTuple):
    """Time of ``length`` microseconds in which nothing was captured, until packet ``number``.

    ``kind`` is "wire", "program" or "window", "" where nothing was awaited. ``by`` is the end that the
    connection waited for: its program, its window, or its segments on the wire.
    """

    length: int
    number: int
    kind: str
    by: End


class _Half:
    """Measures of what one end sent."""

    __slots__ = (
        "flight",
        "full",
        "outstanding",
        "round_trips",
        "segments",
        "shut_since",
        "shut_time",
        "window",
    )

    def __init__(self) -> None:
        """Begin without segments."""
        # For each segment that passed once and isn't acknowledged yet: the sequence number after it, and its
        # time in microseconds. This is a list, because an empty deque takes 0.6 kB.
        self.outstanding: list[tuple[int, int]] = []
        self.round_trips: array[int] = array("q")
        self.segments = 0  # number of segments that took sequence numbers
        self.flight = 0  # largest number of octets that were in flight at once
        self.full = 0  # number of segments that filled the other end's window
        self.window = UNKNOWN  # advertised window in octets; UNKNOWN if the capture doesn't show its scale
        self.shut_since = UNKNOWN
        self.shut_time = 0  # microseconds for which this end advertised a zero window


class Pace:
    """Times of one connection, in microseconds.

    `look` is called with each segment, after `Connection.take` has processed it.
    """

    def __init__(self, connection: Connection) -> None:
        """Begin before the first segment."""
        self.connection: Connection = connection
        self.stalls: list[Silence] = []
        self.longest: Silence | None = None
        # Time of each answer, in microseconds: from the opener's last data to the other end's first data
        self.answers: array[int] = array("q")
        self.last: int = UNKNOWN  # time of the latest segment
        self.patience: int = (
            UNKNOWN  # a silence of at most this many microseconds is neither a stall nor the longest
        )
        self._halves = (_Half(), _Half())
        self._was_reset = False  # whether the last segment was a RST
        self._asked = UNKNOWN  # time of the opener's last data, if it has no answer yet

    def look(self, seen: Seen) -> None:
        """Update the measures for a segment."""
        if seen.sight is COPY:
            return
        if self.last != UNKNOWN and not seen.located.bits & RST:
            self._end_silence(seen)
        self.last = max(self.last, seen.when)
        self._was_reset = seen.located.bits & RST != 0
        self._take_ack(seen)
        self._take_text(seen)
        self._take_window(seen)

    def look_briefly(self, end: End, when: int, ack: int, length: int, room: int) -> None:
        """Update the measures for a plain segment, before the connection counts it.

        Such a segment has an ACK and no SYN, FIN or RST, its payload is the next in order, and it comes
        within ``patience`` after the latest segment. Its window of ``room`` octets (UNKNOWN if the capture
        doesn't show the scale) isn't 0.
        """
        if when > self.last:  # noqa: PLR1730 - max() takes longer, and this is done for each segment
            self.last = when
        self._was_reset = False
        mine, theirs = self._halves if end.side == 0 else self._halves[::-1]
        mine.window = room
        outstanding = theirs.outstanding
        if outstanding and ack - outstanding[0][0] & MASK < HALF:
            self._acknowledge(theirs, ack, when)
        if not length:
            return
        mine.segments += 1
        behind = end.next + length & MASK
        if len(mine.outstanding) < _MOST_OUTSTANDING:
            mine.outstanding.append((behind, when))
        if end.other.ack != UNKNOWN:
            flight = behind - end.other.ack & MASK
            if flight < HALF:
                if flight > mine.flight:  # noqa: PLR1730 - max() takes longer
                    mine.flight = flight
                mine.full += 0 < theirs.window <= flight
        if end.side == 0:
            self._asked = when
        elif self._asked != UNKNOWN:
            self.answers.append(when - self._asked)
            self._asked = UNKNOWN

    def _end_silence(self, seen: Seen) -> None:
        """Store the silence before this segment, if it is a stall or the longest so far."""
        length = seen.when - self.last
        if length <= self.patience:
            return
        kind, by = self._waited_for(seen)
        silence = Silence(length, seen.number, kind, by)
        if self.longest is None or length > self.longest.length:
            self.longest = silence
            self.patience = max(min(length, STALL - 1), 0)
        if length >= STALL and kind:
            self.stalls.append(silence)

    def _waited_for(self, seen: Seen) -> tuple[str, End]:
        """Return ``kind`` and ``by`` of the silence before this segment, as in `Silence`."""
        end, sight = seen.end, seen.sight
        other, text = end.other, seen.length
        if sight in (RETRANSMISSION, OVERTAKEN):
            if self._was_reset:
                # The end sends its SYN again after a RST refused it; nothing was awaited meanwhile
                return "", end
            return ("window" if self._halves[other.side].window == 0 else "wire"), (
                other if self._halves[other.side].window == 0 else end
            )
        if sight in (PROBE, KEEP_ALIVE):
            is_shut = self._halves[other.side].window == 0
            return ("window", other) if is_shut else ("", end)
        if text:
            return "program", end
        if self._halves[end.side].window == 0:
            return "window", end
        is_ack_of_some = seen.located.bits & ACK != 0 and bool(self._halves[other.side].outstanding)
        return ("wire", other) if is_ack_of_some else ("", end)

    def _take_ack(self, seen: Seen) -> None:
        """Remove the segments that an ACK covers, and measure their round trip."""
        if seen.located.bits & (ACK | RST) == ACK:
            self._acknowledge(self._halves[seen.end.other.side], seen.located.ack, seen.when)

    def _acknowledge(self, half: _Half, ack: int, now: int) -> None:
        """Remove the segments that ``ack`` covers, and measure the round trip of the latest one of them."""
        outstanding, sent = half.outstanding, UNKNOWN
        while outstanding and ack - outstanding[0][0] & MASK < HALF:
            sent = outstanding.pop(0)[1]
        if UNKNOWN != sent <= now and len(half.round_trips) < _MOST_SAMPLES:
            half.round_trips.append(now - sent)

    def _take_text(self, seen: Seen) -> None:
        """Count the segment, store its time and how much is in flight, and measure the answer's time."""
        end, sight = seen.end, seen.sight
        size = seen.length + (seen.located.bits & SYN != 0) + (seen.located.bits & FIN != 0)
        if not size:
            return
        half = self._halves[end.side]
        half.segments += 1
        if sight is RETRANSMISSION or sight is OVERTAKEN:
            half.outstanding.clear()  # Karn's algorithm: the ACK may be of either segment (RFC 6298, 3)
        elif (sight is NEW or sight is AHEAD) and len(half.outstanding) < _MOST_OUTSTANDING:
            half.outstanding.append((sequence.add(seen.located.seq, size), seen.when))
        if not seen.length:
            return
        if end.other.ack != UNKNOWN:
            flight = sequence.offset(end.next, end.other.ack)
            half.flight = max(half.flight, flight)
            half.full += 0 < self._halves[end.other.side].window <= flight
        self._take_talk(end, seen.when)

    def _take_talk(self, end: End, when: int) -> None:
        """Measure how long an answer took, from the opener's last data to the other end's next data."""
        if end.side == 0:
            self._asked = when
        elif self._asked != UNKNOWN:
            self.answers.append(when - self._asked)
            self._asked = UNKNOWN

    def _take_window(self, seen: Seen) -> None:
        """Store the window that an end advertises, and add up how long it is zero."""
        end, located = seen.end, seen.located
        if located.bits & (SYN | RST):
            return
        half, shift = self._halves[end.side], scale(end)
        half.window = located.window << shift if shift != UNKNOWN else (0 if located.window == 0 else UNKNOWN)
        if not located.window:
            half.shut_since = seen.when if half.shut_since == UNKNOWN else half.shut_since
        elif half.shut_since != UNKNOWN:
            half.shut_time += seen.when - half.shut_since
            half.shut_since = UNKNOWN

    # Results

    @property
    def duration(self) -> int:
        """Time from the first segment to the last."""
        return self.connection.last - self.connection.began

    def opening(self) -> tuple[int, int, int] | None:
        """Return the time of the handshake, how much of it was waiting to send a SYN again, and the rest.

        The times are in microseconds. The second is from the first SYN to the last SYN, plus from the first
        SYN,ACK to the last SYN,ACK; the rest is the round trip. None if the capture lacks SYN, SYN,ACK or the
        handshake's ACK.
        """
        connection = self.connection
        if UNKNOWN in (connection.syn_sent, connection.syn_acked, connection.opened):
            return None
        waited = connection.syn_last - connection.syn_sent + connection.syn_ack_last - connection.syn_acked
        whole = connection.opened - connection.syn_sent
        return whole, min(waited, whole), max(whole - waited, 0)

    def round_trips(self, side: int) -> tuple[int, int, int] | None:
        """Return minimum, median and maximum round-trip time of this end's segments; None without any.

        The times, in microseconds, are from the capture to the other end and back.
        """
        samples = self._halves[side].round_trips
        return (min(samples), int(median(samples)), max(samples)) if samples else None

    def rate(self, side: int) -> int:
        """Return how many octets of payload a second this end sent; 0 if the connection took no time."""
        return self.connection.ends[side].data * 1_000_000 // self.duration if self.duration > 0 else 0

    def flight(self, side: int) -> int:
        """Return the most octets that this end had in flight at once."""
        return self._halves[side].flight

    def full(self, side: int) -> int:
        """Return how many segments of this end filled the window of the other."""
        return self._halves[side].full

    def shut_time(self, side: int) -> int:
        """Return for how many microseconds this end advertised a zero window."""
        half = self._halves[side]
        return half.shut_time + (self.connection.last - half.shut_since if half.shut_since != UNKNOWN else 0)

    def share_sent_again(self, side: int) -> float:
        """Return the share of retransmissions, 0 to 1, in this end's segments that took sequence numbers."""
        segments = self._halves[side].segments
        return min(1.0, self.connection.ends[side].retransmissions / segments) if segments else 0.0
