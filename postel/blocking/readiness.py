"""Readiness of descriptors: by the system's epoll if there is one, else by poll.

Unlike the module `selectors`, epoll and poll report a hang-up as well.
"""

import select
from typing import Final

IN: Final = 1  # POSIX doesn't fix these numbers; epoll and poll of all known systems have them
OUT: Final = 4
ERR: Final = 8
HUP: Final = 16
GONE: Final = ERR | HUP  # masks that are reported even if they weren't asked for


class Poller:
    """Set of descriptors to wait for, each with a mask: `IN`, `OUT`, both, or 0 for a hang-up alone.

    Only one thread may use the object.
    """

    def __init__(self) -> None:
        """Wait for nothing yet."""
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._poll = select.poll() if self._epoll is None else None
        self._masks: dict[int, int] = {}

    def watch(self, descriptor: int, mask: int) -> None:
        """Wait for ``mask`` at the descriptor from now on, instead of an earlier mask."""
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
        """Stop waiting for the descriptor. Call this before the descriptor is closed.

        Does nothing if the descriptor isn't watched.
        """
        if self._masks.pop(descriptor, None) is None:
            return
        if self._poll is not None:
            self._poll.unregister(descriptor)
        elif self._epoll is not None:
            self._epoll.unregister(descriptor)

    def wait(self, seconds: float | None) -> list[tuple[int, int]]:
        """Wait up to ``seconds``, or without limit if that is None.

        Returns the ready descriptors with their masks.
        """
        if self._epoll is not None:
            return self._epoll.poll(seconds)
        assert self._poll is not None  # noqa: S101 - either epoll or poll is in use
        return self._poll.poll(None if seconds is None else seconds * 1000)

    def close(self) -> None:
        """Close the epoll descriptor."""
        if self._epoll is not None:
            self._epoll.close()


def is_hung_up(descriptor: int) -> bool:
    """Tell whether the other end of a socket pair is closed for both directions.

    Returns False if the other end was only shut down for writing.
    """
    asked = select.poll()
    asked.register(descriptor, 0)
    return any(mask & GONE for _, mask in asked.poll(0))
