"""How long a connection had something to send, and how much of that time it waited for room: at the peer, or
in its own send buffer.
"""

from typing import Final

IDLE: Final = 0
BUSY: Final = 1  # something is in flight, or waits for congestion control
WINDOW: Final = 2  # octets wait for the peer's window
BUFFER: Final = 3  # the user has more, and the buffer no room


class Stopwatch:
    __slots__ = ("_since", "_times", "activity")

    def __init__(self, now: int) -> None:
        self.activity: int = IDLE
        self._since = now
        self._times = [0, 0, 0, 0]

    def start(self, now: int) -> None:
        """The user sends something."""
        if self.activity == IDLE:
            self.turn(BUSY, now)

    def turn(self, activity: int, now: int) -> None:
        if activity != self.activity:
            self._times[self.activity] += now - self._since
            self.activity = activity
            self._since = now

    def time(self, activity: int, now: int) -> int:
        """Microseconds spent with it so far."""
        return self._times[activity] + (now - self._since if self.activity == activity else 0)
