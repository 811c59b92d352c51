"""Which descriptors are ready: the system's epoll where there is one, else poll. Unlike `selectors` they tell
of a hang-up as well.
"""

import select
from typing import Final

IN: Final = 1  # POSIX leaves the numbers open; epoll and poll of all known systems have these
OUT: Final = 4
ERR: Final = 8
HUP: Final = 16
GONE: Final = ERR | HUP  # told whether it was asked for or not


class Poller:
    """Descriptors and what is waited for at each: a mask of `IN` and `OUT`, or 0 for a hang-up alone. For one
    thread.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._poll = select.poll() if self._epoll is None else None
        self._masks: dict[int, int] = {}

    def watch(self, descriptor: int, mask: int) -> None:
        """Wait for these from now on, in place of what was waited for before."""
        before = self._masks.get(descriptor)
        if before == mask:
            return
        self._masks[descriptor] = mask
        if self._poll is not None:
            self._poll.register(descriptor, mask)
        elif self._epoll is not None and before is None:
            self._epoll.register(descriptor, mask)
        elif self._epoll is not None:
            self._epoll.modify(descriptor, mask)

    def forget(self, descriptor: int) -> None:
        """Before the descriptor is closed. Harmless for one that isn't watched."""
        if self._masks.pop(descriptor, None) is None:
            return
        if self._poll is not None:
            self._poll.unregister(descriptor)
        elif self._epoll is not None:
            self._epoll.unregister(descriptor)

    def wait(self, seconds: float | None) -> list[tuple[int, int]]:
        """Descriptors and masks; none when the time has passed. None waits for as long as it takes."""
        if self._epoll is not None:
            return self._epoll.poll(seconds)
        assert self._poll is not None  # noqa: S101 - one of the two
        return self._poll.poll(None if seconds is None else seconds * 1000)

    def close(self) -> None:
        if self._epoll is not None:
            self._epoll.close()


def is_hung_up(descriptor: int) -> bool:
    """Whether the other end of a socket pair is closed for both directions; no, if it was only shut down for
    writing.
    """
    asked = select.poll()
    asked.register(descriptor, 0)
    return any(mask & GONE for _, mask in asked.poll(0))
