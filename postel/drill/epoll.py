"""epoll: which file descriptors a poller watches, and what epoll_wait returns."""

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
    """Descriptor that epoll_create made.

    ``data`` has the script's data for each watched descriptor.
    """

    def __init__(self) -> None:
        """Begin without watched descriptors."""
        self.data: dict[int, dict[str, object]] = {}

    def control(self, operation: int, number: int, event: dict[str, object]) -> None:
        """Carry out epoll_ctl. Raises OSError EEXIST, ENOENT, EINVAL."""
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
        """Structure that epoll_wait returns for a descriptor with ``events``."""
        return {"events": events, **self.data[number]}

    @abstractmethod
    def watch(self, number: int, events: int) -> None:
        """Watch a descriptor for ``events``."""

    @abstractmethod
    def ignore(self, number: int) -> None:
        """Stop watching a descriptor."""

    @abstractmethod
    def ready(self, most: int, timeout: int) -> list[tuple[int, int]]:
        """Descriptors with their events. Only a poller that waits uses ``timeout``, in milliseconds."""

    @abstractmethod
    def close(self) -> None:
        """Close the descriptor of epoll."""


@dataclass(slots=True)
class _Watched:
    """Descriptor that is watched, and what epoll_wait reported of it last (for EPOLLET)."""

    events: int
    told: int = 0  # the events that were reported last
    arrivals: int = -1  # the value of `Source.arrivals` at that time


class Source(Protocol):
    """Socket that `VirtualPoller` watches. ``arrivals`` grows whenever something can be read."""

    @property
    def arrivals(self) -> int:
        """Number that grows whenever something can be read."""

    def readiness(self, asked: int) -> int:
        """Events that poll returns, out of the events ``asked`` for."""


class VirtualPoller(Poller):
    """Poller for sockets of Postel."""

    def __init__(self, descriptors: Mapping[int, Source]) -> None:
        """Watch sockets among these descriptors."""
        super().__init__()
        self._descriptors = descriptors
        self._watched: dict[int, _Watched] = {}

    def watch(self, number: int, events: int) -> None:
        """Watch a descriptor for ``events``."""
        self._watched[number] = _Watched(events)

    def ignore(self, number: int) -> None:
        """Stop watching a descriptor."""
        del self._watched[number]

    def ready(self, most: int, timeout: int) -> list[tuple[int, int]]:
        """Descriptors with their events, at most ``most``. The poller doesn't wait."""
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
        """Forget all watched descriptors."""
        self._watched.clear()


def compare(expected: object, actual: list[dict[str, object]]) -> None:
    """Raise ScriptFailed if an expected event is missing. The order of events isn't checked."""
    wanted = expected if isinstance(expected, list) else [expected]
    for event in wanted:
        if isinstance(event, dict) and event not in actual:
            raise ScriptFailed(0, "epoll", event, actual or "nothing", "events")
