"""Events that wait until the program takes them, each at most once for its source."""

from collections import deque
from typing import Final, Generic, TypeVar

from postel.tcp.events import Event

Source = TypeVar("Source")


# Fewer waiting events than this are compared one by one. That is cheaper than counting them, and most
# programs take their events at once
_FEW: Final = 8


class EventQueue(Generic[Source]):
    """Queue of pairs of a source (a connection, a listener, a UDP socket) and an event.

    ``queue`` holds the waiting pairs in order. An event that waits already isn't added again, because its
    meaning doesn't depend on when it is taken. So a peer that repeats itself can't make the queue longer, and
    a program that takes no events has only a few for each source.
    """

    __slots__ = ("_counts", "queue")

    def __init__(self) -> None:
        """Make an empty queue."""
        self.queue: deque[tuple[Source, Event]] = deque()
        self._counts: dict[tuple[Source, Event], int] = {}  # number of equal entries, while the queue is long

    def __len__(self) -> int:
        """Number of waiting events."""
        return len(self.queue)

    def put(self, source: Source, event: Event, most: int = 1) -> None:
        """Add an event, unless ``most`` equal ones of this source wait."""
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
        """Remove and return the pair that has waited longest. Raises IndexError where none waits."""
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
