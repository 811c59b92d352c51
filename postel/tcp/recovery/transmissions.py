"""What was sent and when: the newest transmission of every octet in flight (RFC 8985, 5.2 and 6.1).

Two orders of the same records::

    by position    una │ A │ B │ C' │ C'' │ D │ B's octets sent again are a new record │ max
    by time        A, B, C, D, … and those sent again at the end
"""

from bisect import bisect_right
from typing import Final

FLYING: Final = 0
SACKED: Final = 1
LOST: Final = 2
GONE: Final = 3  # acknowledged, or sent again

_TRIM: Final = 256  # records left behind before the lists are cut


class Stamp:
    """What a rate sample wants to know of a transmission (the BBR draft, 4.1.2), where the controller asks
    for it.
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
        self.delivered: int = delivered
        self.delivered_at: int = delivered_at
        self.first_at: int = first_at
        self.flight: int = flight
        self.lost: int = lost
        self.is_app_limited: bool = is_app_limited


class Sent:
    """One transmission of ``start`` … ``end``, at ``at``, in ``segments`` of one size. ``rest`` is what was
    cut off behind it.
    """

    __slots__ = ("at", "end", "is_again", "rest", "segments", "serial", "stamp", "start", "state")

    def __init__(
        self, start: int, end: int, at: int, serial: int, *, is_again: bool, segments: int = 1
    ) -> None:
        self.start: int = start
        self.end: int = end
        self.at: int = at
        self.serial: int = serial  # the order of sending, where the clock says nothing
        self.is_again: bool = is_again
        self.state: int = FLYING
        self.segments: int = segments
        self.rest: Sent | None = None
        self.stamp: Stamp | None = None

    def is_after(self, other: "Sent") -> bool:
        """RACK_sent_after (RFC 8985, 6.2), by the order of sending itself where the RFC has only clock and
        numbers.
        """
        return self.serial > other.serial or (self.serial == other.serial and self.end > other.end)

    def part(self, start: int, end: int) -> "Sent":
        """Its octets ``start`` … ``end``, at either end of it, as a record of their own. A cut segment counts
        as before the cut alone.
        """
        size = self.end - self.start
        before = -(-self.segments * ((end if end < self.end else start) - self.start) // size)
        segments = before if end < self.end else self.segments - before
        self.segments -= segments
        part = Sent(start, end, self.at, self.serial, is_again=self.is_again, segments=segments)
        part.state, part.stamp = self.state, self.stamp
        return part


class Transmissions:
    """The records of everything between SND.UNA and SND.MAX, without gap or overlap. Positions count octets
    and never wrap.
    """

    __slots__ = ("_by_time", "_head", "_oldest", "_records", "_serial", "_starts", "end", "start")

    def __init__(self, start: int) -> None:
        self.start: int = start
        self.end: int = start
        self._by_time: list[
            Sent
        ] = []  # every record that wasn't cut off another; those not FLYING go when they are met
        self._oldest = 0  # where it begins
        self._starts: list[int] = []
        self._records: list[Sent] = []
        self._head = 0
        self._serial = 0

    def add(self, start: int, end: int, at: int, segments: int = 1) -> Sent:
        """Octets go out, for the first time or again."""
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
        """Segments that follow the last at the same instant, with as many octets each, need no record of
        their own.
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
        return self._records[self._head] if self._head < len(self._records) else None

    def last(self) -> Sent | None:
        return self._records[-1] if self._head < len(self._records) else None

    def pop_through(self, position: int) -> Sent | None:
        """Everything before ``position`` was acknowledged, and flew. The last of it; None where there was
        nothing.
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
        """What the first record holds before ``position`` was acknowledged."""
        record = self._records[self._head]
        if record.start >= position:
            return None
        front = record.part(record.start, position)
        record.start = self._starts[self._head] = position
        return front

    def drop_first(self) -> None:
        self._head += 1
        self._trim()

    def _trim(self) -> None:
        if self._head > _TRIM and 2 * self._head > len(self._records):
            del self._records[: self._head], self._starts[: self._head]
            self._head = 0
            self.oldest_flying()  # which passes those that are gone
            del self._by_time[: self._oldest]
            self._oldest = 0

    def oldest_flying(self) -> Sent | None:
        """The one that was sent first of those neither acknowledged, SACKed nor lost."""
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
        """They fly again, and are older than all others that do."""
        self._by_time[: self._oldest] = records
        self._oldest = 0

    def at(self, position: int) -> Sent:
        """The record that holds ``position``, which is in flight."""
        return self._records[self._index(position)]

    def cut(self, start: int, end: int) -> list[Sent]:
        """The records of ``start`` … ``end``, which are cut so that they end there."""
        first = self._split(start)
        beyond = self._split(end) if end < self.end else len(self._records)
        return self._records[first:beyond]

    def all(self) -> list[Sent]:
        return self._records[self._head :]

    def _replace(self, start: int, end: int) -> None:
        """Take what ``start`` … ``end`` was out: it is being sent again."""
        first = self._split(start)
        beyond = self._split(end) if end < self.end else len(self._records)
        for index in range(first, beyond):
            self._records[index].state = GONE
        del self._records[first:beyond], self._starts[first:beyond]

    def _split(self, position: int) -> int:
        """The index of the record that begins at ``position``, cut off the one before it if need be."""
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
        return bisect_right(self._starts, position, self._head) - 1
