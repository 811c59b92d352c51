"""Records of when every octet in flight was last sent (RFC 8985, 5.2 and 6.1).

Theory of operation. RACK needs the records of transmissions in two orders. By position they cover SND.UNA to
SND.MAX without gap or overlap; an ACK or SACK block cuts records where it begins or ends. By time of sending
they form a queue, of which RACK judges the oldest first. The middle of B was sent again here, as R::

    by position   SND.UNA │ A │ B │ R │ B' │ C │ D │ SND.MAX       B' is what was cut off the end of B
    by time                 A, B (with B'), C, D, R

A record that is cut keeps its place in the order of time. The parts that were cut off it follow it in a chain
of ``rest``. Records that were acknowledged, SACKed, lost or sent again stay in the queue until they come to
its head, and are dropped there.
"""

from bisect import bisect_right
from typing import Final

# States of a record
FLYING: Final = 0  # in flight: neither acknowledged, SACKed nor found lost
SACKED: Final = 1
LOST: Final = 2
GONE: Final = 3  # acknowledged, or its octets were sent again

_TRIM: Final = 256  # dropped records that may stay at the head of a list: to remove them copies the list


class Stamp:
    """State of the connection when a record was sent, for rate samples (the BBR draft, 4.1.2).

    Sizes are octets, times microseconds. Stamps are made only for controllers with ``is_model``.
    """

    __slots__ = ("delivered", "delivered_at", "first_at", "flight", "is_app_limited", "lost")

    def __init__(
        self,
        delivered: int,
        delivered_at: int,
        first_at: int,
        flight: int,
        lost: int,
        *,
        is_app_limited: bool,
    ) -> None:
        """Store the values that `Rates.stamp` has at the time of sending."""
        self.delivered: int = delivered
        self.delivered_at: int = delivered_at
        self.first_at: int = first_at
        self.flight: int = flight
        self.lost: int = lost
        self.is_app_limited: bool = is_app_limited


