"""Time that a connection spent sending, waiting for the peer's window, and waiting for its send buffer."""

from typing import Final

IDLE: Final = 0
BUSY: Final = 1  # something is in flight, or waits for congestion control
WINDOW: Final = 2  # octets wait for the peer's window
BUFFER: Final = 3  # the user has more to send, and the send buffer has no room


class Stopwatch:
    """Times that a connection spent with each activity, in microseconds."""

    __slots__ = ("_since", "_times", "activity")

    def __init__(self, now: int) -> None:
        """Begin at ``now``, idle."""
        self.activity: int = IDLE
        self._since = now
        self._times = [0, 0, 0, 0]

    def start(self, now: int) -> None:
        """End the idle time, if there was one: the user sends something."""
        if self.activity == IDLE:
            self.turn(BUSY, now)

    def turn(self, activity: int, now: int) -> None:
        """Change to another activity at ``now``."""
        if activity != self.activity:
            self._times[self.activity] += now - self._since
            self.activity = activity
            self._since = now

    def time(self, activity: int, now: int) -> int:
        """Return the microseconds spent with ``activity`` up to ``now``."""
        return self._times[activity] + (now - self._since if self.activity == activity else 0)
