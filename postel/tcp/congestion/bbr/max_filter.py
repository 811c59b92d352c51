"""Windowed maximum: the largest recent value, where time is a count of rounds or cycles."""


class MaxFilter:
    """Maximum over the last ticks (rounds or cycles), kept in few entries.

    The entries are the values that no larger value has followed, at most one for each tick, oldest and
    largest first.
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        """Create a filter that has seen no value."""
        self._entries: list[tuple[int, int]] = []  # (tick, value)

    def update(self, value: int, tick: int, length: int) -> int:
        """Add ``value`` at ``tick``, and return the maximum of the last ``length`` ticks.

        Ticks never decrease.
        """
        entries = self._entries
        while entries and entries[-1][1] <= value:
            entries.pop()
        if not entries or entries[-1][0] != tick:
            entries.append((tick, value))
        while entries[0][0] <= tick - length:
            entries.pop(0)
        return entries[0][1]
