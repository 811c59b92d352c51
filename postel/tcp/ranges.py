"""Disjoint ranges of positions, in order: octets that a receiver holds, or that are known to have arrived."""

from bisect import bisect_left, bisect_right


class Ranges:
    """Half-open ranges start … end, disjoint, in order, and merged where they touch.

    To add one costs O(log n) and a short memmove. Positions are ints that never wrap.
    """

    __slots__ = ("lefts", "rights", "total")

    def __init__(self) -> None:
        """Make an empty set of ranges."""
        self.lefts: list[int] = []
        self.rights: list[int] = []
        self.total: int = 0  # octets covered

    def __len__(self) -> int:
        """Number of ranges."""
        return len(self.lefts)

    @property
    def end(self) -> int:
        """One past the highest position; 0 where there is none."""
        return self.rights[-1] if self.rights else 0

    def add(self, start: int, end: int) -> tuple[int, int]:
        """Cover start … end, and return the range that it now belongs to."""
        low = bisect_left(self.rights, start)
        high = bisect_right(self.lefts, end)
        left, right = start, end
        for index in range(low, high):
            self.total -= self.rights[index] - self.lefts[index]
        if low < high:
            left = min(start, self.lefts[low])
            right = max(end, self.rights[high - 1])
        self.lefts[low:high] = [left]
        self.rights[low:high] = [right]
        self.total += right - left
        return left, right

    def around(self, position: int) -> tuple[int, int]:
        """Return the range that holds ``position``, or (0, 0)."""
        index = bisect_right(self.lefts, position) - 1
        if index < 0 or self.rights[index] <= position:
            return (0, 0)
        return self.lefts[index], self.rights[index]

    def first_left_from(self, position: int) -> int:
        """Return where the first range at or after ``position`` begins; 0 where there is none."""
        index = bisect_left(self.lefts, position)
        return self.lefts[index] if index < len(self.lefts) else 0

    def first_within(self, start: int, end: int) -> tuple[int, int]:
        """Return the first part of start … end that is covered, or (0, 0)."""
        index = bisect_right(self.rights, start)
        if index == len(self.lefts) or max(start, self.lefts[index]) >= end:
            return (0, 0)
        return max(start, self.lefts[index]), min(end, self.rights[index])

    def gaps(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the parts of start … end that aren't covered."""
        found = []
        index = bisect_right(self.rights, start)
        while start < end and index < len(self.lefts) and self.lefts[index] < end:
            if start < self.lefts[index]:
                found.append((start, self.lefts[index]))
            start = self.rights[index]
            index += 1
        if start < end:
            found.append((start, end))
        return found

    def remove(self, start: int, end: int) -> None:
        """Uncover start … end, which lies inside one range."""
        index = bisect_right(self.lefts, start) - 1
        left, right = self.lefts[index], self.rights[index]
        parts = [(low, high) for low, high in ((left, start), (end, right)) if low < high]
        self.lefts[index : index + 1] = [low for low, _ in parts]
        self.rights[index : index + 1] = [high for _, high in parts]
        self.total -= end - start

    def drop_below(self, position: int) -> None:
        """Uncover all positions below ``position``."""
        index = bisect_right(self.rights, position)
        for gone in range(index):
            self.total -= self.rights[gone] - self.lefts[gone]
        del self.lefts[:index], self.rights[:index]
        if self.lefts and self.lefts[0] < position:
            self.total -= position - self.lefts[0]
            self.lefts[0] = position

    def drop_above(self, position: int) -> None:
        """Uncover all positions from ``position`` on."""
        while self.lefts and self.lefts[-1] >= position:
            self.total -= self.rights.pop() - self.lefts.pop()
        if self.rights and self.rights[-1] > position:
            self.total -= self.rights[-1] - position
            self.rights[-1] = position

    def clear(self) -> None:
        """Remove all ranges."""
        self.lefts.clear()
        self.rights.clear()
        self.total = 0
