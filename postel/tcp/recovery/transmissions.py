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


class Sent:
    """One transmission of the octets ``start`` … ``end``, at ``at``. ``rest`` is what a SACK or a retransmission cut off behind it.

    The last six are the rate sample's (the BBR draft, 4.1.2), and set only for controllers that ask for it.
    """

    __slots__ = (
        "at",
        "delivered",
        "delivered_at",
        "end",
        "first_at",
        "flight",
        "is_again",
        "is_app_limited",
        "lost",
        "rest",
        "serial",
        "start",
        "state",
    )

    def __init__(self, start: int, end: int, at: int, serial: int, *, is_again: bool) -> None:
        self.start = start
        self.end = end
        self.at = at
        self.serial = serial  # the order of sending, where the clock says nothing
        self.is_again = is_again
        self.state = FLYING
        self.rest: Sent | None = None
        self.delivered = 0
        self.delivered_at = 0
        self.first_at = 0
        self.flight = 0
        self.lost = 0
        self.is_app_limited = False


class Transmissions:
    """The records of everything between SND.UNA and SND.MAX, without gap or overlap. Positions count octets and never wrap."""

    __slots__ = ("_by_time", "_head", "_oldest", "_records", "_serial", "_starts", "end", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.end = start
        self._by_time: list[Sent] = []  # every record that wasn't cut off another; those not FLYING go when they are met
        self._oldest = 0  # where it begins
        self._starts: list[int] = []
        self._records: list[Sent] = []
        self._head = 0
        self._serial = 0

    def add(self, start: int, end: int, at: int) -> Sent:
        """Octets go out, for the first time or again."""
        is_again = start < self.end
        if is_again:
            self._replace(start, end)
        self._serial += 1
        record = Sent(start, end, at, self._serial, is_again=is_again)
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

    def first(self) -> Sent | None:
        return self._records[self._head] if self._head < len(self._records) else None

    def last(self) -> Sent | None:
        return self._records[-1] if self._head < len(self._records) else None

    def take(self, position: int, packet: int) -> Sent | None:
        """Everything before ``position`` was acknowledged, and flew. The last record of it, though it be only a ``packet`` of a burst;
        None where that ends within the first."""
        records, head, last = self._records, self._head, None
        end = len(records)
        while head < end and records[head].end <= position:
            last = records[head]
            last.state = GONE
            head += 1
        if head < end and records[head].start < position:
            last = records[head] if position - records[head].start >= packet else last
            records[head].start = self._starts[head] = position
        self._head = head
        if head == end:
            self._by_time.clear()
            self._oldest = 0
        self._trim()
        return last

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

    def shorten_first(self, start: int) -> None:
        """Its octets before ``start`` were acknowledged."""
        self._records[self._head].start = self._starts[self._head] = start

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
        rest = Sent(position, record.end, record.at, record.serial, is_again=record.is_again)
        rest.state, rest.rest = record.state, record.rest
        rest.delivered, rest.delivered_at, rest.first_at = record.delivered, record.delivered_at, record.first_at
        rest.flight, rest.lost, rest.is_app_limited = record.flight, record.lost, record.is_app_limited
        record.end, record.rest = position, rest
        self._starts.insert(index + 1, position)
        self._records.insert(index + 1, rest)
        return index + 1

    def _index(self, position: int) -> int:
        return bisect_right(self._starts, position, self._head) - 1
