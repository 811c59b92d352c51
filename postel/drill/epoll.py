"""epoll: what a descriptor of it watches, and what its wait says."""

import errno
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from postel.errors import ScriptError, ScriptFailed

EPOLL: Final = {
    "EPOLLIN": 1, "EPOLLPRI": 2, "EPOLLOUT": 4, "EPOLLERR": 8, "EPOLLHUP": 16, "EPOLLRDNORM": 0x40,
    "EPOLLWRNORM": 0x100,
    "EPOLLRDHUP": 0x2000, "EPOLLONESHOT": 1 << 30, "EPOLLET": 1 << 31, "EPOLL_CTL_ADD": 1, "EPOLL_CTL_DEL": 2,
    "EPOLL_CTL_MOD": 3,
}  # fmt: skip
_ADD, _DELETE, _MODIFY = 1, 2, 3
_ONESHOT: Final = EPOLL["EPOLLONESHOT"]
_EDGE: Final = EPOLL["EPOLLET"]
_DATA: Final = ("fd", "u32", "u64", "ptr")


class Poller(ABC):
    """One descriptor of epoll_create. ``data`` is what the script gave each watched number to be known by."""

    def __init__(self) -> None:
        self.data: dict[int, dict[str, object]] = {}

    def control(self, operation: int, number: int, event: dict[str, object]) -> None:
        """epoll_ctl. Raises OSError EEXIST, ENOENT, EINVAL."""
        if operation not in (_ADD, _DELETE, _MODIFY):
            raise OSError(errno.EINVAL, "no operation of epoll_ctl")
        if (operation == _ADD) == (number in self.data):
            raise OSError(
                errno.EEXIST if operation == _ADD else errno.ENOENT, "watched already, or not watched"
            )
        if operation == _DELETE:
            del self.data[number]
            self.ignore(number)
            return
        self.data[number] = {name: event[name] for name in _DATA if name in event}
        events = event.get("events", 0)
        if not isinstance(events, int):
            raise ScriptError(0, "events", "expected a number")
        self.watch(number, events)

    def told(self, number: int, events: int) -> dict[str, object]:
        return {"events": events, **self.data[number]}

    @abstractmethod
    def watch(self, number: int, events: int) -> None: ...

    @abstractmethod
    def ignore(self, number: int) -> None: ...

    @abstractmethod
    def ready(self, most: int, timeout: int) -> list[tuple[int, int]]:
        """Numbers with their events. ``timeout`` in milliseconds, where the poller waits by itself."""

    @abstractmethod
    def close(self) -> None: ...


@dataclass(slots=True)
class _Watched:
    events: int
    told: int = 0  # what was ready when it was told last, for EPOLLET
    arrivals: int = -1  # until then


class Source(Protocol):
    """What Postel's own poller watches. ``arrivals`` grows whenever something came to be read."""

    @property
    def arrivals(self) -> int: ...

    def readiness(self, asked: int) -> int: ...


class VirtualPoller(Poller):
    def __init__(self, descriptors: Mapping[int, Source]) -> None:
        super().__init__()
        self._descriptors = descriptors
        self._watched: dict[int, _Watched] = {}

    def watch(self, number: int, events: int) -> None:
        self._watched[number] = _Watched(events)

    def ignore(self, number: int) -> None:
        del self._watched[number]

    def ready(self, most: int, timeout: int) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for number, watched in self._watched.items():
            events = self._events(number, watched)
            if events and len(found) < most:
                found.append((number, events))
                if watched.events & _ONESHOT:
                    watched.events = 0
        return found

    def _events(self, number: int, watched: _Watched) -> int:
        source = self._descriptors.get(number)
        if source is None or not watched.events:
            return 0
        events = source.readiness(watched.events)
        if not watched.events & _EDGE:
            return events
        is_news = events & ~watched.told or source.arrivals != watched.arrivals
        watched.told, watched.arrivals = events, source.arrivals
        return events if is_news else 0

    def close(self) -> None:
        self._watched.clear()


def compare(expected: object, actual: list[dict[str, object]]) -> None:
    """Raises ScriptFailed where an event that is expected didn't come; their order is not checked."""
    wanted = expected if isinstance(expected, list) else [expected]
    for event in wanted:
        if isinstance(event, dict) and event not in actual:
            raise ScriptFailed(0, "epoll", event, actual or "nothing", "events")