class Sent:
    """One transmission, at the time ``at``, of the octets at positions ``start`` to ``end`` - 1.

    The record stands for ``segments`` segments of one size that were sent at the same instant. ``rest`` is
    the record that was cut off the end of this one, or None.
    """

    __slots__ = ("at", "end", "is_again", "rest", "segments", "serial", "stamp", "start", "state")

    def __init__(
        self, start: int, end: int, at: int, serial: int, *, is_again: bool, segments: int = 1
    ) -> None:
        """Record a transmission that is in flight."""
        self.start: int = start
        self.end: int = end
        self.at: int = at
        self.serial: int = serial  # order of sending, also among transmissions at one instant
        self.is_again: bool = is_again
        self.state: int = FLYING
        self.segments: int = segments
        self.rest: Sent | None = None
        self.stamp: Stamp | None = None

    def is_after(self, other: "Sent") -> bool:
        """Say whether this record was sent after ``other``: RACK_sent_after (RFC 8985, 6.2).

        The RFC compares times, then sequence numbers. The serial number is exact where several were sent at
        one instant.
        """
        return self.serial > other.serial or (self.serial == other.serial and self.end > other.end)

    def part(self, start: int, end: int) -> "Sent":
        """Return a new record of the first or the last part of this record, from ``start`` up to ``end``.

        The octet at ``end`` isn't part of it. The new record's segments are subtracted from those of this
        record; the caller then changes this record's ``start`` or ``end``. A segment that is cut in two
        counts for the part before the cut.
        """
        size = self.end - self.start
        before = -(-self.segments * ((end if end < self.end else start) - self.start) // size)
        segments = before if end < self.end else self.segments - before
        self.segments -= segments
        part = Sent(start, end, self.at, self.serial, is_again=self.is_again, segments=segments)
        part.state, part.stamp = self.state, self.stamp
        return part


class Transmissions:
    """Records of everything between SND.UNA and SND.MAX; positions count octets and never wrap."""

    __slots__ = ("_by_time", "_head", "_oldest", "_records", "_serial", "_starts", "end", "start")

    def __init__(self, start: int) -> None:
        """Create an empty list; ``start`` is the position of the first octet to be sent."""
        self.start: int = start
        self.end: int = start
        # Records in the order of sending, from index ``_oldest`` on. A record that was cut off another record
        # isn't in this list, but in the ``rest`` of that record. `oldest_flying` drops records that aren't
        # FLYING.
        self._by_time: list[Sent] = []
        self._oldest = 0
        # Records in the order of position, from index ``_head`` on, and their ``start``, for bisection
        self._starts: list[int] = []
        self._records: list[Sent] = []
        self._head = 0
        self._serial = 0

    def add(self, start: int, end: int, at: int, segments: int = 1) -> Sent:
        """Record that positions ``start`` to ``end`` - 1 are sent at ``at``, for the first time or again."""
        is_again = start < self.end
        if is_again:
            self._replace(start, end)
        self._serial += 1
        record = Sent(start, end, at, self._serial, is_again=is_again, segments=segments)
        if is_again:
            index = bisect_right(self._starts, start, self._head)
            self._starts.insert(index, start)
            self._records.insert(index, record)
        else:
            self._starts.append(start)
            self._records.append(record)
        self.end = max(self.end, end)
        self._by_time.append(record)
        return record

    def extend(self, octets: int, segments: int, at: int) -> bool:
        """Add segments to the last record, if they follow it at the same instant and have the same size.

        Returns whether that was possible; else the caller adds a record. This keeps one record for a whole
        burst.
        """
        record = self.last()
        if (
            record is None
            or record.at != at
            or record.serial != self._serial
            or record.is_again
            or record.state != FLYING
        ):
            return False
        if (record.end - record.start) * segments != octets * record.segments:
            return False
        record.segments += segments
        record.end = self.end = record.end + octets
        return True

    def first(self) -> Sent | None:
        """Return the record at SND.UNA, or None where nothing is in flight."""
        return self._records[self._head] if self._head < len(self._records) else None

    def last(self) -> Sent | None:
        """Return the record that ends at SND.MAX, or None where nothing is in flight."""
        return self._records[-1] if self._head < len(self._records) else None

    def pop_through(self, position: int) -> Sent | None:
        """Drop the records, all FLYING, that an ACK up to ``position`` covers.

        Returns the last record that the ACK covers, whole or in part; None where it covers nothing.
        """
        records, head, last = self._records, self._head, None
        end = len(records)
        while head < end and records[head].end <= position:
            last = records[head]
            last.state = GONE
            head += 1
        self._head = head
        if head < end:
            last = self.cut_first(position) or last
        else:
            self._by_time.clear()
            self._oldest = 0
        if head > _TRIM:
            self._trim()
        return last

    def cut_first(self, position: int) -> Sent | None:
        """Cut off and return the part of the first record before ``position``; None where there is none."""
        record = self._records[self._head]
        if record.start >= position:
            return None
        front = record.part(record.start, position)
        record.start = self._starts[self._head] = position
        return front

    def drop_first(self) -> None:
        """Drop the first record, which was acknowledged."""
        self._head += 1
        self._trim()

    def _trim(self) -> None:
        """Remove dropped records from the head of the lists once there are many."""
        if self._head > _TRIM and 2 * self._head > len(self._records):
            del self._records[: self._head], self._starts[: self._head]
            self._head = 0
            self.oldest_flying()  # moves ``_oldest`` past records that are gone
            del self._by_time[: self._oldest]
            self._oldest = 0

    def oldest_flying(self) -> Sent | None:
        """Return the FLYING record that was sent first, or None."""
        by_time = self._by_time
        while self._oldest < len(by_time):
            record: Sent | None = by_time[self._oldest]
            while record is not None and record.state != FLYING:
                record = record.rest
            if record is not None:
                by_time[self._oldest] = record
                return record
            self._oldest += 1
        by_time.clear()
        self._oldest = 0
        return None

    def judge_first(self, records: list[Sent]) -> None:
        """Put records, which are FLYING again, before all others in the order of sending."""
        self._by_time[: self._oldest] = records
        self._oldest = 0

    def at(self, position: int) -> Sent:
        """Return the record that holds ``position``, which is in flight."""
        return self._records[self._index(position)]

    def cut(self, start: int, end: int) -> list[Sent]:
        """Cut the records at ``start`` and at ``end``, and return those between the two positions."""
        first = self._split(start)
        beyond = self._split(end) if end < self.end else len(self._records)
        return self._records[first:beyond]

    def all(self) -> list[Sent]:
        """Return all records in the order of position."""
        return self._records[self._head :]

    def _replace(self, start: int, end: int) -> None:
        """Drop the records of positions ``start`` to ``end`` - 1, because these octets are sent again now."""
        first = self._split(start)
        beyond = self._split(end) if end < self.end else len(self._records)
        for index in range(first, beyond):
            self._records[index].state = GONE
        del self._records[first:beyond], self._starts[first:beyond]

    def _split(self, position: int) -> int:
        """Return the index of the record that begins at ``position``.

        A record that holds ``position`` inside it is first cut in two there.
        """
        index = self._index(position)
        record = self._records[index]
        if record.start == position:
            return index
        rest = record.part(position, record.end)
        rest.rest, record.rest, record.end = record.rest, rest, position
        self._starts.insert(index + 1, position)
        self._records.insert(index + 1, rest)
        return index + 1

    def _index(self, position: int) -> int:
        """Return the index of the record that holds ``position``."""
        return bisect_right(self._starts, position, self._head) - 1
