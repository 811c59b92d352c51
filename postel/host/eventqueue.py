"""Events that wait for the program to drain them, each once however often it repeats."""

from collections import deque
from typing import Final, Generic, TypeVar

from postel.tcp.events import Event

Source = TypeVar("Source")


# events that are compared one by one, which is cheaper than to count them: mostly the program drains them at
# once
_FEW: Final = 8


class EventQueue(Generic[Source]):
    """Pairs of a source (a connection, a listener, a socket) and an event of it.

    ``queue`` holds those that wait, in order, to be looked at. What a peer can repeat doesn't make it longer:
    an event that waits already isn't added again, for it says the same whenever it is told. So a program that
    drains no events holds a few for each source.
    """

    __slots__ = ("_counts", "queue")

    def __init__(self) -> None:
        self.queue: deque[tuple[Source, Event]] = deque()
        self._counts: dict[tuple[Source, Event], int] = {}  # of each entry, while the queue is long

    def __len__(self) -> int:
        return len(self.queue)

    def put(self, source: Source, event: Event, most: int = 1) -> None:
        """Add an event, unless ``most`` of the same wait."""
        queue, entry = self.queue, (source, event)
        if not queue:
            queue.append(entry)
            return
        if len(queue) < _FEW:
            if queue.count(entry) < most:
                queue.append(entry)
            return
        if not self._counts:
            for waiting in self.queue:
                self._counts[waiting] = self._counts.get(waiting, 0) + 1
        count = self._counts.get(entry, 0)
        if count < most:
            self._counts[entry] = count + 1
            self.queue.append(entry)

    def pop(self) -> tuple[Source, Event]:
        """The one that has waited longest. Raises IndexError where none waits."""
        entry = self.queue.popleft()
        if self._counts:
            self._leave(entry)
        return entry

    def _leave(self, entry: tuple[Source, Event]) -> None:
        if len(self.queue) < _FEW:
            self._counts.clear()
        elif self._counts[entry] > 1:
            self._counts[entry] -= 1
        else:
            del self._counts[entry]
