"""Events that wait for the program to drain them, each once however often it repeats."""

from collections import deque
from typing import Generic, TypeVar

from postel.tcp.events import Event

Source = TypeVar("Source")


class EventQueue(Generic[Source]):
    """Pairs of a source (a connection, a listener, a socket) and an event of it, in order. ``len()`` is how many wait.

    What a peer can repeat doesn't make it longer: an event that waits already isn't added again, for it says the same whenever it is
    told. So a program that drains no events holds a few for each source that it has.
    """

    __slots__ = ("_queue", "_waiting")

    def __init__(self) -> None:
        self._queue: deque[tuple[Source, Event]] = deque()
        self._waiting: dict[tuple[Source, Event], int] = {}

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, source: Source, event: Event, most: int = 1) -> None:
        """Add an event, unless ``most`` of the same wait."""
        entry = (source, event)
        count = self._waiting.get(entry, 0)
        if count < most:
            self._waiting[entry] = count + 1
            self._queue.append(entry)

    def pop(self) -> tuple[Source, Event]:
        """The one that has waited longest. Raises IndexError where none waits."""
        entry = self._queue.popleft()
        count = self._waiting[entry] - 1
        if count:
            self._waiting[entry] = count
        else:
            del self._waiting[entry]
        return entry
