"""A windowed maximum: the largest of what was seen lately, where time is a count of rounds or cycles."""


class MaxFilter:
    """Keeps one entry for each tick at most: those that nothing larger has followed, oldest and largest
    first.
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: list[tuple[int, int]] = []  # (tick, value)

    def update(self, value: int, tick: int, length: int) -> int:
        """The largest value of the last ``length`` ticks, ``value`` at ``tick`` included. Ticks never go
        back.
        """
        entries = self._entries
        while entries and entries[-1][1] <= value:
            entries.pop()
        if not entries or entries[-1][0] != tick:
            entries.append((tick, value))
        while entries[0][0] <= tick - length:
            entries.pop(0)
        return entries[0][1]
